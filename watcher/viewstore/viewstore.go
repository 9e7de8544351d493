// Package viewstore keeps the views of the console that people saved, in
// Elasticsearch.
package viewstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"pharos/internal/fault"
	"pharos/watcher/esdoc"
)

const index = "pharos-views"

// View is a page's state, as its URL's query has it, under a name.
type View struct {
	Page    string    `json:"page"`
	Name    string    `json:"name"`
	Owner   string    `json:"owner"`
	Query   string    `json:"query"`
	Shared  bool      `json:"shared"` // everybody who signs in may see it
	SavedAt time.Time `json:"saved_at"`
}

// MostViews is how many views of a page one person may have; List returns as many
// of others.
const MostViews = 200

// Store keeps views.
type Store struct{ Elasticsearch esdoc.Elasticsearch }

func (s *Store) index() esdoc.Index {
	return esdoc.Index{Elasticsearch: s.Elasticsearch, Name: index}
}

func id(owner, page, name string) string { return esdoc.ID(owner + "\x00" + page + "\x00" + name) }

// List returns the views of a page that a person may see, by name: that person's,
// and those that others share.
func (s *Store) List(ctx context.Context, page, person string) ([]View, error) {
	own, err := s.search(ctx, esdoc.Term("page", page), esdoc.Term("owner", person))
	if err != nil {
		return nil, err
	}
	shared, err := s.search(ctx, esdoc.Term("page", page), esdoc.Term("shared", true))
	if err != nil {
		return nil, err
	}
	for _, v := range shared {
		if v.Owner != person {
			own = append(own, v)
		}
	}
	slices.SortFunc(own, func(a, b View) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Owner, b.Owner)) })
	return own, nil
}

// Find returns a person's view of a name, or else the one that was shared last;
// fault.NotFound.
func (s *Store) Find(ctx context.Context, page, name, person string) (View, error) {
	var v View
	_, err := s.index().Get(ctx, id(person, page, name), &v)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return v, err
	}
	shared, err := s.search(ctx, esdoc.Term("page", page), esdoc.Term("name", name), esdoc.Term("shared", true))
	switch {
	case err != nil:
		return v, err
	case len(shared) == 0:
		return v, fault.New(fault.NotFound, "There is no view of this name.")
	}
	return shared[0], nil
}

// search returns views, the latest first.
func (s *Store) search(ctx context.Context, conditions ...map[string]any) ([]View, error) {
	hits, err := s.index().Search(ctx, map[string]any{
		"query": esdoc.Filter(conditions...), "size": MostViews,
		"sort": []any{map[string]any{"saved_at": "desc"}, map[string]any{"name": "asc"}, map[string]any{"owner": "asc"}},
	})
	if err != nil {
		return nil, err
	}
	views := make([]View, 0, len(hits))
	for _, h := range hits {
		var v View
		if err := json.Unmarshal(h.Source, &v); err != nil {
			return nil, fmt.Errorf("read views: %w", err)
		}
		views = append(views, v)
	}
	return views, nil
}

// Save keeps a view in place of its owner's former one of the name.
// fault.LimitExceeded if its owner has MostViews of the page, fault.Conflict if it
// is saved by another call just now.
func (s *Store) Save(ctx context.Context, v View) error {
	var former View
	revision, err := s.index().Get(ctx, id(v.Owner, v.Page, v.Name), &former)
	switch {
	case fault.Is(err, fault.NotFound):
		own, err := s.search(ctx, esdoc.Term("page", v.Page), esdoc.Term("owner", v.Owner))
		if err != nil {
			return err
		}
		if len(own) >= MostViews {
			return fault.New(fault.LimitExceeded, "You have %d views of this page: delete some.", MostViews)
		}
	case err != nil:
		return err
	}
	_, err = s.index().Put(ctx, id(v.Owner, v.Page, v.Name), v, revision)
	return err
}

// Delete removes a person's own view; fault.NotFound.
func (s *Store) Delete(ctx context.Context, page, name, person string) error {
	return s.index().Delete(ctx, id(person, page, name))
}
