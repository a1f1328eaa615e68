package clusterkey

// This file has the form of a key as people write it: the one that is generated, and passphrases.

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/pi-agent/pi-agent/internal/secret"
)

// Form of a generated key: 7 groups of 4 characters, as in 7Q2M-..., of which 26 are random and 2 find typing mistakes,
// see typed.go.
const (
	alphabet    = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford's base32: no I, L, O and U, which are misread
	randomChars = 26                                 // 130 bits
	checkChars  = 2
	groupChars  = 4
)

// Bounds of a passphrase, in characters.
const (
	phraseMin = 12
	phraseMax = 128
)

// Bounds says in words what may be given as a key.
var Bounds = fmt.Sprintf(`a key as "pi-agent key new" prints it, or a passphrase of %d to %d characters`,
	phraseMin, phraseMax)

// errForm is the error of text that is no phrase. The text itself is in no error.
var errForm = errors.New("give " + Bounds)

// Phrase is the cluster key as a person writes it: generated, or a passphrase. The zero Phrase is none.
type Phrase struct {
	text secret.Secret
	weak bool
}

// Weak reports whether the phrase was made up by a person, so that others may guess it.
func (p Phrase) Weak() bool { return p.weak }

// None reports whether there is no key.
func (p Phrase) None() bool { return p.text.Empty() }

// Equal reports whether two phrases make one key.
func (p Phrase) Equal(other Phrase) bool { return p.weak == other.weak && p.text.Equal(other.text) }

// Generate returns a new random key in the form that Parse reads.
func Generate() string {
	b := make([]byte, randomChars)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]%byte(len(alphabet))]
	}
	return inGroups(string(b) + check(string(b)))
}

// inGroups is how a generated key is shown.
func inGroups(chars string) string {
	var groups []string
	for ; chars != ""; chars = chars[groupChars:] {
		groups = append(groups, chars[:groupChars])
	}
	return strings.Join(groups, "-")
}

// check are the characters that end a generated key.
func check(random string) string {
	sum := sha256.Sum256([]byte(random))
	var b strings.Builder
	for _, c := range sum[:checkChars] {
		b.WriteByte(alphabet[int(c)%len(alphabet)])
	}
	return b.String()
}

// Parse reads a key. In a generated one case, what is between the groups and around the key, O for 0 and I or L for 1
// do not matter. A passphrase counts as it looks, see visible, without space around it. What looks like a generated key
// and is none is refused. The error says what is wrong without the text.
func Parse(text string) (Phrase, error) {
	if random, ok, err := generated(text); ok && utf8.ValidString(text) {
		if err != nil {
			return Phrase{}, err
		}
		return Phrase{text: secret.New(random)}, nil
	}
	text = visible(text)
	switch n := utf8.RuneCountInString(text); {
	case text == "":
		return Phrase{}, fmt.Errorf("it is empty: %w", errForm)
	case !utf8.ValidString(text):
		return Phrase{}, fmt.Errorf("it is not UTF-8 text: save it anew with the encoding UTF-8, and %w", errForm)
	case n < phraseMin || n > phraseMax:
		return Phrase{}, fmt.Errorf("it has %d characters: %w", n, errForm)
	case strings.ContainsFunc(text, unicode.IsControl):
		return Phrase{}, fmt.Errorf("it has a line break or a character that cannot be printed: %w", errForm)
	}
	return Phrase{text: secret.New(text), weak: true}, nil
}

// canonical is the text of a key as it is written to a file: a generated one as Generate would, whatever was typed.
func canonical(text string) (string, error) {
	p, err := Parse(text)
	if err != nil || p.weak {
		return p.text.Reveal(), err
	}
	random := p.text.Reveal()
	return inGroups(random + check(random)), nil
}

// visible is a passphrase in the one form that all texts have that look the same, whatever keyboard or editor they come
// from, much as passwords are compared (OpaqueString in RFC 8265, section 4.2): letters are composed with their
// accents, every space is an ASCII one, and none is around the text. What cannot be seen is left out, which that
// profile would refuse.
func visible(text string) string {
	if !utf8.ValidString(text) {
		return text // which is refused for that
	}
	text = norm.NFC.String(strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			return -1
		case unicode.Is(unicode.Zs, r):
			return ' '
		}
		return r
	}, text))
	return strings.TrimSpace(text)
}
