package rollup_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pharos/slo"
	"pharos/slo/rollup"
)

func TestFigures(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	o := slo.Objective{Name: "o", Target: 0.99, Window: 30 * 24 * time.Hour, Indicator: slo.Indicator{Ratio: &slo.Ratio{}}}
	count := func(bad, total float64) slo.Count { return slo.Count{Good: total - bad, Total: total} }
	s := rollup.Standing{
		Objective: o, Group: "/v1/feed", Window: count(50, 10000), Since: now.Add(-36 * time.Hour),
		Last:  []slo.Count{count(20, 100), count(20, 1000), {}},
		Short: []slo.Count{count(10, 50), count(0, 100), {}},
	}
	f := s.Figures(now)
	near := func(name string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-9 {
			t.Errorf("%s %v, want %g", name, got, want)
		}
	}
	near("attained", f.Attained, 0.995)
	near("left", f.BudgetLeft, 0.5)
	near("1 h", f.Burn1h, 20)
	near("6 h", f.Burn6h, 2)
	near("window", f.BurnWindow, 0.5)
	if f.Burn3d != nil {
		t.Errorf("a burn rate of no data: %g", *f.Burn3d)
	}
	if !slices.Equal(f.Burning, []string{"fast"}) || f.Part != "/v1/feed" || f.DaysObserved != 1.5 || f.Bad != 50 || f.Unit != "events" {
		t.Errorf("%+v", f)
	}
	// 50 of the budget's 100 are left, and 20 in six hours are spent.
	if want := now.Add(15 * time.Hour); f.ExhaustedAt == nil || f.ExhaustedAt.Sub(want).Abs() > time.Second {
		t.Errorf("exhausted at %v, want %s", f.ExhaustedAt, want)
	}
	s.Short[0] = count(0, 50)
	if f := s.Figures(now); len(f.Burning) > 0 {
		t.Errorf("burns though the short window is well: %v", f.Burning)
	}
	if f := (rollup.Standing{Objective: o, Last: make([]slo.Count, 3)}).Figures(now); f.Attained != nil || f.BudgetLeft != nil || f.BurnWindow != nil || f.ExhaustedAt != nil || f.DaysObserved != 0 {
		t.Errorf("no data: %+v", f)
	}
}
