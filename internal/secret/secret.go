// Package secret holds values that must never reach a log, an error or a file by accident.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
)

const mask = "***"

// Secret is a string that prints, formats and marshals as "***". Only Reveal gives the value, so that a reader finds
// every place where one may leave the process by searching for that name.
type Secret struct {
	// A pointer, because fmt cannot call Format on an unexported field of another struct, and shows an address then.
	value *string
}

// New wraps value. The empty string is allowed and is reported by Empty.
func New(value string) Secret { return Secret{value: &value} }

// Reveal returns the value itself, which is empty for the zero Secret.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Equal compares the values, in a time that does not tell where they differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String implements fmt.Stringer.
func (Secret) String() string { return mask }

// Format implements fmt.Formatter, so that no verb, %d and %x included, shows the value.
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, mask) // a fmt.State keeps its own error
}

// MarshalJSON implements json.Marshaler; the value is not part of the result.
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(mask) }

// MarshalText implements encoding.TextMarshaler; the value is not part of the result.
func (Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }
