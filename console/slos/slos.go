// Package slos is the console's pages of service level objectives: how much of
// each budget is left, how fast it is spent, and on what.
package slos

import (
	"context"
	"embed"
	"fmt"
	"time"

	"pharos/console/page"
	"pharos/console/session"
	"pharos/slo"
	"pharos/slo/rollup"
)

//go:embed slos.html objective.html part_figures.html
var files embed.FS

// SLOs is the pages.
type SLOs struct {
	Objectives []slo.Objective
	// Runbooks is what a runbook's file name is joined to; empty: it is only named.
	Runbooks string
}

// Pages describes the pages for a site.
func (s SLOs) Pages() []page.Page {
	need := func(r session.Rights) bool { return r.Metrics }
	return []page.Page{
		{Section: "Promises", Name: "slos", Title: "SLOs", Path: "/slos", Need: need, Files: files, View: s.list},
		{Name: "objective", Title: "Objective", Path: "/slos/:name", Need: need, Files: files, View: s.one, Hidden: true},
	}
}

// View is what the list shows.
type View struct {
	Objectives []*Listed `json:"objectives"`
}

// Listed is an objective of the list.
type Listed struct {
	About
	Standing page.Panel[Figures] `json:"standing"`
}

// About is what an objective promises.
type About struct {
	Name        string  `json:"name"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Service     string  `json:"service"`
	Target      float64 `json:"target"`
	Unit        string  `json:"unit"`
	WindowDays  float64 `json:"window_days"`
	// GroupBy is the field whose values have budgets of their own; "component" for
	// uptime, empty for none.
	GroupBy string `json:"group_by,omitempty"`
}

func about(o slo.Objective) About {
	a := About{Name: o.Name, Title: o.Title, Description: o.Description, Service: o.Service, Target: o.Target, Unit: o.Unit(), WindowDays: o.Window.Hours() / 24}
	switch {
	case o.Indicator.Ratio != nil:
		a.GroupBy = o.Indicator.Ratio.GroupBy
	case o.Indicator.Uptime != nil:
		a.GroupBy = "component"
	}
	return a
}

// Figures is how an objective stands, with what the templates say of it.
type Figures struct {
	rollup.Figures
	Budget float64 `json:"budget"` // the share that may be bad
}

func figures(s rollup.Standing, now time.Time) Figures {
	return Figures{s.Figures(now), s.Objective.Budget()}
}

// State is the standing in a word.
func (f Figures) State() map[string]string {
	said := func(state, word string) map[string]string { return map[string]string{"State": state, "Word": word} }
	switch {
	case f.BudgetLeft == nil:
		return said("unknown", page.NoData)
	case len(f.Burning) > 0 && *f.BudgetLeft > 0:
		return said("bad", "burns too fast")
	case *f.BudgetLeft <= 0:
		return said("bad", "budget spent")
	case *f.BudgetLeft < 0.25:
		return said("warn", "little left")
	}
	return said("ok", "met")
}

// Burn is a burn rate beside the rate at which somebody is told.
type Burn struct {
	Window string
	Rate   *float64
	Limit  float64
	Over   bool
}

// Burns are the burn rates of the four windows.
func (f Figures) Burns() []Burn {
	var all []Burn
	add := func(window string, rate *float64, limit float64) {
		all = append(all, Burn{window, rate, limit, rate != nil && *rate >= limit})
	}
	rules := slo.Burns()
	for i, rate := range []*float64{f.Burn1h, f.Burn6h, f.Burn3d} {
		add(length(rules[i].Long), rate, rules[i].Factor)
	}
	add(page.Seconds(f.WindowDays*86400), f.BurnWindow, 1)
	return all
}

// length is a rule's window as the workbook names it: 5 min, 1 h, 3 d.
func length(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%g\u00a0d", d.Hours()/24)
	case d >= time.Hour:
		return fmt.Sprintf("%g\u00a0h", d.Hours())
	}
	return fmt.Sprintf("%g\u00a0min", d.Minutes())
}

// TargetText is the target with as many digits as it has.
func (f Figures) TargetText() string { return slo.Percent(f.Target) }

// Left is what is left of the budget for a meter: from 0 to 1.
func (f Figures) Left() float64 {
	if f.BudgetLeft == nil {
		return 0
	}
	return max(0, *f.BudgetLeft)
}

// Good is total − bad.
func (f Figures) Good() float64 { return f.Total - f.Bad }

// Allowed is how many may be bad of those that there were.
func (f Figures) Allowed() float64 { return f.Total * f.Budget }

func (s SLOs) reader(r *page.Request) rollup.Reader {
	return rollup.Reader{Elasticsearch: r.Elasticsearch, Stream: slo.RollupStream, Now: func() time.Time { return r.Now }}
}

func (s SLOs) list(r *page.Request) (any, error) {
	v := &View{Objectives: []*Listed{}}
	p := r.Panels()
	for _, o := range s.Objectives {
		l := &Listed{About: about(o)}
		v.Objectives = append(v.Objectives, l)
		page.Load(p, &l.Standing, func(ctx context.Context) (Figures, error) {
			all, err := s.reader(r).Standing(ctx, o, false)
			if err != nil {
				return Figures{}, err
			}
			return figures(all[0], r.Now), nil
		})
	}
	p.Wait()
	return v, nil
}
