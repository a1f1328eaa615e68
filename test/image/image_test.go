//go:build image

// Package image boots the image of a card on emulated 64-bit boards, and does with them what a class does.
package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/test/lab"
)

// card is the image that was made before.
func card(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PI_AGENT_IMAGE")
	if path == "" {
		t.Fatal("PI_AGENT_IMAGE must name the image of a card: use make e2e-image")
	}
	return path
}

// await repeats check every 5 s, for commands on emulated boards are slow, until it succeeds.
func await(t *testing.T, limit time.Duration, check func(context.Context) error) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return time.Since(began)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %v: %v", limit, err)
		case <-tick.C:
		}
	}
}

// nodes are the lines of docker node ls, sorted: name, status and manager status.
func nodes(ctx context.Context, b *lab.Board) (string, error) {
	out, err := b.Exec(ctx, `docker node ls --format "{{.Hostname}} {{.Status}} {{.ManagerStatus}}"`)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n"), err
}

func name(serial string) string { return peer.Serial(serial).Name() }

// TestThreeCards powers three boards on whose cards were flashed from one image. The one with the lowest serial in its device
// tree becomes the manager. They serve as a class has them serve. A fourth card of the same image joins, one with another key
// does not.
func TestThreeCards(t *testing.T) {
	l := lab.New(t, lab.Options{Boards: true})
	image := card(t)
	const first, second, third, fourth, stranger = "10000000aabbcc02", "10000000aabbcc05", "10000000aabbcc07", "10000000aabbcc09", "10000000aabbcc01"
	var boards []*lab.Board
	add := func(serial string) *lab.Board {
		t.Helper()
		b, err := l.NewBoard("b"+serial[14:], serial, image)
		if err != nil {
			t.Fatal(err)
		}
		boards = append(boards, b)
		return b
	}
	t.Cleanup(func() {
		for _, b := range boards {
			keep(t, b)
		}
	})
	leader := add(first)
	add(second)
	add(third)
	if err := leader.PutOnCard("stack.yml", stack); err != nil {
		t.Fatal(err)
	}
	for _, b := range boards {
		if err := b.PutWebOnCard(); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range boards {
		if err := b.PowerOn(); err != nil {
			t.Fatal(err)
		}
	}
	swarm := func(ctx context.Context, want ...string) error {
		got, err := nodes(ctx, leader)
		if err == nil && got != strings.Join(want, "\n") {
			err = fmt.Errorf("nodes are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
		return err
	}
	three := []string{name(first) + " Ready Leader", name(second) + " Ready", name(third) + " Ready"}
	took := await(t, 15*time.Minute, func(ctx context.Context) error { return swarm(ctx, three...) })
	t.Logf("from power to three Ready nodes, led by the lowest serial: %v", took.Round(time.Second))

	class{t, l, boards}.practise()

	other := add(stranger)
	if err := other.PutOnCard("pi-agent.toml", "key = \""+clusterkey.Generate()+"\"\n"); err != nil {
		t.Fatal(err)
	}
	late := add(fourth)
	for _, b := range []*lab.Board{late, other} {
		if err := b.PowerOn(); err != nil {
			t.Fatal(err)
		}
	}
	took = await(t, 15*time.Minute, func(ctx context.Context) error { return swarm(ctx, append(three, name(fourth)+" Ready")...) })
	t.Logf("from power to a fourth Ready node: %v", took.Round(time.Second))
	await(t, 10*time.Minute, func(ctx context.Context) error {
		got, err := nodes(ctx, other)
		if want := name(stranger) + " Ready Leader"; err == nil && got != want {
			err = fmt.Errorf("nodes of the board with another key are\n%s\nwant\n%s", got, want)
		}
		return err
	})
	if err := swarm(t.Context(), append(three, name(fourth)+" Ready")...); err != nil {
		t.Error(err)
	}
}

// keep writes the journal of a board where PI_AGENT_JOURNALS says, or the end of its console into the log of a test that
// failed.
func keep(t *testing.T, b *lab.Board) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	journal, err := b.Exec(ctx, "journalctl -u pi-agent -u pi-agent-prepare -o short-precise --no-pager; systemd-analyze; systemd-analyze blame | head -20")
	if t.Failed() {
		console := b.Console()
		t.Logf("%s: %v\n%s\nconsole:\n%s", b.Name, err, journal, console[max(0, len(console)-3000):])
		return
	}
	if dir := os.Getenv("PI_AGENT_JOURNALS"); dir != "" && err == nil {
		if err := os.WriteFile(filepath.Join(dir, b.Name+".txt"), journal, 0o644); err != nil {
			t.Error(err)
		}
	}
}
