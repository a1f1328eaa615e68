package stacks

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Values that Docker does not take.

func (r refused) kind(m []string) fault {
	e, rest := follow(r.root, m[1]+".")
	f := fault{line: e.line(), said: m[0]}
	wants, _, _ := strings.Cut(strings.TrimRight(m[3], ","), ",")
	switch {
	case m[1] == "version":
		f.remedy = versionRemedy
	case rest == "": // else it is about something that is not there
		f.remedy = rewritten(wants, m[1], e)
	}
	return f
}

// rewritten is how to write the entry at path so that it is what Docker wants.
func rewritten(wants, path string, e entry) string {
	text, one := textOf(e.value)
	parts := mappings(e.value)
	switch {
	case isNull(e.value):
		return "there is nothing in it: write something below it, indented, or take it out"
	case wants == "mapping" && one:
		return fmt.Sprintf("write names with a colon below it, such as image: %s", text)
	case wants == "mapping" && e.value.Kind == yaml.SequenceNode:
		return "write names with a colon there, without dashes"
	case wants == "list" && one:
		return fmt.Sprintf("write %s: [%q]", e.key.Value, text)
	case wants == "list":
		return "write a line with a dash for each, without conditions"
	case (wants == "integer" || wants == "number") && one:
		return "write it in digits, without quotes"
	case !strings.HasPrefix(wants, "string") || isText(e.value): // it may want something of the text
		return ""
	case one && strings.Contains(path, ".environment."): // whose values are shown to nobody
		return "put quotes around it"
	case one:
		return fmt.Sprintf("put quotes around it: %q", text)
	case len(parts) == 1:
		return fmt.Sprintf("write one text there, such as %s=VALUE", parts[0].key.Value)
	}
	return "write one text there"
}

func (r refused) format(m []string) fault {
	means := map[string]string{
		"duration":          "write a number with a unit, such as 10s or 1m30s",
		"ports":             `write it as "8080:80", the board's port first`,
		"expose":            `write it as "80"`,
		"subnet_ip_address": "write it as 10.5.0.0/24",
	}
	return fault{r.line(m[1]), m[0], means[m[2]]}
}

func (r refused) missing(m []string) fault {
	return fault{r.line(m[1]), m[0], "write " + m[2] + ": and its value there, too"}
}

// interpolation leaves out the value, which may be a password: what is said is on the page.
func (r refused) interpolation(m []string) fault {
	path, part := strings.CutSuffix(m[1], ".[]")
	e := r.find(path)
	if part {
		one := mentions(e.value, func(text string) bool {
			return strings.Contains(strings.ReplaceAll(text, "$$", ""), "$") && strings.Contains(m[2], fmt.Sprintf("%q", text))
		})
		if one.key != nil {
			e = one
		}
	}
	said := "invalid interpolation format for " + m[1]
	if strings.Contains(m[2], "is missing a value") {
		return fault{e.line(), said, "no variable has a value here: write the value itself"}
	}
	return fault{e.line(), said, "write $$ for a $ that is meant"}
}

func (r refused) empty(m []string) fault {
	return fault{r.line(m[1]), strings.TrimSuffix(m[0], ": "), "no variable has a value here: write the value itself"}
}

// decoding says which value of which option, but not in which service.
func (r refused) decoding(m []string) fault {
	keys := strings.Split(strings.ToLower(m[1]), ".")
	f := fault{said: m[1] + ": " + m[2]}
	for _, s := range r.services() {
		if e := mentions(value(s.value, keys...), sharesWord(m[2])); e.key != nil {
			f.line, f.said = e.line(), fmt.Sprintf("%s of service %s: %s", strings.Join(keys, "."), s.key.Value, m[2])
			break
		}
	}
	switch {
	case keys[0] == "ports":
		f.remedy = `write it as "8080:80", the board's port first`
	case keys[len(keys)-1] == "memory":
		f.remedy = "write it as 100M or 1G"
	}
	return f
}

// sharesWord accepts a text that has one of the words in said, other than short ones without digits.
func sharesWord(said string) func(text string) bool {
	var words []string
	for _, word := range strings.Fields(strings.ToLower(said)) {
		if word = strings.Trim(word, `'":,.`); len(word) > 2 || strings.ContainsAny(word, "0123456789") {
			words = append(words, word)
		}
	}
	return func(text string) bool {
		text = strings.ToLower(text)
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
	}
}
