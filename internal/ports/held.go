package ports

// This file finds the programs that have ports of ours.

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pi-agent/pi-agent/internal/swarm"
)

// Holder is a program that has a port of this board which is meant for the engine or the agent.
type Holder struct {
	Port    Port
	PID     int    // 0 where it is not to be seen, as another user's is not
	Program string // the name of that process
	Unit    string // the unit of systemd that it belongs to, where that is known
	Inode   uint64 // of the socket, which tells it from a later one
	// Guess: nobody has seen whose it is. The engine is in no swarm, or is no manager, and somebody has the port all
	// the same.
	Guess bool
}

// Look is a board on which to look for strangers.
type Look struct {
	Root      fs.FS // of its file system
	Engine    swarm.Status
	EngineErr error // why Engine is not known; nil when it is
	Page      bool  // the agent shows a page at the usual port
	// Sees: who looks would see the sockets of the agent: root does, and the agent itself.
	Sees bool
	// Shared is nil when mDNS can share its port with whoever has it, and else the error of binding it.
	Shared func() error
	// Unit is the unit of systemd that a socket belongs to, empty where that is not known; nil where it is never known.
	Unit func(inode uint64) string
	// OnlyIPv6 reports whether a socket at the address :: takes IPv6 alone; nil where that is never known.
	OnlyIPv6 func(inode uint64) bool
}

// Here is the board that the program runs on.
func Here(root fs.FS) Look {
	kernel := sync.OnceValue(tell)
	return Look{
		Root: root, Page: true, Sees: os.Geteuid() == 0, Shared: shareMDNS,
		Unit:     func(inode uint64) string { return kernel().units[inode] },
		OnlyIPv6: func(inode uint64) bool { return kernel().onlyIPv6[inode] },
	}
}

// Strangers lists who has ports of this board that are meant for the engine or the agent, in order of the port. A
// program of another user is seen by root only; of others it is told what is certain without seeing them.
func (l Look) Strangers() []Holder {
	var all []Holder
	sockets := bound(l.Root)
	var owners map[uint64]Holder
	for _, p := range Own {
		var at []socket
		for _, s := range sockets {
			if s.network == p.Network && s.port == p.Number {
				at = append(at, s)
			}
		}
		if len(at) == 0 || p.Number == Page && !l.Page {
			continue
		}
		if owners == nil {
			owners = programs(l.Root)
		}
		if h, ok := l.stranger(p, at, owners); ok {
			all = append(all, h)
		}
	}
	return all
}

// stranger is the holder of a port to which these sockets are bound, unless the port is meant for it.
func (l Look) stranger(p Port, at []socket, owners map[uint64]Holder) (found Holder, ok bool) {
	for _, s := range at {
		h := owners[s.inode]
		h.Port, h.Inode = p, s.inode
		if l.Unit != nil && h.Unit == "" {
			h.Unit = l.Unit(s.inode)
		}
		switch {
		case p.Agent && (h.Program == "pi-agent" || h.Unit == "pi-agent.service"):
			return Holder{}, false // what else is there shares it
		case p.Agent && p.Network == "udp" && (l.Shared == nil || l.Shared() == nil):
			return Holder{}, false // avahi and the like
		case p.Agent && !l.Sees && h.Program == "" && h.Unit == "":
			continue
		case p.Agent:
		case h.Program == "dockerd",
			h.Program == "" && strings.HasSuffix(h.Unit, ".service") && strings.Contains(h.Unit, "docker"):
			continue
		case h.Program != "", h.Unit != "", s.uid != 0:
		case p.Lazy, l.EngineErr != nil:
			continue // the kernel's, for overlay networks; or nobody knows
		case l.Engine.State == swarm.Inactive, p.Managers && l.Engine.State == swarm.Active && !l.Engine.Manager:
			h.Guess = true
		default:
			continue
		}
		if p.IPv4 && l.deaf(s) {
			continue // it is not in the way
		}
		if !ok || found.Program == "" {
			found, ok = h, true
		}
	}
	return found, ok
}

// deaf reports whether no packet of IPv4 reaches a socket.
func (l Look) deaf(s socket) bool {
	if s.addr.IsUnspecified() && s.addr.Is6() {
		return l.OnlyIPv6 != nil && l.OnlyIPv6(s.inode)
	}
	return s.addr.Is6() && !s.addr.Is4In6()
}

// socket is one that waits for connections or packets.
type socket struct {
	network string
	addr    netip.Addr
	port    uint16
	uid     int
	inode   uint64
}

// bound lists the sockets of the board that wait for connections or packets.
func bound(root fs.FS) (all []socket) {
	for _, table := range []struct{ file, network, state string }{
		{"tcp", "tcp", "0A"}, {"tcp6", "tcp", "0A"}, // listening
		{"udp", "udp", "07"}, {"udp6", "udp", "07"}, // not connected
	} {
		text, err := fs.ReadFile(root, "proc/net/"+table.file)
		if err != nil {
			continue // no IPv6, say
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != table.state {
				continue
			}
			at, port, _ := strings.Cut(f[1], ":")
			addr, ok := address(at)
			number, err1 := strconv.ParseUint(port, 16, 16)
			uid, err2 := strconv.Atoi(f[7])
			inode, err3 := strconv.ParseUint(f[9], 10, 64)
			if errors.Join(err1, err2, err3) == nil && ok {
				all = append(all, socket{table.network, addr, uint16(number), uid, inode})
			}
		}
	}
	return all
}

// address reads an address as the kernel writes it, in words of 32 bits that are in the order of the CPU.
func address(text string) (addr netip.Addr, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	return netip.AddrFromSlice(b)
}

// programs are the processes that this one may look at, by the inodes of their sockets.
func programs(root fs.FS) map[uint64]Holder {
	all := map[uint64]Holder{}
	processes, err := fs.ReadDir(root, "proc")
	if err != nil {
		return all
	}
	for _, entry := range processes {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		dir := path.Join("proc", entry.Name())
		files, err := fs.ReadDir(root, dir+"/fd")
		if err != nil {
			continue // another user's, or it has ended
		}
		for _, f := range files {
			link, err := fs.ReadLink(root, dir+"/fd/"+f.Name())
			number, ok := strings.CutPrefix(link, "socket:[")
			if err != nil || !ok {
				continue
			}
			inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
			if err != nil {
				continue
			}
			comm, _ := fs.ReadFile(root, dir+"/comm") // it may have ended; then it has no name, and no port
			group, _ := fs.ReadFile(root, dir+"/cgroup")
			// A socket that was handed on is that of the process that was there last: systemd keeps those of
			// docker.socket.
			if all[inode].PID < pid {
				all[inode] = Holder{PID: pid, Program: strings.TrimSpace(string(comm)), Unit: unitOf(string(group))}
			}
		}
	}
	return all
}

// unitOf is the last service of systemd, or the container, in the path of a cgroup, or in a process's list of them.
func unitOf(group string) string {
	found := ""
	for _, part := range strings.FieldsFunc(group, func(r rune) bool { return r == '/' || r == '\n' }) {
		id, scope := strings.CutSuffix(strings.TrimPrefix(part, "docker-"), ".scope")
		switch {
		case strings.HasSuffix(part, ".service"):
			found = part
		case scope && len(id) == containerID:
			found = "container " + id[:12]
		}
	}
	return found
}

// containerID is how many characters the id of a container has.
const containerID = 64

// shareMDNS binds the port of mDNS for a moment, as the agent does for good.
func shareMDNS() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was sent
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Port: MDNS, Addr: [4]byte{224, 0, 0, 251}})
	if errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return nil // another error says nothing of who has the port
}
