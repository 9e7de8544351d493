// Package rollup counts objectives into minutes, in Elasticsearch, and adds the
// minutes up.
package rollup

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pharos/elastic"
	"pharos/slo"
	"pharos/watcher/document"
)

// Searcher is what is read from; elastic.Client is one.
type Searcher interface {
	Search(ctx context.Context, target string, body any) (*elastic.SearchResult, error)
}

// minute is what one document of the rollups is about.
type minute struct {
	at        time.Time
	group     string // of the objective's GroupBy
	component string // of uptime
	region    string
}

// pageSize is how many buckets one answer holds; more are asked for.
const pageSize = 5000

const timeFormat = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }

// count counts the objective's minutes from (inside) to (outside), both whole
// minutes. Minutes of which nothing is known are not in it.
func count(ctx context.Context, es Searcher, o slo.Objective, from, to time.Time) (map[minute]slo.Count, error) {
	switch in := o.Indicator; {
	case in.Ratio != nil:
		return countRatio(ctx, es, *in.Ratio, from, to)
	case in.Threshold != nil:
		return countThreshold(ctx, es, *in.Threshold, from, to)
	default:
		return countUptime(ctx, es, *in.Uptime, from, to)
	}
}

func countRatio(ctx context.Context, es Searcher, r slo.Ratio, from, to time.Time) (map[minute]slo.Count, error) {
	totals, err := numbers(ctx, es, r.Total, r.GroupBy, from, to)
	if err != nil {
		return nil, fmt.Errorf("total: %w", err)
	}
	source, good := r.Part()
	part, err := numbers(ctx, es, source, r.GroupBy, from, to)
	if err != nil {
		return nil, fmt.Errorf("part: %w", err)
	}
	counts := map[minute]slo.Count{}
	for m, total := range totals {
		n := min(part[m], total)
		if !good {
			n = total - n
		}
		counts[m] = slo.Count{Good: n, Total: total}
	}
	return counts, nil
}

// numbers is how many of a source's events each minute had.
func numbers(ctx context.Context, es Searcher, s slo.Source, groupBy string, from, to time.Time) (map[minute]float64, error) {
	if len(s.Counters) > 0 {
		all := map[minute]float64{}
		for _, counter := range s.Counters {
			if err := growth(ctx, es, s, counter, from, to, all); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	var fields []string
	if groupBy != "" {
		fields = []string{groupBy}
	}
	aggs := map[string]any{}
	if s.Sum != "" {
		aggs["value"] = map[string]any{"sum": map[string]any{"field": s.Sum}}
	}
	got := map[minute]float64{}
	err := composite(ctx, es, s.Index, s.Query, fields, aggs, from, to, func(b bucket) error {
		m := minute{at: b.at, region: b.region}
		if groupBy != "" {
			m.group = b.values[0]
		}
		n := float64(b.documents)
		if s.Sum != "" {
			n = b.value
		}
		if n > 0 {
			got[m] += n
		}
		return nil
	})
	return got, err
}

// lookBack is how far before a minute the counter's last value is looked for.
// A series that was silent for longer counts from its next value on.
const lookBack = 10 * time.Minute

// growth adds to got how much a counter grew in each minute, over all its series. A value
// below the one before is a process that began anew: it counts from 0. The first
// value of a series counts as well if the series begins within the search, since
// a new process has counted it from 0; in a series that is merely found first it
// would count what is old, so there it is left out.
func growth(ctx context.Context, es Searcher, s slo.Source, counter string, from, to time.Time, got map[minute]float64) error {
	type point struct {
		at  time.Time
		max float64
	}
	series := map[string][]point{}
	aggs := map[string]any{"value": map[string]any{"max": map[string]any{"field": counter}}}
	start := from.Add(-lookBack)
	err := composite(ctx, es, s.Index, s.Query, s.By, aggs, start, to, func(b bucket) error {
		if !b.hasValue {
			return nil // a document of other counters
		}
		key := b.region + "\x00" + strings.Join(b.values, "\x00")
		series[key] = append(series[key], point{b.at, b.value})
		return nil
	})
	if err != nil {
		return err
	}
	for key, points := range series {
		region, _, _ := strings.Cut(key, "\x00")
		slices.SortFunc(points, func(a, b point) int { return a.at.Compare(b.at) })
		for i, p := range points {
			grown := p.max
			switch {
			case i > 0 && p.max >= points[i-1].max:
				grown -= points[i-1].max
			case i == 0 && p.at.Sub(start) < 2*time.Minute:
				continue
			}
			if grown > 0 && !p.at.Before(from) {
				got[minute{at: p.at, region: region}] += grown
			}
		}
	}
	return nil
}

func countThreshold(ctx context.Context, es Searcher, t slo.Threshold, from, to time.Time) (map[minute]slo.Count, error) {
	counts := map[minute]slo.Count{}
	aggs := map[string]any{"value": map[string]any{"avg": map[string]any{"field": t.Field}}}
	err := composite(ctx, es, t.Index, t.Query, nil, aggs, from, to, func(b bucket) error {
		if !b.hasValue {
			return nil
		}
		c := slo.Count{Total: 1}
		if t.Op.Holds(b.value, t.Value) {
			c.Good = 1
		}
		counts[minute{at: b.at, region: b.region}] = c
		return nil
	})
	return counts, err
}

func countUptime(ctx context.Context, es Searcher, u slo.Uptime, from, to time.Time) (map[minute]slo.Count, error) {
	type checks struct{ down, all int64 }
	type place struct {
		at     time.Time
		region string
	}
	monitors := map[place]map[string]checks{}
	query, err := document.From(map[string]any{"bool": map[string]any{"filter": []any{map[string]any{"exists": map[string]any{"field": "monitor.status"}}}}})
	if err != nil {
		return nil, err
	}
	aggs := map[string]any{"down": map[string]any{"filter": map[string]any{"term": map[string]any{"monitor.status": "down"}}}}
	err = composite(ctx, es, u.Index, query.(*document.Object), []string{"monitor.id"}, aggs, from, to, func(b bucket) error {
		at := place{b.at, b.region}
		if monitors[at] == nil {
			monitors[at] = map[string]checks{}
		}
		monitors[at][b.values[0]] = checks{b.down, b.documents}
		return nil
	})
	if err != nil {
		return nil, err
	}
	counts := map[minute]slo.Count{}
	for at, seen := range monitors {
		system, known := 1.0, false
		for _, c := range u.Components {
			ups, downs := 0, 0
			for _, id := range c.Monitors {
				switch m, ok := seen[id]; {
				case !ok:
				case slo.Down(m.down, m.all):
					downs++
				default:
					ups++
				}
			}
			if ups+downs == 0 {
				continue // nobody looked
			}
			known = true
			up := ups > 0
			if c.NeedAll {
				up = downs == 0
			}
			count := slo.Count{Total: 1}
			if up {
				count.Good = 1
			} else {
				system = 0
			}
			counts[minute{at: at.at, region: at.region, component: c.Name}] = count
		}
		if known {
			counts[minute{at: at.at, region: at.region}] = slo.Count{Good: system, Total: 1}
		}
	}
	return counts, nil
}

// bucket is one minute of one region, and of one value of each further field.
type bucket struct {
	at        time.Time
	region    string
	values    []string
	documents int64
	value     float64
	hasValue  bool
	down      int64
}

// composite goes through all buckets of a query between two times.
func composite(ctx context.Context, es Searcher, index string, query *document.Object, fields []string, aggs map[string]any, from, to time.Time, each func(bucket) error) error {
	sources := []any{
		map[string]any{"minute": map[string]any{"date_histogram": map[string]any{"field": "@timestamp", "fixed_interval": "1m"}}},
		map[string]any{"region": map[string]any{"terms": map[string]any{"field": "cloud.region", "missing_bucket": true}}},
	}
	for i, field := range fields {
		name := fmt.Sprintf("field%d", i)
		sources = append(sources, map[string]any{name: map[string]any{"terms": map[string]any{"field": field, "missing_bucket": true}}})
	}
	inner := map[string]any{"size": pageSize, "sources": sources}
	body := map[string]any{
		"size":  0,
		"query": slo.Windowed(query, stamp(from), stamp(to)),
		"aggs":  map[string]any{"minutes": map[string]any{"composite": inner, "aggs": aggs}},
	}
	for {
		res, err := es.Search(ctx, index, body)
		if err != nil {
			return err
		}
		raw, ok := res.Aggregations["minutes"]
		if !ok {
			return nil // the index is not there yet
		}
		var page struct {
			After   map[string]any `json:"after_key"`
			Buckets []struct {
				Key      map[string]any `json:"key"`
				DocCount int64          `json:"doc_count"`
				Value    struct {
					Value *float64 `json:"value"`
				} `json:"value"`
				Down struct {
					DocCount int64 `json:"doc_count"`
				} `json:"down"`
			} `json:"buckets"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return fmt.Errorf("decode minutes of %s: %w", index, err)
		}
		for _, in := range page.Buckets {
			millis, ok := in.Key["minute"].(float64)
			if !ok {
				return fmt.Errorf("a minute of %s has no time", index)
			}
			b := bucket{at: time.UnixMilli(int64(millis)).UTC(), documents: in.DocCount, down: in.Down.DocCount}
			b.region, _ = in.Key["region"].(string)
			for i := range fields {
				text, _ := in.Key[fmt.Sprintf("field%d", i)].(string)
				b.values = append(b.values, text)
			}
			if in.Value.Value != nil {
				b.value, b.hasValue = *in.Value.Value, true
			}
			if err := each(b); err != nil {
				return err
			}
		}
		if len(page.Buckets) < pageSize || page.After == nil {
			return nil
		}
		inner["after"] = page.After
	}
}
