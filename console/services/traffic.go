package services

import (
	"context"
	"fmt"
	"time"

	"pharos/console/page"
	"pharos/elastic"
)

// subject is what a page counts: the documents, and how they say what took how
// long.
type subject struct {
	kind     string
	stream   string
	query    any
	duration string // the field
	units    float64
	name     string // the field by which they are told apart
	failing  object
}

// subject finds out what a name stands for: a service that traces itself, nginx,
// the bus, or what services call.
func (q queries) subject(ctx context.Context, name, instance string) (subject, error) {
	spans := subject{kind: "store", stream: eventStream, duration: "span.duration.us", units: 1e6, name: "span.name", failing: failing()}
	switch name {
	case nginx:
		return subject{
			kind: "proxy", stream: q.requests, query: elastic.Traffic(q.span.Window(), elastic.TrafficFilter{Stream: q.requests}),
			duration: "event.duration", units: 1e9, name: "http.route",
			failing: object{"range": object{"http.response.status_code": object{"gte": 500, "lte": 599}}},
		}, nil
	case bus:
		spans.kind, spans.query = "bus", all(term("processor.event", "span"), onBus(), within(q.span))
		return spans, nil
	}
	own := all(term("processor.event", "transaction"), term("service.name", name), within(q.span))
	called := all(term("processor.event", "span"), term("span.destination.service.resource", name), object{"bool": object{"must_not": []object{onBus()}}}, within(q.span))
	res, err := q.es.Search(ctx, eventStream, object{"size": 0, "aggs": object{"own": object{"filter": own}, "called": object{"filter": called}}, "query": within(q.span)})
	if err != nil {
		return subject{}, fmt.Errorf("look for service %s: %w", name, err)
	}
	var counts struct{ Own, Called counted }
	if err := decode(res, map[string]any{"own": &counts.Own, "called": &counts.Called}); err != nil {
		return subject{}, fmt.Errorf("look for service %s: %w", name, err)
	}
	if counts.Own.Count == 0 && counts.Called.Count > 0 {
		spans.query = called
		return spans, nil
	}
	filters := []object{term("processor.event", "transaction"), term("service.name", name), within(q.span)}
	if instance != "" {
		filters = append(filters, term("service.node.name", instance))
	}
	return subject{kind: "service", stream: eventStream, query: all(filters...), duration: "transaction.duration.us", units: 1e6, name: "transaction.name", failing: failing()}, nil
}

// Traffic is what was asked, and how it was answered.
type Traffic struct {
	Total    int64      `json:"total"`
	Failed   int64      `json:"failed"`
	Rate     float64    `json:"per_second"`
	P50      *float64   `json:"p50_seconds"`
	P95      *float64   `json:"p95_seconds"`
	P99      *float64   `json:"p99_seconds"`
	Requests page.Chart `json:"requests"`
	Latency  page.Chart `json:"latency"`
	Names    []Kind     `json:"names"`
}

// Kind is requests of one name.
type Kind struct {
	Name   string   `json:"name"`
	Count  int64    `json:"count"`
	Failed int64    `json:"failed"`
	P50    *float64 `json:"p50_seconds"`
	P95    *float64 `json:"p95_seconds"`
}

// ErrorShare is the share that failed.
func (t Traffic) ErrorShare() float64 { return float64(t.Failed) / float64(max(t.Total, 1)) }

func (q queries) overTime(step time.Duration) object {
	bounds := object{"min": q.span.From.UnixMilli(), "max": q.span.To.UnixMilli() - 1}
	return object{
		"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", int(step.Seconds())), "min_doc_count": 0,
		"hard_bounds": bounds, "extended_bounds": bounds,
	}
}

func (q queries) traffic(ctx context.Context, of subject) (Traffic, error) {
	took := object{
		"failed": object{"filter": of.failing},
		"took":   object{"percentiles": object{"field": of.duration, "percents": []float64{50, 95, 99}}},
	}
	step := q.span.Bucket(90)
	res, err := q.es.Search(ctx, of.stream, object{"size": 0, "query": of.query, "aggs": object{
		"failed": took["failed"], "took": took["took"],
		"over":  object{"date_histogram": q.overTime(step), "aggs": took},
		"names": object{"terms": object{"field": of.name, "size": 20}, "aggs": took},
	}})
	if err != nil {
		return Traffic{}, fmt.Errorf("count traffic: %w", err)
	}
	everything := measured{Count: res.Total}
	var over struct {
		Buckets []struct {
			Key float64 `json:"key"`
			measured
		} `json:"buckets"`
	}
	var names struct {
		Buckets []struct {
			Key string `json:"key"`
			measured
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"failed": &everything.Failed, "took": &everything.Took, "over": &over, "names": &names}); err != nil {
		return Traffic{}, fmt.Errorf("count traffic: %w", err)
	}
	t := Traffic{
		Total: res.Total, Failed: everything.Failed.Count, Rate: q.rate(res.Total),
		P50: everything.Took.at("50.0", of.units), P95: everything.Took.at("95.0", of.units), P99: everything.Took.at("99.0", of.units),
		Requests: page.NewChart("requests", "Requests a second", page.PerSecond, q.span), Latency: page.NewChart("latency", "Duration", page.Sec, q.span),
	}
	t.Requests.Stacked = true
	t.Requests.Series = []page.Series{{Name: "failed", Colour: page.Colour("errors")}, {Name: "healthy", Colour: page.Colour("requests")}}
	keys := []string{"50.0", "95.0", "99.0"}
	for _, name := range []string{"p50", "p95", "p99"} {
		t.Latency.Series = append(t.Latency.Series, page.Series{Name: name, Colour: page.Colour(name)})
	}
	for _, b := range over.Buckets {
		at := int64(b.Key / 1000)
		t.Requests.Times, t.Latency.Times = append(t.Requests.Times, at), append(t.Latency.Times, at)
		for i, n := range []int64{b.Failed.Count, b.Count - b.Failed.Count} {
			t.Requests.Series[i].Values = append(t.Requests.Series[i].Values, page.Value(float64(n)/step.Seconds()))
		}
		for i, key := range keys {
			t.Latency.Series[i].Values = append(t.Latency.Series[i].Values, b.Took.at(key, of.units))
		}
	}
	for _, b := range names.Buckets {
		t.Names = append(t.Names, Kind{b.Key, b.Count, b.Failed.Count, b.Took.at("50.0", of.units), b.Took.at("95.0", of.units)})
	}
	return t, nil
}

// Cache is how many of the answers that can be cached came from the cache.
type Cache struct {
	Hits  int64      `json:"hits"`
	Total int64      `json:"total"`
	Over  page.Chart `json:"over_time"`
}

// HitRate is the share that came from the cache.
func (c Cache) HitRate() float64 { return float64(c.Hits) / float64(max(c.Total, 1)) }

// cache reads the header by which feed says where an answer came from.
func (q queries) cache(ctx context.Context, of subject) (Cache, error) {
	const source = "http.response.headers.X-Source"
	step := q.span.Bucket(60)
	hits := object{"hits": object{"filter": term(source, "cache")}}
	res, err := q.es.Search(ctx, of.stream, object{
		"size": 0, "query": object{"bool": object{"filter": []any{of.query, object{"terms": object{source: []string{"cache", "mongodb"}}}}}},
		"aggs": object{"hits": hits["hits"], "over": object{"date_histogram": q.overTime(step), "aggs": hits}},
	})
	if err != nil {
		return Cache{}, fmt.Errorf("count cache hits: %w", err)
	}
	var found counted
	var over struct {
		Buckets []struct {
			Key   float64 `json:"key"`
			Count int64   `json:"doc_count"`
			Hits  counted `json:"hits"`
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"hits": &found, "over": &over}); err != nil {
		return Cache{}, fmt.Errorf("count cache hits: %w", err)
	}
	c := Cache{Hits: found.Count, Total: res.Total, Over: page.NewChart("cache", "Answers from the cache", page.Share, q.span)}
	s := page.Series{Name: "hit rate", Colour: page.Colour("good")}
	for _, b := range over.Buckets {
		c.Over.Times = append(c.Over.Times, int64(b.Key/1000))
		var v *float64
		if b.Count > 0 {
			v = page.Value(float64(b.Hits.Count) / float64(b.Count))
		}
		s.Values = append(s.Values, v)
	}
	c.Over.Series = []page.Series{s}
	return c, nil
}
