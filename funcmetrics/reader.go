package funcmetrics

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"pharos/internal/fault"
)

// Live gives the records that are still in Redis.
type Live interface {
	// Snapshot returns every record that is on the list or taken by a saver, all
	// at one moment.
	Snapshot(ctx context.Context) ([]Record, error)
}

// History answers from the records that are saved.
type History interface {
	// Read returns, all of one moment, what is saved of the calls in range, and
	// which of the given ids are saved. An empty name asks for all functions,
	// of which those without calls in range are left out; a function that was
	// asked for by its name is there if it has any record at all.
	Read(ctx context.Context, name string, in Range, ids []string) (Saved, error)
}

// Saved is an answer of History.
type Saved struct {
	Functions map[string]*Summary
	IDs       map[string]bool
}

// Function is what users are told of a function's calls. Rates and times are
// nil where there were no calls; times are in seconds.
type Function struct {
	Name      string   `json:"func_name"`
	Calls     int64    `json:"calls"`
	Errors    int64    `json:"errors"`
	ErrorRate *float64 `json:"error_rate"`
	Average   *float64 `json:"avg_time"`
	P50       *float64 `json:"p50"`
	P95       *float64 `json:"p95"`
	P99       *float64 `json:"p99"`
}

// Reader answers what is known of functions.
type Reader struct {
	Live    Live
	History History
}

// List returns every function with calls in range, by name.
func (r Reader) List(ctx context.Context, in Range) ([]Function, error) {
	all, err := r.read(ctx, "", in)
	if err != nil {
		return nil, err
	}
	out := make([]Function, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, describe(name, all[name]))
	}
	return out, nil
}

// Get returns one function's calls in range. A function that was never called
// is fault.NotFound.
func (r Reader) Get(ctx context.Context, name string, in Range) (Function, error) {
	all, err := r.read(ctx, name, in)
	if err != nil {
		return Function{}, err
	}
	s, ok := all[name]
	if !ok {
		return Function{}, fault.Field(fault.NotFound, "func_name", "No call of a function of this name has been recorded.")
	}
	return describe(name, s), nil
}

// read adds the live records to the saved ones. Redis is read first: a record
// that has left it by then is in MySQL already, and one that has been saved
// meanwhile is in both answers and is taken from MySQL's.
func (r Reader) read(ctx context.Context, name string, in Range) (map[string]*Summary, error) {
	live, err := r.Live.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("read live function metrics: %w", err)
	}
	byID := make(map[string]Record, len(live))
	for _, rec := range live {
		if name == "" || rec.FuncName == name {
			byID[rec.ID] = rec
		}
	}
	saved, err := r.History.Read(ctx, name, in, slices.Collect(maps.Keys(byID)))
	if err != nil {
		return nil, fmt.Errorf("read saved function metrics: %w", err)
	}
	all := saved.Functions
	for id, rec := range byID {
		if saved.IDs[id] || name == "" && !in.Has(rec.At) {
			continue
		}
		if all[rec.FuncName] == nil {
			all[rec.FuncName] = &Summary{}
		}
		if in.Has(rec.At) {
			all[rec.FuncName].Add(rec)
		}
	}
	return all, nil
}

func describe(name string, s *Summary) Function {
	f := Function{Name: name, Calls: s.Calls, Errors: s.Errors}
	if s.Calls > 0 {
		per := func(x float64) *float64 { x /= float64(s.Calls); return &x }
		quantile := func(q float64) *float64 { x := s.Quantile(q); return &x }
		f.ErrorRate, f.Average = per(float64(s.Errors)), per(s.Seconds)
		f.P50, f.P95, f.P99 = quantile(0.5), quantile(0.95), quantile(0.99)
	}
	return f
}
