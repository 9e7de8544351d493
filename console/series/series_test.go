package series

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pharos/console/page"
)

func span(from, to int64) page.Span {
	return page.Span{From: time.Unix(from, 0), To: time.Unix(to, 0)}
}

// known writes a line of numbers; −1 is unknown.
func known(values ...float64) []*float64 {
	line := make([]*float64, len(values))
	for i, v := range values {
		if v != -1 {
			line[i] = page.Value(v)
		}
	}
	return line
}

func same(t *testing.T, got, want []*float64) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b *float64) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }) {
		text, _ := json.Marshal(got)
		other, _ := json.Marshal(want)
		t.Errorf("got %s, want %s", text, other)
	}
}

func TestGrid(t *testing.T) {
	t.Parallel()
	g := NewGrid(span(90, 270), 120, time.Minute)
	if g.Step != time.Minute || !slices.Equal(g.Times, []int64{60, 120, 180, 240}) || !g.Open() {
		t.Errorf("%v %v, open %t", g.Step, g.Times, g.Open())
	}
	if NewGrid(span(60, 300), 120, time.Minute).Open() {
		t.Error("the last step ends with the span")
	}
	for key, want := range map[float64]int{60_000: 0, 240_000: 3, 300_000: -1, 0: -1} {
		i, ok := g.Index(key)
		if want < 0 && ok || want >= 0 && i != want {
			t.Errorf("key %g is %d, %t", key, i, ok)
		}
	}
	if n := len(NewGrid(span(0, 30*86400), 120, time.Minute).Times); n != 120 {
		t.Errorf("30 days are %d steps", n)
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	closed := NewGrid(span(0, 300), 5, time.Minute)
	open := NewGrid(span(0, 290), 5, time.Minute)
	for name, tc := range map[string]struct {
		grid     Grid
		in, want []*float64
	}{
		"grows":         {closed, known(60, 120, 120, 240, 300), known(-1, 1, 0, 2, 1)},
		"starts again":  {closed, known(600, 660, 30, 90, 90), known(-1, 1, 0.5, 1, 0)},
		"over a gap":    {closed, known(0, -1, 240, -1, -1), known(-1, -1, 2, -1, -1)},
		"the last open": {open, known(0, 60, 120, 180, 190), known(-1, 1, 1, 1, -1)},
		"nothing":       {open, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, tc.grid.Rates(tc.in), tc.want)
		})
	}
}

func TestIncrements(t *testing.T) {
	t.Parallel()
	seen := known(1, 1, 1, 1)
	for name, tc := range map[string]struct{ counter, seen, want []*float64 }{
		"grows":             {known(5, 7, 7, 8), seen, known(0, 2, 0, 1)},
		"appears":           {known(-1, -1, 2, 3), seen, known(0, 0, 2, 1)},
		"starts again":      {known(5, 6, 2, 2), seen, known(0, 1, 2, 0)},
		"a gap":             {known(5, -1, 9, 9), known(1, -1, 1, 1), known(0, -1, 4, 0)},
		"never seen before": {known(-1, 5, 6, 6), known(-1, 1, 1, 1), known(-1, 0, 1, 0)},
		"not there at all":  {known(-1, -1, -1, -1), seen, known(0, 0, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, Increments(tc.counter, tc.seen), tc.want)
		})
	}
}

func TestSumLastPeak(t *testing.T) {
	t.Parallel()
	a, b := known(1, -1, -1), known(2, 3, -1)
	same(t, Sum(a, b), known(3, 3, -1))
	if *a[0] != 1 {
		t.Error("the sum changed what it was made of")
	}
	if v := Last(b); v == nil || *v != 3 {
		t.Error(v)
	}
	if v := Peak(known(-1, 4, 2)); v == nil || *v != 4 {
		t.Error(v)
	}
	if Last(known(-1)) != nil || Peak(nil) != nil {
		t.Error("known from nothing")
	}
}

// Answers of Elasticsearch 8.19.
func TestLines(t *testing.T) {
	t.Parallel()
	g := NewGrid(span(0, 120), 2, time.Minute)
	const over = `"over":{"buckets":[{"key_as_string":"x","key":60000,"doc_count":2,"v":{"value":7.5}}]}`
	one, err := g.lines(json.RawMessage(`{"doc_count":1,"lines":{"buckets":[{"key":"api-1","doc_count":2,`+over+`}]}}`), 1)
	if err != nil || len(one) != 1 || one[0].Name() != "api-1" {
		t.Fatalf("%+v, %v", one, err)
	}
	same(t, one[0].Values, known(-1, 7.5))
	two, err := g.lines(json.RawMessage(`{"doc_count":1,"lines":{"buckets":[{"key":"api-1","doc_count":2,"lines":{"buckets":[{"key":"bus","doc_count":2,`+over+`}]}}]}}`), 2)
	if err != nil || len(two) != 1 || two[0].Name() != "api-1 bus" {
		t.Fatalf("%+v, %v", two, err)
	}
	none, err := g.lines(json.RawMessage(`{"doc_count":1,`+over+`}`), 0)
	if err != nil || len(none) != 1 {
		t.Fatalf("%+v, %v", none, err)
	}
	if empty, err := g.lines(json.RawMessage(`{"doc_count":0,"over":{"buckets":[]}}`), 0); err != nil || empty != nil {
		t.Errorf("%+v, %v", empty, err)
	}
}
