package watcher

import (
	"context"

	"pharos/watcher/document"
)

// Stored is a watch as a Store holds it.
type Stored struct {
	ID          string
	Version     int64 // 1 for the first write, one more for each
	SeqNo       int64
	PrimaryTerm int64
	// Source is Watch.Source with its secrets as they are: whoever shows it
	// redacts it first.
	Source *document.Object
	Status Status
}

// Precondition makes a write fail with fault.Conflict unless the stored watch is
// still the one that it names. The zero value asks for nothing.
type Precondition struct {
	SeqNo, PrimaryTerm *int64 // both or neither
	Version            *int64 // the version that the write is to replace
}

// Store keeps watches, their status and the records of their executions.
type Store interface {
	// Get returns a watch; fault.NotFound if there is none of this id.
	Get(ctx context.Context, id string) (Stored, error)
	// Put writes a watch, new or in place of the old one; created tells which.
	// fault.Conflict if the precondition does not hold.
	Put(ctx context.Context, id string, source *document.Object, status Status, cond Precondition) (stored Stored, created bool, err error)
	// UpdateStatus writes the status alone; fault.NotFound, fault.Conflict.
	UpdateStatus(ctx context.Context, id string, status Status, cond Precondition) (Stored, error)
	// Delete removes a watch and returns what it was, with the version of the
	// deletion; fault.NotFound.
	Delete(ctx context.Context, id string) (Stored, error)
	// Query answers _watcher/_query/watches: body has query, sort, from, size and
	// search_after, each as Elasticsearch's search has it, or is nil. total
	// counts all that match.
	Query(ctx context.Context, body *document.Object) (total int64, found []Stored, err error)
	// Record adds one record to the history.
	Record(ctx context.Context, r Record) error
}
