package signals

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/elastic"
)

// Stream names.
const (
	verdicts     = "metrics-pharos-default"
	apiLog       = "logs-pharos-default"
	transactions = "traces-apm-default"
)

// Elasticsearch is what documents are counted in and verdicts are written to;
// elastic.Client is one.
type Elasticsearch interface {
	Search(ctx context.Context, target string, body any) (*elastic.SearchResult, error)
	Create(ctx context.Context, target string, documents []elastic.Document) (elastic.CreateResult, error)
}

// Store implements [Documents]. It knows the documents of one environment and
// region: those whose counters can be read from here.
type Store struct {
	Elasticsearch       Elasticsearch
	Environment, Region string
	Interval            time.Duration // of windows
}

// where says which documents a stream has.
func (s *Store) where(stream Stream) (target string, filter []elastic.Query) {
	term := func(field string, value any) elastic.Query {
		return elastic.Query{"term": elastic.Query{field: value}}
	}
	exists := func(field string) elastic.Query { return elastic.Query{"exists": elastic.Query{"field": field}} }
	filter = []elastic.Query{term("service.name", stream.Service), term("service.environment", s.Environment), term("cloud.region", s.Region)}
	switch stream.Name {
	case "api.log": // the access log's lines: no other has both
		return apiLog, append(filter, exists("http.route"), exists("http.response.status_code"))
	case "api.transactions":
		return transactions, append(filter, term("processor.event", "transaction"), term("transaction.type", "request"))
	case "api.requests":
		return elastic.TrafficStream, append(filter, exists("trace.id"))
	}
	return elastic.TrafficStream, filter
}

// Count implements [Documents].
func (s *Store) Count(ctx context.Context, stream Stream, from, to time.Time) (int64, error) {
	target, filter := s.where(stream)
	r, err := s.Elasticsearch.Search(ctx, target, elastic.Query{
		"size": 0, "query": all(append(filter, between(from, to))),
	})
	if err != nil {
		return 0, fmt.Errorf("count documents: %w", err)
	}
	return r.Total, nil
}

// lately is how far back an instance counts as one that sends.
const lately = 10 * time.Minute

// Behind implements [Documents].
func (s *Store) Behind(ctx context.Context, stream Stream, to time.Time) (bool, error) {
	target, filter := s.where(stream)
	r, err := s.Elasticsearch.Search(ctx, target, elastic.Query{
		"size":  0,
		"query": all(append(filter, between(to.Add(-lately), time.Time{}))),
		"aggs": elastic.Query{"instances": elastic.Query{
			"terms": elastic.Query{"field": "service.node.name", "size": 1000},
			"aggs":  elastic.Query{"since": elastic.Query{"filter": between(to, time.Time{})}},
		}},
	})
	if err != nil {
		return false, fmt.Errorf("look for later documents: %w", err)
	}
	raw, ok := r.Aggregations["instances"]
	if !ok { // the stream is not there yet
		return true, nil
	}
	var instances struct {
		Buckets []struct {
			Since struct {
				Count int64 `json:"doc_count"`
			} `json:"since"`
		} `json:"buckets"`
	}
	if err := json.Unmarshal(raw, &instances); err != nil {
		return false, fmt.Errorf("look for later documents: %w", err)
	}
	for _, b := range instances.Buckets {
		if b.Since.Count == 0 {
			return true, nil
		}
	}
	return len(instances.Buckets) == 0, nil
}

func all(filter []elastic.Query) elastic.Query {
	return elastic.Query{"bool": elastic.Query{"filter": filter}}
}

func between(from, to time.Time) elastic.Query {
	r := elastic.Query{"gte": stamp(from)}
	if !to.IsZero() {
		r["lt"] = stamp(to)
	}
	return elastic.Query{"range": elastic.Query{"@timestamp": r}}
}

// stamp is a time as Elasticsearch keeps it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// body is a verdict's document.
type body struct {
	At          string  `json:"@timestamp"` // the window's end
	ECS         string  `json:"ecs.version"`
	Service     string  `json:"service.name"`
	Environment string  `json:"service.environment"`
	Region      string  `json:"cloud.region"`
	Type        string  `json:"data_stream.type"`
	Dataset     string  `json:"data_stream.dataset"`
	Namespace   string  `json:"data_stream.namespace"`
	Stream      string  `json:"signals.stream"`
	From        string  `json:"event.start"`
	To          string  `json:"event.end"`
	Counted     float64 `json:"signals.counted"`
	Found       float64 `json:"signals.found"`
	Lost        float64 `json:"signals.lost"`
	Share       float64 `json:"signals.lost_share"`
	Partial     bool    `json:"signals.partial"`
}

// Write implements [Documents]. A verdict's id is made of its stream and the
// interval in which its window ended: windows of two processes overlap, and one
// document is right for each.
func (s *Store) Write(ctx context.Context, list []Verdict) error {
	documents := make([]elastic.Document, len(list))
	for i, v := range list {
		text, err := json.Marshal(body{
			At: stamp(v.To), ECS: "8.11.0", Service: v.Stream.Service, Environment: s.Environment, Region: s.Region,
			Type: "metrics", Dataset: "pharos", Namespace: "default",
			Stream: v.Stream.Name, From: stamp(v.From), To: stamp(v.To),
			Counted: v.Counted, Found: v.Found, Lost: v.Lost(), Share: v.Share(), Partial: v.Partial,
		})
		if err != nil {
			return fmt.Errorf("encode verdict: %w", err)
		}
		documents[i] = elastic.Document{
			ID:   fmt.Sprintf("signals|%s|%s|%s|%d", s.Environment, s.Region, v.Stream.Name, v.To.Truncate(s.Interval).Unix()),
			Body: text,
		}
	}
	r, err := s.Elasticsearch.Create(ctx, verdicts, documents)
	if err != nil {
		return err
	}
	if len(r.Refused) > 0 {
		return fmt.Errorf("%s was refused: %s", r.Refused[0].ID, r.Refused[0].Reason)
	}
	return nil
}
