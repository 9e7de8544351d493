package esstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
)

// Query answers _watcher/_query/watches. What can be searched: _id, metadata.*
// as Elasticsearch maps it by its values, and status.state.active,
// status.state.timestamp, status.last_checked, status.last_met_condition,
// status.execution_state and status.version.
func (s *Store) Query(ctx context.Context, body *document.Object) (int64, []watcher.Stored, error) {
	search := document.NewObject(
		document.Pair{Key: "seq_no_primary_term", Value: true}, document.Pair{Key: "version", Value: true},
		document.Pair{Key: "track_total_hits", Value: true})
	for key, v := range body.All() {
		search.Set(key, v)
	}
	var answer struct {
		Hits struct {
			Total struct {
				Value int64 `json:"value"`
			} `json:"total"`
			Hits []hit `json:"hits"`
		} `json:"hits"`
	}
	if err := s.call(ctx, http.MethodPost, "/"+watchesIndex+"/_search?ignore_unavailable=true", search, &answer); err != nil {
		return 0, nil, err
	}
	found := make([]watcher.Stored, 0, len(answer.Hits.Hits))
	for _, h := range answer.Hits.Hits {
		stored, _, err := h.watch()
		if err != nil {
			return 0, nil, err
		}
		found = append(found, stored)
	}
	return answer.Hits.Total.Value, found, nil
}

// listed is how many watches one call lists.
const listed = 10000

// List names all watches, each with the sequence number of its last write. Writes
// of the last second may be missing, unless they were made by the API.
func (s *Store) List(ctx context.Context) (map[string]int64, error) {
	list := map[string]int64{}
	body := map[string]any{
		"size": listed, "_source": false, "seq_no_primary_term": true, "track_total_hits": false,
		"sort": []any{map[string]any{"_seq_no": "asc"}},
	}
	for {
		var answer struct {
			Hits struct {
				Hits []hit `json:"hits"`
			} `json:"hits"`
		}
		err := s.call(ctx, http.MethodPost, "/"+watchesIndex+"/_search?ignore_unavailable=true&allow_partial_search_results=false&filter_path=hits.hits._id,hits.hits._seq_no", body, &answer)
		if err != nil {
			return nil, fmt.Errorf("list watches: %w", err)
		}
		hits := answer.Hits.Hits
		for _, h := range hits {
			list[h.ID] = h.SeqNo
		}
		if len(hits) < listed {
			return list, nil
		}
		body["search_after"] = []any{hits[len(hits)-1].SeqNo}
	}
}

// loaded is how many watches one call reads.
const loaded = 200

// Load reads watches as they are now. Those that are gone are left out; one that
// can't be read is reported and left out.
func (s *Store) Load(ctx context.Context, ids []string, report func(error)) ([]watcher.Stored, error) {
	var all []watcher.Stored
	for len(ids) > 0 {
		some := ids[:min(len(ids), loaded)]
		ids = ids[len(some):]
		var answer struct {
			Docs []hit `json:"docs"`
		}
		err := s.call(ctx, http.MethodPost, "/"+watchesIndex+"/_mget", map[string]any{"ids": some}, &answer)
		if err != nil {
			return nil, fmt.Errorf("load watches: %w", err)
		}
		for _, h := range answer.Docs {
			if !h.Found {
				continue
			}
			stored, _, err := h.watch()
			if err != nil {
				report(err)
				continue
			}
			all = append(all, stored)
		}
	}
	return all, nil
}

// Shipped returns the hash of the file that a watch came from, empty if people
// wrote or changed it; fault.NotFound.
func (s *Store) Shipped(ctx context.Context, id string) (watcher.Stored, string, error) {
	stored, doc, err := s.get(ctx, id)
	return stored, doc.Shipped, err
}

// PutShipped writes a watch that came from a file, unless it has changed since it
// was read (nil: was not there): fault.Conflict.
func (s *Store) PutShipped(ctx context.Context, id string, source *document.Object, status watcher.Status, hash string, was *watcher.Stored) (watcher.Stored, error) {
	cond, opType := watcher.Precondition{}, "create"
	if was != nil {
		cond, opType = watcher.Precondition{SeqNo: &was.SeqNo, PrimaryTerm: &was.PrimaryTerm}, ""
	}
	stored, _, err := s.put(ctx, id, source, status, cond, hash, opType)
	return stored, err
}

// StoredScript returns the source of a stored mustache script.
func (s *Store) StoredScript(ctx context.Context, id string) (string, error) {
	var found struct {
		Script struct {
			Source json.RawMessage `json:"source"`
		} `json:"script"`
	}
	err := s.call(ctx, http.MethodGet, "/_scripts/"+url.PathEscape(id), nil, &found)
	if fault.Is(err, fault.NotFound) {
		return "", document.NewError(http.StatusNotFound, "resource_not_found_exception", "unable to find script ["+id+"] in cluster state")
	}
	if err != nil {
		return "", err
	}
	var text string
	if json.Unmarshal(found.Script.Source, &text) != nil {
		text = string(found.Script.Source)
	}
	return text, nil
}
