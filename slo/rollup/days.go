package rollup

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// By is what an objective's days are told apart by.
type By string

// The ways to tell days apart.
const (
	Whole       By = ""
	ByComponent By = "slo.component"
	ByGroup     By = "slo.group"
)

// Days adds an objective's minutes from (inside) to (outside) up by day, in UTC:
// for each component or group, or under "" as a whole. Days of which nothing is
// known are left out. One search answers it, however long the time is.
func (r Reader) Days(ctx context.Context, objective string, by By, from, to time.Time) (map[string][]Day, error) {
	filter := []any{
		map[string]any{"term": map[string]any{"slo.name": objective}},
		map[string]any{"range": map[string]any{"@timestamp": map[string]any{"gte": stamp(from), "lt": stamp(to)}}},
	}
	days := map[string]any{
		"date_histogram": map[string]any{"field": "@timestamp", "calendar_interval": "1d", "min_doc_count": 1},
		"aggs": map[string]any{
			"good":  map[string]any{"sum": map[string]any{"field": "slo.good"}},
			"total": map[string]any{"sum": map[string]any{"field": "slo.total"}},
		},
	}
	inner := map[string]any{"filter": filter}
	aggs := map[string]any{"days": days}
	if by == Whole {
		inner["must_not"] = []any{map[string]any{"exists": map[string]any{"field": ByComponent}}}
	} else {
		aggs = map[string]any{"parts": map[string]any{
			"terms": map[string]any{"field": by, "size": 500, "order": map[string]any{"_key": "asc"}},
			"aggs":  aggs,
		}}
	}
	res, err := r.Elasticsearch.Search(ctx, r.Stream, map[string]any{"size": 0, "query": map[string]any{"bool": inner}, "aggs": aggs})
	if err != nil {
		return nil, fmt.Errorf("read days of objective %s: %w", objective, err)
	}
	var whole daysAnswer
	var parts struct {
		Buckets []struct {
			Key  string     `json:"key"`
			Days daysAnswer `json:"days"`
		} `json:"buckets"`
	}
	for name, into := range map[string]any{"days": &whole, "parts": &parts} {
		if raw, ok := res.Aggregations[name]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return nil, fmt.Errorf("decode days of objective %s: %w", objective, err)
			}
		}
	}
	all := map[string][]Day{}
	if by == Whole {
		all[""] = whole.days()
	}
	for _, part := range parts.Buckets {
		all[part.Key] = part.Days.days()
	}
	return all, nil
}

type daysAnswer struct {
	Buckets []struct {
		Key int64 `json:"key"`
		windowAnswer
	} `json:"buckets"`
}

func (a daysAnswer) days() []Day {
	var days []Day
	for _, b := range a.Buckets {
		if c := b.count(); !c.NoData() {
			days = append(days, Day{time.UnixMilli(b.Key).UTC(), c})
		}
	}
	return days
}
