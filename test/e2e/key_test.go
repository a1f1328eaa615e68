package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/test/lab"
)

func TestRogueWithoutTheKeyIsIgnored(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 4})
	members, rogue := l.Pis[:3], l.Pis[3]
	setKey(t, clusterkey.Generate(), members...)
	must(t, rogue.StartRogue("pretend"))
	t.Logf("three Pis with a key are one swarm after %v beside a rogue", becomeOne(t, soon, members))
	for _, pi := range members {
		says(t, pi, "1 other cluster nearby")
		if log := pi.Log(); strings.Contains(log, "pi-000001") || strings.Contains(log, "no cluster key") {
			t.Errorf("%s has met the rogue, or has no key", pi.Name)
		}
		if seen, err := l.Find("serial=" + pi.Serial); err != nil || !slices.Contains(seen, l.CapturePath()) {
			t.Errorf("what %s announces is not in the capture, but in %v: %v", pi.Name, seen, err)
		}
	}
	tries := rogue.LogOf("rogue")
	if strings.Contains(tries, "served ") || strings.Contains(tries, "got ") {
		t.Errorf("the rogue was asked, or let in:\n%s", tries)
	}
	for _, pi := range members {
		if !strings.Contains(tries, "refused /v1/join by "+pi.Addr.Addr().String()+": 403 ") {
			t.Errorf("%s was not asked for the token, or did not refuse it:\n%s", pi.Name, tries)
		}
	}
}

// burden is what an agent costs its Pi at some moment.
type burden struct {
	resident float64 // MB
	cpu      time.Duration
}

func burdenOf(t *testing.T, pi *lab.Pi) (b burden) {
	t.Helper()
	out := run(t, pi, "sh", "-ec",
		`cd /proc/$(pgrep -of "run --config"); awk '/^VmRSS/ {print $2}' status; cut -d' ' -f14,15 stat`)
	var user, system time.Duration
	if _, err := fmt.Sscan(out, &b.resident, &user, &system); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	b.resident /= 1024
	b.cpu = (user + system) * 10 * time.Millisecond // in ticks of 1/100 s
	return b
}

// floodMax is how much more memory an agent may need while it is flooded, in MB.
const floodMax = 20

func TestFloods(t *testing.T) {
	l := withEngines(t, lab.Options{N: 5, Alone: true})
	first, late, rogue := l.Pis[:3], l.Pis[3], l.Pis[4]
	setKey(t, clusterkey.Generate(), l.Pis[:4]...)
	leader := lowest(first)
	becomeOne(t, soon, first)
	before := burdenOf(t, leader)

	manyAddresses(t, l, rogue)
	must(t, rogue.StartRogue("-asks=500", "-silent=500", "-lies=100", "-crowd=20", "pretend"))
	const flood = 20 * time.Second
	sent, began := packetsTo(t, leader), time.Now()
	pause(t, flood)
	during := burdenOf(t, leader)
	took := time.Since(began)
	t.Logf("%.0f packets a second; the agent of the leader has %.1f MB, before %.1f MB, and needs %.0f %% of a processor",
		float64(packetsTo(t, leader)-sent)/took.Seconds(), during.resident, before.resident,
		100*(during.cpu-before.cpu).Seconds()/took.Seconds())
	if during.resident > before.resident+floodMax {
		t.Errorf("the flood made the agent grow from %.1f to %.1f MB", before.resident, during.resident)
	}
	startAgents(t, late)
	t.Logf("a new member is in after %v of the flood", awaitSwarm(t, later, leader, l.Pis[:4]))
	if log := rogue.LogOf("rogue"); strings.Contains(log, "served ") || strings.Contains(log, "got ") {
		t.Errorf("the rogue was asked, or let in:\n%s", log)
	}
	brief(t, 2*logMax, nil, l.Pis[:4]...)
}

// packetsTo counts the packets that the Pi's network interface has received.
func packetsTo(t *testing.T, pi *lab.Pi) (n int) {
	t.Helper()
	out, err := pi.Exec(t.Context(), "cat", "/sys/class/net/eth0/statistics/rx_packets")
	if err == nil {
		_, err = fmt.Sscan(string(out), &n)
	}
	must(t, err)
	return n
}

func TestClustersOnOneLANDoNotMix(t *testing.T) {
	t.Parallel()
	l := withEngines(t, lab.Options{N: 4, Config: quick})
	setKey(t, clusterkey.Generate(), l.Pis[0])
	setKey(t, clusterkey.Generate(), l.Pis[1])
	setKey(t, "four red raspberries", l.Pis[2]) // the fourth has none
	startAgents(t, l.Pis...)
	for _, pi := range l.Pis {
		awaitSwarm(t, soon, pi, []*lab.Pi{pi})
		says(t, pi, "3 other clusters nearby")
	}
	says(t, l.Pis[2], "passphrase, which is weak")
	says(t, l.Pis[3], "There is no cluster key")
	pause(t, downTime) // in which a manager would find another one
	for _, pi := range l.Pis {
		holds(t, oneSwarm(pi, []*lab.Pi{pi}))
		if strings.Contains(pi.Log(), "Found pi-") {
			t.Errorf("%s has met a board of another cluster", pi.Name)
		}
	}
	guess(t, l.CapturePath())
}

// guess does what a stranger can who has listened: he tries a list of 1000 passphrases on the tags that were announced,
// and finds the one that is on it. The keys of "pi-agent key new" are on no list.
func guess(t *testing.T, capturePath string) {
	t.Helper()
	packets, err := os.ReadFile(capturePath)
	must(t, err)
	tags := map[string]bool{}
	for _, m := range regexp.MustCompile(`tag=([0-9a-f]{12})`).FindAllSubmatch(packets, -1) {
		tags[string(m[1])] = true
	}
	if len(tags) != 3 {
		t.Fatalf("%d different tags are announced, want 3", len(tags))
	}
	var list []string
	fruits := "raspberries strawberries blackberries blueberries cherries apples pears plums lemons oranges"
	for _, fruit := range strings.Fields(fruits) {
		for _, colour := range strings.Fields("black white green red blue yellow brown grey pink golden") {
			for _, number := range strings.Fields("one two three four five six seven eight nine ten") {
				list = append(list, number+" "+colour+" "+fruit)
			}
		}
	}
	began := time.Now()
	for i, text := range list {
		p, err := clusterkey.Parse(text)
		if err != nil {
			continue // too short
		}
		key, err := p.Key("pi")
		must(t, err)
		tag, err := key.Tag()
		must(t, err)
		if tags[tag] {
			took := time.Since(began)
			t.Logf("%q is found with guess %d after %.1f s: %.0f ms for a guess", text, i+1, took.Seconds(),
				took.Seconds()*1000/float64(i+1))
			return
		}
	}
	t.Error("the passphrase is not found, so docs/security.md says too little of it")
}

// The service runs as a user of its own, and a person writes the key as root.
func TestKeyOfAService(t *testing.T) {
	t.Parallel()
	deb := needDeb(t)
	l := lab.New(t, lab.Options{Machines: []string{"trixie"}})
	m := l.Machines[0]
	install(t, l.Machines, deb, nothingFirst)
	tells := func(words string) {
		t.Helper()
		unitSays(t, m, service, words)
	}
	wants := func(script, want string) {
		t.Helper()
		if got, err := shell(t.Context(), m, script); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s says %q, %v, want %q", script, got, err, want)
		}
	}
	tells("There is no cluster key")
	tells("a manager of swarm")
	wants("pi-agent pair", "For 15 minutes this board lets new boards in")
	wants("runuser -u nobody -- pi-agent pair 2>&1 || true", "only root and group pi-agent may do that")

	isKept := func(key string) {
		t.Helper()
		wants("pi-agent pair 2>&1 || true", "this cluster has a key")
		wants("cat "+clusterkey.Path+"; stat -c '%U %a' "+clusterkey.Path, key+"\npi-agent 600")
	}
	wants("pi-agent key new >"+clusterkey.Path+"; chmod 644 "+clusterkey.Path+"; systemctl restart "+service, "")
	isKept("")
	answer := clusterkey.Generate()
	l.Secret(answer)
	wants("echo 'pi-agent pi-agent/key password "+answer+"' | debconf-set-selections; "+
		"DEBIAN_FRONTEND=noninteractive dpkg-reconfigure pi-agent", "")
	isKept(answer)
	onCard := clusterkey.Generate()
	l.Secret(onCard)
	wants("mkdir -p /boot/firmware; printf '\\357\\273\\277"+onCard+" \\r\\n' >/boot/firmware/pi-agent.key; "+
		"systemctl restart pi-agent-prepare "+service+"; ls -A /boot/firmware; echo nothing", "nothing")
	unitSays(t, m, prepareService, "The cluster key in /boot/firmware/pi-agent.key replaces the one in "+clusterkey.Path)
	isKept(onCard)

	wants("echo short >/boot/firmware/pi-agent.key; systemctl restart pi-agent-prepare "+service+" || true; "+
		"cat /boot/firmware/pi-agent.key", "short")
	tells("This board does nothing until its settings are put right: " +
		"the cluster key in /boot/firmware/pi-agent.key is not usable: it has 5 characters")
	isKept(onCard)
	wants("rm /boot/firmware/pi-agent.key", "")
	if seen, err := l.Find("There is no cluster key"); err != nil || !slices.Contains(seen, m.Name+"/journal") {
		t.Errorf("the lab would not find a key in the journal, but in %v: %v", seen, err)
	}

	wants("echo short >"+clusterkey.Path+"; systemctl restart "+service+" || true", "")
	tells("the cluster key in " + clusterkey.Path + " is not usable: it has 5 characters")
}

// Three classes switch their Pis on at the same time, in one room.
func TestThreeGroupsOnOneLAN(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{N: 9})
	rnd := random(t)
	groups := [][]*lab.Pi{l.Pis[:3], l.Pis[3:6], l.Pis[6:]}
	for round := range max(2, rounds(t)/2) {
		blank(t, l)
		kind := "keys"
		for i, pis := range groups {
			config := "expect = 3"
			if round%2 == 0 {
				setKey(t, clusterkey.Generate(), pis...)
			} else {
				kind = "names"
				config += fmt.Sprintf("\ncluster = \"class-%d\"", i)
			}
			setConfig(t, pis, config)
		}
		shuffled(t, rnd, l.Pis, handTime)
		began := time.Now()
		for _, pis := range groups {
			awaitSwarm(t, soon, lowest(pis), pis)
		}
		t.Logf("round %2d (%s): three swarms of three, %.1f s after the last start", round+1, kind,
			time.Since(began).Seconds())
	}
}
