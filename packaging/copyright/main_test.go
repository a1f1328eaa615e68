package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	apache = "\n    Apache License\n    Version 2.0, January 2004\n\n1. Definitions.\n\n   Copyright [yyyy] [name of " +
		"copyright owner]\n" +
		"   See the License for the specific language governing permissions and\n   limitations under the License.\n"
	bsd2 = "Copyright (c) 2015, A. Person\n\nRedistribution and use in source and binary\nforms, with or without ...\n"
	bsd3 = "Copyright 2009 The Go Authors.\n" + bsd2 +
		"Neither the name ... may be used to\nendorse or promote products ...\n"
	expat  = "Permission is hereby granted, free of charge, to any person obtaining\na copy of this software ...\n"
	strict = "Copyright 2020 A Company\nAll rights reserved. You may look at it.\n"
)

// moduleOf makes a module of files, named by their paths and separated by a line break from their texts.
func moduleOf(t *testing.T, files ...string) module {
	t.Helper()
	m := module{name: "example.org/m@v1.0.0", dirs: []string{t.TempDir()}}
	for _, f := range files {
		name, text, _ := strings.Cut(f, "\n")
		if err := os.WriteFile(filepath.Join(m.dirs[0], name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestParagraph(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		want  string
	}{
		{"Apache", []string{"LICENSE\n" + apache, "NOTICE\nThe M project\n\nCopyright 2018 M, Inc.\n",
			"LICENSE.docs\n" + strict},
			"Copyright: 2018 M, Inc.\nComment: The notice that comes with it:\n The M project\n .\n Copyright 2018 M, Inc.\n" +
				"License: Apache-2.0\n"},
		{"BSD", []string{"license.md\n" + bsd2},
			"Copyright: 2015, A. Person\nLicense: BSD-2-clause\n Copyright (c) 2015, A. Person\n .\n" +
				" Redistribution and use in source and binary\n forms, with or without ...\n"},
		{"nobody named", []string{"COPYING\n" + expat}, "Copyright: The authors of example.org/m@v1.0.0\nLicense: Expat\n" +
			" Permission is hereby granted, free of charge, to any person obtaining\n a copy of this software ...\n"},
		{"two in one file", []string{"LICENSE\n" + apache + "\n----\n\n" + bsd3},
			"Copyright: 2009 The Go Authors.\n 2015, A. Person\nLicense: Apache-2.0 and BSD-3-clause\n ----\n .\n" +
				" Copyright 2009 The Go Authors.\n Copyright (c) 2015, A. Person\n .\n Redistribution and use in source and " +
				"binary\n" +
				" forms, with or without ...\n Neither the name ... may be used to\n endorse or promote products ...\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := paragraph(moduleOf(t, tt.files...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestUnknownLicence(t *testing.T) {
	for _, files := range [][]string{{"LICENSE\n" + strict}, {"README\n" + expat},
		{"LICENSE\n" + expat, "COPYING\n" + strict}, nil} {
		if got, err := copyright([]module{moduleOf(t, files...)}); err == nil ||
			!strings.Contains(err.Error(), "example.org/m") {
			t.Errorf("%q is taken, %v:\n%s", files, err, got)
		}
	}
}

// TestShared looks at what is said once of two modules.
func TestShared(t *testing.T) {
	a, b := moduleOf(t, "LICENSE\n"+bsd3), moduleOf(t, "LICENSE\n"+bsd3)
	b.name = "example.org/n@v1.0.0"
	got, err := copyright([]module{a, b})
	if err != nil {
		t.Fatal(err)
	}
	const want = "\nFiles: example.org/m@v1.0.0/*\n example.org/n@v1.0.0/*\nCopyright: 2009"
	if !strings.Contains(got, want) || strings.Count(got, "Redistribution") != 1 {
		t.Errorf("no %q in\n%s", want, got)
	}
}
