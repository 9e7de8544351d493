package uptime

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"time"

	"pharos/console/page"
	"pharos/elastic"
)

type object = map[string]any

const (
	heartbeats = "heartbeat-*"
	// lately is how old the check may be that says how a monitor is now.
	lately = 10 * time.Minute
	// silent is how old it may be without being out of date.
	silent = 2 * time.Minute
	// lookBack is how far back the last change is looked for.
	lookBack = 30 * 24 * time.Hour
	// closely is how far back it is looked for as exactly as can be.
	closely = 2 * time.Hour
	sparks  = 40
)

// Monitor is how Heartbeat sees one endpoint.
type Monitor struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Type    string `json:"type"` // http, tcp or icmp
	Service string `json:"service"`
	Region  string `json:"region,omitempty"`
	// Status is up, down, or empty: nobody has looked for two minutes. It is the
	// present one, whatever the page's span.
	Status string    `json:"status"`
	At     time.Time `json:"at,omitzero"` // of the last check
	// Since is when the status began; zero: before all that is looked at, which
	// begins at LookedSince.
	Since       time.Time `json:"since,omitzero"`
	LookedSince time.Time `json:"looked_since"`
	Error       string    `json:"error,omitempty"` // of the last check
	// Checks and Down are how many there were in the span; P50 and P95 how long
	// those took that were up, in seconds.
	Checks int64    `json:"checks"`
	Down   int64    `json:"down"`
	P50    *float64 `json:"p50,omitempty"`
	P95    *float64 `json:"p95,omitempty"`
	// Took are the medians over the span, seconds; nil: nobody looked.
	Took []*float64 `json:"took,omitempty"`
	// CertificateEnds is when the endpoint's certificate runs out; zero: it has
	// none, it is not asked by TLS.
	CertificateEnds time.Time `json:"certificate_ends,omitzero"`
}

// Share is the share of the span's checks that were up.
func (m Monitor) Share() float64 { return float64(m.Checks-m.Down) / float64(m.Checks) }

// State is the status for the template "state".
func (m Monitor) State() map[string]string {
	switch m.Status {
	case "up":
		return map[string]string{"State": "ok", "Word": "up"}
	case "down":
		return map[string]string{"State": "bad", "Word": "down"}
	}
	return map[string]string{"State": "unknown", "Word": page.NoData}
}

// Spark is the picture of Took.
func (m Monitor) Spark() template.HTML { return page.Spark(page.Colour("p50"), m.Took) }

// Certificate is how long the certificate is still good for, for "state"; nil if
// there is none.
func (m Monitor) Certificate(now time.Time) map[string]string {
	if m.CertificateEnds.IsZero() {
		return nil
	}
	switch left := m.CertificateEnds.Sub(now); {
	case left <= 0:
		return map[string]string{"State": "bad", "Word": "ran out"}
	case left < 7*24*time.Hour:
		return map[string]string{"State": "bad", "Word": page.Duration(left) + " left"}
	case left < 30*24*time.Hour:
		return map[string]string{"State": "warn", "Word": page.Duration(left) + " left"}
	default:
		return map[string]string{"State": "ok", "Word": page.Duration(left) + " left"}
	}
}

// check is what is read of one.
type check struct {
	At      time.Time `json:"@timestamp"`
	Monitor struct {
		ID, Name, Type, Status string
	}
	Service struct{ Name string }
	Cloud   struct{ Region string }
	Error   struct{ Message, Type string }
	TLS     struct {
		Ends   time.Time `json:"certificate_not_valid_after"`
		Server struct {
			X509 struct {
				Ends time.Time `json:"not_after"`
			}
		}
	}
}

// fields are those of a check.
func fields() []string {
	return []string{
		"@timestamp", "monitor.id", "monitor.name", "monitor.type", "monitor.status", "service.name", "cloud.region", "error.message", "error.type",
		"tls.certificate_not_valid_after", "tls.server.x509.not_after",
	}
}

func (q queries) conditions(from, to time.Time, monitor string, more ...object) []object {
	all := append([]object{
		{"range": object{"@timestamp": object{"gte": stamp(from), "lt": stamp(to)}}},
		{"exists": object{"field": "monitor.status"}},
	}, more...)
	if monitor != "" {
		all = append(all, object{"term": object{"monitor.id": monitor}})
	}
	return all
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// decode reads an aggregation; of a stream that is not there yet there is none.
func decode(res *elastic.SearchResult, name string, into any) error {
	raw, ok := res.Aggregations[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decode %s: %w", name, err)
	}
	return nil
}

// monitors reads all monitors, or one: those that were looked at in the span or
// just now.
func (q queries) monitors(ctx context.Context, monitor string) ([]Monitor, error) {
	all, err := q.present(ctx, monitor)
	if err != nil {
		return nil, err
	}
	if err := q.overSpan(ctx, monitor, all); err != nil {
		return nil, err
	}
	changes, err := q.outages(ctx, q.now.Add(-lookBack), q.now, monitor)
	if err != nil {
		return nil, err
	}
	first, err := q.first(ctx, changes.From)
	if err != nil {
		return nil, err
	}
	// Over so long, outages that are minutes apart look like one.
	recent, err := q.outages(ctx, q.now.Add(-closely), q.now, monitor)
	if err != nil {
		return nil, err
	}
	list := make([]Monitor, 0, len(all))
	for _, m := range all {
		m.Since, m.LookedSince = changes.since(m.ID, m.Status), first
		if since := recent.since(m.ID, m.Status); since.After(recent.From.Add(recent.Apart)) {
			m.Since = since
		}
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b Monitor) int {
		rank := func(m Monitor) int { return slices.Index([]string{"down", "", "up"}, m.Status) }
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Service, b.Service), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// first is the time of the first check from a time on, or that time.
func (q queries) first(ctx context.Context, from time.Time) (time.Time, error) {
	res, err := q.es.Search(ctx, heartbeats, object{
		"size": 1, "sort": []object{{"@timestamp": "asc"}}, "_source": fields(),
		"query": object{"bool": object{"filter": q.conditions(from, q.now, "")}},
	})
	if err != nil || len(res.Hits) == 0 {
		return from, err
	}
	var c check
	if err := json.Unmarshal(res.Hits[0].Source, &c); err != nil {
		return from, fmt.Errorf("decode check: %w", err)
	}
	return c.At, nil
}

func (q queries) present(ctx context.Context, monitor string) (map[string]*Monitor, error) {
	res, err := q.es.Search(ctx, heartbeats, object{
		"size":  0,
		"query": object{"bool": object{"filter": q.conditions(q.now.Add(-lately), q.now.Add(lately), monitor)}},
		"aggs": object{"monitors": object{
			"terms": object{"field": "monitor.id", "size": 500},
			"aggs":  object{"last": object{"top_hits": object{"size": 1, "sort": []object{{"@timestamp": "desc"}}, "_source": fields()}}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("read monitors: %w", err)
	}
	return readMonitors(res, q.now)
}

// monitorsAnswer is the aggregation by monitor.
type monitorsAnswer struct {
	Buckets []struct {
		Key   string
		Count int64 `json:"doc_count"`
		Last  struct {
			Hits struct {
				Hits []struct {
					Source check `json:"_source"`
				}
			}
		}
		Down struct {
			Count int64 `json:"doc_count"`
		}
		Up struct {
			Took  struct{ Values map[string]*float64 }
			Times struct {
				Buckets []struct {
					Key  int64
					Took struct{ Values map[string]*float64 }
				}
			}
		}
	}
}

func readMonitors(res *elastic.SearchResult, now time.Time) (map[string]*Monitor, error) {
	var a monitorsAnswer
	if err := decode(res, "monitors", &a); err != nil {
		return nil, err
	}
	all := map[string]*Monitor{}
	for _, b := range a.Buckets {
		for _, h := range b.Last.Hits.Hits {
			all[b.Key] = newMonitor(h.Source, now)
		}
	}
	return all, nil
}

func newMonitor(c check, now time.Time) *Monitor {
	m := &Monitor{
		ID: c.Monitor.ID, Name: cmp.Or(c.Monitor.Name, c.Monitor.ID), Type: c.Monitor.Type, Service: c.Service.Name, Region: c.Cloud.Region, At: c.At,
		CertificateEnds: c.TLS.Ends,
	}
	if m.CertificateEnds.IsZero() {
		m.CertificateEnds = c.TLS.Server.X509.Ends
	}
	if now.Sub(c.At) <= silent {
		m.Status = c.Monitor.Status
	}
	if c.Monitor.Status == "down" {
		m.Error = c.Error.Message
	}
	return m
}

// overSpan adds what the span's checks say.
func (q queries) overSpan(ctx context.Context, monitor string, all map[string]*Monitor) error {
	step := q.span.Length() / sparks
	percentiles := object{"percentiles": object{"field": "monitor.duration.us", "percents": []int{50, 95}, "keyed": true}}
	res, err := q.es.Search(ctx, heartbeats, object{
		"size":  0,
		"query": object{"bool": object{"filter": q.conditions(q.span.From, q.span.To, monitor)}},
		"aggs": object{"monitors": object{
			"terms": object{"field": "monitor.id", "size": 500},
			"aggs": object{
				"last": object{"top_hits": object{"size": 1, "sort": []object{{"@timestamp": "desc"}}, "_source": fields()}},
				"down": object{"filter": object{"term": object{"monitor.status": "down"}}},
				"up": object{"filter": object{"term": object{"monitor.status": "up"}}, "aggs": object{
					"took": percentiles,
					"times": object{
						"date_histogram": object{"field": "@timestamp", "fixed_interval": fmt.Sprintf("%dms", max(step.Milliseconds(), 1)), "offset": fmt.Sprintf("%dms", q.span.From.UnixMilli()%max(step.Milliseconds(), 1)), "min_doc_count": 1},
						"aggs":           object{"took": object{"percentiles": object{"field": "monitor.duration.us", "percents": []int{50}, "keyed": true}}},
					},
				}},
			},
		}},
	})
	if err != nil {
		return fmt.Errorf("read monitors over the span: %w", err)
	}
	var a monitorsAnswer
	if err := decode(res, "monitors", &a); err != nil {
		return err
	}
	for _, b := range a.Buckets {
		m := all[b.Key]
		if m == nil { // nobody looks at it any more
			for _, h := range b.Last.Hits.Hits {
				m = newMonitor(h.Source, q.now)
				m.Status = ""
				all[b.Key] = m
			}
		}
		if m == nil {
			continue
		}
		m.Checks, m.Down = b.Count, b.Down.Count
		m.P50, m.P95 = seconds(b.Up.Took.Values["50.0"]), seconds(b.Up.Took.Values["95.0"])
		m.Took = make([]*float64, sparks)
		for _, t := range b.Up.Times.Buckets {
			if at := int((t.Key - q.span.From.UnixMilli()) / max(step.Milliseconds(), 1)); at >= 0 && at < sparks {
				m.Took[at] = seconds(t.Took.Values["50.0"])
			}
		}
	}
	return nil
}

func seconds(us *float64) *float64 {
	if us == nil {
		return nil
	}
	return page.Value(*us / 1e6)
}

// took draws how long the checks that were up took.
func (q queries) took(ctx context.Context, monitor string) (page.Chart, error) {
	c := page.NewChart("took", "Answered in", page.Sec, q.span)
	step := q.span.Bucket(120)
	names := []string{"p50", "p95", "p99"}
	res, err := q.es.Search(ctx, heartbeats, object{
		"size":  0,
		"query": object{"bool": object{"filter": q.conditions(q.span.From, q.span.To, monitor, object{"term": object{"monitor.status": "up"}})}},
		"aggs": object{"times": object{
			"date_histogram": object{
				"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", int64(step/time.Second)), "min_doc_count": 0,
				"extended_bounds": object{"min": q.span.From.UnixMilli(), "max": q.span.To.UnixMilli() - 1},
			},
			"aggs": object{"took": object{"percentiles": object{"field": "monitor.duration.us", "percents": []int{50, 95, 99}, "keyed": true}}},
		}},
	})
	if err != nil {
		return c, fmt.Errorf("read answering times: %w", err)
	}
	var times struct {
		Buckets []struct {
			Key  int64
			Took struct{ Values map[string]*float64 }
		}
	}
	if err := decode(res, "times", &times); err != nil {
		return c, err
	}
	for _, name := range names {
		c.Series = append(c.Series, page.Series{Name: name, Colour: page.Colour(name)})
	}
	for _, b := range times.Buckets {
		c.Times = append(c.Times, b.Key/1000)
		for n, name := range names {
			c.Series[n].Values = append(c.Series[n].Values, seconds(b.Took.Values[name[1:]+".0"]))
		}
	}
	return c, nil
}
