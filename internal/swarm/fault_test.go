package swarm

import (
	"net/netip"
	"testing"
)

func TestFault(t *testing.T) {
	const ended = "x509: certificate has expired or is not yet valid: current time 2026-11-23T08:00:00Z is after 2026-08-01T08:00:00Z"
	const early = "x509: certificate has expired or is not yet valid: current time 1970-01-01T00:01:00Z is before " +
		"2026-08-01T08:00:00Z"
	const own = "error while loading TLS certificate in /var/lib/docker/swarm/certificates/swarm-node.crt: "
	const dial = "manager stopped: can't initialize raft node: rpc error: code = Unavailable desc = connection error"
	two := []netip.AddrPort{netip.MustParseAddrPort("169.254.1.2:2377"), netip.MustParseAddrPort("169.254.1.5:2377")}
	for _, tt := range []struct {
		name   string
		status Status
		want   Fault
	}{
		{"none", Status{State: Active}, NoFault},
		{"own certificate", Status{State: Failed, Error: own + ended}, OwnExpired},
		{"a certificate", Status{State: Failed, Error: ended}, Expired},
		{"as the fake says it", Status{State: Failed, Error: "certificate has expired"}, Expired},
		{"the clock is behind", Status{State: Failed, Error: own + early}, NoFault},
		{"not failed", Status{State: Pending, Error: ended}, NoFault},
		{"a manager to be", Status{State: Failed, Error: dial}, Stranded},
		{"a manager that stopped with an expired certificate", Status{State: Failed, Error: dial + ": " + ended}, Expired},
		{"other words", Status{State: Failed, Error: "swarm is on fire"}, NoFault},
		{"a manager of two that is alone", Status{State: Active, Manager: true, Managers: two}, NoMajority},
		{"a manager of two", Status{State: Active, Manager: true, Managers: two, SwarmID: "s"}, NoFault},
		{"the only manager, starting", Status{State: Active, Manager: true, Managers: two[:1]}, NoFault},
		{"a worker", Status{State: Active, Managers: two}, NoFault},
	} {
		if got := tt.status.Fault(); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
