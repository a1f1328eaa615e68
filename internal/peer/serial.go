package peer

// This file has serials: how they are read, derived and shown.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// serialLen is the length of a Serial in characters: a Raspberry Pi serial is 64 bits in hexadecimal.
const serialLen = 16

// derivedMark starts the serial of a board without one of its own. It is greater than every hexadecimal digit, so that
// plain string comparison sorts such boards after all real ones.
const derivedMark = "m"

// Serial is a board's place in the election: 16 lower-case hexadecimal digits, zero padded, as the firmware gives them,
// or "m" and 15 digits where it was derived from the machine id. Compare serials with < and >: the lowest leads.
type Serial string

// ParseSerial normalises s: surrounding space and NUL bytes go, upper case becomes lower, short serials are zero
// padded. An empty, all-zero, over-long or non-hexadecimal serial is an error: such a board has no serial of its own.
func ParseSerial(s string) (Serial, error) {
	given := s
	s = strings.ToLower(strings.Trim(s, "\x00\r\n\t "))
	if rest, ok := strings.CutPrefix(s, derivedMark); ok {
		if len(rest) != serialLen-1 || !isHex(rest) {
			return "", fmt.Errorf("serial %q: a derived serial is %q and %d hexadecimal digits", given, derivedMark, serialLen-1)
		}
		return Serial(s), nil
	}
	switch {
	case s == "":
		return "", fmt.Errorf("serial %q is empty: give 1 to %d hexadecimal digits", given, serialLen)
	case len(s) > serialLen:
		return "", fmt.Errorf("serial %.40q is too long: give 1 to %d hexadecimal digits", given, serialLen)
	case !isHex(s):
		return "", fmt.Errorf("serial %q is not hexadecimal: give 1 to %d digits 0-9 a-f", given, serialLen)
	case strings.Trim(s, "0") == "":
		return "", fmt.Errorf("serial %q is all zeros, which boards without a serial show", given)
	}
	return Serial(strings.Repeat("0", serialLen-len(s)) + s), nil
}

// DeriveSerial makes the serial of a board that has none from its machine id (machine-id(5)). The machine id itself,
// which is meant to stay on the machine, cannot be read back from it.
func DeriveSerial(machineID string) Serial {
	sum := sha256.Sum256([]byte("pi-agent serial\n" + strings.TrimSpace(machineID)))
	return Serial(derivedMark + hex.EncodeToString(sum[:])[:serialLen-1])
}

// Derived reports whether the board had no serial of its own.
func (s Serial) Derived() bool { return strings.HasPrefix(string(s), derivedMark) }

// Instance is the DNS-SD service instance and mDNS host label of the board: "pi-" and the whole serial.
func (s Serial) Instance() string { return "pi-" + string(s) }

// Name is the short name for people: "pi-" and the last six characters of the serial.
func (s Serial) Name() string { return "pi-" + string(s[max(0, len(s)-6):]) }

// isHex reports whether s has nothing but lower-case hexadecimal digits.
func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
