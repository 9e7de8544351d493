package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"pharos/console/page"
	"pharos/internal/fault"
)

// Problem is errors that are alike.
type Problem struct {
	Message string    `json:"message"`
	Culprit string    `json:"culprit"`
	Count   int64     `json:"count"`
	Last    time.Time `json:"last_seen"`
	Trace   string    `json:"trace_id"` // the last one's
	Event   string    `json:"event_id"`
}

// problems are the most frequent errors that the agents caught, by the key that
// they are grouped by.
func (q queries) problems(ctx context.Context, service, instance string) ([]Problem, error) {
	filters := []object{term("service.name", service), within(q.span)}
	if instance != "" {
		filters = append(filters, term("service.node.name", instance))
	}
	res, err := q.es.Search(ctx, errorStream, object{
		"size": 0, "query": all(filters...),
		"aggs": object{"groups": object{"terms": object{"field": "error.grouping_key", "size": 10}, "aggs": object{
			"last": object{"max": object{"field": "@timestamp"}},
			"one": object{"top_hits": object{
				"size": 1, "sort": []object{{"@timestamp": "desc"}},
				"_source": []string{"message", "error.culprit", "error.grouping_name", "error.exception.message", "error.log.message", "trace.id", "parent.id"},
			}},
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("read errors: %w", err)
	}
	var groups struct {
		Buckets []struct {
			Count int64  `json:"doc_count"`
			Last  moment `json:"last"`
			One   struct {
				Hits struct {
					Hits []struct {
						Source json.RawMessage `json:"_source"`
					} `json:"hits"`
				} `json:"hits"`
			} `json:"one"`
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"groups": &groups}); err != nil {
		return nil, fmt.Errorf("read errors: %w", err)
	}
	var found []Problem
	for _, b := range groups.Buckets {
		p := Problem{Count: b.Count, Last: b.Last.time()}
		for _, h := range b.One.Hits.Hits {
			var d struct {
				Message string `json:"message"`
				Error   struct {
					Culprit   string `json:"culprit"`
					Name      string `json:"grouping_name"`
					Exception []struct {
						Message string `json:"message"`
					} `json:"exception"`
					Log struct {
						Message string `json:"message"`
					} `json:"log"`
				} `json:"error"`
				Trace  struct{ ID string } `json:"trace"`
				Parent struct{ ID string } `json:"parent"`
			}
			if err := json.Unmarshal(h.Source, &d); err != nil {
				return nil, fmt.Errorf("decode error: %w", err)
			}
			p.Message, p.Culprit, p.Trace, p.Event = d.Message, d.Error.Culprit, d.Trace.ID, d.Parent.ID
			if len(d.Error.Exception) > 0 && d.Error.Exception[0].Message != "" {
				p.Message = d.Error.Exception[0].Message
			}
			for _, other := range []string{d.Error.Log.Message, d.Error.Name} {
				if p.Message == "" {
					p.Message = other
				}
			}
		}
		found = append(found, p)
	}
	return found, nil
}

// Change is what somebody recorded that they changed.
type Change struct {
	Kind    string    `json:"kind"`
	Service string    `json:"service"`
	Version string    `json:"version"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
}

// changes are those of the service, and those of no service in particular. A
// watcher that keeps none has none.
func (s Services) changes(ctx context.Context, r *page.Request, service string) ([]Change, error) {
	var answer struct {
		Items []Change `json:"items"`
	}
	q := url.Values{"from": {r.Span.From.UTC().Format(time.RFC3339)}, "to": {r.Span.To.UTC().Format(time.RFC3339)}, "limit": {"100"}}
	err := s.Watcher.Call(ctx, r.Reader.Authorization, http.MethodGet, "/v1/changes?"+q.Encode(), nil, &answer)
	var known *fault.Error
	if errors.As(err, &known) && known.Code == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Change
	for _, c := range answer.Items {
		if c.Service == "" || c.Service == service {
			found = append(found, c)
		}
	}
	return found, nil
}
