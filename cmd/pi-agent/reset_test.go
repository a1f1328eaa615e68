package main

import (
	"io"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{
		"y\n": true, "Yes \n": true, "y": true, "\n": false, "": false, "no\n": false, "yy\n": false,
	} {
		if err := confirm(strings.NewReader(answer), io.Discard, "Go on? "); (err == nil) != want {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
