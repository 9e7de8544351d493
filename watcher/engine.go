package watcher

import (
	"context"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/mustache"
	"pharos/watcher/painless"
)

// Elasticsearch is what inputs, transforms and scripts ask of it.
type Elasticsearch interface {
	// Do sends a request with a JSON body (nil: none) and returns the status and
	// the body of any answer; an error only if none came.
	Do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error)
}

// HTTP sends what http inputs ask for; httpcall.Client does.
type HTTP interface {
	Do(ctx context.Context, call *httpcall.Call) (*httpcall.Response, error)
}

// Config is what an Engine is made of. All of it is needed.
type Config struct {
	Elasticsearch   Elasticsearch
	Renderer        mustache.Renderer
	HTTP            HTTP
	Actions         map[string]ParseAction // by type
	DefaultThrottle time.Duration          // of actions and watches that name none; Elastic's is 5 s
	Now             func() time.Time
	NewID           func() string // a new UUID for each execution
}

// Engine parses watches and executes them. It keeps no state of its own and is
// safe for concurrent use.
type Engine struct {
	es              Elasticsearch
	renderer        mustache.Renderer
	http            HTTP
	scripts         *painless.Runner
	actions         map[string]ParseAction
	defaultThrottle time.Duration
	now             func() time.Time
	newID           func() string
}

// New returns an Engine.
func New(cfg Config) *Engine {
	return &Engine{
		es: cfg.Elasticsearch, renderer: cfg.Renderer, http: cfg.HTTP, scripts: painless.NewRunner(cfg.Elasticsearch, cfg.Now),
		actions: cfg.Actions, defaultThrottle: cfg.DefaultThrottle, now: cfg.Now, newID: cfg.NewID,
	}
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

// ParseMode reads the name of a mode.
func ParseMode(name string) (Mode, bool) {
	switch m := Mode(name); m {
	case Execute, ForceExecute, Simulate, ForceSimulate, Skip:
		return m, true
	}
	return "", false
}

// Options are what the _execute call may ask for; a scheduled execution has User
// and Node alone.
type Options struct {
	User             string           // for whom it runs; empty: nobody
	Node             string           // the process that executes
	ActionModes      map[string]Mode  // by action id or "_all"; none: execute
	AlternativeInput *document.Object // the payload instead of the input's, or nil
	IgnoreCondition  bool
	Debug            bool // adds vars to the record
}
