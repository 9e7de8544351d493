package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pharos/internal/fault"
)

// GuestConfig is what those may have who are not signed in.
type GuestConfig struct {
	// F(10⁷) and the sum have 2.1 million digits each.
	FibonacciMaxN uint64 `env:"JOBS_GUEST_FIBONACCI_MAX_N" envDefault:"10000000"`
	FactorialMaxN uint64 `env:"JOBS_GUEST_FACTORIAL_MAX_N" envDefault:"1000000"`
	AtOnce        int    `env:"JOBS_GUEST_AT_ONCE" envDefault:"1"`   // jobs of a browser that have not ended
	PerHour       int    `env:"JOBS_GUEST_PER_HOUR" envDefault:"10"` // of an address
	Kept          int    `env:"JOBS_GUEST_KEPT" envDefault:"100"`    // of all guests, those that have ended included; 0 takes none
}

// Validate implements env.Validator.
func (c GuestConfig) Validate() error {
	if c.AtOnce < 1 || c.PerHour < 1 || c.Kept < 0 {
		return errors.New("JOBS_GUEST_AT_ONCE and JOBS_GUEST_PER_HOUR must be at least 1, and JOBS_GUEST_KEPT must not be negative")
	}
	return nil
}

// MaxN is the largest n of a guest's job for the task, 0 for none.
func (c GuestConfig) MaxN(task string) uint64 {
	switch {
	case c.Kept == 0:
		return 0
	case task == Fibonacci:
		return c.FibonacciMaxN
	case task == Factorial:
		return c.FactorialMaxN
	}
	return 0
}

// Guest is a browser that nobody is signed in with.
type Guest struct {
	Browser string // its id
	Address string // the network that it is in
}

// GuestOwner is the owner of a browser's jobs, which no user's id can be.
func GuestOwner(browser string) string { return "guest:" + browser }

// Quota limits how often something may be done by one of many.
type Quota interface {
	// Take counts one. It returns after which time one more is left, where this
	// one is too many.
	Take(ctx context.Context, who string) (retryAfter time.Duration, err error)
}

// Guests makes jobs for guests, who have them by [GuestOwner] like any user
// from the same Service.
type Guests struct {
	Service *Service
	Config  GuestConfig
	// PerHour is Config.PerHour's.
	PerHour Quota
}

// Submit makes a job as Service.Submit does, within the guests' own limits.
func (g *Guests) Submit(ctx context.Context, from Guest, traceparent string, spec Spec) (Job, error) {
	if most := g.Config.MaxN(spec.Task); spec.N > most {
		return Job{}, fault.Field(fault.LimitExceeded, "n", "n is limited to %d for a job of somebody who is not signed in.", most)
	}
	owner := GuestOwner(from.Browser)
	j := Job{Owner: owner, Guest: true, Spec: spec, TraceParent: traceparent}
	return g.Service.submit(ctx, j, func(ctx context.Context) error { return g.allow(ctx, owner, from.Address) })
}

func (g *Guests) allow(ctx context.Context, owner, address string) error {
	active, _, err := g.Service.Store.Count(ctx, owner)
	if err != nil {
		return err
	}
	if active >= g.Config.AtOnce {
		return busy(5*time.Second, "Another job of this browser has not ended yet. Wait for it, or cancel it.")
	}
	kept, err := g.Service.Store.CountGuests(ctx)
	if err != nil {
		return err
	}
	if kept >= g.Config.Kept {
		return busy(time.Minute, "Too many jobs of visitors are kept at present. Try again later.")
	}
	wait, err := g.PerHour.Take(ctx, address)
	if err != nil {
		return fmt.Errorf("count jobs of an address: %w", err)
	}
	if wait > 0 {
		return busy(wait, "%d jobs an hour are taken from one address. The next one is in %s.", g.Config.PerHour, max(wait.Round(time.Minute), time.Minute))
	}
	return nil
}

func busy(retryAfter time.Duration, format string, args ...any) error {
	f := fault.New(fault.TooManyRequests, format, args...)
	f.RetryAfter = retryAfter
	return f
}
