package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sweeper hands on again what the queue has lost: jobs that were stored while
// it was away, that it forgot, or whose worker died. A job that has had all
// its attempts has failed. Any number of sweepers may run at once.
type Sweeper struct {
	Store  Store
	Queue  Queue
	Config Config
	Now    func() time.Time
	Report Report
	// Ended is told of every job that was given up.
	Ended func(ctx context.Context, j Job)
}

const (
	sweepEvery   = 5 * time.Second
	sweepTimeout = 10 * time.Second
	sweepBatch   = 200
)

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := s.Sweep(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.Report(ctx, fmt.Errorf("look for lost jobs (tried every %s): %w", sweepEvery, err))
		}
		failing = err != nil
	}
}

// Sweep looks for lost jobs once.
func (s *Sweeper) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	now := s.Now()
	stale, err := s.Store.Stale(ctx, now.Add(-s.Config.StaleQueued), now.Add(-s.Config.StaleRunning), sweepBatch)
	if err != nil {
		return err
	}
	for _, j := range stale {
		if j.Attempt > s.Config.Retries {
			err = errors.Join(err, s.giveUp(ctx, j))
			continue
		}
		err = errors.Join(err, s.Queue.Enqueue(ctx, j))
	}
	return err
}

func (s *Sweeper) giveUp(ctx context.Context, j Job) error {
	j.State, j.Detail = Failed, "The process that ran it ended before it was done, several times."
	j.FinishedAt = s.Now()
	j.ExpiresAt = j.FinishedAt.Add(s.Config.Retention)
	if err := s.Store.Finish(ctx, j); err != nil {
		if errors.Is(err, ErrEnded) {
			return nil
		}
		return err
	}
	s.Ended(ctx, j)
	return nil
}
