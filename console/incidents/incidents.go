// Package incidents is the console's pages of times in which something was
// wrong: what happened, what was said, and what was changed near them.
package incidents

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
	"pharos/incident"
)

//go:embed incidents.html incident.html part_words.html
var files embed.FS

// Watcher is the watcher's API; watcherapi.Client is one.
type Watcher interface {
	Call(ctx context.Context, authorization, method, path string, in, out any) error
}

// Incidents is the pages.
type Incidents struct {
	Watcher Watcher
	// Components are those of the status page, which an incident may name.
	Components []string
}

// AddTo registers the pages and their actions.
func (i Incidents) AddTo(site *page.Site) error {
	for _, p := range []page.Page{
		// Every role of Pharos may read incidents; the watcher refuses others.
		{Section: "Now", Name: "incidents", Title: "Incidents", Path: "/incidents", Need: page.Anybody, Files: files, View: i.list},
		{Name: "incident", Title: "Incident", Path: "/incidents/:id", Need: page.Anybody, Files: files, View: i.one, Hidden: true},
	} {
		if err := site.Add(p); err != nil {
			return err
		}
	}
	operate := func(r session.Rights) bool { return r.Operate }
	site.Action("/incidents", operate, i.open)
	site.Action("/incidents/:id/note", operate, func(r *page.Request) (string, error) {
		return i.say(r, "notes", map[string]string{"text": strings.TrimSpace(r.PostForm("text"))})
	})
	site.Action("/incidents/:id/update", operate, func(r *page.Request) (string, error) { return i.say(r, "updates", words(r)) })
	site.Action("/incidents/:id/close", operate, func(r *page.Request) (string, error) {
		return i.say(r, "close", map[string]string{"text": strings.TrimSpace(r.PostForm("text"))})
	})
	return nil
}

// words reads what a form says in public.
func words(r *page.Request) incident.Words {
	form := func(name string) string { return strings.TrimSpace(r.PostForm(name)) }
	return incident.Words{
		Text: form("text"), Status: incident.Status(form("status")), Impact: incident.Impact(form("impact")),
		// All boxes are in the form: none ticked is none.
		Title: form("title"), Components: append([]string{}, r.PostFormArray("components")...),
	}
}

func (i Incidents) open(r *page.Request) (string, error) {
	var made incident.Incident
	if err := i.Watcher.Call(r.Ctx(), r.Reader.Authorization, http.MethodPost, "/v1/incidents", words(r), &made); err != nil {
		return "", err
	}
	return "/incidents/" + url.PathEscape(made.ID), nil
}

func (i Incidents) say(r *page.Request, what string, in any) (string, error) {
	id := url.PathEscape(r.Param("id"))
	return "/incidents/" + id, i.Watcher.Call(r.Ctx(), r.Reader.Authorization, http.MethodPost, "/v1/incidents/"+id+"/"+what, in, nil)
}

// Incident is one as the templates show it.
type Incident struct{ incident.Incident }

// Stands is the state in a word and a shape.
func (i Incident) Stands() map[string]string {
	if i.State == incident.Closed {
		return said("ok", "closed")
	}
	switch i.Impact {
	case incident.None, incident.Minor:
		return said("warn", "open")
	}
	return said("bad", "open")
}

func said(state, word string) map[string]string {
	return map[string]string{"State": state, "Word": word}
}

// Lasted is how long it went on, until now if it still does.
func (i Incident) Lasted(now time.Time) time.Duration {
	if !i.ClosedAt.IsZero() {
		now = i.ClosedAt
	}
	return now.Sub(i.StartedAt)
}

// Named is the incident for colleagues: its worst alert, or its public title.
func (i Incident) Named() string {
	if i.Summary != "" {
		return i.Summary
	}
	return i.Title
}

// Published reports whether the public knows of it.
func (i Incident) Published() bool {
	return slices.ContainsFunc(i.Timeline, func(e incident.Entry) bool { return e.Public })
}

// View is what the list shows.
type View struct {
	Open page.Panel[[]Incident] `json:"open"`
	// After is the last incident of the page before; empty: this is the first.
	After      string                        `json:"after,omitempty"`
	Closed     page.Panel[Closed]            `json:"closed"`
	Changes    page.Panel[[]incident.Change] `json:"changes"`
	Components []string                      `json:"-"`
}

// Closed is a page of the incidents that are over, the latest first.
type Closed struct {
	Items []Incident `json:"items"`
	// Next is what the parameter after takes for the page after this one; empty:
	// this is the last.
	Next string `json:"next,omitempty"`
}

type items[T any] struct {
	Items []T `json:"items"`
}

// closedOnPage is how many closed incidents a page lists.
const closedOnPage = "50"

func ask[T any](ctx context.Context, i Incidents, r *page.Request, path string, q url.Values) ([]T, error) {
	var answer items[T]
	err := i.Watcher.Call(ctx, r.Reader.Authorization, http.MethodGet, path+"?"+q.Encode(), nil, &answer)
	return answer.Items, err
}

func (i Incidents) list(r *page.Request) (any, error) {
	v := &View{Components: i.Components, After: r.Query("after")}
	p := r.Panels()
	page.Load(p, &v.Open, func(ctx context.Context) ([]Incident, error) {
		return ask[Incident](ctx, i, r, "/v1/incidents", url.Values{"state": {"open"}, "limit": {"1000"}})
	})
	page.Load(p, &v.Closed, func(ctx context.Context) (Closed, error) {
		q := url.Values{"state": {"closed"}, "limit": {closedOnPage}}
		if v.After != "" {
			q.Set("after", v.After)
		}
		var answer Closed
		return answer, i.Watcher.Call(ctx, r.Reader.Authorization, http.MethodGet, "/v1/incidents?"+q.Encode(), nil, &answer)
	})
	page.Load(p, &v.Changes, func(ctx context.Context) ([]incident.Change, error) {
		return ask[incident.Change](ctx, i, r, "/v1/changes", url.Values{
			"from": {r.Span.From.UTC().Format(time.RFC3339)}, "to": {r.Span.To.UTC().Format(time.RFC3339)}, "limit": {"100"},
		})
	})
	p.Wait()
	return v, nil
}

// IncidentView is the page of one incident.
type IncidentView struct {
	Incident
	Now time.Time `json:"now"`
	// Boxes are the components that an update may name, those that it has ticked.
	Boxes []Box `json:"-"`
}

// Box is a component in a form.
type Box struct {
	Name   string
	Ticked bool
}

// PageTitle names the page.
func (v *IncidentView) PageTitle() string { return v.Named() }

func (i Incidents) one(r *page.Request) (any, error) {
	v := &IncidentView{Now: r.Now}
	path := "/v1/incidents/" + url.PathEscape(r.Param("id"))
	if err := i.Watcher.Call(r.Ctx(), r.Reader.Authorization, http.MethodGet, path, nil, &v.Incident); err != nil {
		return nil, err
	}
	v.Boxes = boxes(i.Components, v.Components)
	return v, nil
}

// boxes are all components and those that the incident names beyond them.
func boxes(all, named []string) []Box {
	list := []Box{}
	for _, c := range all {
		list = append(list, Box{c, slices.Contains(named, c)})
	}
	for _, c := range named {
		if !slices.Contains(all, c) {
			list = append(list, Box{c, true})
		}
	}
	return list
}

// leadUp is how far ahead of an incident its links begin: what led to it matters
// most.
const leadUp = 15 * time.Minute

// From and To are the time that its links are about.
func (v *IncidentView) From() time.Time { return v.StartedAt.Add(-leadUp) }

// To is a while after its end, or now.
func (v *IncidentView) To() time.Time {
	if v.ClosedAt.IsZero() {
		return v.Now
	}
	return v.ClosedAt.Add(5 * time.Minute)
}

// Link is a search for what happened.
type Link struct {
	Text, Path, Query string
}

// Links lead to the signals of the incident's time, services and routes that a
// reader may see.
func (v *IncidentView) Links(rights session.Rights) []Link {
	var links []Link
	services := ""
	if len(v.Services) > 0 {
		services = anyOf("service.name", v.Services)
	}
	names := strings.Join(v.Services, ", ")
	if rights.Logs && services != "" {
		links = append(
			links,
			Link{"Warnings and errors of " + names, "/logs", services + " and log.level:(warn or error or fatal)"},
			Link{"All log lines of " + names, "/logs", services},
		)
	}
	if rights.Logs {
		routes := "data_stream.dataset:nginx.access and http.response.status_code >= 500"
		text := "Requests that failed"
		if len(v.Routes) > 0 {
			routes = "data_stream.dataset:nginx.access and " + anyOf("http.route", v.Routes)
			text = "Requests to " + strings.Join(v.Routes, ", ")
		}
		links = append(links, Link{text, "/logs", routes})
	}
	if rights.Traces {
		q, text := "event.outcome:failure", "Traces that failed"
		if services != "" {
			q, text = services+" and "+q, "Failed traces of "+names
		}
		links = append(links, Link{text, "/traces", q})
	}
	return links
}

// anyOf is the search for one of several values of a field.
func anyOf(field string, values []string) string {
	ways := make([]string, 0, len(values))
	for _, v := range values {
		ways = append(ways, kql.Is(field, v))
	}
	if len(ways) == 1 {
		return ways[0]
	}
	return "(" + strings.Join(ways, " or ") + ")"
}

// Happened is an entry of the timeline in a word and a shape.
func (v *IncidentView) Happened(kind incident.Kind) map[string]string {
	switch kind {
	case incident.WasOpened:
		return said("bad", "opened")
	case incident.AlertFired:
		return said("bad", "alert fired")
	case incident.AlertAcknowledged:
		return said("warn", "acknowledged")
	case incident.AlertResolved:
		return said("ok", "alert resolved")
	case incident.WasUpdated:
		return said("info", "update")
	case incident.WasNoted:
		return said("info", "note")
	case incident.WasChanged:
		return said("warn", "change")
	case incident.WasClosed:
		return said("ok", "closed")
	}
	return said("unknown", string(kind))
}

// AlertState is the state of one of its alerts in a word and a shape.
func (v *IncidentView) AlertState(m incident.Member) map[string]string {
	word := string(m.State)
	return said(map[string]string{"firing": "bad", "acknowledged": "warn", "resolved": "ok"}[word], word)
}

// Latest is the timeline, the latest first.
func (v *IncidentView) Latest() []incident.Entry {
	entries := slices.Clone(v.Timeline)
	slices.Reverse(entries)
	return entries
}

// Beside says how long before or after the incident's start a time was.
func (v *IncidentView) Beside(at time.Time) string {
	if at.After(v.StartedAt) {
		return page.Duration(at.Sub(v.StartedAt).Round(time.Second)) + " after"
	}
	return page.Duration(v.StartedAt.Sub(at).Round(time.Second)) + " before"
}

// Form is what a form of public words holds.
type Form struct {
	ID, Title, Status, Impact string
	Statuses, Impacts         []string
	Boxes                     []Box
}

func impacts() []string {
	return []string{string(incident.None), string(incident.Minor), string(incident.Major), string(incident.Critical)}
}

func statuses() []string {
	return []string{string(incident.Investigating), string(incident.Identified), string(incident.Monitoring), string(incident.Resolved)}
}

// Form is empty, for an incident that begins.
func (v *View) Form() Form {
	all := statuses()
	return Form{ID: "open", Status: all[0], Impact: string(incident.Minor), Statuses: all[:len(all)-1], Impacts: impacts(), Boxes: boxes(v.Components, nil)}
}

// Form holds what is published now. A closed incident stays closed.
func (v *IncidentView) Form() Form {
	f := Form{ID: "update", Title: v.Title, Status: string(v.Status), Impact: string(v.Impact), Statuses: statuses(), Impacts: impacts(), Boxes: v.Boxes}
	if v.State == incident.Closed {
		f.Statuses = []string{string(incident.Resolved)}
	}
	return f
}
