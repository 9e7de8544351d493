package watcher

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"pharos/watcher/document"
)

// allActions stands for every action in the _execute call and in _ack.
const allActions = "_all"

// The statuses of an action that the engine gives, beside those of the channels.
const (
	throttledAction    ActionStatus = "throttled"
	acknowledgedAction ActionStatus = "acknowledged"
	conditionFailed    ActionStatus = "condition_failed"
)

// defaultIterations is how many elements a foreach goes through that names no
// max_iterations.
const defaultIterations = 100

// wrapper is an action with what decides whether, on what and how often it runs.
type wrapper struct {
	id            string
	kind          string
	action        Action
	condition     condition // nil: none
	transform     transform // nil: none
	throttle      *time.Duration
	foreach       string // path of a list; empty: once
	maxIterations int64
}

func (p *parser) actions(path string, v any) ([]*wrapper, error) {
	o, ok := v.(*document.Object)
	if !ok {
		return nil, document.Errorf(path, "could not parse actions for watch [%s]. expected an object but found [%s] instead", p.id, document.Token(v))
	}
	var list []*wrapper
	for id, v := range o.All() {
		at := document.Join(path, id)
		if id == "" || hasSpace(id) {
			return nil, document.Errorf(at, "could not parse action [%s] for watch [%s]. id contains whitespace", id, p.id)
		}
		w, err := p.action(at, id, v)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

func (p *parser) action(path, id string, v any) (*wrapper, error) {
	about := subject("could not parse action [" + p.id + "/" + id + "]. ")
	o, ok := v.(*document.Object)
	if !ok {
		return nil, about.at(path, "expected an object but found [%s] instead", document.Token(v))
	}
	w := &wrapper{id: id, maxIterations: defaultIterations}
	var body any
	for key, v := range o.All() {
		at := document.Join(path, key)
		var err error
		switch key {
		case "condition":
			w.condition, err = p.condition(at, v)
		case "transform":
			w.transform, err = p.transform(at, v)
		case "throttle_period":
			var d time.Duration
			d, err = period(at, key, string(about)+"failed to parse field [throttle_period] as time value", v)
			w.throttle = &d
		case "throttle_period_in_millis":
			var d time.Duration
			d, err = millis(at, v)
			w.throttle = &d
		case "foreach":
			if w.foreach, ok = v.(string); !ok {
				err = about.at(at, "expected a string for [foreach] but found [%s] instead", document.Token(v))
			}
		case "max_iterations":
			if w.maxIterations, ok = v.(int64); !ok || w.maxIterations < 0 || w.maxIterations > math.MaxInt32 {
				err = about.at(at, "expected a whole number for [max_iterations] but found [%s]", document.String(v))
			}
		case "jira":
			return nil, about.at(at, "the action type [jira] is left out here: no tickets are made; use [webhook] to call Jira's REST API")
		default:
			if _, known := p.engine.actions[key]; !known {
				return nil, about.at(at, "unknown action type [%s]", key)
			}
			if w.kind != "" {
				return nil, about.at(at, "unexpected second action type [%s]", key)
			}
			w.kind, body = key, v
		}
		if err != nil {
			return nil, err
		}
	}
	if w.kind == "" {
		return nil, document.Errorf(path, "could not parse watch action [%s/%s]. missing action type", p.id, id)
	}
	var err error
	w.action, err = p.engine.actions[w.kind](document.Join(path, w.kind), body)
	if err != nil {
		return nil, p.actionError(w, err)
	}
	return w, nil
}

// actionError names the watch beside the action, as Elastic's parsers do; a
// channel knows its action only.
func (p *parser) actionError(w *wrapper, err error) error {
	var place *document.PathError
	if !errors.As(err, &place) {
		return err
	}
	named := *place
	named.Reason = strings.Replace(place.Reason, "action ["+w.id+"]", "action ["+p.id+"/"+w.id+"]", 1)
	return &named
}

// value is the action as Elastic's GET shows it.
func (w *wrapper) value() *document.Object {
	o := document.NewObject()
	if w.throttle != nil {
		o.Set("throttle_period_in_millis", w.throttle.Milliseconds())
	}
	if w.condition != nil {
		o.Set("condition", conditionValue(w.condition))
	}
	if w.transform != nil {
		o.Set("transform", transformValue(w.transform))
	}
	if w.foreach != "" {
		o.Set("foreach", w.foreach).Set("max_iterations", w.maxIterations)
	}
	return o.Set(w.kind, w.action.Body())
}

// outcome is what an action of an execution came to.
type outcome struct {
	id, kind   string
	status     ActionStatus
	reason     string // in the status's words, beside it in the record
	err        error  // shown instead of the reason
	condition  *conditionResult
	transform  *transformResult
	detail     *document.Object // under the action's type
	iterations *iterations      // of a foreach
}

type iterations struct {
	results []any
	most    int64
}

func (o outcome) document() *document.Object {
	d := document.NewObject(
		document.Pair{Key: "id", Value: o.id}, document.Pair{Key: "type", Value: o.kind}, document.Pair{Key: "status", Value: string(o.status)})
	if o.condition != nil {
		d.Set("condition", o.condition.document())
	}
	if o.transform != nil {
		d.Set("transform", o.transform.document())
	}
	if o.iterations != nil {
		return d.Set("number_of_actions_executed", int64(len(o.iterations.results))).
			Set("foreach", o.iterations.results).Set("max_iterations", o.iterations.most)
	}
	return o.result(d)
}

// result adds what the action itself came to.
func (o outcome) result(d *document.Object) *document.Object {
	if o.err != nil {
		_, object := document.ErrorObject(o.err)
		d.Set("error", object)
	} else if o.reason != "" {
		d.Set("reason", o.reason)
	}
	if o.detail != nil {
		d.Set(o.kind, o.detail)
	}
	return d
}

// run throttles, checks the condition, transforms and executes.
func (w *wrapper) run(ctx context.Context, x *execution) outcome {
	out := outcome{id: w.id, kind: w.kind}
	mode := x.mode(w.id)
	if mode == Skip {
		out.status, out.reason = throttledAction, "manually skipped"
		return out
	}
	if mode != ForceExecute && mode != ForceSimulate {
		if out.status, out.reason = w.throttled(x); out.status != "" {
			return out
		}
	}
	if w.condition != nil {
		r, err := w.condition.check(ctx, x)
		if err != nil {
			out.status, out.reason = conditionFailed, "condition failed. skipping: "+err.Error()
			return out
		}
		out.condition = &r
		if !r.met {
			x.status.Action(w.id).resetAck(x.at)
			out.status, out.reason = conditionFailed, "condition not met. skipping"
			return out
		}
	}
	payload := x.payload
	if w.transform != nil {
		r := w.transform.apply(ctx, x, payload)
		out.transform = &r
		if r.payload == nil {
			out.status, out.reason = Failure, "Failed to transform payload"
			return out
		}
		payload = r.payload
	}
	simulate := mode == Simulate || mode == ForceSimulate
	if w.foreach == "" {
		w.execute(ctx, x, &out, payload, 0, simulate)
		return out
	}
	w.each(ctx, x, &out, simulate)
	return out
}

// throttled is the status and reason that keep an action from running now; no
// status lets it run. The period is the action's, else the watch's, else the
// engine's, and counts from the last success.
func (w *wrapper) throttled(x *execution) (ActionStatus, string) {
	state := x.status.Action(w.id)
	limit := x.engine.defaultThrottle
	switch {
	case w.throttle != nil:
		limit = *w.throttle
	case x.watch.throttle != nil:
		limit = *x.watch.throttle
	}
	if state.LastSuccess != nil {
		elapsed := x.at.Sub(state.LastSuccess.At).Truncate(time.Millisecond)
		if elapsed <= limit && limit > 0 {
			return throttledAction, fmt.Sprintf("throttling interval is set to [%s] but time elapsed since last execution is [%s]", timeValue(limit), timeValue(elapsed))
		}
	}
	if state.Ack == Acked {
		return acknowledgedAction, fmt.Sprintf("action [%s] was acked at [%s]", w.id, state.AckChanged.UTC().Format(document.TimeLayout))
	}
	return "", ""
}

func (w *wrapper) execute(ctx context.Context, x *execution, out *outcome, payload *document.Object, item int, simulate bool) {
	r := w.action.Execute(ctx, Run{
		ID: x.id, WatchID: x.watch.ID, ActionID: w.id, Item: item, Model: x.model(payload), Payload: payload,
		Metadata: x.watch.Metadata, Now: x.at, Simulate: simulate,
	})
	out.status, out.reason, out.detail, out.err = r.Status, r.Reason, r.Detail, r.Err
}

// each executes the action for each element of a list of the watch's payload:
// what the action's own transform made is not in that context, as Elastic's
// documentation says.
func (w *wrapper) each(ctx context.Context, x *execution, out *outcome, simulate bool) {
	found := document.At(x.model(x.payload), w.foreach)
	list, ok := found.([]any)
	fail := func(format string) {
		*out = outcome{id: w.id, kind: w.kind, status: Failure, err: document.NewError(500, "exception", fmt.Sprintf(format, w.foreach))}
	}
	switch {
	case found == nil:
		fail("specified foreach object was null: [%s]")
		return
	case !ok:
		fail("specified foreach object was not a an array/collection: [%s]")
		return
	case len(list) == 0:
		fail("foreach object [%s] was an empty list, could not run any action")
		return
	}
	all := &iterations{results: []any{}, most: w.maxIterations}
	var statuses []ActionStatus
	for i, element := range list[:min(int64(len(list)), w.maxIterations)] {
		one := outcome{id: w.id, kind: w.kind}
		w.execute(ctx, x, &one, asPayload(element), i, simulate)
		all.results = append(all.results, one.result(document.NewObject()))
		if !slices.Contains(statuses, one.status) {
			statuses = append(statuses, one.status)
		}
	}
	out.status = PartialFailure
	if len(statuses) == 1 {
		out.status = statuses[0]
	}
	out.iterations = all
}

// note keeps in the status what became of an action.
func (s *Status) note(o outcome, at time.Time) {
	a := s.Action(o.id)
	switch o.status {
	case Success, Simulated:
		a.LastExecution = &LastExecution{At: at, Successful: true}
		a.LastSuccess = a.LastExecution
		if a.Ack == Awaits {
			a.Ack, a.AckChanged = Ackable, at
		}
	case Failure, PartialFailure:
		reason := o.reason
		if o.err != nil {
			reason = ""
		}
		a.LastExecution = &LastExecution{At: at, Reason: reason}
	case throttledAction:
		a.LastThrottle, a.LastThrottledWhy = at, o.reason
	}
}
