package capacity

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pharos/console/page"
	"pharos/console/series"
	"pharos/elastic"
)

// signals are the streams that this page is about.
const signals = "logs-*,traces-*,metrics-*,metricbeat-*,heartbeat-*"

// Stream is how much one holds and gets.
type Stream struct {
	Name string `json:"name"`
	elastic.Size
	// Added are the documents of the span.
	Added float64 `json:"added"`
	// PerDay is the growth in bytes at that rate: documents a day by the mean size of
	// a document, before retention removes any. nil: nothing is known of the size.
	PerDay *float64 `json:"bytes_per_day"`
}

func (q queries) streams(ctx context.Context) ([]Stream, error) {
	sizes, err := q.es.Sizes(ctx, signals)
	if err != nil {
		return nil, err
	}
	res, err := q.es.Search(ctx, signals, series.Object{
		"size": 0, "query": series.During(q.grid.Span),
		"aggs": series.Object{"indices": series.Object{"terms": series.Object{"field": "_index", "size": 1000}}},
	})
	if err != nil {
		return nil, fmt.Errorf("count documents by stream: %w", err)
	}
	var indices struct {
		Buckets []struct {
			Key   string
			Count float64 `json:"doc_count"`
		}
	}
	if err := series.Decode(res, map[string]any{"indices": &indices}); err != nil {
		return nil, fmt.Errorf("count documents by stream: %w", err)
	}
	added := map[string]float64{}
	for _, b := range indices.Buckets {
		added[elastic.StreamOf(b.Key)] += b.Count
	}
	return growth(sizes, added, q.grid.Span), nil
}

// growth lists the streams, the largest first.
func growth(sizes map[string]elastic.Size, added map[string]float64, span page.Span) []Stream {
	var all []Stream
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		s := Stream{Name: name, Size: sizes[name], Added: added[name]}
		if s.Documents > 0 {
			s.PerDay = page.Value(s.Bytes / s.Documents * s.Added / span.Length().Hours() * 24)
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b Stream) int {
		switch {
		case a.Bytes > b.Bytes:
			return -1
		case a.Bytes < b.Bytes:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}
