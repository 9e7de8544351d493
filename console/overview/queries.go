package overview

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/elastic"
	"pharos/slo"
)

type object = map[string]any

// availability is over five minutes, an hour, a day and the objective's window:
// the short ones counted from the requests themselves, the long ones from the
// objective's minutes, which are kept when requests are not.
func (q queries) availability(ctx context.Context, o *slo.Objective, logs bool) ([]Availability, error) {
	var all []Availability
	if logs {
		for _, w := range []struct {
			name   string
			length time.Duration
		}{{"now (5 min)", 5 * time.Minute}, {"1 h", time.Hour}} {
			a, err := q.es.Availability(ctx, elastic.Last(w.length, q.now), elastic.TrafficFilter{})
			if err != nil {
				return nil, err
			}
			all = append(all, Availability{Name: w.name, From: q.now.Add(-w.length), Total: float64(a.Total), Bad: float64(a.Bad), Known: !a.NoData})
		}
	}
	if o == nil {
		return all, nil
	}
	for _, w := range []struct {
		name   string
		length time.Duration
	}{{"24 h", 24 * time.Hour}, {page.Duration(o.Window), o.Window}} {
		n, err := q.minutes(ctx, o.Name, w.length)
		if err != nil {
			return nil, err
		}
		a := Availability{Name: w.name, From: q.now.Add(-w.length), Total: n.Total, Bad: n.Bad(), Known: !n.NoData(), Objective: o.Name}
		if w.length == o.Window && a.Known {
			left := n.BudgetLeft(*o)
			a.Target, a.BudgetLeft = o.Target, &left
		}
		all = append(all, a)
	}
	return all, nil
}

// minutes adds up an objective's minutes.
func (q queries) minutes(ctx context.Context, name string, length time.Duration) (slo.Count, error) {
	res, err := q.es.Search(ctx, slo.RollupStream, object{
		"size": 0,
		"query": object{"bool": object{
			"filter": []object{
				{"term": object{"slo.name": name}},
				{"range": object{"@timestamp": object{"gte": q.now.Add(-length).UTC().Format(time.RFC3339), "lt": q.now.UTC().Format(time.RFC3339)}}},
			},
			"must_not": []object{{"exists": object{"field": "slo.component"}}},
		}},
		"aggs": object{"good": object{"sum": object{"field": "slo.good"}}, "total": object{"sum": object{"field": "slo.total"}}},
	})
	if err != nil {
		return slo.Count{}, fmt.Errorf("add up objective %s: %w", name, err)
	}
	var good, total struct{ Value float64 }
	if err := decode(res, map[string]any{"good": &good, "total": &total}); err != nil {
		return slo.Count{}, fmt.Errorf("add up objective %s: %w", name, err)
	}
	return slo.Count{Good: good.Value, Total: total.Value}, nil
}

// decode reads aggregations by their names; those of a stream that does not
// exist yet are not there.
func decode(res *elastic.SearchResult, into map[string]any) error {
	for name, v := range into {
		if raw, ok := res.Aggregations[name]; ok {
			if err := json.Unmarshal(raw, v); err != nil {
				return fmt.Errorf("decode aggregation %s: %w", name, err)
			}
		}
	}
	return nil
}

// Instance is what Heartbeat saw of one endpoint last.
type Instance struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Service string    `json:"service"`
	Region  string    `json:"region"`
	Status  string    `json:"status"`
	At      time.Time `json:"at"`
	Millis  float64   `json:"ms"`
}

// instances are the endpoints that Heartbeat looked at in the last ten minutes.
func (q queries) instances(ctx context.Context) ([]Instance, error) {
	res, err := q.es.Search(ctx, "heartbeat-default", object{
		"size":  0,
		"query": object{"range": object{"@timestamp": object{"gte": q.now.Add(-10 * time.Minute).UTC().Format(time.RFC3339)}}},
		"aggs": object{"monitors": object{
			"terms": object{"field": "monitor.id", "size": 200, "order": object{"_key": "asc"}},
			"aggs": object{"last": object{"top_hits": object{
				"size": 1, "sort": []object{{"@timestamp": "desc"}},
				"_source": []string{"@timestamp", "monitor", "service", "cloud"},
			}}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("read uptime: %w", err)
	}
	var monitors struct {
		Buckets []struct {
			Last struct {
				Hits struct {
					Hits []struct {
						Source struct {
							At      time.Time `json:"@timestamp"`
							Monitor struct {
								ID, Name, Status string
								Duration         struct{ US float64 }
							}
							Service struct{ Name string }
							Cloud   struct{ Region string }
						} `json:"_source"`
					}
				}
			}
		}
	}
	if err := decode(res, map[string]any{"monitors": &monitors}); err != nil {
		return nil, fmt.Errorf("read uptime: %w", err)
	}
	var all []Instance
	for _, b := range monitors.Buckets {
		for _, h := range b.Last.Hits.Hits {
			s := h.Source
			all = append(all, Instance{s.Monitor.ID, s.Monitor.Name, s.Service.Name, s.Cloud.Region, s.Monitor.Status, s.At, s.Monitor.Duration.US / 1000})
		}
	}
	slices.SortFunc(all, downFirst)
	return all, nil
}

func downFirst(a, b Instance) int {
	switch a.Status {
	case b.Status:
		return strings.Compare(a.Service+a.ID, b.Service+b.ID)
	case "down":
		return -1
	}
	return 1
}

// Took is how long the answer took, in words.
func (i Instance) Took() string { return page.Seconds(i.Millis / 1000) }
