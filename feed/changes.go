package feed

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const retryChanges = 250 * time.Millisecond

// changes tells the cache that an origin has changed, and goes on trying while
// the cache is away: without that, a page cached before an outage would be
// served after it although a friend has posted meanwhile.
type changes struct {
	cache  TimelineCache
	report Report

	mu      sync.Mutex
	pending map[Origin]struct{}
}

func (c *changes) tell(ctx context.Context, o Origin) {
	// The store has changed already: a client that goes away now must not keep
	// the cache from being told.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := c.cache.Changed(ctx, o); err != nil {
		c.report(ctx, fmt.Errorf("tell the cache of a change (will be tried again): %w", err))
		c.mu.Lock()
		c.pending[o] = struct{}{}
		c.mu.Unlock()
	}
}

// run retries what is pending until ctx ends.
func (c *changes) run(ctx context.Context) {
	tick := time.NewTicker(retryChanges)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.retry(ctx)
		}
	}
}

func (c *changes) retry(ctx context.Context) {
	c.mu.Lock()
	origins := make([]Origin, 0, len(c.pending))
	for o := range c.pending {
		origins = append(origins, o)
	}
	c.mu.Unlock()
	for _, o := range origins {
		if err := c.cache.Changed(ctx, o); err != nil {
			return // still away; the first failure was reported
		}
		c.mu.Lock()
		delete(c.pending, o)
		c.mu.Unlock()
	}
}
