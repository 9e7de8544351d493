// Package watches_test holds the watches that ship to what they promise.
package watches_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/elastic"
	"pharos/slo"
	"pharos/watcher/alert"
	"pharos/watcher/document"
)

// shipped reads the watches by their ids.
func shipped(t *testing.T) map[string]*document.Object {
	t.Helper()
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no watches", err)
	}
	all := map[string]*document.Object{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if all[strings.TrimSuffix(file, ".json")], err = document.ParseObject(text); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return all
}

func objectives(t *testing.T) []slo.Objective {
	t.Helper()
	all, err := slo.Load(os.DirFS(".."), "objectives")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestEachHasItsRunbook: whoever is woken finds the page that the alert links to,
// and no page is left over.
func TestEachHasItsRunbook(t *testing.T) {
	const dir = "../docs/runbooks"
	wanted := map[string]string{}
	for id, w := range shipped(t) {
		metadata, _ := document.At(w, "metadata").(*document.Object)
		policy, err := alert.ParsePolicy(metadata)
		switch {
		case err != nil:
			t.Errorf("%s: %v", id, err)
		case policy == nil || policy.Runbook != id+".md":
			t.Errorf("%s: its runbook is not %s.md", id, id)
		default:
			wanted[policy.Runbook] = id
		}
	}
	for _, o := range objectives(t) {
		if o.Runbook == "" {
			t.Errorf("objective %s has no runbook", o.Name)
		}
		wanted[o.Runbook] = o.Name
	}
	for file, of := range wanted {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Errorf("%s: %v", of, err)
			continue
		}
		for _, part := range []string{"## What it means", "## First look", "## Likely causes", "## What to do", "## When to stop worrying"} {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s lacks %q", file, part)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := filepath.Base(file); wanted[name] == "" {
			t.Errorf("%s is no watch's and no objective's", name)
		}
	}
}

// TestTrafficIsTraffic: what counts requests counts elastic.Traffic's, to the
// letter.
func TestTrafficIsTraffic(t *testing.T) {
	const end = "{{ctx.trigger.scheduled_time}}"
	for path, window := range map[string]string{
		"availability-5m:input": "5m", "availability-1h:input": "1h", "latency-p95:input": "5m", "5xx-burst:input": "1m",
		"no-data:input.chain.inputs.6.traffic": "65m",
	} {
		id, at, _ := strings.Cut(path, ":")
		request := document.At(shipped(t)[id], at+".search.request")
		if index := document.String(document.At(request, "indices")); index != "["+elastic.TrafficStream+"]" {
			t.Errorf("%s searches %s", id, index)
		}
		from := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
		want, err := json.Marshal(elastic.Traffic(elastic.Window{From: from, To: from.Add(time.Hour)}, elastic.TrafficFilter{}))
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(document.At(request, "body.query"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(end+"||-"+window, "2026-11-21T09:00:00.000Z", end, "2026-11-21T10:00:00.000Z").Replace(string(got))
		if diff := cmp.Diff(decoded(t, want), decoded(t, []byte(text))); diff != "" {
			t.Errorf("%s:\n%s", id, diff)
		}
	}
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
