package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// TrafficStream holds one document for each request that nginx answered.
const TrafficStream = "logs-nginx.access-default"

// Window is a span of time: From is inside, To is not, so that neighbouring
// windows share no request. Elasticsearch keeps milliseconds; finer parts of
// both are dropped. A zero time leaves that side open.
type Window struct{ From, To time.Time }

// Last is the window of the given length that ends at now.
func Last(d time.Duration, now time.Time) Window { return Window{From: now.Add(-d), To: now} }

// TrafficFilter narrows traffic down. The zero value is all traffic.
type TrafficFilter struct {
	Route   string // http.route, as in "/v1/feed"; "other" for unmatched paths
	Region  string // cloud.region
	Service string // service.name of the front door that logged the request
	// Stream is where the requests are; empty means TrafficStream.
	Stream string
}

// Query is a query of Elasticsearch's query language, ready to be encoded.
type Query map[string]any

// Traffic is the one definition of traffic: the requests in the window that
// nginx logged, without those of probes (labels.probe: true, which nginx sets
// for Heartbeat and health checks). It is to be run on f's stream. Watches,
// objectives, pages and dashboards ask this same question.
//
// A request belongs to the time at which nginx finished it, and counts once,
// whatever nginx tried upstream.
func Traffic(w Window, f TrafficFilter) Query {
	filter := []Query{}
	if r := w.bounds(); len(r) > 0 {
		filter = append(filter, Query{"range": Query{"@timestamp": r}})
	}
	for _, t := range []struct{ field, value string }{
		{"http.route", f.Route}, {"cloud.region", f.Region}, {"service.name", f.Service},
	} {
		if t.value != "" {
			filter = append(filter, Query{"term": Query{t.field: t.value}})
		}
	}
	return Query{"bool": Query{
		"filter":   filter,
		"must_not": []Query{{"term": Query{"labels.probe": "true"}}},
	}}
}

func (w Window) bounds() Query {
	q := Query{}
	const millis = "2006-01-02T15:04:05.000Z07:00"
	if !w.From.IsZero() {
		q["gte"] = w.From.UTC().Truncate(time.Millisecond).Format(millis)
	}
	if !w.To.IsZero() {
		q["lt"] = w.To.UTC().Truncate(time.Millisecond).Format(millis)
	}
	return q
}

func (f TrafficFilter) stream() string {
	if f.Stream == "" {
		return TrafficStream
	}
	return f.Stream
}

// Availability is how much of the traffic was answered without a fault of
// ours.
type Availability struct {
	Total int64 // requests
	Bad   int64 // those answered with a status from 500 to 599
	// Ratio is (Total − Bad) / Total; 0 without meaning where NoData is set.
	Ratio float64
	// NoData is set where there was no traffic. That is neither up nor down.
	NoData bool
}

// Availability counts the traffic of the window. A client that hung up (499)
// or was refused (4xx, 429 included) is not our fault; a request whose status
// could not be read counts as traffic, and not as bad. Requests count once
// Elasticsearch has refreshed the stream, within about a second of indexing.
func (c *Client) Availability(ctx context.Context, w Window, f TrafficFilter) (Availability, error) {
	res, err := c.Search(ctx, f.stream(), Query{
		"size":  0,
		"query": Traffic(w, f),
		"aggs": Query{"bad": Query{"filter": Query{"range": Query{
			"http.response.status_code": Query{"gte": 500, "lte": 599},
		}}}},
	})
	if err != nil {
		return Availability{}, fmt.Errorf("count traffic: %w", err)
	}
	var bad struct {
		DocCount int64 `json:"doc_count"`
	}
	// A stream that does not exist yet has no aggregations in its answer.
	if raw, ok := res.Aggregations["bad"]; ok {
		if err := json.Unmarshal(raw, &bad); err != nil {
			return Availability{}, fmt.Errorf("count traffic: %w", err)
		}
	}
	return availability(res.Total, bad.DocCount), nil
}

func availability(total, bad int64) Availability {
	if total == 0 {
		return Availability{NoData: true}
	}
	return Availability{Total: total, Bad: bad, Ratio: float64(total-bad) / float64(total)}
}
