// Package say has what the agent says to people about a board, in every language that it speaks: a catalogue of
// sentences with gaps, and texts, which are sentences whose gaps are filled. A text is rendered once, where it arises,
// and goes from there to the journal, the status, the page and other boards as it is. What recognises a sentence looks
// at its code.
package say

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Text is something said to a person. It is the same text as another one when it is the same sentence with the same in
// its gaps. The zero Text says nothing.
type Text struct {
	Code string // of the sentence that it begins with, or that it carries; empty for words from elsewhere
	En   string // in English
	Es   string // in Spanish
}

// Words is a text from elsewhere, which nobody has translated.
func Words(text string) Text { return Text{En: text, Es: text} }

// String is the text in English.
func (t Text) String() string { return t.En }

// IsZero reports whether it says nothing.
func (t Text) IsZero() bool { return t.En == "" }

// Map changes it in every language.
func (t Text) Map(change func(string) string) Text { return Text{t.Code, change(t.En), change(t.Es)} }

// Dot ends a reason, which may be an engine's own words, with a full stop.
func (t Text) Dot() Text {
	return t.Map(func(s string) string {
		if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") {
			return s
		}
		return s + "."
	})
}

// Capital begins it with a capital letter.
func (t Text) Capital() Text {
	return t.Map(func(s string) string {
		first, size := utf8.DecodeRuneInString(s)
		if size == 0 {
			return s
		}
		return string(unicode.ToUpper(first)) + s[size:]
	})
}

// English is what texts are in English.
func English(all []Text) (en []string) {
	for _, t := range all {
		en = append(en, t.En)
	}
	return en
}

// Join puts texts one after the other, those that say nothing left out. Its code is that of the first.
func Join(between string, all ...Text) (whole Text) {
	for _, t := range all {
		switch {
		case t.IsZero():
		case whole.IsZero():
			whole = t
		default:
			whole.En += between + t.En
			whole.Es += between + t.Es
		}
	}
	return whole
}

// MarshalJSON implements json.Marshaler: it is its English, for machines that read what is meant for people.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.En) }

// UnmarshalJSON implements json.Unmarshaler: it has not been translated.
func (t *Text) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*t = Words(s)
	return nil
}

// Sentence is one of the catalogue. Its gaps are numbered, as package fmt numbers them, for languages differ in their
// order.
type Sentence struct{ code, en, es string }

// catalogue are all sentences, by their codes.
var catalogue = map[string]*Sentence{}

func sentence(code, en, es string) *Sentence {
	s := &Sentence{code, en, es}
	if catalogue[code] != nil {
		panic("two sentences have the code " + code)
	}
	catalogue[code] = s
	return s
}

// Codes are those of the sentences whose codes begin so, in order.
func Codes(prefix string) (all []string) {
	for code := range catalogue {
		if strings.HasPrefix(code, prefix) {
			all = append(all, code)
		}
	}
	slices.Sort(all)
	return all
}

// With fills the gaps. Texts, what has a method Said, errors that carry one, and time spans are in the language of the
// sentence.
func (s *Sentence) With(gaps ...any) Text {
	if len(gaps) == 0 {
		return Text{s.code, s.en, s.es}
	}
	en, es := make([]any, len(gaps)), make([]any, len(gaps))
	for i, gap := range gaps {
		switch g := gap.(type) {
		case Text:
			en[i], es[i] = g.En, g.Es
		case time.Duration:
			t := Ago(g)
			en[i], es[i] = t.En, t.Es
		case interface{ Said() Text }:
			t := g.Said()
			en[i], es[i] = t.En, t.Es
		case error:
			t := Of(g)
			en[i], es[i] = t.En, t.Es
		default:
			en[i], es[i] = g, g
		}
	}
	return Text{s.code, fmt.Sprintf(s.en, en...), fmt.Sprintf(s.es, es...)}
}

// Says reports whether t begins with the sentence.
func (s *Sentence) Says(t Text) bool { return t.Code == s.code }

// Error is an error in words for people.
func Error(t Text) error { return wording{t} }

type wording struct{ text Text }

func (w wording) Error() string { return w.text.En }
func (w wording) Said() Text    { return w.text }

// Of is what an error says. As much of it as carries a text, by a method Said, is translated.
func Of(err error) Text {
	whole := Words(err.Error())
	var known interface {
		error
		Said() Text
	}
	if errors.As(err, &known) {
		said := known.Said()
		whole.Code = said.Code
		whole.Es = strings.Replace(whole.Es, said.En, said.Es, 1)
	}
	return whole
}

// Ago is a time span as people say it, in one unit.
func Ago(d time.Duration) Text {
	switch {
	case d < 2*time.Minute:
		return Words(fmt.Sprintf("%.0f s", d.Seconds()))
	case d < 2*time.Hour:
		return Words(fmt.Sprintf("%.0f min", d.Minutes()))
	case d < 48*time.Hour:
		return Words(fmt.Sprintf("%.0f h", d.Hours()))
	}
	return days.With(d.Hours() / 24)
}

// Offset is how far a clock is off, in words.
func Offset(seconds float64) Text {
	off := time.Duration(seconds * float64(time.Second))
	if off < 0 {
		return behind.With(-off)
	}
	return ahead.With(off)
}

// And is a list of names in words: a, b and c.
func And(names []string) Text {
	last := len(names) - 1
	if last < 1 {
		return Words(strings.Join(names, ""))
	}
	return and.With(strings.Join(names[:last], ", "), names[last])
}

// Contents is how much of each kind a swarm has, such as 3 nodes, 2 services, 0 secrets and 1 config.
func Contents(nodes, services, secrets, configs int) Text {
	return contents.With(count(nodes, "node", "nodo"), count(services, "service", "servicio"),
		count(secrets, "secret", "secreto"),
		count(configs, "config", "config"))
}

// count is how many there are of what has an s in the plural, in every language.
func count(n int, en, es string) Text {
	end := "s"
	if n == 1 {
		end = ""
	}
	return Text{En: fmt.Sprintf("%d %s%s", n, en, end), Es: fmt.Sprintf("%d %s%s", n, es, end)}
}

// namesMax is how many names one sentence lists.
const namesMax = 4

// List is a list of names, of which the first few are said.
func List(all []string) string {
	if more := len(all) - namesMax; more > 0 {
		return fmt.Sprintf("%s, +%d", strings.Join(all[:namesMax], ", "), more)
	}
	return strings.Join(all, ", ")
}
