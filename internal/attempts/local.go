package attempts

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2"
)

// local counts in memory what was seen last, for when Redis is away.
type local struct {
	now func() time.Time

	mu    sync.Mutex
	known *lru.Cache[string, counter]
}

type counter struct {
	failures    int
	last, until time.Time
}

const remembered = 10_000

func newLocal(now func() time.Time) (*local, error) {
	known, err := lru.New[string, counter](remembered)
	if err != nil {
		return nil, fmt.Errorf("make local counters: %w", err)
	}
	return &local{now: now, known: known}, nil
}

func (l *local) begin(_ context.Context, handle, address string, cfg Config) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	wait := time.Duration(0)
	for _, key := range []string{handle, address} {
		if c, ok := l.known.Get(key); ok {
			wait = max(wait, c.until.Sub(now))
		}
	}
	if wait == 0 {
		l.count(handle, cfg, cfg.FreePerHandle, now)
	}
	return wait, nil
}

func (l *local) count(key string, cfg Config, free int, now time.Time) {
	c, ok := l.known.Get(key)
	if !ok || now.Sub(c.last) >= cfg.Forget {
		c = counter{}
	}
	c.failures++
	c.last, c.until = now, now.Add(cfg.wait(c.failures, free))
	l.known.Add(key, c)
}

func (l *local) fail(_ context.Context, address string, cfg Config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(address, cfg, cfg.FreePerAddress, l.now())
	return nil
}

func (l *local) reset(_ context.Context, handle string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known.Remove(handle)
	return nil
}

func (l *local) undo(_ context.Context, handle string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.known.Get(handle); ok {
		c.failures, c.until = max(c.failures-1, 0), time.Time{}
		l.known.Add(handle, c)
	}
	return nil
}
