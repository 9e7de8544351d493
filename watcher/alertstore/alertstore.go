// Package alertstore keeps alerts, silences and the outbox in Elasticsearch. A
// write is a compare-and-set by sequence number and is searchable when it
// returns, so that any number of processes can share what is kept.
package alertstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/outbox"
)

// The indices.
const (
	outboxIndex   = "pharos-outbox"
	alertsIndex   = "pharos-alerts"
	silencesIndex = "pharos-silences"
)

// Store implements alerting.Store and outbox.Store.
type Store struct{ Elasticsearch watcher.Elasticsearch }

// put writes a document: with the zero revision only if there is none.
func (s *Store) put(ctx context.Context, index, id string, doc any, r outbox.Revision) (outbox.Revision, error) {
	path := "/" + index + "/_create/" + url.PathEscape(id) + "?refresh=true"
	if r != (outbox.Revision{}) {
		path = fmt.Sprintf("/%s/_doc/%s?refresh=true&if_seq_no=%d&if_primary_term=%d", index, url.PathEscape(id), r.SeqNo, r.PrimaryTerm)
	}
	var answer struct {
		SeqNo       int64 `json:"_seq_no"`
		PrimaryTerm int64 `json:"_primary_term"`
	}
	if err := s.call(ctx, http.MethodPut, path, doc, &answer); err != nil {
		return outbox.Revision{}, fmt.Errorf("write %s: %w", index, err)
	}
	return outbox.Revision{SeqNo: answer.SeqNo, PrimaryTerm: answer.PrimaryTerm}, nil
}

// hit is a document as Elasticsearch returns it.
type hit struct {
	Found       bool            `json:"found"`
	SeqNo       int64           `json:"_seq_no"`
	PrimaryTerm int64           `json:"_primary_term"`
	Source      json.RawMessage `json:"_source"`
}

func (h hit) revision() outbox.Revision {
	return outbox.Revision{SeqNo: h.SeqNo, PrimaryTerm: h.PrimaryTerm}
}

// get reads a document as it is now; fault.NotFound.
func (s *Store) get(ctx context.Context, index, id string, into any) (outbox.Revision, error) {
	var h hit
	if err := s.call(ctx, http.MethodGet, "/"+index+"/_doc/"+url.PathEscape(id), nil, &h); err != nil {
		return outbox.Revision{}, fmt.Errorf("read %s: %w", index, err)
	}
	if err := json.Unmarshal(h.Source, into); err != nil {
		return outbox.Revision{}, fmt.Errorf("read %s: %w", index, err)
	}
	return h.revision(), nil
}

// search returns the hits of a query; an index that is not there has none.
func (s *Store) search(ctx context.Context, index string, body map[string]any) ([]hit, error) {
	body["seq_no_primary_term"] = true
	var answer struct {
		Hits struct {
			Hits []hit `json:"hits"`
		} `json:"hits"`
	}
	err := s.call(ctx, http.MethodPost, "/"+index+"/_search?allow_partial_search_results=false", body, &answer)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", index, err)
	}
	return answer.Hits.Hits, nil
}

// call sends in and reads the answer into out. 404 is fault.NotFound, 409
// fault.Conflict.
func (s *Store) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	status, answer, err := s.Elasticsearch.Do(ctx, method, path, body)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound:
		return fault.New(fault.NotFound, "There is no such document.")
	case status == http.StatusConflict:
		return fault.New(fault.Conflict, "The document has changed.")
	case status >= http.StatusMultipleChoices:
		return document.AnsweredError(status, answer)
	}
	return json.Unmarshal(answer, out)
}

// term is one condition of a query.
func term(field string, value any) map[string]any {
	return map[string]any{"term": map[string]any{field: value}}
}

func filter(conditions ...map[string]any) map[string]any {
	return map[string]any{"bool": map[string]any{"filter": conditions}}
}

// docID is an id of any text, as one that Elasticsearch takes.
func docID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
