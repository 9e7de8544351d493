// Package overview is the console's first page: is it up, how much is asked of
// it, how fast does it answer, and what does it earn.
package overview

import (
	"context"
	"embed"
	"fmt"
	"time"

	"pharos/console/page"
	"pharos/console/shop"
	"pharos/console/watcherapi"
	"pharos/elastic"
	"pharos/slo"
)

//go:embed overview.html
var files embed.FS

// Overview is the page.
type Overview struct {
	Watcher *watcherapi.Client
	// Availability is the objective of all requests; nil: there is none, and
	// figures of more than an hour are unknown.
	Availability *slo.Objective
}

// View is what the page shows.
type View struct {
	Availability page.Panel[[]Availability] `json:"availability"`
	Traffic      page.Panel[Traffic]        `json:"traffic"`
	Instances    page.Panel[[]Instance]     `json:"instances"`
	Alerts       page.Panel[[]Alert]        `json:"alerts"`
	Shop         page.Panel[shop.Sales]     `json:"shop"`
}

// Availability is the share of the requests of a window that were answered
// without a fault of ours.
type Availability struct {
	Name  string    `json:"name"`
	From  time.Time `json:"from"`
	Total float64   `json:"total"`
	Bad   float64   `json:"bad"`
	Known bool      `json:"known"`
	// Objective is whose minutes were counted; empty: the requests themselves.
	Objective string `json:"objective,omitempty"`
	// Target and BudgetLeft (1 is all of it) are the objective's, where there is
	// one for this window.
	Target     float64  `json:"target,omitempty"`
	BudgetLeft *float64 `json:"budget_left,omitempty"`
}

// Ratio is (total − bad) / total.
func (a Availability) Ratio() float64 { return (a.Total - a.Bad) / a.Total }

// State is ok, warn or bad beside the target, in a word.
func (a Availability) State() map[string]string {
	switch {
	case !a.Known:
		return map[string]string{"State": "unknown", "Word": page.NoData}
	case a.BudgetLeft == nil:
		return nil
	case *a.BudgetLeft <= 0:
		return map[string]string{"State": "bad", "Word": "budget spent"}
	case *a.BudgetLeft < 0.25:
		return map[string]string{"State": "warn", "Word": page.Percent(*a.BudgetLeft) + " of the budget left"}
	}
	return map[string]string{"State": "ok", "Word": page.Percent(*a.BudgetLeft) + " of the budget left"}
}

// Slower is the search for those of some requests that took so many seconds or
// longer; their log lines count nanoseconds.
func (v *View) Slower(requests string, seconds float64) string {
	return fmt.Sprintf("%s and event.duration >= %d", requests, int64(seconds*1e9))
}

// Page describes the page for a site.
func (o Overview) Page() page.Page {
	return page.Page{
		Section: "Now", Name: "overview", Title: "Overview", Path: "/", Need: page.Anybody, Files: files, View: o.view,
	}
}

func (o Overview) view(r *page.Request) (any, error) {
	v := &View{}
	q := queries{r.Elasticsearch, r.Span, r.Now}
	p := r.Panels()
	page.Load(p, &v.Availability, func(ctx context.Context) ([]Availability, error) {
		return q.availability(ctx, o.Availability, r.Reader.Rights.Logs)
	})
	page.Load(p, &v.Traffic, q.traffic)
	page.Load(p, &v.Instances, q.instances)
	page.Load(p, &v.Alerts, func(ctx context.Context) ([]Alert, error) { return o.alerts(ctx, r) })
	page.Load(p, &v.Shop, func(ctx context.Context) (shop.Sales, error) { return shop.ReadSales(ctx, r.Elasticsearch, r.Span) })
	p.Wait()
	return v, nil
}

// queries asks what the page shows.
type queries struct {
	es   *elastic.Client
	span page.Span
	now  time.Time
}
