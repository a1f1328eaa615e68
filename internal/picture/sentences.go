package picture

import (
	"encoding/json"

	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/tame"
)

// Sentence is what is known of a sentence beside its English.
type Sentence struct {
	Code string `json:"code,omitempty"` // it stays when the words change
	Es   string `json:"es,omitempty"`   // in Spanish, where that differs
}

// sentencesMax bounds what is known of sentences, in bytes of JSON. Those that are over it stay in English.
const sentencesMax = Max / 4

// codeMax is the longest code of a sentence, in bytes.
const codeMax = 64

// texts are all sentences of the picture, what matters most first.
func (p *Picture) texts() []*say.Text {
	all := []*say.Text{&p.Doing}
	for i := range p.Warnings {
		all = append(all, &p.Warnings[i].Text, &p.Warnings[i].Remedy)
	}
	for i := range p.Boards {
		all = append(all, &p.Boards[i].Why)
	}
	for i := range p.Nearby {
		all = append(all, &p.Nearby[i].Why)
	}
	for _, stacks := range [][]say.Text{p.StackErrors, p.StackAdvice} {
		for i := range stacks {
			all = append(all, &stacks[i])
		}
	}
	return all
}

// sentencesOf is what is known of the sentences of a picture.
func sentencesOf(p *Picture) map[string]Sentence {
	known, size := map[string]Sentence{}, 0
	for _, t := range p.texts() {
		s := Sentence{Code: t.Code}
		if t.Es != t.En {
			s.Es = t.Es
		}
		if _, has := known[t.En]; has || s == (Sentence{}) {
			continue
		}
		text, err := json.Marshal(map[string]Sentence{t.En: s})
		if size += len(text); err == nil && size <= sentencesMax {
			known[t.En] = s
		}
	}
	return known
}

// complete gives the sentences of a picture that was read what is known of them.
func (p *Picture) complete() {
	for _, t := range p.texts() {
		s := p.Sentences[t.En]
		t.Code = tame.Cut(s.Code, codeMax)
		if s.Es != "" {
			t.Es = tame.Cut(s.Es, 2*textMax)
		}
	}
	p.Sentences = nil
}

// cut is a text of at most limit bytes: it may come from another board.
func cut(t say.Text, limit int) say.Text {
	return t.Map(func(s string) string { return tame.Cut(s, limit) })
}
