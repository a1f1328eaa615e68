package ports

import (
	"encoding/binary"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kernel tells everybody more of a socket than is in /proc/net (sock_diag(7)): whether it takes IPv6 alone, and to
// which cgroup it belongs, by the inode of the cgroup's directory. With systemd that is the unit of the program that
// made it.

// What package unix lacks of linux/inet_diag.h.
const (
	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	diagRequest  = 56 // bytes of struct inet_diag_req_v2
	diagAnswer   = 72 // bytes of struct inet_diag_msg, before its attributes
	diagInode    = 68 // where in it the inode is
	diagOnlyIPv6 = 11 // INET_DIAG_SKV6ONLY
	diagCgroup   = 21 // INET_DIAG_CGROUP_ID
	cgroupRoot   = "/sys/fs/cgroup"
)

// query asks for the sockets of one family and protocol that are in these states.
type query [diagRequest]byte

// Len implements nl.NetlinkRequestData.
func (q query) Len() int { return len(q) }

// Serialize implements nl.NetlinkRequestData.
func (q query) Serialize() []byte { return q[:] }

// report is what the kernel tells of sockets that wait for connections or packets, by their inodes.
type report struct {
	onlyIPv6 map[uint64]bool
	units    map[uint64]string // where that is known
}

// tell asks the kernel. It knows of no socket where the kernel does not tell.
func tell() report {
	t := report{onlyIPv6: map[uint64]bool{}, units: map[uint64]string{}}
	groups := map[uint64]uint64{}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		for _, protocol := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			states := uint32(1 << 10) // listening
			if protocol == unix.IPPROTO_UDP {
				states = 1 << 7 // not connected
			}
			q := query{family, protocol}
			binary.NativeEndian.PutUint32(q[4:], states)
			r := nl.NewNetlinkRequest(diagByFamily, unix.NLM_F_DUMP)
			r.AddData(q)
			answers, err := r.Execute(unix.NETLINK_INET_DIAG, 0)
			if err != nil {
				return report{} // a kernel without that
			}
			for _, a := range answers {
				inode, group, only := attributes(a)
				if group != 0 {
					groups[inode] = group
				}
				if only {
					t.onlyIPv6[inode] = true
				}
			}
		}
	}
	names := map[uint64]string{}
	for _, group := range groups {
		names[group] = ""
	}
	nameGroups(names)
	for inode, group := range groups {
		if names[group] != "" {
			t.units[inode] = names[group]
		}
	}
	return t
}

// attributes are the inode of a socket, that of its cgroup, 0 where it is not told, and whether it takes IPv6 alone.
func attributes(answer []byte) (inode, group uint64, onlyIPv6 bool) {
	if len(answer) < diagAnswer {
		return 0, 0, false
	}
	attrs, err := nl.ParseRouteAttr(answer[diagAnswer:])
	if err != nil {
		return 0, 0, false
	}
	for _, a := range attrs {
		switch {
		case a.Attr.Type == diagCgroup && len(a.Value) == 8:
			group = binary.NativeEndian.Uint64(a.Value)
		case a.Attr.Type == diagOnlyIPv6 && len(a.Value) == 1:
			onlyIPv6 = a.Value[0] != 0
		}
	}
	return uint64(binary.NativeEndian.Uint32(answer[diagInode:])), group, onlyIPv6
}

// nameGroups gives the cgroups in names, which are known by the inodes of their directories, the names of their units.
func nameGroups(names map[uint64]string) {
	if len(names) == 0 {
		return
	}
	_ = filepath.WalkDir(cgroupRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // a cgroup that has just gone
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			if _, asked := names[stat.Ino]; asked {
				names[stat.Ino] = unitOf(strings.TrimPrefix(path, cgroupRoot))
			}
		}
		return nil
	})
}
