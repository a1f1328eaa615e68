package trust_test

import (
	"strings"
	"testing"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

func sameKey(tb testing.TB, text, cluster string) trust.SameKey {
	tb.Helper()
	phrase, err := clusterkey.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := phrase.Key(cluster)
	if err != nil {
		tb.Fatal(err)
	}
	model, err := trust.NewSameKey(cluster, key)
	if err != nil {
		tb.Fatal(err)
	}
	return model
}

func message(answer []byte) trust.Message {
	return trust.Message{
		Channel: make([]byte, 32), Client: peer.Fingerprint{1}, Server: peer.Fingerprint{2},
		Request: []byte("POST /v1/join\n{}"), Answer: answer,
	}
}

// A proof is of one message on one connection between two boards, in one direction.
func TestProofCoversEveryPart(t *testing.T) {
	model := sameKey(t, "0123-4567-89AB-CDEF-GHJK-MNPQ-RSNP", "pi")
	for _, kind := range []struct {
		name   string
		answer []byte
	}{{"request", nil}, {"answer", []byte("200\n{}")}, {"empty answer", []byte{}}} {
		proof := model.Prove(message(kind.answer))
		if err := model.Check(message(kind.answer), proof); err != nil {
			t.Errorf("%s: its own proof: %v", kind.name, err)
		}
		for name, change := range map[string]func(*trust.Message){
			"channel":          func(m *trust.Message) { m.Channel[31]++ },
			"client":           func(m *trust.Message) { m.Client[0]++ },
			"server":           func(m *trust.Message) { m.Server[31]++ },
			"ends exchanged":   func(m *trust.Message) { m.Client, m.Server = m.Server, m.Client },
			"path":             func(m *trust.Message) { m.Request = []byte("POST /v1/hello\n{}") },
			"longer request":   func(m *trust.Message) { m.Request = append(m.Request, ' ') },
			"longer answer":    func(m *trust.Message) { m.Answer = append(m.Answer, ' ') },
			"part moved ahead": func(m *trust.Message) { m.Request, m.Answer = append(m.Request, m.Answer...), []byte{'x'} },
			"other direction": func(m *trust.Message) {
				if m.Answer == nil {
					m.Answer = []byte{}
				} else {
					m.Answer = nil
				}
			},
		} {
			m := message(kind.answer)
			change(&m)
			if err := model.Check(m, proof); err == nil || !strings.Contains(err.Error(), "another cluster key") {
				t.Errorf("%s, %s changed: %v", kind.name, name, err)
			}
		}
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	const text, other = "0123-4567-89AB-CDEF-GHJK-MNPQ-RSNP", "correct horse battery"
	ours, none := sameKey(t, text, "pi"), trust.SameName{Cluster: "pi"}
	m := message(nil)
	for _, tt := range []struct {
		name  string
		model trust.Model
		proof string
		want  string // nothing when empty
	}{
		{"the same key", ours, sameKey(t, text, "pi").Prove(m), ""},
		{"no key on either side", none, none.Prove(m), ""},
		{"no proof", ours, none.Prove(m), "it does not show that it has a cluster key, this board has one"},
		{"another key", ours, sameKey(t, other, "pi").Prove(m), "it has another cluster key than this board"},
		{"the key of another cluster", ours, sameKey(t, text, "class-b").Prove(m),
			"it has another cluster key than this board"},
		{"rubbish", ours, "\x00", "it has another cluster key than this board"},
		{"a key where there is none", none, ours.Prove(m), "it has a cluster key, this board has none"},
	} {
		is := ""
		if err := tt.model.Check(m, tt.proof); err != nil {
			is = err.Error()
		}
		if is != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, is, tt.want)
		}
	}
}
