package clusterkey

// This file tells a generated key that was mistyped from a passphrase, and says what is wrong with it.

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How far a text may be from a generated key, in characters without what is between its groups, and still be taken for
// one that was mistyped: two groups with dashes between groups, and one without.
const (
	allChars   = randomChars + checkChars
	allGroups  = allChars / groupChars
	groupedOff = 2*groupChars + 1
	solidOff   = groupChars + 1
	// wordsFrom is more than a mistyped key has.
	wordsFrom = 40
)

// asPassphrase says how a text that looks like a key can be used all the same.
var asPassphrase = fmt.Sprintf("to use it as a passphrase, add words until it has %d letters and digits", wordsFrom)

// quotes are what people and programs put around a key.
const quotes = "\"'`“”„‟‘’‚‛«»‹›<>"

// generated reads a text as a generated key, whatever is around it and between its groups. It is not ok when the text
// does not look like one; when it does, and is none, the error says why, without the text.
func generated(text string) (random string, ok bool, err error) {
	text = bare(text)
	if i := strings.LastIndexAny(text, ":="); i >= 0 { // as in key = "..."
		groups := groupsOf(bare(text[i+1:]))
		if chars := normal(groups); fits(chars) || looksGenerated(groups) || looksCut(groups) {
			return read(groups, chars)
		}
	}
	groups := groupsOf(text)
	chars := normal(groups)
	pieces := piecesOf(text)
	switch {
	case isKeyChars(chars) || looksGenerated(groups) || looksCut(groups):
		return read(groups, chars)
	case hasKey(pieces):
		return "", true, errors.New(`it has other text beside a key of "pi-agent key new", or between its groups: ` +
			"leave nothing but the key")
	case looksGenerated(pieces) || looksRegrouped(pieces):
		return "", true, fmt.Errorf(`it looks like a key of "pi-agent key new" with other text, or grouped otherwise, `+
			"and is none: copy it again with nothing but the key, or, %s", asPassphrase)
	}
	return "", false, nil
}

// read is generated for groups that look like those of a key.
func read(groups []string, chars string) (random string, ok bool, err error) {
	switch {
	case fits(chars):
		return chars[:randomChars], true, nil
	case !isKeyChars(chars):
		err = fmt.Errorf(`it looks like a key of "pi-agent key new" and is none: %s: copy it again, or, %s`,
			faults(groups), asPassphrase)
	case !strings.ContainsFunc(strings.Join(groups, ""), isDigit):
		err = fmt.Errorf(`it has %d letters, as many as a key of "pi-agent key new" has characters, and would be taken `+
			"for one that is mistyped: to use it as a passphrase, add a word", allChars)
	default:
		err = fmt.Errorf(`it looks like a key of "pi-agent key new" and is none: a character is wrong, and it cannot be `+
			"told which: copy it again, or, %s", asPassphrase)
	}
	return "", true, err
}

// bare is a text without the quotes and the space around it.
func bare(text string) string {
	return strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(quotes+",;", r)
	})
}

// groupsOf splits a text at what programs and people put between the groups of a key. What cannot be seen is not there.
func groupsOf(text string) []string {
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
	return strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Zs) || strings.ContainsRune("−._,;:/|", r)
	})
}

// markup is what programs write for a character that they do not want to show.
var markup = regexp.MustCompile(`&#?[0-9A-Za-z]+;|%[0-9A-Fa-f]{2}`)

// piecesOf are the letters and digits of a text, split at whatever else there is. Those that are as wide as a Japanese
// character are what they look like.
func piecesOf(text string) []string {
	text = strings.Map(func(r rune) rune {
		if r >= '！' && r <= '～' {
			return r - '！' + '!'
		}
		return r
	}, markup.ReplaceAllString(text, " "))
	return strings.FieldsFunc(text, func(r rune) bool { return onlyKnown(r) < 0 })
}

// looksRegrouped reports whether pieces look like a key that was not grouped in fours: letters and digits are mixed in
// them, or each is a character or two, and they change as often as in no sentence.
func looksRegrouped(pieces []string) bool {
	if len(pieces) < 2 {
		return false
	}
	mixed, short, length := 0, 0, 0
	for _, p := range pieces {
		length += len(p)
		if i := strings.IndexFunc(p, isDigit); i >= 0 && strings.ContainsFunc(p[i:], isLetter) { // not as in room101
			mixed++
		}
		if len(p) <= 2 {
			short++
		}
	}
	off := length - allChars
	return max(off, -off) <= 2 && (2*mixed > len(pieces) || short == len(pieces)) && looksRandom(strings.Join(pieces, ""))
}

// normal is the text of groups in the characters of a generated key, as far as they are some.
func normal(groups []string) string {
	return misread.Replace(strings.ToUpper(strings.Join(groups, "")))
}

// misread are the characters that no key has because they are taken for others.
var misread = strings.NewReplacer("O", "0", "I", "1", "L", "1")

// isKeyChars reports whether a text in normal form has as many characters as a generated key, and no others.
func isKeyChars(chars string) bool {
	return len(chars) == allChars && strings.Trim(chars, alphabet) == ""
}

// fits reports whether a text in normal form is a generated key.
func fits(chars string) bool {
	return isKeyChars(chars) && check(chars[:randomChars]) == chars[randomChars:]
}

// hasKey reports whether some of the groups are a generated key.
func hasKey(groups []string) bool {
	for i := range groups {
		length := 0
		for j, g := range groups[i:] {
			if length += len(g); length > allChars {
				break
			}
			if part := groups[i : i+j+1]; length == allChars && countDigits(part) >= 3 && fits(normal(part)) {
				return true
			}
		}
	}
	return false
}

// looksGenerated reports whether a text is so much like a generated key that it was meant as one. Letters and digits of
// a key are mixed as they are not in words and numbers: of a thousand keys two are not.
func looksGenerated(groups []string) bool {
	length, fours, mixed, strange := 0, 0, 0, 0
	for _, g := range groups {
		n := utf8.RuneCountInString(g)
		length += n
		if n == groupChars {
			fours++
		}
		if strings.ContainsFunc(g, isDigit) && strings.ContainsFunc(g, isLetter) {
			mixed++
		}
		strange += n - len(strings.Map(onlyKnown, g))
	}
	off := length - allChars
	if len(groups) == 1 {
		return max(off, -off) <= solidOff && strange <= 1 && looksRandom(groups[0])
	}
	// Four groups of four: the serial number of another program has others.
	return max(off, -off) <= groupedOff && fours >= 4 && len(groups)-fours <= 2 && mixed >= 2 && strange <= 3
}

// looksCut reports whether groups look like those that are left of a generated key when the others are missing: groups
// of four in one case, but for one that may be shorter, and letters and digits mixed in two or more of them. Words are
// not, and neither are the numbers of cards and devices, which are decimal or hexadecimal.
func looksCut(groups []string) bool {
	fours, mixed := 0, 0
	for _, g := range groups {
		switch {
		case len(g) > groupChars || strings.Trim(normal([]string{g}), alphabet) != "":
			return false
		case len(g) == groupChars:
			fours++
		}
		if strings.ContainsFunc(g, isDigit) && strings.ContainsFunc(g, isLetter) {
			mixed++
		}
	}
	text := strings.Join(groups, "")
	return len(text) < allChars && fours >= 2 && len(groups) >= 3 && len(groups)-fours <= 1 && mixed >= 2 &&
		fewCases(text) && !isHex(text)
}

// fewCases reports whether the letters of a text are in one case, or change it so seldom as where the shift lock was
// pressed in the midst of it. Those that a password manager makes up change it all the time.
func fewCases(text string) bool {
	const most = 3
	changes, known, upper := 0, false, false
	for _, r := range text {
		if !unicode.IsUpper(r) && !unicode.IsLower(r) {
			continue
		}
		if known && upper != unicode.IsUpper(r) {
			changes++
		}
		known, upper = true, unicode.IsUpper(r)
	}
	return changes <= most
}

// isHex reports whether a text has nothing but hexadecimal digits.
func isHex(text string) bool { return strings.Trim(text, "0123456789abcdefABCDEF") == "" }

// looksRandom reports whether letters of one case and digits change so often that the text is no words, and in it are
// more than the letters of a hexadecimal number.
func looksRandom(text string) bool {
	changes, last := 0, false
	for i, r := range text {
		digit := isDigit(r)
		if i > 0 && digit != last {
			changes++
		}
		last = digit
	}
	return fewCases(text) && changes >= 5 && countDigits([]string{text}) >= 3 && !isHex(text)
}

// faults says what is wrong with groups that look like those of a key and are not.
func faults(groups []string) string {
	var all []string
	if len(groups) == 1 {
		if n := utf8.RuneCountInString(groups[0]); n != allChars {
			all = append(all, fmt.Sprintf("it has %d characters instead of %d", n, allChars))
		}
		for i, r := range []rune(groups[0]) {
			if what := notInKey(r); what != "" {
				all = append(all, fmt.Sprintf("its character %d is %s", i+1, what))
			}
		}
		return some(all)
	}
	count := 0
	for _, g := range groups {
		n := utf8.RuneCountInString(g)
		at := fmt.Sprintf("group %d", count+1)
		count++
		if n > groupChars && n%groupChars == 0 { // what was between groups was left out
			count += n/groupChars - 1
		} else if n != groupChars {
			all = append(all, fmt.Sprintf("%s has %d characters instead of %d", at, n, groupChars))
		}
		for _, r := range g {
			if what := notInKey(r); what != "" {
				all = append(all, fmt.Sprintf("%s has %s", at, what))
				break
			}
		}
	}
	if count != allGroups {
		all = slices.Insert(all, 0,
			fmt.Sprintf("it has %d groups of %d characters instead of %d", count, groupChars, allGroups))
	}
	return some(all)
}

// some joins as many faults as fit into what a board tells others.
func some(faults []string) string {
	if most := 3; len(faults) > most {
		faults = append(faults[:most:most], "and more")
	}
	return strings.Join(faults, ", ")
}

// notInKey is what a character is called that no key has, empty for those that one may have. It is not shown: the text
// may be a passphrase after all. U is what V is misread as.
func notInKey(r rune) string {
	switch {
	case unicode.ToUpper(r) == 'U':
		return "a U, which no key has"
	case !isDigit(r) && !isLetter(r):
		return "a character that no key has"
	}
	return ""
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// onlyKnown drops what is neither a letter nor a digit of ASCII.
func onlyKnown(r rune) rune {
	if isDigit(r) || isLetter(r) {
		return r
	}
	return -1
}

func countDigits(groups []string) (n int) {
	for _, g := range groups {
		for _, r := range g {
			if isDigit(r) {
				n++
			}
		}
	}
	return n
}
