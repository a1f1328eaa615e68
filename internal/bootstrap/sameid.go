package bootstrap

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/roster"
	"github.com/pi-agent/pi-agent/internal/say"
)

// Cards that are copied in a computer, and not flashed from an image, have ids in common that each board should have for itself.
// The serial is the board's own, so they form one swarm all the same; what gets confused is beyond it. Hellos carry marks of
// the ids, and a manager, to which all boards say hello, sees every pair.

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

// sharing are boards that share an id, in order of serial.
type sharing struct {
	idKind
	mark    string
	serials []peer.Serial
}

func (s sharing) text() say.Text {
	var names []string
	for _, serial := range s.serials {
		names = append(names, serial.Name())
	}
	last := len(names) - 1
	return s.shared.With(strings.Join(names[:last], ", "), names[last])
}

// help is what to do, on all but the first.
func (s sharing) help() say.Text {
	if len(s.serials) > 2 {
		return say.SharedHelpMany.With(s.serials[0].Name(), s.remedy)
	}
	return say.SharedHelp.With(s.serials[1].Name(), s.remedy)
}

// sharedIDs lists what boards share, as far as it concerns this one: a manager is concerned with all of them. It may be called
// from any goroutine.
func (h *host) sharedIDs() (all []sharing) {
	self := h.Claim()
	peers := h.peers() // policy.Decide tells of boards with one serial
	for _, kind := range idKinds {
		by := map[string][]peer.Serial{}
		if mark := kind.mark(self); mark != "" {
			by[mark] = []peer.Serial{h.Serial}
		}
		for _, p := range peers {
			if mark := kind.mark(p.Claim); mark != "" {
				by[mark] = append(by[mark], p.Claim.Serial)
			}
		}
		for _, mark := range slices.Sorted(maps.Keys(by)) {
			serials := by[mark]
			if len(serials) < 2 || self.State != peer.Manager && !slices.Contains(serials, h.Serial) {
				continue
			}
			slices.Sort(serials)
			all = append(all, sharing{kind, mark, serials})
		}
	}
	return all
}

// sameIDs is what was told of boards that share an id.
type sameIDs struct {
	now   string
	since time.Time
	told  map[string]bool // by id and board
}

// news takes in which boards share an id, and returns what to tell of it. Each is told once; those that come within a moment,
// together.
func (ids *sameIDs) news(shared []sharing, now time.Time, calm time.Duration) []string {
	var texts, news []string
	for _, s := range shared {
		before := len(news)
		for _, serial := range s.serials {
			if key := s.mark + string(serial); !ids.told[key] {
				news = append(news, key)
			}
		}
		if len(news) > before {
			texts = append(texts, say.Join(" ", s.text(), s.help()).En)
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
