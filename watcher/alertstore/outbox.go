package alertstore

import (
	"context"
	"encoding/json"
	"fmt"

	"pharos/watcher/esdoc"
	"pharos/watcher/outbox"
)

// entry is an outbox entry as it is stored: the body as text, since its fields
// are nobody's to search, and the time of creation in nanoseconds as the order.
type entry struct {
	outbox.Entry
	Body  string `json:"body"`
	Order int64  `json:"order"`
}

func newEntry(e outbox.Entry) entry {
	return entry{Entry: e, Body: string(e.Body), Order: e.CreatedAt.UnixNano()}
}

// Create keeps a new entry; fault.Conflict if its ID is known.
func (s *Store) Create(ctx context.Context, e outbox.Entry) (outbox.Revision, error) {
	return s.put(ctx, outboxIndex, esdoc.ID(e.ID), newEntry(e), outbox.Revision{})
}

// Update replaces an entry; fault.Conflict if it has changed.
func (s *Store) Update(ctx context.Context, e outbox.Entry) (outbox.Revision, error) {
	return s.put(ctx, outboxIndex, esdoc.ID(e.ID), newEntry(e), e.Revision)
}

// Waiting returns pending entries, oldest first.
func (s *Store) Waiting(ctx context.Context, key string, limit int) ([]outbox.Entry, error) {
	query := esdoc.Filter(esdoc.Term("state", outbox.Pending))
	if key != "" {
		query = esdoc.Filter(esdoc.Term("state", outbox.Pending), esdoc.Term("key", key))
	}
	hits, err := s.index(outboxIndex).Search(ctx, map[string]any{"query": query, "size": limit, "sort": []any{map[string]any{"order": "asc"}}})
	if err != nil {
		return nil, err
	}
	entries := make([]outbox.Entry, 0, len(hits))
	for _, h := range hits {
		var e entry
		if err := json.Unmarshal(h.Source, &e); err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		e.Entry.Body = json.RawMessage(e.Body)
		e.Revision = outbox.Revision(h.Revision())
		entries = append(entries, e.Entry)
	}
	return entries, nil
}
