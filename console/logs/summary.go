package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pharos/console/kql"
	"pharos/elastic"
)

// Above sampleAbove lines facets and histogram are counted from about that many,
// taken at random, and scaled up.
const sampleAbove = 200_000

// facetValues is how many values a facet shows at most.
const facetValues = 10

// summary is what a scope's lines are made of.
type summary struct {
	Total int64 `json:"total"` // exact
	// Sampled is the share of the lines that histogram and facets were counted
	// from; 1: all of them, and the numbers are exact.
	Sampled   float64   `json:"sampled"`
	Histogram histogram `json:"histogram"`
	Facets    []facet   `json:"facets"`
}

// histogram counts lines over time.
type histogram struct {
	By       string        `json:"by"` // the field of the parts
	Interval time.Duration `json:"interval_ns"`
	Times    []int64       `json:"times"` // the buckets' beginnings, Unix time in seconds
	Parts    []part        `json:"parts"`
}

// part is one value's lines in each bucket of a histogram.
type part struct {
	Value  string  `json:"value"`
	Counts []int64 `json:"counts"`
}

// facet is how often the values of one field occur.
type facet struct {
	Title  string       `json:"title"`
	Field  string       `json:"field"`
	Values []facetValue `json:"values"`
	Others int64        `json:"others"` // lines with values that are not listed
}

type facetValue struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
	// Clause is the condition, in the search language, that has just these lines.
	Clause string `json:"clause"`
}

// facetFields are the fields of the facets by their titles, in their order.
func facetFields() [][2]string {
	return [][2]string{
		{"Level", "log.level"}, {"Service", "service.name"}, {"Stream", "data_stream.dataset"}, {"Status", "http.response.status_code"},
		{"Route", "http.route"}, {"Error", "error.type"}, {"Instance", "service.node.name"}, {"Region", "cloud.region"},
	}
}

const statusField = "http.response.status_code"

// histogramBy are the fields that a histogram can be cut by.
func histogramBy() []string { return []string{"log.level", "data_stream.dataset", "service.name"} }

// summarize counts a scope's lines, all of them, and says what they are made of.
func (s store) summarize(ctx context.Context, sc scope, by string, interval time.Duration) (summary, error) {
	q, err := s.ask(ctx, sc)
	if err != nil {
		return summary{}, err
	}
	counted, err := s.es.Page(ctx, elastic.PageRequest{Target: s.target, Body: elastic.Query{
		"size": 0, "track_total_hits": true, "timeout": timeout(searchTimeout), "query": all(q.filters...),
	}})
	if err != nil {
		return summary{}, refusedQuery(fmt.Errorf("count lines: %w", err))
	}
	sum := summary{Total: counted.Total, Sampled: 1, Facets: []facet{}}
	// Elasticsearch takes a share of at most one half, or all.
	if share := float64(s.sampleAbove) / float64(max(1, sum.Total)); share <= 0.5 {
		sum.Sampled = share
	}
	aggs := elastic.Query{"sample": elastic.Query{
		// The same lines each time, so that numbers don't jump by themselves.
		"random_sampler": elastic.Query{"probability": sum.Sampled, "seed": 1},
		"aggs":           aggregations(by, interval),
	}}
	page, err := s.es.Page(ctx, elastic.PageRequest{Target: s.target, Body: elastic.Query{
		"size": 0, "track_total_hits": false, "timeout": timeout(searchTimeout), "query": all(q.filters...), "aggs": aggs,
	}})
	if err != nil {
		return summary{}, refusedQuery(fmt.Errorf("summarize lines: %w", err))
	}
	var sample map[string]json.RawMessage
	if raw, ok := page.Aggregations["sample"]; ok {
		if err := json.Unmarshal(raw, &sample); err != nil {
			return summary{}, fmt.Errorf("summarize lines: %w", err)
		}
	}
	if sum.Histogram, err = readHistogram(sample["time"], by, interval, sc); err != nil {
		return summary{}, fmt.Errorf("read histogram: %w", err)
	}
	for _, f := range facetFields() {
		facet, err := readFacet(sample[f[1]], f[0], f[1])
		if err != nil {
			return summary{}, fmt.Errorf("read facet %s: %w", f[1], err)
		}
		if len(facet.Values) > 0 {
			sum.Facets = append(sum.Facets, facet)
		}
	}
	return sum, nil
}

func aggregations(by string, interval time.Duration) elastic.Query {
	terms := func(field string, size int) elastic.Query {
		return elastic.Query{"terms": elastic.Query{"field": field, "size": size}}
	}
	aggs := elastic.Query{"time": elastic.Query{
		"date_histogram": elastic.Query{"field": "@timestamp", "fixed_interval": timeout(interval), "min_doc_count": 1},
		"aggs":           elastic.Query{"by": terms(by, facetValues)},
	}}
	for _, f := range facetFields() {
		aggs[f[1]] = terms(f[1], facetValues)
	}
	classes := []elastic.Query{}
	for class := 1; class <= 5; class++ {
		classes = append(classes, elastic.Query{"key": statusClass(class), "from": class * 100, "to": (class + 1) * 100})
	}
	aggs[statusField] = elastic.Query{"range": elastic.Query{"field": statusField, "ranges": classes}}
	return aggs
}

func statusClass(class int) string { return string(rune('0'+class)) + "xx" }

func readFacet(raw json.RawMessage, title, field string) (facet, error) {
	f := facet{Title: title, Field: field, Values: []facetValue{}}
	if raw == nil {
		return f, nil
	}
	var answer struct {
		Others  int64 `json:"sum_other_doc_count"`
		Buckets []struct {
			Key   any     `json:"key"`
			From  float64 `json:"from"`
			To    float64 `json:"to"`
			Count int64   `json:"doc_count"`
		} `json:"buckets"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return f, err
	}
	f.Others = answer.Others
	for _, b := range answer.Buckets {
		v := facetValue{Value: fmt.Sprint(b.Key), Count: b.Count}
		if v.Clause = kql.Is(field, v.Value); field == statusField {
			v.Clause = kql.Between(field, int64(b.From), int64(b.To))
		}
		if b.Count > 0 {
			f.Values = append(f.Values, v)
		}
	}
	return f, nil
}

// rest is the part of a histogram that has none of the values told apart.
const rest = "other"

func readHistogram(raw json.RawMessage, by string, interval time.Duration, sc scope) (histogram, error) {
	h := histogram{By: by, Interval: interval, Times: []int64{}, Parts: []part{}}
	var answer struct {
		Buckets []struct {
			Key   int64 `json:"key"`
			Count int64 `json:"doc_count"`
			By    struct {
				Buckets []struct {
					Key   string `json:"key"`
					Count int64  `json:"doc_count"`
				} `json:"buckets"`
			} `json:"by"`
		} `json:"buckets"`
	}
	if raw == nil || sc.from.IsZero() || sc.to.IsZero() || interval <= 0 {
		return h, nil
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return h, err
	}
	// Elasticsearch's buckets begin at multiples of the interval since 1970.
	step := interval.Milliseconds()
	first := sc.from.UnixMilli() / step * step
	buckets := int((sc.to.UnixMilli()-1-first)/step) + 1
	for i := range buckets {
		h.Times = append(h.Times, (first+int64(i)*step)/1000)
	}
	counts := map[string][]int64{}
	add := func(value string, at int, n int64) {
		if counts[value] == nil {
			counts[value] = make([]int64, buckets)
		}
		counts[value][at] += n
	}
	for _, b := range answer.Buckets {
		at := int((b.Key - first) / step)
		if at < 0 || at >= buckets {
			continue
		}
		left := b.Count
		for _, v := range b.By.Buckets {
			add(v.Key, at, v.Count)
			left -= v.Count
		}
		if left > 0 {
			add(rest, at, left)
		}
	}
	for value, n := range counts {
		h.Parts = append(h.Parts, part{value, n})
	}
	slices.SortFunc(h.Parts, func(a, b part) int {
		if d := rank(a.Value) - rank(b.Value); d != 0 {
			return d
		}
		if d := total(b) - total(a); d != 0 {
			return int(d)
		}
		if a.Value < b.Value {
			return -1
		}
		return 1
	})
	return fewer(h), nil
}

// rank puts what is worst at the foot of the bars, where its height can be read.
func rank(value string) int {
	switch value {
	case "emerg", "alert", "crit", "critical", "fatal", "panic", "dpanic":
		return 0
	case "error", "err":
		return 1
	case "warn", "warning":
		return 2
	case rest:
		return 4
	}
	return 3
}

func total(p part) int64 {
	var n int64
	for _, c := range p.Counts {
		n += c
	}
	return n
}

// maxParts is how many colours can be told apart.
const maxParts = 7

// fewer puts the smallest of too many parts together with the rest.
func fewer(h histogram) histogram {
	if len(h.Parts) <= maxParts {
		return h
	}
	other := part{rest, make([]int64, len(h.Times))}
	for _, p := range h.Parts[maxParts-1:] {
		for i, n := range p.Counts {
			other.Counts[i] += n
		}
	}
	h.Parts = append(h.Parts[:maxParts-1:maxParts-1], other)
	return h
}
