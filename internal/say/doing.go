package say

// What a board does, or waits for, and why: the reasons of package policy.
var (
	SettingsWrong = sentence("settings-wrong",
		"This board does nothing until its settings are put right: %[1]s",
		"Esta placa no hace nada hasta que se corrijan sus ajustes: %[1]s")
	EngineWait = sentence("engine-wait",
		"Waiting for the Docker Engine: %[1]s",
		"A la espera de Docker: %[1]s")
	EngineSilent = sentence("engine-silent",
		"docker engine does not answer",
		"no responde")
	EngineExcluded = sentence("engine-excluded",
		"The Docker Engine cannot take part: %[1]s",
		"Docker no puede participar: %[1]s")

	// Members of a swarm.
	Manager = sentence("manager",
		"This board is a manager of swarm %[1]s",
		"Esta placa es gestora del enjambre %[1]s")
	ManagerStarting = sentence("manager-starting",
		"This board is a manager and its swarm is starting",
		"Esta placa es gestora y su enjambre está arrancando")
	NoMajority = sentence("no-majority",
		"This board is a manager and does not reach enough of the others: the swarm cannot be changed until they are back; "+
			"containers go on running",
		"Esta placa es gestora y no tiene contacto con suficientes de las demás: el enjambre no se puede cambiar "+
			"hasta que vuelvan; los contenedores siguen en marcha")
	Worker = sentence("worker",
		"This board is a worker in the swarm of %[1]s",
		"Esta placa es trabajadora en el enjambre de %[1]s")
	WorkerEngineStopped = sentence("worker-manager-engine-stopped",
		"This board is a worker and the Docker Engine of its manager %[1]s does not answer; containers go on running",
		"Esta placa es trabajadora y el Docker de su gestora %[1]s no responde; los contenedores siguen en marcha")
	WorkerManagerSilent = sentence("worker-manager-silent",
		"This board is a worker and its manager %[1]s at %[2]s does not answer; containers go on running",
		"Esta placa es trabajadora y su gestora %[1]s, en %[2]s, no responde; los contenedores siguen en marcha")
	WorkerManagerUnmet = sentence("worker-manager-unmet",
		"This board is a worker and its manager at %[1]s does not answer; containers go on running",
		"Esta placa es trabajadora y su gestora, en %[1]s, no responde; los contenedores siguen en marcha")
	WorkerLooks = sentence("worker-looks",
		"This board is a worker in a swarm and looks for its manager",
		"Esta placa es trabajadora en un enjambre y busca a su gestora")
	MemberWaits = sentence("member-waits",
		"This board is a member of a swarm and waits for its manager",
		"Esta placa es miembro de un enjambre y espera a su gestora")
	DuplicateNode = sentence("duplicate-node",
		"%[1]s and %[2]s are one node of the swarm, for the card of one is a copy of the other's: \"sudo pi-agent reset\" "+
			"on the "+
			"board with the copied card",
		"%[1]s y %[2]s son un mismo nodo del enjambre, porque la tarjeta de una es copia de la de la otra: ejecuta "+
			"'sudo pi-agent reset' en la placa que tiene la copia")
	AddressMissing = sentence("address-missing",
		"The swarm knows this board as %[1]s, an address that it does not have: %[2]s",
		"El enjambre conoce esta placa por la dirección %[1]s, que no tiene: %[2]s")
	AddressGivenUp = sentence("address-given-up",
		"The swarm knows this board as %[1]s, an address that it no longer has: give address = \"link-local\" again",
		"El enjambre conoce esta placa por la dirección %[1]s, que ya no tiene: pon otra vez address = 'link-local'")
	AddressLost = sentence("address-lost",
		"The swarm knows this board as %[1]s, an address that it no longer has, and the other boards cannot reach it: give "+
			"it that "+
			"address again, by a fixed lease in the router",
		"El enjambre conoce esta placa por la dirección %[1]s, que ya no tiene, y las otras placas no llegan a ella: "+
			"asígnale de nuevo esa dirección, con una reserva fija en el router")

	// Lost swarms.
	AnotherKey = sentence("another-key",
		"%[1]s has another node key than the manager that %[2]s follows, as after a new card. If its card is new, the "+
			"swarm of the "+
			"old one is lost with its services, secrets and configs: \"sudo pi-agent pair\" on both lets %[2]s join the new "+
			"one, and "+
			"stops its containers of the old one",
		"%[1]s tiene una clave de nodo distinta de la de la gestora a la que sigue %[2]s, como tras cambiar la "+
			"tarjeta. Si su tarjeta es nueva, el enjambre de la anterior se ha perdido con sus servicios, secretos y "+
			"configs: 'sudo pi-agent pair' en las dos permite a %[2]s unirse al nuevo, y detiene sus contenedores "+
			"del anterior")
	Disowned = sentence("disowned",
		"The manager of this board does not know it any more: moving to the swarm of %[1]s",
		"La gestora de esta placa ya no la conoce: esta placa se pasa al enjambre de %[1]s")
	Orphaned = sentence("orphaned",
		"No manager of this board has answered for %.0[1]f minutes: moving to the swarm of %[2]s",
		"Ninguna gestora de esta placa responde desde hace %.0[1]f minutos: esta placa se pasa al enjambre de %[2]s")
	NoManagerLeft = sentence("no-manager-left",
		"No manager of swarm %[1]s is left: %[2]s does not know it any more, as after a new card or pi-agent yield, and its "+
			"services, secrets and configs are lost. %[3]s leaves it for the next one, and its containers are stopped then",
		"No queda ninguna gestora del enjambre %[1]s: %[2]s ya no lo conoce, como tras una tarjeta nueva o pi-agent "+
			"yield, y sus servicios, secretos y configs se han perdido. %[3]s lo abandonará por el siguiente, y "+
			"entonces se detendrán sus contenedores")
	LostBefore = sentence("lost-before",
		"It has left swarm %[1]s, which is lost with its services, secrets and configs: deploy anew what shall run.",
		"Ha salido del enjambre %[1]s, que se ha perdido con sus servicios, secretos y configs: vuelve a desplegar "+
			"lo que deba funcionar.")

	// Two swarms of one cluster.
	WouldYield = sentence("would-yield",
		"There are two swarms, and that of this board would yield to that of %[1]s: %[2]s",
		"Hay dos enjambres, y el de esta placa cedería ante el de %[1]s: %[2]s")
	GivenUp = sentence("given-up",
		"A person has given swarm %[1]s up: moving to the swarm of %[2]s",
		"Una persona ha renunciado al enjambre %[1]s: esta placa se pasa al enjambre de %[2]s")
	Yields = sentence("yields",
		"There are two swarms, and that of this board is empty: moving to the swarm of %[1]s",
		"Hay dos enjambres, y el de esta placa está vacío: esta placa se pasa al enjambre de %[1]s")
	RivalMet = sentence("rival-met",
		"This board has met another swarm, that of %[1]s: asking what is in the two",
		"Esta placa ha encontrado otro enjambre, el de %[1]s: comprobando qué hay en los dos")
	RivalYields = sentence("rival-yields",
		"There are two swarms, and that of %[1]s is empty: it is to yield",
		"Hay dos enjambres, y el de %[1]s está vacío: debe ceder")
	TwoSwarms = sentence("two-swarms",
		"There are two swarms and neither is empty: %[1]s manages %[2]s with %[3]s, %[4]s manages %[5]s with %[6]s; "+
			"\"sudo pi-agent yield\" on one of these two tells how to give its swarm up",
		"Hay dos enjambres y ninguno está vacío: %[1]s gestiona %[2]s con %[3]s, y %[4]s gestiona %[5]s con %[6]s; "+
			"'sudo pi-agent yield' en una de estas dos placas dice cómo renunciar al suyo")

	// Copies and certificates.
	CopiedCard = sentence("copied-card",
		"The card of this board is a copy of that of %[1]s, which is there as well: leaving the swarm as its copy",
		"La tarjeta de esta placa es copia de la de %[1]s, que también está presente: esta placa abandona el "+
			"enjambre por ser la copia")
	ExpiredRevives = sentence("expired-revives",
		"The certificate of this manager has expired while it was off: bringing its swarm back with all that is in it",
		"El certificado de esta gestora caducó mientras estaba apagada: se está recuperando su enjambre con todo lo "+
			"que contiene")
	ExpiredOfSeveral = sentence("expired-of-several",
		"The certificate of this manager has expired while it was off, and the Docker Engine does not enter its swarm. The "+
			"swarm has "+
			"more managers, which may know more than this one. If one of them works: \"sudo docker swarm leave --force\" "+
			"here, and "+
			"this board joins anew",
		"El certificado de esta gestora caducó mientras estaba apagada, y Docker no entra en su enjambre. El "+
			"enjambre tiene más gestoras, que quizá sepan más que esta. Si alguna funciona: ejecuta 'sudo docker "+
			"swarm leave --force' aquí, y esta placa volverá a unirse")
	ExpiredLost = sentence("expired-not-revived",
		"The certificate of this manager has expired while it was off, and its swarm could not be brought back: "+
			"\"journalctl -u pi-agent-prepare\" says why",
		"El certificado de esta gestora caducó mientras estaba apagada, y su enjambre no se pudo recuperar: "+
			"'journalctl -u pi-agent-prepare' dice por qué")
	ExpiredUnknown = sentence("expired-unknown",
		"The certificate of this board has expired while it was off, and it does not know any more whether it manages a "+
			"swarm. If it "+
			"does not: \"sudo docker swarm leave --force\" here, and this board joins anew",
		"El certificado de esta placa caducó mientras estaba apagada, y ya no sabe si gestiona un enjambre. Si no es "+
			"así: ejecuta 'sudo docker swarm leave --force' aquí, y esta placa volverá a unirse")
	ExpiredNotFollowed = sentence("expired-not-followed",
		"The certificate of this worker has expired, and it does not follow %[1]s: %[2]s",
		"El certificado de esta trabajadora ha caducado, y no sigue a %[1]s: %[2]s")
	ExpiredJoins = sentence("expired-joins",
		"The certificate of this worker has expired while it was off: joining the swarm of %[1]s anew",
		"El certificado de esta trabajadora caducó mientras estaba apagada: esta placa vuelve a unirse al enjambre "+
			"de %[1]s")
	ExpiredWaits = sentence("expired-waits",
		"The certificate of this worker has expired while it was off: waiting for a manager of its swarm to answer",
		"El certificado de esta trabajadora caducó mientras estaba apagada: a la espera de que responda una gestora "+
			"de su enjambre")

	// Engines that should be in a swarm.
	Locked = sentence("locked",
		"The swarm is locked: give its key with docker swarm unlock",
		"El enjambre está bloqueado: introduce su clave con docker swarm unlock")
	Stranded = sentence("stranded",
		"The Docker Engine cannot become a manager, for it asks one that is gone: leaving the swarm to join it anew "+
			"through %[1]s",
		"Docker no puede hacerse gestor, porque pregunta a uno que ya no está: sale del enjambre para volver a unirse a "+
			"través de "+
			"%[1]s")
	EntersAgain = sentence("enters-again",
		"The Docker Engine enters its swarm again",
		"Docker vuelve a entrar en su enjambre")
	CannotEnter = sentence("cannot-enter",
		"The Docker Engine cannot enter its swarm: %[1]s",
		"Docker no puede entrar en su enjambre: %[1]s")
	JoinFailed = sentence("join-failed",
		"The Docker Engine did not get into the swarm it was joining: trying anew",
		"Docker no logró entrar en el enjambre al que se unía: se intenta de nuevo")
	JoinStuck = sentence("join-stuck",
		"The Docker Engine does not get into the swarm it is joining: trying anew",
		"Docker no logra entrar en el enjambre al que se une: se intenta de nuevo")
	EngineJoining = sentence("engine-joining",
		"The Docker Engine is joining a swarm",
		"Docker está entrando en un enjambre")

	// Clocks.
	ClockOfThePast = sentence("clock-of-the-past",
		"The clock of this board says %[1]s, when there was no such pi-agent yet: connect it to the internet, or set the "+
			"clock with "+
			"sudo timedatectl set-time",
		"El reloj de esta placa marca %[1]s, cuando este pi-agent aún no existía: conéctala a internet, o pon el reloj en "+
			"hora con "+
			"sudo timedatectl set-time")
	ClockPutForward = sentence("clock-put-forward",
		"The clock of this board is %[1]s behind that of %[2]s, its manager: putting it forward",
		"El reloj de esta placa va %[1]s por detrás del de %[2]s, su gestora: se está adelantando")
	ClockTooFar = sentence("clock-too-far",
		"The clock of this board is %[1]s behind that of %[2]s, its manager, too far for certificates to be valid: set "+
			"both clocks "+
			"right, or give the boards one time server",
		"El reloj de esta placa va %[1]s por detrás del de %[2]s, su gestora, demasiado para que los certificados "+
			"sean válidos: pon los dos relojes en hora, o da a las placas un mismo servidor de hora")
	ClocksApart = sentence("clocks-apart",
		"Waiting for a time server: the clocks of this board and of %[1]s are %[2]s apart",
		"A la espera de un servidor de hora: los relojes de esta placa y de %[1]s difieren en %[2]s")

	// Boards in no swarm.
	NoNetwork = sentence("no-network",
		"Waiting for the network: %[1]s",
		"A la espera de la red: %[1]s")
	NoStableAddress = sentence("no-stable-address",
		"There is no address that a swarm can rely on: %[1]s; address = \"interface\" on every board does without",
		"No hay ninguna dirección estable para un enjambre: %[1]s; con address = 'interface' en todas las placas no "+
			"hace falta")
	StableAddressWait = sentence("stable-address-wait",
		"Waiting for an address that a swarm can rely on: %[1]s",
		"A la espera de una dirección estable para un enjambre: %[1]s")
	DuplicateSerial = sentence("duplicate-serial",
		"Two boards have the serial %[1]s: this one and %[2]s; give one of them another with serial in pi-agent.toml",
		"Dos placas tienen el número de serie %[1]s: esta y %[2]s; da otro a una de las dos con serial en pi-agent.toml")
	WasReset = sentence("was-reset",
		"This board was reset and stays out of any swarm until it is switched off and on, or its agent is restarted",
		"Esta placa se ha restablecido y no entrará en ningún enjambre hasta que se apague y se encienda, o se "+
			"reinicie su agente")
	JustLeft = sentence("just-left",
		"The Docker Engine has left its swarm: giving it a moment",
		"Docker acaba de salir de su enjambre: se le deja un momento")
	Joining = sentence("joining",
		"Joining the swarm of %[1]s",
		"Entrando en el enjambre de %[1]s")
	ManagedBefore = sentence("managed-before",
		"%[1]s is in a swarm that this board managed with another card: it is lost with its services, secrets and configs. "+
			"A new one "+
			"is made as soon as %[1]s has noticed",
		"%[1]s está en un enjambre que esta placa gestionaba con otra tarjeta: se ha perdido con sus servicios, "+
			"secretos y configs. Se creará uno nuevo en cuanto %[1]s lo note")
	ManagerAwaited = sentence("manager-awaited",
		"%[1]s is in a swarm: waiting for its manager to answer",
		"%[1]s está en un enjambre: a la espera de que responda su gestora")
	ManagersEngineAwaited = sentence("managers-engine-awaited",
		"%[1]s manages a swarm: waiting for its Docker Engine",
		"%[1]s gestiona un enjambre: a la espera de su Docker")
	SomebodyFounds = sentence("somebody-founds",
		"%[1]s is starting the swarm",
		"%[1]s está creando el enjambre")
	Looking = sentence("looking",
		"Looking for other boards",
		"Buscando otras placas")
	LookingFor = sentence("looking-for",
		"Looking for other boards, %[1]d of %[2]d seen",
		"Buscando otras placas, %[1]d de %[2]d vistas")
	Deaf = sentence("deaf",
		"This board does not hear its own announcements: multicast does not work on this network, or a firewall drops it; "+
			"put that "+
			"right, or name another board in peers",
		"Esta placa no oye sus propios anuncios: el multicast no funciona en esta red, o un cortafuegos lo descarta; "+
			"corrígelo, o indica otra placa en peers")
	NamedAwaited = sentence("named-awaited",
		"Waiting for an answer from %[1]s, which peers in the settings names",
		"A la espera de una respuesta de %[1]s, indicada con peers en los ajustes")
	HeardAwaited = sentence("heard-awaited",
		"Waiting for an answer from %[1]s, which has announced itself",
		"A la espera de una respuesta de %[1]s, que se ha anunciado")
	NotReached = sentence("not-reached",
		"Heard, and not reached at port %[1]d/tcp: %[2]s. This board makes no swarm meanwhile, for there could be two. "+
			"Open the port "+
			"there: sudo ufw allow %[1]d/tcp; or turn off client isolation of the access point; or do without, with expect = "+
			"%[3]d on "+
			"this board and no other",
		"Con anuncios, pero sin conexión al puerto %[1]d/tcp: %[2]s. Entretanto esta placa no crea ningún enjambre, "+
			"porque podría haber dos. Abre allí el puerto: sudo ufw allow %[1]d/tcp; o desactiva el aislamiento de "+
			"clientes del punto de acceso; o prescinde de lo que falta con expect = %[3]d en esta placa y en ninguna otra")
	PortShut = sentence("port-shut",
		"Port %[1]d/tcp of this board is shut to %[2]s: a swarm that it made could not be joined. Open the port here: sudo "+
			"ufw allow "+
			"%[1]d/tcp",
		"El puerto %[1]d/tcp de esta placa está cerrado para %[2]s: nadie podría unirse a un enjambre creado por ella. "+
			"Abre el puerto "+
			"aquí: sudo ufw allow %[1]d/tcp")
	OthersNotReady = sentence("others-not-ready",
		"Waiting for the other boards to get ready, for one may be in a swarm already",
		"A la espera de que las otras placas estén listas, pues alguna puede estar ya en un enjambre")
	LowestNotReady = sentence("lowest-not-ready",
		"Waiting for %[1]s, which has the lowest serial, to get ready",
		"A la espera de que esté lista %[1]s, que tiene el número de serie más bajo")
	LowestFounds = sentence("lowest-founds",
		"Waiting for %[1]s, which has the lowest serial, to start the swarm",
		"A la espera de que %[1]s, que tiene el número de serie más bajo, cree el enjambre")
	NextFounds = sentence("next-founds",
		"Waiting for %[1]s, whose turn is next, to start the swarm",
		"A la espera de que %[1]s, a la que le toca ahora, cree el enjambre")
	FoundsNext = sentence("founds-next",
		"%[1]s did not start the swarm in its time: this board is next and starts it",
		"%[1]s no creó el enjambre a tiempo: le toca a esta placa, y lo crea")
	FoundsAloneExpected = sentence("founds-alone-expected",
		"This board starts the swarm alone, as expect = %[1]d says",
		"Esta placa crea el enjambre sola, como dice expect = %[1]d")
	FoundsAlone = sentence("founds-alone",
		"No other board is seen: this board starts the swarm alone",
		"No se ve ninguna otra placa: esta crea el enjambre sola")
	Founds = sentence("founds",
		"This board has the lowest serial of the %[1]d seen and starts the swarm",
		"Esta placa tiene el número de serie más bajo de las %[1]d vistas y crea el enjambre")
	LastAttempt = sentence("last-attempt",
		"Its last attempt failed: %[1]s",
		"Su último intento falló: %[1]s")
	JustStarted = sentence("just-started",
		"The agent has just started.",
		"El agente acaba de arrancar.")
)
