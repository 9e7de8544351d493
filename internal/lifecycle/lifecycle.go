// Package lifecycle starts the parts of a process and stops them in the
// reverse order, within a time limit.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Lifecycle holds what a process must stop before it ends. Register a part's
// stop on the line after the part was opened. Its methods may be called from
// any goroutine.
type Lifecycle struct {
	log     *zap.Logger
	timeout time.Duration

	mu      sync.Mutex
	stops   []stop
	stopped bool

	failed chan error
}

type stop struct {
	name string
	fn   func(context.Context) error
}

// New returns a Lifecycle whose stops get timeout altogether.
func New(log *zap.Logger, timeout time.Duration) *Lifecycle {
	return &Lifecycle{log: log, timeout: timeout, failed: make(chan error, 1)}
}

// OnStop registers fn to be called by [Lifecycle.Stop]; what was registered
// last is stopped first.
func (l *Lifecycle) OnStop(name string, fn func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stops = append(l.stops, stop{name, fn})
}

// Go runs fn in a goroutine until its context ends. An error from fn ends
// [Lifecycle.Wait], and so the process. Stopping cancels the context and waits
// for fn to return.
func (l *Lifecycle) Go(name string, fn func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	l.OnStop(name, func(limit context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-limit.Done():
			return limit.Err()
		}
	})
	go func() {
		defer close(done)
		if err := fn(ctx); err != nil && ctx.Err() == nil {
			select {
			case l.failed <- fmt.Errorf("%s: %w", name, err):
			default: // the first failure already ends the process
			}
		}
	}()
}

// Wait returns nil when ctx ends and the error of the first part that failed
// otherwise. It stops nothing.
func (l *Lifecycle) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-l.failed:
		return err
	}
}

// Stop stops every registered part once, last in first out. The parts share
// the time limit; one that fails or is late does not keep the next from being
// stopped. It returns the joined errors, each with its part's name.
func (l *Lifecycle) Stop() error {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return nil
	}
	l.stopped = true
	stops := l.stops
	l.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	var errs []error
	for i := len(stops) - 1; i >= 0; i-- {
		s := stops[i]
		start := time.Now()
		err := s.fn(ctx)
		l.log.Debug("stopped", zap.String("part", s.name), zap.Duration("took", time.Since(start)), zap.Error(err))
		if err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}
