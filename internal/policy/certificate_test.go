package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/swarm"
)

func TestDecideOutdated(t *testing.T) {
	failed := swarm.Status{State: swarm.Failed,
		Error: "x509: certificate has expired or is not yet valid: current time is after"}
	own := failed
	own.Error = "error while loading TLS certificate in /var/lib/docker/swarm/certificates/swarm-node.crt: " + own.Error
	inactive := swarm.Status{State: swarm.Inactive}
	worker := peer.Membership{Swarm: "a", Node: "n"}
	manager := peer.Membership{Swarm: "a", Node: "n", Manager: true}
	sole := peer.Membership{Swarm: "a", Node: "n", Manager: true, Sole: true}
	mark := sole
	mark.Revive = netip.MustParseAddr("169.254.1.2")
	leader := []Peer{board(high, peer.Manager, in("a"))}
	for _, tt := range []struct {
		name   string
		member peer.Membership
		engine swarm.Status
		asked  time.Time
		peers  []Peer
		want   Kind
		says   string // of a trouble; empty without one
	}{
		{"a worker whose manager answers", worker, failed, time.Time{}, leader, Move, ""},
		{"a worker whose manager does not", worker, failed, time.Time{}, nil, Wait, ""},
		{"the only manager", sole, failed, time.Time{}, nil, ForceNewCluster, ""},
		{"the only manager after a power cut", mark, failed, time.Time{}, nil, ForceNewCluster, ""},
		{"root was asked", mark, failed, now.Add(-time.Second), nil, Wait, ""},
		{"root was asked in vain", mark, failed, now.Add(-patient.Forget), nil, Wait, "journalctl -u pi-agent-prepare"},
		{"the engine has forgotten", mark, inactive, now.Add(-time.Second), nil, ForceNewCluster, ""},
		{"it has forgotten, and there is another swarm", mark, inactive, time.Time{},
			[]Peer{board(low, peer.Manager, in("b"))}, ForceNewCluster, ""},
		{"a board that has lost its memory", peer.Membership{}, own, time.Time{}, leader, Wait, "docker swarm leave --force"},
		{"a join that was shown a certificate", peer.Membership{}, failed, time.Time{}, leader, Abandon, ""},
		{"one of several managers", manager, failed, time.Time{}, leader, Wait, "docker swarm leave --force"},
	} {
		a := Decide(View{Timing: patient, Now: now, Serial: mine, Member: tt.member,
			Engine: Engine{Status: tt.engine,
				ForgetAsked: tt.asked}, Boards: Boards{Peers: tt.peers}, Network: Network{Linked: now}})
		if a.Kind != tt.want || a.Trouble != (tt.says != "") || !strings.Contains(a.Reason.En, tt.says) {
			t.Errorf("%s: %v, %s", tt.name, a.Kind, a.Reason)
		}
	}
}
