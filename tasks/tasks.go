// Package tasks computes exact numbers of unbounded size: Fibonacci with the
// sum of the series, factorial, and Ackermann's function.
//
// [Fibonacci], [Factorial] and [Ackermann] are the bare mathematics and know
// no limits. A [Calculator] is what a service calls: it refuses what is beyond
// its [Limits] before any work is done, and bounds how many large numbers are
// computed at once, because an operation of math/big cannot be interrupted.
package tasks

import (
	"context"
	"fmt"
	"time"

	"pharos/internal/fault"
)

// heavyDigits is the size from which a result counts as heavy and needs a
// slot. A smaller one takes well under a millisecond, so it never queues
// behind a large one.
const heavyDigits = 5_000

// Answer is a result written out in decimal.
type Answer struct {
	// Value is the task's number.
	Value string
	// Sum is F(0)+…+F(n) for Fibonacci; empty for the other tasks.
	Sum string
	// Took is the time for computing and writing out, without the wait for a
	// slot.
	Took time.Duration
}

// Calculator computes tasks within limits. It is safe for concurrent use.
type Calculator struct {
	limits Limits
	slots  chan struct{}
}

// New returns a calculator with the given limits, or an error that names the
// setting that makes no sense.
func New(limits Limits) (*Calculator, error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	return &Calculator{limits: limits, slots: make(chan struct{}, limits.Concurrency)}, nil
}

// Fibonacci answers F(n) and the sum F(0)+…+F(n). It returns
// fault.LimitExceeded for an n beyond the limit and fault.Unavailable when no
// slot came free in time.
func (c *Calculator) Fibonacci(ctx context.Context, n uint64) (Answer, error) {
	if err := c.limits.fibonacci(n); err != nil {
		return Answer{}, err
	}
	return c.run(ctx, fibonacciDigits(n), func() Answer {
		value, sum := Fibonacci(n)
		return Answer{Value: value.String(), Sum: sum.String()}
	})
}

// Factorial answers n!, with the errors of [Calculator.Fibonacci].
func (c *Calculator) Factorial(ctx context.Context, n uint64) (Answer, error) {
	if err := c.limits.factorial(n); err != nil {
		return Answer{}, err
	}
	return c.run(ctx, factorialDigits(n), func() Answer {
		return Answer{Value: Factorial(n).String()}
	})
}

// Ackermann answers A(m, n), with the errors of [Calculator.Fibonacci]; every
// m above 4 and, for m = 4, every n above 2 is beyond the limit.
func (c *Calculator) Ackermann(ctx context.Context, m, n uint64) (Answer, error) {
	if err := c.limits.ackermann(m, n); err != nil {
		return Answer{}, err
	}
	return c.run(ctx, ackermannDigits(m, n), func() Answer {
		value, _ := Ackermann(m, n) // the limits let through only what it has
		return Answer{Value: value.String()}
	})
}

func (c *Calculator) run(ctx context.Context, digits float64, compute func() Answer) (Answer, error) {
	if digits >= heavyDigits {
		release, err := c.acquire(ctx)
		if err != nil {
			return Answer{}, err
		}
		defer release()
	}
	start := time.Now()
	answer := compute()
	answer.Took = time.Since(start)
	return answer, nil
}

func (c *Calculator) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-c.slots }
	select {
	case c.slots <- struct{}{}:
		return release, nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, c.limits.Wait)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		busy := fault.New(fault.Unavailable, "Other large numbers are being computed. Try again in a moment, or ask for a smaller one.")
		busy.RetryAfter = time.Second
		return nil, fmt.Errorf("wait for a slot: %w: %w", ctx.Err(), busy)
	}
}
