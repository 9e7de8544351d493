package overview

import (
	"context"
	"fmt"
	"time"

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
	// Sampled is the share of the requests that routes, percentiles and charts were
	// made of, 1 for all. Total, Bad, Status and the faults of routes and charts are
	// counted from all.
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

const (
	// fullCount is up to how many requests routes, percentiles and charts are made
	// of all of them; of more they are made of a random sample, which is far
	// cheaper. Totals and faults are always counted whole.
	fullCount = 120_000
	// maxRoutes is of how many routes the faults are counted.
	maxRoutes = 500
)

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
	Took     percentiles `json:"took"`
}

// point is a step of a chart.
type point struct {
	Key     float64     `json:"key"` // milliseconds since 1970
	Count   int64       `json:"doc_count"`
	Took    percentiles `json:"took"`
	Classes struct{ Buckets []counted }
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
	res, err := q.es.Search(ctx, elastic.TrafficStream, object{
		"size": 0, "query": query,
		"aggs": object{
			"bad": object{"filter": bad["filter"], "aggs": object{
				"over": over, "routes": object{"terms": object{"field": "http.route", "size": maxRoutes}},
			}},
			"status": object{"terms": object{"field": "http.response.status_code", "size": 50}},
		},
	})
	if err != nil {
		return Traffic{}, fmt.Errorf("count traffic: %w", err)
	}
	t := Traffic{Total: res.Total, Rate: float64(res.Total) / q.span.Length().Seconds(), Sampled: 1}
	if t.Total > fullCount {
		t.Sampled = probability(fullCount / float64(t.Total))
	}
	var failed struct {
		counted
		Over   struct{ Buckets []point }
		Routes struct {
			Buckets []struct {
				Key      string `json:"key"`
				DocCount int64  `json:"doc_count"`
			}
		}
	}
	var status struct {
		Buckets []struct {
			Key   int   `json:"key"`
			Count int64 `json:"doc_count"`
		}
	}
	if err := decode(res, map[string]any{"bad": &failed, "status": &status}); err != nil {
		return Traffic{}, fmt.Errorf("count traffic: %w", err)
	}
	t.Bad = failed.DocCount
	for _, b := range status.Buckets {
		t.Status = append(t.Status, Status{b.Key, b.Count})
	}
	of := map[string]int64{}
	for _, b := range failed.Routes.Buckets {
		of[b.Key] = b.DocCount
	}
	sample, err := q.sample(ctx, t.Sampled, query, object{
		"all":  took,
		"over": object{"date_histogram": over["date_histogram"], "aggs": object{"took": took, "classes": classes}},
		"top":  routes(took, object{"_count": "desc"}),
		"slow": routes(took, object{"took[95.0]": "desc"}),
	})
	if err != nil {
		return Traffic{}, err
	}
	t.P50, t.P95, t.P99 = sample.All.at("50.0"), sample.All.at("95.0"), sample.All.at("99.0")
	t.Charts.Requests = requests(q.span, step, sample.Over.Buckets, failed.Over.Buckets)
	t.Charts.Latency = latency(q.span, sample.Over.Buckets)
	for _, b := range sample.Top.Buckets {
		t.Top = append(t.Top, b.route(of))
	}
	for _, b := range sample.Slow.Buckets {
		t.Slow = append(t.Slow, b.route(of))
	}
	return t, nil
}

func routes(took, order object) object {
	return object{"terms": object{"field": "http.route", "size": 8, "order": order}, "aggs": object{"took": took}}
}

// sampled is what a share of the requests says of all of them.
type sampled struct {
	All       percentiles
	Over      struct{ Buckets []point }
	Top, Slow struct{ Buckets []routeBucket }
}

func (q queries) sample(ctx context.Context, share float64, query elastic.Query, aggs object) (sampled, error) {
	res, err := q.es.Search(ctx, elastic.TrafficStream, object{
		"size": 0, "query": query, "track_total_hits": false,
		// A fixed seed, so that the same question has the same answer.
		"aggs": object{"sample": object{"random_sampler": object{"probability": share, "seed": 1}, "aggs": aggs}},
	})
	if err != nil {
		return sampled{}, fmt.Errorf("measure traffic: %w", err)
	}
	var s sampled
	if err := decode(res, map[string]any{"sample": &s}); err != nil {
		return sampled{}, fmt.Errorf("measure traffic: %w", err)
	}
	return s, nil
}

// requests draws 5xx as they were counted, and the other classes as the sample
// has them.
func requests(span page.Span, step time.Duration, points, failed []point) page.Chart {
	chart := page.NewChart("requests", "Requests a second, by status", page.PerSecond, span)
	chart.Stacked = true
	names := []string{"2xx", "3xx", "4xx", "5xx"}
	for _, name := range names {
		chart.Series = append(chart.Series, page.Series{Name: name, Colour: page.Colour(name)})
	}
	faults := map[float64]int64{}
	for _, p := range failed {
		faults[p.Key] = p.Count
	}
	for _, p := range points {
		chart.Times = append(chart.Times, int64(p.Key/1000))
		for i := range names {
			var n int64
			switch {
			case names[i] == "5xx":
				n = faults[p.Key]
			case i < len(p.Classes.Buckets):
				n = p.Classes.Buckets[i].DocCount
			}
			chart.Series[i].Values = append(chart.Series[i].Values, page.Value(float64(n)/step.Seconds()))
		}
	}
	return chart
}

func latency(span page.Span, points []point) page.Chart {
	chart := page.NewChart("latency", "Latency at nginx", page.Sec, span)
	keys := []string{"50.0", "95.0", "99.0"}
	for _, name := range []string{"p50", "p95", "p99"} {
		chart.Series = append(chart.Series, page.Series{Name: name, Colour: page.Colour(name)})
	}
	for _, p := range points {
		chart.Times = append(chart.Times, int64(p.Key/1000))
		for i, key := range keys {
			var v *float64
			if p.Count > 0 {
				v = page.Value(p.Took.at(key))
			}
			chart.Series[i].Values = append(chart.Series[i].Values, v)
		}
	}
	return chart
}

// route is the bucket's, with its faults among those counted by route.
func (b routeBucket) route(faults map[string]int64) Route {
	return Route{b.Key, b.DocCount, faults[b.Key], b.Took.at("50.0"), b.Took.at("95.0"), b.Took.at("99.0")}
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
