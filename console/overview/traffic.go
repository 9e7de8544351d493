package overview

import (
	"context"
	"fmt"

	"pharos/console/page"
	"pharos/elastic"
)

// Traffic is what nginx answered in the page's span.
type Traffic struct {
	Total  int64                                  `json:"total"`
	Bad    int64                                  `json:"bad"` // 5xx
	Rate   float64                                `json:"per_second"`
	P50    float64                                `json:"p50_seconds"`
	P95    float64                                `json:"p95_seconds"`
	P99    float64                                `json:"p99_seconds"`
	Status []Status                               `json:"status"`
	Top    []Route                                `json:"top_routes"`
	Slow   []Route                                `json:"slowest_routes"`
	Charts struct{ Requests, Latency page.Chart } `json:"charts"`
	// Sampled is the share of the requests that the percentiles were taken from, 1
	// for all.
	Sampled float64 `json:"sampled"`
}

// Status is how many requests had a status code.
type Status struct {
	Code  int   `json:"code"`
	Count int64 `json:"count"`
}

// Route is what one route got.
type Route struct {
	Name  string  `json:"route"`
	Count int64   `json:"count"`
	Bad   int64   `json:"bad"`
	P50   float64 `json:"p50_seconds"`
	P95   float64 `json:"p95_seconds"`
	P99   float64 `json:"p99_seconds"`
}

// fullCount is up to how many requests percentiles are taken from all of them; of
// more they are taken from a random sample, which is far cheaper.
const fullCount = 250_000

type percentiles struct {
	Values map[string]float64 `json:"values"`
}

// at reads a percentile in seconds; durations are kept in nanoseconds.
func (p percentiles) at(key string) float64 { return p.Values[key] / 1e9 }

type counted struct {
	DocCount int64 `json:"doc_count"`
}

type routeBucket struct {
	Key      string      `json:"key"`
	DocCount int64       `json:"doc_count"`
	Bad      counted     `json:"bad"`
	Took     percentiles `json:"took"`
}

func (q queries) traffic(ctx context.Context) (Traffic, error) {
	query := elastic.Traffic(q.span.Window(), elastic.TrafficFilter{})
	took := object{"percentiles": object{"field": "event.duration", "percents": []float64{50, 95, 99}}}
	bad := object{"filter": object{"range": object{"http.response.status_code": object{"gte": 500, "lte": 599}}}}
	step := q.span.Bucket(120)
	over := object{"date_histogram": object{
		"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", int(step.Seconds())), "min_doc_count": 0,
		"hard_bounds":     object{"min": q.span.From.UnixMilli(), "max": q.span.To.UnixMilli()},
		"extended_bounds": object{"min": q.span.From.UnixMilli(), "max": q.span.To.UnixMilli()},
	}}
	classes := object{"range": object{"field": "http.response.status_code", "ranges": []object{
		{"key": "2xx", "from": 200, "to": 300}, {"key": "3xx", "from": 300, "to": 400},
		{"key": "4xx", "from": 400, "to": 500}, {"key": "5xx", "from": 500, "to": 600},
	}}}
	counts := object{"date_histogram": over["date_histogram"], "aggs": object{"classes": classes}}
	res, err := q.es.Search(ctx, elastic.TrafficStream, object{
		"size": 0, "query": query,
		"aggs": object{"bad": bad, "over": counts, "status": object{"terms": object{"field": "http.response.status_code", "size": 50}}},
	})
	if err != nil {
		return Traffic{}, fmt.Errorf("count traffic: %w", err)
	}
	t := Traffic{Total: res.Total, Rate: float64(res.Total) / q.span.Length().Seconds(), Sampled: 1}
	var badCount counted
	var status struct {
		Buckets []struct {
			Key   int   `json:"key"`
			Count int64 `json:"doc_count"`
		}
	}
	var points struct {
		Buckets []struct {
			Key     float64 `json:"key"`
			Count   int64   `json:"doc_count"`
			Classes struct {
				Buckets []struct {
					Key   string `json:"key"`
					Count int64  `json:"doc_count"`
				}
			}
		}
	}
	if err := decode(res, map[string]any{"bad": &badCount, "status": &status, "over": &points}); err != nil {
		return Traffic{}, fmt.Errorf("count traffic: %w", err)
	}
	t.Bad = badCount.DocCount
	for _, b := range status.Buckets {
		t.Status = append(t.Status, Status{b.Key, b.Count})
	}
	t.Charts.Requests = page.NewChart("requests", "Requests a second, by status", page.PerSecond, q.span)
	t.Charts.Requests.Stacked = true
	names := []string{"2xx", "3xx", "4xx", "5xx"}
	for _, name := range names {
		t.Charts.Requests.Series = append(t.Charts.Requests.Series, page.Series{Name: name, Colour: page.Colour(name)})
	}
	for _, b := range points.Buckets {
		t.Charts.Requests.Times = append(t.Charts.Requests.Times, int64(b.Key/1000))
		for i := range names {
			var n int64
			if i < len(b.Classes.Buckets) {
				n = b.Classes.Buckets[i].Count
			}
			t.Charts.Requests.Series[i].Values = append(t.Charts.Requests.Series[i].Values, page.Value(float64(n)/step.Seconds()))
		}
	}
	return t, q.latency(ctx, &t, query, over, took, bad)
}

// latency adds what is taken from durations.
func (q queries) latency(ctx context.Context, t *Traffic, query elastic.Query, over, took, bad object) error {
	if t.Total > fullCount {
		t.Sampled = fullCount / float64(t.Total)
	}
	route := func(order object) object {
		return object{"terms": object{"field": "http.route", "size": 8, "order": order}, "aggs": object{"took": took, "bad": bad}}
	}
	aggs := object{
		"all":  took,
		"over": object{"date_histogram": over["date_histogram"], "aggs": object{"took": took}},
		"top":  route(object{"_count": "desc"}),
		"slow": route(object{"took[95.0]": "desc"}),
	}
	res, err := q.es.Search(ctx, elastic.TrafficStream, object{
		"size": 0, "query": query,
		// A fixed seed, so that the same question has the same answer.
		"aggs": object{"sample": object{"random_sampler": object{"probability": probability(t.Sampled), "seed": 1}, "aggs": aggs}},
	})
	if err != nil {
		return fmt.Errorf("measure latency: %w", err)
	}
	var sample struct {
		All  percentiles `json:"all"`
		Over struct {
			Buckets []struct {
				Key   float64     `json:"key"`
				Count int64       `json:"doc_count"`
				Took  percentiles `json:"took"`
			}
		} `json:"over"`
		Top, Slow struct{ Buckets []routeBucket }
	}
	if err := decode(res, map[string]any{"sample": &sample}); err != nil {
		return fmt.Errorf("measure latency: %w", err)
	}
	t.P50, t.P95, t.P99 = sample.All.at("50.0"), sample.All.at("95.0"), sample.All.at("99.0")
	t.Charts.Latency = page.NewChart("latency", "Latency at nginx", page.Sec, q.span)
	keys := []string{"50.0", "95.0", "99.0"}
	for _, name := range []string{"p50", "p95", "p99"} {
		t.Charts.Latency.Series = append(t.Charts.Latency.Series, page.Series{Name: name, Colour: page.Colour(name)})
	}
	for _, b := range sample.Over.Buckets {
		t.Charts.Latency.Times = append(t.Charts.Latency.Times, int64(b.Key/1000))
		for i, key := range keys {
			var v *float64
			if b.Count > 0 {
				v = page.Value(b.Took.at(key))
			}
			t.Charts.Latency.Series[i].Values = append(t.Charts.Latency.Series[i].Values, v)
		}
	}
	for _, b := range sample.Top.Buckets {
		t.Top = append(t.Top, b.route())
	}
	for _, b := range sample.Slow.Buckets {
		t.Slow = append(t.Slow, b.route())
	}
	return nil
}

func (b routeBucket) route() Route {
	return Route{b.Key, b.DocCount, b.Bad.DocCount, b.Took.at("50.0"), b.Took.at("95.0"), b.Took.at("99.0")}
}

// probability is what random_sampler takes: up to a half, or 1.
func probability(share float64) float64 {
	if share > 0.5 {
		return 1
	}
	return share
}

// ErrorShare is the share of the requests that failed by our fault, in words.
func (t Traffic) ErrorShare() string { return page.Percent(float64(t.Bad) / float64(t.Total)) }
