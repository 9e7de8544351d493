// Package sweep does what package retention decides: it begins new indices, and
// removes what is too old or too large, in Elasticsearch.
package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/retention"
)

// Elasticsearch is what is asked of it; elastic.Client is one.
type Elasticsearch interface {
	Backings(ctx context.Context, patterns []string) ([]elastic.Backing, error)
	Lifecycles(ctx context.Context, patterns []string) (ages map[string]string, known bool, err error)
	SetLifecycle(ctx context.Context, stream, age string) error
	RollOver(ctx context.Context, stream string, age time.Duration, bytes int64) (bool, error)
	DeleteIndex(ctx context.Context, name string) error
	Search(ctx context.Context, target string, body any) (*elastic.SearchResult, error)
	DeleteDocuments(ctx context.Context, index string, query any) (int64, error)
}

// Sweeper sweeps. Any number of them may work at once: everything that one does
// is harmless if another has done it.
type Sweeper struct {
	Elasticsearch Elasticsearch
	Families      []retention.Family
	Records       []retention.Records
	Every         time.Duration
	// May reports whether this process is the one that sweeps now.
	May     func() bool
	Now     func() time.Time
	Log     *zap.Logger
	Metrics *Metrics
}

// Trim is how many records are to go.
type Trim struct {
	Index     string    `json:"index"`
	Before    time.Time `json:"before"`
	Documents int64     `json:"documents"`
}

// Plan is what is to be done.
type Plan struct {
	Streams []retention.Standing `json:"streams"` // the largest first
	Records []Trim               `json:"records"`
	// Lifecycle is true where Elasticsearch removes by age itself; Hand lists the
	// streams whose age it is to be told, as Elasticsearch writes it.
	Lifecycle bool              `json:"lifecycle"`
	Hand      map[string]string `json:"hand,omitempty"`
}

// firstAfter is when a new process looks for the first time: not amid the bustle
// of a start.
const firstAfter = time.Minute

// passTimeout bounds one pass.
const passTimeout = 10 * time.Minute

// Run sweeps until ctx ends. What fails is logged and tried again by the next
// pass.
func (s *Sweeper) Run(ctx context.Context) error {
	for pause := min(firstAfter, s.Every); ; pause = s.Every {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		if !s.May() {
			continue
		}
		if err := s.pass(ctx); err != nil && ctx.Err() == nil {
			s.Metrics.failures.Inc()
			s.Log.Warn("retention can't do all of its work; the next pass tries again", zap.Error(err))
		}
	}
}

func (s *Sweeper) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	plan, err := s.Plan(ctx)
	if err != nil {
		return err
	}
	return s.Apply(ctx, plan)
}

// Plan looks at all streams and records and says what is to be done, without
// doing it.
func (s *Sweeper) Plan(ctx context.Context) (Plan, error) {
	var patterns, daily []string
	for _, f := range s.Families {
		if f.Daily {
			daily = append(daily, f.Patterns...)
		} else {
			patterns = append(patterns, f.Patterns...)
		}
	}
	plan := Plan{Streams: []retention.Standing{}, Records: []Trim{}, Hand: map[string]string{}}
	ages, known, err := s.Elasticsearch.Lifecycles(ctx, patterns)
	if err != nil {
		return Plan{}, err
	}
	plan.Lifecycle = known
	found, err := s.Elasticsearch.Backings(ctx, append(patterns, daily...))
	if err != nil {
		return Plan{}, err
	}
	now := s.Now()
	for _, stream := range gather(found) {
		family, ok := retention.FamilyOf(s.Families, stream.of())
		if !ok || family.Daily != stream.daily {
			continue // an index of its own that happens to have a stream's name
		}
		if known && !family.Daily {
			stream.Managed = family.Limit.Age > 0
			want := retention.Limit{Age: family.Limit.Age}.String()
			if stream.Managed && ages[stream.Name] != want {
				plan.Hand[stream.Name] = want
			}
		}
		plan.Streams = append(plan.Streams, retention.Decide(family, stream.Stream, now))
	}
	slices.SortFunc(plan.Streams, func(a, b retention.Standing) int {
		return cmp.Or(-cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Stream, b.Stream))
	})
	for _, r := range s.Records {
		if r.Age == 0 {
			continue
		}
		t := Trim{Index: r.Index, Before: now.Add(-r.Age).UTC()}
		res, err := s.Elasticsearch.Search(ctx, r.Index, map[string]any{"size": 0, "query": over(r, t.Before)})
		if err != nil {
			return Plan{}, fmt.Errorf("count records: %w", err)
		}
		t.Documents = res.Total
		plan.Records = append(plan.Records, t)
	}
	return plan, nil
}

// named is a stream and whether it is one of daily indices.
type named struct {
	retention.Stream
	daily bool
}

// of is the name by which its family is known: that of a daily stream is one of
// its indices.
func (n named) of() string {
	if n.daily {
		return n.Indices[0].Name
	}
	return n.Name
}

// gather puts the indices of a stream together, in the order of their names.
func gather(found []elastic.Backing) []named {
	streams := map[string]*named{}
	for _, b := range found {
		name, daily := b.Stream, false
		if name == "" {
			base, at, ok := retention.DayOf(b.Name)
			if !ok {
				continue
			}
			name, daily, b.Made = base, true, at
		}
		if streams[name] == nil {
			streams[name] = &named{Stream: retention.Stream{Name: name}, daily: daily}
		}
		streams[name].Indices = append(streams[name].Indices, retention.Index{Name: b.Name, Made: b.Made, Bytes: b.Bytes, Documents: b.Documents})
	}
	var all []named
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		n := *streams[name]
		if n.daily {
			slices.SortFunc(n.Indices, func(a, b retention.Index) int { return a.Made.Compare(b.Made) })
		}
		all = append(all, n)
	}
	return all
}

// over finds the records whose time is over.
func over(r retention.Records, before time.Time) map[string]any {
	filter := []any{map[string]any{"range": map[string]any{r.Time: map[string]any{"lt": before.Format(time.RFC3339)}}}}
	for _, field := range slices.Sorted(maps.Keys(r.Only)) {
		filter = append(filter, map[string]any{"terms": map[string]any{field: r.Only[field]}})
	}
	return map[string]any{"bool": map[string]any{"filter": filter}}
}

// Apply does what a plan says, the removals first: on a full disk nothing else
// may go. What fails does not keep the rest from being done; the error names all
// of it.
func (s *Sweeper) Apply(ctx context.Context, plan Plan) error {
	var errs []error
	for _, st := range plan.Streams {
		for _, r := range st.Remove {
			if err := s.Elasticsearch.DeleteIndex(ctx, r.Index); err != nil {
				errs = append(errs, err)
				break // never a newer one before an older
			}
			s.Metrics.removed(st.Family, r)
			s.Log.Info("removed an index", zap.String("index", r.Index), zap.String("stream", st.Stream), zap.String("why", r.Why),
				zap.Int64("documents", r.Documents), zap.Int64("bytes", r.Bytes))
		}
	}
	for i, t := range plan.Records {
		if t.Documents == 0 {
			continue
		}
		n, err := s.Elasticsearch.DeleteDocuments(ctx, t.Index, over(s.records(t.Index), t.Before))
		s.Metrics.trimmed(t.Index, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		plan.Records[i].Documents = n
		s.Log.Info("removed records", zap.String("index", t.Index), zap.Int64("documents", n), zap.Time("before", t.Before))
	}
	for _, st := range plan.Streams {
		if st.RollOver == "" {
			continue
		}
		// Decided here: Elasticsearch only makes sure that it is not done twice.
		if _, err := s.Elasticsearch.RollOver(ctx, st.Stream, 0, 1); err != nil {
			errs = append(errs, err)
			continue
		}
		s.Metrics.rolled.Inc()
		s.Log.Info("began a new index", zap.String("stream", st.Stream), zap.String("why", st.RollOver))
	}
	for _, stream := range slices.Sorted(maps.Keys(plan.Hand)) {
		if err := s.Elasticsearch.SetLifecycle(ctx, stream, plan.Hand[stream]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Sweeper) records(index string) retention.Records {
	i := slices.IndexFunc(s.Records, func(r retention.Records) bool { return r.Index == index })
	return s.Records[i]
}

// Metrics are what a sweeper counts.
type Metrics struct {
	indices, bytes, documents, records *prometheus.CounterVec
	rolled, failures                   prometheus.Counter
}

// NewMetrics makes the metrics, registered unless reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &Metrics{
		indices:   vec("retention_removed_indices_total", "Indices removed for their age or their stream's size.", "family"),
		bytes:     vec("retention_removed_bytes_total", "Bytes of the removed indices.", "family"),
		documents: vec("retention_removed_documents_total", "Documents in the removed indices.", "family"),
		records:   vec("retention_removed_records_total", "Records removed one by one.", "index"),
		rolled:    prometheus.NewCounter(prometheus.CounterOpts{Name: "retention_rollovers_total", Help: "New indices begun behind streams."}),
		failures:  prometheus.NewCounter(prometheus.CounterOpts{Name: "retention_failures_total", Help: "Passes that could not do all of their work."}),
	}
	if reg != nil {
		reg.MustRegister(m.indices, m.bytes, m.documents, m.records, m.rolled, m.failures)
	}
	return m
}

func (m *Metrics) removed(family string, r retention.Removal) {
	m.indices.WithLabelValues(family).Inc()
	m.bytes.WithLabelValues(family).Add(float64(r.Bytes))
	m.documents.WithLabelValues(family).Add(float64(r.Documents))
}

func (m *Metrics) trimmed(index string, n int64) { m.records.WithLabelValues(index).Add(float64(n)) }
