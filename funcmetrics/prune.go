package funcmetrics

import (
	"context"
	"fmt"
	"time"
)

// Archive forgets single records.
type Archive interface {
	// Forget removes up to limit of the records of calls that returned before
	// the given second, and returns how many it removed. The sums by hour stay.
	Forget(ctx context.Context, before int64, limit int) (int, error)
}

// Pruner forgets the records of calls that are older than Keep, so that the
// table does not grow without end. Their sums by hour are kept for good: only
// a range that begins or ends within an hour of that time gets less exact,
// because the records at its edges are gone.
type Pruner struct {
	Archive Archive
	Keep    time.Duration // 0 keeps everything
	Now     func() time.Time
	Report  Report
}

const (
	pruneEvery = 10 * time.Minute
	pruneBatch = 5000
)

// Run forgets what is due, until ctx ends. Any number of processes may do so.
func (p Pruner) Run(ctx context.Context) error {
	if p.Keep <= 0 {
		return nil
	}
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if err := p.prune(ctx); err != nil && ctx.Err() == nil {
			p.Report(ctx, fmt.Errorf("forget old function metrics (tried every %s): %w", pruneEvery, err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (p Pruner) prune(ctx context.Context) error {
	before := p.Now().Add(-p.Keep).Unix()
	for {
		step, cancel := context.WithTimeout(ctx, stepTimeout)
		n, err := p.Archive.Forget(step, before, pruneBatch)
		cancel()
		if err != nil || n < pruneBatch {
			return err
		}
	}
}
