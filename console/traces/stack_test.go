package traces

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
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
	return &world{T: t, es: es, id: fmt.Sprintf("%08x", rand.Uint32()), from: time.Unix(1e9, 0).Add(time.Duration(rand.IntN(100_000)) * time.Hour).UTC()}
}

func (w *world) queries() queries {
	return queries{w.es, page.Span{From: w.from, To: w.from.Add(time.Hour), FromText: "x", ToText: "x"}}
}

// hex is an id of the test's own.
func (w *world) hex(digits int) string {
	w.n++
	return w.id + fmt.Sprintf("%0*x", digits-8, w.n)
}

// add adds documents, of which each is made of flat fields, and makes them
// visible.
func (w *world) add(stream string, documents ...map[string]any) {
	w.Helper()
	var all []elastic.Document
	for _, d := range documents {
		text, err := json.Marshal(nested(d))
		if err != nil {
			w.Fatal(err)
		}
		all = append(all, elastic.Document{Body: text})
	}
	stream += "-console" + w.id
	res, err := w.es.Create(w.Context(), stream, all)
	if err != nil || len(res.Refused) > 0 {
		w.Fatalf("%+v, %v", res, err)
	}
	if err := w.es.Refresh(w.Context(), stream); err != nil {
		w.Fatal(err)
	}
}

// nested makes objects of dotted names, as agents' documents have them.
func nested(flat map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range flat {
		at := out
		parts := strings.Split(name, ".")
		for _, p := range parts[:len(parts)-1] {
			next, ok := at[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[p] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = v
	}
	return out
}

func with(base map[string]any, more map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{base, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// event is the fields that all events have.
func (w *world) event(kind, service string, after time.Duration) map[string]any {
	at := w.from.Add(after)
	return map[string]any{
		"@timestamp": at.Format("2006-01-02T15:04:05.000Z"), "timestamp.us": at.UnixMicro(), "processor.event": kind,
		"service.name": service, "service.node.name": service + "-1", "service.version": "1", "cloud.region": "here", "event.outcome": "success",
	}
}

func (w *world) filter(query string) Filter {
	w.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		w.Fatal(err)
	}
	f, err := parseFilter(q)
	if err != nil {
		w.Fatal(err)
	}
	return f
}

func TestRealTrace(t *testing.T) {
	w := newWorld(t)
	trace, tx, call, inner, db := w.hex(32), w.hex(16), w.hex(16), w.hex(16), w.hex(16)
	in := map[string]any{"trace.id": trace}
	w.add("traces-apm",
		with(w.event("transaction", "api", 0), with(in, map[string]any{"transaction.id": tx, "transaction.name": "GET /v1/feed", "transaction.type": "request", "transaction.duration.us": 100_000, "http.response.status_code": 200, "http.route": "/v1/feed", "http.request.id": "req-" + w.id, "user.id": "u1", "span.id": tx})),
		with(w.event("span", "api", 10*time.Millisecond), with(in, map[string]any{"transaction.id": tx, "parent.id": tx, "span.id": call, "span.name": "GET feed", "span.type": "external", "span.subtype": "http", "span.duration.us": 80_000})),
		with(w.event("transaction", "feed", 12*time.Millisecond), with(in, map[string]any{"transaction.id": inner, "parent.id": call, "transaction.name": "GET /v1/feed", "transaction.type": "request", "transaction.duration.us": 70_000, "http.response.status_code": 500, "event.outcome": "failure"})),
		with(w.event("span", "feed", 20*time.Millisecond), with(in, map[string]any{"transaction.id": inner, "parent.id": inner, "span.id": db, "span.name": "posts.find", "span.type": "db", "span.subtype": "mongodb", "span.duration.us": 50_000, "span.db.statement": `{"find":"posts"}`, "span.stacktrace": []any{map[string]any{"function": "f"}}})),
	)
	w.add("logs-apm.error", with(w.event("error", "feed", 60*time.Millisecond), with(in, map[string]any{
		"data_stream.type": "logs", "data_stream.dataset": "apm.error", "parent.id": db, "error.id": w.hex(32), "error.exception": []any{map[string]any{"message": "no primary", "type": "errorString", "module": "errors", "handled": true}},
	})))
	q := w.queries()
	v, events, err := q.trace(t.Context(), trace)
	if err != nil {
		t.Fatal(err)
	}
	v.draw(build(events), nil, true)
	var names []string
	for _, r := range v.Rows {
		names = append(names, fmt.Sprintf("%d %s %s", r.Depth, r.Service, r.Name))
	}
	if want := []string{"0 api GET /v1/feed", "1 api GET feed", "2 feed GET /v1/feed", "3 feed posts.find"}; !slices.Equal(names, want) {
		t.Errorf("rows are %q, want %q", names, want)
	}
	last := v.Rows[len(v.Rows)-1]
	if last.Statement != `{"find":"posts"}` || len(last.Errors) != 1 || last.Errors[0].Message != "no primary" {
		t.Errorf("the statement is %q, errors are %+v", last.Statement, last.Errors)
	}
	if v.Failed != 1 || v.Errors != 1 || v.Orphans != 0 || v.Root.Service != "api" || v.Path[0].Name != "mongodb" || v.Path[0].US != 50_000 {
		t.Errorf("the trace is %+v", v)
	}

	for query, want := range map[string][]string{
		"":                          {"api"},
		"service=feed":              {"feed"},
		"id=" + trace:               {"feed", "api"},
		"id=" + tx:                  {"api"},
		"id=req-" + w.id:            {"api"},
		"service=feed&status=5xx":   {"feed"},
		"service=feed&status=ok":    nil,
		"min=90ms":                  {"api"},
		"min=101ms":                 nil,
		"max=90ms":                  nil,
		"route=/v1/feed&user=u1":    {"api"},
		"q=service.name:(api+or+x)": {"api"},
		"q=http.response.status_code+>=+500&sort=slowest": {"feed"},
	} {
		items, err := q.items(t.Context(), w.filter(query), nil)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		var got []string
		for _, e := range items.Items {
			got = append(got, e.Service)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", query, got, want)
		}
	}
	o, err := q.overview(t.Context(), w.filter("service=feed"))
	if err != nil {
		t.Fatal(err)
	}
	if o.Total != 1 || o.Failed != 1 || o.P50 != 0.07 || len(o.Spread.Cells) != 1 || o.Spread.Cells[0].Failed != 1 || o.Counts.Empty() {
		t.Errorf("the overview is %+v", o)
	}
}

// Pages follow each other without a gap or a repetition, also where many began in
// the same millisecond; and shares are exact where values are many.
func TestRealPagesAndComparison(t *testing.T) {
	w := newWorld(t)
	var documents []map[string]any
	for i := range 130 {
		d := with(w.event("transaction", "api", time.Minute), map[string]any{
			"trace.id": w.hex(32), "transaction.id": w.hex(16), "transaction.name": "GET /", "transaction.type": "request", "transaction.duration.us": 1000 + i%3,
			"user.id": fmt.Sprintf("u%03d", i), "http.response.status_code": 200, "client.ip": "192.0.2.1",
		})
		if i < 40 { // more failing users than are listed, of the new version
			d["event.outcome"], d["http.response.status_code"], d["service.version"] = "failure", 500, "2"
		}
		if i == 129 { // is healthy and of the new version, too
			d["service.version"] = "2"
		}
		if i%2 == 0 {
			d["http.response.headers"] = map[string]any{"X-Source": []string{"cache"}}
		}
		documents = append(documents, d)
	}
	w.add("traces-apm", documents...)
	q := w.queries()
	for _, order := range []string{"newest", "slowest"} {
		seen := map[string]bool{}
		var after []any
		for pages := 1; ; pages++ {
			items, err := q.items(t.Context(), w.filter("sort="+order), after)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range items.Items {
				if seen[e.ID] {
					t.Errorf("%s: %s came twice", order, e.ID)
				}
				seen[e.ID] = true
			}
			if items.Next == "" {
				if pages != 3 || len(seen) != 130 || items.Total != 130 {
					t.Errorf("%s: %d pages have %d of %d", order, pages, len(seen), items.Total)
				}
				break
			}
			if after, err = readCursor(items.Next); err != nil {
				t.Fatal(err)
			}
		}
	}

	d, err := q.compare(t.Context(), w.filter(""))
	if err != nil {
		t.Fatal(err)
	}
	if d.Failing != 40 || d.Healthy != 90 {
		t.Fatalf("%d failed and %d did not", d.Failing, d.Healthy)
	}
	byValue := map[string]Difference{}
	for _, v := range d.Values {
		byValue[v.Field+"="+v.Value] = v
	}
	if v := byValue["service.version=2"]; v.Failing != 40 || v.Healthy != 1 || v.Query != "service.version:2" {
		t.Errorf("version 2 is %+v", v)
	}
	if v := byValue["service.version=1"]; v.Failing != 0 || v.Healthy != 89 {
		t.Errorf("version 1 is %+v", v)
	}
	for name := range byValue {
		if strings.HasPrefix(name, "client.ip=") || strings.HasPrefix(name, "service.name=") {
			t.Errorf("%s is the same on both sides", name)
		}
	}
	items, err := q.items(t.Context(), w.filter("status=failed&q="+url.QueryEscape(byValue["service.version=2"].Query)), nil)
	if err != nil || items.Total != 40 {
		t.Errorf("the value's link finds %d, %v", items.Total, err)
	}
}
