package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/internal/fault"
)

// stored is a watch as Elastic's API answers it.
type stored struct {
	ID     string `json:"_id"`
	Watch  watch  `json:"watch"`
	Status status `json:"status"`
}

type watch struct {
	Trigger struct {
		Schedule map[string]json.RawMessage `json:"schedule"`
	} `json:"trigger"`
	Metadata struct {
		Name   string `json:"name"`
		Pharos struct {
			Severity string `json:"severity"`
			Service  string `json:"service"`
			Runbook  string `json:"runbook"`
			Query    string `json:"query"`
		} `json:"pharos"`
	} `json:"metadata"`
}

type status struct {
	State struct {
		Active bool      `json:"active"`
		Since  time.Time `json:"timestamp"`
	} `json:"state"`
	LastChecked    time.Time `json:"last_checked"`
	LastMet        time.Time `json:"last_met_condition"`
	ExecutionState string    `json:"execution_state"`
	Actions        map[string]struct {
		Ack struct {
			State string    `json:"state"`
			At    time.Time `json:"timestamp"`
		} `json:"ack"`
		LastExecution *execution `json:"last_execution"`
		LastSuccess   *execution `json:"last_successful_execution"`
		LastThrottle  *execution `json:"last_throttle"`
	} `json:"actions"`
}

type execution struct {
	At         time.Time `json:"timestamp"`
	Successful bool      `json:"successful"`
	Reason     string    `json:"reason"`
}

// Listed is a watch and how it does.
type Listed struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Service     string    `json:"service,omitempty"`
	Severity    string    `json:"severity,omitempty"`
	Schedule    string    `json:"schedule"`
	Active      bool      `json:"active"`
	ActiveSince time.Time `json:"active_since,omitzero"` // or inactive
	Execution   string    `json:"execution_state,omitempty"`
	LastChecked time.Time `json:"last_checked,omitzero"`
	LastMet     time.Time `json:"last_met_condition,omitzero"`
	LastFired   time.Time `json:"last_fired,omitzero"` // an action was executed
	Alerts      int       `json:"open_alerts"`
	Actions     []Action  `json:"actions"`
	Runbook     string    `json:"runbook,omitempty"`
}

// Action is how one action of a watch stands.
type Action struct {
	ID            string    `json:"id"`
	Ack           string    `json:"ack"`
	AckSince      time.Time `json:"ack_since,omitzero"`
	LastExecution time.Time `json:"last_execution,omitzero"`
	Failed        string    `json:"failed,omitempty"` // why the last execution failed
	LastSuccess   time.Time `json:"last_success,omitzero"`
	LastThrottle  time.Time `json:"last_throttle,omitzero"`
	Throttled     string    `json:"throttled,omitempty"`
}

// Ackable reports whether the action can be acknowledged now.
func (a Action) Ackable() bool { return a.Ack == "ackable" }

// Stands says how the action stands.
func (a Action) Stands() map[string]string {
	switch {
	case a.Failed != "":
		return said("bad", "failed")
	case a.Ack == "acked":
		return said("warn", "acknowledged")
	case a.Ack == "ackable":
		return said("bad", "executed")
	}
	return said("ok", "waits")
}

// Stands says how the watch stands, in a word.
func (l *Listed) Stands() map[string]string {
	switch {
	case !l.Active:
		return said("unknown", "inactive")
	case l.Execution == "failed":
		return said("bad", "fails")
	case l.Alerts > 0:
		return said("bad", "fires")
	case l.LastChecked.IsZero():
		return said("unknown", "never run")
	}
	return said("ok", "clear")
}

func newListed(s stored) *Listed {
	l := &Listed{
		ID: s.ID, Name: s.Watch.Metadata.Name, Service: s.Watch.Metadata.Pharos.Service, Severity: s.Watch.Metadata.Pharos.Severity,
		Schedule: schedule(s.Watch.Trigger.Schedule), Active: s.Status.State.Active, ActiveSince: s.Status.State.Since,
		Execution: s.Status.ExecutionState, LastChecked: s.Status.LastChecked, LastMet: s.Status.LastMet,
		Runbook: s.Watch.Metadata.Pharos.Runbook, Actions: []Action{},
	}
	for id, a := range s.Status.Actions {
		one := Action{ID: id, Ack: a.Ack.State, AckSince: a.Ack.At}
		if a.LastExecution != nil {
			one.LastExecution = a.LastExecution.At
			if !a.LastExecution.Successful {
				one.Failed = a.LastExecution.Reason
				if one.Failed == "" {
					one.Failed = "no reason given"
				}
			}
			if one.LastExecution.After(l.LastFired) {
				l.LastFired = one.LastExecution
			}
		}
		if a.LastSuccess != nil {
			one.LastSuccess = a.LastSuccess.At
		}
		if a.LastThrottle != nil {
			one.LastThrottle, one.Throttled = a.LastThrottle.At, a.LastThrottle.Reason
		}
		l.Actions = append(l.Actions, one)
	}
	sort.Slice(l.Actions, func(i, j int) bool { return l.Actions[i].ID < l.Actions[j].ID })
	return l
}

// schedule says when a watch is due: "every 10s", "cron 0 0 * * * ?".
func schedule(s map[string]json.RawMessage) string {
	var parts []string
	for kind, raw := range s {
		text := compact(raw)
		var plain string
		if json.Unmarshal(raw, &plain) == nil {
			text = plain
		}
		if kind == "interval" {
			kind = "every"
		}
		parts = append(parts, kind+" "+text)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// mostWatches bounds the list of watches.
const mostWatches = 1000

func (a Alerts) watches(ctx context.Context, r *page.Request, id, service string) ([]*Listed, error) {
	var answer struct {
		Watches []stored `json:"watches"`
	}
	err := a.Watcher.Call(ctx, r.Reader.Authorization, http.MethodPost, "/_watcher/_query/watches", map[string]any{"size": mostWatches}, &answer)
	if err != nil {
		return nil, err
	}
	list := make([]*Listed, 0, len(answer.Watches))
	for _, s := range answer.Watches {
		l := newListed(s)
		if id != "" && l.ID != id || service != "" && l.Service != service {
			continue
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(x, y *Listed) int { return strings.Compare(x.ID, y.ID) })
	return list, nil
}

// read reads one watch. Its secrets are redacted by the API.
func (a Alerts) read(ctx context.Context, r *page.Request, id string) (answer struct {
	stored
	Source json.RawMessage
}, err error,
) {
	var raw struct {
		Watch json.RawMessage `json:"watch"`
	}
	var text json.RawMessage
	err = a.Watcher.Call(ctx, r.Reader.Authorization, http.MethodGet, watchPath(id), nil, &text)
	if err == nil {
		err = json.Unmarshal(text, &answer.stored)
	}
	if err == nil {
		err = json.Unmarshal(text, &raw)
	}
	if fault.Is(err, fault.NotFound) {
		err = fmt.Errorf("%w: %w", fault.New(fault.NotFound, "There is no watch of this id."), err)
	}
	answer.Source = raw.Watch
	return answer, err
}

func watchPath(id string) string { return "/_watcher/watch/" + url.PathEscape(id) }

// WatchView is the page of one watch.
type WatchView struct {
	Listed
	Definition json.RawMessage         `json:"definition"`
	RunbookURL string                  `json:"runbook_url,omitempty"`
	History    page.Panel[[]Execution] `json:"history"`
	Open       page.Panel[[]Alert]     `json:"alerts"` // of it, open or not
	// Run and Replay are there when they were asked for.
	Run    *Run      `json:"run,omitempty"`
	Replay *Replay   `json:"replay,omitempty"`
	Asked  asked     `json:"-"`
	Now    time.Time `json:"now"`
}

// PageTitle names the page.
func (v *WatchView) PageTitle() string {
	if v.Name != "" {
		return v.Name
	}
	return v.ID
}

// Source is the definition as it is read.
func (v *WatchView) Source() string { return indented(v.Definition) }

func indented(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// Steps are how often a replay may look.
func (v *WatchView) Steps() map[string]string {
	return map[string]string{"1m0s": "every minute", "5m0s": "every 5 min", "1h0m0s": "every hour"}
}

// Execution is one of the last executions.
type Execution struct {
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	State      string    `json:"state"`
	User       string    `json:"user,omitempty"`
	DurationMS float64   `json:"duration_ms"`
	Met        *bool     `json:"condition_met"`
	Error      string    `json:"error,omitempty"`
	Actions    []struct {
		ID     string `json:"id"`
		Type   string `json:"type"`
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	} `json:"actions"`
}

// Took is how long it took.
func (e Execution) Took() string { return page.Seconds(e.DurationMS / 1000) }

// Came says what it came to.
func (e Execution) Came() map[string]string {
	word := strings.ReplaceAll(e.State, "_", " ")
	switch e.State {
	case "executed", "acknowledged", "throttled":
		return said("warn", word)
	case "execution_not_needed":
		return said("ok", "condition not met")
	}
	return said("bad", word)
}

func (a Alerts) watch(r *page.Request) (any, error) { return a.watchView(r) }

func (a Alerts) watchView(r *page.Request) (*WatchView, error) {
	w, err := a.read(r.Ctx(), r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	v := &WatchView{Listed: *newListed(w.stored), Definition: w.Source, RunbookURL: a.runbook(w.Watch.Metadata.Pharos.Runbook), Now: r.Now}
	v.Asked = asked{From: "now-24h", To: "now"}
	p := r.Panels()
	page.Load(p, &v.History, func(ctx context.Context) ([]Execution, error) {
		return ask[Execution](ctx, a, r, "/v1/watches/"+url.PathEscape(v.ID)+"/history", url.Values{"limit": {"50"}})
	})
	page.Load(p, &v.Open, func(ctx context.Context) ([]Alert, error) {
		return ask[Alert](ctx, a, r, "/v1/alerts", url.Values{"watch": {v.ID}, "limit": {"50"}})
	})
	p.Wait()
	for i := range v.Open.Data {
		if v.Open.Data[i].ResolvedAt.IsZero() {
			v.Alerts++
		}
	}
	return v, nil
}
