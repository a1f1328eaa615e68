//go:build page

package page

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
)

// TestClassroom looks at the page of a class of 30 boards in a browser, on a projector, a laptop and a phone. With
// PAGE_SHOTS, a picture of each is left in that directory.
func TestClassroom(t *testing.T) {
	text, err := os.ReadFile("../picture/testdata/classroom.json")
	if err != nil {
		t.Fatal(err)
	}
	class := func() picture.Picture {
		p, err := picture.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var shown atomic.Pointer[picture.Picture]
	first := class()
	shown.Store(&first)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Picture: func(context.Context) picture.Picture { return *shown.Load() },
		Names: func() []string { return nil }, Log: zaptest.NewLogger(t)}
	served := make(chan error, 1)
	go func() { served <- s.serve(t.Context(), l) }()
	t.Cleanup(func() {
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	dir := os.Getenv("PAGE_SHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	cmd := exec.CommandContext(t.Context(), "node", "../../test/page/classroom.mjs", dir, "http://"+l.Addr().String()+"/")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		if lines.Text() == "drawn" { // now a plug is pulled
			next := class()
			pull(&next, 1, 3)
			shown.Store(&next)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Log(strings.Join(said, "\n"))
	if last := said[len(said)-1]; last != "no complaints" {
		t.Error(last)
	}
}

// pull lets a board be down, and another one run its tasks.
func pull(p *picture.Picture, down, takes int) {
	from, to := &p.Boards[down], p.Boards[takes]
	from.State, from.Why = picture.Down, say.DownJustHeard.With()
	for _, s := range p.Services {
		for i, task := range s.Tasks {
			if task.Node == from.Node {
				s.Tasks[i].Node, s.Tasks[i].Board = to.Node, to.Name
			}
		}
	}
}
