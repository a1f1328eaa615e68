// The words of the page in its languages. Sentences of the agent come with the picture, in every language.

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
    managers: (r, n) => (r == n ? `${n} ${n == 1 ? "gestora" : "gestoras"}` : `${r} de ${n} gestoras accesibles`),
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
