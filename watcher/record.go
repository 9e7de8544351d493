package watcher

import (
	"time"

	"pharos/watcher/document"
)

// Record is what is kept of one execution: a document of Elastic's
// .watcher-history.
type Record struct {
	ID       string // <watch id>_<uuid>-<time>
	WatchID  string
	State    State
	At       time.Time // the execution's time
	Duration time.Duration
	Results  []ActionOutcome // in the order of execution
	body     *document.Object
}

// ActionOutcome is one action's part of a record, for whoever counts or routes.
type ActionOutcome struct {
	ActionID, Type string
	Status         ActionStatus
	Reason         string
}

// Document is the record in Elastic's shape, without secrets.
func (r Record) Document() *document.Object { return r.body }

// MarshalJSON writes Document.
func (r Record) MarshalJSON() ([]byte, error) { return document.Marshal(r.body) }
