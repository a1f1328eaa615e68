package swarm

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	api "github.com/docker/docker/api/types/swarm"
)

// TestNewest looks at what Docker keeps of a service: tasks that have ended beside those that run.
func TestNewest(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	task := func(id string, age, slot int, node string, wanted, is api.TaskState, err string) api.Task {
		at := began.Add(-time.Duration(age) * time.Minute)
		return api.Task{
			ID: id, Meta: api.Meta{CreatedAt: at}, ServiceID: "s", Slot: slot, NodeID: node, DesiredState: wanted,
			Status: api.TaskStatus{State: is, Err: err, Timestamp: at},
		}
	}
	tests := []struct {
		name   string
		global bool
		tasks  []api.Task
		want   string // id, node, state and error of each, and where that is from
	}{
		{"none", false, nil, ""},
		{"one moved", false, []api.Task{
			task("old", 9, 1, "a", api.TaskStateShutdown, api.TaskStateRunning, ""), // its node is gone
			task("new", 1, 1, "b", api.TaskStateRunning, api.TaskStateRunning, ""),
		}, "new b running"},
		{"one fails again and again", false, []api.Task{
			task("2nd", 2, 1, "a", api.TaskStateShutdown, api.TaskStateRejected, "no such image"),
			task("3rd", 1, 1, "a", api.TaskStateReady, api.TaskStateReady, ""),
			task("1st", 3, 1, "a", api.TaskStateShutdown, api.TaskStateFailed, "exit 1"),
		}, "3rd a ready no such image a"},
		{"one fails on another node than it is on now", false, []api.Task{
			task("1st", 2, 1, "a", api.TaskStateShutdown, api.TaskStateRejected, "no such image"),
			task("2nd", 1, 1, "b", api.TaskStateRunning, api.TaskStatePreparing, ""),
		}, "2nd b preparing no such image a"},
		{"one was given up", false, []api.Task{
			task("1st", 2, 1, "a", api.TaskStateShutdown, api.TaskStateFailed, "exit 1"),
			task("2nd", 1, 1, "b", api.TaskStateShutdown, api.TaskStateRejected, "no such image"),
			task("done", 1, 2, "b", api.TaskStateShutdown, api.TaskStateComplete, ""),
		}, "2nd b rejected no such image b"},
		{"given up on every node", true, []api.Task{
			task("1st", 2, 0, "a", api.TaskStateShutdown, api.TaskStateRejected, "no such image"),
			task("2nd", 2, 0, "b", api.TaskStateRunning, api.TaskStateRunning, ""),
			task("3rd", 2, 0, "drained", api.TaskStateShutdown, api.TaskStateFailed, "exit 1"),
		}, "1st a rejected no such image a, 2nd b running"},
		{"one has failed before", false, []api.Task{
			task("old", 2, 1, "a", api.TaskStateShutdown, api.TaskStateFailed, "exit 1"),
			task("new", 1, 1, "a", api.TaskStateRunning, api.TaskStateRunning, ""),
		}, "new a running"},
		{"scaled down", false, []api.Task{
			task("one", 2, 1, "a", api.TaskStateRunning, api.TaskStateRunning, ""),
			task("two", 2, 2, "a", api.TaskStateRemove, api.TaskStateRunning, ""),
		}, "one a running"},
		{"nowhere to run", false, []api.Task{
			task("one", 2, 1, "", api.TaskStateRunning, api.TaskStatePending, "no suitable node"),
		}, "one  pending no suitable node"},
		{"on every node", true, []api.Task{
			task("one", 2, 0, "b", api.TaskStateRunning, api.TaskStateRunning, ""),
			task("two", 2, 0, "a", api.TaskStateRunning, api.TaskStatePreparing, ""),
			task("old", 3, 0, "c", api.TaskStateShutdown, api.TaskStateShutdown, ""),
		}, "two a preparing, one b running"},
		{"of others", false, []api.Task{{ID: "x", ServiceID: "other", DesiredState: api.TaskStateRunning}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, n := range newest(tt.tasks, "s", tt.global, map[string]bool{"a": true, "b": true}) {
				got = append(got, strings.TrimSpace(strings.Join([]string{n.ID, n.Node, n.State, n.Error, n.On}, " ")))
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// bigStub is the engine of a manager of 30 nodes with 20 services of 5 tasks.
func bigStub() *stub {
	var nodes, services, tasks []string
	for i := range 30 {
		nodes = append(nodes,
			fmt.Sprintf(`{"ID":"node%d","Spec":{"Labels":{"pi.serial":"10000000aabbcc%02x"},"Role":"worker","Availability":"active"},`+
				`"Description":{"Hostname":"pi-%d","Engine":{"EngineVersion":"26.1.5"}},"Status":{"State":"ready","Addr":"169.254.1.%d"}}`, i, i, i, i+1))
	}
	for i := range 20 {
		services = append(services,
			fmt.Sprintf(`{"ID":"service%d","Spec":{"Name":"web%d","TaskTemplate":{"ContainerSpec":{"Image":"nginx:1@sha256:0"}},`+
				`"Mode":{"Replicated":{"Replicas":5}}}}`, i, i))
		for slot := range 5 {
			tasks = append(tasks,
				fmt.Sprintf(`{"ID":"task%d-%d","ServiceID":"service%d","Slot":%d,"NodeID":"node%d","DesiredState":"running",`+
					`"Status":{"State":"running"}}`, i, slot, i, slot+1, (i+slot)%30))
		}
	}
	list := func(all []string) func(http.ResponseWriter, *http.Request) {
		return reply("[" + strings.Join(all, ",") + "]")
	}
	return &stub{answers: map[string]func(http.ResponseWriter, *http.Request){
		"GET /nodes": list(nodes), "GET /services": list(services), "GET /tasks": list(tasks), "GET /swarm": reply(`{"ID":"s"}`),
	}}
}

// TestOverviewCalls counts what an overview asks of the engine: one call for each kind of object, however many there
// are.
func TestOverviewCalls(t *testing.T) {
	s := bigStub()
	d := serve(t, s)
	const looks = 3
	for range looks {
		o, err := d.Overview(t.Context())
		must(t, err)
		if len(o.Nodes) != 30 || len(o.Services) != 20 || len(o.Services[0].Tasks) != 5 || !o.Services[0].Tasks[0].Running() {
			t.Fatalf("%d nodes, services are %+v", len(o.Nodes), o.Services)
		}
	}
	for _, call := range []string{"GET /nodes", "GET /services", "GET /tasks", "GET /swarm"} {
		if n := s.count(call); n != looks {
			t.Errorf("%d overviews call %s %d times", looks, call, n)
		}
	}
	if len(s.calls) != 4*looks {
		t.Errorf("%d overviews are the calls %v", looks, s.calls)
	}
}

// BenchmarkOverview is what the client needs for one overview of 30 nodes with 100 tasks.
func BenchmarkOverview(b *testing.B) {
	d := serve(b, bigStub())
	for b.Loop() {
		if _, err := d.Overview(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
