package slo

import "time"

// Count is how many events (or minutes) there were, and how many were good.
type Count struct {
	Good  float64 `json:"good"`
	Total float64 `json:"total"`
}

// Add returns the sum.
func (c Count) Add(d Count) Count { return Count{c.Good + d.Good, c.Total + d.Total} }

// Bad is what was not good.
func (c Count) Bad() float64 { return c.Total - c.Good }

// NoData reports whether nothing was counted. That is neither met nor missed.
func (c Count) NoData() bool { return c.Total <= 0 }

// Attained is the share that was good; meaningless where NoData.
func (c Count) Attained() float64 {
	if c.NoData() {
		return 0
	}
	return c.Good / c.Total
}

// BurnRate is how fast the budget is spent: 1 spends exactly all of it over the
// objective's window. It is 0 where NoData.
// https://sre.google/workbook/alerting-on-slos/
func (c Count) BurnRate(o Objective) float64 {
	if c.NoData() {
		return 0
	}
	return c.Bad() / c.Total / o.Budget()
}

// BudgetLeft is the share of the window's budget that is left: 1 is all of it, 0
// none, below 0 it is overspent. 1 where NoData.
func (c Count) BudgetLeft(o Objective) float64 { return 1 - c.BurnRate(o) }

// Exhausted says when the budget is spent if it goes on being spent as in
// recent, a count over the given time before now; ok is false where it is not
// being spent, or spent already.
func (c Count) Exhausted(o Objective, recent Count, over time.Duration, now time.Time) (at time.Time, ok bool) {
	if c.NoData() || recent.NoData() || recent.Bad() <= 0 || c.BudgetLeft(o) <= 0 {
		return time.Time{}, false
	}
	// Events per second stay what they were; so does the window's total.
	left := c.Total*o.Budget() - c.Bad()
	perSecond := recent.Bad() / over.Seconds()
	seconds := left / perSecond
	if limit := o.Window.Seconds(); seconds > limit {
		return time.Time{}, false // by then today's events have left the window
	}
	return now.Add(time.Duration(seconds * float64(time.Second))), true
}

// Burn is one rule of the multiwindow, multi-burn-rate alert: it holds while the
// budget burns at Factor or faster over both windows. The short one lets the
// alert end soon after the burning does.
type Burn struct {
	Name        string // fast, medium or slow: the end of its watch's id
	Factor      float64
	Long, Short time.Duration
	Page        bool // someone is woken; else a ticket
	Every       time.Duration
}

// Burns returns the rules of Google's SRE workbook, table 5-8: 2 % of a 30-day
// budget in an hour, 5 % in six hours, 10 % in three days.
// https://sre.google/workbook/alerting-on-slos/#recommended_parameters_for_an_slo_based_alerting_configuration
func Burns() []Burn {
	return []Burn{
		{Name: "fast", Factor: 14.4, Long: time.Hour, Short: 5 * time.Minute, Page: true, Every: 10 * time.Second},
		{Name: "medium", Factor: 6, Long: 6 * time.Hour, Short: 30 * time.Minute, Page: true, Every: time.Minute},
		{Name: "slow", Factor: 1, Long: 72 * time.Hour, Short: 6 * time.Hour, Every: 5 * time.Minute},
	}
}

// Fires reports whether the rule holds for what was counted over its windows.
func (b Burn) Fires(o Objective, long, short Count) bool {
	return long.Total >= float64(max(o.MinimumEvents, 1)) && long.Bad() >= float64(b.minimumBad(o)) &&
		long.BurnRate(o) >= b.Factor && short.BurnRate(o) >= b.Factor
}

// minimumBad is how many bad events the rule needs over its long window.
func (b Burn) minimumBad(o Objective) int64 {
	if !b.Page {
		return 1
	}
	return max(o.MinimumBad, 1)
}

// Detects is how long an outage of everything lasts before the rule fires, if
// events come evenly and the hours before were without fault.
func (b Burn) Detects(o Objective) time.Duration {
	return time.Duration(b.Factor * o.Budget() * float64(b.Long))
}
