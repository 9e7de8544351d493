// Package alertstore keeps alerts, silences and the outbox in Elasticsearch.
package alertstore

import (
	"context"

	"pharos/watcher"
	"pharos/watcher/esdoc"
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

func (s *Store) index(name string) esdoc.Index {
	return esdoc.Index{Elasticsearch: s.Elasticsearch, Name: name}
}

// put writes a document: with the zero revision only if there is none.
func (s *Store) put(ctx context.Context, index, id string, doc any, r outbox.Revision) (outbox.Revision, error) {
	revision, err := s.index(index).Put(ctx, id, doc, esdoc.Revision(r))
	return outbox.Revision(revision), err
}

func (s *Store) get(ctx context.Context, index, id string, into any) (outbox.Revision, error) {
	revision, err := s.index(index).Get(ctx, id, into)
	return outbox.Revision(revision), err
}
