package logs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pharos/console/kql"
	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/internal/teststack"
)

// world is a stream of the tests' own in a real Elasticsearch.
type world struct {
	store
	t *testing.T
}

func newWorld(t *testing.T) world {
	t.Helper()
	es, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	// It goes with the stack: this Elasticsearch has no call to delete a data stream.
	return world{store{es, "logs-pharos-test" + strings.ToLower(rand.Text()[:8]), sampleAbove}, t}
}

// noon is when the lines of the tests were written.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// add indexes documents under the given ids; they can be searched at once.
func (w world) add(documents map[string]any) {
	w.t.Helper()
	var all []elastic.Document
	for id, d := range documents {
		body, err := json.Marshal(d)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, elastic.Document{ID: id, Body: body})
	}
	result, err := w.es.Create(w.t.Context(), w.target, all)
	if err != nil || result.Created != len(documents) {
		w.t.Fatalf("%+v, %v", result, err)
	}
	if err := w.es.Refresh(w.t.Context(), w.target); err != nil {
		w.t.Fatal(err)
	}
}

func at(d time.Duration) string { return noon.Add(d).Format("2006-01-02T15:04:05.000Z") }

func (w world) scope(query string) scope {
	w.t.Helper()
	q, err := kql.Parse(query)
	if err != nil {
		w.t.Fatal(err)
	}
	return scope{query: q, from: noon.Add(-time.Hour), to: noon.Add(time.Hour)}
}

func ids(lines []line) []string {
	all := []string{}
	for _, l := range lines {
		all = append(all, l.ID)
	}
	return all
}

func TestRealPages(t *testing.T) {
	w := newWorld(t)
	documents := map[string]any{}
	for i := range 300 {
		// 130 of one millisecond, which is more than a page; and pairs.
		d := max(0, time.Duration(i-130)) / 2 * time.Millisecond
		documents[fmt.Sprintf("id-%03d", i)] = map[string]any{"@timestamp": at(d), "message": "line"}
	}
	w.add(documents)
	for _, oldest := range []bool{false, true} {
		for _, gone := range []bool{false, true} {
			seen := map[string]int{}
			var times []time.Time
			l := list{oldest: oldest, size: 50}
			for page := 0; ; page++ {
				f, err := w.search(t.Context(), w.scope("message:line"), l)
				if err != nil {
					t.Fatal(err)
				}
				for _, line := range f.Lines {
					seen[line.ID]++
					times = append(times, line.At)
				}
				if l.after = f.Next; f.Next == "" {
					break
				}
				if c, err := decodeCursor(f.Next); err != nil {
					t.Fatal(err)
				} else if gone && c.PIT != "" { // as if the reader had been away for too long
					if err := w.es.ClosePointInTime(t.Context(), c.PIT); err != nil {
						t.Fatal(err)
					}
				}
				if page > 20 {
					t.Fatal("the list has no end")
				}
			}
			if len(seen) != 300 || len(times) != 300 {
				t.Errorf("oldest first %t, gone %t: %d lines, %d different ones", oldest, gone, len(times), len(seen))
			}
			ordered := slices.IsSortedFunc(times, func(a, b time.Time) int {
				if oldest {
					return a.Compare(b)
				}
				return b.Compare(a)
			})
			if !ordered {
				t.Errorf("oldest first %t: the times are not in order", oldest)
			}
		}
	}
}

func TestRealQueries(t *testing.T) {
	w := newWorld(t)
	w.add(map[string]any{
		"a": map[string]any{"@timestamp": at(0), "message": "Connection refused by upstream", "service.name": "api", "log.level": "error", "http.response.status_code": 502,
			"client.ip": "10.1.2.3", "url.path": "/v1/feed", "labels": map[string]any{"team": "payments"}, "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736"},
		"b": map[string]any{"@timestamp": at(time.Second), "message": "connection opened", "service": map[string]any{"name": "feed"}, "log": map[string]any{"level": "info"},
			"http": map[string]any{"response": map[string]any{"status_code": 200}}, "url.path": "/v1/posts", "http.route": "/v1/follows/:handle"},
		"c": map[string]any{"@timestamp": at(2 * time.Second), "message": "", "error.message": "refused: no memory", "service.name": "jobs", "log.level": "warn"},
	})
	for query, want := range map[string]string{
		"":                                    "c b a",
		"service.name:api":                    "a",
		"service.name:(api or feed)":          "b a",
		"not service.name:api":                "c b",
		"connection":                          "b a",
		"connection refused":                  "a",
		"refused":                             "c a",
		`"refused by upstream"`:               "a",
		`message:"upstream by"`:               "",
		"message:Conn*":                       "b a",
		"message:conn* AND refused":           "a",
		"conn*":                               "b a",
		"http.response.status_code >= 500":    "a",
		"http.response.status_code:200":       "b",
		"client.ip:10.0.0.0/8":                "a",
		"10.1.2.3":                            "a",
		"4bf92f3577b34da6a3ce929d0e0e4736":    "a",
		"labels.team:payments":                "a",
		"labels.team:pay*":                    "a",
		"url.path:/v1/*":                      "b a",
		"url.path:*feed":                      "a",
		"trace.id:*":                          "a",
		"http.route:/v1/follows/:handle":      "b",
		`@timestamp > "2026-11-20T12:00:01Z"`: "c",
		"@timestamp:2026-11-20":               "c b a",
		`@timestamp >= 2026-11-20T12:00:01Z and log.level:(info or warn)`: "c b",
		"no.such.field:x":     "",
		"not no.such.field:x": "c b a",
	} {
		f, err := w.search(t.Context(), w.scope(query), list{size: 10, columns: []string{"url.path"}})
		if got := strings.Join(ids(f.Lines), " "); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", query, got, err, want)
		}
		if (len(f.Unknown) == 1) != strings.Contains(query, "no.such.field") {
			t.Errorf("%s: unknown fields %v", query, f.Unknown)
		}
	}
	f, err := w.search(t.Context(), w.scope("id:x or refused"), list{size: 10, columns: []string{"url.path"}})
	if err != nil || len(f.Lines) != 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	if l := f.Lines[1]; l.Service != "api" || l.Level != "error" || l.Trace == "" || l.Ingested.IsZero() || !l.At.Equal(noon) || l.Values["url.path"][0] != "/v1/feed" || len(l.Values) != 1 {
		t.Errorf("line %+v", l)
	}
	if l := f.Lines[0]; l.Message != "refused: no memory" {
		t.Errorf("line %+v", l)
	}
	for _, query := range []string{"http.response.status_code:many", "@timestamp > never", "client.ip > 10.0.0.0/8"} {
		if _, err := w.search(t.Context(), w.scope(query), list{size: 10}); fault.From(err).Field != "q" {
			t.Errorf("%s: %v", query, err)
		}
	}
	// What gets past our own checks is Elasticsearch's to refuse.
	if _, err := w.search(t.Context(), w.scope("http.response.status_code > 1e300"), list{size: 10}); err != nil && fault.From(err).Field != "q" {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.search(ctx, w.scope("api"), list{size: 10}); err == nil {
		t.Error("a search goes on when its reader has left")
	}
}

func TestRealSummary(t *testing.T) {
	w := newWorld(t)
	documents := map[string]any{}
	for i := range 240 {
		d := map[string]any{"@timestamp": at(time.Duration(i) * time.Second), "service.name": fmt.Sprintf("s-%02d", i%12), "http.response.status_code": 200 + i%4*100}
		if i%3 > 0 {
			d["log.level"] = []string{"", "info", "error"}[i%3]
		}
		documents[fmt.Sprint(i)] = d
	}
	w.add(documents)
	sc := w.scope("")
	sum, err := w.summarize(t.Context(), sc, "log.level", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Total != 240 || sum.Sampled != 1 {
		t.Errorf("%d lines, of which %g were looked at", sum.Total, sum.Sampled)
	}
	counts := map[string]int64{}
	for _, p := range sum.Histogram.Parts {
		counts[p.Value] = total(p)
		if len(p.Counts) != 120 || p.Counts[59] != 0 || p.Counts[60] != 20 || p.Counts[63] != 20 || p.Counts[64] != 0 {
			t.Errorf("%s: %v", p.Value, p.Counts)
		}
	}
	if len(counts) != 3 || counts["info"] != 80 || counts["error"] != 80 || counts[rest] != 80 || sum.Histogram.Parts[0].Value != "error" {
		t.Errorf("histogram %v", counts)
	}
	if len(sum.Histogram.Times) != 120 || sum.Histogram.Times[60] != noon.Unix() {
		t.Errorf("times %v", sum.Histogram.Times)
	}
	seen := map[string]bool{}
	for _, f := range sum.Facets {
		seen[f.Field] = true
		left := f.Others
		for _, v := range f.Values {
			left += v.Count
			inside, err := w.summarize(t.Context(), w.scope(v.Clause), "log.level", time.Minute)
			if err != nil || inside.Total != v.Count {
				t.Errorf("%s finds %d lines, %v; the facet says %d", v.Clause, inside.Total, err, v.Count)
			}
		}
		if f.Field == "service.name" && (len(f.Values) != facetValues || left != 240) {
			t.Errorf("%+v", f)
		}
	}
	if !seen["log.level"] || !seen[statusField] || seen["http.route"] {
		t.Errorf("facets %v", seen)
	}
	w.sampleAbove = 60
	sum, err = w.summarize(t.Context(), sc, "log.level", time.Minute)
	if err != nil || sum.Total != 240 || sum.Sampled != 0.25 {
		t.Errorf("%+v, %v", sum, err)
	}
	nothing, err := w.summarize(t.Context(), w.scope("service.name:nobody"), "service.name", time.Minute)
	if err != nil || nothing.Total != 0 || len(nothing.Facets) != 0 || len(nothing.Histogram.Parts) != 0 {
		t.Errorf("%+v, %v", nothing, err)
	}
}

func TestRealSurroundings(t *testing.T) {
	w := newWorld(t)
	documents := map[string]any{}
	for i := range 40 {
		documents[fmt.Sprintf("%02d", i)] = map[string]any{"@timestamp": at(time.Duration(i/2) * time.Second), "service.name": []string{"api", "feed"}[i%2], "message": "x"}
	}
	w.add(documents)
	var all []line
	f, err := w.search(t.Context(), w.scope("service.name:api"), list{size: 40, oldest: true})
	if all = f.Lines; err != nil || len(all) != 20 {
		t.Fatal(len(all), err)
	}
	middle, source, err := w.get(t.Context(), all[10].Ref())
	if err != nil || middle.ID != "20" || !json.Valid(source) || middle.Values["message"][0] != "x" {
		t.Fatal(middle, err)
	}
	s, err := w.around(t.Context(), w.scope("service.name:api"), middle, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(ids(s.Before), ids(s.Same), ids(s.After)); got != "[14 16 18] [20] [22 24 26]" {
		t.Error(got)
	}
	s, err = w.around(t.Context(), w.scope(""), middle, 2, nil)
	if err != nil || len(s.Same) != 2 || len(s.Before) != 2 || len(s.After) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = w.around(t.Context(), w.scope("service.name:nobody"), middle, 2, nil)
	if err != nil || fmt.Sprint(ids(s.Same)) != "[20]" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, ref := range []string{"", "x", all[0].Index + "/nothing", "*/20", "../../_search/20", all[0].Index + "/"} {
		if _, _, err := w.get(t.Context(), ref); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	names, err := w.fields(t.Context())
	if err != nil || !slices.Contains(names, "service.name") || slices.Contains(names, "_id") {
		t.Errorf("%v, %v", names, err)
	}
}

func TestRealTail(t *testing.T) {
	w := newWorld(t)
	old := map[string]any{}
	for i := range 5 {
		old[fmt.Sprint("old-", i)] = map[string]any{"@timestamp": at(0), "service.name": "api", "message": "before"}
	}
	w.add(old)
	follow, err := w.follow(t.Context(), w.scope("service.name:api"), time.Time{}, []string{"url.path"})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	poll := func() {
		n, err := follow.poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n.Skipped != 0 {
			t.Errorf("%d skipped", n.Skipped)
		}
		for _, l := range n.Lines {
			seen[l.ID]++
		}
	}
	poll()
	// Times of their own that are long past, or not yet, and in no order.
	for i, d := range []time.Duration{0, -100 * time.Hour, 5 * time.Hour, -time.Minute} {
		w.add(map[string]any{
			fmt.Sprint("new-", i):   map[string]any{"@timestamp": at(d), "service.name": "api", "message": "after", "url.path": "/x"},
			fmt.Sprint("other-", i): map[string]any{"@timestamp": at(d), "service.name": "feed", "message": "after"},
		})
		poll()
	}
	poll()
	if len(seen) != 4 {
		t.Errorf("saw %v", seen)
	}
	for id, n := range seen {
		if n != 1 || !strings.HasPrefix(id, "new-") {
			t.Errorf("%s came %d times", id, n)
		}
	}
	again, err := w.follow(t.Context(), w.scope("service.name:api"), follow.since, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := again.poll(t.Context())
	if err != nil || len(n.Lines) == 0 {
		t.Errorf("who comes back to the place is given nothing of the overlap: %+v, %v", n, err)
	}
	many := map[string]any{}
	for i := range tailLines + 50 {
		many[fmt.Sprint("many-", i)] = map[string]any{"@timestamp": at(0), "service.name": "api", "message": "flood"}
	}
	w.add(many)
	if n, err = follow.poll(t.Context()); err != nil || len(n.Lines) != tailLines || n.Skipped != 50 || n.AtLeast {
		t.Errorf("of a flood %d came, %d were skipped, %v", len(n.Lines), n.Skipped, err)
	}
}

func TestRealExport(t *testing.T) {
	w := newWorld(t)
	documents := map[string]any{}
	for i := range exportPage + 50 {
		documents[fmt.Sprint(i)] = map[string]any{"@timestamp": at(time.Duration(i%7) * time.Millisecond), "message": fmt.Sprintf("=line\n%d", i), "service.name": "api"}
	}
	w.add(documents)
	e, err := w.export(t.Context(), w.scope("service.name:api"), true)
	if err != nil {
		t.Fatal(err)
	}
	// Not part of it: it is as it was when it began.
	w.add(map[string]any{"late": map[string]any{"@timestamp": at(0), "service.name": "api"}})
	if e.Total != int64(len(documents)) {
		t.Errorf("%d lines are announced", e.Total)
	}
	var plain, cells bytes.Buffer
	sheet, err := newTable(&cells, []string{"@timestamp", "message"})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for {
		hits, err := e.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(hits) == 0 {
			break
		}
		for _, h := range hits {
			seen[h.ID] = true
			if err := (ndjson{&plain}).write(h); err != nil {
				t.Fatal(err)
			}
			if err := sheet.write(h); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := sheet.flush(); err != nil {
		t.Fatal(err)
	}
	if err := e.close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.close(t.Context()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if n := bytes.Count(plain.Bytes(), []byte("\n")); len(seen) != len(documents) || seen["late"] || n != len(documents) {
		t.Errorf("%d lines, %d in the file", len(seen), n)
	}
	rows, err := csv.NewReader(&cells).ReadAll()
	if err != nil || len(rows) != len(documents)+1 || !strings.HasPrefix(rows[1][1], "'=line\n") {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
