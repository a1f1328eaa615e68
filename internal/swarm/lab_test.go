package swarm_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/pi-agent/pi-agent/internal/swarm"
	"github.com/pi-agent/pi-agent/test/lab"
)

// labWorld is the world of the conformance test made of real engines. PI_ENGINE names the Debian release whose engine
// that is, such as trixie; without it, it is the machine's own.
type labWorld struct {
	t       *testing.T
	lab     *lab.Lab
	engines []*swarm.Docker
}

func newLabWorld(t *testing.T) *labWorld {
	lab.Need(t)
	var o lab.Options
	if suite := os.Getenv("PI_ENGINE"); suite != "" {
		tree, err := lab.FetchEngine(t.Context(), suite)
		must(t, err)
		o.Engine = tree
	}
	w := &labWorld{t: t, lab: lab.New(t, o), engines: make([]*swarm.Docker, 3)}
	ctx, cancel := timeout(t, time.Minute)
	defer cancel()
	must(t, w.lab.StartEngines(ctx))
	for i := range w.engines {
		w.connect(i)
	}
	return w
}

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// connect makes the client of the board's present boot.
func (w *labWorld) connect(i int) {
	e := swarm.NewDocker(w.lab.Pis[i].DockerHost(), zaptest.NewLogger(w.t))
	w.t.Cleanup(e.Close)
	w.engines[i] = e
}

func (w *labWorld) engine(i int) swarm.Engine { return w.engines[i] }
func (w *labWorld) addr(i int) netip.Addr     { return w.lab.Pis[i].Addr.Addr() }
func (w *labWorld) cut(i int)                 { must(w.t, w.lab.Pis[i].Cut()) }
func (w *labWorld) mend(i int)                { must(w.t, w.lab.Pis[i].Mend()) }
func (w *labWorld) stopEngine(i int)          { must(w.t, w.lab.Pis[i].StopEngine()) }
func (w *labWorld) startEngine(i int)         { w.start(i) }

// silent is an address at which packets vanish: an unused one of the LAN would be unreachable after 3 s of ARP.
func (w *labWorld) silent() netip.Addr {
	for _, pi := range w.lab.Pis {
		_, err := pi.Exec(w.t.Context(), "ip", "neigh", "replace", "10.77.0.99", "lladdr", "b8:27:eb:77:00:99", "dev", "eth0")
		check(w.t, err)
	}
	return netip.MustParseAddr("10.77.0.99")
}

func (w *labWorld) start(i int, args ...string) {
	w.t.Helper()
	ctx, cancel := timeout(w.t, time.Minute)
	defer cancel()
	must(w.t, w.lab.Pis[i].StartEngine(args...))
	must(w.t, w.lab.Pis[i].WaitEngine(ctx))
}

func (w *labWorld) liveRestore(i int) {
	w.stopEngine(i)
	w.start(i, "--live-restore")
}

func (w *labWorld) forget(i int) {
	w.stopEngine(i)
	const note = "/var/lib/docker/swarm/docker-state.json"
	_, err := w.lab.Pis[i].Exec(w.t.Context(), "mv", note, note+".expired")
	must(w.t, err)
	w.start(i)
}

func (w *labWorld) powerOff(i int) { must(w.t, w.lab.Pis[i].PowerOff()) }

func (w *labWorld) powerOn(i int) {
	must(w.t, w.lab.Pis[i].PowerOn())
	w.start(i)
	w.connect(i)
}

func (w *labWorld) docker(i int, args ...string) []byte {
	w.t.Helper()
	out, err := w.lab.Pis[i].Docker(w.t.Context(), args...)
	must(w.t, err)
	return out
}

func (w *labWorld) autolock(i int) { w.docker(i, "swarm", "update", "--autolock") }
func (w *labWorld) promote(manager, i int) {
	w.docker(manager, "node", "promote", status(w.t, w.engine(i)).NodeID)
}
func (w *labWorld) deploy(i int) {
	w.docker(i, "secret", "create", "s", "/etc/hostname")
	w.docker(i, "config", "create", "c", "/etc/hostname")
	w.docker(i, "service", "create", "--detach", "--no-resolve-image", "--replicas=0", "--name=web", "nothing")
}

func (w *labWorld) service(manager int, name string, replicas int) {
	w.t.Helper()
	must(w.t, w.lab.LoadWeb(w.t.Context()))
	w.docker(manager, "service", "create", "--detach", "--quiet", "--no-resolve-image", "--name", name,
		"--replicas", strconv.Itoa(replicas), "--mount", "type=bind,src=/etc/hostname,dst=/etc/hostname,readonly", lab.WebImage)
}

// Certificates are valid for years on the manager and on workers that join at once, and networks lie in the pool.
func TestSwarmOutlivesSummer(t *testing.T) {
	t.Parallel()
	w := newLabWorld(t)
	found(t, w)
	must(t, join(t, w, 1, 0))
	must(t, join(t, w, 2, 0))
	for i := range 3 {
		await(t, 20*time.Second, func() error { return w.longValid(i) })
	}
	w.exchanged()
	awaitReady(t, w.engine(0), w.addr(0), w.addr(1), w.addr(2))
	w.docker(0, "network", "create", "--driver", "overlay", "probe")
	for _, name := range []string{"ingress", "probe"} {
		var networks []struct {
			IPAM struct {
				Config []struct{ Subnet netip.Prefix }
			}
		}
		must(t, json.Unmarshal(w.docker(0, "network", "inspect", name), &networks))
		for _, c := range networks[0].IPAM.Config {
			if !pool.Overlaps(c.Subnet) || c.Subnet.Bits() != swarm.SubnetBits {
				t.Errorf("network %s has %v, want a /%d of %v", name, c.Subnet, swarm.SubnetBits, pool)
			}
		}
		if len(networks[0].IPAM.Config) == 0 {
			t.Errorf("network %s has no subnet", name)
		}
	}
}

// When power goes while a swarm is founded, certificates are valid for years all the same: those of the workers where
// the exchange of the authority had not begun, the manager's too where it had.
func TestPowerCutDuringInit(t *testing.T) {
	t.Parallel()
	w := newLabWorld(t)
	for i := range 2 {
		c, err := w.engines[i].Client()
		must(t, err)
		_, err = c.SwarmInit(t.Context(), swarm.APIInit(swarm.InitRequest{Advertise: w.addr(i), Pool: pool}))
		must(t, err)
		if i == 1 {
			must(t, swarm.Rotate(t.Context(), c))
		}
	}
	for i := range 2 {
		w.powerOff(i)
		w.powerOn(i)
		awaitReady(t, w.engine(i), w.addr(i))
	}
	await(t, 30*time.Second, func() error { return w.longValid(1) })
	must(t, join(t, w, 2, 0))
	check(t, w.longValid(2))
}

func (w *labWorld) exchanged() {
	await(w.t, 20*time.Second, func() error {
		c, err := w.engines[0].Client()
		must(w.t, err)
		s, err := c.SwarmInspect(w.t.Context())
		if err == nil && s.RootRotationInProgress {
			return errors.New("the certificate authority is still being exchanged")
		}
		return err
	})
}

// longValid is an error unless the certificate of board i is valid for as long as we want.
func (w *labWorld) longValid(i int) error {
	if left := w.certificate(i); left < swarm.CertExpiry-time.Hour || left > swarm.CertExpiry+time.Hour {
		return fmt.Errorf("certificate of board %d is valid for %v, want %v", i, left, swarm.CertExpiry)
	}
	return nil
}

// certificate returns how long the node certificate of board i is valid from now on.
func (w *labWorld) certificate(i int) time.Duration {
	w.t.Helper()
	b, err := os.ReadFile(w.lab.Pis[i].Path("/var/lib/docker/swarm/certificates/swarm-node.crt"))
	must(w.t, err)
	block, _ := pem.Decode(b)
	if block == nil {
		w.t.Fatalf("board %d has no certificate", i)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	must(w.t, err)
	return time.Until(c.NotAfter)
}

// An engine that is being stopped, for which it waits for a container here, is never taken for one that has left its
// swarm.
func TestEngineThatStops(t *testing.T) {
	t.Parallel()
	w := newLabWorld(t)
	found(t, w)
	must(t, w.lab.LoadWeb(t.Context()))
	w.docker(0, "run", "--detach", "--stop-signal=SIGWINCH", lab.WebImage)
	check(t, wantState(w.engine(0), swarm.Active))
	stopped := make(chan error, 1)
	go func() { stopped <- w.lab.Pis[0].StopEngine() }()
	for {
		select {
		case err := <-stopped:
			must(t, err)
			return
		default:
		}
		if s, err := w.engine(0).Status(t.Context()); err == nil && s.State != swarm.Active {
			t.Fatalf("it says %+v", s)
		}
	}
}
