package rollup

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/slo"
	"pharos/watcher/document"
)

func boolOf(query map[string]any) (*document.Object, error) {
	v, err := document.From(query)
	if err != nil {
		return nil, err
	}
	return v.(*document.Object), nil
}

// Reader adds minutes up.
type Reader struct {
	Elasticsearch Searcher
	Stream        string // slo.RollupStream; a test's own
	Now           func() time.Time
}

// Standing is how an objective stands, as a whole or in one of its parts.
type Standing struct {
	Objective slo.Objective
	Group     string // a value of the objective's groupBy; empty: all
	Component string // of uptime; empty: the system
	// Window is over the objective's window, Last over each Burn's long one and
	// Short over its short one, in the order of slo.Burns.
	Window slo.Count
	Last   []slo.Count
	Short  []slo.Count
	// Since is the oldest minute that is counted, so that a young system's figures
	// show how young they are.
	Since time.Time
}

// Observed is how much of the window there is data for at most.
func (s Standing) Observed(now time.Time) time.Duration {
	if s.Since.IsZero() {
		return 0
	}
	return min(now.Sub(s.Since), s.Objective.Window)
}

// Standing reads how an objective stands as a whole (first) and, with parts, in
// each group or component.
func (r Reader) Standing(ctx context.Context, o slo.Objective, parts bool) ([]Standing, error) {
	now := r.Now()
	by := map[string]string{"": ""}
	if parts {
		if o.Indicator.Ratio != nil && o.Indicator.Ratio.GroupBy != "" {
			by["group"] = "slo.group"
		}
		if o.Indicator.Uptime != nil {
			by["component"] = "slo.component"
		}
	}
	whole, err := r.standing(ctx, o, now, "", "")
	if err != nil {
		return nil, err
	}
	all := whole
	for kind, field := range by {
		if field == "" {
			continue
		}
		more, err := r.standing(ctx, o, now, kind, field)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// sums is the answer of one group.
type sums struct {
	Key    string        `json:"key"`
	Window windowAnswer  `json:"window"`
	Since  numberAnswer  `json:"since"`
	Burn0  *windowAnswer `json:"burn0"`
	Burn1  *windowAnswer `json:"burn1"`
	Burn2  *windowAnswer `json:"burn2"`
	Short0 *windowAnswer `json:"short0"`
	Short1 *windowAnswer `json:"short1"`
	Short2 *windowAnswer `json:"short2"`
}

type numberAnswer struct {
	Value *float64 `json:"value"`
}

type windowAnswer struct {
	Good  numberAnswer `json:"good"`
	Total numberAnswer `json:"total"`
}

func (w *windowAnswer) count() slo.Count {
	if w == nil || w.Good.Value == nil || w.Total.Value == nil {
		return slo.Count{}
	}
	return slo.Count{Good: *w.Good.Value, Total: *w.Total.Value}
}

func (r Reader) standing(ctx context.Context, o slo.Objective, now time.Time, kind, field string) ([]Standing, error) {
	to := now.Truncate(time.Minute)
	window := func(d time.Duration) map[string]any {
		return map[string]any{
			"filter": map[string]any{"range": map[string]any{"@timestamp": map[string]any{"gte": stamp(to.Add(-d)), "lt": stamp(now)}}},
			"aggs": map[string]any{
				"good":  map[string]any{"sum": map[string]any{"field": "slo.good"}},
				"total": map[string]any{"sum": map[string]any{"field": "slo.total"}},
			},
		}
	}
	aggs := map[string]any{"window": window(o.Window), "since": map[string]any{"min": map[string]any{"field": "@timestamp"}}}
	for i, b := range slo.Burns() {
		aggs[fmt.Sprintf("burn%d", i)] = window(b.Long)
		aggs[fmt.Sprintf("short%d", i)] = window(b.Short)
	}
	groups := map[string]any{"filters": map[string]any{"keyed": false, "filters": map[string]any{"all": map[string]any{"match_all": map[string]any{}}}}, "aggs": aggs}
	inner := ofObjective(o.Name)["bool"].(map[string]any)
	exists := map[string]any{"exists": map[string]any{"field": "slo.component"}}
	if kind == "component" {
		inner["filter"] = append(inner["filter"].([]any), exists)
	} else {
		inner["must_not"] = []any{exists}
	}
	if field != "" {
		groups = map[string]any{"terms": map[string]any{"field": field, "size": 200, "order": map[string]any{"_key": "asc"}}, "aggs": aggs}
	}
	query, err := boolOf(map[string]any{"bool": inner})
	if err != nil {
		return nil, err
	}
	oldest := to.Add(-o.Window)
	res, err := r.Elasticsearch.Search(ctx, r.Stream, map[string]any{
		"size": 0, "query": slo.Windowed(query, stamp(oldest), stamp(now)), "aggs": map[string]any{"groups": groups},
	})
	if err != nil {
		return nil, fmt.Errorf("read objective %s: %w", o.Name, err)
	}
	var answer struct {
		Buckets []sums `json:"buckets"`
	}
	if raw, ok := res.Aggregations["groups"]; ok {
		if err := json.Unmarshal(raw, &answer); err != nil {
			return nil, fmt.Errorf("read objective %s: %w", o.Name, err)
		}
	}
	if field == "" && len(answer.Buckets) == 0 {
		answer.Buckets = []sums{{}} // nothing is counted yet
	}
	var all []Standing
	for _, b := range answer.Buckets {
		s := Standing{
			Objective: o, Window: b.Window.count(),
			Last:  []slo.Count{b.Burn0.count(), b.Burn1.count(), b.Burn2.count()},
			Short: []slo.Count{b.Short0.count(), b.Short1.count(), b.Short2.count()},
		}
		switch kind {
		case "group":
			s.Group = b.Key
		case "component":
			s.Component = b.Key
		}
		if b.Since.Value != nil {
			s.Since = time.UnixMilli(int64(*b.Since.Value)).UTC()
		}
		all = append(all, s)
	}
	return all, nil
}
