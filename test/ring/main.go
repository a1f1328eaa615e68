// Command ring runs the tests of a ring of the suite, and says at the end what they cost.
//
//	ring begin
//	ring run -name=NAME [-only=FILE | -except=FILE] -- ARGUMENTS OF GO TEST
//	ring report -budget=12m
//
// run is "go test" with a line for each test that takes a while, and everything that a test has said when it fails.
// FILE lists tests, a line each: the name, and what it proves. With -only these are run, and each of them must be there
// and pass; with -except all others. What was run is kept for report, which adds up what was run since begin.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// dir is where results are kept from run to report, and the file whose time is that of the beginning.
const (
	dir       = "bin/ring"
	beginName = "began"
)

// quick is how many seconds a test must take to have a line of its own when it passes.
const quick = 1

// slowest is how many of the slowest tests report names.
const slowest = 10

func main() {
	if err := ring(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ring:", err)
		os.Exit(1)
	}
}

func ring(args []string) error {
	if len(args) == 0 {
		return errors.New("give begin, run or report")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	switch args[0] {
	case "begin":
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, beginName), nil, 0o644)
	case "run":
		name := flags.String("name", "", "name of the step, for the report")
		only := flags.String("only", "", "file with the tests to run")
		except := flags.String("except", "", "file with the tests to leave out")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return run(*name, *only, *except, flags.Args())
	case "report":
		budget := flags.Duration("budget", 0, "how long the ring should take at most")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return report(os.Stdout, *budget)
	}
	return fmt.Errorf("%q: give begin, run or report", args[0])
}

// result is what became of a test.
type result struct {
	Package string
	Test    string  // empty for the package as a whole
	Action  string  // pass, fail or skip
	Seconds float64 // without Waited
	Waited  float64 // seconds until its lab's turn came
	Output  string  `json:"-"`
}

func run(name, only, except string, args []string) error {
	if name == "" || filepath.Base(name) != name {
		return fmt.Errorf("name %q: give a name for a file", name)
	}
	if only != "" && except != "" {
		return errors.New("give -only or -except, not both")
	}
	listed, err := read(only + except)
	if err != nil {
		return err
	}
	pattern := "^(" + strings.Join(listed, "|") + ")$"
	argv := []string{"test", "-json"}
	switch {
	case only != "":
		argv = append(argv, "-run", pattern)
	case except != "":
		argv = append(argv, "-skip", pattern)
	}
	c := exec.Command("go", append(argv, args...)...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	all, err := follow(out, os.Stdout)
	err = errors.Join(err, c.Wait())
	if err == nil && only != "" {
		err = missing(listed, all)
	}
	return errors.Join(err, keep(name, all))
}

// read returns the names in a list of tests; none without one.
func read(path string) (names []string, err error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if !testForm.MatchString(fields[0]) || len(fields) < 2 {
			return nil, fmt.Errorf("%s: %q: give the name of a test and what it proves", path, strings.TrimSpace(line))
		}
		names = append(names, fields[0])
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s lists no test", path)
	}
	return names, nil
}

var (
	testForm   = regexp.MustCompile(`^Test\w+$`)
	waitedForm = regexp.MustCompile(regexp.QuoteMeta(lab.Waited) + `([0-9.]+) s`)
)

// follow reads what go test says, and writes for people what they want to know. It returns the top-level tests, and the
// packages that failed.
func follow(r io.Reader, w io.Writer) (all []result, err error) {
	type event struct {
		Action, Package, Test, Output string
		Elapsed                       float64
	}
	running := map[[2]string]*result{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(w, lines.Text()) // what does not build says so in words
			continue
		}
		test, _, sub := strings.Cut(e.Test, "/")
		key := [2]string{e.Package, test}
		if running[key] == nil {
			running[key] = &result{Package: filepath.Base(e.Package), Test: test}
		}
		is := running[key]
		switch {
		case e.Action == "output" || e.Action == "build-output":
			is.Output += e.Output
			if m := waitedForm.FindStringSubmatch(e.Output); m != nil {
				seconds, _ := strconv.ParseFloat(m[1], 64) // the form is that of a number
				is.Waited += seconds
			}
		case e.Action == "skip" && e.Test != "":
			fmt.Fprintf(w, "skip         %s %s\n%s", is.Package, e.Test, is.Output)
			if !sub {
				is.Action = e.Action
				all = append(all, *is)
			}
		case sub || e.Action != "pass" && e.Action != "fail":
		case test == "":
			if is.Action = e.Action; e.Action == "fail" {
				for other, cut := range running { // a panic ends tests that have no end of their own
					if other[0] == e.Package && other[1] != "" && cut.Action == "" {
						fmt.Fprintf(w, "%sFAIL         %s %s did not end\n", cut.Output, cut.Package, cut.Test)
					}
				}
				fmt.Fprintf(w, "%sFAIL         %s\n", is.Output, is.Package)
				all = append(all, *is)
			}
		default:
			is.Action, is.Seconds = e.Action, max(0, e.Elapsed-is.Waited)
			switch {
			case e.Action == "fail":
				fmt.Fprintf(w, "%sFAIL %5.1f s  %s %s\n", is.Output, is.Seconds, is.Package, test)
			case is.Seconds >= quick:
				fmt.Fprintf(w, "ok   %5.1f s  %s %s\n", is.Seconds, is.Package, test)
			}
			all = append(all, *is)
			is.Output = ""
		}
	}
	return all, lines.Err()
}

// missing is an error unless each listed test was run, and passed.
func missing(listed []string, all []result) (errs error) {
	for _, name := range listed {
		if !slices.ContainsFunc(all, func(r result) bool { return r.Test == name && r.Action == "pass" }) {
			errs = errors.Join(errs, fmt.Errorf("%s is listed, and was not run", name))
		}
	}
	return errs
}

func keep(name string, all []result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".json"), b, 0o644)
}

func report(w io.Writer, budget time.Duration) error {
	began, err := os.Stat(filepath.Join(dir, beginName))
	if err != nil {
		return fmt.Errorf("when did the ring begin? %w", err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	var all []result
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var some []result
		if err := json.Unmarshal(b, &some); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, some...)
	}
	tell(w, all, time.Since(began.ModTime()), budget)
	return nil
}

// tell writes what a ring has cost.
func tell(w io.Writer, all []result, took, budget time.Duration) {
	count := map[string]int{}
	var work float64
	for _, r := range all {
		count[r.Action]++
		work += r.Seconds
	}
	slices.SortFunc(all, func(a, b result) int { return cmp.Compare(b.Seconds, a.Seconds) })
	fmt.Fprintf(w, "\nThe slowest of %d tests, without the time for which they waited for others:\n", len(all))
	for _, r := range all[:min(slowest, len(all))] {
		fmt.Fprintf(w, "  %5.0f s  %s %s\n", r.Seconds, r.Package, r.Test)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"])
	fmt.Fprintf(w, "%s in all, for tests that take %s one after another.\n",
		took.Round(time.Second), (time.Duration(work) * time.Second))
	if budget > 0 && took > budget {
		fmt.Fprintf(w, "WARNING: this ring should take %s at most.\n", budget)
	}
}
