package rollup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/slo"
)

// Elasticsearch is what minutes are counted from and written to; elastic.Client
// is one.
type Elasticsearch interface {
	Searcher
	Create(ctx context.Context, target string, documents []elastic.Document) (elastic.CreateResult, error)
	Refresh(ctx context.Context, target string) error
}

// Rollup counts objectives into minutes. Any number of them may run at once, in
// any number of processes: a minute that is counted again adds a document with
// the difference, whose id is made of the minute and the number of its documents
// so far, so that two that add the same difference add it once. Every figure is
// the sum over documents.
//
// An id is known in one index only: where the stream begins a new index between
// two processes' reading and writing, both may add the same difference. Who sees
// that its documents went to another index than before therefore counts again at
// once, and takes back what is too much.
type Rollup struct {
	Elasticsearch Elasticsearch
	Objectives    []slo.Objective
	Stream        string // slo.RollupStream; a test's own
	Environment   string
	Log           *zap.Logger
	Now           func() time.Time

	index string // that took the last document
}

const (
	every     = time.Minute
	settle    = 5 * time.Second  // after the minute, for what is on its way
	recount   = 15 * time.Minute // each pass counts so much again
	deep      = 24 * time.Hour   // and each hour so much
	maxStep   = 6 * time.Hour    // of one search
	catchUp   = 30 * 24 * time.Hour
	deepEvery = time.Hour
)

// Run counts until ctx ends: each minute the last ones again, each hour the last
// day, and at the start everything since the last minute that is there. A pass
// that fails is logged and made good by the next.
func (r *Rollup) Run(ctx context.Context) error {
	from := time.Time{} // unknown: found by the first pass
	var lastDeep time.Time
	for {
		to := r.Now().Add(-settle).Truncate(time.Minute)
		begin := to.Add(-recount)
		if to.Sub(lastDeep) >= deepEvery {
			begin = to.Add(-deep)
		}
		if !from.IsZero() && from.Before(begin) {
			begin = from // what failed passes left
		}
		err := r.pass(ctx, begin, to, from.IsZero())
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.Log.Warn("objectives can't be counted; the next pass counts them", zap.Error(err), zap.Time("from", begin), zap.Time("to", to))
			if from.IsZero() || begin.Before(from) {
				from = begin
			}
		default:
			from = to
			if to.Sub(begin) >= deep {
				lastDeep = to
			}
		}
		next := r.Now().Add(-settle).Truncate(time.Minute).Add(every + settle)
		timer := time.NewTimer(next.Sub(r.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// pass counts all objectives; with first it begins, for each, where its minutes
// end.
func (r *Rollup) pass(ctx context.Context, from, to time.Time, first bool) error {
	var errs []error
	for _, o := range r.Objectives {
		begin := from
		if first {
			last, err := r.last(ctx, o)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if earliest := to.Add(-catchUp); last.Before(earliest) {
				last = earliest
			}
			if last.Before(begin) {
				begin = last
			}
		}
		if err := r.Count(ctx, o, begin, to); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// last is the objective's newest minute, or the zero time.
func (r *Rollup) last(ctx context.Context, o slo.Objective) (time.Time, error) {
	res, err := r.Elasticsearch.Search(ctx, r.Stream, map[string]any{
		"size": 1, "query": ofObjective(o.Name), "sort": []any{map[string]any{"@timestamp": "desc"}}, "_source": []string{"@timestamp"},
	})
	if err != nil || len(res.Hits) == 0 {
		return time.Time{}, err
	}
	var d struct {
		At time.Time `json:"@timestamp"`
	}
	if err := json.Unmarshal(res.Hits[0].Source, &d); err != nil {
		return time.Time{}, fmt.Errorf("newest minute of %s: %w", o.Name, err)
	}
	return d.At, nil
}

func ofObjective(name string) map[string]any {
	return map[string]any{"bool": map[string]any{"filter": []any{map[string]any{"term": map[string]any{"slo.name": name}}}}}
}

// Count counts one objective's minutes from (inside) to (outside) anew, and
// writes what differs from what is written.
func (r *Rollup) Count(ctx context.Context, o slo.Objective, from, to time.Time) error {
	for begin := from; begin.Before(to); begin = begin.Add(maxStep) {
		end := begin.Add(maxStep)
		if end.After(to) {
			end = to
		}
		if to.Sub(from) > deep {
			r.Log.Info("catching up with an objective", zap.String("slo", o.Name), zap.Time("from", begin), zap.Time("to", to))
		}
		for moved := true; moved; {
			var err error
			if moved, err = r.step(ctx, o, begin, end); err != nil {
				return fmt.Errorf("count objective %s: %w", o.Name, err)
			}
		}
	}
	return nil
}

// written is what the documents of a minute say together.
type written struct {
	count     slo.Count
	documents int64
}

// body is a document of the rollups.
type body struct {
	At          string  `json:"@timestamp"`
	ECS         string  `json:"ecs.version"`
	Service     string  `json:"service.name"`
	Environment string  `json:"service.environment,omitempty"`
	Region      string  `json:"cloud.region,omitempty"`
	Name        string  `json:"slo.name"`
	Good        float64 `json:"slo.good"`
	Total       float64 `json:"slo.total"`
	Revision    int64   `json:"slo.revision"`
	Route       string  `json:"http.route,omitempty"`
	Group       string  `json:"slo.group,omitempty"`
	Component   string  `json:"slo.component,omitempty"`
}

// step counts a part of Count's time. It reports whether its documents went to
// another index than those before.
func (r *Rollup) step(ctx context.Context, o slo.Objective, from, to time.Time) (moved bool, err error) {
	counted, err := count(ctx, r.Elasticsearch, o, from, to)
	if err != nil {
		return false, err
	}
	// The revision is only right if all documents can be found.
	if err := r.Elasticsearch.Refresh(ctx, r.Stream); err != nil {
		return false, err
	}
	before, err := r.written(ctx, o, from, to)
	if err != nil {
		return false, err
	}
	var documents []elastic.Document
	for m, c := range counted {
		old := before[m]
		good, total := c.Good-old.count.Good, c.Total-old.count.Total
		if math.Abs(good) < 1e-9 && math.Abs(total) < 1e-9 {
			continue
		}
		d := body{
			At: stamp(m.at), ECS: "8.11.0", Service: o.Service, Environment: r.Environment, Region: m.region,
			Name: o.Name, Good: good, Total: total, Revision: old.documents, Component: m.component, Group: m.group,
		}
		if o.Indicator.Ratio != nil && o.Indicator.Ratio.GroupBy == "http.route" {
			d.Route = m.group
		}
		text, err := json.Marshal(d)
		if err != nil {
			return false, fmt.Errorf("encode minute: %w", err)
		}
		id := fmt.Sprintf("%s|%d|%s|%s|%s|%d", o.Name, m.at.Unix(), m.region, m.group, m.component, old.documents)
		documents = append(documents, elastic.Document{ID: id, Body: text})
	}
	const batch = 2000
	for len(documents) > 0 {
		n := min(batch, len(documents))
		result, err := r.Elasticsearch.Create(ctx, r.Stream, documents[:n])
		if err != nil {
			return false, err
		}
		if len(result.Refused) > 0 {
			return false, fmt.Errorf("minute %s was refused: %s", result.Refused[0].ID, result.Refused[0].Reason)
		}
		if result.Index != "" && result.Index != r.index {
			r.index, moved = result.Index, true
		}
		documents = documents[n:]
	}
	return moved, nil
}

// written reads what is written of the objective's minutes.
func (r *Rollup) written(ctx context.Context, o slo.Objective, from, to time.Time) (map[minute]written, error) {
	found := map[minute]written{}
	for _, part := range []string{"slo.good", "slo.total"} {
		query, err := boolOf(ofObjective(o.Name))
		if err != nil {
			return nil, err
		}
		aggs := map[string]any{"value": map[string]any{"sum": map[string]any{"field": part}}}
		err = composite(ctx, r.Elasticsearch, r.Stream, query, []string{"slo.group", "slo.component"}, aggs, from, to, func(b bucket) error {
			m := minute{at: b.at, region: b.region, group: b.values[0], component: b.values[1]}
			w := found[m]
			w.documents = b.documents
			if part == "slo.good" {
				w.count.Good = b.value
			} else {
				w.count.Total = b.value
			}
			found[m] = w
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read minutes: %w", err)
		}
	}
	return found, nil
}
