// Package picture is the picture of a cluster that people look at: its boards, its swarm, its services, and why a board
// is not in. The agent draws it; status, the page and whatever else shows it only show it. There is no secret in it.
package picture

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/say"
	"github.com/pi-agent/pi-agent/internal/tame"
)

// Version is the version of the form that a picture has in JSON. It counts up when a field goes or changes its meaning;
// a new field is no new version.
const Version = 1

// Max is how many bytes a picture in JSON may have. One of 30 boards and 20 services has about 20 kB.
const Max = 1 << 20

// Picture is what is known of a cluster at one moment.
type Picture struct {
	Version int         `json:"version"`
	Drawn   time.Time   `json:"drawn"`   // by the clock of the board that shows it
	Cluster string      `json:"cluster"` // name of the cluster
	Keyed   bool        `json:"keyed"`   // it has a cluster key
	Self    peer.Serial `json:"self"`    // the board that shows it; empty where even that is not known
	// name of the board whose list of nodes this is; empty when no manager was reached
	Source   string    `json:"source"`
	Doing    say.Text  `json:"doing"` // what the agent of that board does, or waits for, in a sentence
	Needs    bool      `json:"needs"` // Doing asks for a person
	Swarm    *Swarm    `json:"swarm"` // null where the board is in none
	Boards   []Board   `json:"boards"`
	Services []Service `json:"services"`
	// StackErrors are the Compose files of the board that leads that are not deployed, each with what is wrong, in a
	// sentence.
	StackErrors []say.Text `json:"stack_errors"`
	// StackAdvice is what Docker left out of those that are deployed, and the like, in sentences.
	StackAdvice []say.Text `json:"stack_advice"`
	Nearby      []Nearby   `json:"nearby"` // boards of other clusters
	Warnings    []Warning  `json:"warnings"`

	// Interface is that over which the board that shows the picture reaches the others, empty where there is none.
	Interface string `json:"interface,omitempty"`

	// Sentences has more of the sentences in the picture, by their English: what recognises them, and other languages.
	Sentences map[string]Sentence `json:"sentences,omitempty"`
}

// Swarm is the swarm that the board is in. All but the first two are known to managers that have a majority.
type Swarm struct {
	ID        string `json:"id"`   // empty as long as it is not known
	Node      string `json:"node"` // id of the node that this board is
	Managers  int    `json:"managers"`
	Reachable int    `json:"managers_reachable"`
	Majority  bool   `json:"majority"` // enough managers are there to change the swarm
	// Leaderless: managers answer, and say that they are too few to change the swarm or to tell its nodes.
	Leaderless bool `json:"leaderless"`
	// none of its managers is left, and with them all that it held
	Lost     bool           `json:"lost"`
	CertDays int            `json:"certificate_days,omitempty"` // for how long the certificate of a node is issued
	RootEnds time.Time      `json:"authority_ends,omitzero"`    // when the swarm's certificate authority ends
	Pools    []netip.Prefix `json:"overlay_pools,omitempty"`    // where overlay networks take their subnets from
}

// Role is what a board is in the swarm.
type Role string

// The roles. A board outside the swarm has none.
const (
	Leader  Role = "leader" // the one manager that leads the others
	Manager Role = "manager"
	Worker  Role = "worker"
)

// State is whether a board is in the swarm.
type State string

// The states of a board.
const (
	Ready State = "ready" // its node is ready
	Down  State = "down"  // its node is not, or has not been heard of lately
	In    State = "in"    // it says that it is in the swarm, and no manager was reached to say more
	Out   State = "out"   // it is in no swarm, or in another
)

// Board is one board, or one node of the swarm that no known board is.
type Board struct {
	Serial  peer.Serial  `json:"serial"` // empty for a node of which no board is known
	Name    string       `json:"name"`   // its hostname, or its short name
	Model   string       `json:"model,omitempty"`
	Addrs   []netip.Addr `json:"addresses"`              // the one that people know it by first
	Node    string       `json:"node,omitempty"`         // id of its node
	At      netip.Addr   `json:"swarm_address,omitzero"` // where the other nodes reach its engine
	Role    Role         `json:"role,omitempty"`
	State   State        `json:"state"`
	Drained bool         `json:"drained,omitempty"` // the swarm places no tasks on it
	Engine  string       `json:"engine,omitempty"`  // version of its Docker Engine
	Clock   *float64     `json:"clock_offset_seconds,omitempty"`
	Heard   time.Time    `json:"heard,omitzero"` // when its agent was last heard of
	// Announced: its announcements arrive at the board that shows the picture, its own at the board that drew it.
	Announced bool     `json:"announced"`
	Why       say.Text `json:"why,omitzero"` // why it is not in, or what else hinders it, in a sentence
}

// Service is one service of the swarm.
type Service struct {
	Name    string `json:"name"`
	Image   string `json:"image"`
	Wanted  int    `json:"wanted"`
	Running int    `json:"running"`
	Job     bool   `json:"job,omitempty"` // its tasks are meant to end
	Tasks   []Task `json:"tasks"`
}

// Task is one container of a service, or the intention of one.
type Task struct {
	ID    string `json:"id"`
	Slot  int    `json:"slot,omitempty"`
	Node  string `json:"node,omitempty"`  // id of the node
	Board string `json:"board,omitempty"` // its name
	State string `json:"state"`           // Docker's word, such as "running"
	Error string `json:"error,omitempty"`
	// ErrorBoard is the name of the board that Error is from: it may be another one that the task is on now.
	ErrorBoard string    `json:"error_board,omitempty"`
	Since      time.Time `json:"since"`
}

// Nearby is a board of another cluster on the same network. Nothing of it is proved.
type Nearby struct {
	Serial  peer.Serial `json:"serial"`
	Cluster string      `json:"cluster"`
	Why     say.Text    `json:"why"` // why it is not one of ours
}

// Bounds of a picture. What is over is left out, and a text is cut.
const (
	boardsMax   = 256
	servicesMax = 128
	stacksMax   = 16
	tasksMax    = 1024          // of all services
	warningsMax = 3 * boardsMax // that many boards must not hide what is wrong with this one
	textMax     = 512           // bytes of what one board or task says
)

// Encode is the picture in JSON, with everything within its bounds. What boards and tasks say may still be too much,
// for JSON writes a character in up to six bytes, and is cut until the picture has at most Max bytes.
func (p Picture) Encode() ([]byte, error) {
	for limit := textMax; ; limit /= 2 {
		small := p.bounded(limit)
		small.Sentences = sentencesOf(&small)
		b, err := json.Marshal(small)
		if err != nil || len(b) <= Max || limit == 0 {
			return b, err
		}
	}
}

// bounded is the picture with at most limit bytes of what one board or task says, and more where many may be named.
func (p Picture) bounded(limit int) Picture {
	p.Version = Version
	p.Cluster, p.Source, p.Doing = tame.Cut(p.Cluster, limit), tame.Cut(p.Source, limit), cut(p.Doing, 4*limit)
	p.Boards = append([]Board{}, p.Boards[:min(len(p.Boards), boardsMax)]...)
	for i, b := range p.Boards {
		b.Name, b.Model, b.Engine = tame.Cut(b.Name, limit), tame.Cut(b.Model, limit), tame.Cut(b.Engine, limit)
		b.Why = cut(b.Why, limit)
		b.Addrs = append([]netip.Addr{}, b.Addrs[:min(len(b.Addrs), 8)]...)
		p.Boards[i] = b
	}
	p.Services = append([]Service{}, p.Services[:min(len(p.Services), servicesMax)]...)
	left := tasksMax
	for i, s := range p.Services {
		s.Name, s.Image = tame.Cut(s.Name, limit), tame.Cut(s.Image, limit)
		n := min(len(s.Tasks), left)
		left -= n
		s.Tasks = append([]Task{}, s.Tasks[:n]...)
		for j, t := range s.Tasks {
			t.Board, t.Error, t.ErrorBoard = tame.Cut(t.Board, limit), tame.Cut(t.Error, limit), tame.Cut(t.ErrorBoard, limit)
			s.Tasks[j] = t
		}
		p.Services[i] = s
	}
	p.StackErrors, p.StackAdvice = boundedTexts(p.StackErrors), boundedTexts(p.StackAdvice)
	p.Nearby = append([]Nearby{}, p.Nearby[:min(len(p.Nearby), boardsMax)]...)
	for i, n := range p.Nearby {
		p.Nearby[i].Cluster, p.Nearby[i].Why = tame.Cut(n.Cluster, limit), cut(n.Why, limit)
	}
	p.Warnings = append([]Warning{}, p.Warnings[:min(len(p.Warnings), warningsMax)]...)
	for i, w := range p.Warnings {
		p.Warnings[i].Text, p.Warnings[i].Remedy = cut(w.Text, 4*limit), cut(w.Remedy, 4*limit)
	}
	return p
}

// Decode reads a picture that came from another board or from the agent.
func Decode(b []byte) (p Picture, err error) {
	if len(b) > Max {
		return Picture{}, fmt.Errorf("the picture of the cluster has %d bytes, at most %d are read", len(b), Max)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return Picture{}, fmt.Errorf("the picture of the cluster is not understood: %s",
			tame.Cut(tame.Line(err.Error()), textMax))
	}
	if p.Version != Version {
		return Picture{}, fmt.Errorf("the picture of the cluster has version %d, this pi-agent understands %d: "+
			"install the same version on all boards", p.Version, Version)
	}
	p.complete()
	return p, nil
}

// Board is the board with that serial that is in the swarm, or else the one that is not; nil when there is none.
func (p *Picture) Board(s peer.Serial) (found *Board) {
	for i := range p.Boards {
		b := &p.Boards[i]
		if s != "" && b.Serial == s && (found == nil || found.State != Ready) {
			found = b
		}
	}
	return found
}
