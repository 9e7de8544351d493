// Package shop is the page of what visitors do in the shop and what is sold.
package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/console/series"
	"pharos/elastic"
	events "pharos/shop"
)

const (
	stream = "metrics-shop.analytics-default"
	minor  = "shop.revenue_minor."
	// hoursFrom is the span from which on hours are read, not minutes.
	hoursFrom = 48 * time.Hour
)

// Sales is what was sold in a span.
type Sales struct {
	Orders float64 `json:"orders"`
	// Revenue is by currency, in its main unit.
	Revenue   map[string]float64 `json:"revenue"`
	OverTime  page.Chart         `json:"over_time"`
	Purchases page.Chart         `json:"purchases"`
	// Currencies is OverTime with a chart for each currency: 1000 JPY are no 1000
	// EUR.
	Currencies []page.Chart `json:"currencies"`
}

// size is of the windows that a span is read from: minutes, or hours where those
// would be too many.
func size(span page.Span) events.Size {
	if span.Length() > hoursFrom {
		return events.Hour
	}
	return events.Minute
}

func grid(span page.Span) series.Grid { return series.NewGrid(span, 120, size(span).Duration()) }

// during finds the windows of a span by their beginning. Each document is a
// change to a window, so a sum over all of them is the windows as they stand.
func during(span page.Span, dimension events.Dimension) series.Object {
	return series.Object{"bool": series.Object{"filter": []series.Object{
		{"term": series.Object{"shop.window.size": string(size(span))}},
		{"term": series.Object{"shop.dimension": string(dimension)}},
		series.During(span),
	}}}
}

// currencies are those that anything was ever sold in.
func currencies(ctx context.Context, es *elastic.Client) ([]string, error) {
	fields, err := es.Fields(ctx, stream, minor+"*")
	if err != nil {
		return nil, fmt.Errorf("find the shop's currencies: %w", err)
	}
	for i, f := range fields {
		fields[i] = strings.TrimPrefix(f, minor)
	}
	return fields, nil
}

// sums asks for sums of fields, and of the revenue in each currency.
func sums(currencies []string, fields ...string) series.Object {
	aggs := series.Object{}
	for _, f := range fields {
		aggs[f] = series.Object{"sum": series.Object{"field": "shop." + f}}
	}
	for _, c := range currencies {
		aggs[minor+c] = series.Object{"sum": series.Object{"field": minor + c}}
	}
	return aggs
}

// bucket is one of an aggregation, with sums in it by their names.
type bucket map[string]json.RawMessage

// sum reads a sum; 0 where nothing was added up.
func (b bucket) sum(name string) (float64, error) {
	raw, ok := b[name]
	if !ok {
		return 0, nil
	}
	var v struct{ Value float64 }
	if err := json.Unmarshal(raw, &v); err != nil {
		return 0, fmt.Errorf("decode sum %s: %w", name, err)
	}
	return v.Value, nil
}

// key is the bucket's, where that is a number.
func (b bucket) key() (float64, error) {
	var key float64
	if err := json.Unmarshal(b["key"], &key); err != nil {
		return 0, fmt.Errorf("decode a step: %w", err)
	}
	return key, nil
}

// revenue reads the sums of money, in main units. Currencies without any are
// left out.
func (b bucket) revenue(currencies []string) (map[string]float64, error) {
	all := map[string]float64{}
	for _, c := range currencies {
		n, err := b.sum(minor + c)
		if err != nil {
			return nil, err
		}
		if n != 0 {
			all[c] = n / math.Pow10(events.Decimals(c))
		}
	}
	return all, nil
}

// ReadSales reads orders and revenue.
func ReadSales(ctx context.Context, es *elastic.Client, span page.Span) (Sales, error) {
	all, err := currencies(ctx, es)
	if err != nil {
		return Sales{}, err
	}
	g := grid(span)
	over := g.Histogram()
	over["aggs"] = sums(all, "purchases")
	res, err := es.Search(ctx, stream, series.Object{"size": 0, "query": during(span, events.Total), "aggs": series.Object{"over": over}})
	if err != nil {
		return Sales{}, fmt.Errorf("read the shop's sales: %w", err)
	}
	var answer struct{ Buckets []bucket }
	if err := series.Decode(res, map[string]any{"over": &answer}); err != nil {
		return Sales{}, fmt.Errorf("read the shop's sales: %w", err)
	}
	s, err := newSales(g, all, answer.Buckets)
	if err != nil {
		return Sales{}, fmt.Errorf("read the shop's sales: %w", err)
	}
	return s, nil
}

// newSales adds up steps of the grid. What no window was written of is unknown,
// not 0.
func newSales(g series.Grid, currencies []string, steps []bucket) (Sales, error) {
	s := Sales{Revenue: map[string]float64{}}
	orders := g.Unknown()
	total := map[string]float64{} // in the smallest unit, so that it is exact
	money := map[string][]*float64{}
	for _, b := range steps {
		key, err := b.key()
		if err != nil {
			return Sales{}, err
		}
		i, ok := g.Index(key)
		if !ok {
			continue
		}
		n, err := b.sum("purchases")
		if err != nil {
			return Sales{}, err
		}
		orders[i] = page.Value(n)
		s.Orders += n
		revenue, err := b.revenue(currencies)
		if err != nil {
			return Sales{}, err
		}
		for currency, n := range revenue {
			if money[currency] == nil {
				money[currency] = g.Unknown()
			}
			money[currency][i] = page.Value(n)
		}
		for _, currency := range currencies {
			n, err := b.sum(minor + currency)
			if err != nil {
				return Sales{}, err
			}
			total[currency] += n
		}
	}
	// Where windows were written, a currency that is not in them earned nothing.
	for _, line := range money {
		for i := range line {
			if line[i] == nil && orders[i] != nil {
				line[i] = page.Value(0)
			}
		}
	}
	s.Purchases = g.Chart("orders", "Orders", page.Counts)
	s.Purchases.Series = []page.Series{{Name: "orders", Colour: page.Colour("orders"), Values: orders}}
	s.OverTime = g.Chart("revenue", "Revenue", page.Money)
	for _, currency := range slices.Sorted(maps.Keys(money)) {
		s.Revenue[currency] = total[currency] / math.Pow10(events.Decimals(currency))
		line := page.Series{Name: currency, Colour: page.Colour(currency), Values: money[currency]}
		s.OverTime.Series = append(s.OverTime.Series, line)
		c := g.Chart("revenue-"+currency, "Revenue, "+currency, page.Money)
		line.Colour = page.Colour("revenue")
		c.Series = []page.Series{line}
		s.Currencies = append(s.Currencies, c)
	}
	return s, nil
}
