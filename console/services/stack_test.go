package services

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pharos/console/page"
	"pharos/elastic"
	"pharos/internal/teststack"
)

// world is one test's own documents: in streams of its own, at a time that no
// other documents are of.
type world struct {
	*testing.T
	es   *elastic.Client
	id   string
	from time.Time
	n    int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	es, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	return &world{T: t, es: es, id: fmt.Sprintf("%08x", rand.Uint32()), from: time.Unix(5e8, 0).Add(time.Duration(rand.IntN(100_000)) * time.Hour).UTC()}
}

func (w *world) stream(dataset string) string { return dataset + "-console" + w.id }

func (w *world) queries() queries {
	return queries{w.es, page.Span{From: w.from, To: w.from.Add(100 * time.Second), FromText: "x", ToText: "x"}, true, w.stream("logs-nginx.access")}
}

// hex is an id of the test's own.
func (w *world) hex(digits int) string {
	w.n++
	return w.id + fmt.Sprintf("%0*x", digits-8, w.n)
}

// add adds documents of the test's time, and makes them visible.
func (w *world) add(stream string, documents ...object) {
	w.Helper()
	var all []elastic.Document
	for _, d := range documents {
		d["@timestamp"] = w.from.Add(10 * time.Second).Format(time.RFC3339)
		text, err := json.Marshal(d)
		if err != nil {
			w.Fatal(err)
		}
		all = append(all, elastic.Document{Body: text})
	}
	res, err := w.es.Create(w.Context(), stream, all)
	if err != nil || len(res.Refused) > 0 {
		w.Fatalf("%+v, %v", res, err)
	}
	if err := w.es.Refresh(w.Context(), stream); err != nil {
		w.Fatal(err)
	}
}

func service(name, version string) object {
	return object{"name": name, "version": version, "node": object{"name": name + "-1"}}
}

func (w *world) transaction(name, kind, parent, trace string, us int, outcome string) object {
	d := object{
		"processor": object{"event": "transaction"}, "service": service(name, "v1"), "trace": object{"id": trace}, "cloud": object{"region": "here"},
		"transaction": object{"id": w.hex(16), "name": kind + " x", "type": kind, "duration": object{"us": us}}, "event": object{"outcome": outcome},
	}
	if parent != "" {
		d["parent"] = object{"id": parent}
	}
	return d
}

func (w *world) span(name, id, trace, label, kind, resource string, us int, outcome string) object {
	return object{
		"processor": object{"event": "span"}, "service": service(name, "v1"), "trace": object{"id": trace}, "event": object{"outcome": outcome},
		"span": object{"id": id, "name": label, "type": kind, "duration": object{"us": us}, "destination": object{"service": object{"resource": resource}}},
	}
}

func TestRealMap(t *testing.T) {
	w := newWorld(t)
	trace := w.hex(32)
	var documents []object
	for i, address := range []string{"10.0.0.1:8111", "10.0.0.2:8111"} { // two instances of one service
		id := w.hex(16)
		outcome := []string{"success", "failure"}[i]
		documents = append(documents,
			w.transaction("api", "request", "", trace, 50_000, "success"),
			w.span("api", id, trace, "GET "+address, "external", address, 40_000, outcome),
			w.transaction("feed", "request", id, trace, 30_000, outcome),
			w.span("feed", w.hex(16), trace, "posts.find", "db", "mongodb", 20_000, "success"),
		)
	}
	documents = append(documents,
		w.span("api", w.hex(16), trace, "GET", "db", "redis", 1000, "success"),
		w.span("api", w.hex(16), trace, "MULTI, XADD, EXEC", "db", "redis", 2000, "success"),
		w.span("api", w.hex(16), trace, "GET other.example", "external", "other.example:443", 3000, "success"),
		w.transaction("ingest", "messaging", w.hex(16), trace, 4000, "success"),
	)
	w.add(w.stream("traces-apm"), documents...)
	access := object{"trace": object{"id": trace}, "service": object{"name": "nginx"}, "event": object{"duration": 60_000_000}, "http": object{"response": object{"status_code": 200}}}
	passed := object{"nginx": object{"upstream": object{"address": "10.0.0.9:8101"}}}
	refused := object{"http": object{"response": object{"status_code": 503}}}
	line := func(more ...object) object {
		out := object{}
		for _, m := range append([]object{access}, more...) {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	w.add(w.stream("logs-nginx.access"), line(passed), line(passed), line(refused), line(object{"labels": object{"probe": "true"}}))

	q := w.queries()
	m, err := q.serviceMap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range m.Edges {
		got = append(got, fmt.Sprintf("%s>%s %d/%d %.3f", e.From, e.To, e.Failed, e.Calls, known(e.P95)))
	}
	want := []string{
		"api>bus 0/1 0.002", "api>feed 1/2 0.040", "api>other.example:443 0/1 0.003", "api>redis 0/1 0.001", "bus>ingest 0/1 0.004",
		"clients>nginx 1/3 0.060", "feed>mongodb 0/2 0.020", "nginx>api 0/2 0.060",
	}
	if !slices.Equal(got, want) {
		t.Errorf("edges are\n%q, want\n%q", got, want)
	}
	kinds := map[string]string{}
	for _, n := range m.Nodes {
		kinds[n.Name] = n.Kind
	}
	for name, kind := range map[string]string{"api": "service", "feed": "service", "mongodb": "store", "redis": "store", "bus": "bus", "nginx": "proxy", "other.example:443": "external"} {
		if kinds[name] != kind {
			t.Errorf("%s is a %s, want a %s", name, kinds[name], kind)
		}
	}
	q.logs = false
	if m, err := q.serviceMap(t.Context()); err != nil || !m.NoTraffic || slices.ContainsFunc(m.Edges, func(e Edge) bool { return e.To == nginx }) {
		t.Errorf("without the right to read logs the map is %+v, %v", m, err)
	}

	for name, want := range map[string]struct {
		kind          string
		total, failed int64
	}{"feed": {"service", 2, 1}, "mongodb": {"store", 2, 0}, "redis": {"store", 1, 0}, "bus": {"bus", 1, 0}, "nginx": {"proxy", 3, 1}, "nothing": {"service", 0, 0}} {
		of, err := q.subject(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		traffic, err := q.traffic(t.Context(), of)
		if err != nil || of.kind != want.kind || traffic.Total != want.total || traffic.Failed != want.failed {
			t.Errorf("%s is a %s with %d of %d failed, %v; want %+v", name, of.kind, traffic.Failed, traffic.Total, err, want)
		}
	}
}

func known(v *float64) float64 {
	if v == nil {
		return -1
	}
	return *v
}

func TestRealService(t *testing.T) {
	w := newWorld(t)
	trace := w.hex(32)
	cached := w.transaction("feed", "request", "", trace, 1000, "success")
	cached["http"] = object{"response": object{"status_code": 200, "headers": object{"X-Source": []string{"cache"}}}}
	read := w.transaction("feed", "request", "", trace, 9000, "failure")
	read["http"] = object{"response": object{"status_code": 200, "headers": object{"X-Source": []string{"mongodb"}}}}
	read["service"] = service("feed", "v2")
	w.add(w.stream("traces-apm"), cached, read)
	breakdown := func(kind, subtype string, us, count int) object {
		s := object{"type": kind, "self_time": object{"sum": object{"us": us}, "count": count}}
		if subtype != "" {
			s["subtype"] = subtype
		}
		return object{"data_stream": object{"type": "metrics", "dataset": "apm.internal"}, "metricset": object{"name": "span_breakdown"}, "service": service("feed", "v1"), "span": s}
	}
	w.add(w.stream("metrics-apm.internal"), breakdown("app", "", 1_000_000, 4), breakdown("db", "mongodb", 3_000_000, 2))
	w.add(w.stream("logs-apm.error"), object{
		"data_stream": object{"type": "logs", "dataset": "apm.error"},
		"processor":   object{"event": "error"}, "service": service("feed", "v1"), "trace": object{"id": trace}, "parent": object{"id": w.hex(16)},
		"error": object{"grouping_key": "k", "culprit": "find", "exception": []object{{"message": "no primary"}}},
	})
	q := w.queries()
	of, err := q.subject(t.Context(), "feed", "feed-1")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := q.cache(t.Context(), of)
	if err != nil || cache.Hits != 1 || cache.Total != 2 {
		t.Errorf("the cache is %+v, %v", cache, err)
	}
	versions, err := q.versions(t.Context(), of)
	if err != nil || len(versions) != 2 || versions[0].Failed+versions[1].Failed != 1 || versions[0].First.IsZero() {
		t.Errorf("versions are %+v, %v", versions, err)
	}
	instances, err := q.instances(t.Context(), "feed")
	if err != nil || len(instances) != 1 || instances[0].Calls != 2 || !slices.Equal(instances[0].Versions, []string{"v1", "v2"}) || !slices.Equal(instances[0].Regions, []string{"here"}) {
		t.Errorf("instances are %+v, %v", instances, err)
	}
	layers, err := q.layers(t.Context(), "feed", "")
	if err != nil || len(layers.Items) != 2 || layers.Items[0].Name != "mongodb" || layers.Items[0].Share != 0.75 || layers.Items[1].Name != "own code" || layers.Items[1].Mean() != 0.25 {
		t.Errorf("layers are %+v, %v", layers.Items, err)
	}
	problems, err := q.problems(t.Context(), "feed", "")
	if err != nil || len(problems) != 1 || problems[0].Message != "no primary" || problems[0].Trace != trace {
		t.Errorf("errors are %+v, %v", problems, err)
	}
	if resources, err := q.resources(t.Context(), "feed", ""); err != nil || len(resources.Charts) != 0 {
		t.Errorf("resources of a time without any are %+v, %v", resources, err)
	}
}
