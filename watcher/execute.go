package watcher

import (
	"context"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/painless"
)

// execution is one run of a watch while it goes on.
type execution struct {
	engine  *Engine
	watch   *Watch
	id      string
	at      time.Time // ctx.execution_time
	trigger Trigger
	options Options
	status  Status
	payload *document.Object
	vars    *document.Object
}

// Execute runs a watch once: input, condition, transform, actions. It returns the
// record, and the status as the execution leaves it; the caller keeps both, or
// neither. Whatever fails is in the record. It ends soon after ctx does.
func (e *Engine) Execute(ctx context.Context, w *Watch, status Status, trigger Trigger, o Options) (Record, Status) {
	if trigger.Manual {
		e.scripts.Forget() // whoever tries a watch by hand expects the script just stored
	}
	start := e.now()
	at := start.UTC().Truncate(time.Millisecond)
	x := &execution{
		engine: e, watch: w, at: at, trigger: trigger, options: o,
		id:     w.ID + "_" + e.newID() + "-" + at.Format(document.TimeLayout),
		status: status.Keep(at, w.ActionIDs()), payload: document.NewObject(), vars: document.NewObject(),
	}
	r := x.run(ctx)
	x.status.ExecutionState = r.state()
	return x.record(r, e.now().Sub(start)), x.status
}

// results are what the parts of an execution came to, as far as it went.
type results struct {
	input     inputResult
	condition *conditionResult
	transform *transformResult
	actions   []outcome
	messages  []any
	exception error // ended it
}

func (x *execution) run(ctx context.Context) results {
	r := results{messages: []any{}}
	if r.input = x.load(ctx); r.input.err != nil {
		r.messages = append(r.messages, "failed to execute watch input")
		return r
	}
	x.payload = r.input.payload
	met, err := x.check(ctx)
	if err != nil {
		r.exception = err
		return r
	}
	r.condition = &met
	x.checked(met.met)
	if !met.met || len(x.watch.actions) == 0 {
		return r
	}
	if x.watch.transform != nil {
		changed := x.watch.transform.apply(ctx, x, x.payload)
		r.transform = &changed
		if changed.payload == nil {
			r.messages = append(r.messages, "failed to execute watch transform")
			return r
		}
		x.payload = changed.payload
	}
	for _, action := range x.watch.actions {
		out := action.run(ctx, x)
		x.status.note(out, x.at)
		r.actions = append(r.actions, out)
	}
	return r
}

func (x *execution) load(ctx context.Context) inputResult {
	if x.options.AlternativeInput != nil {
		return (&simpleInput{x.options.AlternativeInput}).load(ctx, x, x.payload)
	}
	return x.watch.input.load(ctx, x, x.payload)
}

func (x *execution) check(ctx context.Context) (conditionResult, error) {
	if x.options.IgnoreCondition {
		return constant(true).check(ctx, x)
	}
	return x.watch.condition.check(ctx, x)
}

// checked keeps in the status whether the condition was met; where it was not,
// acknowledgements end.
func (x *execution) checked(met bool) {
	x.status.LastChecked = x.at
	if met {
		x.status.LastMetCondition = x.at
		return
	}
	for i := range x.status.Actions {
		x.status.Actions[i].resetAck(x.at)
	}
}

// mode is how an action is to be executed: as named, else as all are.
func (x *execution) mode(action string) Mode {
	if m, ok := x.options.ActionModes[action]; ok {
		return m
	}
	return x.options.ActionModes[allActions]
}

// model is the context of an execution, its keys in the order in which Elastic's
// prints them.
func (x *execution) model(payload *document.Object) *document.Object {
	return document.NewObject(document.Pair{Key: "ctx", Value: x.context(payload)})
}

func (x *execution) context(payload *document.Object) *document.Object {
	ctx := document.NewObject()
	if x.watch.Metadata != nil {
		ctx.Set("metadata", x.watch.Metadata)
	} else {
		ctx.Set("metadata", nil)
	}
	return ctx.Set("watch_id", x.watch.ID).Set("payload", payload).Set("id", x.id).
		Set("trigger", document.NewObject(
			document.Pair{Key: "triggered_time", Value: x.trigger.TriggeredTime},
			document.Pair{Key: "scheduled_time", Value: x.trigger.ScheduledTime})).
		Set("vars", x.vars).Set("execution_time", x.at)
}

// script runs a program over a payload and keeps what it changed.
func (x *execution) script(ctx context.Context, p *painless.Program, payload *document.Object) (any, error) {
	out, err := x.engine.scripts.Run(ctx, p, x.context(payload))
	if err != nil {
		return nil, err
	}
	if out.Vars != nil {
		x.vars = out.Vars
	}
	if changed, ok := out.Payload.(*document.Object); ok && out.Changed {
		*payload = *changed
	}
	return out.Value, nil
}
