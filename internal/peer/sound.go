package peer

// This file makes a claim fit to be said, whatever is in it.

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/tame"
)

// Sound is the claim as other boards take it. What this board was told by its firmware, its files and its engine may be
// anything, and must not keep it from speaking: a text is cut and freed of what cannot be printed, a name or an id that
// is none is left out, a number is brought within its bounds. Serial, cluster, tag and state are the agent's own and
// stay.
func (c Claim) Sound() Claim {
	c.Model = oneLine(c.Model, textMax)
	for _, t := range []*say.Text{&c.Trouble, &c.Waits} {
		*t = t.Map(func(s string) string { return oneLine(s, TroubleMax) })
	}
	if checkText(c.Hostname, textMax) != nil {
		c.Hostname = ""
	}
	for _, mark := range []*string{&c.Machine, &c.Engine} {
		if !tagForm.MatchString(*mark) {
			*mark = ""
		}
	}
	for _, id := range []*string{&c.Swarm, &c.Node, &c.Manages} {
		if !idForm.MatchString(*id) {
			*id = ""
		}
	}
	if checkOthers(c.Peers) != nil {
		c.Peers = ""
	}
	for _, n := range []*int{&c.Contents.Nodes, &c.Contents.Services, &c.Contents.Secrets, &c.Contents.Configs} {
		*n = min(max(*n, 0), contentsMax)
	}
	c.Nodes = max(c.Nodes, 0)
	c.Ready = min(max(c.Ready, 0), c.Nodes)
	return c
}

// checkText checks a text that people are shown. The error continues a sentence that begins with the name of its field.
func checkText(text string, most int) error {
	if len(text) > most {
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(text), most)
	}
	if strings.ContainsFunc(text, unprintable) {
		return fmt.Errorf("%q has characters that cannot be printed", text)
	}
	return nil
}

// unprintable reports whether a text may not have r. What is not UTF-8 is read as utf8.RuneError.
func unprintable(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }

// oneLine is text without line breaks and what else a claim may not have, cut to at most limit bytes.
func oneLine(text string, limit int) string {
	return tame.Cut(strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return ';'
		case r == utf8.RuneError:
			return '?'
		case unprintable(r):
			return ' '
		}
		return r
	}, text), limit)
}
