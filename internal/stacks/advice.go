package stacks

// This file says what Docker takes in a Compose file and does not do.

import (
	"slices"
	"strings"

	"github.com/pi-agent/pi-agent/internal/say"
	"go.yaml.in/yaml/v3"
)

// usuallyIgnored are the options that Docker 20.10 to 28 leave out, for a file that this board has not deployed itself.
var usuallyIgnored = []string{
	"build", "cgroup_parent", "container_name", "devices", "domainname", "expose", "external_links", "ipc", "links",
	"mac_address", "network_mode", "pid", "privileged", "restart", "security_opt", "shm_size", "userns_mode",
}

// advice is what Docker takes in a Compose file and does not do, in sentences. leftOut are the options that it left
// out.
func advice(stack, path string, text []byte, leftOut []string) (all []say.Text) {
	o := outlineOf(text)
	for _, s := range o.services() {
		var names []string
		line := 0
		for _, e := range mappings(s.value) {
			name := e.key.Value
			if !slices.Contains(leftOut, name) || harmless(name, e.value) {
				continue
			}
			if name == "restart" {
				all = append(all, say.StackRestarts.With(stack, s.key.Value, path, e.line(), condition(e.value)))
				continue
			}
			if line == 0 || e.line() < line {
				line = e.line()
			}
			names = append(names, name)
		}
		if len(names) > 0 {
			slices.Sort(names)
			names = slices.Compact(names)
			all = append(all, say.StackLacks.With(stack, s.key.Value, say.And(names), path, line))
		}
	}
	if len(o.services()) == 0 && len(mappings(o.root)) > 0 {
		all = append(all, say.StackEmpty.With(stack, path))
	}
	if first, again := twice(o.root); again != nil {
		all = append(all, say.StackTwice.With(stack, oneLine(first.Value), first.Line, path, again.Line))
	}
	if o.next > 0 {
		all = append(all, say.StackSecondDocument.With(stack, path, o.next))
	}
	return all
}

// harmless reports whether a service does what its file means even though Docker ignores an option of that value.
func harmless(option string, v *yaml.Node) bool {
	text, _ := textOf(v)
	switch option {
	case "container_name", "expose": // only names; every port is open between services
		return true
	case "build": // it is the image that runs; one that is not there is told otherwise
		return true
	case "restart": // a swarm starts again whatever ends
		return condition(v) == "any"
	case "network_mode": // the networks of the stack do the same
		return text == "bridge" || text == "default"
	case "privileged":
		return text == "false"
	case "links": // services find each other by their names; another name is lost
		return mentions(v, func(link string) bool { return strings.Contains(link, ":") }).key == nil
	}
	return false
}

// condition is what deploy calls a value of restart.
func condition(restart *yaml.Node) string {
	text, _ := textOf(restart)
	switch text, _, _ = strings.Cut(text, ":"); text {
	case "no", "false":
		return "none"
	case "on-failure":
		return text
	}
	return "any"
}

// twice is a key that one mapping has two times, with the second; nil when there is none.
func twice(n *yaml.Node) (first, again *yaml.Node) {
	if n == nil {
		return nil, nil
	}
	seen := map[string]*yaml.Node{}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			continue
		}
		if before := seen[key.Value]; before != nil {
			return before, key
		}
		seen[key.Value] = key
	}
	for _, c := range n.Content {
		if first, again = twice(c); again != nil {
			return first, again
		}
	}
	return nil, nil
}
