package stacks

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Options that Docker does not know, or not in a swarm.

// optionsMax is how many options are named in one sentence.
const optionsMax = 10

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
				hits = append(hits, hit{e.line(), o[1], s.key.Value, instead(o[1], text, o[2])})
			}
		}
	}
	if len(hits) == 0 {
		return fault{said: m[0]}
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.line, b.line) })
	hits = hits[:min(len(hits), optionsMax)]
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
	e := r.find(strings.TrimPrefix(path+"."+name, "."))
	f := fault{e.line(), m[0], "take " + name + " out"}
	section, service, _ := strings.Cut(path, ".")
	version, _ := textOf(value(r.root, "version"))
	switch {
	case path == "" && name == "name":
		f.remedy += ": the stack is called as its file is"
	case path == "" && (value(e.value, "image") != nil || value(e.value, "build") != nil):
		f.remedy = "write services: above it, and indent it"
	case path == "services" || len(service) == 0 && slices.Contains(sections, section):
		f.remedy = fmt.Sprintf("names have only letters, digits, -, _ and ., such as %s", plainName(name))
	case section == "services" && old.MatchString(version):
		f.remedy = fmt.Sprintf("take %s out, or %s", name, versionRemedy)
	case section == "services" && !strings.Contains(service, ".") && (name == "cpus" || name == "mem_reservation"):
		text, _ := textOf(e.value)
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
