package stacks

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
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

// located puts file and line before what Docker said of a stack, and the remedy behind it. Docker itself names a line only
// when the file is no YAML, and then one near the mistake.
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
	return errors.New(strings.Join(strings.Fields(whole), " ")) // of one line, whatever names are in it
}

// fromEngine is what comes before the words of the engine.
var fromEngine = regexp.MustCompile(`Error response from daemon: |rpc error: code = \w+ desc = `)

// rule is how Docker complains of one kind of fault. Its words are those of 20.10, 26.1 and 28.2.
type rule struct {
	says  *regexp.Regexp
	fault func(r refused, m []string) fault // m are its groups
}

// rules are tried in their order.
var rules []rule

func init() { // for some of them are made of others
	for _, r := range []struct {
		says  string
		fault func(refused, []string) fault
	}{
		{`^unsupported Compose file version: .*`, refused.version},
		{`^yaml: line (\d+): (.*)`, refused.syntax},
		{`(?s)^yaml: unmarshal errors:\s+line (\d+): (.*)`, refused.twice},
		{`^yaml: (?:invalid (?:leading|trailing) UTF-8|control characters).*`, refused.encoding},
		{`^yaml: unknown anchor '(.*)' referenced`, refused.anchor},
		{`(?i)^top-level object must be a mapping`, refused.noMapping},
		{`(?i)^non-string key (?:in (\S+): (.*)|at top level)|^json: unsupported type: map.*`, refused.oddKey},
		{`(?s)^Compose file contains unsupported options:(.*)`, refused.options},
		{`^(.+?) Additional property (.+) is not allowed`, refused.unknown},
		{`^(version|(?:services|networks|volumes|configs|secrets)(?:\..+?)?) must be (an? )(.+)`, refused.kind},
		{`^(\S+) [Dd]oes not match format '(\S+)'`, refused.format},
		{`^(\S+) (\S+) is required`, refused.missing},
		{`^invalid interpolation format for ([^:]+): (.*)`, refused.interpolation},
		{`^error while interpolating ([^:]+): `, refused.empty},
		{`(?s)error decoding '([\w.]+)': (.*)`, refused.decoding},
		{`^(?:invalid env file \(.*\): |env file .*)(?:contains )?(invalid utf8 bytes).*`, refused.variables},
		{`^(?:invalid env file \(.*\)|poorly formatted environment): (variable .* contains whitespaces|no variable name).*`,
			refused.variables},
		{`(?:^|: )(?:open|read|stat) (.+): [\w ]+$`, refused.unread},
		{`^service "?([\w.-]+?)"?:? (?:refers to )?undefined (network|volume|config|secret) "?([^":]+)"?`, refused.undefined},
		{`^(network) "(.+)" is declared as external`, refused.external},
		{`^service [\w.-]+: (secret|config) not found: (\S+)`, refused.external},
		{`^failed to update (config|secret) (\S+): only updates to Labels are allowed`, refused.changed},
		{`^failed to (?:create|update) (config|secret|network) (\S+): .*`, refused.object},
		{`^failed to (?:create|update) service (\S+): (.*)`, refused.service},
		{`^invalid image reference for service ([\w.-]+): .*`, refused.image},
		{`^[Ss]ervice "?([\w.-]+?)"?:? (.*)`, refused.inService},
		{`^((?:services|networks|volumes|configs|secrets)\.\S+) `, refused.path},
	} {
		rules = append(rules, rule{regexp.MustCompile(r.says), r.fault})
	}
}

// line is where path leads to.
func (r refused) line(path string) int { return r.find(path).line() }

// lineWith is the first line of the text that match accepts, 0 without one.
func (r refused) lineWith(match func(line []byte) bool) int {
	return slices.IndexFunc(bytes.Split(r.text, []byte("\n")), match) + 1
}

const versionRemedy = `write version: "3.8"`

func (r refused) version(m []string) fault {
	line := r.line("version")
	if line == 0 {
		return fault{0, m[0], versionRemedy + " as its first line"}
	}
	return fault{line, m[0], versionRemedy}
}

var tabbed = regexp.MustCompile(`^ *\t`)

func (r refused) syntax(m []string) fault {
	f := fault{0, m[0], "look there and a few lines below"}
	tab, line := r.lineWith(tabbed.Match), 0
	_, _ = fmt.Sscan(m[1], &line) // digits
	switch {
	case strings.Contains(m[2], "cannot start any token") && tab > 0:
		return fault{tab, m[2], "indent it with spaces, for YAML takes no tabs there"}
	case strings.Contains(m[2], "cannot start any token"):
		return fault{line, m[2], "put quotes around a text that begins with %, @ or `"}
	case strings.Contains(m[2], "unexpected end of stream"):
		f.remedy = "look for quotes that are not closed, there and above"
	case strings.Contains(m[2], "mapping values are not allowed"):
		f.remedy += ", for a line that is not in its column, or a text with a colon and a space that needs quotes"
	}
	return f
}

func (r refused) twice(m []string) fault {
	line := 0
	_, _ = fmt.Sscan(m[1], &line) // digits
	said, _, _ := strings.Cut(m[2], "\n")
	return fault{line, said, "take one of the two out, or give it another name"}
}

func (r refused) encoding(m []string) fault {
	line := r.lineWith(func(line []byte) bool {
		return !utf8.Valid(line) || bytes.ContainsFunc(line, func(c rune) bool { return c < ' ' && c != '\t' && c != '\r' })
	})
	return fault{line, m[0], "save the file as UTF-8"}
}

func (r refused) anchor(m []string) fault {
	line := r.lineWith(func(line []byte) bool { return bytes.Contains(line, []byte("*"+m[1])) })
	return fault{line, m[0], fmt.Sprintf("write &%s before it, where what it stands for is", m[1])}
}

func (r refused) noMapping(m []string) fault {
	if r.root == nil || r.root.isNull() {
		return fault{0, "there is nothing in it", "write services: and below it what is to run, or take the file away"}
	}
	return fault{r.root.line, m[0], "begin with services: and write below it what is to run"}
}

// oddKey is for names that YAML takes for something else than text: n for no, 5 for a number.
func (r refused) oddKey(m []string) fault {
	odd := func(key *node) bool {
		return key.kind == scalar && !key.isText()
	}
	var among func(n *node, deep int) *node
	among = func(n *node, deep int) *node {
		for _, e := range mappings(n) {
			if odd(e.key) {
				return e.key
			}
			if deep == 0 {
				continue
			}
			if k := among(e.value, deep-1); k != nil {
				return k
			}
		}
		return nil
	}
	k := among(r.root, 6)
	if m[1] != "" {
		k = among(r.find(m[1]).value, 0)
	}
	if k == nil {
		return fault{r.line(m[1]), m[0], "put quotes around names that are no words"}
	}
	return fault{k.line, m[0], fmt.Sprintf("put quotes around it: %q", k.text)}
}

// options are those of which Docker says that it does not go on with them.
func (r refused) options(m []string) fault {
	type hit struct {
		line              int
		option, in, means string
	}
	var hits []hit
	for line := range strings.Lines(m[1]) {
		o := optionAdvice.FindStringSubmatch(strings.TrimSpace(line))
		if o == nil {
			continue
		}
		for _, s := range r.services() {
			if e := at(s.value, o[1]); e.key != nil {
				text, _ := textOf(e.value)
				hits = append(hits, hit{e.line(), o[1], s.key.text, instead(o[1], text, o[2])})
			}
		}
	}
	if len(hits) == 0 {
		return fault{said: m[0]}
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.line, b.line) })
	f := fault{hits[0].line, fmt.Sprintf("%s of service %s is not for a swarm", hits[0].option, hits[0].in), hits[0].means}
	for _, h := range hits[1:] {
		f.remedy += fmt.Sprintf("; likewise %s of service %s in line %d: %s", h.option, h.in, h.line, h.means)
	}
	return f
}

// instead is what to write in place of an option with that value; said is what Docker advises.
func instead(option, value, said string) string {
	switch option {
	case "mem_limit":
		return fmt.Sprintf("write deploy: {resources: {limits: {memory: %s}}}", cmp.Or(value, "100M"))
	case "cpu_quota", "cpu_shares", "cpuset", "cpus":
		return `write deploy: {resources: {limits: {cpus: "0.5"}}}`
	case "mem_reservation":
		return fmt.Sprintf("write deploy: {resources: {reservations: {memory: %s}}}", cmp.Or(value, "100M"))
	case "memswap_limit":
		return "take it out"
	case "extends":
		return "take it out, and write what it takes over into the service itself"
	case "volumes_from":
		return "take it out, and name the same volume in both services"
	}
	return said
}

func (r refused) unknown(m []string) fault {
	path, name := strings.TrimPrefix(m[1], "(root)"), m[2]
	f := fault{r.line(strings.TrimPrefix(path+"."+name, ".")), m[0], "take " + name + " out"}
	section, service, _ := strings.Cut(path, ".")
	v := r.find(strings.TrimPrefix(path+"."+name, ".")).value
	version, _ := textOf(value(r.root, "version"))
	switch {
	case path == "" && name == "name":
		f.remedy += ": the stack is called as its file is"
	case path == "" && (value(v, "image") != nil || value(v, "build") != nil):
		f.remedy = "write services: above it, and indent it"
	case path == "services" || len(service) == 0 && slices.Contains(sections, section):
		f.remedy = fmt.Sprintf("names have only letters, digits, -, _ and ., such as %s", plainName(name))
	case section == "services" && old.MatchString(version):
		f.remedy = fmt.Sprintf("take %s out, or %s", name, versionRemedy)
	case section == "services" && !strings.Contains(service, ".") && slices.Contains([]string{"cpus", "mem_reservation"}, name):
		text, _ := textOf(v)
		f.remedy = instead(name, text, "")
	case (section == "configs" || section == "secrets") && (name == "content" || name == "environment"):
		f.remedy = "write it into a file beside this one, and file: and its name here"
	}
	return f
}

// old are the versions that know fewer options than what 3.8 does.
var old = regexp.MustCompile(`^3(\.[0-7])?$`)

// sections are the parts of a Compose file that name things.
var sections = []string{"services", "networks", "volumes", "configs", "secrets"}

var unplain = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)

func plainName(name string) string {
	return cmp.Or(strings.Trim(unplain.ReplaceAllString(name, "_"), "_"), "web")
}

func (r refused) kind(m []string) fault {
	e, rest := follow(r.root, m[1])
	f := fault{line: e.line(), said: m[0]}
	v := resolved(e.value)
	if rest != "" { // it is about something that is not there
		v = nil
	}
	text, one := textOf(v)
	switch wants, _, _ := strings.Cut(strings.TrimRight(m[3], ","), ","); {
	case m[1] == "version":
		f.remedy = versionRemedy
	case v == nil:
	case v.isNull():
		f.remedy = "there is nothing in it: write something below it, indented, or take it out"
	case wants == "mapping" && one:
		f.remedy = fmt.Sprintf("write names with a colon below it, such as image: %s", text)
	case wants == "mapping" && v.kind == list:
		f.remedy = "write names with a colon there, without dashes"
	case wants == "list" && one:
		f.remedy = fmt.Sprintf("write %s: [%q]", e.key.text, text)
	case wants == "list":
		f.remedy = "write a line with a dash for each, without conditions"
	case strings.HasPrefix(wants, "string") && v.isText(): // it wants something of the text
	case strings.HasPrefix(wants, "string") && one && strings.Contains(m[1], ".environment."):
		f.remedy = "put quotes around it" // and show nobody what it is
	case strings.HasPrefix(wants, "string") && one:
		f.remedy = fmt.Sprintf("put quotes around it: %q", text)
	case strings.HasPrefix(wants, "string"):
		f.remedy = "write one text there"
		if parts := mappings(v); len(parts) == 1 {
			f.remedy += fmt.Sprintf(", such as %s=VALUE", parts[0].key.text)
		}
	case (wants == "integer" || wants == "number") && one:
		f.remedy = "write it in digits, without quotes"
	}
	return f
}

func (r refused) format(m []string) fault {
	means := map[string]string{
		"duration": "write a number with a unit, such as 10s or 1m30s", "ports": `write it as "8080:80", the board's port first`,
		"expose": `write it as "80"`, "subnet_ip_address": "write it as 10.5.0.0/24",
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
		if one := mentions(e.value, func(text string) bool {
			return strings.Contains(strings.ReplaceAll(text, "$$", ""), "$") && strings.Contains(m[2], fmt.Sprintf("%q", text))
		}); one.key != nil {
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
		n := s.value
		for _, k := range keys {
			n = value(n, k)
		}
		e := mentions(n, func(text string) bool {
			text = strings.ToLower(text)
			return slices.ContainsFunc(strings.Fields(strings.ToLower(m[2])), func(word string) bool {
				word = strings.Trim(word, `'":,.`)
				return strings.Contains(text, word) && (len(word) > 2 || strings.ContainsAny(word, "0123456789"))
			})
		})
		if e.key != nil {
			f.line, f.said = e.line(), fmt.Sprintf("%s of service %s: %s", strings.Join(keys, "."), s.key.text, m[2])
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

// variables looks for the line itself: Docker does not always name the file, and shows what stands in it.
func (r refused) variables(m []string) fault {
	for _, s := range r.sources(r.dir) {
		if !s.env {
			continue
		}
		text, err := read(s.path)
		if err != nil {
			continue
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			name, _, _ := bytes.Cut(bytes.TrimLeft(line, " \t"), []byte("="))
			name = bytes.TrimRight(name, "\r")
			odd := bytes.ContainsAny(name, " \t") || len(name) == 0 && bytes.Contains(line, []byte("="))
			if !utf8.Valid(line) || odd && !bytes.HasPrefix(name, []byte("#")) {
				said := fmt.Sprintf("line %d of %s is no variable", i+1, s.path)
				return fault{s.key.line, said, "write NAME=value there, in UTF-8 and without a space before the ="}
			}
		}
	}
	said, _, _ := strings.Cut(m[1], "'") // what follows may be a password
	return fault{said: "in an env_file: " + strings.TrimSpace(said)}
}

func (r refused) unread(m []string) fault {
	path := filepath.Clean(m[1])
	f := fault{said: m[0]}
	for _, s := range r.sources(r.dir) {
		if s.path == path {
			f.line = s.key.line
			f.said = strings.TrimPrefix(m[0], ": ")
		}
	}
	switch {
	case strings.HasSuffix(m[0], "no such file or directory"):
		f.remedy = "put the file there"
	case strings.HasSuffix(m[0], "is a directory"):
		f.remedy = "name a file in it"
	}
	return f
}

func (r refused) undefined(m []string) fault {
	service, kind, name := m[1], m[2], m[3]
	in := value(r.find("services."+service).value, kind+"s")
	e := mentions(in, func(text string) bool { return text == name || strings.HasPrefix(text, name+":") })
	line := e.line()
	if line == 0 {
		line = r.line("services." + service + "." + kind + "s." + name)
	}
	example := fmt.Sprintf("%ss: {%s: {}}", kind, name)
	if kind == "config" || kind == "secret" {
		example = fmt.Sprintf("%ss: {%s: {file: ./%s}}", kind, name, name)
	}
	return fault{line, m[0], fmt.Sprintf("write %s at the end of the file, not indented", example)}
}

// named is the config, secret or network that Docker knows by that name.
func (r refused) named(kind, name string) entry {
	for _, e := range mappings(value(r.root, kind+"s")) {
		own, _ := textOf(value(e.value, "name"))
		if own == "" {
			own, _ = textOf(value(value(e.value, "external"), "name"))
		}
		if own == name || own == "" && (e.key.text == name || r.stack+"_"+e.key.text == name) {
			return e
		}
	}
	return entry{}
}

func (r refused) external(m []string) fault {
	kind, name := m[1], m[2]
	remedy := fmt.Sprintf("docker %s create %s FILE on a manager makes it", kind, name)
	if kind == "network" {
		remedy = fmt.Sprintf("docker network create --driver overlay %s on a manager makes it", name)
	}
	said, _, _ := strings.Cut(m[0], ". You need")
	return fault{r.named(kind, name).line(), said, remedy}
}

var counted = regexp.MustCompile(`^(.*_)(\d{1,6})$`)

// changed is for files of configs and secrets: Docker changes none that is there.
func (r refused) changed(m []string) fault {
	kind, name := m[1], m[2]
	next := name + "_2"
	if c := counted.FindStringSubmatch(name); c != nil {
		n := 0
		_, _ = fmt.Sscan(c[2], &n) // digits
		next = fmt.Sprintf("%s%d", c[1], n+1)
	}
	e := r.named(kind, name)
	f := fault{e.line(), fmt.Sprintf("%s %s has changed, and Docker changes none that is there", kind, name),
		fmt.Sprintf("write name: %s there, which makes a new one", next)}
	if own := at(e.value, "name"); own.key != nil {
		f.line = own.line()
	}
	return f
}

func (r refused) object(m []string) fault {
	f := fault{line: r.named(m[1], m[2]).line(), said: m[0]}
	if strings.Contains(m[0], "must be larger than 0 and less than") {
		f.remedy = "put something into the file, or a big one into the image or a volume"
	}
	return f
}

// service is what the engine says of a service.
func (r refused) service(m []string) fault {
	name := strings.TrimPrefix(m[1], r.stack+"_")
	said := fmt.Sprintf("service %s: %s", name, m[2])
	in := "services." + name
	switch text := m[2]; {
	case strings.Contains(text, "image reference must be provided"):
		return r.image([]string{said, name})
	case strings.Contains(text, "repository/tag"):
		return r.image([]string{said, name})
	case strings.Contains(text, "is already in use by service"):
		return fault{r.line(in + ".ports"), said, "give one of the two another port"}
	case strings.Contains(text, "constraint"):
		return fault{r.line(in + ".deploy.placement.constraints"), said, `write it as "node.labels.x == y"`}
	case strings.Contains(text, "memory value"):
		return fault{r.line(in + ".deploy.resources"), said, ""}
	case strings.Contains(text, "RestartCondition"):
		return fault{r.line(in + ".deploy.restart_policy.condition"), said, "write any, on-failure or none"}
	case strings.Contains(text, "cannot be used with services"):
		if n := network.FindStringSubmatch(text); n != nil {
			return fault{cmp.Or(r.named("network", n[1]).line(), r.line(in)), said, "take its driver out, or write overlay"}
		}
	case strings.Contains(text, "valid as a DNS name component"):
		return fault{r.line(in), said, "give it a name of a-z, 0-9 and -"}
	}
	return fault{r.line(in), said, ""}
}

// network is how the engine names one.
var network = regexp.MustCompile(`[Tt]he network (\S+) `)

func (r refused) image(m []string) fault {
	in := "services." + m[1]
	f := fault{line: r.line(in + ".image"), said: m[0]}
	text, is := textOf(r.find(in + ".image").value)
	switch {
	case !is || value(r.find(in).value, "image") == nil:
		f.line, f.remedy = cmp.Or(r.line(in+".build"), r.line(in)), "name an image, for a swarm builds none: image: NAME"
	case strings.Contains(text, "$"):
		f.remedy = "no variable has a value here: write the value itself"
	case strings.ToLower(text) != text:
		f.remedy = "write its name in small letters"
	}
	return f
}

func (r refused) inService(m []string) fault {
	in := "services." + m[1]
	f := fault{line: r.line(in), said: m[0]}
	switch {
	case strings.HasPrefix(m[2], "Unknown mode"):
		f.line, f.remedy = r.line(in+".deploy.mode"), "write replicated or global"
	case strings.HasPrefix(m[2], "replicas can only"):
		f.line, f.remedy = r.line(in+".deploy.replicas"), "take replicas out"
	case strings.Contains(m[2], "rational number"):
		f.line, f.remedy = r.line(in+".deploy.resources"), `write it with a point: cpus: "0.5"`
	}
	return f
}

func (r refused) path(m []string) fault { return fault{line: r.line(m[1])} }
