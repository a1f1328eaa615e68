package timing

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestProduct(t *testing.T) {
	v := reflect.ValueOf(Product())
	for i := range v.NumField() {
		if v.Field(i).Int() <= 0 {
			t.Errorf("%s is %v", v.Type().Field(i).Name, v.Field(i))
		}
	}
	p := Product()
	if p.Fresh != 3*p.Ask || p.Rival != 3*p.AskIn || p.Hello != p.AskIn || p.DuplicateTold != 2*p.Rival {
		t.Error("what hangs together does not")
	}
}

func TestFaster(t *testing.T) {
	for _, n := range []float64{0, -1, 0.99, math.NaN(), math.Inf(1)} {
		if _, err := Product().Faster(n); err == nil {
			t.Errorf("pace %v is taken", n)
		}
	}
	same, err := Product().Faster(1)
	if err != nil || same != Product() {
		t.Errorf("at pace 1 it is %+v, %v", same, err)
	}
	fast, err := Product().Faster(10)
	if err != nil {
		t.Fatal(err)
	}
	slow, quick := reflect.ValueOf(Product()), reflect.ValueOf(fast)
	for i := range slow.NumField() {
		if slow.Field(i).Int() != 10*quick.Field(i).Int() {
			t.Errorf("%s is %v, was %v", slow.Type().Field(i).Name, quick.Field(i), slow.Field(i))
		}
	}
	if (Timing{}).Or(fast) != fast || fast.Or(Product()) != fast {
		t.Error("Or takes the wrong one")
	}
}

// Every patience has its reason.
func TestReasons(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "timing.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range s.Fields.List {
			fields++
			if name := field.Names[0].Name; !strings.HasPrefix(field.Doc.Text(), name+" ") {
				t.Errorf("%s says %q", name, field.Doc.Text())
			}
		}
		return false
	})
	if want := reflect.TypeFor[Timing]().NumField(); fields != want {
		t.Errorf("%d fields are read, want %d", fields, want)
	}
}
