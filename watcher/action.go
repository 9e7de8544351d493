// Package watcher runs watches written for Elastic's Watcher on the free licence:
// it parses them, decides when they are due, executes them and keeps what came
// of it.
package watcher

import (
	"context"
	"time"

	"pharos/watcher/document"
)

// ActionStatus is what became of one action of an execution, named as Elastic's
// records name it (org.elasticsearch.xpack.core.watcher.actions.Action.Result.Status).
type ActionStatus string

// Success and the others are the statuses that a channel itself can give.
// Those that the engine gives (throttled, acknowledged, condition_failed) are
// its own.
const (
	Success        ActionStatus = "success"
	Failure        ActionStatus = "failure"
	PartialFailure ActionStatus = "partial_failure"
	Simulated      ActionStatus = "simulated"
)

// Run is what an action may know of the execution that it is part of.
type Run struct {
	ID       string // of the execution: <watch id>_<uuid>-<time>
	WatchID  string
	ActionID string
	Item     int              // with foreach the element's index, else 0
	Model    *document.Object // {"ctx": {…}}: what templates and scripts see
	Payload  any              // after the action's transform; also ctx.payload of Model
	Metadata *document.Object // the watch's, nil if it has none
	Now      time.Time        // ctx.execution_time
	Simulate bool             // render everything, do nothing
}

// ActionResult is what an action came to.
type ActionResult struct {
	Status ActionStatus
	// Reason says why in Elastic's words for Failure and PartialFailure; it goes
	// into the record beside status.
	Reason string
	// Detail stands in the record under the action type's name: for logging
	// {"logged_text": "…"}, for webhook {"request": {…}, "response": {…}}. nil
	// leaves it out. It holds no secret.
	Detail *document.Object
	// Err, if not nil, becomes the record's "error" object (type, reason, cause).
	Err error
}

// Action is what stands under an action's type (logging, webhook, …), parsed and
// checked.
type Action interface {
	// Execute renders the action's templates and does it, or with Run.Simulate
	// renders only. It ends when ctx does. Failures are results, never panics.
	Execute(ctx context.Context, run Run) ActionResult
	// Body is the action as Elastic's GET shows it: defaults as Elastic fills
	// them, secrets as they are (the API redacts by SecretPaths).
	Body() *document.Object
	// SecretPaths are the places in Body, joined by dots, whose values the API
	// shows as ::es_redacted:: and keeps on a PUT that sends that back.
	SecretPaths() []string
}

// ParseAction makes an action of the value that stands under its type. path is
// where that value stands (actions.page.pagerduty) and begins every
// document.PathError it returns.
type ParseAction func(path string, body any) (Action, error)
