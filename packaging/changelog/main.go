// Command changelog turns CHANGELOG.md on its standard input into a Debian changelog on its standard output. The
// version and the date of a package come from there.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"strings"
	"time"
)

const maintainer = "The pi-agent authors <pi-agent@users.noreply.github.com>"

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	out, err := debian(string(text))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(out)
}

var heading = regexp.MustCompile(`^([0-9][0-9A-Za-z.~]*) / ([0-9]{4}-[0-9]{2}-[0-9]{2})\n`)

// debian returns text in the format of deb-changelog(5). Each "## VERSION / YYYY-MM-DD" in text begins an entry whose
// items begin with "* " at the start of a line.
func debian(text string) (string, error) {
	var b strings.Builder
	_, releases, ok := strings.Cut("\n"+text, "\n## ")
	if !ok {
		return "", errors.New("no release in the changelog")
	}
	for release := range strings.SplitSeq(releases, "\n## ") {
		m := heading.FindStringSubmatch(release)
		if m == nil {
			first, _, _ := strings.Cut(release, "\n")
			return "", fmt.Errorf("heading %q is not VERSION / YYYY-MM-DD", first)
		}
		date, err := time.Parse(time.DateOnly, m[2])
		if err != nil {
			return "", fmt.Errorf("version %s: %w", m[1], err)
		}
		fmt.Fprintf(&b, "pi-agent (%s) stable; urgency=medium\n\n", m[1])
		for _, item := range strings.Split("\n"+release[len(m[0]):], "\n* ")[1:] {
			b.WriteString(wrapped(item))
		}
		fmt.Fprintf(&b, "\n -- %s  %s\n\n", maintainer, date.Format(time.RFC1123Z))
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// lineMax is the length of a line that lintian allows, in bytes.
const lineMax = 80

// wrapped returns an item of an entry.
func wrapped(item string) string {
	var b strings.Builder
	line := "  *"
	for word := range strings.FieldsSeq(item) {
		if len(line)+1+len(word) > lineMax {
			b.WriteString(line + "\n")
			line = "   "
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}
