package swarm

// This file lists the settings of Docker that exclude swarm mode or cripple it, each with how it is known and what to
// do. An engine that is asked, its refusals and its files (package dockerd) each tell of some of them.

import (
	"slices"
	"strings"

	"github.com/docker/docker/api/types/system"

	"github.com/pi-agent/pi-agent/internal/dockerd"
	"github.com/pi-agent/pi-agent/internal/say"
)

// Setting is something in the way an engine is set up with which it takes part in no swarm, or not well. Only a person
// may change it. Those that exclude swarm mode are errors, of the class ErrExcluded.
type Setting struct {
	Name     string   // as in daemon.json, or a word or two where it is none of those
	Text     say.Text // what is wrong, without a capital and a full stop
	Remedy   say.Text // what to do, the same
	Excludes bool

	refusal string // what an engine that refuses says, in lower case; empty where none does
	// told is what a running engine tells of it; nil where it tells nothing. known is false where that leaves it open.
	told func(system.Info) (set, known bool)
	set  func(dockerd.Setup) bool // whether the files of the engine have it; nil where they do not
}

// Error implements error.
func (s *Setting) Error() string { return s.Said().En }

// Said is the same in all languages.
func (s *Setting) Said() say.Text { return say.Join(": ", s.Text, s.Remedy) }

// Is implements what errors.Is asks for.
func (s *Setting) Is(target error) bool { return target == ErrExcluded && s.Excludes }

// ErrLiveRestore says that the daemon runs with live-restore, which swarm mode does not support.
var ErrLiveRestore = &Setting{
	Name: "live-restore", Excludes: true, refusal: "live-restore",
	Text:   say.SettingOn.With("live-restore"),
	Remedy: say.RemoveSetting.With(),
	told:   func(i system.Info) (set, known bool) { return i.LiveRestoreEnabled, true },
	set:    func(s dockerd.Setup) bool { return s.Is("live-restore", true) },
}

// ErrNftables says that the daemon makes its firewall with nftables, for which swarm mode has no rules yet, unless it
// makes none at all.
var ErrNftables = &Setting{
	Name: "firewall-backend", Excludes: true, refusal: "firewall-backend",
	Text:   say.SettingTo.With("firewall-backend", "nftables"),
	Remedy: say.RemoveSetting.With(),
	told: func(i system.Info) (set, known bool) {
		nft := i.FirewallBackend != nil && strings.HasPrefix(i.FirewallBackend.Driver, "nftables")
		return false, !nft
	},
	set: func(s dockerd.Setup) bool {
		return s.Is("firewall-backend", "nftables") && !s.Is("iptables", false) && !s.Feature("swarm-nftables")
	},
}

// ErrClusterStore says that the daemon, of version 20.10, is a node of the swarms that came before swarm mode.
var ErrClusterStore = &Setting{
	Name: "cluster-store", Excludes: true, refusal: "cluster-store",
	Text:   say.SettingEither.With("cluster-store", "cluster-advertise"),
	Remedy: say.RemoveBoth.With(),
	set:    func(s dockerd.Setup) bool { return s.Has("cluster-store") || s.Has("cluster-advertise") },
}

// ErrRootless says that the daemon runs in user namespaces, from where it reaches neither the board's addresses nor
// overlay networks.
var ErrRootless = &Setting{
	Name: "rootless", Excludes: true,
	Text:   say.Rootless.With(),
	Remedy: say.UseSystemEngine.With(),
	told: func(i system.Info) (set, known bool) {
		rootless := func(o string) bool { return strings.HasPrefix(o, "name=rootless") }
		return slices.ContainsFunc(i.SecurityOptions, rootless), true
	},
	set: func(s dockerd.Setup) bool { return s.Is("rootless", true) },
}

// ErrSnap says that the daemon is a snap. It is confined to files of its own, restarts when it likes, and systemd knows
// it by another name than the one that pi-agent starts before.
var ErrSnap = &Setting{
	Name: "snap", Excludes: true,
	Text:   say.Snap.With(),
	Remedy: say.RemoveSnap.With(),
	told: func(i system.Info) (set, known bool) {
		return strings.HasPrefix(i.DockerRootDir, "/var/snap/docker/"), true
	},
	set: func(s dockerd.Setup) bool { return strings.HasPrefix(s.Program, "/snap/docker/") },
}

// settings are all that excludes swarm mode or cripples it, in the engines from 20.10 to 29. Others that look as if
// they did do not: "bridge", "icc", "userland-proxy" and "ip-masq" are about the default bridge only, "userns-remap"
// moves the data, and the swarm is told its addresses and its pool explicitly.
var settings = []*Setting{
	ErrLiveRestore, ErrNftables, ErrClusterStore, ErrRootless, ErrSnap,
	{
		Name:   "iptables",
		Text:   say.NoIptables.With(),
		Remedy: say.RemoveSetting.With(),
		set:    func(s dockerd.Setup) bool { return s.Is("iptables", false) },
	},
	{
		Name:   "ip-forward",
		Text:   say.NoIPForward.With(),
		Remedy: say.RemoveSetting.With(),
		set:    func(s dockerd.Setup) bool { return s.Is("ip-forward", false) },
	},
}

// Hindering lists the settings in the files of an engine that exclude swarm mode or cripple it.
func Hindering(setup dockerd.Setup) (all []*Setting) {
	for _, s := range settings {
		if s.set != nil && s.set(setup) {
			all = append(all, s)
		}
	}
	return all
}

// excluding is the setting for which an engine refuses swarm mode, nil when there is none. refused is the one that it
// last refused for, which counts where it tells nothing to the contrary.
func excluding(info system.Info, refused *Setting) *Setting {
	said := strings.ToLower(info.Swarm.Error)
	for _, s := range settings {
		if !s.Excludes {
			continue
		}
		set, known := false, false
		if s.told != nil {
			set, known = s.told(info)
		}
		if set || !known && (s == refused || s.refusal != "" && strings.Contains(said, s.refusal)) {
			return s
		}
	}
	return nil
}
