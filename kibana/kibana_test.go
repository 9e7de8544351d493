package kibana

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/elastic"
	"pharos/slo"
)

// The committed files are what the source makes.
func TestCommittedFilesAreUpToDate(t *testing.T) {
	objects, err := Objects(Price{})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := RuleFiles()
	if err != nil {
		t.Fatal(err)
	}
	for dir, files := range map[string][]File{"objects": objects, "rules": rules} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != len(files) {
			t.Errorf("%s has %d files and should have %d: run `make kibana`", dir, len(entries), len(files))
		}
		for _, f := range files {
			if on, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || string(on) != string(f.Content) {
				t.Errorf("%s/%s is not what the source makes: run `make kibana` (%v)", dir, f.Name, err)
			}
		}
	}
}

// priced shows what a request costs, too.
var priced = Price{PerHour: 1.2, Currency: "EUR"}

// read decodes all objects, by type and id.
func read(t *testing.T) map[string]savedObject {
	t.Helper()
	files, err := Objects(priced)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]savedObject{}
	for _, f := range files {
		for line := range strings.Lines(string(f.Content)) {
			var o savedObject
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			if _, ok := all[o.Type+" "+o.ID]; ok {
				t.Errorf("%s: %s twice", f.Name, o.ID)
			}
			all[o.Type+" "+o.ID] = o
		}
	}
	return all
}

// allowed are the attributes that the types' schemas name; Kibana refuses objects
// with others. elastic/kibana: dashboard/server/dashboard_saved_object/schema/v1
// and v2, saved_search/server/saved_objects/schema.ts (model version 5). Data
// views have no schema; these are the ones that data_views writes.
var allowed = map[string][]string{
	"dashboard": {"title", "description", "kibanaSavedObjectMeta", "timeRestore", "timeFrom", "timeTo", "refreshInterval", "controlGroupInput", "panelsJSON", "optionsJSON", "hits", "version"},
	"search": {"title", "description", "columns", "sort", "grid", "rowHeight", "rowsPerPage", "hideChart", "breakdownField", "kibanaSavedObjectMeta", "isTextBasedQuery",
		"usesAdHocDataView", "timeRestore", "timeRange", "refreshInterval", "viewMode", "hideAggregatedPreview", "hits", "version", "sampleSize", "headerRowHeight", "visContext", "density"},
	"index-pattern": {"title", "name", "timeFieldName", "fieldFormatMap", "runtimeFieldMap", "fieldAttrs", "sourceFilters", "fields", "allowNoIndex"},
}

func TestObjectsReferToWhatIsThere(t *testing.T) {
	all := read(t)
	if len(all) != len(DataViews())+len(Searches())+len(Dashboards(Price{})) {
		t.Errorf("%d objects", len(all))
	}
	for name, o := range all {
		for attribute := range o.Attributes {
			if !slices.Contains(allowed[o.Type], attribute) {
				t.Errorf("%s: %s is no attribute of a %s", name, attribute, o.Type)
			}
		}
		seen := map[string]bool{}
		for _, r := range o.References {
			if _, ok := all[r.Type+" "+r.ID]; !ok {
				t.Errorf("%s refers to %s %s, which is not there", name, r.Type, r.ID)
			}
			if seen[r.Name] {
				t.Errorf("%s has the reference %s twice", name, r.Name)
			}
			seen[r.Name] = true
		}
	}
}

// lensPanel is a Lens panel as a dashboard holds it.
type lensPanel struct {
	Type             string
	Title            string
	PanelIndex       string
	PanelRefName     string
	GridData         struct{ X, Y, W, H int }
	EmbeddableConfig struct {
		Attributes struct {
			References []reference
			State      struct {
				DatasourceStates struct {
					FormBased struct {
						Layers map[string]struct {
							ColumnOrder []string
							Columns     map[string]struct {
								IsBucketed bool
								References []string
							}
						}
					}
				}
			}
		}
		Enhancements struct {
			DynamicActions struct {
				Events []struct{ EventID string }
			}
		}
	}
}

func TestPanelsAreWholeAndInTheirPlaces(t *testing.T) {
	for name, o := range read(t) {
		if o.Type != "dashboard" {
			continue
		}
		var panels []lensPanel
		if err := json.Unmarshal([]byte(o.Attributes["panelsJSON"].(string)), &panels); err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, r := range o.References {
			named[r.Name] = true
		}
		taken := map[[2]int]string{}
		for _, p := range panels {
			g := p.GridData
			if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > columns {
				t.Errorf("%s: %s is at %+v", name, p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" {
						t.Fatalf("%s: %s lies on %s", name, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "search" && !named[p.PanelIndex+":"+p.PanelRefName] {
				t.Errorf("%s: %s has no reference", name, p.Title)
			}
			for _, e := range p.EmbeddableConfig.Enhancements.DynamicActions.Events {
				if !named[p.PanelIndex+":drilldown:DASHBOARD_TO_DASHBOARD_DRILLDOWN:"+e.EventID+":dashboardId"] {
					t.Errorf("%s: %s: its drilldown leads nowhere", name, p.Title)
				}
			}
			for _, r := range p.EmbeddableConfig.Attributes.References {
				if !named[p.PanelIndex+":"+r.Name] {
					t.Errorf("%s: %s: the dashboard lacks %s", name, p.Title, r.Name)
				}
			}
			for id, l := range p.EmbeddableConfig.Attributes.State.DatasourceStates.FormBased.Layers {
				if !named[p.PanelIndex+":indexpattern-datasource-layer-"+id] {
					t.Errorf("%s: %s: layer %s has no data view", name, p.Title, id)
				}
				if order := slices.Sorted(slices.Values(l.ColumnOrder)); !slices.Equal(order, slices.Sorted(maps.Keys(l.Columns))) {
					t.Errorf("%s: %s: columns %v", name, p.Title, l.ColumnOrder)
				}
				numbers := false
				for _, id := range l.ColumnOrder {
					if numbers && l.Columns[id].IsBucketed {
						t.Errorf("%s: %s: %s stands behind a number", name, p.Title, id)
					}
					numbers = numbers || !l.Columns[id].IsBucketed
					for _, of := range l.Columns[id].References {
						if _, ok := l.Columns[of]; !ok {
							t.Errorf("%s: %s: %s is made of %s, which is not there", name, p.Title, id, of)
						}
					}
				}
			}
		}
	}
}

// What Lens can't do, or people can't read.
func TestPanelsMakeSense(t *testing.T) {
	ids := map[string]bool{}
	for _, d := range Dashboards(priced) {
		ids[d.ID] = true
	}
	searches := map[string]bool{}
	for _, s := range Searches() {
		searches[s.ID] = true
	}
	for _, d := range Dashboards(priced) {
		if d.About == "" || d.Since == "" {
			t.Errorf("%s says nothing of itself", d.ID)
		}
		for _, p := range d.Panels {
			at := d.ID + ": " + p.Title
			plain := func(i int) bool {
				return i < 0 || i < len(p.Metrics) && p.Metrics[i].Op != Formula && p.Metrics[i].Op != CounterRate && p.Metrics[i].Op != LastValue
			}
			_, known := View(p.View)
			switch {
			case p.Title == "":
				t.Errorf("%s: a panel without a title", d.ID)
			case p.Kind == Text && p.Text == "", p.Kind == Lines && !searches[p.Search]:
				t.Errorf("%s shows nothing", at)
			case !p.asks():
				continue
			case p.About == "" || !known || len(p.Metrics) == 0:
				t.Errorf("%s: no description, data view or number", at)
			case p.Kind == Number && (len(p.Metrics) != 1 || len(p.By) > 0), p.Kind == Table && len(p.By) == 0, p.chart() && len(p.By) > 1:
				t.Errorf("%s: a %s of %d numbers by %d fields", at, p.Kind, len(p.Metrics), len(p.By))
			}
			for _, b := range p.By {
				if !plain(b.OrderBy) || b.Size < 1 || b.Size > 50 || b.Label == "" {
					t.Errorf("%s: by %+v", at, b)
				}
			}
			for _, to := range p.To {
				if !ids[to] || len(p.By) == 0 {
					t.Errorf("%s: a click opens %q", at, to)
				}
			}
			for _, m := range p.Metrics {
				for _, part := range append(m.Expr.metrics(), m) {
					if part.Op == CounterRate && !p.chart() || part.EachSecond && !p.chart() {
						t.Errorf("%s: a rate, but not over time", at)
					}
					if (part.Field == "") != (part.Op == Count || part.Op == Formula) || strings.Contains(part.KQL, "'") {
						t.Errorf("%s: %+v", at, part)
					}
				}
				if m.Label == "" {
					t.Errorf("%s: a number without a name", at)
				}
			}
		}
	}
}

// The traffic is what elastic.Traffic says.
func TestTrafficIsTheOneDefinition(t *testing.T) {
	text, err := json.Marshal(elastic.Traffic(elastic.Window{}, elastic.TrafficFilter{}))
	if err != nil {
		t.Fatal(err)
	}
	var q struct {
		Bool struct {
			Filter  []any
			MustNot []struct{ Term map[string]string } `json:"must_not"`
		}
	}
	if err := json.Unmarshal(text, &q); err != nil || len(q.Bool.Filter) > 0 || len(q.Bool.MustNot) != 1 {
		t.Fatalf("%s is no longer as this test reads it: %v", text, err)
	}
	for field, value := range q.Bool.MustNot[0].Term {
		if want := fmt.Sprintf("not %s : %q", field, value); requestsKQL != want {
			t.Errorf("traffic is %s, want %s", requestsKQL, want)
		}
	}
	if v, _ := View(traffic); v.Streams != elastic.TrafficStream {
		t.Errorf("traffic is in %s", v.Streams)
	}
	for _, d := range Dashboards(priced) {
		for _, p := range d.Panels {
			if p.View == traffic && !strings.Contains(p.KQL, requestsKQL) {
				t.Errorf("%s: %s counts probes", d.ID, p.Title)
			}
		}
	}
}

func TestTargetsAreTheObjectives(t *testing.T) {
	objectives, err := slo.Load(os.DirFS(".."), "objectives")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]float64{}
	for _, o := range objectives {
		targets[o.Name] = o.Target
	}
	for _, target := range Targets() {
		if targets[target.Name] != target.Share || target.budget() <= 0 {
			t.Errorf("%s is %v, the objective %v", target.Name, target.Share, targets[target.Name])
		}
	}
}

func TestFormulaColumns(t *testing.T) {
	p := Panel{Kind: Line, View: traffic, Metrics: []Metric{formula("Up", Percent, Minus(Num(1), Over(Of(countOf("", "a : 1")), Of(count("")))))}}
	l := p.layer()
	if want := []string{"time", "m0", "m0X0", "m0X1", "m0X2"}; !slices.Equal(l.order, want) {
		t.Fatalf("columns %v, want %v", l.order, want)
	}
	got, err := json.Marshal([]any{l.columns["m0"]["params"], l.columns["m0"]["references"], l.columns["m0X0"]["filter"], l.columns["m0X2"]["params"], l.columns["m0X2"]["references"]})
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"format":{"id":"percent","params":{"decimals":2}},"formula":"1 - (count(kql='a : 1') / count())","isFormulaBroken":false},` +
		`["m0X2"],{"language":"kuery","query":"a : 1"},` +
		`{"tinymathAst":{"args":[1,{"args":["m0X0","m0X1"],"location":{"max":28,"min":0},"name":"divide","text":"count(kql='a : 1') / count()","type":"function"}],` +
		`"location":{"max":34,"min":0},"name":"subtract","text":"1 - (count(kql='a : 1') / count())","type":"function"}},["m0X0","m0X1"]]`
	if diff := cmp.Diff(normal(t, want), normal(t, string(got))); diff != "" {
		t.Error(diff)
	}
}

// A rate in a formula is two columns: the counter, and how it grows.
func TestRateInAFormula(t *testing.T) {
	r := Of(Metric{Op: CounterRate, Field: "hits"})
	l := Panel{Kind: Line, Metrics: []Metric{formula("Hits", "", Over(r, Plus(r, Num(2))))}}.layer()
	if text := l.columns["m0"]["params"].(object)["formula"]; text != "counter_rate(max(hits)) / (counter_rate(max(hits)) + 2)" {
		t.Errorf("%s", text)
	}
	if want := []string{"time", "m0", "m0X0", "m0X1", "m0X2", "m0X3", "m0X4"}; !slices.Equal(l.order, want) {
		t.Fatalf("columns %v, want %v", l.order, want)
	}
	if of := l.columns["m0X1"]["references"].([]string); l.columns["m0X0"]["operationType"] != "max" || l.columns["m0X1"]["operationType"] != "counter_rate" || !slices.Equal(of, []string{"m0X0"}) {
		t.Errorf("%v of %v", l.columns["m0X1"], l.columns["m0X0"])
	}
	if of := l.columns["m0X4"]["references"].([]string); !slices.Equal(of, []string{"m0X1", "m0X3"}) {
		t.Errorf("math of %v", of)
	}
}

func TestRequest(t *testing.T) {
	v := DataView{Runtime: map[string]Runtime{"x": {Of: "y"}}}
	p := Panel{Kind: Line, KQL: "a : 1", By: []Terms{by("R", "r", 5)}, Metrics: []Metric{
		{Label: "b", Op: Count, KQL: "b : 2"}, percentile(95, "p95", "d"), rate("c", "n", ""), part("share", "e : 3"), highest("m", "h"),
	}}
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	got, err := json.Marshal(p.Request(v, at, at.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"size":0,"track_total_hits":true,
	 "query":{"bool":{"filter":[{"range":{"@timestamp":{"gte":"2026-01-02T03:00:00Z","lt":"2026-01-02T04:00:00Z"}}},{"kql":{"query":"a : 1"}}]}},
	 "runtime_mappings":{"x":{"type":"keyword","script":{"source":"if (doc.containsKey('y') && doc['y'].size() != 0) { emit(doc['y'].value) }"}}},
	 "aggs":{"all":{"filters":{"filters":{"all":{"match_all":{}}}},"aggs":{"by0":{"terms":{"field":"r","size":5,"order":{"order":"desc"}},"aggs":{
	  "order":{"filter":{"kql":{"query":"b : 2"}}},
	  "time":{"date_histogram":{"field":"@timestamp","fixed_interval":"60s"},"aggs":{
	   "m0":{"filter":{"kql":{"query":"b : 2"}}},
	   "m1":{"percentiles":{"field":"d","percents":[95]}},
	   "m2":{"max":{"field":"n"}},"m2rate":{"derivative":{"buckets_path":"m2","unit":"1s"}},
	   "m3x0":{"filter":{"kql":{"query":"e : 3"}}},"m3x1":{"filter":{"match_all":{}}},
	   "m3":{"bucket_script":{"buckets_path":{"m3x0":"m3x0>_count","m3x1":"m3x1>_count"},"script":"(params.m3x0 / params.m3x1)"}},
	   "m4":{"max":{"field":"h"}}}}}}}}}}`
	if diff := cmp.Diff(normal(t, want), normal(t, string(got))); diff != "" {
		t.Error(diff)
	}
}

func normal(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestRules(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	ids := map[string]bool{}
	for _, r := range Rules() {
		if _, ok := View(r.View); !ok || !uuid.MatchString(r.ID) || ids[r.ID] || r.Title == "" {
			t.Errorf("%s: %+v", r.Name, r)
		}
		ids[r.ID] = true
		for _, c := range r.Criteria {
			for _, m := range c.Metrics {
				if (m.Field == "") != (m.Op == "count") || c.Equation != "" && !strings.Contains(c.Equation, m.Name) {
					t.Errorf("%s: %+v of %q", r.Name, m, c.Equation)
				}
			}
			if len(c.Metrics) > 1 && c.Equation == "" {
				t.Errorf("%s: %d numbers and no equation", r.Name, len(c.Metrics))
			}
		}
		update := r.Updated([]map[string]any{{"id": "pager"}})
		if update["rule_type_id"] != nil || update["enabled"] != nil || len(update["actions"].([]map[string]any)) != 1 {
			t.Errorf("%s: an update says %v", r.Name, update)
		}
	}
}
