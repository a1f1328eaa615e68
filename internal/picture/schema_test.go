package picture_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pi-agent/pi-agent/internal/picture"
)

const schemaPath = "../../docs/status.schema.json"

// TestSchemaHolds holds pictures to the schema that others check them with.
func TestSchemaHolds(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile(schemaPath)
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text string) error {
		form, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(form)
	}
	empty, err := picture.Picture{Drawn: now}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(empty)}
	for _, path := range []string{"testdata/v1.json", "testdata/classroom.json"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		if err := valid(text); err != nil {
			t.Errorf("%.80s: %v", text, err)
		}
	}
	for right, wrong := range map[string]string{
		`"state": "out"`: `"state": "lost"`, `"10.77.0.129"`: `"10.77.0"`, `"needs": false`: `"needs": 0`, `"announced": true,`: ``,
		`"heard": "2026-11-23T07:50:00Z"`: `"heard": "yesterday"`, `"version": 1`: `"version": 2`,
	} {
		text := strings.Replace(texts[1], right, wrong, 1)
		if err := valid(text); text == texts[1] || err == nil {
			t.Errorf("a picture with %s in place of %s is valid", wrong, right)
		}
	}
}

// TestSchemaIsWhole holds the fields of the schema to those of the types.
func TestSchemaIsWhole(t *testing.T) {
	text, err := os.ReadFile(schemaPath)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Required   []string
			Properties map[string]any
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for _, of := range []reflect.Type{
		reflect.TypeFor[picture.Picture](), reflect.TypeFor[picture.Swarm](), reflect.TypeFor[picture.Board](), reflect.TypeFor[picture.Service](),
		reflect.TypeFor[picture.Task](), reflect.TypeFor[picture.Nearby](), reflect.TypeFor[picture.Warning](),
		reflect.TypeFor[picture.Sentence](),
	} {
		var names, always []string
		for i := range of.NumField() {
			name, may, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			names = append(names, name)
			if may == "" {
				always = append(always, name)
			}
		}
		def := schema.Defs[of.Name()]
		slices.Sort(names)
		slices.Sort(always)
		slices.Sort(def.Required)
		if diff := cmp.Diff(names, slices.Sorted(maps.Keys(def.Properties))); diff != "" {
			t.Errorf("the fields of %s (-type +schema):\n%s", of, diff)
		}
		if diff := cmp.Diff(always, def.Required); diff != "" {
			t.Errorf("the fields that %s always has (-type +schema):\n%s", of, diff)
		}
	}
}
