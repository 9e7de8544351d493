package funcmetrics_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/funcmetrics"
)

func TestLnGamma(t *testing.T) {
	if want := math.Log((1 + funcmetrics.RelativeError) / (1 - funcmetrics.RelativeError)); math.Abs(want-funcmetrics.LnGamma) > 1e-15 {
		t.Errorf("LnGamma is %.18f, should be %.18f", funcmetrics.LnGamma, want)
	}
}

func TestQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, next := range map[string]func() float64{
		"same":       func() float64 { return 0.25 },
		"uniform":    rng.Float64,
		"long tail":  func() float64 { return 1e-6 * math.Exp(4*rng.NormFloat64()) },
		"two groups": func() float64 { return []float64{0.001, 7}[rng.IntN(2)] },
	} {
		var s funcmetrics.Summary
		times := make([]float64, 1001)
		for i := range times {
			times[i] = max(next(), funcmetrics.MinSeconds)
			s.Add(funcmetrics.Record{Seconds: times[i], Failed: i%10 == 0})
		}
		slices.Sort(times)
		for q, rank := range map[float64]int{0: 1, 0.5: 501, 0.95: 951, 0.99: 991, 1: 1001} {
			exact, got := times[rank-1], s.Quantile(q)
			if math.Abs(got-exact) > exact*funcmetrics.RelativeError*(1+1e-9) {
				t.Errorf("%s: p%g is %g, exactly %g: off by %.2f %%", name, q*100, got, exact, 100*math.Abs(got/exact-1))
			}
		}
		if s.Calls != 1001 || s.Errors != 101 {
			t.Errorf("%s: %d calls, %d errors", name, s.Calls, s.Errors)
		}
	}
	if got := (&funcmetrics.Summary{}).Quantile(0.5); got != 0 {
		t.Errorf("of no calls: %g", got)
	}
}

func TestHours(t *testing.T) {
	const h = 3600
	for name, tt := range map[string]struct {
		in          funcmetrics.Range
		first, last int64
		edges       []funcmetrics.Range
	}{
		"within an hour":           {funcmetrics.Range{From: 10, To: 20}, 0, 0, []funcmetrics.Range{{From: 10, To: 20}}},
		"across one full hour":     {funcmetrics.Range{From: h - 1, To: h + 1}, 0, 0, []funcmetrics.Range{{From: h - 1, To: h + 1}}},
		"exactly an hour":          {funcmetrics.Range{From: h, To: 2 * h}, 1, 2, nil},
		"an hour and its edges":    {funcmetrics.Range{From: h - 1, To: 2*h + 1}, 1, 2, []funcmetrics.Range{{From: h - 1, To: h}, {From: 2 * h, To: 2*h + 1}}},
		"since the full hour":      {funcmetrics.Range{From: 2 * h, To: 4*h + 9}, 2, 4, []funcmetrics.Range{{From: 4 * h, To: 4*h + 9}}},
		"always":                   {funcmetrics.Always(), 0, math.MaxInt64 / h, nil},
		"from a moment on, openly": {funcmetrics.Range{From: 5, To: math.MaxInt64}, 1, math.MaxInt64 / h, []funcmetrics.Range{{From: 5, To: h}}},
	} {
		first, last, edges := tt.in.Hours()
		if first != tt.first || last != tt.last || !cmp.Equal(edges, tt.edges) {
			t.Errorf("%s: hours %d to %d, edges %v", name, first, last, edges)
		}
	}
}

func TestRangeOf(t *testing.T) {
	at := time.Unix(100, 0)
	for want, moments := range map[funcmetrics.Range][2]time.Time{
		{From: 100, To: 101}: {at, at.Add(time.Second)},
		{From: 101, To: 102}: {at.Add(time.Nanosecond), at.Add(time.Second + time.Nanosecond)},
		{From: 0, To: 100}:   {time.Time{}, at},
	} {
		if got := funcmetrics.RangeOf(moments[0], moments[1]); got != want {
			t.Errorf("%v: got %v, want %v", moments, got, want)
		}
	}
}
