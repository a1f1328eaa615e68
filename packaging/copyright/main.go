// Command copyright writes the copyright file of the Debian package, in machine-readable format 1.0, to its standard
// output: the licences of pi-agent, of the modules that are really linked into it, and of Go's standard library. Its
// argument is the build tags.
//
// A licence that it does not know is an error, so that none gets into the package unread.
package main

import (
	"errors"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const header = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: pi-agent
Source: https://github.com/pi-agent/pi-agent
Comment: Each paragraph but the first is about Go modules that are linked into the program; go is the standard library.

Files: *
Copyright: 2026 The pi-agent authors
License: Apache-2.0
`

const footer = `
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
`

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: copyright BUILD-TAGS")
	}
	modules, err := linked(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	text, err := copyright(modules)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
}

// module is code with one licence: its files, as the copyright file calls them, and the directories to look for
// licences in.
type module struct {
	name string
	dirs []string
}

// linked returns what is linked into pi-agent for any of the CPUs it is built for.
func linked(tags string) ([]module, error) {
	dirs := map[string]map[string]bool{}
	for _, cpu := range []string{"arm64", "arm", "amd64"} {
		c := exec.Command("go", "list", "-deps", "-tags", tags, "-f", "{{if .Standard}}go\t{{.Root}}\t{{.Root}}"+
			"{{else if not .Module.Main}}{{.Module.Path}}@{{.Module.Version}}\t{{.Module.Dir}}\t{{.Dir}}{{end}}",
			"github.com/pi-agent/pi-agent/cmd/pi-agent")
		c.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+cpu, "CGO_ENABLED=0")
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimSpace(line), "\t")
			if len(f) != 3 {
				continue // a package of pi-agent
			}
			if dirs[f[0]] == nil {
				dirs[f[0]] = map[string]bool{f[1]: true}
			}
			for d := f[2]; len(d) > len(f[1]); d = filepath.Dir(d) {
				dirs[f[0]][d] = true
			}
		}
	}
	var all []module
	for _, name := range slices.Sorted(maps.Keys(dirs)) {
		all = append(all, module{name, slices.Sorted(maps.Keys(dirs[name]))})
	}
	return all, nil
}

// copyright returns the file. Modules with the same licence text and notices share a paragraph.
func copyright(modules []module) (string, error) {
	files := map[string][]string{}
	for _, m := range modules {
		p, err := paragraph(m)
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.name, err)
		}
		files[p] = append(files[p], m.name+"/*")
	}
	var all []string
	for p, names := range files {
		all = append(all, "\nFiles: "+strings.Join(names, "\n ")+"\n"+p)
	}
	slices.Sort(all)
	return header + strings.Join(all, "") + footer, nil
}

var (
	licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)(\.txt|\.md)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^notice(\.txt|\.md)?$`)
	holder      = regexp.MustCompile(`(?m)^\s*(?:Copyright(?: \([cC]\))?|©) (.*[0-9]{4}.*?)\s*$`)
	apacheTerms = regexp.MustCompile(`(?s)^\s*Apache License\s+Version 2\.0, January 2004.*limitations under the License\.\s*`)
)

// paragraph returns what is to be said of a module below the names of its files.
func paragraph(m module) (string, error) {
	licences, err := read(m.dirs, licenceFile)
	if err != nil {
		return "", err
	}
	if len(licences) == 0 {
		return "", errors.New("it has no licence")
	}
	notices, err := read(m.dirs, noticeFile)
	if err != nil {
		return "", err
	}
	var names, texts, holders []string
	for _, l := range licences {
		name, err := identify(l)
		if err != nil {
			return "", err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		// Debian wants no second copy of the terms of Apache-2.0; what comes after them must stay.
		texts = append(texts, apacheTerms.ReplaceAllString(l, ""))
	}
	for _, h := range holder.FindAllStringSubmatch(strings.Join(append(licences, notices...), "\n"), -1) {
		holders = append(holders, h[1])
	}
	if len(holders) == 0 {
		holders = []string{"The authors of " + m.name}
	}
	p := "Copyright: " + strings.Join(holders, "\n ") + "\n"
	if len(notices) > 0 {
		p += "Comment: The notice that comes with it:\n" + continued(notices)
	}
	return p + "License: " + strings.Join(names, " and ") + "\n" + continued(texts), nil
}

// read returns the texts of all files with such names.
func read(dirs []string, names *regexp.Regexp) (all []string, err error) {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !names.MatchString(e.Name()) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			all = append(all, string(text))
		}
	}
	return all, nil
}

// identify returns the names that Debian has for the licences in text.
func identify(text string) (string, error) {
	text = strings.Join(strings.Fields(text), " ")
	var all []string
	if strings.Contains(text, "Apache License Version 2.0, January 2004") {
		all = append(all, "Apache-2.0")
	}
	switch {
	case !strings.Contains(text, "Redistribution and use in source and binary forms"):
	case strings.Contains(text, "may be used to endorse or promote products"):
		all = append(all, "BSD-3-clause")
	default:
		all = append(all, "BSD-2-clause")
	}
	if strings.Contains(text, "Permission is hereby granted, free of charge, to any person obtaining a copy") {
		all = append(all, "Expat")
	}
	if len(all) == 0 {
		return "", errors.New("its licence is not one of Apache-2.0, BSD and Expat")
	}
	return strings.Join(all, " and "), nil
}

// continued returns texts as further lines of a field.
func continued(texts []string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(strings.Join(texts, "\n\n"))) {
		if line = strings.TrimSpace(line); line == "" {
			line = "."
		}
		b.WriteString(" " + line + "\n")
	}
	return b.String()
}
