package elastic

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// template is what the tests read of index and component templates.
type template struct {
	Patterns   []string  `json:"index_patterns"`
	Priority   int       `json:"priority"`
	DataStream *struct{} `json:"data_stream"`
	ComposedOf []string  `json:"composed_of"`
	Template   struct {
		Settings struct {
			Index struct {
				DefaultPipeline string `json:"default_pipeline"`
				FinalPipeline   string `json:"final_pipeline"`
			} `json:"index"`
		} `json:"settings"`
		Mappings struct {
			Subobjects *bool                     `json:"subobjects"`
			Dynamic    any                       `json:"dynamic"`
			Templates  []map[string]dynamic      `json:"dynamic_templates"`
			Properties map[string]map[string]any `json:"properties"`
		} `json:"mappings"`
	} `json:"template"`
}

type dynamic struct {
	Mapping map[string]any `json:"mapping"`
}

// ours returns the objects of a folder by name, of both kinds of Elasticsearch.
func ours(t *testing.T, folder string) map[string]object {
	t.Helper()
	found := map[string]object{}
	for _, inStack := range []bool{false, true} {
		objects, err := loadObjects(files, inStack)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if o.folder == folder {
				found[o.name] = o
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("nothing in %s", folder)
	}
	return found
}

func templates(t *testing.T, folder string) map[string]template {
	t.Helper()
	found := map[string]template{}
	for name, o := range ours(t, folder) {
		var tpl template
		if err := json.Unmarshal(o.body, &tpl); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found[name] = tpl
	}
	return found
}

func TestObjectsCarryOurMark(t *testing.T) {
	for _, k := range kinds() {
		for name, o := range ours(t, k.folder) {
			if k.folder != "scripts" && o.mark.ManagedBy != manager {
				t.Errorf("%s %s lacks managed_by: %s", k.name, name, manager)
			}
			if w := o.mark.Only; w != everywhere && w != native && w != stack {
				t.Errorf("%s %s is only for %q", k.name, name, w)
			}
		}
	}
}

func TestElasticsOwnTemplatesStayInTheStack(t *testing.T) {
	objects, err := loadObjects(files, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.folder == "templates" && strings.Contains(o.name, "apm") {
			t.Errorf("%s would take the place of Elastic's own", o.name)
		}
	}
}

// TestEveryStreamHasOneTemplate holds the templates against DESIGN.md's list.
func TestEveryStreamHasOneTemplate(t *testing.T) {
	want := map[string]string{
		"logs-nginx.access-default":            "pharos-logs-nginx.access",
		"logs-nginx.error-default":             "pharos-logs-nginx.error",
		"logs-pharos-default":                  "pharos-logs-pharos",
		"logs-external-default":                "pharos-logs-external",
		"heartbeat-default":                    "pharos-heartbeat",
		"heartbeat-8.19.1":                     "pharos-heartbeat",
		"metricbeat-default":                   "pharos-metricbeat",
		"traces-apm-default":                   "pharos-traces-apm",
		"traces-apm.rum-default":               "pharos-traces-apm",
		"metrics-apm.internal-default":         "pharos-metrics-apm",
		"metrics-apm.app.api-default":          "pharos-metrics-apm",
		"logs-apm.error-default":               "pharos-logs-apm",
		"metrics-shop.analytics-default":       "pharos-metrics-shop.analytics",
		"metrics-slo-default":                  "pharos-metrics-slo",
		"metrics-anomaly-default":              "pharos-metrics-anomaly",
		"metrics-pharos-default":               "pharos-metrics-pharos",
		"logs-nginx.access-other":              "pharos-logs-nginx.access",
		"logs-somebody.else-default":           "",
		"pharos-watches":                       "pharos-watches",
		"pharos-watch-history-2026.11.21":      "pharos-watch-history",
		"pharos-leases":                        "pharos-leases",
		"pharos-outbox":                        "pharos-outbox",
		"pharos-alerts":                        "pharos-alerts",
		"pharos-silences":                      "pharos-silences",
		"pharos-incidents":                     "pharos-incidents",
		"pharos-changes":                       "pharos-changes",
		"pharos-views":                         "pharos-views",
		"metrics-system.cpu-default":           "",
		".ds-logs-pharos-default-2026.11-0001": "",
	}
	all := templates(t, "templates")
	for stream, name := range want {
		var matches []string
		for n, tpl := range all {
			if slices.ContainsFunc(tpl.Patterns, func(p string) bool { ok, _ := path.Match(p, stream); return ok }) {
				matches = append(matches, n)
			}
		}
		if got := strings.Join(matches, ", "); got != name {
			t.Errorf("%s belongs to %q, want %q", stream, got, name)
		}
	}
}

func TestTemplatesHoldTogether(t *testing.T) {
	components, pipelines := templates(t, "components"), ours(t, "pipelines")
	for name, tpl := range templates(t, "templates") {
		// Elastic's own go up to 210, Fleet's are at 200.
		if tpl.Priority <= 210 {
			t.Errorf("%s: priority %d", name, tpl.Priority)
		}
		if tpl.DataStream == nil { // our own state, which nobody else writes
			if !slices.Equal(tpl.Patterns, []string{name}) && !slices.Equal(tpl.Patterns, []string{name + "-*"}) {
				t.Errorf("%s is no data stream, but has the patterns %v", name, tpl.Patterns)
			}
			continue
		}
		if !slices.Contains(tpl.ComposedOf, "pharos-base") {
			t.Errorf("%s lacks pharos-base", name)
		}
		used := []string{tpl.Template.Settings.Index.DefaultPipeline}
		for _, c := range tpl.ComposedOf {
			part, ok := components[c]
			if !ok {
				t.Errorf("%s: there is no component %s", name, c)
			}
			used = append(used, part.Template.Settings.Index.DefaultPipeline, part.Template.Settings.Index.FinalPipeline)
		}
		if !slices.Contains(used, "pharos-guard") {
			t.Errorf("%s lacks the guard", name)
		}
		for _, p := range used {
			if _, ok := pipelines[p]; !ok && p != "" {
				t.Errorf("%s: there is no pipeline %s", name, p)
			}
		}
	}
	if d := components["pharos-base"].Template.Mappings.Dynamic; d != false {
		t.Errorf("dynamic is %v: labels could make the mapping explode", d)
	}
}

func TestPipelinesFindTheirScripts(t *testing.T) {
	scripts := ours(t, "scripts")
	used := map[string]bool{}
	for name, o := range ours(t, "pipelines") {
		var p struct {
			Processors []struct {
				Script *struct{ ID string } `json:"script"`
			} `json:"processors"`
		}
		if err := json.Unmarshal(o.body, &p); err != nil {
			t.Fatal(err)
		}
		for _, step := range p.Processors {
			if step.Script == nil {
				continue
			}
			used[step.Script.ID] = true
			if _, ok := scripts[step.Script.ID]; !ok {
				t.Errorf("%s: there is no script %q", name, step.Script.ID)
			}
		}
	}
	for name := range scripts {
		if !used[name] {
			t.Errorf("nothing uses script %s", name)
		}
	}
}

func TestRolesAndAccountsMatch(t *testing.T) {
	roles := ours(t, "roles")
	for _, a := range accounts() {
		if a.Role == "" {
			continue
		}
		r, ok := roles[a.Role]
		if !ok {
			t.Errorf("user %s: there is no role %s", a.User, a.Role)
		} else if r.mark.Only != a.only {
			t.Errorf("user %s is only for %q, its role for %q", a.User, a.only, r.mark.Only)
		}
		delete(roles, a.Role)
	}
	for name := range roles {
		t.Errorf("nobody has role %s", name)
	}
}

// TestMappingsUseCoreTypes walks all mappings: others are missing in the
// native Elasticsearch.
func TestMappingsUseCoreTypes(t *testing.T) {
	core := []string{"keyword", "text", "date", "date_range", "long", "double", "boolean", "ip", "geo_point", "flattened", "nested", "object"}
	for _, folder := range []string{"components", "templates"} {
		for name, tpl := range templates(t, folder) {
			m := tpl.Template.Mappings
			for _, d := range m.Templates {
				for rule, v := range d {
					if !slices.Contains(core, fmt.Sprint(v.Mapping["type"])) {
						t.Errorf("%s: dynamic template %s makes %v", name, rule, v.Mapping["type"])
					}
				}
			}
			for field, def := range m.Properties {
				types := []any{def["type"]}
				if sub, ok := def["fields"].(map[string]any); ok {
					for _, f := range sub {
						types = append(types, f.(map[string]any)["type"])
					}
				}
				for _, typ := range types {
					if !slices.Contains(core, fmt.Sprint(typ)) {
						t.Errorf("%s: field %s is of type %v", name, field, typ)
					}
				}
				if _, ok := def["properties"]; ok {
					t.Errorf("%s: field %s is nested; write its path with dots", name, field)
				}
			}
		}
	}
}

// TestGuardKnowsEveryField derives what the guard is told from the mappings;
// -update writes it.
func TestGuardKnowsEveryField(t *testing.T) {
	known := map[string]any{}
	for _, folder := range []string{"components", "templates"} {
		all := templates(t, folder)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if folder == "templates" && all[name].DataStream == nil {
				continue
			}
			for field, def := range all[name].Template.Mappings.Properties {
				if err := learn(known, field, shape(def)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
	golden(t, "../pipelines/pharos-guard.json", map[string]any{
		"description": "Runs last for every document: moves aside what would make Elasticsearch refuse it, and says when it was indexed.",
		"processors":  []any{map[string]any{"script": map[string]any{"id": "pharos-guard", "params": map[string]any{"known": known}}}},
		"on_failure":  []any{map[string]any{"append": map[string]any{"field": "tags", "value": "pharos-guard-failed", "ignore_failure": true}}},
		"_meta":       map[string]any{"managed_by": "pharos"},
	})
}

// shape is what a field takes, in the guard's words; "" for anything.
func shape(def map[string]any) string {
	switch def["type"] {
	case "flattened", "date_range", "object":
		if def["enabled"] == false {
			return ""
		}
		return "object"
	case "geo_point", "nested":
		return ""
	}
	return "value"
}

func learn(known map[string]any, field, shape string) error {
	parts := strings.Split(field, ".")
	for _, p := range parts[:len(parts)-1] {
		next, ok := known[p].(map[string]any)
		if !ok {
			if was := known[p]; was != nil && was != "object" {
				return fmt.Errorf("%s stands below a field", field)
			}
			next = map[string]any{}
			known[p] = next
		}
		known = next
	}
	last := parts[len(parts)-1]
	switch was := known[last].(type) {
	case map[string]any:
		if shape != "object" {
			return fmt.Errorf("%s is an object elsewhere", field)
		}
		return nil
	case string:
		if was != shape {
			return fmt.Errorf("%s is a %s elsewhere", field, was)
		}
	}
	if shape != "" {
		known[last] = shape
	}
	return nil
}
