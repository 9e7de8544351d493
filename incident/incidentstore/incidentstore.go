// Package incidentstore keeps incidents and changes in Elasticsearch.
package incidentstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/incident"
	"pharos/internal/fault"
	"pharos/watcher/esdoc"
)

// The indices.
const (
	incidentsIndex = "pharos-incidents"
	changesIndex   = "pharos-changes"
)

const defaultLimit = 1000

// Store implements incident.Store.
type Store struct{ Elasticsearch esdoc.Elasticsearch }

func (s *Store) index(name string) esdoc.Index {
	return esdoc.Index{Elasticsearch: s.Elasticsearch, Name: name}
}

// doc is an incident as it is stored; kind tells it from a claim.
type doc struct {
	Kind string `json:"kind"`
	incident.Incident
}

// claim says to which incident an episode belongs.
type claim struct {
	Kind     string `json:"kind"`
	Incident string `json:"incident"`
}

// Incident reads an incident; fault.NotFound.
func (s *Store) Incident(ctx context.Context, id string) (incident.Stored, error) {
	var d doc
	revision, err := s.index(incidentsIndex).Get(ctx, id, &d)
	if err != nil {
		return incident.Stored{}, err
	}
	if d.Kind != "incident" {
		return incident.Stored{}, fault.New(fault.NotFound, "There is no such incident.")
	}
	return incident.Stored{Incident: d.Incident, Revision: incident.Revision(revision)}, nil
}

// Save writes an incident if it still has its revision: fault.Conflict.
func (s *Store) Save(ctx context.Context, i incident.Stored) (incident.Revision, error) {
	revision, err := s.index(incidentsIndex).Put(ctx, i.ID, doc{"incident", i.Incident}, esdoc.Revision(i.Revision))
	return incident.Revision(revision), err
}

// Incidents returns the incidents of a filter, the latest first.
func (s *Store) Incidents(ctx context.Context, f incident.Filter) ([]incident.Stored, error) {
	conditions := []map[string]any{esdoc.Term("kind", "incident")}
	if f.State != "" {
		conditions = append(conditions, esdoc.Term("state", f.State))
	}
	if !f.Since.IsZero() || len(f.Keys) > 0 {
		either := []map[string]any{esdoc.Term("state", incident.Open)}
		if !f.Since.IsZero() {
			either = append(either, between("closed_at", f.Since, time.Time{}))
		}
		if len(f.Keys) > 0 {
			either = append(either, esdoc.Terms("alerts.key", f.Keys))
		}
		conditions = append(conditions, esdoc.Any(either...))
	}
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	body := map[string]any{
		"query": esdoc.Filter(conditions...), "size": f.Limit,
		"sort": []any{map[string]any{"started_at": "desc"}, map[string]any{"id": "asc"}},
	}
	if f.After != "" {
		last, err := s.Incident(ctx, f.After)
		if err != nil {
			return nil, fmt.Errorf("incidents after %s: %w", f.After, err)
		}
		body["search_after"] = []any{last.StartedAt.UnixMilli(), last.ID}
	}
	hits, err := s.index(incidentsIndex).Search(ctx, body)
	if err != nil {
		return nil, err
	}
	list := make([]incident.Stored, 0, len(hits))
	for _, h := range hits {
		var d doc
		if err := json.Unmarshal(h.Source, &d); err != nil {
			return nil, fmt.Errorf("read incidents: %w", err)
		}
		list = append(list, incident.Stored{Incident: d.Incident, Revision: incident.Revision(h.Revision())})
	}
	return list, nil
}

// Claim gives an episode to an incident unless another has it, and returns which
// one has it.
func (s *Store) Claim(ctx context.Context, key, id string) (string, error) {
	index := s.index(incidentsIndex)
	_, err := index.Put(ctx, "claim-"+key, claim{"claim", id}, esdoc.Revision{})
	if err == nil || !fault.Is(err, fault.Conflict) {
		return id, err
	}
	var c claim
	if _, err := index.Get(ctx, "claim-"+key, &c); err != nil {
		return "", err
	}
	return c.Incident, nil
}

// SaveChange keeps a new change; fault.Conflict if its ID is taken.
func (s *Store) SaveChange(ctx context.Context, c incident.Change) error {
	_, err := s.index(changesIndex).Put(ctx, c.ID, c, esdoc.Revision{})
	return err
}

// Changes returns the changes from a time to another, the latest first.
func (s *Store) Changes(ctx context.Context, from, to time.Time, limit int) ([]incident.Change, error) {
	hits, err := s.index(changesIndex).Search(ctx, map[string]any{
		"query": esdoc.Filter(between("at", from, to)), "size": limit,
		"sort": []any{map[string]any{"at": "desc"}, map[string]any{"id": "asc"}},
	})
	if err != nil {
		return nil, err
	}
	list := make([]incident.Change, 0, len(hits))
	for _, h := range hits {
		var c incident.Change
		if err := json.Unmarshal(h.Source, &c); err != nil {
			return nil, fmt.Errorf("read changes: %w", err)
		}
		list = append(list, c)
	}
	return list, nil
}

// between is a condition on a time: not before from, and before to unless that is
// zero.
func between(field string, from, to time.Time) map[string]any {
	limits := map[string]any{"gte": from.UTC().Format(time.RFC3339Nano)}
	if !to.IsZero() {
		limits["lt"] = to.UTC().Format(time.RFC3339Nano)
	}
	return map[string]any{"range": map[string]any{field: limits}}
}
