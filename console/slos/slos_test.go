package slos

import (
	"math"
	"os"
	"testing"
	"time"

	"pharos/console/kql"
	"pharos/console/page"
	"pharos/slo"
	"pharos/slo/rollup"
)

func objectives(t *testing.T) map[string]slo.Objective {
	t.Helper()
	list, err := slo.Load(os.DirFS("../../objectives"), ".")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]slo.Objective{}
	for _, o := range list {
		all[o.Name] = o
	}
	return all
}

func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC) }

func TestBadQueries(t *testing.T) {
	all := objectives(t)
	for _, c := range []struct{ name, group, want string }{
		{"availability", "", "data_stream.dataset:nginx.access and http.response.status_code >= 500 and http.response.status_code <= 599 and not labels.probe:true"},
		{"route-availability", "/v1/users/:handle", `data_stream.dataset:nginx.access and http.response.status_code >= 500 and http.response.status_code <= 599 and not labels.probe:true and http.route:"/v1/users/:handle"`},
		{"route-latency", "", `data_stream.dataset:nginx.access and event.duration:* and not labels.probe:true and not (http.response.status_code >= 500 and http.response.status_code <= 599) and not http.route:"/v1/jobs/:id/result" and not event.duration <= 500000000`},
		{"jobs-in-time", "", "data_stream.dataset:pharos and event.action:job-ended and (event.outcome:success or event.outcome:failure) and not (event.outcome:success and event.duration <= 10000000000)"},
		{"events-processed", "", ""},
		{"mongodb-connections", "", ""},
		{"system-uptime", "api", ""},
	} {
		if _, ok := all[c.name]; !ok {
			t.Errorf("no objective %s", c.name)
		}
		if got := badQuery(all[c.name], c.group); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
		if _, err := kql.Parse(c.want); err != nil {
			t.Errorf("%s: the search can't read it: %v", c.name, err)
		}
	}
}

// minutes are points of a minute each: how many were bad of a hundred.
func minutes(from time.Time, bad ...float64) []rollup.Point {
	var points []rollup.Point
	for i, b := range bad {
		points = append(points, rollup.Point{At: from.Add(time.Duration(i) * time.Minute), Count: slo.Count{Good: 100 - b, Total: 100}})
	}
	return points
}

func TestTrailing(t *testing.T) {
	o := slo.Objective{Target: 0.99, Window: 30 * 24 * time.Hour}
	begin := now().Truncate(time.Minute)
	points := minutes(begin, 1, 0, 2, 0, 0)
	var times []int64
	for i := range 10 {
		times = append(times, begin.Add(time.Duration(i)*time.Minute).Unix())
	}
	got := trailing(points, o, 2*time.Minute, times)
	// At each time the two minutes before it: none yet; the first; both; …
	want := []float64{math.NaN(), 1, 0.5, 1, 1, 0, 0, math.NaN(), math.NaN(), math.NaN()}
	for i, w := range want {
		switch {
		case math.IsNaN(w) && got[i] != nil:
			t.Errorf("at %d min: %g, want no data", i, *got[i])
		case !math.IsNaN(w) && (got[i] == nil || math.Abs(*got[i]-w) > 1e-9):
			t.Errorf("at %d min: %v, want %g", i, got[i], w)
		}
	}
}

func TestBurnDown(t *testing.T) {
	o := slo.Objective{Target: 0.99, Window: 30 * 24 * time.Hour}
	begin := now().Add(-5 * time.Hour).Truncate(time.Hour)
	var points []rollup.Point
	whole := slo.Count{}
	for i, bad := range []float64{0, 2, 0, 1, 0} {
		c := slo.Count{Good: 100 - bad, Total: 100}
		whole = whole.Add(c)
		points = append(points, rollup.Point{At: begin.Add(time.Duration(i) * time.Hour), Count: c})
	}
	s := rollup.Standing{Objective: o, Window: whole, Last: []slo.Count{{}, whole, whole}, Since: begin}
	c := burnDown(s, points, time.Hour, now())
	left := c.Series[0].Values
	for i, want := range []float64{1, 1, 0.6, 0.6, 0.4, 0.4} { // 5 of 500 may be bad
		if left[i] == nil || math.Abs(*left[i]-want) > 1e-9 {
			t.Errorf("after %d h: %v, want %g", i, left[i], want)
		}
	}
	for i := 1; i < len(c.Times); i++ {
		if c.Times[i] <= c.Times[i-1] {
			t.Errorf("times do not rise: %v", c.Times)
		}
	}
	if len(c.Series) != 2 || c.From != begin.Unix() || c.To <= now().Unix() {
		t.Fatalf("%+v", c)
	}
	// 3 of the budget's 5 in six hours leaves 2, and an hour spends 0.5.
	last := c.Series[1].Values[len(c.Times)-1]
	ahead := float64(c.Times[len(c.Times)-1]-now().Unix()) / 3600
	if last == nil || math.Abs(*last-(0.4-ahead*0.1)) > 1e-3 {
		t.Errorf("forecast %v after %g h", last, ahead)
	}

	if c := burnDown(rollup.Standing{Objective: o, Last: make([]slo.Count, 3)}, nil, time.Hour, now()); !c.Empty() || len(c.Series) != 1 {
		t.Errorf("no data: %+v", c)
	}
	spent := slo.Count{Good: 50, Total: 100}
	c = burnDown(rollup.Standing{Objective: o, Window: spent, Last: []slo.Count{spent, spent, spent}, Since: begin}, minutes(begin, 50), time.Minute, now())
	if v := c.Series[0].Values[len(c.Times)-1]; v == nil || math.Abs(*v-(1-50)) > 1e-9 || len(c.Series) != 1 {
		t.Errorf("overspent: %+v", c)
	}
}

func TestWorstHours(t *testing.T) {
	begin := now().Truncate(time.Hour)
	points := append(minutes(begin, 1, 2, 0), minutes(begin.Add(time.Hour), 5)...)
	points = append(points, minutes(begin.Add(2*time.Hour), 0, 0)...)
	hours := worst(points, 10)
	if len(hours) != 2 || !hours[0].From.Equal(begin.Add(time.Hour)) || hours[0].Share != 0.5 || hours[1].Bad != 3 || hours[1].Total != 300 || !hours[1].To.Equal(begin.Add(time.Hour)) {
		t.Errorf("%+v", hours)
	}
	if hours := worst(points, 0); hours[0].Share != 0 {
		t.Errorf("a share of nothing: %+v", hours)
	}
}

func TestStates(t *testing.T) {
	for _, c := range []struct {
		left    *float64
		burning []string
		want    string
	}{
		{nil, nil, "no data"}, {page.Value(1), nil, "met"}, {page.Value(0.2), nil, "little left"}, {page.Value(0.9), []string{"fast"}, "burns too fast"},
		{page.Value(0), nil, "budget spent"}, {page.Value(-3), []string{"fast"}, "budget spent"},
	} {
		f := Figures{Figures: rollup.Figures{BudgetLeft: c.left, Burning: c.burning}}
		if got := f.State()["Word"]; got != c.want {
			t.Errorf("%v %v: %s, want %s", c.left, c.burning, got, c.want)
		}
	}
}
