// Package days says how well something was day by day, and draws it: the cells of
// the status page and of the console's uptime page. It is pure.
package days

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/slo"
	"pharos/slo/rollup"
)

// State is how well something is.
type State string

// The states, the worst last but for Unknown, of which nothing is known.
const (
	Operational State = "operational"
	Maintenance State = "maintenance"
	Degraded    State = "degraded"
	Outage      State = "outage"
	Unknown     State = "unknown"
)

// Word is the state as a page says it.
func (s State) Word() string {
	switch s {
	case Operational:
		return "Operational"
	case Maintenance:
		return "Maintenance"
	case Degraded:
		return "Problems"
	case Outage:
		return "Down"
	}
	return "No data"
}

func (s State) rank() int {
	return slices.Index([]State{Unknown, Operational, Maintenance, Degraded, Outage}, s)
}

// Or is the worse of two states; one that is unknown gives way.
func (s State) Or(other State) State {
	if other.rank() > s.rank() {
		return other
	}
	return s
}

// felt is the share of a day, or of recent events, that is an outage if more was
// bad: 72 minutes of a day.
const felt = 0.05

// Of says how well a day was, or recent events were: operational within the
// objective's budget (a share), an outage where more was bad than felt and than
// ten times the budget (at most half); degraded in between.
func Of(c slo.Count, budget float64) State {
	if c.NoData() {
		return Unknown
	}
	switch bad := c.Bad() / c.Total; {
	case bad <= budget+1e-9:
		return Operational
	case bad <= max(felt, min(10*budget, 0.5)):
		return Degraded
	}
	return Outage
}

// Day is one day, in UTC.
type Day struct {
	Day   string   `json:"day"` // 2006-01-02
	State State    `json:"state"`
	Share *float64 `json:"share,omitempty"` // that was good; nil: nothing is known
}

// Row is a run of days to today.
type Row struct {
	Days []Day `json:"days"` // the oldest first
	// Share of all days that was good; nil: nothing is known. Since is the first
	// day that it is counted from.
	Share *float64 `json:"share,omitempty"`
	Since string   `json:"since,omitempty"`
}

// Last lays the n days to now's out, of what was counted of some.
func Last(n int, counted []rollup.Day, budget float64, now time.Time) Row {
	known := map[string]slo.Count{}
	for _, d := range counted {
		day := d.Day.UTC().Format(time.DateOnly)
		known[day] = known[day].Add(d.Count)
	}
	var r Row
	var all slo.Count
	for back := n - 1; back >= 0; back-- {
		day := now.UTC().AddDate(0, 0, -back).Format(time.DateOnly)
		count := known[day]
		cell := Day{Day: day, State: Of(count, budget)}
		if !count.NoData() {
			cell.Share = page.Value(count.Attained())
			all = all.Add(count)
			if r.Since == "" {
				r.Since = day
			}
		}
		r.Days = append(r.Days, cell)
	}
	if !all.NoData() {
		r.Share = page.Value(all.Attained())
	}
	return r
}

// Words are the day in words: "21 Nov 2026: problems, 99.93 %".
func (d Day) Words() string {
	at, err := time.Parse(time.DateOnly, d.Day)
	if err != nil {
		return d.Day
	}
	text := at.Format("2 Jan 2006") + ": "
	if d.Share == nil {
		return text + page.NoData
	}
	return text + strings.ToLower(d.State.Word()) + ", " + page.Availability(*d.Share)
}

// Bad are the days on which something was wrong, the latest first.
func (r Row) Bad() []Day {
	var all []Day
	for _, d := range slices.Backward(r.Days) {
		if d.State == Degraded || d.State == Outage {
			all = append(all, d)
		}
	}
	return all
}

// SVG draws the days as bars, whose height says the state as their colour does
// (classes day-ok, day-warn, day-bad, day-none); name says whose they are.
func (r Row) SVG(name string) template.HTML {
	bad := r.Bad()
	summary := "none with problems"
	switch {
	case r.Share == nil:
		summary = page.NoData
	case len(bad) > 0:
		summary = fmt.Sprintf("%d with problems, the latest %s", len(bad), bad[0].Words())
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="days" viewBox="0 0 %d 32" preserveAspectRatio="none" role="img" aria-label="%s, %d days to today: %s">`,
		8*len(r.Days)-2, template.HTMLEscapeString(name), len(r.Days), template.HTMLEscapeString(summary))
	for n, d := range r.Days {
		class, height := "day-none", 4
		switch d.State {
		case Operational:
			class, height = "day-ok", 32
		case Degraded:
			class, height = "day-warn", 22
		case Outage:
			class, height = "day-bad", 12
		}
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="6" height="%d"><title>%s</title></rect>`, class, n*8, 32-height, height, template.HTMLEscapeString(d.Words()))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // numbers, and text that is escaped
}
