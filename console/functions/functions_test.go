package functions

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pharos/console/operatorapi"
	"pharos/console/page"
	"pharos/console/pagetest"
	"pharos/console/series"
	"pharos/internal/fault"
)

type measured struct {
	functions []operatorapi.Function
	err       error
	mu        sync.Mutex
	asked     int
}

func (m *measured) Functions(_ context.Context, _, _ time.Time) ([]operatorapi.Function, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	return slices.Clone(m.functions), m.err
}

func function(name string, calls, errors int64, average float64) operatorapi.Function {
	return operatorapi.Function{Name: name, Calls: calls, Errors: errors, ErrorRate: page.Value(float64(errors) / float64(calls)), Average: &average, P50: &average, P95: page.Value(2 * average), P99: page.Value(3 * average)}
}

// noMetrics is a stream that is not there.
func noMetrics(string, map[string]any) (int, string) {
	return http.StatusNotFound, `{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`
}

func TestPage(t *testing.T) {
	t.Parallel()
	api := &measured{functions: []operatorapi.Function{function("feed.Timeline", 100, 0, 0.5), function("feed.<SignIn>", 10, 1, 0.01), {Name: "tasks.idle"}}}
	c := pagetest.New(t)
	c.Search = noMetrics
	c.Add(Functions{api}.Page())
	status, body := c.Get("/functions?sort=errors")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{"feed.&lt;SignIn&gt;", "10 %", "500 ms", "50 s", "no data", "No job was seen to end", `aria-sort="descending"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if api.asked != 1+points {
		t.Errorf("the API was asked %d times", api.asked)
	}
	for sort, want := range map[string]string{"": "feed.Timeline", "errors": "feed.<SignIn>", "total": "feed.Timeline", "avg": "feed.Timeline", "p95": "feed.Timeline", "name": "feed.<SignIn>"} {
		var v View
		c.JSON("/functions.json?sort="+sort, &v)
		if v.Functions.Data[0].Name != want {
			t.Errorf("by %s: %s", sort, v.Functions.Data[0].Name)
		}
	}
	if status, _ := c.Get("/functions?sort=x"); status != http.StatusBadRequest {
		t.Errorf("sort=x: %d", status)
	}
	var one View
	c.JSON("/functions.json?name=feed.Timeline", &one)
	// An hour in 12 parts: 100 calls in 300 s.
	if s := one.Charts.Data.Calls.Series; len(s) != 1 || len(s[0].Values) != points || *s[0].Values[0] != 100.0/300 {
		t.Errorf("%+v", s)
	}
	api.err = fault.New(fault.Unavailable, "The public API does not answer the console.")
	if status, body := c.Get("/functions"); status != http.StatusOK || strings.Count(body, "does not answer the console") != 2 || !strings.Contains(body, "wait for a worker") {
		t.Errorf("%d %s", status, body)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 500)
	for length, want := range map[time.Duration]int{time.Hour: points, 5 * time.Second: 6, 30 * 24 * time.Hour: points, 100 * time.Second: points} {
		parts := cut(page.Span{From: at, To: at.Add(length)})
		if len(parts) != want {
			t.Errorf("%s: %d parts", length, len(parts))
		}
		for i, p := range parts {
			if !p.from.Before(p.to) || p.from.Nanosecond() != 0 || i > 0 && !p.from.Equal(parts[i-1].to) {
				t.Errorf("%s: part %d from %s to %s", length, i, p.from, p.to)
			}
		}
		if last := parts[len(parts)-1].to; last.Before(at.Add(length).Truncate(time.Second)) {
			t.Errorf("%s: ends at %s", length, last)
		}
	}
}

func TestThoseCalledMost(t *testing.T) {
	t.Parallel()
	var all []operatorapi.Function
	for i, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		all = append(all, function(name, int64(10+i), 0, 1))
	}
	if got := most([]part{{functions: all}}, func(f operatorapi.Function) int64 { return f.Calls }); !slices.Equal(got, []string{"b", "c", "d", "e", "f", "g"}) {
		t.Error(got)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	g := series.NewGrid(page.Span{From: time.Unix(0, 0), To: time.Unix(180, 0)}, 3, time.Minute)
	v := page.Value
	q := newQueue(g, map[string][]series.Line{
		"waiting": {{Values: []*float64{v(1), v(4), nil}}},
		"seen":    {{Keys: []string{"jobs-1"}, Values: []*float64{v(0), v(0), v(0)}}},
		"ended": {
			{Keys: []string{"jobs-1", "done", "fibonacci"}, Values: []*float64{v(7), v(9), v(9)}},
			{Keys: []string{"jobs-1", "done", "factorial"}, Values: []*float64{nil, v(1), v(2)}},
			{Keys: []string{"jobs-1", "failed", "fibonacci"}, Values: []*float64{nil, nil, v(1)}},
		},
	})
	if *q.Waiting != 4 || q.Running != nil || q.Oldest != nil {
		t.Errorf("%+v", q)
	}
	if !slices.Equal(q.Ended, []Outcome{{"done", 4}, {"failed", 1}}) {
		t.Errorf("%+v", q.Ended)
	}
	hourly, _ := json.Marshal(q.Hourly.Series[0].Values)
	if string(hourly) != "[0,180,60]" {
		t.Errorf("an hour: %s", hourly)
	}
}
