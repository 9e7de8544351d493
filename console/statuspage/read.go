package statuspage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/elastic"
	"pharos/slo"
	"pharos/slo/rollup"
)

// Searcher is what the page reads from, with the console's own account;
// elastic.Client is one.
type Searcher interface {
	Search(ctx context.Context, target string, body any) (*elastic.SearchResult, error)
}

type object = map[string]any

const (
	heartbeats = "heartbeat-*"
	// looked is how old a check may be that says how something is now.
	looked = 2 * time.Minute
	// lately is what recent events are counted over.
	lately = 15 * time.Minute
	// counted is how often minutes are added up again; they come one a minute.
	counted = time.Minute
	// recounted is how often all days are: the watcher recounts the last one.
	recounted = time.Hour
	// most is how many incidents or windows are shown.
	most = 50

	responseOver = 24 * time.Hour
	responseStep = 30 * time.Minute
)

// reader asks for facts, the slow ones less often.
type reader struct {
	es      Searcher
	catalog Catalog
	days    map[string]map[string]rollup.Day // of a component's key, by day
	recent  map[string]slo.Count
	chart   Response
	counted time.Time
	whole   time.Time
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (r *reader) facts(ctx context.Context, now time.Time) (Facts, error) {
	f := Facts{At: now}
	var err error
	if f.Down, err = r.down(ctx, now); err != nil {
		return f, err
	}
	if f.Incidents, err = r.incidents(ctx, now); err != nil {
		return f, err
	}
	if f.Windows, err = r.windows(ctx, now); err != nil {
		return f, err
	}
	if now.Sub(r.counted) >= counted || now.Before(r.counted) {
		if err := r.count(ctx, now); err != nil {
			return f, err
		}
	}
	f.Days, f.Recent, f.Response = map[string][]rollup.Day{}, r.recent, r.chart
	for key, byDay := range r.days {
		for _, d := range byDay {
			f.Days[key] = append(f.Days[key], d)
		}
	}
	return f, nil
}

// count adds minutes up: now and then of all days, else of yesterday and today.
func (r *reader) count(ctx context.Context, now time.Time) error {
	today := now.UTC().Truncate(24 * time.Hour)
	from, whole := today.AddDate(0, 0, -1), now.Sub(r.whole) >= recounted || r.days == nil
	if whole {
		from = today.AddDate(0, 0, -(history - 1))
	}
	type source struct {
		objective string
		by        rollup.By
	}
	found, last := map[source]map[string][]rollup.Day{}, map[source]map[string][]rollup.Day{}
	minutes := rollup.Reader{Elasticsearch: r.es, Stream: slo.RollupStream}
	fresh, recent := map[string]map[string]rollup.Day{}, map[string]slo.Count{}
	for _, c := range r.catalog.Components {
		s := source{c.Objective, c.By}
		if found[s] == nil {
			var err error
			if found[s], err = minutes.Days(ctx, c.Objective, c.By, from, now); err != nil {
				return err
			}
			if last[s], err = minutes.Days(ctx, c.Objective, c.By, now.Add(-lately), now); err != nil {
				return err
			}
		}
		fresh[c.Key] = map[string]rollup.Day{}
		for _, d := range found[s][c.Part] {
			fresh[c.Key][d.Day.Format(time.DateOnly)] = d
		}
		for _, d := range last[s][c.Part] {
			recent[c.Key] = recent[c.Key].Add(d.Count)
		}
		if !whole {
			for day, d := range r.days[c.Key] {
				if _, again := fresh[c.Key][day]; !again && d.Day.Before(from) {
					fresh[c.Key][day] = d
				}
			}
		}
	}
	chart, err := r.response(ctx, now)
	if err != nil {
		return err
	}
	r.days, r.recent, r.chart, r.counted = fresh, recent, chart, now
	if whole {
		r.whole = now
	}
	return nil
}

// down looks at each monitor's last two checks: both bad is down, so that one
// lost packet is not, and one good check ends it.
func (r *reader) down(ctx context.Context, now time.Time) (map[string]bool, error) {
	res, err := r.es.Search(ctx, heartbeats, object{
		"size": 0,
		"query": object{"bool": object{"filter": []object{
			{"range": object{"@timestamp": object{"gte": stamp(now.Add(-looked))}}},
			{"exists": object{"field": "monitor.status"}},
		}}},
		"aggs": object{"monitors": object{
			"terms": object{"field": "monitor.id", "size": 500},
			"aggs": object{"last": object{"top_hits": object{
				"size": 2, "sort": []object{{"@timestamp": "desc"}}, "_source": []string{"monitor.status"},
			}}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("read checks: %w", err)
	}
	var monitors struct {
		Buckets []struct {
			Key  string
			Last struct {
				Hits struct {
					Hits []struct {
						Source struct {
							Monitor struct{ Status string }
						} `json:"_source"`
					}
				}
			}
		}
	}
	if raw, ok := res.Aggregations["monitors"]; ok {
		if err := json.Unmarshal(raw, &monitors); err != nil {
			return nil, fmt.Errorf("read checks: %w", err)
		}
	}
	down := map[string]bool{}
	for _, b := range monitors.Buckets {
		down[b.Key] = true
		for _, h := range b.Last.Hits.Hits {
			down[b.Key] = down[b.Key] && h.Source.Monitor.Status == "down"
		}
	}
	return down, nil
}

func (r *reader) incidents(ctx context.Context, now time.Time) ([]Incident, error) {
	res, err := r.es.Search(ctx, "pharos-incidents", object{
		"size": most, "sort": []object{{"started_at": "desc"}, {"id": "asc"}},
		// What is not asked for can't be shown.
		"_source": []string{"id", "title", "impact", "status", "components", "started_at", "closed_at", "timeline.at", "timeline.status", "timeline.text", "timeline.public"},
		"query": object{"bool": object{
			"filter": []object{{"term": object{"kind": "incident"}}},
			"should": []object{
				{"term": object{"state": "open"}},
				{"range": object{"closed_at": object{"gte": stamp(now.Add(-past))}}},
			},
			"minimum_should_match": 1,
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	all := []Incident{}
	for _, h := range res.Hits {
		i, public, err := r.catalog.readIncident(h.Source)
		if err != nil {
			return nil, err
		}
		if public {
			all = append(all, i)
		}
	}
	return all, nil
}

func (r *reader) windows(ctx context.Context, now time.Time) ([]Window, error) {
	res, err := r.es.Search(ctx, "pharos-silences", object{
		"size": most, "sort": []object{{"starts_at": "asc"}, {"id": "asc"}},
		"_source": []string{"maintenance", "title", "components", "starts_at", "ends_at"},
		"query": object{"bool": object{"filter": []object{
			{"term": object{"maintenance": true}},
			{"range": object{"ends_at": object{"gt": stamp(now)}}},
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("read maintenance windows: %w", err)
	}
	all := []Window{}
	for _, h := range res.Hits {
		w, public, err := r.catalog.readWindow(h.Source)
		if err != nil {
			return nil, err
		}
		if public {
			all = append(all, w)
		}
	}
	return all, nil
}

// response reads how long the site took to answer over the last day.
func (r *reader) response(ctx context.Context, now time.Time) (Response, error) {
	out := Response{Step: int64(responseStep / time.Second), Times: []int64{}, P50: []*float64{}, P95: []*float64{}}
	if len(r.catalog.Response) == 0 {
		return out, nil
	}
	end := now.Truncate(responseStep).Add(responseStep)
	from := end.Add(-responseOver)
	res, err := r.es.Search(ctx, heartbeats, object{
		"size": 0,
		"query": object{"bool": object{"filter": []object{
			{"range": object{"@timestamp": object{"gte": stamp(from), "lt": stamp(end)}}},
			{"terms": object{"monitor.id": r.catalog.Response}},
			{"term": object{"monitor.status": "up"}},
		}}},
		"aggs": object{"times": object{
			"date_histogram": object{"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", out.Step), "min_doc_count": 1},
			"aggs":           object{"took": object{"percentiles": object{"field": "monitor.duration.us", "percents": []int{50, 95}, "keyed": true}}},
		}},
	})
	if err != nil {
		return out, fmt.Errorf("read answering times: %w", err)
	}
	var times struct {
		Buckets []struct {
			Key  int64
			Took struct{ Values map[string]*float64 }
		}
	}
	if raw, ok := res.Aggregations["times"]; ok {
		if err := json.Unmarshal(raw, &times); err != nil {
			return out, fmt.Errorf("read answering times: %w", err)
		}
	}
	at := map[int64]map[string]*float64{}
	for _, b := range times.Buckets {
		at[b.Key/1000] = b.Took.Values
	}
	second := func(us *float64) *float64 {
		if us == nil {
			return nil
		}
		s := *us / 1e6
		return &s
	}
	for t := from.Unix(); t < end.Unix(); t += out.Step {
		out.Times = append(out.Times, t)
		out.P50 = append(out.P50, second(at[t]["50.0"]))
		out.P95 = append(out.P95, second(at[t]["95.0"]))
	}
	return out, nil
}
