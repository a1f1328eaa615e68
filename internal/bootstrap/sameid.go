package bootstrap

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Cards that are copied in a computer, and not flashed from an image, have ids in common that each board should have for itself.
// The serial is the board's own, so they form one swarm all the same; what gets confused is beyond it. Hellos carry marks of
// the ids, and a manager, to which all boards say hello, sees every pair.

// ids are the kinds of id, with what helps.
var ids = []struct {
	name   string
	mark   func(peer.Claim) string
	remedy string
}{
	{
		"machine id, by which routers may give them one address", func(c peer.Claim) string { return c.Machine },
		"sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup && sudo reboot",
	},
	{
		"Docker Engine id", func(c peer.Claim) string { return c.Engine },
		"sudo systemctl stop docker.socket docker && sudo rm -f /var/lib/docker/engine-id /etc/docker/key.json && sudo systemctl start docker",
	},
}

// sameIDs is what was told of boards that share an id.
type sameIDs struct {
	now   string
	since time.Time
	told  map[string]bool // by id and board
}

// compareIDs says which boards share an id. Each is told once; those that come within a moment, together.
func (l *Loop) compareIDs(now time.Time) {
	claims := []peer.Claim{l.Claim()}
	peers, _ := l.contacts.peers(l.Serial) // Decide tells of boards with one serial
	for _, p := range peers {
		claims = append(claims, p.Claim)
	}
	var texts, news []string
	for _, id := range ids {
		sharing := map[string][]peer.Serial{}
		for _, c := range claims {
			if mark := id.mark(c); mark != "" {
				sharing[mark] = append(sharing[mark], c.Serial)
			}
		}
		for mark, serials := range sharing {
			if len(serials) < 2 || !slices.Contains(serials, l.Serial) && claims[0].State != peer.Manager {
				continue
			}
			before := len(news)
			for _, s := range serials {
				if key := mark + string(s); !l.ids.told[key] {
					news = append(news, key)
				}
			}
			if len(news) > before {
				texts = append(texts, sharedID(serials, id.name, id.remedy))
			}
		}
	}
	slices.Sort(texts)
	if text := strings.Join(texts, "\n"); text != l.ids.now {
		l.ids.now, l.ids.since = text, now
	}
	if len(texts) == 0 || now.Sub(l.ids.since) < reachCalm || len(l.ids.told)+len(news) > contactMax { // boards may be invented
		return
	}
	for _, text := range texts {
		l.Log.Warn(text)
	}
	if l.ids.told == nil {
		l.ids.told = map[string]bool{}
	}
	for _, key := range news {
		l.ids.told[key] = true
	}
}

// sharedID says it, and what to do on all but the first.
func sharedID(serials []peer.Serial, name, remedy string) string {
	slices.Sort(serials)
	var names []string
	for _, s := range serials {
		names = append(names, s.Name())
	}
	last := names[len(names)-1]
	where := last
	if len(names) > 2 {
		where = "all but " + names[0]
	}
	return fmt.Sprintf(`%s and %s are copies of one card and have the same %s. On %s: %s`,
		strings.Join(names[:len(names)-1], ", "), last, name, where, remedy)
}
