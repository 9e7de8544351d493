package shop

import (
	"context"
	"embed"
	"fmt"
	"time"

	"pharos/console/page"
	"pharos/console/series"
	"pharos/console/session"
	"pharos/elastic"
	events "pharos/shop"
)

//go:embed shop.html
var files embed.FS

// View is what the page shows.
type View struct {
	// Window is the size of the windows that the figures are made of: 1m or 1h.
	Window    events.Size            `json:"window"`
	Sales     page.Panel[Sales]      `json:"sales"`
	Behaviour page.Panel[Behaviour]  `json:"behaviour"`
	Latest    page.Panel[*Latest]    `json:"latest"`
	Products  page.Panel[[]TopGroup] `json:"products"`
	Category  page.Panel[[]TopGroup] `json:"categories"`
	Country   page.Panel[[]TopGroup] `json:"countries"`
}

// Behaviour is what visitors did.
type Behaviour struct {
	Events float64 `json:"events"`
	// Late are events that came after their window was closed; they count.
	Late  float64 `json:"late"`
	Views float64 `json:"views"`
	Carts float64 `json:"carts"`
	// Funnel is of sessions.
	Funnel   []Step     `json:"funnel"`
	Visitors page.Chart `json:"visitors"`
	Activity page.Chart `json:"activity"`
}

// Step is one of the funnel's.
type Step struct {
	Name     string  `json:"name"`
	Sessions float64 `json:"sessions"`
	// OfFirst and OfBefore are shares of the sessions of the first step and of the
	// step before; nil where there are none.
	OfFirst  *float64 `json:"of_first"`
	OfBefore *float64 `json:"of_before"`
}

// Latest is the newest minute that was counted.
type Latest struct {
	At       time.Time `json:"at"`
	Visitors float64   `json:"visitors"`
	Events   float64   `json:"events"`
	Orders   float64   `json:"orders"`
}

// Page describes the page for a site.
func Page() page.Page {
	return page.Page{
		Section: "Business", Name: "shop", Title: "Shop", Path: "/shop", Files: files, View: view,
		Need: func(r session.Rights) bool { return r.Metrics },
	}
}

func view(r *page.Request) (any, error) {
	v := &View{Window: size(r.Span)}
	p := r.Panels()
	page.Load(p, &v.Sales, func(ctx context.Context) (Sales, error) { return ReadSales(ctx, r.Elasticsearch, r.Span) })
	page.Load(p, &v.Behaviour, func(ctx context.Context) (Behaviour, error) { return behaviour(ctx, r.Elasticsearch, r.Span) })
	page.Load(p, &v.Latest, func(ctx context.Context) (*Latest, error) { return latest(ctx, r.Elasticsearch, r.Now) })
	for dimension, into := range map[events.Dimension]*page.Panel[[]TopGroup]{
		events.ByProduct: &v.Products, events.ByCategory: &v.Category, events.ByCountry: &v.Country,
	} {
		page.Load(p, into, func(ctx context.Context) ([]TopGroup, error) { return top(ctx, r.Elasticsearch, r.Span, dimension) })
	}
	p.Wait()
	return v, nil
}

// AverageOrder is the mean amount of an order; nil where there is none, or where
// there is more than one currency: orders are not counted by currency.
func (s Sales) AverageOrder() *float64 {
	if s.Orders <= 0 || len(s.Revenue) != 1 {
		return nil
	}
	for _, amount := range s.Revenue {
		return page.Value(amount / s.Orders)
	}
	return nil
}

// funnel makes the steps of sums of sessions.
func funnel(viewed, carted, purchased float64) []Step {
	steps := []Step{{Name: "viewed", Sessions: viewed}, {Name: "put into the cart", Sessions: carted}, {Name: "purchased", Sessions: purchased}}
	for i := range steps {
		if viewed > 0 {
			steps[i].OfFirst = page.Value(steps[i].Sessions / viewed)
		}
		if i > 0 && steps[i-1].Sessions > 0 {
			steps[i].OfBefore = page.Value(steps[i].Sessions / steps[i-1].Sessions)
		}
	}
	return steps
}

func behaviour(ctx context.Context, es *elastic.Client, span page.Span) (Behaviour, error) {
	g := grid(span)
	over := g.Histogram()
	aggs := sums(nil, "visitors", "views", "carts", "actions", "purchases")
	// A step may hold more than one window; visitors are of each window.
	aggs["windows"] = series.Object{"cardinality": series.Object{"field": "@timestamp", "precision_threshold": 3000}}
	over["aggs"] = aggs
	all := sums(nil, "events", "late", "views", "carts", "funnel.viewed", "funnel.carted", "funnel.purchased")
	all["over"] = over
	res, err := es.Search(ctx, stream, series.Object{"size": 0, "query": during(span, events.Total), "aggs": all})
	if err != nil {
		return Behaviour{}, fmt.Errorf("read what visitors did: %w", err)
	}
	b, err := newBehaviour(g, bucket(res.Aggregations), size(span))
	if err != nil {
		return Behaviour{}, fmt.Errorf("read what visitors did: %w", err)
	}
	return b, nil
}

func newBehaviour(g series.Grid, all bucket, window events.Size) (Behaviour, error) {
	b := Behaviour{}
	var viewed, carted, purchased float64
	for name, into := range map[string]*float64{
		"events": &b.Events, "late": &b.Late, "views": &b.Views, "carts": &b.Carts,
		"funnel.viewed": &viewed, "funnel.carted": &carted, "funnel.purchased": &purchased,
	} {
		var err error
		if *into, err = all.sum(name); err != nil {
			return Behaviour{}, err
		}
	}
	b.Funnel = funnel(viewed, carted, purchased)
	var over struct{ Buckets []bucket }
	if err := series.Decode(&elastic.SearchResult{Aggregations: all}, map[string]any{"over": &over}); err != nil {
		return Behaviour{}, err
	}
	names := []string{"views", "actions", "carts", "purchases"}
	colours := []string{"c-sky", "c-grey", "c-orange", "c-blue"}
	lines := [][]*float64{g.Unknown(), g.Unknown(), g.Unknown(), g.Unknown()}
	visitors := g.Unknown()
	for _, step := range over.Buckets {
		key, err := step.key()
		if err != nil {
			return Behaviour{}, err
		}
		i, ok := g.Index(key)
		if !ok {
			continue
		}
		for j, name := range names {
			n, err := step.sum(name)
			if err != nil {
				return Behaviour{}, err
			}
			lines[j][i] = page.Value(n)
		}
		n, err := step.sum("visitors")
		if err != nil {
			return Behaviour{}, err
		}
		windows, err := step.sum("windows")
		if err != nil {
			return Behaviour{}, err
		}
		if windows > 0 {
			visitors[i] = page.Value(n / windows)
		}
	}
	unit := "minute"
	if window == events.Hour {
		unit = "hour"
	}
	b.Visitors = g.Chart("visitors", "Active visitors, in the mean "+unit, page.Counts)
	b.Visitors.Series = []page.Series{{Name: "visitors", Colour: "c-purple", Values: visitors}}
	b.Activity = g.Chart("activity", "What they did", page.Counts)
	b.Activity.Stacked = true
	for j, name := range names {
		b.Activity.Series = append(b.Activity.Series, page.Series{Name: name, Colour: colours[j], Values: lines[j]})
	}
	return b, nil
}

// latest reads the newest minute of the last hour.
func latest(ctx context.Context, es *elastic.Client, now time.Time) (*Latest, error) {
	recent := page.Span{From: now.Add(-time.Hour), To: now}
	res, err := es.Search(ctx, stream, series.Object{"size": 0, "query": during(recent, events.Total), "aggs": series.Object{
		"minutes": series.Object{
			"terms": series.Object{"field": "@timestamp", "size": 1, "order": series.Object{"_key": "desc"}},
			"aggs":  sums(nil, "visitors", "events", "purchases"),
		},
	}})
	if err != nil {
		return nil, fmt.Errorf("read the newest minute: %w", err)
	}
	var minutes struct {
		Buckets []struct {
			Key                         int64
			Visitors, Events, Purchases struct{ Value float64 }
		}
	}
	if err := series.Decode(res, map[string]any{"minutes": &minutes}); err != nil {
		return nil, fmt.Errorf("read the newest minute: %w", err)
	}
	if len(minutes.Buckets) == 0 {
		return nil, nil
	}
	b := minutes.Buckets[0]
	return &Latest{time.UnixMilli(b.Key).UTC(), b.Visitors.Value, b.Events.Value, b.Purchases.Value}, nil
}
