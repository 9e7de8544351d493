package rollup

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pharos/slo"
	"pharos/watcher/document"
)

// Review is how an objective did over a span of time, as its review needs it.
type Review struct {
	Objective slo.Objective
	From, To  time.Time // From is inside, To is not
	Count     slo.Count
	// Parts are the groups or components that were bad, the worst first.
	Parts []Part
	// Causes say what the bad events were, from the signals themselves; empty
	// where those are gone already, or where minutes are counted.
	Causes []Cause
	Days   []Day
}

// Part is a group or component, and its share of all that was bad.
type Part struct {
	Name  string    `json:"name"`
	Count slo.Count `json:"count"`
}

// Cause is a value of a field among the bad events.
type Cause struct {
	Field string `json:"field"`
	Value string `json:"value"`
	Bad   int64  `json:"bad"`
}

// Day is one day of a review, in UTC.
type Day struct {
	Day   time.Time `json:"day"`
	Count slo.Count `json:"count"`
}

// causeFields tell bad events apart.
func causeFields() []string {
	return []string{"http.response.status_code", "nginx.upstream.address", "service.node.name", "error.type", "labels.task"}
}

const maxParts = 5

// Review reads how an objective did from one time to another.
func (r Reader) Review(ctx context.Context, o slo.Objective, from, to time.Time) (Review, error) {
	review := Review{Objective: o, From: from, To: to}
	minutes, err := r.minutes(ctx, o, from, to)
	if err != nil {
		return review, fmt.Errorf("review objective %s: %w", o.Name, err)
	}
	parts, days := map[string]slo.Count{}, map[time.Time]slo.Count{}
	for m, c := range minutes {
		name := m.group + m.component
		if name != "" {
			parts[name] = parts[name].Add(c)
		}
		if m.component == "" {
			review.Count = review.Count.Add(c)
			days[m.at] = days[m.at].Add(c)
		}
	}
	for name, c := range parts {
		if c.Bad() > 0 {
			review.Parts = append(review.Parts, Part{name, c})
		}
	}
	slices.SortFunc(review.Parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Count.Bad(), a.Count.Bad()), strings.Compare(a.Name, b.Name))
	})
	review.Parts = review.Parts[:min(len(review.Parts), maxParts)]
	for day, c := range days {
		review.Days = append(review.Days, Day{day, c})
	}
	slices.SortFunc(review.Days, func(a, b Day) int { return a.Day.Compare(b.Day) })
	if review.Count.Bad() > 0 {
		review.Causes, err = r.Causes(ctx, o, from, to)
	}
	return review, err
}

// minutes adds up the minutes of each day, group and component; at is the day.
func (r Reader) minutes(ctx context.Context, o slo.Objective, from, to time.Time) (map[minute]slo.Count, error) {
	query, err := boolOf(ofObjective(o.Name))
	if err != nil {
		return nil, err
	}
	found := map[minute]slo.Count{}
	for _, part := range []string{"slo.good", "slo.total"} {
		aggs := map[string]any{"value": map[string]any{"sum": map[string]any{"field": part}}}
		err := composite(ctx, r.Elasticsearch, r.Stream, query, []string{"slo.group", "slo.component"}, aggs, from, to, func(b bucket) error {
			m := minute{at: b.at.Truncate(24 * time.Hour), group: b.values[0], component: b.values[1]}
			c := found[m]
			if part == "slo.good" {
				c.Good += b.value
			} else {
				c.Total += b.value
			}
			found[m] = c
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (r Reader) causes(ctx context.Context, ratio slo.Ratio, from, to time.Time) ([]Cause, error) {
	source, good := ratio.Part()
	query := slo.Windowed(source.Query, stamp(from), stamp(to))
	if good {
		query = slo.Windowed(ratio.Total.Query, stamp(from), stamp(to))
		inner := document.At(query, "bool").(*document.Object)
		not, _ := inner.Get("must_not")
		list, _ := not.([]any)
		inner.Set("must_not", append(slices.Clone(list), any(source.Query)))
	}
	aggs := map[string]any{}
	for i, field := range causeFields() {
		aggs[fmt.Sprint(i)] = map[string]any{"terms": map[string]any{"field": field, "size": 3}}
	}
	res, err := r.Elasticsearch.Search(ctx, ratio.Total.Index, map[string]any{"size": 0, "query": query, "aggs": aggs})
	if err != nil {
		return nil, err
	}
	var causes []Cause
	for i, field := range causeFields() {
		var answer struct {
			Buckets []struct {
				Key      any    `json:"key"`
				Text     string `json:"key_as_string"`
				DocCount int64  `json:"doc_count"`
			} `json:"buckets"`
		}
		if raw, ok := res.Aggregations[fmt.Sprint(i)]; ok {
			if err := json.Unmarshal(raw, &answer); err != nil {
				return nil, fmt.Errorf("decode %s: %w", field, err)
			}
		}
		for _, b := range answer.Buckets {
			text := b.Text
			if text == "" {
				text = fmt.Sprint(b.Key)
			}
			causes = append(causes, Cause{field, text, b.DocCount})
		}
	}
	return causes, nil
}
