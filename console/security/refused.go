package security

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"pharos/console/page"
	"pharos/console/series"
)

// Refused are the answers 401, 403 and 429.
type Refused struct {
	Total  int64      `json:"total"`
	Codes  []Code     `json:"codes"`
	Routes []Route    `json:"routes"`
	Chart  page.Chart `json:"chart"`
}

// Code is how many answers had a status.
type Code struct {
	Status int    `json:"status"`
	Means  string `json:"means"`
	Count  int64  `json:"count"`
}

// Route is what a route refused.
type Route struct {
	Name      string `json:"route"`
	Refused   int64  `json:"refused"`
	Codes     []Code `json:"codes"` // of refusals, each status in its place
	Addresses int64  `json:"addresses"`
}

func codes() []Code {
	return []Code{{Status: 401, Means: "not signed in"}, {Status: 403, Means: "not allowed"}, {Status: 429, Means: "too many requests"}}
}

type statusBucket struct {
	Key   int
	Count int64 `json:"doc_count"`
}

func (q queries) refused(ctx context.Context) (Refused, error) {
	grid := series.NewGrid(q.span, 120, time.Second)
	byStatus := series.Object{"terms": series.Object{"field": "http.response.status_code", "size": 10}}
	over := grid.Histogram()
	over["aggs"] = series.Object{"status": byStatus}
	var steps termed[struct {
		Key    float64
		Status termed[statusBucket]
	}]
	var all termed[statusBucket]
	var routes termed[struct {
		Key       string
		Count     int64 `json:"doc_count"`
		Status    termed[statusBucket]
		Addresses number
	}]
	total, err := q.ask(ctx, trafficStream, q.traffic(statusIs(401, 403, 429)), series.Object{
		"over": over, "status": byStatus,
		"routes": series.Object{"terms": series.Object{"field": "http.route", "size": 15}, "aggs": series.Object{
			"status": byStatus, "addresses": series.Object{"cardinality": series.Object{"field": "client.ip"}},
		}},
	}, map[string]any{"over": &steps, "status": &all, "routes": &routes})
	if err != nil {
		return Refused{}, fmt.Errorf("count refusals: %w", err)
	}
	r := Refused{Total: total, Codes: place(all.Buckets)}
	for _, b := range routes.Buckets {
		r.Routes = append(r.Routes, Route{b.Key, b.Count, place(b.Status.Buckets), int64(b.Addresses.Value)})
	}
	r.Chart = grid.Chart("refused-over", "Refused, by status", page.Counts)
	r.Chart.Stacked = true
	colours := []string{"c-orange", "c-vermilion", "c-purple"}
	for i, c := range codes() {
		// A log without refusals is known to have none.
		values := make([]*float64, len(grid.Times))
		for j := range values {
			values[j] = page.Value(0)
		}
		for _, step := range steps.Buckets {
			if at, ok := grid.Index(step.Key); ok {
				values[at] = page.Value(float64(place(step.Status.Buckets)[i].Count))
			}
		}
		r.Chart.Series = append(r.Chart.Series, page.Series{Name: strconv.Itoa(c.Status), Colour: colours[i], Values: values})
	}
	return r, nil
}

// place puts counts in the order of codes.
func place(buckets []statusBucket) []Code {
	all := codes()
	for _, b := range buckets {
		for i := range all {
			if all[i].Status == b.Key {
				all[i].Count = b.Count
			}
		}
	}
	return all
}
