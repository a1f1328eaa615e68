// The words of the page in its languages. Sentences of the agent come in English; those with a known form are translated.

export const languages = ["en", "es"];

export const words = {
  en: {
    other: "Español", boards: "Boards", services: "Services", events: "What happened", know: "What to know",
    nearby: "Other clusters nearby", waiting: "Waiting for a board", noServices: "No services yet.",
    noEvents: "Nothing since this page was opened.", live: "● live", connecting: "○ connecting …",
    cluster: (n) => `Cluster ${n}`, headline: (r, n) => `${r} of ${n} ${n == 1 ? "board" : "boards"} ready`,
    managers: (r, n) => (r == n ? `${n} ${n == 1 ? "manager" : "managers"}` : `${r} of ${n} managers reachable`),
    keyed: (k) => (k ? "with a cluster key" : "without a key"), noSwarm: "No swarm yet", self: "you are here",
    tasks: (r, n) => `${r} of ${n} running`, trouble: "Trouble:", note: "Note:", open: "Open the page of this board",
    source: (self, of) => `Shown by ${self}` + (of && of != self ? `, as ${of} tells it.` : "."),
    lost: (self) => `${self} does not answer any more. What you see is old. Try the page of another board:`,
    state: { ready: "● ready", down: "▲ DOWN", in: "◐ in the swarm", out: "○ not in" },
    role: { leader: "★ leader", manager: "◆ manager", worker: "worker" }, drained: "takes no tasks",
    came: (b) => `${b} appeared.`, went: (b) => `${b} is no longer known.`, became: (b, s) => `${b} is ${s}.`,
    states: { ready: "ready", down: "down", in: "in the swarm", out: "not in the swarm" },
    rose: (b, r) => `${b} is now ${r}.`, roles: { leader: "the leader", manager: "a manager", worker: "a worker" },
    moved: (t, a, b) => `${t} moves from ${a} to ${b}.`, started: (t, b) => `${t} starts on ${b}.`,
    added: (s) => `Service ${s} is there.`, removed: (s) => `Service ${s} is gone.`,
  },
  es: {
    other: "English", boards: "Placas", services: "Servicios", events: "Lo que pasó", know: "Conviene saber",
    nearby: "Otros clústeres cerca", waiting: "A la espera de una placa", noServices: "Aún no hay servicios.",
    noEvents: "Nada desde que se abrió esta página.", live: "● en vivo", connecting: "○ conectando …",
    cluster: (n) => `Clúster ${n}`, headline: (r, n) => `${r} de ${n} ${n == 1 ? "placa lista" : "placas listas"}`,
    managers: (r, n) => (r == n ? `${n} ${n == 1 ? "gestor" : "gestores"}` : `${r} de ${n} gestores accesibles`),
    keyed: (k) => (k ? "con clave" : "sin clave"), noSwarm: "Aún no hay enjambre", self: "estás aquí",
    tasks: (r, n) => `${r} de ${n} en marcha`, trouble: "Problema:", note: "Nota:", open: "Abrir la página de esta placa",
    source: (self, of) => `Mostrado por ${self}` + (of && of != self ? `, según ${of}.` : "."),
    lost: (self) => `${self} ya no responde. Lo que ves es antiguo. Prueba la página de otra placa:`,
    state: { ready: "● lista", down: "▲ CAÍDA", in: "◐ en el enjambre", out: "○ fuera" },
    role: { leader: "★ líder", manager: "◆ gestora", worker: "trabajadora" }, drained: "no recibe tareas",
    came: (b) => `Apareció ${b}.`, went: (b) => `${b} ya no se conoce.`, became: (b, s) => `${b} está ${s}.`,
    states: { ready: "lista", down: "caída", in: "en el enjambre", out: "fuera del enjambre" },
    rose: (b, r) => `${b} es ahora ${r}.`, roles: { leader: "la líder", manager: "gestora", worker: "trabajadora" },
    moved: (t, a, b) => `${t} pasa de ${a} a ${b}.`, started: (t, b) => `${t} empieza en ${b}.`,
    added: (s) => `Ya está el servicio ${s}.`, removed: (s) => `El servicio ${s} ya no está.`,
  },
};

// What the agent says, in the order of its sources: the reasons of bootstrap/why.go, then the warnings of picture/warnings.go. A
// test holds them to these.
const sentences = {
  es: [
    [/It is reached by address only: its announcements do not arrive, for multicast does not work between the two\./, "Solo se llega a ella por su dirección: sus anuncios no llegan, porque multicast no funciona entre las dos."],
    [/Its last attempt failed: /, "Su último intento falló: "],
    [/It has not been heard of for (.+): is it on, and on this network\?/, "No se oye nada de ella desde hace $1: ¿está encendida y en esta red?"],
    [/It has the serial of this board: give one of them another with serial in pi-agent\.toml\./, "Tiene el número de serie de esta placa: da otro a una de las dos con serial en pi-agent.toml."],
    [/Its clock is (.+), and certificates do not bear that: connect it to the internet, or give it a time server\./, "Su reloj va $1, y los certificados no lo admiten: conéctala a internet o dale un servidor de hora."],
    [/It is not ready yet: journalctl -u pi-agent on it tells what it waits for\./, "Aún no está lista: journalctl -u pi-agent en ella dice a qué espera."],
    [/It is starting a swarm\./, "Está creando un enjambre."],
    [/It is ready and about to join\./, "Está lista y a punto de unirse."],
    [/It says that it is in this swarm, which does not list it: docker swarm leave on it lets it join anew\./, "Dice que está en este enjambre, que no la tiene en su lista: docker swarm leave en ella le permite unirse de nuevo."],
    [/It is in another swarm(, \S+)?: docker swarm leave on it lets it join this one\./, "Está en otro enjambre$1: docker swarm leave en ella le permite unirse a este."],
    [/It has just announced itself\./, "Acaba de anunciarse."],
    [/It announces itself and says nothing more: sudo pi-agent doctor on it looks for the cause\./, "Se anuncia y no dice nada más: sudo pi-agent doctor en ella busca la causa."],
    [/It is not trusted, or does not trust this board: /, "No se confía en ella, o ella no confía en esta placa: "],
    [/It announces itself, and its port (\d+) does not answer: look for a firewall on it, or for an access point that keeps its clients apart /, "Se anuncia, y su puerto $1 no responde: busca un cortafuegos en ella, o un punto de acceso que separa a sus clientes "],
    [/It is what (\S+) was before its card was flashed anew: docker node rm (\S+) on a manager\./, "Es lo que $1 era antes de grabar de nuevo su tarjeta: docker node rm $2 en un gestor."],
    [/Nobody has heard of it: is it on, and on this network\?/, "Nadie ha oído nada de ella: ¿está encendida y en esta red?"],
    [/Its agent was heard of less than a minute ago: if it is on, sudo pi-agent doctor on it looks for the cause\./, "Se oyó a su agente hace menos de un minuto: si está encendida, sudo pi-agent doctor en ella busca la causa."],
    [/Its agent has not been heard of for (.+) either: is it on, and on this network\?/, "Tampoco se oye a su agente desde hace $1: ¿está encendida y en esta red?"],
    [/It belongs to cluster (".+")\./, "Pertenece al clúster $1."],
    [/It has no cluster key, and this cluster has one\./, "No tiene clave, y este clúster tiene una."],
    [/It has a cluster key, and this cluster has none\./, "Tiene una clave, y este clúster no."],
    [/It has another cluster key\./, "Tiene otra clave."],
    [/^(\S+) is down\. /, "$1 está caída. "],
    [/^(\S+) is not in the swarm\. /, "$1 no está en el enjambre. "],
    [/^(\S+) runs (\d+) of (\d+) tasks/, "$1 ejecuta $2 de $3 tareas"],
    [/^docker service ps --no-trunc (\S+) on a manager tells more\./, "docker service ps --no-trunc $1 en un gestor dice más."],
    [/^Stack (\S+) is not deployed: /, "El stack $1 no está desplegado: "],
    [/^Put the file on (.+) right: it is then deployed by itself\./, "Corrige el fichero en $1: entonces se despliega por sí solo."],
    [/the board that leads/, "la placa que dirige"],
    [/^The kernel of that board has no vxlan\. On Ubuntu: (.+), and reboot\./, "El núcleo de esa placa no tiene vxlan. En Ubuntu: $1, y reinicia."],
    [/^Switch on those that are off\. Containers go on running meanwhile\./, "Enciende los que están apagados. Los contenedores siguen en marcha mientras tanto."],
    [/^The managers of the swarm have no majority: it cannot be changed, and its nodes are not known\./, "Los gestores del enjambre no tienen mayoría: no se puede cambiar, y no se conocen sus nodos."],
    [/^Switch the managers on\. Containers go on running meanwhile\./, "Enciende los gestores. Los contenedores siguen en marcha mientras tanto."],
    [/^No manager of the swarm answers: this is only what this board knows by itself\./, "Ningún gestor del enjambre responde: esto es solo lo que esta placa sabe por sí misma."],
    [/^Set managers = 3 in pi-agent\.toml on every board\./, "Pon managers = 3 en pi-agent.toml en todas las placas."],
    [/^Switch the others on\./, "Enciende los demás."],
    [/^(\d+) of (\d+) managers are reachable\./, "$1 de $2 gestores accesibles."],
    [/^1 manager: if (\S+) fails, the swarm cannot be changed\./, "1 gestor: si falla $1, el enjambre no se puede cambiar."],
    [/^2 managers: if (\S+) or (\S+) fails, the swarm cannot be changed\./, "2 gestores: si falla $1 o $2, el enjambre no se puede cambiar."],
    [/^docker swarm (.+) on a manager\.$/, "docker swarm $1 en un gestor."],
    [/^Certificates of the nodes are valid for (\d+) days: boards that are off for longer do not come back\./, "Los certificados de los nodos valen $1 días: las placas apagadas más tiempo no vuelven."],
    [/^The certificate authority of the swarm ends on (\S+)\./, "La autoridad de certificación del enjambre termina el $1."],
    [/^Connect the boards to the internet, or give them a time server\./, "Conecta las placas a internet o dales un servidor de hora."],
    [/^The clock of (\S+) is /, "El reloj de $1 va "],
    [/(\d) days/, "$1 días"],
    [/ ahead([.,])/, " adelantado$1"],
    [/ behind([.,])/, " atrasado$1"],
  ],
};

// translate is a sentence of the agent in that language, as far as its form is known, and the language that it is now in.
export function translate(text, language) {
  let out = text;
  for (const [form, to] of sentences[language] || []) out = out.replace(form, to);
  return { text: out, lang: out == text ? "en" : language };
}
