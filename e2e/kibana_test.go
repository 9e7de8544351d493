package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/kibana"
)

// mayBeEmpty are the panels that may have nothing to show on a system that is well,
// each with the reason. Elasticsearch must take their requests all the same.
var mayBeEmpty = map[string]string{
	"operations/Error logs":    "nothing need have gone wrong",
	"service-api/Errors":       "nothing need have gone wrong",
	"service-feed/Errors":      "nothing need have gone wrong",
	"uptime/Why checks failed": "every monitor may be up",
	"uptime/Certificates":      "no monitor asks by TLS natively",
}

// TestKibanasQuestionsHaveAnswers asks Elasticsearch what each panel of Kibana's
// dashboards asks, after every kind of event that they show. That Kibana draws the
// answers is not tested: there is no Kibana here. It waits for objectives' minutes,
// so it runs by make test-kibana only.
func TestKibanasQuestionsHaveAnswers(t *testing.T) {
	if os.Getenv("PHAROS_KIBANA") == "" {
		t.Skip("SKIPPED: waits for minutes to be counted; run `make test-kibana`")
	}
	s := open(t)
	begin := time.Now()
	s.everything(t)
	t.Run("panels", func(t *testing.T) { s.panelsHaveData(t, begin) })
	t.Run("fields", s.fieldsAreThere)
	t.Run("searches and rules", s.queriesAreTaken)
	t.Run("traffic", s.trafficIsTheSame)
	t.Run("roles", s.peopleMayOpenTheirs)
}

// everything makes what the dashboards show: users' traffic, a job, a failed
// sign-in, and a stranger who looks around.
func (s *stack) everything(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	load := exec.CommandContext(ctx, filepath.Join(s.State, "bin", "pharos"), "load", "--json", "--users=6", "--rate=20", "--duration=15s", "--url="+s.url())
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("pharos load: %v %s", err, out)
	}
	c := newClient(s)
	u := c.signUp(t, "kibana")
	c.want(t, http.StatusAccepted, "POST", "/v1/jobs", `{"task":"fibonacci","arguments":{"n":1000}}`, u.auth()...)
	c.want(t, http.StatusUnauthorized, "POST", "/v1/sessions", fmt.Sprintf(`{"handle":"x%s","password":"is not it, surely"}`, random(t)))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/wp-login.php", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "sqlmap/1.8")
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// dashboards are all, with what a request costs.
func dashboards() []kibana.Dashboard {
	return kibana.Dashboards(kibana.Price{PerHour: 1.2, Currency: "EUR"})
}

// asked are the panels that ask for numbers, by "dashboard/title"; a title may
// stand for two panels.
func asked() map[string][]kibana.Panel {
	all := map[string][]kibana.Panel{}
	for _, d := range dashboards() {
		for _, p := range d.Panels {
			if len(p.Metrics) > 0 {
				name := d.ID + "/" + p.Title
				all[name] = append(all[name], p)
			}
		}
	}
	return all
}

// askPanel sends a panel's request, and returns which of its numbers have no value.
func askPanel(ctx context.Context, es *elastic.Client, p kibana.Panel, from, to time.Time) (missing []string, err error) {
	v, ok := kibana.View(p.View)
	if !ok {
		return nil, fmt.Errorf("no data view %s", p.View)
	}
	body, err := json.Marshal(p.Request(v, from, to))
	if err != nil {
		return nil, err
	}
	status, text, err := es.Do(ctx, http.MethodPost, "/"+v.Streams+"/_search?ignore_unavailable=true", body)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("%d %s for %s", status, text, body)
	}
	var answer struct {
		Shards struct {
			Failed   int
			Failures json.RawMessage
		} `json:"_shards"`
		Aggregations any
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if answer.Shards.Failed > 0 {
		return nil, fmt.Errorf("failed shards: %s for %s", answer.Shards.Failures, body)
	}
	for i, m := range p.Metrics {
		key := fmt.Sprintf("m%d", i)
		if m.Op == kibana.CounterRate {
			key += "rate"
		}
		if !hasValue(answer.Aggregations, key, m) {
			missing = append(missing, m.Label)
		}
	}
	return missing, nil
}

// hasValue looks for an aggregation's value in the buckets of others.
func hasValue(v any, key string, m kibana.Metric) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return hasValue(e, key, m) })
	case map[string]any:
		if agg, ok := v[key].(map[string]any); ok && isValue(agg, m) {
			return true
		}
		for name, inner := range v {
			if !strings.HasPrefix(name, "m") && hasValue(inner, key, m) {
				return true
			}
		}
	}
	return false
}

func isValue(agg map[string]any, m kibana.Metric) bool {
	if n, ok := agg["doc_count"].(float64); ok && m.Op == kibana.Count {
		return n > 0 || m.KQL != "" // none of some is an answer, too
	}
	if inner, ok := agg["v"].(map[string]any); ok {
		agg = inner
	}
	if values, ok := agg["values"].(map[string]any); ok {
		for _, v := range values {
			return v != nil
		}
	}
	return agg["value"] != nil
}

func (s *stack) panelsHaveData(t *testing.T, begin time.Time) {
	// An objective's minute is counted when it is over and its lines are in.
	const limit = 6 * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	pending := asked()
	if len(pending) < 90 {
		t.Errorf("only %d panels", len(pending))
	}
	for {
		lacking := []string{}
		for name, panels := range pending {
			var missing []string
			for _, p := range panels {
				some, err := askPanel(t.Context(), s.es, p, begin.Add(-2*time.Minute), time.Now().Add(time.Minute))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				missing = append(missing, some...)
			}
			if len(missing) == 0 || mayBeEmpty[name] != "" {
				delete(pending, name)
				continue
			}
			lacking = append(lacking, fmt.Sprintf("%s: %s", name, strings.Join(missing, ", ")))
		}
		if len(pending) == 0 {
			return
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			slices.Sort(lacking)
			t.Fatalf("after %s nothing of\n%s", limit, strings.Join(lacking, "\n"))
		}
	}
}

// takes are Elasticsearch's types of fields that a calculation of Lens takes.
func takes(op string) []string {
	numbers := []string{"long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float", "unsigned_long"}
	switch kibana.Op(op) {
	case kibana.Min, kibana.Max:
		return append(numbers, "date")
	case kibana.Sum, kibana.Average, kibana.Percentile, kibana.CounterRate:
		return numbers
	case "date_histogram":
		return []string{"date"}
	}
	return append(numbers, "date", "keyword", "constant_keyword", "wildcard", "ip", "boolean")
}

// lensType is Lens' word for a type.
func lensType(of string) string {
	switch of {
	case "keyword", "constant_keyword", "wildcard":
		return "string"
	case "ip", "date", "boolean":
		return of
	}
	return "number"
}

func (s *stack) fieldsAreThere(t *testing.T) {
	need := map[string]map[string][]string{} // by data view and field, the calculations
	add := func(view, field string, ops ...string) {
		if need[view] == nil {
			need[view] = map[string][]string{}
		}
		need[view][field] = append(need[view][field], ops...)
	}
	kinds := map[[2]string]string{} // Lens' type of what is broken down by
	for _, d := range dashboards() {
		for _, c := range d.Controls {
			add(c.View, c.Field, "terms")
			for _, p := range d.Panels {
				// A panel whose data view lacks a control's field would be empty.
				if len(p.Metrics) > 0 {
					add(p.View, c.Field, "terms")
				}
			}
		}
		for _, p := range d.Panels {
			for field, ops := range p.Fields() {
				add(p.View, field, ops...)
			}
			for _, b := range p.By {
				kinds[[2]string{p.View, b.Field}] = b.Type
			}
		}
	}
	for _, search := range kibana.Searches() {
		for _, c := range search.Columns {
			add(search.View, c)
		}
	}
	for _, r := range kibana.Rules() {
		for _, field := range r.GroupBy {
			add(r.View, field, "terms")
		}
		for _, c := range r.Criteria {
			for _, m := range c.Metrics {
				if m.Field != "" {
					add(r.View, m.Field, string(kibana.Percentile))
				}
			}
		}
	}
	for id, fields := range need {
		v, ok := kibana.View(id)
		if !ok {
			t.Fatalf("no data view %s", id)
		}
		types, err := s.es.FieldTypes(t.Context(), v.Streams, slices.Collect(maps.Keys(fields))...)
		if err != nil {
			t.Fatal(err)
		}
		for field, ops := range fields {
			if _, ok := v.Runtime[field]; ok {
				continue
			}
			if len(types[field]) == 0 {
				t.Errorf("%s has no field %s", v.Streams, field)
			}
			for _, kind := range types[field] {
				for _, op := range ops {
					if !slices.Contains(takes(op), kind) {
						t.Errorf("%s of %s in %s, which is a %s", op, field, v.Streams, kind)
					}
				}
				if want, ok := kinds[[2]string{id, field}]; ok && want != strings.TrimPrefix(lensType(kind), "string") {
					t.Errorf("%s in %s is a %s, and said to be a %q", field, v.Streams, kind, want)
				}
			}
		}
	}
}

// queriesAreTaken asks for the lines of each saved search, and counts what each
// rule counts.
func (s *stack) queriesAreTaken(t *testing.T) {
	type question struct{ name, view, kql string }
	var all []question
	for _, search := range kibana.Searches() {
		all = append(all, question{search.ID, search.View, search.KQL})
	}
	for _, r := range kibana.Rules() {
		all = append(all, question{r.Name, r.View, r.KQL})
		for _, c := range r.Criteria {
			for _, m := range c.Metrics {
				all = append(all, question{r.Name, r.View, m.KQL})
			}
		}
	}
	found := map[string]int64{}
	for _, q := range all {
		v, _ := kibana.View(q.view)
		filter := query{"match_all": query{}}
		if q.kql != "" {
			filter = query{"kql": query{"query": q.kql}}
		}
		result, err := s.es.Search(t.Context(), v.Streams, query{"size": 1, "query": filter})
		if err != nil {
			t.Errorf("%s: %v", q.name, err)
			continue
		}
		found[q.name] = result.Total
	}
	for _, name := range []string{"all-lines", "by-user", "by-request", "by-trace"} {
		if found[name] == 0 {
			t.Errorf("the saved search %s finds nothing", name)
		}
	}
}

// trafficIsTheSame counts traffic as elastic.Traffic says and as the dashboards
// do, over the same documents.
func (s *stack) trafficIsTheSame(t *testing.T) {
	v, _ := kibana.View("traffic")
	operations := dashboards()[0]
	at := slices.IndexFunc(operations.Panels, func(p kibana.Panel) bool { return p.Title == "Requests" })
	result, err := s.es.Search(t.Context(), v.Streams, query{"size": 0, "query": query{"match_all": query{}}, "aggs": query{
		"ours": query{"filter": elastic.Traffic(elastic.Window{}, elastic.TrafficFilter{})},
		"kql":  query{"filter": query{"kql": query{"query": operations.Panels[at].KQL}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int64{}
	for name, raw := range result.Aggregations {
		var agg struct {
			Count int64 `json:"doc_count"`
		}
		if err := json.Unmarshal(raw, &agg); err != nil {
			t.Fatal(err)
		}
		count[name] = agg.Count
	}
	if count["ours"] == 0 || count["ours"] != count["kql"] || count["ours"] >= result.Total {
		t.Errorf("of %d lines %d are traffic, and %d in Kibana", result.Total, count["ours"], count["kql"])
	}
}

// peopleMayOpenTheirs asks as the people whom the dashboards are for.
func (s *stack) peopleMayOpenTheirs(t *testing.T) {
	for user, theirs := range map[string][]string{
		"viewer":  {"business", "slos", "uptime", "capacity"},
		"support": {"support", "operations", "uptime"},
		"oncall":  nil, // all
	} {
		es, err := elastic.New(elastic.Config{
			URLs: s.Setup.URLs, User: user, Password: env.Secret(os.Getenv(strings.ToUpper(user) + "_PASSWORD")), CAFile: s.Setup.CAFile,
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, panels := range asked() {
			id, _, _ := strings.Cut(name, "/")
			if theirs != nil && !slices.Contains(theirs, id) || mayBeEmpty[name] != "" {
				continue
			}
			for _, p := range panels {
				missing, err := askPanel(t.Context(), es, p, time.Now().Add(-time.Hour), time.Now().Add(time.Minute))
				if err != nil || len(missing) > 0 {
					t.Errorf("%s: %s: %v, lacks %v", user, name, err, missing)
				}
			}
		}
	}
}
