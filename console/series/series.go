// Package series reads numbers over time from Elasticsearch, and makes charts of
// them.
package series

import (
	"encoding/json"
	"fmt"
	"time"

	"pharos/console/page"
	"pharos/elastic"
)

// Object is a part of Elasticsearch's query language.
type Object = map[string]any

// Grid cuts a page's span into steps of equal length, as a date histogram does:
// from midnight UTC of 1 January 1970 on, so that the first may begin before the
// span and the last end after it.
type Grid struct {
	Span  page.Span
	Step  time.Duration
	Times []int64 // the steps' beginnings, Unix time in seconds
}

// NewGrid returns a grid of at most about the given number of steps, none of them
// shorter than least.
func NewGrid(span page.Span, points int, least time.Duration) Grid {
	g := Grid{Span: span, Step: max(span.Bucket(points), least)}
	step := int64(g.Step.Seconds())
	for at := floor(span.From.Unix(), step); at < span.To.Unix(); at += step {
		g.Times = append(g.Times, at)
	}
	return g
}

func floor(at, step int64) int64 { return at - ((at%step)+step)%step }

// Histogram is the date histogram of the grid; steps without a document are not
// in its answer.
func (g Grid) Histogram() Object {
	return Object{"date_histogram": Object{
		"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", int(g.Step.Seconds())), "min_doc_count": 1,
	}}
}

// Index is the place of a histogram's key, which is in milliseconds, in the grid;
// false where it is outside.
func (g Grid) Index(key float64) (int, bool) {
	if len(g.Times) == 0 {
		return 0, false
	}
	i := int((int64(key)/1000 - g.Times[0]) / int64(g.Step.Seconds()))
	return i, i >= 0 && i < len(g.Times)
}

// Unknown is a line of the grid without a known value.
func (g Grid) Unknown() []*float64 { return make([]*float64, len(g.Times)) }

// Open reports whether the last step has not ended within the span, so that what
// was counted in it is less than it will be.
func (g Grid) Open() bool {
	n := len(g.Times)
	return n > 0 && g.Times[n-1]+int64(g.Step.Seconds()) > g.Span.To.Unix()
}

// Chart is an empty chart with the grid's times.
func (g Grid) Chart(id, title string, unit page.Unit) page.Chart {
	c := page.NewChart(id, title, unit, g.Span)
	c.Times = g.Times
	return c
}

// During filters for documents of a span.
func During(s page.Span) Object {
	const millis = "2006-01-02T15:04:05.000Z"
	return Object{"range": Object{"@timestamp": Object{"gte": s.From.UTC().Format(millis), "lt": s.To.UTC().Format(millis)}}}
}

// Decode reads aggregations by their names; those of a stream that does not
// exist yet are not there.
func Decode(res *elastic.SearchResult, into map[string]any) error {
	for name, v := range into {
		if raw, ok := res.Aggregations[name]; ok {
			if err := json.Unmarshal(raw, v); err != nil {
				return fmt.Errorf("decode aggregation %s: %w", name, err)
			}
		}
	}
	return nil
}

// Sum adds lines point by point. A point is unknown where it is in all of them.
func Sum(lines ...[]*float64) []*float64 {
	var sum []*float64
	for _, line := range lines {
		for len(sum) < len(line) {
			sum = append(sum, nil)
		}
		for i, v := range line {
			switch {
			case v == nil:
			case sum[i] == nil:
				sum[i] = page.Value(*v)
			default:
				*sum[i] += *v
			}
		}
	}
	return sum
}

// Last is the newest known value; nil: none is.
func Last(line []*float64) *float64 {
	for i := len(line) - 1; i >= 0; i-- {
		if line[i] != nil {
			return line[i]
		}
	}
	return nil
}

// Peak is the greatest known value; nil: none is.
func Peak(line []*float64) *float64 {
	var peak *float64
	for _, v := range line {
		if v != nil && (peak == nil || *v > *peak) {
			peak = v
		}
	}
	return peak
}

// Increments are by how much a counter grew in each step, of the greatest values
// that it had. A counter that fell began again at 0. seen is a line of the same
// process that is always measured: where that is known and the counter is not, the
// counter is not there yet, which is 0. What it had at its first sight counts only
// if the process was seen before.
func Increments(counter, seen []*float64) []*float64 {
	grown := make([]*float64, len(counter))
	var last *float64
	for i, v := range counter {
		switch {
		case v != nil && last != nil && *v >= *last:
			grown[i] = page.Value(*v - *last)
		case v != nil && last != nil:
			grown[i] = page.Value(*v)
		case seen[i] != nil:
			grown[i] = page.Value(0)
		}
		switch {
		case v != nil:
			last = v
		case last == nil && seen[i] != nil:
			last = page.Value(0)
		}
	}
	return grown
}

// Rates makes rates per second of the greatest values that a counter had in each
// step of the grid. A counter that fell began again at 0. The first known step
// has no rate, and the last one has none while it is open.
func (g Grid) Rates(counter []*float64) []*float64 {
	rates := make([]*float64, len(counter))
	last := -1
	for i, v := range counter {
		if v == nil {
			continue
		}
		if last >= 0 {
			grown := *v - *counter[last]
			if grown < 0 {
				grown = *v
			}
			rates[i] = page.Value(grown / (float64(i-last) * g.Step.Seconds()))
		}
		last = i
	}
	if g.Open() && len(rates) > 0 {
		rates[len(rates)-1] = nil
	}
	return rates
}
