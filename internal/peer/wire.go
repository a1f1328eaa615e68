package peer

import (
	"encoding/json"

	"github.com/pi-agent/pi-agent/internal/say"
)

// wire is a claim in JSON: its texts are their English, which every board understands, and beside it stands what is
// more.
type wire struct {
	plain
	TroubleCode string `json:"trouble_code,omitempty"`
	TroubleEs   string `json:"trouble_es,omitempty"`
	WaitsCode   string `json:"waits_code,omitempty"`
	WaitsEs     string `json:"waits_es,omitempty"`
}

// plain is a claim without methods.
type plain Claim

// MarshalJSON implements json.Marshaler. A struct that goes into JSON names its claim as a field: one that embeds it
// has these methods instead of its own fields.
func (c Claim) MarshalJSON() ([]byte, error) {
	w := wire{plain: plain(c), TroubleCode: c.Trouble.Code, WaitsCode: c.Waits.Code}
	if c.Trouble.Es != c.Trouble.En {
		w.TroubleEs = c.Trouble.Es
	}
	if c.Waits.Es != c.Waits.En {
		w.WaitsEs = c.Waits.Es
	}
	return json.Marshal(w)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Claim) UnmarshalJSON(text []byte) error {
	var w wire
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*c = Claim(w.plain)
	c.Trouble, c.Waits = completed(c.Trouble, w.TroubleCode, w.TroubleEs), completed(c.Waits, w.WaitsCode, w.WaitsEs)
	return nil
}

// completed is a text that came in English, with what stood beside it.
func completed(t say.Text, code, es string) say.Text {
	if t.IsZero() {
		return t
	}
	t.Code = code
	if es != "" {
		t.Es = es
	}
	return t
}
