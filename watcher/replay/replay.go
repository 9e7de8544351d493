// Package replay runs a watch over past data: it says when the watch would have
// fired and resolved, and whom it would have told. Nothing is sent.
package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"pharos/watcher"
	"pharos/watcher/action/email"
	"pharos/watcher/action/index"
	"pharos/watcher/action/logging"
	"pharos/watcher/action/pagerduty"
	"pharos/watcher/action/slack"
	"pharos/watcher/action/webhook"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/mustache"
)

// Options say over what a watch is replayed.
type Options struct {
	From, To time.Time
	// Step is the time between executions; 0: as the watch's schedule has it, but
	// at most MaxRuns.
	Step time.Duration
	// Settle is how long after To the replay goes on while an alert is open.
	Settle time.Duration
	// GroupWindow is ALERT_GROUP_WINDOW.
	GroupWindow time.Duration
}

// MaxRuns is how many executions a replay makes where no step is given.
const MaxRuns = 3000

// Interval is a time in which the condition was met.
type Interval struct {
	From time.Time `json:"from"`
	// To is the first execution at which it was not; zero: still met at the end.
	To   time.Time `json:"to,omitzero"`
	Runs int       `json:"runs"` // with the condition met
}

// Result is what a replay came to.
type Result struct {
	From time.Time     `json:"from"`
	To   time.Time     `json:"to"`
	Step time.Duration `json:"step_ns"` // 0: by the watch's schedule
	Runs int           `json:"runs"`
	// Failed counts executions that failed; FirstFailure says why the first did.
	Failed       int    `json:"failed"`
	FirstFailure string `json:"first_failure,omitempty"`

	Intervals []Interval `json:"intervals"` // when the condition was met
	// Alerts are the episodes that metadata.pharos makes of it, in their order;
	// none without it.
	Alerts []alert.Alert `json:"alerts"`
	// Pages, Resolved and Messages count what would have been sent: PagerDuty's
	// events and Slack's messages.
	Pages    int `json:"pages"`
	Resolved int `json:"resolved"`
	Messages int `json:"messages"`
	// NotDone counts by type the actions that were only rendered.
	NotDone map[string]int `json:"not_done,omitempty"`
}

// Watch replays a watch, which Rewrite has made fit for it.
func Watch(ctx context.Context, es watcher.Elasticsearch, id string, source *document.Object, o Options) (Result, error) {
	p := &player{now: o.From.UTC(), memory: newMemory(), result: Result{NotDone: map[string]int{}, Intervals: []Interval{}, Alerts: []alert.Alert{}}}
	p.alerting = &alerting.Service{
		Store: p.memory, Outbox: p.memory, Now: p.clock, Config: alerting.Config{GroupWindow: o.GroupWindow},
		Channels: map[string]alerting.Channel{pagerduty.Name: &pagerduty.Channel{}, slack.Name: &slack.Channel{}},
	}
	client := httpcall.NewClient(httpcall.Config{}) // allows nothing
	defer client.Close()
	p.engine = watcher.New(watcher.Config{
		Elasticsearch: es, Renderer: mustache.Renderer{}, HTTP: client, DefaultThrottle: defaultThrottle,
		Now: p.clock, NewID: p.newID, Actions: p.actions(es, client),
	})
	text, err := document.Marshal(source)
	if err != nil {
		return Result{}, fmt.Errorf("read watch %s: %w", id, err)
	}
	w, err := p.engine.Parse(ctx, id, text)
	if err != nil {
		return Result{}, err
	}
	p.watch = w
	p.status = watcher.NewStatus(true, p.now, w.ActionIDs())
	if err := p.play(ctx, o); err != nil {
		return Result{}, err
	}
	return p.finish(o), nil
}

// defaultThrottle is Elastic's.
const defaultThrottle = 5 * time.Second

type player struct {
	now      time.Time
	ids      int
	engine   *watcher.Engine
	watch    *watcher.Watch
	status   watcher.Status
	alerting *alerting.Service
	memory   *memory
	result   Result
}

func (p *player) clock() time.Time { return p.now }

func (p *player) newID() string { p.ids++; return strconv.Itoa(p.ids) }

// actions parse as the watcher's do. PagerDuty's and Slack's messages go to
// memory; the others render, and do nothing.
func (p *player) actions(es watcher.Elasticsearch, client *httpcall.Client) map[string]watcher.ParseAction {
	r := mustache.Renderer{}
	only := func(kind string, parse watcher.ParseAction) watcher.ParseAction {
		return func(path string, body any) (watcher.Action, error) {
			a, err := parse(path, body)
			return rendered{Action: a, kind: kind, count: p.result.NotDone}, err
		}
	}
	return map[string]watcher.ParseAction{
		"email":        only("email", anyAccount(email.Parser(email.Deps{Renderer: r, HTTP: client, NewID: p.newID}))),
		"index":        only("index", index.Parser(index.Deps{Elasticsearch: es})),
		"logging":      only("logging", logging.Parser(logging.Deps{Renderer: r, Log: zap.NewNop()})),
		"webhook":      only("webhook", webhook.Parser(webhook.Deps{Renderer: r, Client: client})),
		pagerduty.Name: anyAccount(pagerduty.Parser(pagerduty.Deps{Renderer: r, Router: p.alerting})),
		slack.Name:     anyAccount(slack.Parser(slack.Deps{Renderer: r, Router: p.alerting})),
	}
}

// anyAccount leaves out which account sends: none does, and a replay knows none.
func anyAccount(parse watcher.ParseAction) watcher.ParseAction {
	return func(path string, body any) (watcher.Action, error) {
		if o, ok := body.(*document.Object); ok {
			o = o.Clone()
			o.Delete("account")
			body = o
		}
		return parse(path, body)
	}
}

// rendered is an action that only renders, and counts as done: it is throttled
// as in truth.
type rendered struct {
	watcher.Action
	kind  string
	count map[string]int
}

// Execute implements watcher.Action.
func (a rendered) Execute(ctx context.Context, run watcher.Run) watcher.ActionResult {
	run.Simulate = true
	result := a.Action.Execute(ctx, run)
	if result.Status == watcher.Simulated {
		result.Status = watcher.Success
		a.count[a.kind]++
	}
	return result
}

// play executes the watch at each time it is due.
func (p *player) play(ctx context.Context, o Options) error {
	next, step, err := p.pace(o)
	if err != nil {
		return err
	}
	p.result.Step = step
	for at := next(o.From); !at.IsZero() && !at.After(o.To.Add(o.Settle)); at = next(at) {
		if at.After(o.To) && !p.open() {
			break
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("replay until %s: %w", p.now.Format(time.RFC3339), err)
		}
		p.now = at.UTC()
		if err := p.execute(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pace is what comes after a time, and the step, if it is not the schedule's.
func (p *player) pace(o Options) (next func(time.Time) time.Time, step time.Duration, err error) {
	if !o.From.Before(o.To) {
		return nil, 0, errors.New("there is no time to replay: its end is not after its begin")
	}
	step = o.Step
	if step == 0 {
		runs := 0
		for at := p.watch.Next(o.From); !at.IsZero() && !at.After(o.To) && runs <= MaxRuns; at = p.watch.Next(at) {
			runs++
		}
		if runs <= MaxRuns {
			return p.watch.Next, 0, nil
		}
		step = (o.To.Sub(o.From) / MaxRuns).Truncate(time.Second) + time.Second
	}
	if step < time.Second {
		return nil, 0, fmt.Errorf("a step of %s is too short: the least is 1s", step)
	}
	return func(at time.Time) time.Time { return at.Add(step) }, step, nil
}

func (p *player) execute(ctx context.Context) error {
	trigger := watcher.Trigger{TriggeredTime: p.now, ScheduledTime: p.now}
	record, status := p.engine.Execute(ctx, p.watch, p.status, trigger, watcher.Options{Node: "replay"})
	p.status = status
	p.result.Runs++
	if record.State == watcher.Failed {
		p.fail(document.String(document.At(record.Document(), "result.input.error")), record)
	}
	for _, a := range record.Results {
		if a.Status == watcher.Failure || a.Status == watcher.PartialFailure {
			p.fail("action "+a.ActionID+": "+a.Reason, record)
		}
	}
	p.met(record.State)
	if err := p.alerting.Executed(ctx, p.watch, record); err != nil {
		return fmt.Errorf("replay %s: %w", p.now.Format(time.RFC3339), err)
	}
	return nil
}

func (p *player) fail(why string, record watcher.Record) {
	p.result.Failed++
	if p.result.FirstFailure != "" {
		return
	}
	if exception := document.At(record.Document(), "exception"); exception != nil {
		why = document.String(exception)
	}
	p.result.FirstFailure = p.now.Format(time.RFC3339) + ": " + why
}

func (p *player) met(state watcher.State) {
	last := len(p.result.Intervals) - 1
	open := last >= 0 && p.result.Intervals[last].To.IsZero()
	switch {
	case state == watcher.Failed: // says nothing
	case state == watcher.NotNeeded && open:
		p.result.Intervals[last].To = p.now
	case state == watcher.NotNeeded:
	case open:
		p.result.Intervals[last].Runs++
	default:
		p.result.Intervals = append(p.result.Intervals, Interval{From: p.now, Runs: 1})
	}
}

// open reports whether anything has still to end.
func (p *player) open() bool {
	if n := len(p.result.Intervals); n > 0 && p.result.Intervals[n-1].To.IsZero() {
		return true
	}
	for _, a := range p.memory.alerts {
		if a.Open() {
			return true
		}
	}
	return false
}

func (p *player) finish(o Options) Result {
	r := p.result
	r.From, r.To = o.From.UTC(), o.To.UTC()
	r.Alerts = append(r.Alerts, p.memory.ended...)
	for _, id := range p.memory.order {
		if a := p.memory.alerts[id]; a.Episode > 0 {
			r.Alerts = append(r.Alerts, a.Alert)
		}
	}
	slices.SortStableFunc(r.Alerts, func(a, b alert.Alert) int { return a.StartedAt.Compare(b.StartedAt) })
	for _, m := range p.memory.sent {
		switch {
		case m.Channel == pagerduty.Name && m.Kind == "resolve":
			r.Resolved++
		case m.Channel == pagerduty.Name:
			r.Pages++
		default:
			r.Messages++
		}
	}
	return r
}
