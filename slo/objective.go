// Package slo holds service level objectives: it reads their files, counts
// budgets, and makes the watches that page when a budget burns too fast. It is
// pure; package slo/rollup counts the signals.
package slo

import (
	"math"
	"time"

	"pharos/watcher/document"
)

// Objective is a service level objective.
type Objective struct {
	Name        string // lower case, as in api-availability; names its watches and rollups
	Title       string
	Description string
	Service     string // who answers for it; chooses the routing key of its pages
	// Target is the share of events (or minutes) that must be good, between 0
	// and 1, both left out.
	Target float64
	// Window is the time over which the target holds, usually 30 days, rolling.
	Window    time.Duration
	Indicator Indicator
	// MinimumEvents is how many events a window needs before anybody is paged.
	MinimumEvents int64
	// MinimumBad is how many of them must be bad before anybody is paged, for a
	// budget so small that a single one burns it too fast; fewer are a ticket.
	// https://sre.google/workbook/alerting-on-slos/#low-traffic-services-and-error-budget-alerting
	MinimumBad int64
	// Runbook is the page that says what to do, below docs/runbooks.
	Runbook string
	// Silent keeps the objective from making watches: it is only counted.
	Silent bool
}

// Budget is the share of events that may be bad: 1 − Target, without the noise
// of subtracting floats.
func (o Objective) Budget() float64 { return math.Round((1-o.Target)*1e12) / 1e12 }

// Unit names what the objective counts.
func (o Objective) Unit() string {
	if o.Indicator.Ratio != nil {
		return "events"
	}
	return "minutes"
}

// Indicator is what an objective counts: exactly one of its parts is set.
type Indicator struct {
	Ratio     *Ratio
	Threshold *Threshold
	Uptime    *Uptime
}

// Ratio counts events: those that are good or those that are bad, and all.
type Ratio struct {
	Good, Bad *Source // exactly one
	Total     Source
	// GroupBy is the field whose values have budgets of their own (http.route);
	// empty: none.
	GroupBy string
}

// Part returns the source that is counted beside the total, and whether it
// counts good events.
func (r Ratio) Part() (s Source, good bool) {
	if r.Good != nil {
		return *r.Good, true
	}
	return *r.Bad, false
}

// Source is how many events there were: documents of an index that match a
// query, the sum of one of their fields, or the growth of a counter.
type Source struct {
	Index string
	Query *document.Object // a bool query
	Sum   string           // the field to add up; empty: documents are counted
	// Counters are fields that only grow and begin anew with their process; the
	// growth of all is added up. By are the fields that tell their series apart.
	Counters []string
	By       []string
}

// Threshold makes a minute good if the average of a field over it compares.
type Threshold struct {
	Index string
	Query *document.Object
	Field string
	Op    Op
	Value float64
}

// Op compares an average with a threshold, as OpenSLO names it.
type Op string

// Holds reports whether v op limit.
func (op Op) Holds(v, limit float64) bool {
	switch op {
	case "lt":
		return v < limit
	case "lte":
		return v <= limit
	case "gt":
		return v > limit
	default:
		return v >= limit
	}
}

// Uptime makes a minute good if every component was up in it.
type Uptime struct {
	Index      string // Heartbeat's
	Components []Component
}

// Component is a part of the system that several monitors may watch. It is up
// while one of them (need: any) or each of them (need: all) is.
type Component struct {
	Name     string
	Title    string
	Monitors []string // monitor.id
	NeedAll  bool
}

// badProbes is how many of a monitor's probes in one minute must be bad for the
// minute to be down: one lost packet pages nobody.
const badProbes = 2

// Down reports whether a monitor was down in a minute in which down of its
// checks were bad. Fewer checks than badProbes are down if all are.
func Down(down, checks int64) bool { return down > 0 && down >= min(badProbes, checks) }
