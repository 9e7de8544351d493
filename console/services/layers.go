package services

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"pharos/console/page"
)

// Layers is where a service's time goes.
type Layers struct {
	Items []Layer    `json:"layers"`
	Over  page.Chart `json:"over_time"`
}

// Layer is a service's own code, or something that it waits for.
type Layer struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Count   float64 `json:"count"`
	Share   float64 `json:"share"`
}

// Mean is how long it took each time, in seconds.
func (l Layer) Mean() float64 { return l.Seconds / max(l.Count, 1) }

// layerName is what a kind of spans is called.
func layerName(kind, subtype string) string {
	switch {
	case kind == "app" && subtype == "":
		return "own code"
	case kind == "external":
		return "other services"
	case subtype != "":
		return subtype
	}
	return kind
}

// layers adds up the self times that the agents measured of all transactions,
// by kinds of spans. https://www.elastic.co/docs/solutions/observability/apm/metrics
func (q queries) layers(ctx context.Context, service, instance string) (Layers, error) {
	filters := []object{term("metricset.name", "span_breakdown"), term("service.name", service), within(q.span)}
	if instance != "" {
		filters = append(filters, term("service.node.name", instance))
	}
	step := max(q.span.Bucket(60), 30*time.Second) // agents report every 30 s
	self := object{"sum": object{"sum": object{"field": "span.self_time.sum.us"}}, "count": object{"sum": object{"field": "span.self_time.count"}}}
	res, err := q.es.Search(ctx, "metrics-apm.internal-*", object{"size": 0, "query": all(filters...), "aggs": object{
		"over": object{"date_histogram": q.overTime(step), "aggs": object{
			"types": object{"terms": object{"field": "span.type", "size": 20}, "aggs": object{
				"subtypes": object{"terms": object{"field": "span.subtype", "size": 20, "missing": ""}, "aggs": self},
			}},
		}},
	}})
	if err != nil {
		return Layers{}, fmt.Errorf("add up self times: %w", err)
	}
	var over struct {
		Buckets []struct {
			Key   float64 `json:"key"`
			Count int64   `json:"doc_count"`
			Types struct {
				Buckets []struct {
					Key      string `json:"key"`
					Subtypes struct {
						Buckets []struct {
							Key   string `json:"key"`
							Sum   struct{ Value float64 }
							Count struct{ Value float64 }
						} `json:"buckets"`
					} `json:"subtypes"`
				} `json:"buckets"`
			} `json:"types"`
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"over": &over}); err != nil {
		return Layers{}, fmt.Errorf("add up self times: %w", err)
	}
	l := Layers{Over: page.NewChart("layers", "Time per layer in each second", page.Sec, q.span)}
	l.Over.Stacked = true
	sums, at := map[string]*Layer{}, map[string]map[int]float64{}
	total := 0.0
	for i, b := range over.Buckets {
		l.Over.Times = append(l.Over.Times, int64(b.Key/1000))
		for _, kind := range b.Types.Buckets {
			for _, s := range kind.Subtypes.Buckets {
				name, seconds := layerName(kind.Key, s.Key), s.Sum.Value/1e6
				if sums[name] == nil {
					sums[name], at[name] = &Layer{Name: name}, map[int]float64{}
				}
				sums[name].Seconds += seconds
				sums[name].Count += s.Count.Value
				at[name][i] += seconds / step.Seconds()
				total += seconds
			}
		}
	}
	for _, s := range sums {
		s.Share = s.Seconds / max(total, 1e-9)
		l.Items = append(l.Items, *s)
	}
	slices.SortFunc(l.Items, func(a, b Layer) int { return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Name, b.Name)) })
	for _, item := range l.Items {
		s := page.Series{Name: item.Name, Colour: layerColour(service, item.Name)}
		for i := range l.Over.Times {
			s.Values = append(s.Values, page.Value(at[item.Name][i]))
		}
		l.Over.Series = append(l.Over.Series, s)
	}
	return l, nil
}

// layerColour is the service's own colour for its own code.
func layerColour(service, layer string) string {
	switch layer {
	case "own code":
		return page.Colour(service)
	case "other services":
		return "c-purple"
	case "validate":
		return "c-sky"
	}
	return page.Colour(layer)
}
