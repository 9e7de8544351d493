package feed

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Overflow is a durable queue for requests that the store can't take now.
type Overflow interface {
	// Push appends requests.
	Push(ctx context.Context, rs []Request) error
	// Peek returns up to limit of the oldest requests with their handles.
	Peek(ctx context.Context, limit int) (rs []Request, handles []string, err error)
	// Remove removes what Peek returned, once it is saved elsewhere.
	Remove(ctx context.Context, handles []string) error
}

// TrackerOptions are the parts and sizes of a Tracker.
type TrackerOptions struct {
	Store    RequestStore
	Overflow Overflow
	// Queue is how many requests wait in memory for the store, and as many
	// again for the overflow.
	Queue  int
	Batch  int           // requests saved by one statement
	Every  time.Duration // the longest that a request waits for its batch
	Report Report
}

// Tracker saves requests without making them wait: in batches from a bounded
// queue in memory. What does not fit, or can't be saved, goes to the overflow
// and is saved from there later; only when that is away too, and its queue
// full, requests are dropped, counted and reported.
type Tracker struct {
	opts  TrackerOptions
	queue chan Request
	spill chan Request
	stats TrackerStats
}

// TrackerStats counts what became of requests.
type TrackerStats struct {
	Saved    atomic.Int64 // in the store
	Spilled  atomic.Int64 // put into the overflow
	Restored atomic.Int64 // saved from the overflow
	Dropped  atomic.Int64 // lost
}

// NewTracker returns a Tracker; the caller runs [Tracker.Run].
func NewTracker(o TrackerOptions) *Tracker {
	return &Tracker{opts: o, queue: make(chan Request, o.Queue), spill: make(chan Request, o.Queue)}
}

// Stats are the tracker's counts so far.
func (t *Tracker) Stats() *TrackerStats { return &t.stats }

// Queued is how many requests wait in memory.
func (t *Tracker) Queued() int { return len(t.queue) + len(t.spill) }

// Track takes a request and returns at once.
func (t *Tracker) Track(r Request) {
	select {
	case t.queue <- r:
		return
	default:
	}
	select {
	case t.spill <- r:
	default:
		if n := t.stats.Dropped.Add(1); n == 1 || n%1000 == 0 {
			t.opts.Report(context.Background(), fmt.Errorf("request tracking is full: %d requests dropped so far", n))
		}
	}
}

// Run saves requests until ctx ends, then what is still queued.
func (t *Tracker) Run(ctx context.Context) error {
	done := make(chan struct{}, 2)
	go func() { t.drain(ctx, t.queue, t.save); done <- struct{}{} }()
	go func() { t.drain(ctx, t.spill, t.overflow); done <- struct{}{} }()
	t.restore(ctx)
	<-done
	<-done
	return nil
}

// drain gathers requests into batches and hands them on, until ctx has ended
// and the queue is empty.
func (t *Tracker) drain(ctx context.Context, queue <-chan Request, hand func([]Request)) {
	tick := time.NewTicker(t.opts.Every)
	defer tick.Stop()
	batch := make([]Request, 0, t.opts.Batch)
	flush := func() {
		if len(batch) > 0 {
			hand(batch)
			batch = batch[:0]
		}
	}
	for {
		select {
		case r := <-queue:
			if batch = append(batch, r); len(batch) == t.opts.Batch {
				flush()
			}
		case <-tick.C:
			flush()
		case <-ctx.Done():
			for len(queue) > 0 {
				if batch = append(batch, <-queue); len(batch) == t.opts.Batch {
					flush()
				}
			}
			flush()
			return
		}
	}
}

const saveTimeout = 3 * time.Second

func (t *Tracker) save(rs []Request) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	if err := t.opts.Store.Insert(ctx, rs); err != nil {
		t.opts.Report(ctx, fmt.Errorf("save %d requests (they go to the overflow): %w", len(rs), err))
		t.overflow(rs)
		return
	}
	t.stats.Saved.Add(int64(len(rs)))
}

func (t *Tracker) overflow(rs []Request) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	if err := t.opts.Overflow.Push(ctx, rs); err != nil {
		t.stats.Dropped.Add(int64(len(rs)))
		t.opts.Report(ctx, fmt.Errorf("%d requests dropped: overflow: %w", len(rs), err))
		return
	}
	t.stats.Spilled.Add(int64(len(rs)))
}

const restoreEvery = time.Second

// restore moves the overflow into the store. Several processes may do so at
// once: inserting twice is harmless.
func (t *Tracker) restore(ctx context.Context) {
	tick := time.NewTicker(restoreEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := t.restoreAll(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			t.opts.Report(ctx, fmt.Errorf("restore requests from the overflow (tried every %s): %w", restoreEvery, err))
		}
		failing = err != nil
	}
}

func (t *Tracker) restoreAll(ctx context.Context) error {
	for ctx.Err() == nil {
		rs, handles, err := t.opts.Overflow.Peek(ctx, t.opts.Batch)
		if err != nil || len(handles) == 0 {
			return err
		}
		if len(rs) > 0 {
			if err := t.opts.Store.Insert(ctx, rs); err != nil {
				return err
			}
			t.stats.Restored.Add(int64(len(rs)))
		}
		if err := t.opts.Overflow.Remove(ctx, handles); err != nil {
			return err
		}
	}
	return nil
}
