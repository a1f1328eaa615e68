package lab_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/test/lab"
)

// each calls f for all machines at once.
func each(t *testing.T, l *lab.Lab, f func(context.Context, *lab.Machine) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range l.Machines {
		g.Go(func() error { return f(ctx, m) })
	}
	must(t, g.Wait())
}

func boot(ctx context.Context, m *lab.Machine) error {
	if err := m.Boot(ctx); err != nil {
		return err
	}
	return m.WaitBoot(ctx)
}

// waitReady waits until the manager sees this many nodes, all ready.
func waitReady(ctx context.Context, manager *lab.Machine, n int) error {
	want := strings.Repeat("Ready\n", n)
	return lab.Wait(ctx, 100*time.Millisecond, func(context.Context) error {
		out, err := manager.Docker(ctx, "node", "ls", "--format", "{{.Status}}")
		if err == nil && string(out) != want {
			err = fmt.Errorf("nodes are %q", out)
		}
		return err
	})
}

// waitAddr waits until the machine has an address of that subnet.
func waitAddr(ctx context.Context, m *lab.Machine, subnet netip.Prefix) (addr netip.Addr, err error) {
	return addr, lab.Wait(ctx, 100*time.Millisecond, func(context.Context) error {
		if addr, err = m.Addr(ctx); err == nil && !subnet.Contains(addr) {
			err = fmt.Errorf("%s has address %v", m.Name, addr)
		}
		return err
	})
}

func TestMachines(t *testing.T) {
	t.Parallel()
	lab.NeedMachines(t)
	began := time.Now()
	for _, suite := range []string{"trixie", "bookworm"} {
		if _, err := lab.RootFS(t.Context(), suite); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s is there after %v", suite, time.Since(began))
	}
	began = time.Now()
	l := lab.New(t, lab.Options{Machines: []string{"trixie", "trixie", "trixie"}, Off: true})
	each(t, l, boot)
	t.Logf("3 machines have booted, with engines, after %v", time.Since(began))

	addrs := map[netip.Addr]bool{}
	for _, m := range l.Machines {
		a, err := m.Addr(t.Context())
		must(t, err)
		addrs[a] = true
		for file, want := range map[string]string{"/etc/hostname": "raspberrypi", "/proc/cpuinfo": m.Serial} {
			if out, err := m.Exec(t.Context(), "cat", file); err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in %s: %s, %v", m.Name, want, file, out, err)
			}
		}
	}
	if len(addrs) != 3 {
		t.Errorf("addresses are %v", addrs)
	}

	manager, last := l.Machines[0], l.Machines[2]
	do := func(m *lab.Machine, argv ...string) string {
		t.Helper()
		out, err := m.Exec(t.Context(), argv...)
		must(t, err)
		return strings.TrimSpace(string(out))
	}
	addr, err := manager.Addr(t.Context())
	must(t, err)
	do(manager, "docker", "swarm", "init", "--advertise-addr", addr.String())
	token := do(manager, "docker", "swarm", "join-token", "-q", "worker")
	for _, m := range l.Machines[1:] {
		do(m, "docker", "swarm", "join", "--token", token, addr.String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	must(t, waitReady(ctx, manager, 3))
	t.Logf("3 nodes are ready after %v", time.Since(began))

	do(last, "logger", "-t", "lab", "before the cut")
	do(last, "journalctl", "--sync")
	for _, m := range l.Machines {
		must(t, m.PowerOff())
	}
	began = time.Now()
	order := rand.Perm(3)
	for _, i := range order {
		must(t, l.Machines[i].Boot(ctx))
	}
	each(t, l, func(ctx context.Context, m *lab.Machine) error { return m.WaitBoot(ctx) })
	must(t, waitReady(ctx, manager, 3))
	t.Logf("3 nodes are ready %v after a power cut", time.Since(began))
	if n := do(last, "sh", "-c", "journalctl --quiet --output=cat --identifier=lab | wc -l"); n != "1" {
		t.Errorf("the journal has lost what was before the cut: %s lines", n)
	}

	began = time.Now()
	must(t, last.Shutdown(ctx))
	t.Logf("shutdown takes %v", time.Since(began))
	if last.On() {
		t.Error("a machine that was shut down is on")
	}
	must(t, last.Reflash())
	must(t, boot(ctx, last))
	if state := do(last, "docker", "info", "--format", "{{.Swarm.LocalNodeState}}"); state != "inactive" {
		t.Errorf("swarm of a new card is %s", state)
	}
}

// makeDeb makes a package that depends on an engine, as the agent's does.
func makeDeb(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tree, deb := filepath.Join(dir, "tree"), filepath.Join(dir, "lab-hello_1_all.deb")
	control := "Package: lab-hello\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n" +
		"Depends: docker.io (>= 20.10) | docker-ce, adduser\nDescription: says hello\n"
	must(t, os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755))
	must(t, os.MkdirAll(filepath.Join(tree, "usr/bin"), 0o755))
	must(t, os.WriteFile(filepath.Join(tree, "DEBIAN/control"), []byte(control), 0o644))
	must(t, os.WriteFile(filepath.Join(tree, "usr/bin/lab-hello"), []byte("#!/bin/sh\necho hello\n"), 0o755))
	out, err := exec.Command("dpkg-deb", "--root-owner-group", "--build", tree, deb).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return deb
}

func TestInstall(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Machines: []string{"trixie", "bookworm"}})
	deb := makeDeb(t)
	each(t, l, func(ctx context.Context, m *lab.Machine) error {
		if err := m.WaitBoot(ctx); err != nil {
			return err
		}
		if err := m.Install(ctx, deb); err != nil {
			return err
		}
		out, err := m.Exec(ctx, "lab-hello")
		if err == nil && string(out) != "hello\n" {
			err = fmt.Errorf("%s: %q", m.Name, out)
		}
		return err
	})
}

func TestMachineOnLAN(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Machines: []string{"bookworm"}, Off: true})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m := l.Machines[0]
	must(t, l.StopDHCP())
	must(t, m.Boot(ctx))
	must(t, m.WaitUnit(ctx, "NetworkManager.service"))
	if a, err := m.Addr(ctx); err == nil {
		t.Errorf("address %v from nobody", a)
	}
	must(t, l.StartDHCP())
	began := time.Now()
	addr, err := waitAddr(ctx, m, netip.MustParsePrefix("10.77.0.0/24"))
	must(t, err)
	t.Logf("an address %v after the DHCP server came back", time.Since(began))

	// Nothing listens there, so a refusal is an answer.
	answers := func() bool {
		err := l.InLAN(func() error {
			conn, err := net.DialTimeout("tcp4", netip.AddrPortFrom(addr, 7).String(), time.Second)
			if err == nil {
				conn.Close()
			}
			return err
		})
		return err == nil || errors.Is(err, syscall.ECONNREFUSED)
	}
	if !answers() {
		t.Error("a machine does not answer")
	}
	must(t, m.Cut())
	if answers() {
		t.Error("a machine that is cut off answers")
	}
	must(t, m.Mend())
	if !answers() {
		t.Error("a machine does not answer any more")
	}

	moved := netip.MustParsePrefix("192.168.7.0/24")
	must(t, l.Renumber(moved))
	must(t, m.Unplug())
	// NetworkManager waits some seconds for the cable to come back
	must(t, lab.Wait(ctx, 100*time.Millisecond, func(context.Context) error {
		if a, err := m.Addr(ctx); err == nil {
			return fmt.Errorf("still has %v", a)
		}
		return nil
	}))
	must(t, m.Mend())
	began = time.Now()
	_, err = waitAddr(ctx, m, moved)
	must(t, err)
	t.Logf("an address of the new router after %v", time.Since(began))
}
