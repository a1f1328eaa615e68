package picture_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/picture"
	"github.com/pi-agent/pi-agent/internal/say"
)

// A worker shows what its manager has drawn in the same languages, and recognises the same sentences.
func TestSentencesTravel(t *testing.T) {
	p := picture.Picture{
		Doing: say.Worker.With("pi-1").Dot(), StackAdvice: []say.Text{say.StackLacks.With("x", "web", "devices", "x.yml", 3)},
		Boards:   []picture.Board{{Name: "pi-2", State: picture.Out, Why: say.Words("no route to host.")}},
		Nearby:   []picture.Nearby{{Why: say.ItHasNoKey.With()}},
		Warnings: []picture.Warning{{Text: say.Leaderless.With(), Remedy: say.LeaderlessHelp.With()}},
	}
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := picture.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[say.Text]say.Text{
		read.Doing: p.Doing, read.StackAdvice[0]: p.StackAdvice[0], read.Boards[0].Why: p.Boards[0].Why,
		read.Nearby[0].Why: p.Nearby[0].Why, read.Warnings[0].Text: p.Warnings[0].Text, read.Warnings[0].Remedy: p.Warnings[0].Remedy,
	} {
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	read.Judge()
	if w := read.Warnings; len(w) != 2 || !say.StackLacksHelp.Says(w[1].Remedy) ||
		!strings.HasPrefix(w[0].Text.Es, "pi-2 no está en el enjambre.") {
		t.Errorf("%+v", w)
	}
	var raw struct{ Sentences map[string]picture.Sentence }
	if err := json.Unmarshal(text, &raw); err != nil ||
		raw.Sentences["It has no cluster key, and this cluster has one."].Code != "why-it-has-no-key" {
		t.Errorf("%+v, %v", raw, err)
	}
}

// However much is said, a picture is one that other boards read, and has the Spanish of what matters most.
func TestManySentences(t *testing.T) {
	p := picture.Picture{Doing: say.Worker.With("pi-1").Dot(), Needs: true}
	for i := range 300 {
		why := say.Text{Code: "x", En: fmt.Sprint(i, strings.Repeat(`"`, 509)), Es: fmt.Sprint(i, strings.Repeat(`\`, 509))}
		p.Boards = append(p.Boards, picture.Board{Name: fmt.Sprint("pi-", i), State: picture.Out, Why: why})
	}
	p.Judge()
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := picture.Decode(text)
	if err != nil || read.Doing != p.Doing || read.Warnings[0].Text != p.Doing ||
		read.Warnings[1].Text != p.Warnings[1].Text {
		t.Errorf("%d bytes, %v, %+v", len(text), err, read.Doing)
	}
}

// What another board says of sentences stays within bounds.
func TestSentencesAreBounded(t *testing.T) {
	text := `{"version": 1, "doing": "x", "sentences": {"x": {"code": "` + strings.Repeat("c", 1000) + `", "es": "` +
		strings.Repeat("ñ", 100_000) + `"}}}`
	p, err := picture.Decode([]byte(text))
	if err != nil || len(p.Doing.Es) > 2048 || len(p.Doing.Code) > 64 {
		t.Errorf("%d and %d bytes, %v", len(p.Doing.Es), len(p.Doing.Code), err)
	}
}
