package alerts

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"pharos/console/page"
	"pharos/internal/fault"
)

// patience is how long a replay may take: the watcher ends it after 50 s.
const patience = 55 * time.Second

// asked is what the forms of a watch's page hold.
type asked struct {
	From, To, Step string
	Anyway         bool // run the actions though the condition is not met
}

// Run is what a watch came to that was run without effect.
type Run struct {
	State   string          `json:"state"`
	Met     *bool           `json:"condition_met"` // null: it was not evaluated
	Error   string          `json:"error,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Actions []Rendered      `json:"actions"`
	Anyway  bool            `json:"ignored_condition"`
}

// MetIs is whether the condition was met.
func (r *Run) MetIs() bool { return r.Met != nil && *r.Met }

// Seen is the payload as it is read.
func (r *Run) Seen() string { return indented(r.Payload) }

// All is everything that was rendered.
func (a Rendered) All() string { return indented(a.Body) }

// Rendered is an action as it would have been sent.
type Rendered struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	Status string          `json:"status"`
	Reason string          `json:"reason,omitempty"`
	Texts  []string        `json:"texts,omitempty"` // what people would have read
	Body   json.RawMessage `json:"body"`
}

// Came is the status in a word and a shape.
func (a Rendered) Came() map[string]string {
	switch a.Status {
	case "simulated", "success":
		return said("ok", a.Status)
	case "failure":
		return said("bad", "failed")
	}
	return said("unknown", a.Status)
}

// Replay is when a watch would have fired.
type Replay struct {
	From         time.Time  `json:"from"`
	To           time.Time  `json:"to"`
	Runs         int        `json:"runs"`
	Failed       int        `json:"failed"`
	FirstFailure string     `json:"first_failure,omitempty"`
	Intervals    []Interval `json:"intervals"`
	Alerts       []Alert    `json:"alerts"`
	Pages        int        `json:"pages"`
	Resolved     int        `json:"resolved"`
	Messages     int        `json:"messages"`
	// Changes are the places where the present was replaced by each execution's
	// time.
	Changes []string    `json:"changes"`
	Chart   *page.Chart `json:"chart,omitempty"`
}

// Interval is a time in which the condition was met.
type Interval struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"` // zero: to the end
	Runs int       `json:"runs"`
}

// Lasted is how long the interval was.
func (i Interval) Lasted(end time.Time) time.Duration {
	if !i.To.IsZero() {
		end = i.To
	}
	return end.Sub(i.From)
}

// tryWatch runs a watch without effect, or over the past.
func (a Alerts) tryWatch(r *page.Request) (any, error) {
	if !r.Reader.Rights.Operate {
		return nil, fault.New(fault.Forbidden, "Your role may not run watches.")
	}
	v, err := a.watchView(r)
	if err != nil {
		return nil, err
	}
	v.Asked = asked{From: r.PostForm("from"), To: r.PostForm("to"), Step: r.PostForm("step"), Anyway: r.PostForm("anyway") != ""}
	switch r.PostForm("do") {
	case "run":
		v.Run, err = a.run(r, v.ID, v.Asked.Anyway)
		v.Asked.From, v.Asked.To = "now-24h", "now"
	case "replay":
		v.Replay, err = a.replay(r, v.ID, v.Asked)
	default:
		err = fault.Field(fault.InvalidParameter, "do", "It must be run or replay.")
	}
	return v, err
}

func (a Alerts) run(r *page.Request, id string, anyway bool) (*Run, error) {
	var answer struct {
		Record struct {
			State     string `json:"state"`
			Exception struct {
				Reason string `json:"reason"`
			} `json:"exception"`
			Messages []string `json:"messages"`
			Result   struct {
				Input struct {
					Payload json.RawMessage `json:"payload"`
					Error   struct {
						Reason string `json:"reason"`
					} `json:"error"`
				} `json:"input"`
				Condition struct {
					Met *bool `json:"met"`
				} `json:"condition"`
				Transform struct {
					Payload json.RawMessage `json:"payload"`
				} `json:"transform"`
				Actions []json.RawMessage `json:"actions"`
			} `json:"result"`
		} `json:"watch_record"`
	}
	// force_: neither an acknowledgement nor a throttle keeps a message from being
	// shown.
	err := a.Watcher.Call(r.Ctx(), r.Reader.Authorization, http.MethodPost, watchPath(id)+"/_execute", map[string]any{
		"action_modes": map[string]string{"_all": "force_simulate"}, "ignore_condition": anyway, "record_execution": false,
	}, &answer)
	if err != nil {
		return nil, err
	}
	record := answer.Record
	run := &Run{State: record.State, Met: record.Result.Condition.Met, Payload: record.Result.Input.Payload, Actions: []Rendered{}, Anyway: anyway}
	if anyway {
		run.Met = nil // the API says met, without having looked
	}
	if record.Result.Transform.Payload != nil {
		run.Payload = record.Result.Transform.Payload
	}
	for _, reason := range append([]string{record.Exception.Reason, record.Result.Input.Error.Reason}, record.Messages...) {
		if run.Error == "" {
			run.Error = reason
		}
	}
	for _, raw := range record.Result.Actions {
		var one Rendered
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("read what an action rendered: %w", err)
		}
		var all any
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, fmt.Errorf("read what an action rendered: %w", err)
		}
		one.Body, one.Texts = raw, texts(all, nil)
		run.Actions = append(run.Actions, one)
	}
	return run, nil
}

// texts gathers what people would have read from what an action rendered: of
// logging, PagerDuty, Slack and mail.
func texts(v any, found []string) []string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"logged_text", "description", "summary", "subject", "text"} {
			if text, ok := v[key].(string); ok && text != "" && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if key != "payload" {
				found = texts(v[key], found)
			}
		}
	case []any:
		for _, one := range v {
			found = texts(one, found)
		}
	}
	return found
}

func (a Alerts) replay(r *page.Request, id string, what asked) (*Replay, error) {
	span, err := r.SpanOf(what.From, what.To)
	if err != nil {
		return nil, err
	}
	body := map[string]string{"from": stamp(span.From), "to": stamp(span.To)}
	if what.Step != "" {
		body["step"] = what.Step
	}
	replay := &Replay{}
	err = a.Watcher.Call(r.Ctx(), r.Reader.Authorization, http.MethodPost, "/v1/watches/"+url.PathEscape(id)+"/replay", body, replay)
	if errors.Is(err, r.Ctx().Err()) && r.Ctx().Err() != nil {
		return nil, fault.New(fault.Timeout, "The replay was not done in time: take a longer step or a shorter time.")
	}
	if err != nil {
		return nil, err
	}
	replay.Chart = replay.chart()
	return replay, nil
}

// chart draws when the condition was met.
func (p *Replay) chart() *page.Chart {
	c := page.NewChart("replay", "Condition met (1) or not (0)", page.Counts, page.Span{From: p.From, To: p.To})
	met := page.Series{Name: "met", Colour: "c-vermilion"}
	add := func(at time.Time, v float64) {
		if last := len(c.Times) - 1; last >= 0 && c.Times[last] >= at.Unix() {
			at = time.Unix(c.Times[last]+1, 0) // times rise
		}
		c.Times = append(c.Times, at.Unix())
		met.Values = append(met.Values, page.Value(v))
	}
	add(p.From, 0)
	for _, i := range p.Intervals {
		add(i.From.Add(-time.Second), 0)
		add(i.From, 1)
		if i.To.IsZero() {
			add(p.To, 1)
			break
		}
		add(i.To.Add(-time.Second), 1)
		add(i.To, 0)
	}
	if c.Times[len(c.Times)-1] < p.To.Unix() {
		add(p.To, 0)
	}
	c.Series = []page.Series{met}
	return &c
}
