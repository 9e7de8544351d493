package slo_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/elastic"
	"pharos/slo"
	"pharos/watcher/document"
)

func shipped(t *testing.T) map[string]slo.Objective {
	t.Helper()
	all, err := slo.Load(os.DirFS(".."), "objectives")
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]slo.Objective{}
	for _, o := range all {
		byName[o.Name] = o
	}
	return byName
}

func TestShippedObjectives(t *testing.T) {
	all := shipped(t)
	for name, target := range map[string]float64{
		"availability": 0.999, "route-availability": 0.999, "route-latency": 0.99,
		"events-processed": 0.999, "jobs-in-time": 0.95, "mongodb-connections": 0.99, "system-uptime": 0.9999,
	} {
		o, ok := all[name]
		if !ok || o.Target != target || o.Window != 30*24*time.Hour || o.Silent {
			t.Errorf("%s: %+v", name, o)
		}
		delete(all, name)
	}
	if len(all) > 0 {
		t.Errorf("objectives that this test does not know: %v", all)
	}
}

// The one definition of traffic is elastic.Traffic; the file can only repeat it.
func TestAvailabilityCountsTraffic(t *testing.T) {
	from := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	want, err := document.From(elastic.Traffic(elastic.Window{From: from, To: from.Add(time.Hour)}, elastic.TrafficFilter{}))
	if err != nil {
		t.Fatal(err)
	}
	all := shipped(t)
	for _, name := range []string{"availability", "route-availability"} {
		total := all[name].Indicator.Ratio.Total
		if total.Index != elastic.TrafficStream {
			t.Errorf("%s: index %s", name, total.Index)
		}
		got, err := document.From(slo.Windowed(total.Query, "2026-11-21T09:00:00.000Z", "2026-11-21T10:00:00.000Z"))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(document.String(want), document.String(got)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

const good = `apiVersion: openslo/v1
kind: SLO
metadata: {name: a, annotations: {pharos/minimum-events: "5", pharos/minimum-bad-events: "2"}}
spec:
  service: s
  indicator:
    spec:
      ratioMetric:
        good: {metricSource: {type: Elasticsearch, spec: {index: i, query: {bool: {filter: []}}}}}
        total: {metricSource: {type: Elasticsearch, spec: {index: i, query: {bool: {}}}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - targetPercent: 99.5
`

func TestParse(t *testing.T) {
	got, err := slo.Parse("f.yaml", []byte(good))
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if o := got[0]; o.Target != 0.995 || o.Window != 28*24*time.Hour || !o.Silent || o.MinimumEvents != 5 || o.MinimumBad != 2 || o.Title != "a" {
		t.Errorf("%+v", o)
	}
	for name, tt := range map[string]struct{ old, new, want string }{
		"unknown key":     {"budgetingMethod:", "budgetMethod:", "f.yaml:12: budgetMethod: unknown key"},
		"target of 1":     {"targetPercent: 99.5", "target: 1", "f.yaml:14: spec.objectives.0.target: want more than 0 and less than 1 (a target of 1 has no budget), found 1"},
		"no target":       {"targetPercent: 99.5", "displayName: x", "f.yaml:14: spec.objectives.0: target is missing"},
		"window":          {"4w", "30", `f.yaml:11: spec.timeWindow.0.duration: want days or weeks, as in 30d or 4w, found "30"`},
		"calendar":        {"isRolling: true", "isRolling: false", "f.yaml:11: spec.timeWindow.0.isRolling: want true: calendar windows are not supported"},
		"method":          {"Occurrences", "Timeslices", `f.yaml:12: spec.budgetingMethod: want Occurrences for this indicator, found "Timeslices"`},
		"query":           {"{bool: {filter: []}}", "{match_all: {}}", "f.yaml:9: spec.indicator.spec.ratioMetric.good.metricSource.spec.query: want a bool query"},
		"filter no list":  {"filter: []", "filter: {}", "f.yaml:9: spec.indicator.spec.ratioMetric.good.metricSource.spec.query.bool.filter: want a list"},
		"group by of one": {"{index: i, query: {bool: {}}}", "{index: i, groupBy: r, query: {bool: {}}}", "f.yaml:9: spec.indicator.spec.ratioMetric.good.metricSource.spec: groupBy must be the same as total's"},
		"name":            {"name: a", "name: A_b", `f.yaml:3: metadata.name: want small letters, digits and single hyphens, found "A_b"`},
		"annotation":      {"minimum-events", "minimum", "f.yaml:3: metadata.annotations.pharos/minimum: unknown; there are pharos/minimum-events, pharos/minimum-bad-events and pharos/runbook"},
		"minimum":         {`"5"`, `"many"`, `f.yaml:3: metadata.annotations.pharos/minimum-events: want a whole number above 0, found "many"`},
		"type":            {"targetPercent: 99.5", "targetPercent: much", "cannot unmarshal !!str `much` into float64"},
		"not YAML":        {"kind: SLO", "kind: [", "f.yaml: yaml:"},
		"version":         {"openslo/v1", "openslo/v2", `f.yaml:1: apiVersion: want openslo/v1, found "openslo/v2"`},
	} {
		_, err := slo.Parse("f.yaml", []byte(strings.Replace(good, tt.old, tt.new, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, tt.want)
		}
	}
	if _, err := slo.Parse("f.yaml", nil); err == nil || err.Error() != "f.yaml: there is no objective in it" {
		t.Errorf("empty: %v", err)
	}
}

// What is written must load into a licensed Watcher: only Elastic's keys.
func TestWatchesArePlain(t *testing.T) {
	for name, o := range shipped(t) {
		watches := slo.Watches(o)
		if len(watches) != 3 {
			t.Fatalf("%s: %d watches", name, len(watches))
		}
		for _, w := range watches {
			text, err := json.Marshal(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{"metadata", "trigger", "input", "condition", "transform", "throttle_period", "actions"}, w.Body.Keys()); d != "" {
				t.Errorf("%s: %s", w.ID, d)
			}
			if pages := strings.Contains(string(text), `"pagerduty"`); pages == strings.HasSuffix(w.ID, "-slow") {
				t.Errorf("%s: pages: %t", w.ID, pages)
			}
		}
	}
}
