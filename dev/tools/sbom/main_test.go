package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	n, err := judge([]part{
		{name: "fine", licences: []string{"MIT", "BSD-3-Clause"}}, {name: "closed", licences: []string{"MIT", "AGPL-3.0"}},
		{name: "bare"}, {name: "server", apart: true},
	})
	if n != 3 || err == nil {
		t.Fatalf("%d %v", n, err)
	}
	for name, wanted := range map[string]bool{"closed": true, "AGPL-3.0": true, "bare": true, "fine": false, "server": false} {
		if strings.Contains(err.Error(), name) != wanted {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLicencesIn(t *testing.T) {
	own, err := os.ReadFile(filepath.Join("..", "..", "..", "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file, text string
		found      bool
	}{"a licence": {"LICENSE.md", string(own), true}, "another file": {"README.md", string(own), false}, "no licence's words": {"LICENSE", "Ask me first.", false}} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := licencesIn(dir)
		if err != nil || (len(got) > 0) != tt.found || slices.Contains(got, "") {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}
