package stacks

// This file finds the line in a Compose file that Docker complains of, and what to do about it: the table of rules.

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// fault is what is wrong with a stack.
type fault struct {
	line   int    // in the Compose file; 0 where it cannot be told
	said   string // in Docker's words, as far as they are fit to be shown
	remedy string
}

// refused is a Compose file that Docker did not take.
type refused struct {
	stack string
	dir   string // of the file
	text  []byte
	outline
}

// located puts file and line before what Docker said of a stack, and the remedy behind it. Docker itself names a line
// only when the file is no YAML, and then one near the mistake.
func located(stack, path string, text []byte, err error) error {
	r := refused{stack, filepath.Dir(path), text, outlineOf(text)}
	said := fromEngine.ReplaceAllString(err.Error(), "")
	f := fault{said: said}
	for _, rule := range rules {
		if m := rule.says.FindStringSubmatch(said); m != nil {
			f = rule.fault(r, m)
			break
		}
	}
	where := path
	if f.line > 0 {
		where = fmt.Sprintf("%s:%d", path, f.line)
	}
	whole := fmt.Sprintf("%s: %s", where, cmp.Or(f.said, said))
	if f.remedy != "" {
		whole += ": " + f.remedy
	}
	return errors.New(oneLine(whole))
}

// oneLine makes one line of a sentence, whatever names are in it.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// fromEngine is what comes before the words of the engine.
var fromEngine = regexp.MustCompile(`Error response from daemon: |rpc error: code = \w+ desc = `)

// rule is how Docker complains of one kind of fault. Its words are those of 20.10, 26.1 and 28.2.
type rule struct {
	says  *regexp.Regexp
	fault func(r refused, m []string) fault // m are its groups
}

// by is a rule whose expression is says.
func by(says string, f func(r refused, m []string) fault) rule {
	return rule{regexp.MustCompile(says), f}
}

// rules are tried in their order.
var rules = []rule{
	by(`^unsupported Compose file version: .*`, refused.version),
	by(`^yaml: line (\d+): (.*)`, refused.syntax),
	by(`(?s)^yaml: unmarshal errors:\s+line (\d+): (.*)`, refused.twice),
	by(`^yaml: (?:invalid (?:leading|trailing) UTF-8|control characters).*`, refused.encoding),
	by(`^yaml: unknown anchor '(.*)' referenced`, refused.anchor),
	by(`(?i)^top-level object must be a mapping`, refused.noMapping),
	by(`(?i)^non-string key (?:in (\S+): .*|at top level)|^json: unsupported type: map.*|^yaml: invalid map key`,
		refused.oddKey),
	by(`(?s)^Compose file contains unsupported options:(.*)`, refused.options),
	by(`^(.+?) Additional property (.+) is not allowed`, refused.unknown),
	by(`^(version|(?:services|networks|volumes|configs|secrets)(?:\..+?)?) must be (an? )(.+)`, refused.kind),
	by(`^(\S+) [Dd]oes not match format '(\S+)'`, refused.format),
	by(`^(\S+) (\S+) is required`, refused.missing),
	by(`^invalid interpolation format for ([^:]+): (.*)`, refused.interpolation),
	by(`^error while interpolating ([^:]+): `, refused.empty),
	by(`(?s)error decoding '([\w.]+)': (.*)`, refused.decoding),
	by(`^(?:invalid env file \(.*\): |env file .*)(?:contains )?(invalid utf8 bytes).*`, refused.variables),
	by(`^(?:invalid env file \(.*\)|poorly formatted environment): (variable .* contains whitespaces|no variable name).*`,
		refused.variables),
	by(`(?:^|: )(?:open|read|stat) (.+): [\w ]+$`, refused.unread),
	by(`^service "?([\w.-]+?)"?:? (?:refers to )?undefined (network|volume|config|secret) "?([^":]+)"?`,
		refused.undefined),
	by(`^(network) "(.+)" is declared as external`, refused.external),
	by(`^service [\w.-]+: (secret|config) not found: (\S+)`, refused.external),
	by(`^failed to update (config|secret) (\S+): only updates to Labels are allowed`, refused.changed),
	by(`^failed to (?:create|update) (config|secret|network) (\S+): .*`, refused.object),
	by(`^failed to (?:create|update) service (\S+): (.*)`, refused.service),
	by(`^invalid image reference for service ([\w.-]+): .*`, refused.image),
	by(`^[Ss]ervice "?([\w.-]+?)"?:? (.*)`, refused.inService),
	by(`^((?:services|networks|volumes|configs|secrets)\.\S+) `, refused.path),
}

// line is where path leads to.
func (r refused) line(path string) int { return r.find(path).line() }

// lineWith is the first line of the text that match accepts, 0 without one.
func (r refused) lineWith(match func(line []byte) bool) int {
	return slices.IndexFunc(bytes.Split(r.text, []byte("\n")), match) + 1
}
