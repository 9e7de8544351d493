package traces

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/console/page"
	"pharos/elastic"
)

const pageSize = 50

// List is what the page of all traces shows.
type List struct {
	Filter   Filter               `json:"filter"`
	Items    page.Panel[Items]    `json:"traces"`
	Overview page.Panel[Overview] `json:"overview"`
	Compare  string               `json:"-"` // the address of the comparison
	Cleared  bool                 `json:"-"` // nothing is filtered
}

// Items is one page of the list.
type Items struct {
	Total int64   `json:"total"`
	Items []Event `json:"items"`
	// Next is the cursor of the page after this one; empty: it is the last.
	Next string `json:"next_cursor,omitempty"`
	// Longest is the longest duration on this page, in µs.
	Longest int64 `json:"-"`
}

// Bar is how long a row's transaction took, in hundredths of the page's longest.
func (i Items) Bar(e Event) float64 {
	return max(0.5, round(100*float64(e.Duration)/float64(max(i.Longest, 1))))
}

// Overview is all that the filter found, over time.
type Overview struct {
	Total    int64      `json:"total"`
	Failed   int64      `json:"failed"`
	P50      float64    `json:"p50_seconds"`
	P95      float64    `json:"p95_seconds"`
	P99      float64    `json:"p99_seconds"`
	Counts   page.Chart `json:"counts"`
	Latency  page.Chart `json:"latency"`
	Spread   Spread     `json:"spread"`
	Services []Count    `json:"services"`
	Routes   []Count    `json:"routes"`
}

// Count is how many there are of something.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// ErrorShare is the share that failed.
func (o Overview) ErrorShare() float64 { return float64(o.Failed) / float64(max(o.Total, 1)) }

func (t Traces) list(r *page.Request) (any, error) {
	f, err := parseFilter(r.Parameters())
	if err != nil {
		return nil, err
	}
	after, err := readCursor(r.Query("cursor"))
	if err != nil {
		return nil, err
	}
	v := &List{Filter: f, Cleared: f.ID == "" && f.Service == "" && f.Route == "" && f.Status == "" && f.User == "" && f.Min == "" && f.Max == "" && f.Query == ""}
	v.Compare = "/traces/compare"
	if q := r.Request.URL.RawQuery; q != "" {
		v.Compare += "?" + q
	}
	q := queries{r.Elasticsearch, r.Span}
	p := r.Panels()
	page.Load(p, &v.Items, func(ctx context.Context) (Items, error) { return q.items(ctx, f, after) })
	page.Load(p, &v.Overview, func(ctx context.Context) (Overview, error) { return q.overview(ctx, f) })
	p.Wait()
	return v, nil
}

// queries asks what the pages show.
type queries struct {
	es   *elastic.Client
	span page.Span
}

func (q queries) items(ctx context.Context, f Filter, after []any) (Items, error) {
	query, err := f.elastic(q.span)
	if err != nil {
		return Items{}, err
	}
	body := object{"size": pageSize + 1, "query": query, "sort": f.sort(), "_source": sources()}
	if after != nil {
		body["search_after"] = after
	}
	res, err := q.es.Search(ctx, eventStream, body)
	if err != nil {
		return Items{}, fmt.Errorf("list transactions: %w", f.refused(err))
	}
	items := Items{Total: res.Total}
	for i, h := range res.Hits {
		if i == pageSize {
			items.Next = writeCursor(res.Hits[i-1].Sort)
			break
		}
		d, err := decodeDocument(h)
		if err != nil {
			return Items{}, fmt.Errorf("list transactions: %w", err)
		}
		e := d.event()
		items.Longest = max(items.Longest, e.Duration)
		items.Items = append(items.Items, e)
	}
	return items, nil
}

type percentiles struct {
	Values map[string]*float64 `json:"values"`
}

// seconds reads a percentile of microseconds; nil where there was none.
func (p percentiles) seconds(key string) *float64 {
	v := p.Values[key]
	if v == nil {
		return nil
	}
	return page.Value(*v / 1e6)
}

func known(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

type counted struct {
	DocCount int64 `json:"doc_count"`
}

type named struct {
	Buckets []struct {
		Key   string `json:"key"`
		Count int64  `json:"doc_count"`
	} `json:"buckets"`
}

func (n named) counts() []Count {
	var all []Count
	for _, b := range n.Buckets {
		all = append(all, Count{b.Key, b.Count})
	}
	return all
}

// overTime is a date_histogram over the page's span.
func overTime(s page.Span, step time.Duration) object {
	bounds := object{"min": s.From.UnixMilli(), "max": s.To.UnixMilli() - 1}
	return object{
		"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", int(step.Seconds())), "min_doc_count": 0,
		"hard_bounds": bounds, "extended_bounds": bounds,
	}
}

func (q queries) overview(ctx context.Context, f Filter) (Overview, error) {
	query, err := f.elastic(q.span)
	if err != nil {
		return Overview{}, err
	}
	took := object{"percentiles": object{"field": "transaction.duration.us", "percents": []float64{50, 95, 99}}}
	step := q.span.Bucket(90)
	res, err := q.es.Search(ctx, eventStream, object{
		"size": 0, "query": query,
		"aggs": object{
			"took": took, "failed": object{"filter": failing()},
			"services": object{"terms": object{"field": "service.name", "size": 20}},
			"routes":   object{"terms": object{"field": "transaction.name", "size": 30}},
			"over": object{"date_histogram": overTime(q.span, step), "aggs": object{
				"took": took, "spread": object{"range": object{"field": "transaction.duration.us", "ranges": ranges()}},
				"failed": object{"filter": failing(), "aggs": object{"spread": object{"range": object{"field": "transaction.duration.us", "ranges": ranges()}}}},
			}},
		},
	})
	if err != nil {
		return Overview{}, fmt.Errorf("count transactions: %w", f.refused(err))
	}
	var answer struct {
		Took             percentiles
		Failed           counted
		Services, Routes named
		Over             struct{ Buckets []bucket }
	}
	if err := decode(res, map[string]any{"took": &answer.Took, "failed": &answer.Failed, "services": &answer.Services, "routes": &answer.Routes, "over": &answer.Over}); err != nil {
		return Overview{}, fmt.Errorf("count transactions: %w", err)
	}
	o := Overview{
		Total: res.Total, Failed: answer.Failed.DocCount, Services: answer.Services.counts(), Routes: answer.Routes.counts(),
		P50: known(answer.Took.seconds("50.0")), P95: known(answer.Took.seconds("95.0")), P99: known(answer.Took.seconds("99.0")),
	}
	if f.ID != "" { // found at any time, so the axis of the page would not be theirs
		return o, nil
	}
	o.charts(q.span, step, answer.Over.Buckets)
	return o, nil
}

type bucket struct {
	Key    float64     `json:"key"`
	Count  int64       `json:"doc_count"`
	Took   percentiles `json:"took"`
	Spread ranged      `json:"spread"`
	Failed struct {
		Count  int64  `json:"doc_count"`
		Spread ranged `json:"spread"`
	} `json:"failed"`
}

type ranged struct {
	Buckets []counted `json:"buckets"`
}

func (o *Overview) charts(s page.Span, step time.Duration, buckets []bucket) {
	o.Counts = page.NewChart("counts", "Transactions a second", page.PerSecond, s)
	o.Counts.Stacked = true
	o.Counts.Series = []page.Series{{Name: "failed", Colour: page.Colour("errors")}, {Name: "healthy", Colour: page.Colour("requests")}}
	o.Latency = page.NewChart("latency", "Duration", page.Sec, s)
	keys := []string{"50.0", "95.0", "99.0"}
	for _, name := range []string{"p50", "p95", "p99"} {
		o.Latency.Series = append(o.Latency.Series, page.Series{Name: name, Colour: page.Colour(name)})
	}
	for _, b := range buckets {
		at := int64(b.Key / 1000)
		o.Counts.Times, o.Latency.Times = append(o.Counts.Times, at), append(o.Latency.Times, at)
		o.Counts.Series[0].Values = append(o.Counts.Series[0].Values, page.Value(float64(b.Failed.Count)/step.Seconds()))
		o.Counts.Series[1].Values = append(o.Counts.Series[1].Values, page.Value(float64(b.Count-b.Failed.Count)/step.Seconds()))
		for i, key := range keys {
			o.Latency.Series[i].Values = append(o.Latency.Series[i].Values, b.Took.seconds(key))
		}
	}
	o.Spread = spread(s, step, buckets)
}

// decode reads aggregations by their names; those of a stream that does not
// exist yet are not there.
func decode(res *elastic.SearchResult, into map[string]any) error {
	for name, v := range into {
		if raw, ok := res.Aggregations[name]; ok {
			if err := json.Unmarshal(raw, v); err != nil {
				return fmt.Errorf("decode aggregation %s: %w", name, err)
			}
		}
	}
	return nil
}
