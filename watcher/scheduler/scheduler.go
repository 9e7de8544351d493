// Package scheduler runs watches when they are due, together with other
// processes: each runs those of the shards that it holds.
package scheduler

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.elastic.co/apm/v2"

	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/lease"
	"pharos/watcher/schedule"
)

// Config are the settings.
type Config struct {
	// Workers is how many executions go on at once. Watches that took longer than
	// Slow the last time have as many of their own, so that they delay no other.
	Workers int           `env:"WATCHER_WORKERS" envDefault:"32"`
	Slow    time.Duration `env:"WATCHER_SLOW" envDefault:"2s"`
	// Queue is how many executions may wait for a worker; those beyond are
	// recorded as not executed.
	Queue int `env:"WATCHER_QUEUE" envDefault:"1000"`
	// Timeout bounds one execution.
	Timeout time.Duration `env:"WATCHER_EXECUTION_TIMEOUT" envDefault:"60s"`
	// Poll is how often changes that other processes made are looked for.
	Poll time.Duration `env:"WATCHER_POLL" envDefault:"3s"`

	Lease lease.Config
}

// Validate checks the settings.
func (c *Config) Validate() error {
	switch {
	case c.Workers < 1 || c.Queue < 1:
		return errors.New("WATCHER_WORKERS and WATCHER_QUEUE must be above 0")
	case c.Slow <= 0 || c.Timeout <= 0 || c.Poll <= 0:
		return errors.New("WATCHER_SLOW, WATCHER_EXECUTION_TIMEOUT and WATCHER_POLL must be above 0")
	}
	return c.Lease.Validate()
}

// Store is what the scheduler needs kept.
type Store interface {
	watcher.Store
	// List names all watches, each with the sequence number of its last write.
	List(ctx context.Context) (map[string]int64, error)
	// Load reads watches as they are now, without those that are gone.
	Load(ctx context.Context, ids []string, report func(error)) ([]watcher.Stored, error)
	// Settle writes the status that an execution left; fault.Conflict,
	// fault.NotFound.
	Settle(ctx context.Context, id string, status watcher.Status, seqNo, primaryTerm int64) (watcher.Stored, error)
	// Stopped reports whether the watches of all processes are stopped, and
	// SetStopped stops or starts them.
	Stopped(ctx context.Context) (bool, error)
	SetStopped(ctx context.Context, stopped bool) error
	ClusterName(ctx context.Context) (string, error)
}

// Engine executes; watcher.Engine is one.
type Engine interface {
	Load(id string, source []byte) (*watcher.Watch, error)
	Execute(ctx context.Context, w *watcher.Watch, status watcher.Status, trigger watcher.Trigger, o watcher.Options) (watcher.Record, watcher.Status)
}

// Options are what a Scheduler is made of. All of it is needed.
type Options struct {
	Config
	Store  Store
	Engine Engine
	Leases *lease.Manager
	// Executed is told of each execution before it is recorded.
	Executed func(ctx context.Context, w *watcher.Watch, r watcher.Record) error
	Node     string // this process, named in records and stats
	NewID    func() string
	Now      func() time.Time // must not go back
	Tracer   *apm.Tracer
	Metrics  *Metrics
	Report   func(ctx context.Context, err error)
}

// Scheduler runs watches. Its methods are safe for concurrent use.
type Scheduler struct {
	Options
	fast, slow *pool
	wake       chan struct{} // what is due first may have changed

	mu      sync.Mutex
	entries map[string]*entry
	running map[string]*job // by watch: waiting or going on
	due     dueHeap
	epoch   int64 // one more at each change of entries by the API
	stopped bool
	loaded  bool // the watches of the held shards are known
	health  Health
}

// entry is a watch of a shard that this process holds.
type entry struct {
	id       string
	shard    int
	stored   watcher.Stored
	watch    *watcher.Watch // nil if it can't be read
	text     string         // the source that watch was made of
	schedule schedule.Schedule
	due      time.Time // zero: never
	place    int       // in the heap, -1: not in it
	epoch    int64     // when the API changed it last
	wasSlow  bool
	gone     bool
}

// New returns a Scheduler; Run makes it work.
func New(o Options) *Scheduler {
	s := &Scheduler{Options: o, wake: make(chan struct{}, 1), entries: map[string]*entry{}, running: map[string]*job{}}
	s.fast = newPool(o.Workers, o.Queue, s.execute)
	s.slow = newPool(o.Workers, o.Queue, s.execute)
	return s
}

// late is a moment for executions to end by themselves when the process stops.
const (
	late    = 8 * time.Second
	closing = 4 * time.Second
)

// Run works until ctx ends. Then it starts nothing more, gives running
// executions some seconds to end, and gives its shards back.
func (s *Scheduler) Run(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var loops, workers sync.WaitGroup
	s.fast.start(working, &workers)
	s.slow.start(working, &workers)
	loops.Go(func() { s.keepLeases(ctx) })
	loops.Go(func() { s.keepUp(ctx) })
	loops.Go(func() { s.dispatch(ctx) })
	<-ctx.Done()
	loops.Wait()
	s.fast.close()
	s.slow.close()
	ended := make(chan struct{})
	go func() { workers.Wait(); close(ended) }()
	renew := time.NewTicker(s.Lease.Interval())
	defer renew.Stop()
	limit := time.NewTimer(late)
	defer limit.Stop()
	for waiting := true; waiting; {
		select {
		case <-ended:
			waiting = false
		case <-limit.C:
			stop()
			<-ended
			waiting = false
		case <-renew.C: // nobody else may start what still runs
			s.round(working)
		}
	}
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err := s.Leases.Release(release); err != nil {
		s.Report(release, err)
	}
	return nil
}

// dispatch hands what is due to the workers.
func (s *Scheduler) dispatch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	const longest = time.Minute // a clock that was set is noticed
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(min(s.startDue(ctx), longest))
	}
}

// startDue starts all that is due and returns how long until the next is.
func (s *Scheduler) startDue(ctx context.Context) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	for len(s.due) > 0 && !s.due[0].due.After(now) {
		e := s.due[0]
		if s.stopped || !s.Leases.Holds(e.shard) {
			// It is due again when the shard is held or the watches are started.
			s.plan(e, time.Time{})
			continue
		}
		scheduled := latest(e.schedule, e.due, now)
		s.plan(e, e.schedule.Next(now))
		s.start(ctx, e, watcher.Trigger{TriggeredTime: now.UTC().Truncate(time.Millisecond), ScheduledTime: scheduled})
	}
	if len(s.due) == 0 {
		return time.Hour
	}
	return max(s.due[0].due.Sub(now), 0)
}

// start queues an execution; s.mu is held.
func (s *Scheduler) start(ctx context.Context, e *entry, trigger watcher.Trigger) {
	if s.running[e.id] != nil {
		s.notExecuted(ctx, e, watcher.AlreadyQueued, trigger, "Watch is already queued in thread pool")
		return
	}
	j := &job{entry: e, trigger: trigger, watch: e.watch, stored: e.stored}
	to := s.fast
	if e.wasSlow {
		to = s.slow
	}
	if !to.put(j) {
		s.notExecuted(ctx, e, watcher.ThreadPoolFull, trigger, "failed to run triggered watch ["+e.id+"] due to thread pool capacity")
		return
	}
	s.running[e.id] = j
	s.health.due(s.Now())
}

func (s *Scheduler) notExecuted(ctx context.Context, e *entry, state watcher.State, trigger watcher.Trigger, message string) {
	at := s.Now().UTC().Truncate(time.Millisecond)
	id := e.id + "_" + s.NewID() + "-" + at.Format(document.TimeLayout)
	s.Metrics.executed(state, 0)
	if err := s.Store.Record(ctx, watcher.NotExecuted(id, e.id, s.Node, state, trigger, at, message)); err != nil {
		s.Report(ctx, err)
	}
}

// plan sets when a watch is due; s.mu is held.
func (s *Scheduler) plan(e *entry, due time.Time) {
	e.due = due
	switch {
	case due.IsZero() && e.place >= 0:
		heap.Remove(&s.due, e.place)
	case due.IsZero():
	case e.place >= 0:
		heap.Fix(&s.due, e.place)
	default:
		heap.Push(&s.due, e)
	}
}

func (s *Scheduler) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// anchor is the schedule of a watch as it counts from its last check or its
// activation, and when it is due: in the past if it was missed.
func anchor(w *watcher.Watch, status watcher.Status) (schedule.Schedule, time.Time) {
	start := status.StateChanged
	if status.LastChecked.After(start) {
		start = status.LastChecked
	}
	from := schedule.From(w.Schedule, start)
	return from, from.Next(start)
}

// latest is the last time at or after due, and not after now, at which a schedule
// was due: what was missed before is left out.
func latest(s schedule.Schedule, due, now time.Time) time.Time {
	for back := time.Second; ; back *= 2 {
		from := now.Add(-back)
		if !from.After(due) {
			from = due
		}
		last := time.Time{}
		for t := s.Next(from); !t.IsZero() && !t.After(now); t = s.Next(t) {
			last = t
		}
		if !last.IsZero() {
			return last
		}
		if from.Equal(due) {
			return due
		}
	}
}

// dueHeap has what is due first at its top.
type dueHeap []*entry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push adds an entry; it is for package heap.
func (h *dueHeap) Push(x any) {
	e, _ := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

// Pop removes the last entry; it is for package heap.
func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	e.place = -1
	*h = old[:len(old)-1]
	return e
}

func parse(e Engine, stored watcher.Stored) (*watcher.Watch, string, error) {
	source, err := document.Marshal(stored.Source)
	if err != nil {
		return nil, "", fmt.Errorf("load watch [%s]: %w", stored.ID, err)
	}
	w, err := e.Load(stored.ID, source)
	if err != nil {
		return nil, string(source), fmt.Errorf("load watch [%s]: %w", stored.ID, err)
	}
	return w, string(source), nil
}
