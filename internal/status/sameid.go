package status

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/policy"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/say"
)

// Cards that are copied in a computer, and not flashed from an image, have ids in common that each board should have
// for itself. The serial is the board's own, so they form one swarm all the same; what gets confused is beyond it.
// Hellos carry marks of the ids, and a manager, to which all boards say hello, sees every pair.

// idKind is a kind of id, with what helps where boards share one.
type idKind struct {
	shared *say.Sentence
	remedy string
	mark   func(peer.Claim) string
}

var idKinds = []idKind{
	{
		say.SharedMachine,
		"sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup && sudo reboot",
		func(c peer.Claim) string { return c.Machine },
	},
	{
		say.SharedEngine,
		"D=$(sudo docker info -f {{.DockerRootDir}}) && sudo systemctl stop docker.socket docker && " +
			"sudo rm -f $D/engine-id /etc/docker/key.json && sudo systemctl start docker",
		func(c peer.Claim) string { return c.Engine },
	},
}

// Sharing is boards that share an id, in order of serial.
type Sharing struct {
	idKind
	Mark    string // of the id
	Serials []peer.Serial
}

// Text says which boards they are.
func (s Sharing) Text() say.Text {
	var names []string
	for _, serial := range s.Serials {
		names = append(names, serial.Name())
	}
	last := len(names) - 1
	return s.shared.With(strings.Join(names[:last], ", "), names[last])
}

// Help is what to do, on all but the first.
func (s Sharing) Help() say.Text {
	if len(s.Serials) > 2 {
		return say.SharedHelpMany.With(s.Serials[0].Name(), s.remedy)
	}
	return say.SharedHelp.With(s.Serials[1].Name(), s.remedy)
}

// SharedIDs lists what boards share, as far as it concerns this one: a manager is concerned with all of them. Boards
// with one serial are told of by policy.Decide.
func SharedIDs(self peer.Claim, peers []policy.Peer) (all []Sharing) {
	for _, kind := range idKinds {
		by := map[string][]peer.Serial{}
		if mark := kind.mark(self); mark != "" {
			by[mark] = []peer.Serial{self.Serial}
		}
		for _, p := range peers {
			if mark := kind.mark(p.Claim); mark != "" {
				by[mark] = append(by[mark], p.Claim.Serial)
			}
		}
		for _, mark := range slices.Sorted(maps.Keys(by)) {
			serials := by[mark]
			if len(serials) < 2 || self.State != peer.Manager && !slices.Contains(serials, self.Serial) {
				continue
			}
			slices.Sort(serials)
			all = append(all, Sharing{kind, mark, serials})
		}
	}
	return all
}

// ToldIDs is what was told of boards that share an id.
type ToldIDs struct {
	now   string
	since time.Time
	told  map[string]bool // by id and board
}

// News returns what to tell of the boards that share an id, see SharedIDs. Each is told once; those that come within a
// moment, calm, together.
func (ids *ToldIDs) News(self peer.Claim, peers []policy.Peer, now time.Time, calm time.Duration) []string {
	var texts, news []string
	for _, s := range SharedIDs(self, peers) {
		before := len(news)
		for _, serial := range s.Serials {
			if key := s.Mark + string(serial); !ids.told[key] {
				news = append(news, key)
			}
		}
		if len(news) > before {
			texts = append(texts, say.Join(" ", s.Text(), s.Help()).En)
		}
	}
	if text := strings.Join(texts, "\n"); text != ids.now {
		ids.now, ids.since = text, now
	}
	if len(texts) == 0 || now.Sub(ids.since) < calm || len(ids.told)+len(news) > roster.Max { // boards may be invented
		return nil
	}
	if ids.told == nil {
		ids.told = map[string]bool{}
	}
	for _, key := range news {
		ids.told[key] = true
	}
	return texts
}
