package watcher

import (
	"context"
	"time"

	"pharos/watcher/document"
)

// Elasticsearch is what inputs, transforms and scripts ask of it.
type Elasticsearch interface {
	// Do sends a request with a JSON body (nil: none) and returns the status and
	// the body of any answer; an error only if none came.
	Do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error)
}

// Trigger says why and when an execution starts.
type Trigger struct {
	Manual        bool      // by the _execute call, not by the schedule
	TriggeredTime time.Time // when it was found to be due
	ScheduledTime time.Time // when it was due
}

func (t Trigger) kind() string {
	if t.Manual {
		return "manual"
	}
	return "schedule"
}

// document is the trigger event as records have it.
func (t Trigger) document() *document.Object {
	schedule := document.NewObject(document.Pair{Key: "scheduled_time", Value: t.ScheduledTime})
	o := document.NewObject(document.Pair{Key: "type", Value: t.kind()}, document.Pair{Key: "triggered_time", Value: t.TriggeredTime})
	if t.Manual {
		return o.Set("manual", document.NewObject(document.Pair{Key: "schedule", Value: schedule}))
	}
	return o.Set("schedule", schedule)
}

// Mode is how an action is executed by the _execute call.
type Mode string

// The modes of an action: force leaves out throttling and acknowledgement,
// simulate renders and does nothing.
const (
	Execute       Mode = "execute"
	ForceExecute  Mode = "force_execute"
	Simulate      Mode = "simulate"
	ForceSimulate Mode = "force_simulate"
	Skip          Mode = "skip"
)

// Options are what the _execute call may ask for. A scheduled execution has
// RecordExecution alone.
type Options struct {
	User             string           // who asked; empty: nobody
	Node             string           // the process that executes
	ActionModes      map[string]Mode  // by action id or "_all"; none: execute
	AlternativeInput *document.Object // used instead of the input's payload, or nil
	IgnoreCondition  bool
	// RecordExecution lets the execution change the status. The caller keeps
	// the record.
	RecordExecution bool
	Debug           bool // adds vars to the record
}
