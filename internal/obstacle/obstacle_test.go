package obstacle

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/ports"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

func TestWatch(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	var holders []ports.Holder
	daemon := `{"iptables": false, "live-restore": true}`
	w := &Watch{
		Strangers: func() []ports.Holder { return holders },
		Settings: func(context.Context) []*swarm.Setting {
			return swarm.Hindering(dockerd.Read(fstest.MapFS{"etc/docker/daemon.json": &fstest.MapFile{Data: []byte(daemon)}},
				""))
		},
		Log: zap.New(core),
	}
	look := func(step string, taken bool, warnings int, said ...string) {
		t.Helper()
		w.Look(t.Context())
		if err := w.Taken(); (err != nil) != taken {
			t.Errorf("%s: %v", step, err)
		}
		if all := w.Warnings(); len(all) != warnings {
			t.Errorf("%s: %+v", step, all)
		}
		got := logs.TakeAll()
		if len(got) != len(said) {
			t.Fatalf("%s: %v is said, want %q", step, got, said)
		}
		for i, want := range said {
			if !strings.HasPrefix(got[i].Message, want) {
				t.Errorf("%s: %q is said, want %q", step, got[i].Message, want)
			}
		}
	}
	gossip, page := ports.All[2], ports.Own[len(ports.Own)-2]
	look("a setting that cripples, and one that excludes", false, 1, `Docker has "iptables" off`)
	look("the same", false, 1)
	daemon = `{}`
	look("put right", false, 0)
	holders = []ports.Holder{{Port: gossip, Inode: 7, PID: 12, Program: "nc"}}
	look("somebody", true, 1, "Port 7946/tcp is taken by nc (12), and is needed for news between nodes. Stop that program")
	look("the same", true, 1)
	holders = nil
	look("gone", false, 0, "Nobody else has port 7946/tcp any more.")
	holders = []ports.Holder{{Port: page, Inode: 8, PID: 12, Program: "nginx"}}
	look("the page is no matter for a swarm", false, 1, "Port 7380/tcp is taken by nginx (12)")
	holders = []ports.Holder{{Port: gossip, Inode: 9, Guess: true}}
	look("a guess", false, 0, "Nobody else has port 7380/tcp any more.")
	holders[0].Inode = 10
	look("another one", false, 0)
	look("it stays", true, 1, "Port 7946/tcp is taken by another program")
}
