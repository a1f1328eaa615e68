// Package state keeps the little that a board must remember across a power cut, in one file that is only ever replaced
// as a whole.
package state

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/stacks"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// version is the form of the file. A file with a greater one was written by a newer pi-agent.
const version = 1

// fileMax bounds the file, in bytes: a garbage file must not fill a small board's memory.
const fileMax = 1 << 20

// State is what a board remembers.
type State struct {
	Version int         `json:"version"`
	Serial  peer.Serial `json:"serial"`   // board that this state belongs to; a card may move to another
	NodeKey []byte      `json:"node_key"` // ed25519 seed, 32 bytes

	// Membership is where the board was in a swarm when its engine was last asked.
	Membership peer.Membership `json:"membership,omitzero"`
	// Pins are whom the board trusts where there is no cluster key.
	Pins trust.Pins `json:"pins,omitzero"`

	// Address is the board's stable IPv4 link-local address, invalid before it has one, and Interface where it belongs.
	Address   netip.Addr `json:"address,omitzero"`
	Interface string     `json:"interface,omitempty"`

	// Peers are where other boards were met, to be asked at the next start.
	Peers []netip.Addr `json:"peers,omitempty"`

	// EngineRoot is where the engine keeps its data, as it said when it was last asked.
	EngineRoot string `json:"engine_root,omitempty"`

	// Stacks is what was done with the Compose files on this card, by name of the stack.
	Stacks map[string]stacks.Mark `json:"stacks,omitempty"`
}

// Key is the board's node key.
func (s State) Key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(s.NodeKey) }

// File is the file and what it holds. It is safe for concurrent use.
type File struct {
	path   string
	unread error // why the file must not be replaced: it could not be read, and may be good

	mu   sync.Mutex
	now  State
	kept []byte // the text of the file; nil when it lacks something because it could not be written
}

// State is what the board remembers now.
func (f *File) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Update changes what the board remembers, and the file if it does not have that. When the file cannot be written, the
// change holds until the next start, and Run goes on trying.
func (f *File) Update(change func(*State)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.now)
	return f.write()
}

// Commit changes the state if the change can be written, and changes nothing otherwise. change must replace what it
// changes, and not alter maps and lists in place.
func (f *File) Commit(change func(*State)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.now
	change(&f.now)
	err := f.write()
	if err != nil {
		f.now = before
	}
	return err
}

// ErrUnusable says that the file is there and cannot be used. Its content was moved aside and nothing was deleted.
var ErrUnusable = errors.New("state file is unusable")

// Open reads state.json in dir, and makes it with a new node key where there is none or where it belongs to another
// board. The File is always good to use, also when an error comes with it. One that was written by a newer pi-agent
// keeps its node key and is never replaced. Else the file could not be read (ErrUnusable) or written, and the board is
// a new one to its peers after the next restart, unless Run gets it written before.
func Open(dir string, serial peer.Serial) (*File, error) {
	f := &File{path: filepath.Join(dir, "state.json")}
	s, readErr := read(f.path)
	var newer newerError
	if (readErr == nil || errors.As(readErr, &newer)) && s.Serial == serial {
		var err error
		f.now, f.unread = s, readErr
		f.kept, err = s.encode()
		return f, cmp.Or(readErr, err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make node key: %w", err)
	}
	f.now = State{Version: version, Serial: serial, NodeKey: key.Seed()}
	if readErr == nil {
		// Until it is known whether its engine is in a swarm, and which board goes on with that.
		f.now.Membership = s.Membership
		f.now.Membership.From = s.Serial
		if s.Membership != (peer.Membership{}) {
			f.now.Address, f.now.Interface = s.Address, s.Interface // by which that swarm knows it
		}
	}
	switch {
	case readErr == nil || errors.Is(readErr, fs.ErrNotExist):
		return f, f.write()
	case errors.Is(readErr, ErrUnusable):
		if err := os.Rename(f.path, f.path+".bad"); err != nil {
			f.unread = fmt.Errorf("%w; it stays where it is: %w", readErr, inWords(err))
			return f, f.unread
		}
		readErr = fmt.Errorf("%w; it is kept as %s", readErr, f.path+".bad")
		if err := f.write(); err != nil {
			return f, fmt.Errorf("%w, and no new one: %w", readErr, err)
		}
		return f, readErr
	default: // a card that cannot be read just now may still hold a good file: leave it
		f.unread = readErr
		return f, readErr
	}
}

// Read is what the state.json in dir has, without taking it for this board's own. It changes nothing.
func Read(dir string) (State, error) { return read(filepath.Join(dir, "state.json")) }

func read(path string) (State, error) {
	info, err := os.Stat(path)
	if err != nil {
		return State{}, fmt.Errorf("read state: %w", err)
	}
	if info.Size() > fileMax {
		return State{}, fmt.Errorf("%w: %s has %d bytes, at most %d are allowed", ErrUnusable, path, info.Size(), fileMax)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return State{}, fmt.Errorf("read state: %w", err)
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("%w: %s: %w", ErrUnusable, path, err)
	}
	if err := s.validate(); err != nil {
		return State{}, fmt.Errorf("%w: %s: %w", ErrUnusable, path, err)
	}
	if s.Version > version {
		return s, newerError{path}
	}
	return s, nil
}

// newerError says that a newer pi-agent wrote the file. What is understood of it is in force, above all the node key,
// by which other boards know this one; the rest must still be there when the newer one comes back.
type newerError struct{ path string }

// Error implements error.
func (e newerError) Error() string {
	return e.path + " was written by a newer pi-agent: it is read as far as it is understood, and left alone; " +
		"install that one again"
}

func (s State) validate() error {
	if s.Version < 1 {
		return fmt.Errorf("version %d is not understood, this pi-agent writes %d", s.Version, version)
	}
	if _, err := peer.ParseSerial(string(s.Serial)); err != nil {
		return err
	}
	if len(s.NodeKey) != ed25519.SeedSize {
		return fmt.Errorf("node_key has %d bytes, want %d", len(s.NodeKey), ed25519.SeedSize)
	}
	if s.Address.IsValid() && !(s.Address.Is4() && s.Address.IsLinkLocalUnicast()) {
		return fmt.Errorf("address %s is not in 169.254.0.0/16", s.Address)
	}
	if err := peer.CheckRemembered(s.Peers); err != nil {
		return fmt.Errorf("peers: %w; take it out, for it is only where other boards once were", err)
	}
	return errors.Join(s.Membership.Validate(), s.Pins.Validate())
}

// encode is the text of the file. Maps are in order of their keys, so that the same state has the same text.
func (s State) encode() ([]byte, error) {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	return append(text, '\n'), nil
}

// write replaces the file, unless it has the state already. Power may go at any instant: afterwards there is the old
// file or the new one. The caller must hold f.mu, or be the only one to know f.
func (f *File) write() error {
	text, err := f.now.encode()
	if err != nil || bytes.Equal(text, f.kept) {
		return err
	}
	f.kept = nil
	if f.unread != nil {
		return f.unread
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("write state: %w", inWords(err))
	}
	if err := renameio.WriteFile(f.path, text, 0o600); err != nil {
		return fmt.Errorf("write state: %w", inWords(err))
	}
	f.kept = text
	return nil
}
