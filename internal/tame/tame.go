// Package tame makes text from outside harmless: no longer than it may be, and on one line that no terminal obeys.
package tame

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Read reads all of r, which may have at most limit bytes. The error of more says what it is and how to put that right.
func Read(r io.Reader, limit int, what, remedy string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(text) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes: %s", what, limit, remedy)
	}
	return text, nil
}

// Line is text on one line, with a space for all that cannot be printed.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// Cut is the beginning of text, at most limit bytes of it, without half a character at its end.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit
	for end > 0 && limit-end < utf8.UTFMax-1 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
