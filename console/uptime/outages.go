package uptime

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"pharos/console/page"
)

const (
	// together is how far apart two failed checks of one outage may be, at least:
	// what flaps is one outage.
	together = 90 * time.Second
	// mostOutages is how many are listed, the latest.
	mostOutages = 50
	// steps is into how many parts the time is cut in which failures are looked for.
	steps = 2000
)

// Outages are times in which checks failed.
type Outages struct {
	From time.Time `json:"from"`
	// Apart is how far apart failures of one monitor are that count as two.
	Apart time.Duration `json:"apart_ns"`
	List  []Outage      `json:"list"` // the latest first
	More  int           `json:"more"` // that are not listed
	// last is how each monitor's checks ended, of all outages, listed or not.
	last map[string]Outage
}

// Outage is a time in which a monitor's checks failed.
type Outage struct {
	Monitor string    `json:"monitor"`
	Name    string    `json:"name"`
	Service string    `json:"service"`
	Start   time.Time `json:"start"` // the first failed check
	// End is the first good check after it; zero: there was none yet.
	End    time.Time `json:"end,omitzero"`
	Failed int64     `json:"failed"` // checks
	Reason string    `json:"reason,omitempty"`

	lastDown time.Time
}

// Lasted is how long the outage was, or is.
func (o Outage) Lasted(now time.Time) string {
	if o.End.IsZero() {
		return page.Duration(now.Sub(o.Start).Round(time.Second))
	}
	return page.Duration(o.End.Sub(o.Start).Round(time.Second))
}

// Around are the edges of the time whose log lines tell of the outage.
func (o Outage) Around(now time.Time) []string {
	end := o.End
	if end.IsZero() {
		end = now
	}
	return []string{stamp(o.Start.Add(-time.Minute)), stamp(end.Add(time.Minute))}
}

// since is when a monitor's status began; zero if the outages don't tell.
func (o Outages) since(monitor, status string) time.Time {
	last, ok := o.last[monitor]
	switch {
	case !ok:
		return time.Time{}
	case status == "down" && last.End.IsZero():
		return last.Start
	case status == "up":
		return last.End
	}
	return time.Time{}
}

// step is one of the parts of time in which there were failures.
type step struct {
	first, last time.Time
	failed      int64
}

// join makes outages of steps in the order of time: those closer than apart are
// one.
func join(steps []step, apart time.Duration) []Outage {
	var all []Outage
	for _, s := range steps {
		if n := len(all); n > 0 && s.first.Sub(all[n-1].lastDown) <= apart {
			all[n-1].lastDown = s.last
			all[n-1].Failed += s.failed
			continue
		}
		all = append(all, Outage{Start: s.first, lastDown: s.last, Failed: s.failed})
	}
	return all
}

// outages reads when checks failed between two times, of all monitors or one.
func (q queries) outages(ctx context.Context, from, to time.Time, monitor string) (Outages, error) {
	width := max((to.Sub(from) / steps).Round(time.Second), 10*time.Second)
	out := Outages{From: from, Apart: max(width, together), List: []Outage{}, last: map[string]Outage{}}
	edge := func(kind string) object { return object{kind: object{"field": "@timestamp"}} }
	res, err := q.es.Search(ctx, heartbeats, object{
		"size":  0,
		"query": object{"bool": object{"filter": q.conditions(from, to, monitor, object{"term": object{"monitor.status": "down"}})}},
		"aggs": object{"monitors": object{
			"terms": object{"field": "monitor.id", "size": 100},
			"aggs": object{"steps": object{
				"date_histogram": object{"field": "@timestamp", "fixed_interval": fmt.Sprintf("%ds", int64(width/time.Second)), "min_doc_count": 1},
				"aggs":           object{"first": edge("min"), "last": edge("max")},
			}},
		}},
	})
	if err != nil {
		return out, fmt.Errorf("read outages: %w", err)
	}
	var a struct {
		Buckets []struct {
			Key   string
			Steps struct {
				Buckets []struct {
					Count int64                   `json:"doc_count"`
					First struct{ Value float64 } `json:"first"`
					Last  struct{ Value float64 } `json:"last"`
				}
			}
		}
	}
	if err := decode(res, "monitors", &a); err != nil {
		return out, err
	}
	for _, b := range a.Buckets {
		var list []step
		for _, s := range b.Steps.Buckets {
			list = append(list, step{time.UnixMilli(int64(s.First.Value)).UTC(), time.UnixMilli(int64(s.Last.Value)).UTC(), s.Count})
		}
		for _, o := range join(list, out.Apart) {
			o.Monitor = b.Key
			out.List = append(out.List, o)
		}
	}
	slices.SortFunc(out.List, func(a, b Outage) int {
		return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.Monitor, b.Monitor))
	})
	// Each monitor's latest is first; it is needed even where it is not listed.
	listed := min(len(out.List), mostOutages)
	ask := slices.Clone(out.List[:listed])
	for _, o := range out.List {
		if _, ok := out.last[o.Monitor]; !ok {
			out.last[o.Monitor] = o
			if !slices.ContainsFunc(ask, func(x Outage) bool { return x.Monitor == o.Monitor && x.Start.Equal(o.Start) }) {
				ask = append(ask, o)
			}
		}
	}
	if err := q.explain(ctx, ask); err != nil {
		return out, err
	}
	for _, o := range ask {
		if last := out.last[o.Monitor]; last.Start.Equal(o.Start) {
			out.last[o.Monitor] = o
		}
	}
	out.More, out.List = len(out.List)-listed, ask[:listed]
	return out, nil
}

// explain finds when each outage ended, and what its last failed check said.
func (q queries) explain(ctx context.Context, outages []Outage) error {
	if len(outages) == 0 {
		return nil
	}
	aggs := object{}
	for n, o := range outages {
		filter := func(status string, times object, inner object) object {
			return object{
				"filter": object{"bool": object{"filter": []object{
					{"term": object{"monitor.id": o.Monitor}}, {"term": object{"monitor.status": status}}, {"range": object{"@timestamp": times}},
				}}},
				"aggs": inner,
			}
		}
		aggs["end"+strconv.Itoa(n)] = filter("up", object{"gt": stamp(o.lastDown)}, object{"at": object{"min": object{"field": "@timestamp"}}})
		aggs["why"+strconv.Itoa(n)] = filter("down", object{"gte": stamp(o.Start), "lte": stamp(o.lastDown)}, object{"last": object{"top_hits": object{
			"size": 1, "sort": []object{{"@timestamp": "desc"}}, "_source": fields(),
		}}})
	}
	first := slices.MinFunc(outages, func(a, b Outage) int { return a.Start.Compare(b.Start) }).Start
	names := []string{}
	for _, o := range outages {
		if !slices.Contains(names, o.Monitor) {
			names = append(names, o.Monitor)
		}
	}
	res, err := q.es.Search(ctx, heartbeats, object{
		"size": 0, "aggs": aggs,
		"query": object{"bool": object{"filter": []object{{"terms": object{"monitor.id": names}}, {"range": object{"@timestamp": object{"gte": stamp(first)}}}}}},
	})
	if err != nil {
		return fmt.Errorf("read the ends of outages: %w", err)
	}
	for n := range outages {
		o := &outages[n]
		var end struct {
			At struct{ Value *float64 }
		}
		var why struct {
			Last struct {
				Hits struct {
					Hits []struct {
						Source json.RawMessage `json:"_source"`
					}
				}
			}
		}
		if err := decode(res, "end"+strconv.Itoa(n), &end); err != nil {
			return err
		}
		if err := decode(res, "why"+strconv.Itoa(n), &why); err != nil {
			return err
		}
		if end.At.Value != nil {
			o.End = time.UnixMilli(int64(*end.At.Value)).UTC()
		}
		for _, h := range why.Last.Hits.Hits {
			var c check
			if err := json.Unmarshal(h.Source, &c); err != nil {
				return fmt.Errorf("decode check: %w", err)
			}
			o.Name, o.Service, o.Reason = cmp.Or(c.Monitor.Name, o.Monitor), c.Service.Name, cmp.Or(c.Error.Message, c.Error.Type)
		}
	}
	return nil
}
