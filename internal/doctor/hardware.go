package doctor

// The hardware: the card, and the power supply.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Free space, in bytes.
const (
	freeLow  = 1 << 30   // an image or two
	freeNone = 200 << 20 // the engine stops working somewhere below
)

func checkDisk(_ context.Context, p *Patient) []Result {
	const name, remedy = "disk", "docker system prune removes what no container uses; or take a larger card"
	where := p.dataRoot()
	free, total, err := p.Free(where)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		where = "/"
		free, total, err = p.Free(where)
	}
	switch {
	case err != nil:
		return skip(name, "The free space of %s is not known: %v.", where, err)
	case free < freeNone:
		return fail(name, remedy, "%s has %s left of %s.", where, bytes(free), bytes(total))
	case free < freeLow:
		return warn(name, remedy, "%s has %s left of %s.", where, bytes(free), bytes(total))
	}
	return pass(name, "%s has %s left of %s.", where, bytes(free), bytes(total))
}

func bytes(n uint64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
}

// throttledPath is the firmware's word on power and heat in hexadecimal, on the kernels of Raspberry Pi OS.
const throttledPath = "sys/devices/platform/soc/soc:firmware/get_throttled"

// The bits of it: voltage is too low now, and was since the board was switched on.
const (
	underVoltage    = 1 << 0
	wasUnderVoltage = 1 << 16
)

func checkVoltage(_ context.Context, p *Patient) []Result {
	const name, remedy = "power supply", "use the power supply made for the board, and a short thick cable"
	if word, err := text(p.Root, throttledPath); err == nil {
		flags, err := strconv.ParseUint(strings.TrimPrefix(word, "0x"), 16, 64)
		switch {
		case err != nil:
			return skip(name, "The firmware says %q, which is not understood.", word)
		case flags&underVoltage != 0:
			return fail(name, remedy, "The voltage is too low: the board is slow and may write a broken card.")
		case flags&wasUnderVoltage != 0:
			return warn(name, remedy, "The voltage was too low since the board was switched on.")
		}
		return pass(name, "The voltage has always been high enough.")
	}
	names, err := fs.Glob(p.Root, "sys/class/hwmon/*/name")
	if err != nil {
		return nil
	}
	for _, at := range names {
		if sensor, err := text(p.Root, at); err != nil || sensor != "rpi_volt" {
			continue
		}
		switch alarm, err := text(p.Root, path.Join(path.Dir(at), "in0_lcrit_alarm")); {
		case err != nil:
			return skip(name, "The sensor does not tell: %v.", err)
		case alarm != "0":
			return fail(name, remedy, "The voltage is too low: the board is slow and may write a broken card.")
		}
		return pass(name, "The voltage is high enough.")
	}
	return nil // no Raspberry Pi
}
