package slo_test

import (
	"math"
	"testing"
	"time"

	"pharos/slo"
)

func objective() slo.Objective {
	return slo.Objective{Name: "a", Target: 0.999, Window: 30 * 24 * time.Hour, MinimumEvents: 50, Indicator: slo.Indicator{Ratio: &slo.Ratio{}}}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestArithmetic(t *testing.T) {
	o := objective()
	// A million requests allow 1,000 bad ones; 250 are a quarter of that.
	c := slo.Count{Good: 999750, Total: 1000000}
	if !near(c.Bad(), 250) || !near(c.Attained(), 0.99975) || !near(c.BurnRate(o), 0.25) || !near(c.BudgetLeft(o), 0.75) {
		t.Errorf("bad %v, attained %v, burn %v, left %v", c.Bad(), c.Attained(), c.BurnRate(o), c.BudgetLeft(o))
	}
	if over := (slo.Count{Good: 998, Total: 1000}); !near(over.BudgetLeft(o), -1) {
		t.Errorf("twice the budget leaves %v", over.BudgetLeft(o))
	}
	none := slo.Count{}
	if !none.NoData() || none.BurnRate(o) != 0 || none.BudgetLeft(o) != 1 {
		t.Error("no data is neither met nor missed")
	}
	// 750 bad ones are left; 75 an hour spend them in ten hours.
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	at, ok := c.Exhausted(o, slo.Count{Good: 925, Total: 1000}, time.Hour, now)
	if !ok || at.Sub(now).Round(time.Second) != 10*time.Hour {
		t.Errorf("spent %v after now, %t", at.Sub(now), ok)
	}
	if _, ok := c.Exhausted(o, slo.Count{Good: 1000, Total: 1000}, time.Hour, now); ok {
		t.Error("nothing is being spent")
	}
}

// replay feeds one request a second to the rules, evaluated every step, and
// returns when each first fires.
func replay(o slo.Objective, hours int, bad func(second int) bool, step int) map[string]time.Duration {
	fired := map[string]time.Duration{}
	n := hours * 3600
	badUntil := make([]float64, n+1)
	for s := range n {
		badUntil[s+1] = badUntil[s]
		if bad(s) {
			badUntil[s+1]++
		}
	}
	count := func(end int, d time.Duration) slo.Count {
		begin := max(0, end-int(d.Seconds()))
		total := float64(end - begin)
		return slo.Count{Total: total, Good: total - (badUntil[end] - badUntil[begin])}
	}
	for end := step; end <= n; end += step {
		for _, b := range slo.Burns() {
			if _, ok := fired[b.Name]; !ok && b.Fires(o, count(end, b.Long), count(end, b.Short)) {
				fired[b.Name] = time.Duration(end) * time.Second
			}
		}
	}
	return fired
}

func TestOutagePagesByTheArithmetic(t *testing.T) {
	o := objective()
	if got := slo.Burns()[0].Detects(o).Round(time.Millisecond); got != 51840*time.Millisecond {
		t.Errorf("14.4 × 0.1 %% of an hour is 51.84 s, got %v", got)
	}
	const before = 6 * 3600
	fired := replay(o, 7, func(s int) bool { return s >= before }, 1)
	if got := fired["fast"] - before*time.Second; got != 52*time.Second { // the first whole second after 51.84 s
		t.Errorf("a total outage pages after %v", got)
	}
	fired = replay(o, 7, func(s int) bool { return s >= before }, 10)
	if got := fired["fast"] - before*time.Second; got != time.Minute { // the first evaluation after it
		t.Errorf("evaluated every 10 s, it pages after %v", got)
	}
}

func TestHealthPagesNobody(t *testing.T) {
	o := objective()
	if fired := replay(o, 6, func(int) bool { return false }, 10); len(fired) > 0 {
		t.Errorf("without a fault: %v", fired)
	}
	// A fault each 2,000 requests is half of what the objective allows.
	if fired := replay(o, 80, func(s int) bool { return s%2000 == 1999 }, 60); len(fired) > 0 {
		t.Errorf("within the budget: %v", fired)
	}
	// One failed request of a night of few.
	few := slo.Count{Good: 9, Total: 10}
	for _, b := range slo.Burns() {
		if b.Fires(o, few, few) {
			t.Errorf("%s: ten requests are too few to page", b.Name)
		}
	}
	// Four times the budget is a ticket and no page.
	fired := replay(o, 80, func(s int) bool { return s%250 == 249 }, 60)
	if _, ok := fired["slow"]; !ok || len(fired) != 1 {
		t.Errorf("a slow burn: %v", fired)
	}
}

// One bad minute of 99.99 % is a quarter of the month's budget: a ticket, and no
// page before the second one, however young the system is.
func TestFewBadEventsPageNobody(t *testing.T) {
	o := slo.Objective{Name: "up", Target: 0.9999, Window: 30 * 24 * time.Hour, MinimumBad: 2}
	for _, b := range slo.Burns() {
		for _, minutes := range []float64{3, 60, 4320} {
			if minutes > b.Long.Minutes() {
				continue
			}
			one, two := slo.Count{Good: minutes - 1, Total: minutes}, slo.Count{Good: minutes - 2, Total: minutes}
			if got := b.Fires(o, one, one); got == b.Page {
				t.Errorf("%s: one bad minute of %v fires: %t", b.Name, minutes, got)
			}
			if !b.Fires(o, two, two) {
				t.Errorf("%s: two bad minutes of %v do not fire", b.Name, minutes)
			}
		}
	}
	if o.MinimumBad = 0; !slo.Burns()[0].Fires(o, slo.Count{Good: 59, Total: 60}, slo.Count{Good: 4, Total: 5}) {
		t.Error("where nothing else is said one bad event is enough")
	}
}

func TestMonitorsAreDownByTwoProbes(t *testing.T) {
	for _, tt := range []struct {
		down, checks int64
		want         bool
	}{{0, 12, false}, {1, 12, false}, {2, 12, true}, {1, 1, true}, {0, 0, false}} {
		if got := slo.Down(tt.down, tt.checks); got != tt.want {
			t.Errorf("%d of %d: %t", tt.down, tt.checks, got)
		}
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{0.999: "99.9 %", 0.9999: "99.99 %", 0.95: "95 %", 0.99997: "99.997 %", 1: "100 %"} {
		if got := slo.Percent(share); got != want {
			t.Errorf("%v: %s", share, got)
		}
	}
}
