//go:build image

// Package image boots the image of a card on emulated 64-bit boards, and does with them what a class does.
package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/test/lab"
)

// card is an image that was made before: of 64-bit boards, or of ARMv7.
func card(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatal(variable + " must name the image of a card: use make e2e-image")
	}
	return path
}

// How long emulated boards may take, which are some 20 times slower than real ones.
const (
	// bootMax is for what begins with a boot: until nodes are listed as they should be.
	bootMax = 15 * time.Minute
	// deployMax is for a stack that was on the card before the first boot.
	deployMax = 10 * time.Minute
	// taskMax is for tasks that start or move, another leader, and what a board finds out for itself.
	taskMax = 5 * time.Minute
	// showMax is for what is known, and only has to be shown.
	showMax = 2 * time.Minute
)

// await repeats check every 5 s, for commands on emulated boards are slow, until it succeeds.
func await(t *testing.T, limit time.Duration, check func(context.Context) error) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := lab.Wait(ctx, 5*time.Second, check); err != nil {
		t.Fatalf("after %v: %v", limit, err)
	}
	return time.Since(began)
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

// listed waits until a board lists these nodes, and returns how long that took.
func listed(t *testing.T, b *lab.Board, want string) time.Duration {
	t.Helper()
	return await(t, bootMax, func(ctx context.Context) error {
		got, err := nodes(ctx, b)
		if err == nil && got != want {
			err = fmt.Errorf("nodes are\n%s\nwant\n%s", got, want)
		}
		return err
	})
}

func name(serial string) string { return peer.Serial(serial).Name() }

// journal is what the agent of a board has said.
func journal(ctx context.Context, b *lab.Board) (string, error) {
	out, err := b.Exec(ctx, "journalctl -u pi-agent -o cat --no-pager")
	return string(out), err
}

// TestThreeCards powers three boards on whose cards were flashed from one image. The one with the lowest serial in its
// device tree becomes the manager. They serve as a class has them serve.
func TestThreeCards(t *testing.T) {
	l := lab.New(t, lab.Options{Boards: true})
	const first, second, third = "10000000aabbcc02", "10000000aabbcc05", "10000000aabbcc07"
	image := card(t, "PI_AGENT_IMAGE")
	var boards []*lab.Board
	add := func(serial string) *lab.Board {
		t.Helper()
		b, err := l.NewBoard("b"+serial[14:], serial, lab.ARMv8, image)
		lab.Must(t, err)
		boards = append(boards, b)
		return b
	}
	t.Cleanup(func() { keep(t, boards...) })
	leader := add(first)
	add(second)
	add(third)
	lab.Must(t, leader.PutOnCard("stack.yml", stack))
	for _, b := range boards {
		lab.Must(t, b.PutWebOnCard())
	}
	for _, b := range boards {
		lab.Must(t, b.PowerOn())
	}
	took := listed(t, leader, name(first)+" Ready Leader\n"+name(second)+" Ready\n"+name(third)+" Ready")
	t.Logf("from power to three Ready nodes, led by the lowest serial: %v", took.Round(time.Second))

	differ(t, boards)

	class{t, l, slices.Clone(boards), leader}.practise()
}

// TestLateCards has a board of which the swarm is there already. Another card of the same image joins, with a clock
// that stood still for months. One with another key on its card does not, and neither does its broken stack.yml keep it
// from a swarm of its own.
func TestLateCards(t *testing.T) {
	l := lab.New(t, lab.Options{Boards: true})
	const first, late, stranger = "10000000aabbcc02", "10000000aabbcc09", "10000000aabbcc01"
	image := card(t, "PI_AGENT_IMAGE")
	var boards []*lab.Board
	for _, serial := range []string{first, late, stranger} {
		b, err := l.NewBoard("late"+serial[14:], serial, lab.ARMv8, image)
		lab.Must(t, err)
		boards = append(boards, b)
	}
	t.Cleanup(func() { keep(t, boards...) })
	leader, behind, other := boards[0], boards[1], boards[2]
	lab.Must(t, leader.PowerOn())
	listed(t, leader, name(first)+" Ready Leader")

	key := clusterkey.Generate()
	for name, text := range map[string]string{"pi-agent.key": key + "\n", "stack.yml": brokenStack} {
		lab.Must(t, other.PutOnCard(name, text))
	}
	behind.Clock = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, b := range []*lab.Board{behind, other} {
		lab.Must(t, b.PowerOn())
	}
	took := listed(t, leader, name(first)+" Ready Leader\n"+name(late)+" Ready")
	t.Logf("from power to another Ready node: %v", took.Round(time.Second))
	wound(t, behind)
	listed(t, other, name(stranger)+" Ready Leader")
	if out, err := other.Exec(t.Context(), "cat /etc/pi-agent/key; ls /boot/firmware"); err != nil ||
		!strings.HasPrefix(string(out), key+"\n") ||
		strings.Contains(string(out), "pi-agent.key") {
		t.Errorf("the key of the card was not taken from it: %v", err)
	}
	complains(t, other)
	listed(t, leader, name(first)+" Ready Leader\n"+name(late)+" Ready")
}

// TestOldestBoard powers on a 32-bit board with the oldest engine and a 64-bit one, with a key that was put on their
// cards. The older one has the lower serial and leads; what is wrong with its stack is seen on both.
func TestOldestBoard(t *testing.T) {
	l := lab.New(t, lab.Options{Boards: true})
	const oldest, other = "00000000aabbcc22", "10000000aabbcc05"
	old, err := l.NewBoard("old22", oldest, lab.ARMv7, card(t, "PI_AGENT_IMAGE_ARMHF"))
	lab.Must(t, err)
	young, err := l.NewBoard("old05", other, lab.ARMv8, card(t, "PI_AGENT_IMAGE"))
	lab.Must(t, err)
	t.Cleanup(func() { keep(t, old, young) })
	key := clusterkey.Generate()
	lab.Must(t, old.PutOnCard("stack.yml", brokenStack))
	for _, b := range []*lab.Board{old, young} {
		lab.Must(t, b.PutOnCard("pi-agent.key", key+"\n"))
		lab.Must(t, b.PowerOn())
	}
	took := listed(t, old, name(other)+" Ready\n"+name(oldest)+" Ready Leader")
	t.Logf("from power to two Ready nodes, led by one with ARMv7: %v", took.Round(time.Second))
	out, err := old.Exec(t.Context(),
		`uname -m; dpkg --print-architecture; dpkg-query --show -f '${db:Status-Abbrev}\n' pi-agent`)
	if want := "armv7l\narmhf\nii \n"; err != nil || string(out) != want {
		t.Errorf("the 32-bit board is %q, %v, want %q", out, err, want)
	}
	complains(t, old)
	shows(t, young) // for what the manager says is everybody's
}

// differ compares what must not be the same on two cards of one image, and looks whether the system has taken all of
// its card.
func differ(t *testing.T, boards []*lab.Board) {
	t.Helper()
	whose := map[string]string{}
	for _, b := range boards {
		for _, what := range []string{
			"cat /etc/machine-id", "cut -d ' ' -f 2 /etc/ssh/ssh_host_ed25519_key.pub", "docker info --format {{.ID}}",
			`grep -o '"node_key": *"[^"]*' /var/lib/pi-agent/state.json | sha256sum`,
		} {
			out, err := b.Exec(t.Context(), what)
			got := strings.TrimSpace(string(out))
			if err != nil || len(got) < 32 {
				t.Errorf("%s: %s says %q, %v", b.Name, what, got, err)
			}
			if before := whose[got]; before != "" {
				t.Errorf("%s and %s have the same: %s", before, b.Name, what)
			}
			whose[got] = b.Name
		}
		out, err := b.Exec(t.Context(), "df --output=size -BM / | tail -n 1")
		if size, _ := strconv.Atoi(strings.Trim(string(out), " M\n")); err != nil || size < 7000 {
			t.Errorf("%s: the system has %q of a card of 8 GB, %v", b.Name, out, err)
		}
	}
}

// wound looks at a board whose clock stood still: it is put right before the board joins.
func wound(t *testing.T, b *lab.Board) {
	t.Helper()
	said, err := journal(t.Context(), b)
	lab.Must(t, err)
	if line := regexp.MustCompile(`The clock of this board is .* behind that of .*`).FindString(said); line == "" {
		t.Errorf("%s does not say that its clock is behind:\n%s", b.Name, said)
	} else {
		t.Log(line)
	}
	out, err := b.Exec(t.Context(), "date +%s")
	seconds, _ := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if off := time.Since(time.Unix(seconds, 0)); err != nil || off.Abs() > time.Minute {
		t.Errorf("the clock of %s is off by %v, %v", b.Name, off, err)
	}
}

// brokenStack has a mistake in its fifth line.
const brokenStack = `version: "3.8"
services:
  web:
    image: ` + lab.WebImage + `
    ports: 80
`

// complaint is what every board says of it.
const complaint = `Stack stack is not deployed: /boot/firmware/stack.yml:5: services.web.ports must be a list: ` +
	`write ports: ["80"].`

// complains waits until a manager with a broken stack.yml says so wherever people look.
func complains(t *testing.T, b *lab.Board) {
	t.Helper()
	await(t, taskMax, func(ctx context.Context) error {
		said, err := journal(ctx, b)
		if err == nil && !strings.Contains(said, complaint) {
			err = fmt.Errorf("%s does not say %q", b.Name, complaint)
		}
		return err
	})
	await(t, showMax, func(ctx context.Context) error {
		issue, err := b.Exec(ctx, "cat /etc/issue.d/pi-agent.issue")
		if err == nil && !strings.Contains(string(issue), complaint) {
			err = fmt.Errorf("the screen of %s shows %q", b.Name, issue)
		}
		return err
	})
	shows(t, b)
}

// shows waits until status and page of a board have what is wrong with the stack of the manager.
func shows(t *testing.T, b *lab.Board) {
	t.Helper()
	await(t, showMax, func(ctx context.Context) error {
		out, err := b.Exec(ctx, "pi-agent status -json || [ $? = 3 ]")
		if err != nil {
			return err
		}
		p, err := picture.Decode(out)
		if err != nil {
			return err
		}
		if !slices.Equal(say.English(p.StackErrors), []string{complaint}) || !p.Trouble() {
			return fmt.Errorf("status of %s has the stacks %q and the warnings %+v", b.Name, p.StackErrors, p.Warnings)
		}
		page, err := b.Exec(ctx, "curl --silent --no-buffer --max-time 10 http://localhost:7380/events | head -n 5")
		if err == nil && !strings.Contains(string(page), strings.Trim(strconv.Quote(complaint), `"`)) {
			err = fmt.Errorf("the page of %s shows %s", b.Name, page)
		}
		return err
	})
	out, err := b.Exec(t.Context(), "pi-agent status || true")
	t.Logf("%s$ pi-agent status\n%s%v", name(b.Serial), out, err)
}

// keep writes the journals of boards where PI_AGENT_JOURNALS says, or the ends of their consoles into the log of a test
// that failed.
func keep(t *testing.T, boards ...*lab.Board) {
	for _, b := range boards {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		journal, err := b.Exec(ctx, "journalctl -u pi-agent -u pi-agent-prepare -o short-precise --no-pager; "+
			"systemd-analyze; systemd-analyze blame | head -20")
		if t.Failed() {
			console := b.Console()
			t.Logf("%s: %v\n%s\nconsole:\n%s", b.Name, err, journal, console[max(0, len(console)-3000):])
			continue
		}
		if dir := os.Getenv("PI_AGENT_JOURNALS"); dir != "" && err == nil {
			if err := os.WriteFile(filepath.Join(dir, b.Name+".txt"), journal, 0o644); err != nil {
				t.Error(err)
			}
		}
	}
}
