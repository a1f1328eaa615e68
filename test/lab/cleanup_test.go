package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pi-agent/pi-agent/test/lab"
)

// holdEnv makes the test binary a holder: a process that has a lab and does nothing else. With the value "machines" it
// is one with a whole machine, else one with Pis and running containers.
const holdEnv = "PI_LAB_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdEnv) != "" {
		if err := hold(); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func hold() error {
	ctx := context.Background()
	if os.Getenv(holdEnv) == "machines" {
		l, err := lab.Start(lab.Options{Machines: []string{"trixie"}})
		if err != nil {
			return err
		}
		if err := l.Machines[0].WaitBoot(ctx); err != nil {
			return err
		}
		return stay(l)
	}
	l, err := lab.Start(lab.Options{N: 2})
	if err != nil {
		return err
	}
	if err := l.StartEngines(ctx); err != nil {
		return err
	}
	if err := l.LoadWeb(ctx); err != nil {
		return err
	}
	for _, p := range l.Pis {
		if _, err := p.Docker(ctx, "run", "-d", "--restart=always", lab.WebImage); err != nil {
			return err
		}
	}
	return stay(l)
}

func stay(l *lab.Lab) error {
	fmt.Println(l.ID)
	_, err := io.Copy(io.Discard, os.Stdin) // until killed
	return err
}

// startHolder returns a holder and the id of its lab.
func startHolder(t *testing.T, kind string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdEnv+"="+kind)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // the test has done so, unless it failed
		_ = cmd.Wait()
	})
	id, err := bufio.NewReader(out).ReadString('\n')
	id = strings.TrimSpace(id)
	if err != nil || strings.HasPrefix(id, "error:") {
		t.Fatalf("holder says %q, %v", id, err)
	}
	return cmd, id
}

// traces lists what there is of a lab: processes, mounts, cgroups, files.
func traces(t *testing.T, id string) (found []string) {
	t.Helper()
	for _, pattern := range []string{
		"/sys/fs/cgroup/pi-agent-lab-" + id, "/sys/fs/cgroup/*/pi-agent-lab-" + id, filepath.Join(lab.Base(), id),
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, paths...)
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range processes {
		for _, file := range []string{"cmdline", "mountinfo", "cgroup"} {
			b, _ := os.ReadFile(filepath.Join(dir, file)) // it may be gone by now
			if bytes.Contains(b, []byte(id)) {
				name, _ := os.ReadFile(filepath.Join(dir, "comm"))
				found = append(found, fmt.Sprintf("%s/%s of %s", dir, file, bytes.TrimSpace(name)))
			}
		}
	}
	return found
}

func TestKilledHolderLeavesNothing(t *testing.T) {
	t.Parallel()
	for kind, need := range map[string]func(testing.TB){"pis": lab.Need, "machines": lab.NeedMachines} {
		t.Run(kind, func(t *testing.T) {
			need(t)
			holder, id := startHolder(t, kind)
			if n := len(traces(t, id)); n < 20 {
				t.Fatalf("a running lab shows only %d traces", n)
			}
			if err := holder.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := lab.AwaitEnd(id); err != nil {
				t.Fatal(err)
			}
			if found := traces(t, id); len(found) > 0 {
				t.Errorf("left behind:\n%s", strings.Join(found, "\n"))
			}
		})
	}
}

// killJanitor kills the one child of the holder that is a janitor.
func killJanitor(t *testing.T, holder int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", holder))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		children, _ := os.ReadFile(path) // the thread may be gone by now
		for _, child := range strings.Fields(string(children)) {
			name, err := os.ReadFile("/proc/" + child + "/cmdline")
			if err != nil || !strings.HasPrefix(string(name), "pi-agent-lab-janitor\x00") {
				continue
			}
			pid, err := strconv.Atoi(child)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("the holder has no janitor")
}

func TestNextLabSweepsDeadOne(t *testing.T) {
	lab.Need(t)
	t.Setenv("PI_LAB_DIR", t.TempDir()) // where no lab of another test sweeps first
	holder, id := startHolder(t, "pis")
	killJanitor(t, holder.Process.Pid)
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	if err := lab.AwaitEnd(id); err != nil {
		t.Fatal(err)
	}
	if found := traces(t, id); len(found) == 0 {
		t.Fatal("nothing was left to sweep, so this test proves nothing")
	}
	lab.New(t, lab.Options{N: 1})
	if found := traces(t, id); len(found) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(found, "\n"))
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	lab.Need(t)
	a, err := lab.Start(lab.Options{N: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := lab.New(t, lab.Options{N: 1}) // another lab at the same time, with the same addresses
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if found := traces(t, a.ID); len(found) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(found, "\n"))
	}
	if err := reach(t, b, b.Pis[0], 5*time.Second); err != nil {
		t.Error(err)
	}
}
