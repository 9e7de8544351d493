package security

import (
	"context"
	"fmt"
	"time"

	"pharos/console/series"
	"pharos/elastic"
)

const (
	trafficStream = elastic.TrafficStream
	ownStream     = "logs-pharos-default"
	// manyFromAddress and manyOnHandle are from how many failures on a row is marked.
	manyFromAddress = 10
	manyOnHandle    = 5
)

// SignIns are those that failed, or that came too soon after failures, by api's
// log.
type SignIns struct {
	Failed  int64    `json:"failed"`
	Slowed  int64    `json:"slowed"`
	Sources []Source `json:"addresses"`
	Handles []Source `json:"handles"`
	// Console is how many sign-ins to the console were refused.
	Console int64 `json:"console"`
}

// Source is an address or a handle with failed sign-ins.
type Source struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	// Others are the different handles of an address, or addresses of a handle.
	Others int64     `json:"others"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Many   bool      `json:"many"`
}

type sourceBucket struct {
	Key         string
	Count       int64 `json:"doc_count"`
	Others      number
	First, Last number
}

func sources(buckets []sourceBucket, many int64) []Source {
	var all []Source
	for _, b := range buckets {
		all = append(all, Source{b.Key, b.Count, int64(b.Others.Value), time.UnixMilli(int64(b.First.Value)).UTC(), time.UnixMilli(int64(b.Last.Value)).UTC(), b.Count >= many})
	}
	return all
}

func (q queries) signIns(ctx context.Context) (SignIns, error) {
	by := func(field, other string) series.Object {
		return series.Object{"terms": series.Object{"field": field, "size": 15}, "aggs": series.Object{
			"others": series.Object{"cardinality": series.Object{"field": other}},
			"first":  series.Object{"min": series.Object{"field": "@timestamp"}},
			"last":   series.Object{"max": series.Object{"field": "@timestamp"}},
		}}
	}
	is := func(field, value string) series.Object {
		return series.Object{"term": series.Object{field: value}}
	}
	attempts := series.Object{"terms": series.Object{"event.action": []string{"sign-in-failed", "sign-in-slowed"}}}
	console := series.Object{"bool": series.Object{"filter": []series.Object{is("service.name", "console"), is("http.route", "/sign-in"), statusIs(401, 429)}}}
	var answer struct {
		Failed, Slowed     counted
		Addresses, Handles termed[sourceBucket]
	}
	var refused counted
	_, err := q.ask(ctx, ownStream, series.Object{"bool": series.Object{"filter": []series.Object{series.During(q.span)}}}, series.Object{
		"attempts": series.Object{"filter": attempts, "aggs": series.Object{
			"failed":    series.Object{"filter": is("event.action", "sign-in-failed")},
			"slowed":    series.Object{"filter": is("event.action", "sign-in-slowed")},
			"addresses": by("client.ip", "user.name"),
			"handles":   by("user.name", "client.ip"),
		}},
		"console": series.Object{"filter": console},
	}, map[string]any{"attempts": &answer, "console": &refused})
	if err != nil {
		return SignIns{}, fmt.Errorf("count failed sign-ins: %w", err)
	}
	return SignIns{
		Failed: answer.Failed.Count, Slowed: answer.Slowed.Count, Console: refused.Count,
		Sources: sources(answer.Addresses.Buckets, manyFromAddress), Handles: sources(answer.Handles.Buckets, manyOnHandle),
	}, nil
}
