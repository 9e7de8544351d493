package replay_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/elastic"
	"pharos/internal/teststack"
	"pharos/watcher/alert"
	"pharos/watcher/document"
	"pharos/watcher/replay"
)

func client(t *testing.T) *elastic.Client {
	t.Helper()
	es, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	return es
}

// start is when the data of these tests begin.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// requests are lines of nginx, one every 5 s for each route, for an hour.
// Whether one failed is asked for each minute.
func requests(failed func(minute int, route string) bool) string {
	var b strings.Builder
	for s := 0; s < 3600; s += 5 {
		for _, route := range []string{"/a", "/b"} {
			status := 200
			if failed(s/60, route) {
				status = 503
			}
			fmt.Fprintf(&b, `{"@timestamp":%q,"http":{"route":%q,"response":{"status_code":%d}},"labels":{"probe":"false"}}`+"\n",
				start.Add(time.Duration(s)*time.Second).Format(time.RFC3339), route, status)
		}
	}
	return b.String()
}

// byRoute fires for each route of which a request failed in the last minute.
const byRoute = `{"trigger":{"schedule":{"interval":"10s"}},
	"metadata":{"pharos":{"resolve":true,"severity":"error","group_by":"key","minimum_events":{"path":"doc_count","count":%d},"hold":"%s"}},
	"input":{"search":{"request":{"indices":["logs-nginx.access-default"],"body":{"size":0,
		"query":{"bool":{"filter":[{"range":{"@timestamp":{"gte":"now-1m"}}},{"range":{"http.response.status_code":{"gte":500}}}]}},
		"aggs":{"routes":{"terms":{"field":"http.route"}}}}}}},
	"condition":{"script":"return ctx.payload.aggregations != null && ctx.payload.aggregations.routes.buckets.size() > 0"},
	"throttle_period":"%s",
	"actions":{"log":{"logging":{"text":"x"}},"page":{"foreach":"ctx.payload.aggregations.routes.buckets","pagerduty":{"description":"{{ctx.payload.key}} fails"}}}}`

func play(t *testing.T, watch, lines string) replay.Result {
	t.Helper()
	es := client(t)
	source := object(t, watch)
	data, err := replay.Load(t.Context(), es, strings.NewReader(lines), []string{"logs-nginx.access-default"}, "replay"+uuid.NewString()[:8])
	t.Cleanup(func() {
		if err := data.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if status, _, err := es.Do(context.Background(), "GET", "/"+data.Redirect("logs-nginx.access-default"), nil); err != nil || status != 404 {
			t.Errorf("the data is left: %d, %v", status, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := start.Add(time.Hour - 5*time.Second); data.Documents != 1440 || !data.From.Equal(start) || !data.To.Equal(want) {
		t.Errorf("%d documents from %s to %s", data.Documents, data.From, data.To)
	}
	past, err := replay.Rewrite(source, data.Redirect)
	if err != nil {
		t.Fatal(err)
	}
	r, err := replay.Watch(t.Context(), es, "w", past.Source, replay.Options{From: data.From, To: data.To, Settle: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed > 0 {
		t.Errorf("%d failed: %s", r.Failed, r.FirstFailure)
	}
	return r
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("15:04:05")
}

func episodes(all []alert.Alert) string {
	var list []string
	for _, a := range all {
		list = append(list, fmt.Sprintf("%s %s-%s flaps=%d", a.Summary, clock(a.StartedAt), clock(a.ResolvedAt), a.Flaps))
	}
	return strings.Join(list, "; ")
}

func TestReplay(t *testing.T) {
	for _, c := range []struct {
		name, watch string
		failed      func(minute int, route string) bool
		intervals   int
		alerts      string
		pages, ends int
	}{
		{"a healthy hour", fmt.Sprintf(byRoute, 1, "0s", "10s"), func(int, string) bool { return false }, 0, "", 0, 0},
		{"an outage", fmt.Sprintf(byRoute, 1, "0s", "10s"), func(m int, route string) bool { return m >= 20 && m < 25 && route == "/a" },
			1, "/a fails 12:20:10-12:26:00 flaps=0", 1, 1},
		{"flapping is one page", fmt.Sprintf(byRoute, 1, "5m", "10s"), func(m int, route string) bool { return (m == 20 || m == 24 || m == 28) && route == "/a" },
			3, "/a fails 12:20:10-12:35:00 flaps=2", 1, 1},
		{"too few events", fmt.Sprintf(byRoute, 100, "0s", "10s"), func(m int, route string) bool { return m >= 20 && m < 25 && route == "/a" }, 1, "", 0, 0},
		{"one group is well before the other, throttled", fmt.Sprintf(byRoute, 1, "2m", "30s"),
			func(m int, route string) bool { return m >= 10 && m < 15 || m >= 15 && m < 40 && route == "/b" },
			1, "/a fails 12:10:10-12:18:10 flaps=0; /b fails 12:10:10-12:43:00 flaps=0", 2, 2},
		{"an outage goes on at the end", fmt.Sprintf(byRoute, 1, "0s", "10s"), func(m int, route string) bool { return m == 59 && route == "/b" },
			1, "/b fails 12:59:10-13:01:00 flaps=0", 1, 1},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			r := play(t, c.watch, requests(c.failed))
			if got := episodes(r.Alerts); len(r.Intervals) != c.intervals || got != c.alerts || r.Pages != c.pages || r.Resolved != c.ends {
				t.Errorf("%d intervals, %d pages, %d resolved\ngot  %s\nwant %s", len(r.Intervals), r.Pages, r.Resolved, got, c.alerts)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	for lines, want := range map[string]string{
		"":                      "there is no document",
		"{}":                    "line 1: @timestamp is no RFC 3339 time",
		"\n{\"@timestamp\":":    "line 2: ",
		`{"@timestamp":"2026"}`: "line 1: @timestamp",
	} {
		if _, err := replay.Load(t.Context(), nil, strings.NewReader(lines), []string{"a"}, "s"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", lines, err)
		}
	}
	two := []string{"logs-nginx.access-default", "logs-pharos-default"}
	if _, err := replay.Load(t.Context(), nil, strings.NewReader(`{"@timestamp":"2026-03-01T12:00:00Z"}`), two, "s"); err == nil || !strings.Contains(err.Error(), "data_stream.type") {
		t.Errorf("a document that says nothing of its stream: %v", err)
	}
}

func TestStepIsBounded(t *testing.T) {
	es := client(t)
	source := object(t, `{"trigger":{"schedule":{"interval":"10s"}},"input":{"simple":{"a":1}},"condition":{"never":{}},"actions":{"l":{"logging":{"text":"x"}}}}`)
	day := replay.Options{From: start, To: start.AddDate(0, 0, 1)}
	r, err := replay.Watch(t.Context(), es, "w", source, day)
	if err != nil || r.Step != 29*time.Second || r.Runs > replay.MaxRuns {
		t.Errorf("step %s, %d runs, %v", r.Step, r.Runs, err)
	}
	day.To = day.From
	if _, err := replay.Watch(t.Context(), es, "w", source, day); err == nil {
		t.Error("no time at all")
	}
	if got := document.String(document.At(source, "input.simple.a")); got != "1" {
		t.Error("the watch has changed")
	}
}
