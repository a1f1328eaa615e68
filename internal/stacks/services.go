package stacks

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// What Docker and its engine say of a service, and of networks, volumes, configs and secrets.

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
			own, _ = textOf(value(e.value, "external", "name"))
		}
		if own == name || own == "" && (e.key.Value == name || r.stack+"_"+e.key.Value == name) {
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
		n, _ := strconv.Atoi(c[2]) // digits
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

// ofService are words in what Docker says of a service, with the part of the service that they are about, and a remedy.
var ofService = []struct{ words, part, remedy string }{
	{"is already in use by service", ".ports", "give one of the two another port"},
	{"constraint", ".deploy.placement.constraints", `write it as "node.labels.x == y"`},
	{"memory value", ".deploy.resources", ""},
	{"rational number", ".deploy.resources", `write it with a point: cpus: "0.5"`},
	{"RestartCondition", ".deploy.restart_policy.condition", "write any, on-failure or none"},
	{"Unknown mode", ".deploy.mode", "write replicated or global"},
	{"replicas can only", ".deploy.replicas", "take replicas out"},
	{"valid as a DNS name component", "", "give it a name of a-z, 0-9 and -"},
}

// inService has as groups a service and what Docker says of it.
func (r refused) inService(m []string) fault {
	in := "services." + m[1]
	for _, o := range ofService {
		if strings.Contains(m[2], o.words) {
			return fault{r.line(in + o.part), m[0], o.remedy}
		}
	}
	return fault{line: r.line(in), said: m[0]}
}

// network is how the engine names one.
var network = regexp.MustCompile(`[Tt]he network (\S+) `)

// service is what the engine says of a service.
func (r refused) service(m []string) fault {
	name := strings.TrimPrefix(m[1], r.stack+"_")
	m = []string{fmt.Sprintf("service %s: %s", name, m[2]), name, m[2]}
	switch n := network.FindStringSubmatch(m[2]); {
	case strings.Contains(m[2], "image reference must be provided"), strings.Contains(m[2], "repository/tag"):
		return r.image(m)
	case n != nil && strings.Contains(m[2], "cannot be used with services"):
		line := cmp.Or(r.named("network", n[1]).line(), r.line("services."+name))
		return fault{line, m[0], "take its driver out, or write overlay"}
	}
	return r.inService(m)
}

func (r refused) image(m []string) fault {
	in := "services." + m[1]
	f := fault{line: r.line(in + ".image"), said: m[0]}
	text, ok := textOf(r.find(in + ".image").value)
	switch {
	case !ok || value(r.find(in).value, "image") == nil:
		f.line, f.remedy = cmp.Or(r.line(in+".build"), r.line(in)), "name an image, for a swarm builds none: image: NAME"
	case strings.Contains(text, "$"):
		f.remedy = "no variable has a value here: write the value itself"
	case strings.ToLower(text) != text:
		f.remedy = "write its name in small letters"
	}
	return f
}

func (r refused) path(m []string) fault { return fault{line: r.line(m[1])} }
