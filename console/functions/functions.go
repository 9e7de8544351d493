// Package functions is the page of the measured functions, and of the jobs that
// visitors and users have asked for.
package functions

import (
	"cmp"
	"context"
	"embed"
	"slices"
	"strings"
	"time"

	"pharos/console/operatorapi"
	"pharos/console/page"
	"pharos/console/session"
	"pharos/internal/fault"
)

//go:embed functions.html
var files embed.FS

// API is what the page asks of the operator scope; operatorapi.Client is one.
type API interface {
	Functions(ctx context.Context, from, to time.Time) ([]operatorapi.Function, error)
}

// Functions is the page.
type Functions struct{ API API }

// View is what the page shows.
type View struct {
	Sort string `json:"sort"`
	// Name is the one function that the charts are of; "": those called most.
	Name      string                             `json:"name"`
	Functions page.Panel[[]operatorapi.Function] `json:"functions"`
	Charts    page.Panel[Charts]                 `json:"charts"`
	Queue     page.Panel[Queue]                  `json:"queue"`
}

// Page describes the page for a site.
func (f Functions) Page() page.Page {
	return page.Page{
		Section: "Business", Name: "functions", Title: "Functions", Path: "/functions", Files: files, View: f.view,
		Need: func(r session.Rights) bool { return r.Metrics },
	}
}

func (f Functions) view(r *page.Request) (any, error) {
	v := &View{Sort: cmp.Or(r.Query("sort"), "calls"), Name: r.Query("name")}
	by, ok := orders[v.Sort]
	if !ok {
		return nil, fault.Field(fault.InvalidParameter, "sort", "sort must be calls, errors, total, avg, p95 or name.")
	}
	p := r.Panels()
	page.Load(p, &v.Functions, func(ctx context.Context) ([]operatorapi.Function, error) {
		all, err := f.API.Functions(ctx, r.Span.From, r.Span.To)
		slices.SortFunc(all, func(a, b operatorapi.Function) int {
			return cmp.Or(by(a, b), strings.Compare(a.Name, b.Name))
		})
		return all, err
	})
	page.Load(p, &v.Charts, func(ctx context.Context) (Charts, error) { return f.charts(ctx, r.Span, v.Name) })
	page.Load(p, &v.Queue, func(ctx context.Context) (Queue, error) { return queue(ctx, r.Elasticsearch, r.Span) })
	p.Wait()
	return v, nil
}

// orders are how the functions may be sorted, the greatest first.
//
//nolint:gochecknoglobals // a table that is only read
var orders = map[string]func(a, b operatorapi.Function) int{
	"calls":  func(a, b operatorapi.Function) int { return cmp.Compare(b.Calls, a.Calls) },
	"errors": func(a, b operatorapi.Function) int { return cmp.Compare(b.Errors, a.Errors) },
	"total":  func(a, b operatorapi.Function) int { return cmp.Compare(total(b), total(a)) },
	"avg":    func(a, b operatorapi.Function) int { return cmp.Compare(value(b.Average), value(a.Average)) },
	"p95":    func(a, b operatorapi.Function) int { return cmp.Compare(value(b.P95), value(a.P95)) },
	"name":   func(a, b operatorapi.Function) int { return strings.Compare(a.Name, b.Name) },
}

func value(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// total is the time spent in a function, in seconds.
func total(f operatorapi.Function) float64 { return float64(f.Calls) * value(f.Average) }

// Total is the time spent in a function, in seconds.
func (v *View) Total(f operatorapi.Function) float64 { return total(f) }
