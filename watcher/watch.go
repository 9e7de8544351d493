package watcher

import (
	"context"
	"time"

	"pharos/watcher/document"
)

// Watch is a watch file, parsed and checked. It does not change and is safe for
// concurrent use.
type Watch struct {
	ID       string
	Metadata *document.Object // nil if it has none
}

// Engine parses watches and executes them. It keeps no state of its own and is
// safe for concurrent use.
type Engine struct{}

// Next is when the watch is due after a time; zero: never again.
func (w *Watch) Next(after time.Time) time.Time { return after }

// ActionIDs are the ids of the actions in their order.
func (w *Watch) ActionIDs() []string { return nil }

// Source is the watch as Elastic's GET shows it, with secrets as they are.
func (w *Watch) Source() *document.Object { return nil }

// SecretPaths are the places in Source, joined by dots, that hold secrets.
func (w *Watch) SecretPaths() []string { return nil }

// Parse reads a watch.
func (e *Engine) Parse(ctx context.Context, id string, source []byte) (*Watch, error) {
	return &Watch{ID: id}, nil
}

// Execute runs a watch once.
func (e *Engine) Execute(ctx context.Context, w *Watch, status Status, trigger Trigger, o Options) (Record, Status) {
	return Record{}, status
}
