package secret_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pi-agent/pi-agent/internal/secret"
)

func TestSecretPrintsAsStars(t *testing.T) {
	const value = "SWMTKN-1-abc"
	type holder struct {
		Token secret.Secret
		Ptr   *secret.Secret
		inner secret.Secret
	}
	s := secret.New(value)
	h := holder{Token: s, Ptr: &s, inner: s}
	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	zap.New(core).Info("m", zap.Any("s", s), zap.Stringer("t", s), zap.Any("h", h))
	var printed []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		printed = append(printed, fmt.Sprintf(verb, s), fmt.Sprintf(verb, h))
	}
	printed = append(printed, string(js), fmt.Sprint(logs.All()[0].ContextMap()), fmt.Errorf("token %v", s).Error())
	for _, p := range printed {
		if strings.Contains(p, value) || strings.Contains(p, "53574d") {
			t.Errorf("value shown in %q", p)
		}
	}
	if got := s.Reveal(); got != value {
		t.Errorf("Reveal() = %q, want %q", got, value)
	}
	if s.Empty() || !secret.New("").Empty() || !(secret.Secret{}).Empty() {
		t.Error("Empty is wrong")
	}
	if !s.Equal(secret.New(value)) || s.Equal(secret.New(value+" ")) || !secret.New("").Equal(secret.Secret{}) {
		t.Error("Equal is wrong")
	}
}
