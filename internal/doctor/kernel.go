package doctor

// The kernel: what overlay networks and limits of memory need of it. Where a module is missing, services are deployed
// and silently do not work.

import (
	"context"
	"io/fs"
	"path"
	"strings"
)

// modules are the kernel modules that a swarm needs, with what they are for.
var modules = []struct{ name, use string }{
	{"vxlan", "overlay networks between boards"},
	{"ip_vs", "published ports and virtual addresses of services"},
	{"overlay", "images and containers"},
	{"br_netfilter", "traffic between containers"},
}

func checkModules(_ context.Context, p *Patient) (all []Result) {
	release, err := text(p.Root, "proc/sys/kernel/osrelease")
	if err != nil {
		return skip("kernel", "The kernel does not say which it is: %v.", err)
	}
	dir := path.Join("lib/modules", release)
	builtin, errBuiltin := text(p.Root, path.Join(dir, "modules.builtin"))
	known, errKnown := text(p.Root, path.Join(dir, "modules.dep"))
	systems, _ := text(p.Root, "proc/filesystems") // without it overlay is looked for as any module is
	for _, m := range modules {
		check := "module " + m.name
		_, err := fs.Stat(p.Root, "sys/module/"+m.name)
		switch {
		case err == nil, m.name == "overlay" && strings.Contains(systems, "\toverlay"), lists(builtin, m.name):
			all = append(all, pass(check, "The kernel has it, for %s.", m.use)...)
		case lists(known, m.name):
			all = append(all, pass(check, "The kernel loads it when it is needed, for %s.", m.use)...)
		case errBuiltin != nil && errKnown != nil:
			all = append(all, skip(check, "It is not loaded, and /%s does not tell whether there is one.", dir)...)
		default:
			all = append(all, fail(check, "on Ubuntu: sudo apt install linux-modules-extra-raspi, and reboot",
				"The kernel %s has none, which is needed for %s.", release, m.use)...)
		}
	}
	return all
}

// lists reports whether a list of module files names a module, with a dash or an underscore.
func lists(files, module string) bool {
	for line := range strings.Lines(files) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, _, _ := strings.Cut(path.Base(file), ".")
		if strings.ReplaceAll(name, "-", "_") == module {
			return true
		}
	}
	return false
}

func checkMemoryCgroup(_ context.Context, p *Patient) []Result {
	const name = "memory cgroup"
	v2, err := text(p.Root, "sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		v1, _ := text(p.Root, "proc/cgroups") // lines of name, hierarchy, number, enabled
		for line := range strings.Lines(v1) {
			if f := strings.Fields(line); len(f) == 4 && f[0] == "memory" && f[3] == "1" {
				v2 = "memory"
			}
		}
	}
	for _, c := range strings.Fields(v2) {
		if c == "memory" {
			return pass(name, "Limits of memory are kept.")
		}
	}
	return warn(name, "add cgroup_enable=memory to the one line of cmdline.txt on the boot partition, and reboot",
		"Raspberry Pi kernels have it off: limits of memory in services are not kept, and docker stats shows none.")
}
