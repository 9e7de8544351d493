package watcher

import (
	"fmt"
	"slices"
	"time"

	"pharos/watcher/document"
)

// State is what an execution came to, named as Elastic's records name it
// (org.elasticsearch.xpack.core.watcher.execution.ExecutionState).
type State string

// The states of an execution.
const (
	NotNeeded        State = "execution_not_needed"          // the condition was not met
	Throttled        State = "throttled"                     // every action was throttled
	Acknowledged     State = "acknowledged"                  // every action was acknowledged or throttled
	Executed         State = "executed"                      // the actions were called, whatever they came to
	Failed           State = "failed"                        // input, condition or transform failed
	ThreadPoolFull   State = "threadpool_rejection"          // no room to execute it
	WatchMissing     State = "not_executed_watch_missing"    // deleted in the meantime
	AlreadyQueued    State = "not_executed_already_queued"   // the one before has not ended
	ExecutedRepeated State = "executed_multiple_times"       // found again after a crash
	NotActive        State = "not_executed_watch_not_active" // deactivated in the meantime
)

// AckState says how an action stands between firing and acknowledgement.
type AckState string

// The states of an acknowledgement: an action becomes ackable when it succeeds,
// acked when somebody acknowledges it, and waits again when the condition is no
// longer met.
const (
	Awaits  AckState = "awaits_successful_execution"
	Ackable AckState = "ackable"
	Acked   AckState = "acked"
)

// Status is what Elastic keeps of a watch from one execution to the next. The
// zero times are left out of its JSON.
type Status struct {
	Active           bool
	StateChanged     time.Time // when Active was set
	LastChecked      time.Time
	LastMetCondition time.Time
	ExecutionState   State // of the last execution; empty before the first
	Version          int64 // the stored document's at the last write; -1 before the first
	Actions          []ActionState
}

// ActionState is what is kept of one action.
type ActionState struct {
	ID               string
	Ack              AckState
	AckChanged       time.Time
	LastExecution    *LastExecution // nil: none yet
	LastSuccess      *LastExecution
	LastThrottle     time.Time // zero: none yet
	LastThrottledWhy string
}

// LastExecution is when an action was last called and what came of it.
type LastExecution struct {
	At         time.Time
	Successful bool
	Reason     string // of a failure
}

// NewStatus is the status of a watch that has not run: every action waits.
func NewStatus(active bool, now time.Time, actions []string) Status {
	s := Status{Active: active, StateChanged: now, Version: -1}
	for _, id := range actions {
		s.Actions = append(s.Actions, ActionState{ID: id, Ack: Awaits, AckChanged: now})
	}
	return s
}

// Action returns the state of an action, nil if there is none of this id.
func (s *Status) Action(id string) *ActionState {
	for i := range s.Actions {
		if s.Actions[i].ID == id {
			return &s.Actions[i]
		}
	}
	return nil
}

// Clone copies the status with all that it holds.
func (s Status) Clone() Status {
	s.Actions = slices.Clone(s.Actions)
	return s
}

// Keep returns the status for a changed watch: what is known of actions that it
// still has stays, others are new or forgotten.
func (s Status) Keep(now time.Time, actions []string) Status {
	kept := s
	kept.Actions = nil
	for _, id := range actions {
		if a := s.Action(id); a != nil {
			kept.Actions = append(kept.Actions, *a)
			continue
		}
		kept.Actions = append(kept.Actions, ActionState{ID: id, Ack: Awaits, AckChanged: now})
	}
	return kept
}

// Acknowledge sets the named actions that are ackable, or all of them if none is
// named, to acked, and reports whether that changed anything.
func (s *Status) Acknowledge(now time.Time, ids ...string) bool {
	changed := false
	for i := range s.Actions {
		a := &s.Actions[i]
		if a.Ack == Ackable && (len(ids) == 0 || slices.Contains(ids, a.ID) || slices.Contains(ids, allActions)) {
			a.Ack, a.AckChanged, changed = Acked, now, true
		}
	}
	return changed
}

// SetActive activates or deactivates, and reports whether that changed anything.
func (s *Status) SetActive(active bool, now time.Time) bool {
	if s.Active == active {
		return false
	}
	s.Active, s.StateChanged = active, now
	return true
}

func (a *ActionState) resetAck(now time.Time) {
	if a.Ack != Awaits {
		a.Ack, a.AckChanged = Awaits, now
	}
}

// Document is the status as Elastic answers and stores it.
func (s Status) Document() *document.Object {
	o := document.NewObject(document.Pair{Key: "state", Value: document.NewObject(
		document.Pair{Key: "active", Value: s.Active}, document.Pair{Key: "timestamp", Value: s.StateChanged})})
	setTime(o, "last_checked", s.LastChecked)
	setTime(o, "last_met_condition", s.LastMetCondition)
	actions := document.NewObject()
	for _, a := range s.Actions {
		actions.Set(a.ID, a.document())
	}
	o.Set("actions", actions)
	if s.ExecutionState != "" {
		o.Set("execution_state", string(s.ExecutionState))
	}
	return o.Set("version", s.Version)
}

func (a ActionState) document() *document.Object {
	o := document.NewObject(document.Pair{Key: "ack", Value: document.NewObject(
		document.Pair{Key: "timestamp", Value: a.AckChanged}, document.Pair{Key: "state", Value: string(a.Ack)})})
	if a.LastExecution != nil {
		o.Set("last_execution", a.LastExecution.document())
	}
	if a.LastSuccess != nil {
		o.Set("last_successful_execution", a.LastSuccess.document())
	}
	if !a.LastThrottle.IsZero() {
		o.Set("last_throttle", document.NewObject(
			document.Pair{Key: "timestamp", Value: a.LastThrottle}, document.Pair{Key: "reason", Value: a.LastThrottledWhy}))
	}
	return o
}

func (e LastExecution) document() *document.Object {
	o := document.NewObject(document.Pair{Key: "timestamp", Value: e.At}, document.Pair{Key: "successful", Value: e.Successful})
	if !e.Successful {
		o.Set("reason", e.Reason)
	}
	return o
}

func setTime(o *document.Object, key string, t time.Time) {
	if !t.IsZero() {
		o.Set(key, t)
	}
}

// MarshalJSON writes Document.
func (s Status) MarshalJSON() ([]byte, error) { return s.Document().MarshalJSON() }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Status) UnmarshalJSON(data []byte) error {
	o, err := document.ParseObject(data)
	if err != nil {
		return fmt.Errorf("read watch status: %w", err)
	}
	*s, err = ParseStatus(o)
	return err
}

// ParseStatus reads what Document makes. Keys that it does not know are left
// out.
func ParseStatus(o *document.Object) (Status, error) {
	r := statusReader{of: o}
	s := Status{
		Active:           r.flag("state.active"),
		StateChanged:     r.time("state.timestamp"),
		LastChecked:      r.time("last_checked"),
		LastMetCondition: r.time("last_met_condition"),
		ExecutionState:   State(r.text("execution_state")),
		Version:          r.number("version"),
	}
	actions, _ := document.At(o, "actions").(*document.Object)
	for id, v := range actions.All() {
		a := statusReader{of: v}
		s.Actions = append(s.Actions, ActionState{
			ID: id, Ack: AckState(a.text("ack.state")), AckChanged: a.time("ack.timestamp"),
			LastExecution: a.execution("last_execution"), LastSuccess: a.execution("last_successful_execution"),
			LastThrottle: a.time("last_throttle.timestamp"), LastThrottledWhy: a.text("last_throttle.reason"),
		})
		if r.err == nil {
			r.err = a.err
		}
	}
	if r.err != nil {
		return Status{}, fmt.Errorf("read watch status: %w", r.err)
	}
	return s, nil
}

// statusReader reads parts of a status and keeps the first error.
type statusReader struct {
	of  any
	err error
}

func (r *statusReader) text(path string) string {
	text, _ := document.At(r.of, path).(string)
	return text
}

func (r *statusReader) flag(path string) bool {
	flag, _ := document.At(r.of, path).(bool)
	return flag
}

func (r *statusReader) number(path string) int64 {
	n, _ := document.At(r.of, path).(int64)
	return n
}

func (r *statusReader) time(path string) time.Time {
	switch v := document.At(r.of, path).(type) {
	case time.Time:
		return v
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil && r.err == nil {
			r.err = document.Errorf(path, "[%s] is not a date", v)
		}
		return t
	default:
		return time.Time{}
	}
}

func (r *statusReader) execution(path string) *LastExecution {
	if document.At(r.of, path) == nil {
		return nil
	}
	return &LastExecution{At: r.time(path + ".timestamp"), Successful: r.flag(path + ".successful"), Reason: r.text(path + ".reason")}
}
