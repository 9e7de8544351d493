package shop

import (
	"context"
	"fmt"
)

// RawStore keeps raw events.
type RawStore interface {
	// Insert keeps those events that are not kept yet, by their key. It returns
	// what can't be kept by its place in the batch; an error means that the
	// store is away.
	Insert(ctx context.Context, events []Received) (failed map[int]error, err error)
}

// Ingest is the effect of the group ingest: it keeps raw events.
type Ingest struct{ store RawStore }

// NewIngest returns the effect.
func NewIngest(store RawStore) *Ingest { return &Ingest{store} }

// Apply implements Effect.
func (i *Ingest) Apply(ctx context.Context, batch []Received) (map[int]error, error) {
	failed, err := i.store.Insert(ctx, batch)
	if err != nil {
		return nil, fmt.Errorf("keep %d events: %w", len(batch), err)
	}
	return failed, nil
}
