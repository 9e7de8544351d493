// Package alerts is the console's pages of what fires, of the watches that look,
// and of what keeps them quiet.
package alerts

import (
	"context"
	"embed"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"pharos/console/kql"
	"pharos/console/page"
	"pharos/console/session"
)

//go:embed alerts.html alert.html watch.html part_alerts.html
var files embed.FS

// Watcher is the watcher's API; watcherapi.Client is one.
type Watcher interface {
	Call(ctx context.Context, authorization, method, path string, in, out any) error
}

// Alerts is the pages.
type Alerts struct {
	Watcher Watcher
	// Components are those of the status page, which a maintenance window may name.
	Components []string
	// Runbooks is what a runbook's file name is joined to; empty: it is only named.
	Runbooks string
}

// AddTo registers the pages and their actions.
func (a Alerts) AddTo(site *page.Site) error {
	read := func(r session.Rights) bool { return r.Alerts }
	for _, p := range []page.Page{
		{Section: "Now", Name: "alerts", Title: "Alerts", Path: "/alerts", Need: read, Files: files, View: a.list},
		{Name: "alert", Title: "Alert", Path: "/alerts/:id", Need: read, Files: files, View: a.one, Hidden: true},
		{Name: "watch", Title: "Watch", Path: "/watches/:id", Need: read, Files: files, View: a.watch, Post: a.tryWatch, PostTimeout: patience, Hidden: true},
	} {
		if err := site.Add(p); err != nil {
			return err
		}
	}
	a.addActions(site)
	return nil
}

// Alert is one thing that is wrong, or was.
type Alert struct {
	ID             string    `json:"id"`
	WatchID        string    `json:"watch_id"`
	Group          string    `json:"group,omitempty"`
	Service        string    `json:"service,omitempty"`
	Severity       string    `json:"severity"`
	Summary        string    `json:"summary,omitempty"`
	State          string    `json:"state"`
	Episode        int64     `json:"episode"`
	Flaps          int       `json:"flaps"`
	StartedAt      time.Time `json:"started_at"`
	ClearedAt      time.Time `json:"cleared_at,omitzero"`
	ResolvedAt     time.Time `json:"resolved_at,omitzero"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	ResolvedBy     string    `json:"resolved_by,omitempty"`
	Reason         string    `json:"reason"`
	Page           string    `json:"page,omitempty"`
	Routes         []Route   `json:"routes,omitempty"`
}

// Route is one place that was told.
type Route struct {
	ActionID string `json:"action_id"`
	Channel  string `json:"channel"`
	Account  string `json:"account"`
	To       string `json:"to,omitempty"`
}

// What is the alert in words.
func (a *Alert) What() string {
	if a.Summary != "" {
		return a.Summary
	}
	return strings.TrimSpace(a.WatchID + " " + a.Group)
}

// Shown is the state in a word and a shape.
func (a *Alert) Shown() map[string]string {
	switch a.State {
	case "firing":
		return said("bad", "firing")
	case "acknowledged":
		return said("warn", "acknowledged")
	case "resolved":
		return said("ok", "resolved")
	}
	return said("unknown", a.State)
}

func said(state, word string) map[string]string {
	return map[string]string{"State": state, "Word": word}
}

// Lasted is how long it went on, until now if it still does.
func (a *Alert) Lasted(now time.Time) time.Duration {
	if !a.ResolvedAt.IsZero() {
		now = a.ResolvedAt
	}
	return now.Sub(a.StartedAt)
}

// Why says the last decision about the alert.
func (a *Alert) Why() string {
	why := map[string]string{
		"fired": "it began, and somebody was told", "still_firing": "it goes on; somebody was told", "acknowledged": "somebody is on it",
		"silenced": "a silence keeps it quiet", "in_maintenance": "a maintenance window keeps it quiet", "too_few_events": "too few events to tell anybody",
		"grouped": "it shares the page of another alert of its service", "held": "its condition is clear, but not for long enough",
		"resolved": "it ended, and so did its page", "resolved_quietly": "it ended", "not_firing": "it does not fire",
	}[a.Reason]
	if why == "" {
		return a.Reason
	}
	return why
}

// Silence keeps alerts quiet for a time; a maintenance window is announced, too.
type Silence struct {
	ID          string    `json:"id"`
	Maintenance bool      `json:"maintenance"`
	Matchers    Matchers  `json:"matchers"`
	StartsAt    time.Time `json:"starts_at"`
	EndsAt      time.Time `json:"ends_at"`
	CreatedBy   string    `json:"created_by"`
	Comment     string    `json:"comment,omitempty"`
	Title       string    `json:"title,omitempty"`
	Components  []string  `json:"components,omitempty"`
}

// Matchers say which alerts a silence is about; all if none is given.
type Matchers struct {
	WatchID  string `json:"watch_id,omitempty"`
	Service  string `json:"service,omitempty"`
	Group    string `json:"group,omitempty"`
	Severity string `json:"severity,omitempty"`
}

// String says what matches.
func (m Matchers) String() string {
	var parts []string
	for _, p := range [][2]string{{"watch", m.WatchID}, {"service", m.Service}, {"group", m.Group}, {"severity", m.Severity}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	if len(parts) == 0 {
		return "all alerts"
	}
	return strings.Join(parts, ", ")
}

// Shown is the silence's kind, and whether it holds.
func (s Silence) Shown(now time.Time) map[string]string {
	word := "silence"
	if s.Maintenance {
		word = "maintenance"
	}
	if !now.Before(s.EndsAt) {
		return said("unknown", word+" ended")
	}
	if now.Before(s.StartsAt) {
		return said("unknown", word+" planned")
	}
	return said("info", word)
}

// View is what the list shows.
type View struct {
	Watch    string                `json:"watch,omitempty"` // the filters
	Service  string                `json:"service,omitempty"`
	Open     page.Panel[[]Alert]   `json:"open"`
	History  page.Panel[[]Alert]   `json:"history"`
	Watches  page.Panel[[]*Listed] `json:"watches"`
	Silences page.Panel[[]Silence] `json:"silences"`
	// After is the last of the page of ended silences before; empty: this is the
	// first.
	After      string            `json:"after,omitempty"`
	Ended      page.Panel[Ended] `json:"ended_silences"`
	Components []string          `json:"-"`
	Durations  []Length          `json:"-"`
	Now        time.Time         `json:"now"`
}

// Ended is a page of the silences that are over, the latest end first.
type Ended struct {
	Items []Silence `json:"items"`
	// Next is what the parameter after takes for the page after this one; empty:
	// this is the last.
	Next string `json:"next,omitempty"`
}

// endedOnPage is how many ended silences a page lists.
const endedOnPage = "10"

type items[T any] struct {
	Items []T `json:"items"`
}

// ask reads a list.
func ask[T any](ctx context.Context, a Alerts, r *page.Request, path string, q url.Values) ([]T, error) {
	for name, values := range q {
		if values[0] == "" {
			delete(q, name)
		}
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	var answer items[T]
	err := a.Watcher.Call(ctx, r.Reader.Authorization, http.MethodGet, path, nil, &answer)
	return answer.Items, err
}

// mostAlerts bounds a list of alerts.
const mostAlerts = "200"

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (a Alerts) list(r *page.Request) (any, error) {
	if id := r.Query("id"); id != "" {
		target, err := r.Link("/alerts/" + url.PathEscape(id))
		if err != nil {
			return nil, err
		}
		return nil, page.Elsewhere(target)
	}
	v := &View{Watch: r.Query("watch"), Service: r.Query("service"), After: r.Query("after"), Components: a.Components, Durations: lengths(), Now: r.Now}
	filter := func(more ...string) url.Values {
		q := url.Values{"watch": {v.Watch}, "service": {v.Service}, "limit": {mostAlerts}}
		for i := 0; i < len(more); i += 2 {
			q.Set(more[i], more[i+1])
		}
		return q
	}
	p := r.Panels()
	page.Load(p, &v.Open, func(ctx context.Context) ([]Alert, error) {
		return ask[Alert](ctx, a, r, "/v1/alerts", filter("state", "open"))
	})
	page.Load(p, &v.History, func(ctx context.Context) ([]Alert, error) {
		return ask[Alert](ctx, a, r, "/v1/alerts", filter("state", "resolved", "from", stamp(r.Span.From), "to", stamp(r.Span.To)))
	})
	page.Load(p, &v.Silences, func(ctx context.Context) ([]Silence, error) {
		return ask[Silence](ctx, a, r, "/v1/silences", nil)
	})
	page.Load(p, &v.Watches, func(ctx context.Context) ([]*Listed, error) { return a.watches(ctx, r, v.Watch, v.Service) })
	page.Load(p, &v.Ended, func(ctx context.Context) (Ended, error) {
		q := url.Values{"state": {"ended"}, "limit": {endedOnPage}}
		if v.After != "" {
			q.Set("after", v.After)
		}
		var answer Ended
		return answer, a.Watcher.Call(ctx, r.Reader.Authorization, http.MethodGet, "/v1/silences?"+q.Encode(), nil, &answer)
	})
	p.Wait()
	for _, w := range v.Watches.Data {
		w.Alerts = count(v.Open.Data, w.ID)
	}
	return v, nil
}

func count(open []Alert, watch string) int {
	n := 0
	for i := range open {
		if open[i].WatchID == watch {
			n++
		}
	}
	return n
}

// AlertView is the page of one alert.
type AlertView struct {
	Alert
	Watch page.Panel[Policy] `json:"watch"`
	// Incident is the latest that the alert is a part of; empty: none is known.
	Incident page.Panel[string] `json:"incident"`
	Now      time.Time          `json:"now"`
}

// PageTitle names the page.
func (v *AlertView) PageTitle() string { return v.What() }

// Policy is what the alert's watch says to those who are told.
type Policy struct {
	Name       string `json:"name"`
	Query      string `json:"query,omitempty"` // the log lines to look at
	Runbook    string `json:"runbook,omitempty"`
	RunbookURL string `json:"runbook_url,omitempty"`
}

// leadUp is how far ahead of an alert its links begin: what led to it matters
// most.
const leadUp = 15 * time.Minute

// From and To are the time that an alert's links are about.
func (v *AlertView) From() time.Time { return v.StartedAt.Add(-leadUp) }

// To is a while after its end, or now.
func (v *AlertView) To() time.Time {
	if v.ResolvedAt.IsZero() {
		return v.Now
	}
	return v.ResolvedAt.Add(5 * time.Minute)
}

// Search is what the log link looks for.
func (v *AlertView) Search() string {
	switch {
	case v.Watch.Data.Query != "":
		return v.Watch.Data.Query
	case v.Service != "":
		return v.OfService()
	}
	return ""
}

// OfService is the search for what its service did.
func (v *AlertView) OfService() string { return kql.Is("service.name", v.Service) }

func (a Alerts) one(r *page.Request) (any, error) {
	v := &AlertView{Now: r.Now}
	if err := a.Watcher.Call(r.Ctx(), r.Reader.Authorization, http.MethodGet, "/v1/alerts/"+url.PathEscape(r.Param("id")), nil, &v.Alert); err != nil {
		return nil, err
	}
	p := r.Panels()
	page.Load(p, &v.Watch, func(ctx context.Context) (Policy, error) {
		w, err := a.read(ctx, r, v.WatchID)
		if err != nil {
			return Policy{}, err
		}
		m := w.Watch.Metadata
		return Policy{m.Name, m.Pharos.Query, m.Pharos.Runbook, a.runbook(m.Pharos.Runbook)}, nil
	})
	page.Load(p, &v.Incident, func(ctx context.Context) (string, error) { return a.incident(ctx, r, v.ID) })
	p.Wait()
	return v, nil
}

// incident is the latest incident that an alert is a part of.
func (a Alerts) incident(ctx context.Context, r *page.Request, alert string) (string, error) {
	type member struct {
		ID string `json:"id"`
	}
	all, err := ask[struct {
		ID     string   `json:"id"`
		Alerts []member `json:"alerts"`
	}](ctx, a, r, "/v1/incidents", url.Values{"limit": {"100"}})
	for _, i := range all {
		if slices.Contains(i.Alerts, member{alert}) {
			return i.ID, err
		}
	}
	return "", err
}

// runbook is where a runbook is, if that is known.
func (a Alerts) runbook(name string) string {
	switch {
	case strings.HasPrefix(name, "https://"), strings.HasPrefix(name, "http://"):
		return name
	case name == "" || a.Runbooks == "":
		return ""
	}
	return strings.TrimRight(a.Runbooks, "/") + "/" + strings.TrimLeft(name, "/")
}
