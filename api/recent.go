package api

import (
	"context"
	"maps"
	"sync"
	"time"
)

// recent remembers for a short time what feed said of sessions or API keys, so
// that feed is not asked at every request; while feed is away, what was known
// last holds for longer. It remembers no refusals, and its size is bounded: when
// it is full, what is of no more use is thrown out, and if nothing is, everything.
type recent[V any] struct {
	freshFor, staleFor time.Duration
	size               int
	now                func() time.Time

	mu    sync.Mutex
	known map[string]said[V]
}

// said is what feed said, and when it was asked.
type said[V any] struct {
	value V
	at    time.Time
}

func newRecent[V any](freshFor, staleFor time.Duration, size int, now func() time.Time) *recent[V] {
	return &recent[V]{freshFor: freshFor, staleFor: staleFor, size: size, now: now, known: map[string]said[V]{}}
}

// get returns what feed said of id lately, or what it says now.
func (r *recent[V]) get(ctx context.Context, id string, ask func(context.Context) (V, error)) (V, error) {
	r.mu.Lock()
	last, ok := r.known[id]
	r.mu.Unlock()
	now := r.now()
	if ok && now.Sub(last.at) < r.freshFor {
		return last.value, nil
	}
	v, err := ask(ctx)
	switch {
	case err == nil:
		r.remember(id, said[V]{v, now})
	case isOutage(err):
		if ok && now.Sub(last.at) < r.staleFor {
			return last.value, nil
		}
	default:
		r.forget(id)
	}
	return v, err
}

func (r *recent[V]) remember(id string, s said[V]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= r.size {
		maps.DeleteFunc(r.known, func(_ string, old said[V]) bool { return s.at.Sub(old.at) >= r.staleFor })
		if len(r.known) >= r.size {
			clear(r.known)
		}
	}
	r.known[id] = s
}

func (r *recent[V]) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, id)
}

// forgetAll forgets those of whom match is true.
func (r *recent[V]) forgetAll(match func(V) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.known, func(_ string, s said[V]) bool { return match(s.value) })
}
