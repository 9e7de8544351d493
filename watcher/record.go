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

// Document is the record in Elastic's shape, without secrets. The caller does not
// change it.
func (r Record) Document() *document.Object { return r.body }

// MarshalJSON writes Document.
func (r Record) MarshalJSON() ([]byte, error) { return document.Marshal(r.body) }

// NotExecuted is the record of an execution that was due and did not happen;
// state says why.
func NotExecuted(id, watchID, node string, state State, trigger Trigger, at time.Time, messages ...string) Record {
	return Record{ID: id, WatchID: watchID, State: state, At: at, body: document.NewObject(
		document.Pair{Key: "watch_id", Value: watchID},
		document.Pair{Key: "node", Value: node},
		document.Pair{Key: "state", Value: string(state)},
		document.Pair{Key: "trigger_event", Value: trigger.document()},
		document.Pair{Key: "messages", Value: anyList(messages)},
	)}
}

// state is what the results come to. An acknowledgement says more than a
// throttle, because somebody meant it.
func (r results) state() State {
	switch {
	case r.condition == nil:
		return Failed
	case !r.condition.met:
		return NotNeeded
	}
	state := Executed
	for _, a := range r.actions {
		switch a.status {
		case acknowledgedAction:
			return Acknowledged
		case throttledAction:
			state = Throttled
		}
	}
	return state
}

func (x *execution) record(r results, took time.Duration) Record {
	record := Record{ID: x.id, WatchID: x.watch.ID, State: r.state(), At: x.at, Duration: took}
	actions := []any{}
	for _, a := range r.actions {
		actions = append(actions, a.document())
		reason := a.reason
		if a.err != nil {
			reason = a.err.Error()
		}
		record.Results = append(record.Results, ActionOutcome{a.id, a.kind, a.status, reason})
	}
	result := document.NewObject(
		document.Pair{Key: "execution_time", Value: x.at},
		document.Pair{Key: "execution_duration", Value: took.Milliseconds()},
		document.Pair{Key: "input", Value: r.input.document()})
	if r.condition != nil {
		result.Set("condition", r.condition.document())
	}
	if r.transform != nil {
		result.Set("transform", r.transform.document())
	}
	result.Set("actions", actions)

	source := Redact(x.watch.Source(), x.watch.SecretPaths())
	o := document.NewObject(
		document.Pair{Key: "watch_id", Value: x.watch.ID},
		document.Pair{Key: "node", Value: x.options.Node},
		document.Pair{Key: "state", Value: string(record.State)})
	if x.options.User != "" {
		o.Set("user", x.options.User)
	}
	o.Set("status", x.status.Document()).Set("trigger_event", x.trigger.document())
	if x.options.Debug && x.vars.Len() > 0 {
		o.Set("vars", x.vars)
	}
	for _, key := range []string{"input", "condition", "metadata"} {
		if v, ok := source.Get(key); ok {
			o.Set(key, v)
		}
	}
	o.Set("result", result)
	if r.exception != nil {
		_, object := document.ErrorObject(r.exception)
		object.Delete("root_cause")
		o.Set("exception", object)
	} else {
		o.Set("messages", r.messages)
	}
	// What the execution shares with the record may not be changed by it.
	record.body = o.Clone()
	return record
}
