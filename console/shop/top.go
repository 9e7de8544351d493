package shop

import (
	"context"
	"encoding/json"
	"fmt"

	"pharos/console/page"
	"pharos/console/series"
	"pharos/elastic"
	events "pharos/shop"
)

// TopGroup is a product, a category or a country, and what it brought.
type TopGroup struct {
	Name      string             `json:"name"`
	Views     float64            `json:"views"`
	Carts     float64            `json:"carts"`
	Purchases float64            `json:"purchases"`
	Revenue   map[string]float64 `json:"revenue"`
}

// listed is how many of a dimension are shown.
const listed = 12

// top reads those of a dimension that were purchased most.
func top(ctx context.Context, es *elastic.Client, span page.Span, dimension events.Dimension) ([]TopGroup, error) {
	all, err := currencies(ctx, es)
	if err != nil {
		return nil, err
	}
	res, err := es.Search(ctx, stream, series.Object{"size": 0, "query": during(span, dimension), "aggs": series.Object{
		"top": series.Object{
			"terms": series.Object{"field": "shop." + string(dimension), "size": listed, "order": []series.Object{{"purchases": "desc"}, {"views": "desc"}, {"_key": "asc"}}},
			"aggs":  sums(all, "views", "carts", "purchases"),
		},
	}})
	if err != nil {
		return nil, fmt.Errorf("read the shop by %s: %w", dimension, err)
	}
	var answer struct{ Buckets []bucket }
	if err := series.Decode(res, map[string]any{"top": &answer}); err != nil {
		return nil, fmt.Errorf("read the shop by %s: %w", dimension, err)
	}
	groups, err := topGroups(all, answer.Buckets)
	if err != nil {
		return nil, fmt.Errorf("read the shop by %s: %w", dimension, err)
	}
	return groups, nil
}

func topGroups(currencies []string, buckets []bucket) ([]TopGroup, error) {
	var groups []TopGroup
	for _, b := range buckets {
		g := TopGroup{}
		if err := json.Unmarshal(b["key"], &g.Name); err != nil {
			return nil, fmt.Errorf("decode a name: %w", err)
		}
		for name, into := range map[string]*float64{"views": &g.Views, "carts": &g.Carts, "purchases": &g.Purchases} {
			var err error
			if *into, err = b.sum(name); err != nil {
				return nil, err
			}
		}
		var err error
		if g.Revenue, err = b.revenue(currencies); err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}
