// Package uptime is the console's pages of what Heartbeat sees: each monitor now
// and over the page's span, outages, and the components' last 90 days.
package uptime

import (
	"context"
	"embed"
	"slices"
	"time"

	"pharos/console/days"
	"pharos/console/page"
	"pharos/console/session"
	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/slo"
	"pharos/slo/rollup"
)

//go:embed uptime.html monitor.html part_outages.html
var files embed.FS

// Uptime is the page of all monitors and the page of one.
type Uptime struct {
	// Objectives whose indicator is uptime give the components.
	Objectives []slo.Objective
}

// View is what the page of all shows.
type View struct {
	Monitors   page.Panel[[]Monitor]   `json:"monitors"`
	Components page.Panel[[]Component] `json:"components"`
	Outages    page.Panel[Outages]     `json:"outages"`
}

// MonitorView is what the page of one monitor shows.
type MonitorView struct {
	ID         string                  `json:"id"`
	Monitor    page.Panel[Monitor]     `json:"monitor"`
	Components page.Panel[[]Component] `json:"components"`
	Took       page.Panel[page.Chart]  `json:"took"`
	Outages    page.Panel[Outages]     `json:"outages"`
}

// PageTitle names the page after the monitor.
func (v *MonitorView) PageTitle() string {
	if v.Monitor.Data.Name != "" {
		return v.Monitor.Data.Name
	}
	return v.ID
}

// Component is a part of the system, as the uptime objective has it, with the
// minutes of its last 90 days.
type Component struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Monitors []string `json:"monitors"`
	NeedAll  bool     `json:"need_all"`
	days.Row
}

func mayRead(r session.Rights) bool { return r.Uptime }

// Page describes the page of all monitors for a site.
func (u Uptime) Page() page.Page {
	return page.Page{Section: "Now", Name: "uptime", Title: "Uptime", Path: "/uptime", Need: mayRead, Files: files, View: u.view}
}

// MonitorPage describes the page of one monitor for a site.
func (u Uptime) MonitorPage() page.Page {
	return page.Page{Section: "Now", Name: "monitor", Title: "Monitor", Path: "/uptime/:monitor", Need: mayRead, Files: files, Hidden: true, View: u.monitor}
}

func (u Uptime) view(r *page.Request) (any, error) {
	v := &View{}
	q := queries{r.Elasticsearch, r.Span, r.Now}
	p := r.Panels()
	page.Load(p, &v.Monitors, func(ctx context.Context) ([]Monitor, error) { return q.monitors(ctx, "") })
	page.Load(p, &v.Components, func(ctx context.Context) ([]Component, error) { return u.components(ctx, q, "") })
	page.Load(p, &v.Outages, func(ctx context.Context) (Outages, error) {
		return q.outages(ctx, r.Span.From, r.Span.To, "")
	})
	p.Wait()
	return v, nil
}

func (u Uptime) monitor(r *page.Request) (any, error) {
	v := &MonitorView{ID: r.Param("monitor")}
	q := queries{r.Elasticsearch, r.Span, r.Now}
	p := r.Panels()
	var found []Monitor
	var err error
	page.Load(p, &v.Monitor, func(ctx context.Context) (Monitor, error) {
		found, err = q.monitors(ctx, v.ID)
		if err != nil || len(found) == 0 {
			return Monitor{}, err
		}
		return found[0], nil
	})
	page.Load(p, &v.Components, func(ctx context.Context) ([]Component, error) { return u.components(ctx, q, v.ID) })
	page.Load(p, &v.Took, func(ctx context.Context) (page.Chart, error) { return q.took(ctx, v.ID) })
	page.Load(p, &v.Outages, func(ctx context.Context) (Outages, error) {
		return q.outages(ctx, r.Span.From, r.Span.To, v.ID)
	})
	p.Wait()
	if err == nil && len(found) == 0 {
		return nil, fault.New(fault.NotFound, "Heartbeat has not looked at a monitor of this name, neither in this time nor in the last ten minutes.")
	}
	return v, nil
}

// components reads the last 90 days of all components, or of those of a monitor.
func (u Uptime) components(ctx context.Context, q queries, monitor string) ([]Component, error) {
	all := []Component{}
	for _, o := range u.Objectives {
		if o.Indicator.Uptime == nil {
			continue
		}
		byName, err := rollup.Reader{Elasticsearch: q.es, Stream: slo.RollupStream}.Days(ctx, o.Name, rollup.ByComponent, q.firstDay(), q.now)
		if err != nil {
			return nil, err
		}
		for _, c := range o.Indicator.Uptime.Components {
			if monitor == "" || slices.Contains(c.Monitors, monitor) {
				all = append(all, Component{c.Name, c.Title, c.Monitors, c.NeedAll, days.Last(history, byName[c.Name], o.Budget(), q.now)})
			}
		}
	}
	return all, nil
}

// history is how many days the components' cells go back.
const history = 90

// queries asks what the pages show.
type queries struct {
	es   *elastic.Client
	span page.Span
	now  time.Time
}

func (q queries) firstDay() time.Time {
	return q.now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-history)
}
