package swarm

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/pi-agent/pi-agent/internal/secret"
)

// someToken has the form of a join token and opens nothing.
var someToken = secret.New("SWMTKN-1-3pu6hszjas19xyp7ghgosyx9k8atbfcr8p2is99znpy26u2lkl-7p73s1dx5in4tatdymyhg9hu2")

var pool = netip.MustParsePrefix("10.201.0.0/16")

func status(t *testing.T, e Engine) Status {
	t.Helper()
	s, err := e.Status(t.Context())
	must(t, err)
	return s
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
