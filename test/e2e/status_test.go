package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/doctor"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/test/lab"
)

// TestStatus looks at one swarm from all of its boards, while boards, engines and agents come and go.
func TestStatus(t *testing.T) {
	t.Parallel()
	l := formed(t, lab.Options{N: 3, Config: "expect = 3"}, withWeb)
	leader, workers := l.leader, l.workers
	deployWeb(t, leader, "--replicas=4")

	// shows waits until a Pi shows these Pis as ready, and four tasks that run on them.
	shows := func(t *testing.T, at *lab.Pi, ready ...*lab.Pi) {
		t.Helper()
		await(t, later, func(ctx context.Context) error {
			p, _, err := seen(ctx, at)
			if err != nil {
				return err
			}
			want := map[string]bool{}
			for _, pi := range ready {
				want[pi.Name] = true
			}
			for _, b := range p.Boards {
				if want[b.Name] != (b.State == picture.Ready) || b.Engine == "" || b.Serial == "" || b.Model == "" && want[b.Name] {
					return fmt.Errorf("%s shows %+v", at.Name, b)
				}
				if (b.Name == leader.Name) != (b.Role == picture.Leader) {
					return fmt.Errorf("%s shows %s as %s", at.Name, b.Name, b.Role)
				}
			}
			if len(p.Boards) != len(l.Pis) || p.Source != leader.Name || len(p.Services) != 1 || p.Services[0].Running != 4 {
				return fmt.Errorf("%s shows %+v", at.Name, p)
			}
			for _, task := range p.Services[0].Tasks {
				if !want[task.Board] {
					return fmt.Errorf("%s shows the task %+v", at.Name, task)
				}
			}
			return nil
		})
	}
	t.Run("everywhere the same", func(t *testing.T) {
		for _, pi := range l.Pis {
			shows(t, pi, l.Pis...)
			began := time.Now()
			_, status, err := seen(t.Context(), pi)
			took := time.Since(began)
			if err != nil || status != 0 {
				t.Errorf("%s: exit status %d, %v", pi.Name, status, err)
			}
			out, _, err := tell(t.Context(), pi, nobody, "status")
			if err != nil || !strings.Contains(string(out), "3 of 3 boards ready, 1 manager, 1 service.") ||
				!strings.Contains(string(out), "- 1 manager: if "+leader.Name+" fails") {
				t.Errorf("status on %s: %v:\n%s", pi.Name, err, out)
			}
			if pi == leader {
				t.Logf("status takes %v with the start of the program:\n%s", took.Round(time.Millisecond), out)
			}
		}
	})
	results := func(t *testing.T, pi *lab.Pi) map[string]doctor.Result {
		t.Helper()
		found, err := diagnosis(t.Context(), pi)
		must(t, err)
		all := map[string]doctor.Result{}
		for _, r := range found {
			all[r.Check] = r
		}
		return all
	}
	t.Run("the doctor finds all well", func(t *testing.T) {
		for _, pi := range []*lab.Pi{leader, workers[0]} {
			all := results(t, pi)
			for _, check := range []string{
				"agent", "engine", "settings of docker", "certificate", "networks of docker", "programs at ports", "name",
				"serial", "network", "swarm address", "169.254 route", "overlay pool", "multicast", "multicast of peers",
				"clocks of boards", "port 2378/tcp", "port 7946/tcp", "port 7946/udp", "port 4789/udp", "own ports", "disk",
			} {
				if r := all[check]; r.Verdict != doctor.Pass {
					t.Errorf("the doctor of %s says of %s: %+v", pi.Name, check, r)
				}
			}
			if r := all["port 2377/tcp"]; (r.Verdict == doctor.Pass) != (pi != leader) { // there is no other manager
				t.Errorf("the doctor of %s says %+v", pi.Name, r)
			}
		}
		out, _, err := tell(t.Context(), workers[0], root, "doctor")
		t.Logf("%v\n%s", err, out)
	})
	t.Run("the doctor finds what a firewall drops", func(t *testing.T) {
		for _, c := range []struct {
			rule  []string
			check string
		}{
			{[]string{"-p", "tcp", "--dport", "7946", "-j", "DROP"}, "port 7946/tcp"},
			{[]string{"-p", "tcp", "--dport", "2377", "-j", "REJECT"}, "port 2377/tcp"},
			{[]string{"-p", "udp", "--dport", "4789", "-j", "REJECT", "--reject-with", "icmp-admin-prohibited"},
				"port 4789/udp"},
		} {
			firewall(t, leader, "-I", c.rule)
			for check, r := range results(t, workers[0]) {
				failed := r.Verdict == doctor.Fail && strings.HasPrefix(check, "port ")
				if failed != (check == c.check) || failed && !strings.Contains(r.Text, leader.Name) {
					t.Errorf("with %v: %+v", c.rule, r)
				}
			}
			r := results(t, leader)["own ports"]
			if r.Verdict != doctor.Fail || !strings.Contains(r.Text, c.check+" to "+workers[0].Name) {
				t.Errorf("on the board itself, with %v: %+v", c.rule, r)
			}
			firewall(t, leader, "-D", c.rule)
		}
	})
	t.Run("without its agent", func(t *testing.T) {
		for _, pi := range []*lab.Pi{leader, workers[0]} {
			stopAgents(t, pi)
			out, status, err := tell(t.Context(), pi, root, "status", "-config", "/etc/pi-agent/pi-agent.toml")
			want := "Docker Engine"
			if pi == leader {
				want = "3 of 3 boards ready"
			}
			if err != nil || status != 4 ||
				!strings.Contains(string(out), "The agent does not run on this board: sudo systemctl start") ||
				!strings.Contains(string(out), want) {
				t.Errorf("without its agent, status on %s: %v, exit status %d:\n%s", pi.Name, err, status, out)
			}
			if r := results(t, pi)["agent"]; r.Verdict != doctor.Fail {
				t.Errorf("without its agent, the doctor of %s says %+v", pi.Name, r)
			}
			startAgents(t, pi)
			shows(t, pi, l.Pis...)
		}
	})
	t.Run("without its engine", func(t *testing.T) {
		pi := workers[0]
		must(t, pi.StopEngine())
		await(t, soon, func(ctx context.Context) error {
			p, status, err := seen(ctx, pi)
			if err == nil && (status != 3 || !strings.Contains(p.Doing.En, "Waiting for the Docker Engine")) {
				err = fmt.Errorf("exit status %d, %q", status, p.Doing)
			}
			return err
		})
		if r := results(t, pi)["engine"]; r.Verdict != doctor.Fail {
			t.Errorf("without its engine, the doctor of %s says %+v", pi.Name, r)
		}
		must(t, pi.StartEngine())
		shows(t, pi, l.Pis...)
	})
	t.Run("a pulled plug", func(t *testing.T) {
		began := time.Now()
		powerOff(t, workers[1])
		shows(t, workers[0], leader, workers[0])
		took := time.Since(began)
		p, status, err := seen(t.Context(), leader)
		if err != nil || status != 3 || !p.Trouble() {
			t.Errorf("with a board down, status: %v, exit status %d, warnings %+v", err, status, p.Warnings)
		}
		out, _, err := tell(t.Context(), workers[0], nobody, "status")
		t.Logf("shown on the other worker after %.1f s: %v\n%s", took.Seconds(), err, out)
	})
}
