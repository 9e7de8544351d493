package scheduler

import (
	"context"
	"sync"
	"time"

	"pharos/watcher"
)

// job is one execution, waiting or going on. What it needs is copied, because the
// entry may change meanwhile.
type job struct {
	entry   *entry
	watch   *watcher.Watch
	stored  watcher.Stored
	trigger watcher.Trigger
	started time.Time // zero while it waits
}

// pool runs jobs by a fixed number of workers.
type pool struct {
	workers int
	run     func(context.Context, *job)
	queue   chan *job

	mu      sync.Mutex
	current map[*job]bool // waiting or going on
	most    int           // the most that waited at once
	closed  bool
}

func newPool(workers, queue int, run func(context.Context, *job)) *pool {
	return &pool{workers: workers, run: run, queue: make(chan *job, queue), current: map[*job]bool{}}
}

// start makes the workers, which end after close.
func (p *pool) start(ctx context.Context, all *sync.WaitGroup) {
	for range p.workers {
		all.Go(func() {
			for j := range p.queue {
				p.run(ctx, j)
				p.mu.Lock()
				delete(p.current, j)
				p.mu.Unlock()
			}
		})
	}
}

// put queues a job, and reports false if there is no room.
func (p *pool) put(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	select {
	case p.queue <- j:
	default:
		return false
	}
	p.current[j] = true
	p.most = max(p.most, len(p.queue))
	return true
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.queue)
	}
}
