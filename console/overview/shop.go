package overview

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/shop"
)

const shopStream = "metrics-shop.analytics-default"

// Shop is what was sold.
type Shop struct {
	Orders    float64            `json:"orders"`
	Revenue   map[string]float64 `json:"revenue"` // by currency, in its main unit
	OverTime  page.Chart         `json:"over_time"`
	Purchases page.Chart         `json:"purchases"`
}

// shop adds up the minutes of the shop's analytics. Each document is a change to
// a minute, so a sum is the minute as it stands.
func (q queries) shop(ctx context.Context) (Shop, error) {
	bucket := q.span.Bucket(120)
	aggs := object{"orders": object{"sum": object{"field": "shop.purchases"}}}
	const minor = "shop.revenue_minor."
	fields, err := q.es.Fields(ctx, shopStream, minor+"*")
	if err != nil {
		return Shop{}, err
	}
	var currencies []string
	for _, f := range fields {
		currency := strings.TrimPrefix(f, minor)
		currencies = append(currencies, currency)
		aggs[currency] = object{"sum": object{"field": f}}
	}
	over := object{"over": object{"date_histogram": object{
		"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", int(max(bucket, time.Minute).Seconds())), "min_doc_count": 1,
	}, "aggs": aggs}}
	res, err := q.es.Search(ctx, shopStream, object{
		"size": 0,
		"query": object{"bool": object{"filter": []object{
			{"term": object{"shop.window.size": "minute"}}, {"term": object{"shop.dimension": "total"}},
			{"range": object{"@timestamp": object{"gte": q.span.From.UTC().Format(time.RFC3339), "lt": q.span.To.UTC().Format(time.RFC3339)}}},
		}}},
		"aggs": over,
	})
	if err != nil {
		return Shop{}, fmt.Errorf("read the shop's minutes: %w", err)
	}
	var answer struct{ Buckets []map[string]json.RawMessage }
	if err := decode(res, map[string]any{"over": &answer}); err != nil {
		return Shop{}, fmt.Errorf("read the shop's minutes: %w", err)
	}
	s := Shop{Revenue: map[string]float64{}}
	s.Purchases = page.NewChart("orders", "Orders", page.Counts, q.span)
	s.OverTime = page.NewChart("revenue", "Revenue", page.Money, q.span)
	orders := page.Series{Name: "orders", Colour: page.Colour("orders")}
	money := map[string]*page.Series{}
	for _, b := range answer.Buckets {
		var key float64
		if err := json.Unmarshal(b["key"], &key); err != nil {
			return Shop{}, fmt.Errorf("read the shop's minutes: %w", err)
		}
		at := int64(key / 1000)
		n, err := sum(b["orders"])
		if err != nil {
			return Shop{}, err
		}
		s.Orders += n
		orders.Values = append(orders.Values, page.Value(n))
		s.Purchases.Times = append(s.Purchases.Times, at)
		s.OverTime.Times = append(s.OverTime.Times, at)
		for _, currency := range currencies {
			n, err := sum(b[currency])
			if err != nil {
				return Shop{}, err
			}
			unit := math.Pow10(shop.Decimals(currency))
			if money[currency] == nil {
				money[currency] = &page.Series{Name: currency, Colour: page.Colour(currency)}
			}
			money[currency].Values = append(money[currency].Values, page.Value(n/unit))
			s.Revenue[currency] += n / unit
		}
	}
	s.Purchases.Series = []page.Series{orders}
	for _, currency := range currencies {
		if s.Revenue[currency] == 0 {
			delete(s.Revenue, currency)
			continue
		}
		s.OverTime.Series = append(s.OverTime.Series, *money[currency])
	}
	return s, nil
}

// sum reads a sum aggregation.
func sum(raw json.RawMessage) (float64, error) {
	var v struct{ Value float64 }
	if err := json.Unmarshal(raw, &v); err != nil {
		return 0, fmt.Errorf("decode a sum: %w", err)
	}
	return v.Value, nil
}
