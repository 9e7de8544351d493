package series

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pharos/elastic"
)

// Measured is the shortest step in which Metricbeat's numbers have no gaps, with
// its usual intervals of 15 and 30 s.
const Measured = time.Minute

// Metric is one number of a stream, over time.
type Metric struct {
	// Name is what the answer is found by.
	Name string
	// Field holds the number. How is avg, max, min or sum of each step.
	Field, How string
	// By are the fields that tell one line from another, as service.node.name; none:
	// there is one line. A document without one of them counts under "".
	By []string
	// Where narrows the documents down; nil: all that have the field.
	Where []Object
}

// Line is one line of a metric.
type Line struct {
	Keys   []string // the values of By
	Values []*float64
}

// Name is the line's keys in one word.
func (l Line) Name() string { return strings.Join(l.Keys, " ") }

// maxLines bounds the values of one key.
const maxLines = 50

// Read reads metrics of a stream in the steps of the grid: lines by the metric's
// name, sorted by their keys. A metric that nothing was measured of has none.
func (g Grid) Read(ctx context.Context, es *elastic.Client, stream string, metrics ...Metric) (map[string][]Line, error) {
	aggs := Object{}
	for _, m := range metrics {
		where := append([]Object{{"exists": Object{"field": m.Field}}}, m.Where...)
		over := g.Histogram()
		over["aggs"] = Object{"v": Object{m.How: Object{"field": m.Field}}}
		inner := Object{"over": over}
		// One within the other: multi_terms is not in every Elasticsearch.
		for _, field := range slices.Backward(m.By) {
			inner = Object{"lines": Object{
				"terms": Object{"field": field, "missing": "", "size": maxLines, "order": Object{"_key": "asc"}},
				"aggs":  inner,
			}}
		}
		aggs[m.Name] = Object{"filter": Object{"bool": Object{"filter": where}}, "aggs": inner}
	}
	res, err := es.Search(ctx, stream, Object{"size": 0, "query": Object{"bool": Object{"filter": []Object{During(g.Span)}}}, "aggs": aggs})
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	all := map[string][]Line{}
	for _, m := range metrics {
		raw, ok := res.Aggregations[m.Name]
		if !ok {
			continue
		}
		lines, err := g.lines(raw, len(m.By))
		if err != nil {
			return nil, fmt.Errorf("read metric %s: %w", m.Name, err)
		}
		all[m.Name] = lines
	}
	return all, nil
}

type histogram struct {
	Buckets []struct {
		Key float64
		V   struct{ Value *float64 }
	}
}

// lines reads lines of so many keys.
func (g Grid) lines(raw json.RawMessage, keys int) ([]Line, error) {
	var answer struct {
		Over  histogram
		Lines struct{ Buckets []json.RawMessage }
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("decode lines: %w", err)
	}
	if keys == 0 {
		if len(answer.Over.Buckets) == 0 {
			return nil, nil
		}
		return []Line{{Values: g.values(answer.Over)}}, nil
	}
	var all []Line
	for _, b := range answer.Lines.Buckets {
		var named struct{ Key string }
		if err := json.Unmarshal(b, &named); err != nil {
			return nil, fmt.Errorf("decode the name of a line: %w", err)
		}
		inner, err := g.lines(b, keys-1)
		if err != nil {
			return nil, err
		}
		for _, line := range inner {
			line.Keys = append([]string{named.Key}, line.Keys...)
			all = append(all, line)
		}
	}
	return all, nil
}

func (g Grid) values(h histogram) []*float64 {
	values := g.Unknown()
	for _, b := range h.Buckets {
		if i, ok := g.Index(b.Key); ok {
			values[i] = b.V.Value
		}
	}
	return values
}
