// Package esdoc keeps documents in Elasticsearch that any number of processes
// share: a write is a compare-and-set by sequence number, and is searchable when
// it returns.
package esdoc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"pharos/internal/fault"
	"pharos/watcher/document"
)

// Elasticsearch is what is asked of it; elastic.Client has it.
type Elasticsearch interface {
	Do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error)
}

// Revision names a stored document's state, as Elasticsearch does; the zero one
// is that of a document that is not there.
type Revision struct{ SeqNo, PrimaryTerm int64 }

// Index is one index.
type Index struct {
	Elasticsearch Elasticsearch
	Name          string
}

// Put writes a document if it still has the revision: fault.Conflict.
func (x Index) Put(ctx context.Context, id string, doc any, r Revision) (Revision, error) {
	path := "/" + x.Name + "/_create/" + url.PathEscape(id) + "?refresh=true"
	if r != (Revision{}) {
		path = fmt.Sprintf("/%s/_doc/%s?refresh=true&if_seq_no=%d&if_primary_term=%d", x.Name, url.PathEscape(id), r.SeqNo, r.PrimaryTerm)
	}
	var answer struct {
		SeqNo       int64 `json:"_seq_no"`
		PrimaryTerm int64 `json:"_primary_term"`
	}
	if err := x.call(ctx, http.MethodPut, path, doc, &answer); err != nil {
		return Revision{}, fmt.Errorf("write %s: %w", x.Name, err)
	}
	return Revision{SeqNo: answer.SeqNo, PrimaryTerm: answer.PrimaryTerm}, nil
}

// Hit is a document as Elasticsearch returns it.
type Hit struct {
	SeqNo       int64           `json:"_seq_no"`
	PrimaryTerm int64           `json:"_primary_term"`
	Source      json.RawMessage `json:"_source"`
}

// Revision is the document's.
func (h Hit) Revision() Revision { return Revision{SeqNo: h.SeqNo, PrimaryTerm: h.PrimaryTerm} }

// Get reads a document as it is now; fault.NotFound.
func (x Index) Get(ctx context.Context, id string, into any) (Revision, error) {
	var h Hit
	if err := x.call(ctx, http.MethodGet, "/"+x.Name+"/_doc/"+url.PathEscape(id), nil, &h); err != nil {
		return Revision{}, fmt.Errorf("read %s: %w", x.Name, err)
	}
	if err := json.Unmarshal(h.Source, into); err != nil {
		return Revision{}, fmt.Errorf("read %s: %w", x.Name, err)
	}
	return h.Revision(), nil
}

// Delete removes a document; fault.NotFound.
func (x Index) Delete(ctx context.Context, id string) error {
	var answer struct{}
	if err := x.call(ctx, http.MethodDelete, "/"+x.Name+"/_doc/"+url.PathEscape(id)+"?refresh=true", nil, &answer); err != nil {
		return fmt.Errorf("delete from %s: %w", x.Name, err)
	}
	return nil
}

// Search returns the hits of a query; an index that is not there has none.
func (x Index) Search(ctx context.Context, body map[string]any) ([]Hit, error) {
	body["seq_no_primary_term"] = true
	var answer struct {
		Hits struct {
			Hits []Hit `json:"hits"`
		} `json:"hits"`
	}
	err := x.call(ctx, http.MethodPost, "/"+x.Name+"/_search?allow_partial_search_results=false", body, &answer)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", x.Name, err)
	}
	return answer.Hits.Hits, nil
}

// call sends in and reads the answer into out. 404 is fault.NotFound, 409
// fault.Conflict; an Elasticsearch that is away or busy is fault.Unavailable.
func (x Index) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	status, answer, err := x.Elasticsearch.Do(ctx, method, path, body)
	switch {
	case err != nil && ctx.Err() == nil:
		return fmt.Errorf("%w: %w", fault.New(fault.Unavailable, "Elasticsearch does not answer."), err)
	case err != nil:
		return err
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %w", fault.New(fault.Unavailable, "Elasticsearch is busy."), document.AnsweredError(status, answer))
	case status == http.StatusNotFound:
		return fault.New(fault.NotFound, "There is no such document.")
	case status == http.StatusConflict:
		return fault.New(fault.Conflict, "The document has changed.")
	case status >= http.StatusMultipleChoices:
		return document.AnsweredError(status, answer)
	}
	return json.Unmarshal(answer, out)
}

// Term is one condition of a query.
func Term(field string, value any) map[string]any {
	return map[string]any{"term": map[string]any{field: value}}
}

// Terms is a condition that any of the values meets.
func Terms(field string, values any) map[string]any {
	return map[string]any{"terms": map[string]any{field: values}}
}

// Filter is a query for what meets all conditions.
func Filter(conditions ...map[string]any) map[string]any {
	return map[string]any{"bool": map[string]any{"filter": conditions}}
}

// Any is a condition that holds where one of others does.
func Any(conditions ...map[string]any) map[string]any {
	return map[string]any{"bool": map[string]any{"should": conditions, "minimum_should_match": 1}}
}

// ID is an id of any text, as one that Elasticsearch takes.
func ID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
