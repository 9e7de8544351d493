package rollup

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/slo"
)

// Figures is a standing as it is printed and answered. Shares and rates are nil
// where there is no data.
type Figures struct {
	Name       string   `json:"name"`
	Part       string   `json:"part,omitempty"` // a group or a component
	Title      string   `json:"title"`
	Target     float64  `json:"target"`
	Unit       string   `json:"unit"`
	Bad        float64  `json:"bad"`
	Total      float64  `json:"total"`
	Attained   *float64 `json:"attained"`
	BudgetLeft *float64 `json:"budget_left"` // 1 is all of it
	// Burn rates, over the long windows of slo.Burns and over the objective's.
	Burn1h     *float64 `json:"burn_1h"`
	Burn6h     *float64 `json:"burn_6h"`
	Burn3d     *float64 `json:"burn_3d"`
	BurnWindow *float64 `json:"burn_window"`
	// Burning are the names of the rules that hold by the minutes that are counted.
	Burning      []string   `json:"burning,omitempty"`
	DaysObserved float64    `json:"days_observed"`
	WindowDays   float64    `json:"window_days"`
	ExhaustedAt  *time.Time `json:"exhausted_at,omitempty"` // if it goes on as in the last six hours
}

// Figures returns the standing's numbers.
func (s Standing) Figures(now time.Time) Figures {
	o := s.Objective
	f := Figures{
		Name: o.Name, Part: s.Group + s.Component, Title: o.Title, Target: o.Target, Unit: o.Unit(), Bad: s.Window.Bad(), Total: s.Window.Total,
		DaysObserved: s.Observed(now).Hours() / 24, WindowDays: o.Window.Hours() / 24,
	}
	if !s.Window.NoData() {
		attained, left, rate := s.Window.Attained(), s.Window.BudgetLeft(o), s.Window.BurnRate(o)
		f.Attained, f.BudgetLeft, f.BurnWindow = &attained, &left, &rate
	}
	for i, to := range []**float64{&f.Burn1h, &f.Burn6h, &f.Burn3d} {
		if !s.Last[i].NoData() {
			rate := s.Last[i].BurnRate(o)
			*to = &rate
		}
	}
	for i, b := range slo.Burns() {
		if i < len(s.Short) && b.Fires(o, s.Last[i], s.Short[i]) {
			f.Burning = append(f.Burning, b.Name)
		}
	}
	if at, ok := s.Window.Exhausted(o, s.Last[1], slo.Burns()[1].Long, now); ok {
		f.ExhaustedAt = &at
	}
	return f
}

// Point is what was counted from a time on, up to the next point's.
type Point struct {
	At    time.Time `json:"at"`
	Count slo.Count `json:"count"`
}

// Points adds an objective's minutes up into steps of whole minutes, in the
// order of time; steps without a minute are left out. part is a group or a
// component, empty for the objective as a whole.
func (r Reader) Points(ctx context.Context, o slo.Objective, part string, from, to time.Time, step time.Duration) ([]Point, error) {
	inner := ofObjective(o.Name)["bool"].(map[string]any)
	exists := map[string]any{"exists": map[string]any{"field": "slo.component"}}
	switch {
	case part != "" && o.Indicator.Uptime != nil:
		inner["filter"] = append(inner["filter"].([]any), map[string]any{"term": map[string]any{"slo.component": part}})
	case part != "":
		inner["filter"] = append(inner["filter"].([]any), map[string]any{"term": map[string]any{"slo.group": part}})
		fallthrough
	default:
		inner["must_not"] = []any{exists}
	}
	query, err := boolOf(map[string]any{"bool": inner})
	if err != nil {
		return nil, err
	}
	sum := func(field string) map[string]any { return map[string]any{"sum": map[string]any{"field": field}} }
	res, err := r.Elasticsearch.Search(ctx, r.Stream, map[string]any{
		"size": 0, "query": slo.Windowed(query, stamp(from), stamp(to)),
		"aggs": map[string]any{"points": map[string]any{
			"date_histogram": map[string]any{"field": "@timestamp", "fixed_interval": fmt.Sprintf("%dm", max(1, int(step.Minutes()))), "min_doc_count": 1},
			"aggs":           map[string]any{"good": sum("slo.good"), "total": sum("slo.total")},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("read objective %s over time: %w", o.Name, err)
	}
	var answer struct {
		Buckets []struct {
			Key float64 `json:"key"`
			windowAnswer
		} `json:"buckets"`
	}
	if raw, ok := res.Aggregations["points"]; ok {
		if err := json.Unmarshal(raw, &answer); err != nil {
			return nil, fmt.Errorf("read objective %s over time: %w", o.Name, err)
		}
	}
	points := make([]Point, 0, len(answer.Buckets))
	for _, b := range answer.Buckets {
		points = append(points, Point{time.UnixMilli(int64(b.Key)).UTC(), b.count()})
	}
	return points, nil
}

// Causes says what the bad events of a time were, from the signals themselves;
// none where those are gone already, or where minutes or counters are counted.
func (r Reader) Causes(ctx context.Context, o slo.Objective, from, to time.Time) ([]Cause, error) {
	if o.Indicator.Ratio == nil || len(o.Indicator.Ratio.Total.Counters) > 0 {
		return nil, nil
	}
	causes, err := r.causes(ctx, *o.Indicator.Ratio, from, to)
	if err != nil {
		return nil, fmt.Errorf("what was bad of objective %s: %w", o.Name, err)
	}
	return causes, nil
}
