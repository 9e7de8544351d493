// Package kibana says, once and readably, what Kibana shows of Pharos: data
// views, dashboards, saved searches and alerting rules. Of each panel it makes
// both what Kibana imports (Objects) and an Elasticsearch request for the same
// question (Panel.Request), so that every question is asked of the running
// system by a test, although no Kibana can be had there.
//
// To change a panel, change it here and run `make kibana`.
package kibana

import "slices"

// Dashboard is a page of panels.
type Dashboard struct {
	ID    string // of the saved object, without "pharos-"
	Title string
	About string // what it is for, and for whom
	Since string // the span that it opens with, as in "now-1h"
	// Controls narrow all panels down; their field is in each panel's data view.
	Controls []Control
	Panels   []Panel
}

// Control is a list of a field's values to choose from.
type Control struct{ Title, Field, View string }

// Kind is how a panel shows its numbers.
type Kind string

// The kinds of panels.
const (
	Number Kind = "number" // one number
	Line   Kind = "line"   // over time
	Area   Kind = "area"   // over time, stacked
	Bar    Kind = "bar"    // over time, stacked
	Table  Kind = "table"  // a row for each value of what it is broken down by
	Text   Kind = "text"   // Markdown
	Lines  Kind = "lines"  // the documents that a saved search finds
)

// Panel is one question and how its answer is drawn.
type Panel struct {
	Title string
	About string
	Kind  Kind
	View  string // the data view's id
	KQL   string // only documents that match; all if empty
	// Metrics are the numbers; those of a chart share an axis.
	Metrics []Metric
	// By breaks the numbers down; a chart by one field, a table by several.
	By []Terms
	// Goals are horizontal lines of a chart.
	Goals []Goal
	// Zoomed lets a chart's axis begin where the values do, not at 0.
	Zoomed bool
	// Wide is how many of the dashboard's 48 columns it takes, Tall how many rows.
	Wide, Tall int
	// To are dashboards that a click on a value opens with that value as a filter.
	To     []string
	Text   string // of Text
	Search string // the saved search's id, of Lines
}

// Goal is a value that should be kept.
type Goal struct {
	Label string
	Value float64
}

// Op is a calculation, by Lens' name of it.
type Op string

// The calculations.
const (
	Count       Op = "count" // of documents
	Sum         Op = "sum"
	Average     Op = "average"
	Max         Op = "max"
	Min         Op = "min"
	Percentile  Op = "percentile"
	UniqueCount Op = "unique_count" // approximately, as Elasticsearch's cardinality
	LastValue   Op = "last_value"
	// CounterRate is how much a counter grows in a second. It is only good over
	// time and where each counter has a line of its own.
	CounterRate Op = "counter_rate"
	Formula     Op = "formula"
)

// Metric is a number.
type Metric struct {
	Label   string
	Op      Op
	Field   string
	Type    string // "date" for the earliest or latest of dates; empty for a number
	Percent int    // of Percentile
	KQL     string // only documents that match, beside the panel's
	// EachSecond divides by the seconds of a chart's step.
	EachSecond bool
	Format     Format // empty: the data view's for the field
	Colour     string // empty: Kibana's choice
	Expr       Expr   // of Formula
}

// Format is how a number is written.
type Format string

// The formats; durations come from the fields' own formats in the data views.
const (
	Plain   Format = "number"
	Percent Format = "percent" // of a share: 1 is 100 %
	Bytes   Format = "bytes"
	Small   Format = "small" // a number with six decimals
)

// Terms breaks down by the values of a field.
type Terms struct {
	Field string
	Label string
	Type  string // "number" or "ip"; empty for a string
	Size  int    // how many values
	// OrderBy is the metric that ranks them, the highest first; -1 is by the
	// alphabet, which is all that Lens offers for a formula or a rate.
	OrderBy int
}

// Expr is a formula: a number, a metric, or a call of them.
type Expr struct {
	call   string
	args   []Expr
	metric *Metric
	number float64
}

// Of is a metric in a formula.
func Of(m Metric) Expr { return Expr{metric: &m} }

// Num is a number in a formula.
func Num(n float64) Expr { return Expr{number: n} }

// Plus is a + b.
func Plus(a, b Expr) Expr { return Expr{call: "add", args: []Expr{a, b}} }

// Minus is a − b.
func Minus(a, b Expr) Expr { return Expr{call: "subtract", args: []Expr{a, b}} }

// Times is a × b.
func Times(a, b Expr) Expr { return Expr{call: "multiply", args: []Expr{a, b}} }

// Over is a ÷ b.
func Over(a, b Expr) Expr { return Expr{call: "divide", args: []Expr{a, b}} }

// metrics are those of the formula, from left to right.
func (e Expr) metrics() []Metric {
	if e.metric != nil {
		return []Metric{*e.metric}
	}
	var all []Metric
	for _, a := range e.args {
		all = append(all, a.metrics()...)
	}
	return all
}

// chart says whether the panel is drawn over time.
func (p Panel) chart() bool { return p.Kind == Line || p.Kind == Area || p.Kind == Bar }

// asks says whether the panel asks for numbers.
func (p Panel) asks() bool { return p.chart() || p.Kind == Number || p.Kind == Table }

// Fields are the fields that the panel needs, each with the calculations that are
// made of it ("terms" and "date_histogram" among them).
func (p Panel) Fields() map[string][]string {
	all := map[string][]string{}
	add := func(field, op string) {
		if field != "" && !slices.Contains(all[field], op) {
			all[field] = append(all[field], op)
		}
	}
	if p.chart() {
		add("@timestamp", "date_histogram")
	}
	for _, b := range p.By {
		add(b.Field, "terms")
	}
	for _, m := range p.Metrics {
		for _, part := range append(m.Expr.metrics(), m) {
			add(part.Field, string(part.Op))
		}
	}
	return all
}

// Price is what the system costs in an hour; without one, no panel shows costs.
type Price struct {
	PerHour  float64
	Currency string // as people write it: EUR
}

// Dashboards are all of them.
func Dashboards(price Price) []Dashboard {
	return []Dashboard{operations(), service("api"), service("feed"), uptime(), business(price), capacity(), security(), slos(), functions(), support()}
}
