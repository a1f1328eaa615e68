package say

// Why a board is not in the swarm, or what else hinders it: the reasons of package status.
var (
	Unheard = sentence("why-unheard",
		"It has not been heard from for %[1]s: is it on, and on this network?",
		"No hay noticias de ella desde hace %[1]s: ¿está encendida y en esta red?")
	ManagerSilent = sentence("why-manager-silent",
		"It is a worker, and its manager does not answer.",
		"Es trabajadora, y su gestora no responde.")
	Unicast = sentence("why-unicast",
		"It is reached by address only: its announcements do not arrive, for multicast does not work between the two.",
		"Solo se llega a ella por su dirección: sus anuncios no llegan, porque multicast no funciona entre las dos.")
	OurSerial = sentence("why-our-serial",
		"It has the serial of this board: give one of them another with serial in pi-agent.toml.",
		"Tiene el número de serie de esta placa: da otro a una de las dos con serial en pi-agent.toml.")
	ItsClockTooFar = sentence("why-its-clock-too-far",
		"Its clock is %[1]s, too far for certificates to be valid: connect it to the internet, or give it a time server.",
		"Su reloj va %[1]s, y así los certificados no valen: conéctala a internet o dale un servidor de hora.")
	NotReady = sentence("why-not-ready",
		"It is not ready yet: journalctl -u pi-agent on it tells what it waits for.",
		"Aún no está lista: journalctl -u pi-agent en ella dice a qué espera.")
	Founding = sentence("why-founding",
		"It is starting a swarm.",
		"Está creando un enjambre.")
	ReadyWaits = sentence("why-ready-waits",
		"It is ready and waits for a manager to answer.",
		"Está lista y espera a que responda una gestora.")
	ReadyJoins = sentence("why-ready-joins",
		"It is ready and about to join.",
		"Está lista y a punto de unirse.")
	SaysItIsIn = sentence("why-says-it-is-in",
		"It says that it is in this swarm, which does not list it: docker swarm leave on it lets it join anew.",
		"Dice que está en este enjambre, que no la tiene en su lista: ejecuta docker swarm leave en ella, y podrá "+
			"unirse de nuevo.")
	ManagesAnother = sentence("why-manages-another",
		"It manages another swarm%[1]s.",
		"Gestiona otro enjambre%[1]s.")
	InAnotherKeyless = sentence("why-in-another-keyless",
		"It is in another swarm%[1]s. If that one is lost, \"sudo pi-agent pair\" on it and on the manager of this one "+
			"lets it move.",
		"Está en otro enjambre%[1]s. Si ese se ha perdido, 'sudo pi-agent pair' en ella y en la gestora de este le "+
			"permite pasarse.")
	InAnother = sentence("why-in-another",
		"It is in another swarm%[1]s. It moves to this one when that one is lost, or when no manager of that one has "+
			"answered for "+
			"%.0[2]f minutes.",
		"Está en otro enjambre%[1]s. Se pasará a este cuando aquel se pierda, o cuando ninguna gestora suya haya "+
			"respondido en %.0[2]f minutos.")
	JustAnnounced = sentence("why-just-announced",
		"It has just announced itself.",
		"Acaba de anunciarse.")
	OnlyAnnounced = sentence("why-only-announced",
		"It announces itself and says nothing more: sudo pi-agent doctor on it looks for the cause.",
		"Se anuncia y no dice nada más: sudo pi-agent doctor en ella busca la causa.")
	NotTrusted = sentence("why-not-trusted",
		"It is not trusted, or does not trust this board: %[1]s.",
		"Esta placa no confía en ella, o ella no confía en esta: %[1]s.")
	ItsPortSilent = sentence("why-its-port-silent",
		"It announces itself, and its port %[1]d does not answer: look for a firewall on it, or for an access point that "+
			"keeps its "+
			"clients apart (%[2]s).",
		"Se anuncia, y su puerto %[1]d no responde: busca un cortafuegos en ella, o un punto de acceso que separa a sus "+
			"clientes "+
			"(%[2]s).")
	OldCard = sentence("why-old-card",
		"It is what %[1]s was before its card was flashed anew: docker node rm %[2]s on a manager.",
		"Es lo que %[1]s era antes de grabar de nuevo su tarjeta: docker node rm %[2]s en una gestora.")
	NeverHeard = sentence("why-never-heard",
		"Nobody has heard of it: is it on, and on this network?",
		"Nadie ha tenido noticias de ella: ¿está encendida y en esta red?")
	DownJustHeard = sentence("why-down-just-heard",
		"Its agent was heard of less than a minute ago: if it is on, sudo pi-agent doctor on it looks for the cause.",
		"Su agente dio señales hace menos de un minuto: si está encendida, sudo pi-agent doctor en ella busca la causa.")
	DownUnheard = sentence("why-down-unheard",
		"Its agent has not been heard from for %[1]s either: is it on, and on this network?",
		"Su agente tampoco da señales desde hace %[1]s: ¿está encendida y en esta red?")
	OtherCluster = sentence("why-other-cluster",
		"It belongs to cluster %[1]q.",
		"Pertenece al clúster %[1]q.")
	ItHasNoKey = sentence("why-it-has-no-key",
		"It has no cluster key, and this cluster has one.",
		"No tiene clave, y este clúster tiene una.")
	ItHasAKey = sentence("why-it-has-a-key",
		"It has a cluster key, and this cluster has none.",
		"Tiene una clave, y este clúster no.")
	ItHasAnotherKey = sentence("why-it-has-another-key",
		"It has another cluster key.",
		"Tiene otra clave.")
)

// What a board shows whose agent does not run.
var (
	AgentStopped = sentence("agent-stopped",
		"The agent does not run on this board: sudo systemctl start pi-agent.",
		"El agente no está en marcha en esta placa: sudo systemctl start pi-agent.")
	AgentHangs = sentence("agent-hangs",
		"The agent of this board hangs: sudo systemctl restart pi-agent.",
		"El agente de esta placa no responde: sudo systemctl restart pi-agent.")
	AgentCannotRun = sentence("agent-cannot-run",
		"The agent does not run on this board, and cannot with its settings: %[1]s.",
		"El agente no está en marcha en esta placa, ni puede estarlo con sus ajustes: %[1]s.")
	EngineUnasked = sentence("engine-unasked",
		"Nor can the Docker Engine be asked: %[1]s",
		"Tampoco se puede preguntar a Docker: %[1]s")
	EngineUp = sentence("engine-up",
		"Docker Engine %[1]s is up, in no swarm.",
		"Docker %[1]s está en marcha, en ningún enjambre.")
	StateActive  = sentence("state-active", "active", "activo")
	StatePending = sentence("state-pending", "pending", "pendiente")
	StateFailed  = sentence("state-failed", "error", "en error")
	StateLocked  = sentence("state-locked", "locked", "bloqueado")
	EngineUpIn   = sentence("engine-up-in",
		"Docker Engine %[1]s is up, and its swarm is %[2]s.",
		"Docker %[1]s está en marcha, y su enjambre está %[2]s.")
)

// What to know of a cluster: the warnings of package picture, and what helps.
var (
	BoardDown = sentence("know-board-down",
		"%[1]s is down. %[2]s",
		"%[1]s está caída. %[2]s")
	BoardOut = sentence("know-board-out",
		"%[1]s is not in the swarm. %[2]s",
		"%[1]s no está en el enjambre. %[2]s")
	BoardNote = sentence("know-board-note",
		"%[1]s: %[2]s",
		"%[1]s: %[2]s")
	TasksMissing = sentence("know-tasks-missing",
		"%[1]s runs %[2]d of %[3]d tasks",
		"%[1]s ejecuta %[2]d de %[3]d tareas")
	NoImage = sentence("know-no-image",
		": there is no image %[1]s on %[2]s",
		": no hay imagen %[1]s en %[2]s")
	NoImageHelp = sentence("know-no-image-help",
		"Check its name, and that those boards reach the internet; or load it on each of them with docker load.",
		"Comprueba su nombre y que esas placas llegan a internet, o cárgala en cada una con docker load.")
	TaskFaultOn = sentence("know-task-fault-on",
		": %[1]s on %[2]s",
		": %[1]s en %[2]s")
	TaskFault = sentence("know-task-fault",
		": %[1]s",
		": %[1]s")
	Fetching = sentence("know-fetching",
		": %[1]s is being fetched on %[2]s",
		": se está descargando %[1]s en %[2]s")
	TasksHelp = sentence("know-tasks-help",
		"docker service ps --no-trunc %[1]s on a manager says more.",
		"docker service ps --no-trunc %[1]s en una gestora dice más.")
	VxlanHelp = sentence("know-vxlan-help",
		"The kernel of that board has no vxlan. On Ubuntu: sudo apt install linux-modules-extra-raspi, and reboot.",
		"El núcleo de esa placa no tiene vxlan. En Ubuntu: sudo apt install linux-modules-extra-raspi, y reinicia.")
	Leaderless = sentence("know-leaderless",
		"The managers of the swarm have no majority: it cannot be changed, and its nodes are not known.",
		"Las gestoras del enjambre no tienen mayoría: no se puede cambiar, y no se conocen sus nodos.")
	LeaderlessHelp = sentence("know-leaderless-help",
		"Switch on those that are off. Containers go on running meanwhile.",
		"Enciende las que están apagadas. Los contenedores siguen en marcha mientras tanto.")
	NoManagerAnswers = sentence("know-no-manager-answers",
		"No manager of the swarm answers: this is only what this board knows by itself.",
		"Ninguna gestora del enjambre responde: esto es solo lo que esta placa sabe por sí misma.")
	NoManagerAnswersHelp = sentence("know-no-manager-answers-help",
		"Switch the managers on. Containers go on running meanwhile.",
		"Enciende las gestoras. Los contenedores siguen en marcha mientras tanto.")
	ManagersReachable = sentence("know-managers-reachable",
		"%[1]d of %[2]d managers are reachable.",
		"Responden %[1]d de %[2]d gestoras.")
	ManagersReachableHelp = sentence("know-managers-reachable-help",
		"Switch the others on.",
		"Enciende las demás.")
	OneManager = sentence("know-one-manager",
		"1 manager: if %[1]s fails, the swarm cannot be changed.",
		"1 gestora: si falla %[1]s, el enjambre no se puede cambiar.")
	TwoManagers = sentence("know-two-managers",
		"2 managers: if %[1]s or %[2]s fails, the swarm cannot be changed.",
		"2 gestoras: si falla %[1]s o %[2]s, el enjambre no se puede cambiar.")
	MoreManagers = sentence("know-more-managers", // docker node promote is undone where a number is set
		"Set managers = 3 in pi-agent.toml on every board.",
		"Pon managers = 3 en pi-agent.toml en todas las placas.")
	CertificatesShort = sentence("know-certificates-short",
		"Certificates of the nodes are valid for %[1]d days: boards that are off for longer do not come back.",
		"Los certificados de los nodos son válidos %[1]d días: las placas que pasen más tiempo apagadas no volverán.")
	CertificatesShortHelp = sentence("know-certificates-short-help",
		"docker swarm update --cert-expiry 43800h on a manager.",
		"docker swarm update --cert-expiry 43800h en una gestora.")
	AuthorityEnds = sentence("know-authority-ends",
		"The certificate authority of the swarm ends on %[1]s.",
		"La autoridad de certificación del enjambre caduca el %[1]s.")
	AuthorityEndsHelp = sentence("know-authority-ends-help",
		"docker swarm ca --rotate on a manager.",
		"docker swarm ca --rotate en una gestora.")
	ClockOff = sentence("know-clock-off",
		"The clock of %[1]s is %[2]s.",
		"El reloj de %[1]s va %[2]s.")
	ClockOffHelp = sentence("know-clock-off-help",
		"Connect the boards to the internet, or give them a time server.",
		"Conecta las placas a internet o dales un servidor de hora.")

	ahead  = sentence("ahead", "%[1]s ahead", "%[1]s adelantado")
	behind = sentence("behind", "%[1]s behind", "%[1]s atrasado")
	days   = sentence("days", "%.0[1]f days", "%.0[1]f días")

	and      = sentence("and", "%[1]s and %[2]s", "%[1]s y %[2]s")
	contents = sentence("contents", "%[1]s, %[2]s, %[3]s and %[4]s", "%[1]s, %[2]s, %[3]s y %[4]s")
)

// Cards that are copied in a computer.
var (
	SharedMachine = sentence("shared-machine-id",
		"%[1]s and %[2]s are copies of one card and have the same machine id, by which routers may give them one address.",
		"%[1]s y %[2]s son copias de una misma tarjeta y tienen el mismo identificador de máquina, por el que los routers "+
			"pueden "+
			"darles una misma dirección.")
	SharedEngine = sentence("shared-engine-id",
		"%[1]s and %[2]s are copies of one card and have the same Docker Engine id.",
		"%[1]s y %[2]s son copias de una misma tarjeta y tienen el mismo identificador de Docker.")
	SharedHelp = sentence("shared-help",
		"On %[1]s: %[2]s.",
		"En %[1]s: %[2]s.")
	SharedHelpMany = sentence("shared-help-many",
		"On all but %[1]s: %[2]s.",
		"En todas menos %[1]s: %[2]s.")
)

// Compose files.
var (
	StackRefused = sentence("stack-refused",
		"Stack %[1]s is not deployed: %[2]s.",
		"El stack %[1]s no está desplegado: %[2]s.")
	StackUnread = sentence("stack-unread",
		"%[1]s is not deployed: %[2]s.",
		"%[1]s no está desplegado: %[2]s.")
	StacksUnread = sentence("stacks-unread",
		"The stacks in %[1]s cannot be read: %[2]s.",
		"Los stacks de %[1]s no se pueden leer: %[2]s.")
	StackRestarts = sentence("stack-restarts",
		"Stack %[1]s: service %[2]s is started again whenever it ends, for Docker ignores restart in a swarm "+
			"(%[3]s:%[4]d): write "+
			"deploy: {restart_policy: {condition: %[5]s}}.",
		"Stack %[1]s: el servicio %[2]s se reinicia siempre que termina, porque Docker ignora restart en un enjambre "+
			"(%[3]s:%[4]d): escribe deploy: {restart_policy: {condition: %[5]s}}.")
	StackLacks = sentence("stack-lacks",
		"Stack %[1]s: service %[2]s runs without %[3]s, which Docker ignores in a swarm (%[4]s:%[5]d).",
		"Stack %[1]s: el servicio %[2]s funciona sin %[3]s, que Docker ignora en un enjambre (%[4]s:%[5]d).")
	StackEmpty = sentence("stack-empty",
		"Stack %[1]s: there is no service in %[2]s.",
		"Stack %[1]s: no hay ningún servicio en %[2]s.")
	StackTwice = sentence("stack-twice",
		"Stack %[1]s: %[2]s in line %[3]d of %[4]s is there again in line %[5]d, and only the last one counts.",
		"Stack %[1]s: %[2]s, en la línea %[3]d de %[4]s, aparece otra vez en la línea %[5]d, y solo cuenta la última.")
	StackSecondDocument = sentence("stack-second-document",
		"Stack %[1]s: Docker reads %[2]s only up to line %[3]d: a second document begins there, or it is not indented as "+
			"the first "+
			"line is.",
		"Stack %[1]s: Docker lee %[2]s solo hasta la línea %[3]d: allí empieza un segundo documento, o esa línea no "+
			"tiene la misma sangría que la primera.")
	StackHelp = sentence("stack-help",
		"Put the file on %[1]s right: it is then deployed by itself.",
		"Corrige el archivo en %[1]s: se desplegará por sí solo.")
	StackLacksHelp = sentence("stack-lacks-help",
		"A container that cannot do without runs on one board with docker run, outside the swarm.",
		"Un contenedor que no pueda prescindir de ello se ejecuta en una sola placa con docker run, fuera del enjambre.")
	LeadingBoard = sentence("leading-board",
		"the board that leads",
		"la placa que dirige")
)

// Ports of this board that another program has.
var (
	PortTaken = sentence("port-taken",
		"Port %[1]d/%[2]s is taken by %[3]s, and is needed for %[4]s.",
		"El puerto %[1]d/%[2]s lo ocupa %[3]s, y hace falta para %[4]s.")
	AnotherProgram = sentence("port-another-program", "another program", "otro programa")

	ForHello    = sentence("port-for-hello", "hello and join", "saludarse y unirse")
	ForManagers = sentence("port-for-managers", "the managers of the swarm", "las gestoras del enjambre")
	ForGossip   = sentence("port-for-gossip", "news between nodes", "la comunicación entre nodos")
	ForOverlay  = sentence("port-for-overlay", "overlay networks", "redes overlay")
	ForPage     = sentence("port-for-page", "the page of this board", "la página de esta placa")
	ForMDNS     = sentence("port-for-mdns", "finding the other boards", "encontrar las otras placas")

	StopProgram = sentence("port-stop-program",
		"Stop that program, or give it another port",
		"Detén ese programa, o dale otro puerto")
	StopUnknown = sentence("port-stop-unknown",
		"Stop that program, or give it another port: sudo pi-agent doctor names it",
		"Detén ese programa, o dale otro puerto: sudo pi-agent doctor dice cuál es")
	MovePublished = sentence("port-move-published",
		"Let that container publish another port: docker ps shows which it is",
		"Haz que ese contenedor publique otro puerto: docker ps muestra cuál es")
	ThenRestart = sentence("port-then-restart",
		", then sudo systemctl restart docker.",
		", y después sudo systemctl restart docker.")
	ThenByItself = sentence("port-then-by-itself",
		"; pi-agent takes the port by itself then.",
		"; después pi-agent ocupa el puerto por sí solo.")
)

// Settings of an engine that exclude swarm mode or cripple it, without a capital and a full stop.
var (
	SettingOn = sentence("engine-set-setting-on",
		"docker has %[1]q on, which swarm mode does not support",
		"Docker tiene %[1]q activado, y el modo enjambre no lo admite")
	SettingTo = sentence("engine-set-setting-to",
		"docker has %[1]q set to %[2]q, which swarm mode does not support",
		"Docker tiene %[1]q en %[2]q, y el modo enjambre no lo admite")
	SettingEither = sentence("engine-set-setting-either",
		"docker has %[1]q or %[2]q set, which swarm mode does not support",
		"Docker tiene %[1]q o %[2]q, y el modo enjambre no los admite")
	Rootless = sentence("engine-set-rootless",
		"docker runs rootless, which has no overlay networks",
		"Docker se ejecuta en modo rootless, que no tiene redes overlay")
	Snap = sentence("engine-set-snap",
		"docker is installed as a snap, which is shut off from the board and will not do",
		"Docker está instalado como snap, que está aislado de la placa y no sirve")
	NoIptables = sentence("engine-set-no-iptables",
		"docker has \"iptables\" off: containers of services do not reach beyond the board, nor are published ports sure "+
			"to be reached",
		"Docker tiene \"iptables\" desactivado: los contenedores de los servicios no llegan más allá de la placa, y los "+
			"puertos "+
			"publicados quizá tampoco se alcancen")
	NoIPForward = sentence("engine-set-no-ip-forward",
		"docker has \"ip-forward\" off: where the board does not forward packets by itself, published ports are not reached",
		"Docker tiene \"ip-forward\" desactivado: si la placa no reenvía paquetes por su cuenta, no se llega a los puertos "+
			"publicados")
	RemoveSetting = sentence("engine-set-remove-setting",
		"remove it from /etc/docker/daemon.json, or from the command line of docker.service, and restart docker",
		"quítalo de /etc/docker/daemon.json, o de la línea de comandos de docker.service, y reinicia docker")
	RemoveBoth = sentence("engine-set-remove-both",
		"remove both from /etc/docker/daemon.json, or from the command line of docker.service, and restart docker and "+
			"pi-agent",
		"quita los dos de /etc/docker/daemon.json, o de la línea de comandos de docker.service, y reinicia docker y "+
			"pi-agent")
	UseSystemEngine = sentence("engine-set-use-system-engine",
		"let pi-agent use the engine of the system: sudo systemctl enable --now docker, and no other docker in pi-agent.toml",
		"haz que pi-agent use el Docker del sistema: sudo systemctl enable --now docker, y ningún otro docker en "+
			"pi-agent.toml")
	RemoveSnap = sentence("engine-set-remove-snap",
		"sudo snap remove docker, and sudo apt install docker.io",
		"sudo snap remove docker, y sudo apt install docker.io")
)
