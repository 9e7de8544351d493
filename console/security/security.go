// Package security is the page of what was refused and who was refused often: it
// counts, and leaves it to the reader what that means.
package security

import (
	"context"
	"embed"

	"pharos/console/page"
	"pharos/console/series"
	"pharos/console/session"
	"pharos/elastic"
)

//go:embed security.html
var files embed.FS

// View is what the page shows.
type View struct {
	Refused   page.Panel[Refused]   `json:"refused"`
	SignIns   page.Panel[SignIns]   `json:"sign_ins"`
	Scanners  page.Panel[Scanners]  `json:"scanners"`
	Addresses page.Panel[[]Address] `json:"addresses"`
	Agents    page.Panel[[]Pattern] `json:"agents"`
	// Dependencies is nil before the first scan.
	Dependencies page.Panel[*Dependencies] `json:"dependencies"`
}

// Page describes the page for a site.
func Page() page.Page {
	return page.Page{
		Section: "Platform", Name: "security", Title: "Security", Path: "/security", Files: files, View: view,
		Need: func(r session.Rights) bool { return r.Logs },
	}
}

func view(r *page.Request) (any, error) {
	v := &View{}
	q := queries{r.Elasticsearch, r.Span}
	p := r.Panels()
	page.Load(p, &v.Refused, q.refused)
	page.Load(p, &v.SignIns, q.signIns)
	page.Load(p, &v.Scanners, q.scanners)
	page.Load(p, &v.Addresses, q.addresses)
	page.Load(p, &v.Agents, q.agents)
	page.Load(p, &v.Dependencies, q.dependencies)
	p.Wait()
	return v, nil
}

// Traffic is the beginning of every search for requests in the logs.
const Traffic = "data_stream.dataset:nginx.access and not labels.probe:true"

// Traffic lets the template use it.
func (v *View) Traffic() string { return Traffic }

type queries struct {
	es   *elastic.Client
	span page.Span
}

// traffic asks for the traffic of the span that meets conditions.
func (q queries) traffic(conditions ...series.Object) series.Object {
	return series.Object{"bool": series.Object{"filter": append([]series.Object{elastic.Traffic(q.span.Window(), elastic.TrafficFilter{})}, conditions...)}}
}

func statusIs(codes ...int) series.Object {
	return series.Object{"terms": series.Object{"http.response.status_code": codes}}
}

func statusFrom(least, below int) series.Object {
	return series.Object{"range": series.Object{"http.response.status_code": series.Object{"gte": least, "lt": below}}}
}

// counted is an aggregation's number of documents.
type counted struct {
	Count int64 `json:"doc_count"`
}

// number is a metric aggregation's.
type number struct{ Value float64 }

// termed are the buckets of a terms aggregation over T.
type termed[T any] struct{ Buckets []T }

func (q queries) ask(ctx context.Context, stream string, query, aggs series.Object, into map[string]any) (int64, error) {
	res, err := q.es.Search(ctx, stream, series.Object{"size": 0, "query": query, "aggs": aggs})
	if err != nil {
		return 0, err
	}
	return res.Total, series.Decode(res, into)
}
