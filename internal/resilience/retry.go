package resilience

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// Retrier makes a failed call again, after a pause that grows and has full
// jitter (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/),
// while no more than a tenth of the calls in flight are retries. Only what may
// be repeated without harm goes through it.
type Retrier struct {
	dependency string
	executor   failsafe.Executor[any]
	metrics    *Metrics
}

// The shape of retries.
const (
	retryBase = 20 * time.Millisecond
	retryMax  = 500 * time.Millisecond
	// The budget is a share of the calls in flight, retries included, and lets
	// one more through: .09 keeps what is added below a tenth.
	retryBudget = .09
	// retryFloor retries may always be in flight, so that a quiet process can
	// retry at all.
	retryFloor = 2
)

// NewRetrier returns a Retrier for the dependency that makes a call up to
// attempts times. retryable tells which errors are worth another attempt. Each
// instance's Guard belongs inside the call.
func NewRetrier(dependency string, attempts int, retryable func(error) bool, m *Metrics) *Retrier {
	forbidden := m.retried.WithLabelValues(dependency, "over budget")
	made := m.retried.WithLabelValues(dependency, "made")
	policy := retrypolicy.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return err != nil && retryable(err) }).
		WithMaxAttempts(attempts).
		WithDelayFunc(func(e failsafe.ExecutionAttempt[any]) time.Duration { return fullJitter(e.Attempts(), rand.Float64()) }).
		WithBudget(budget.NewBuilder().WithMaxRate(retryBudget).WithMinConcurrency(retryFloor).
			OnBudgetExceeded(func(budget.ExceededEvent) { forbidden.Inc() }).Build()).
		OnRetry(func(failsafe.ExecutionEvent[any]) { made.Inc() }).
		ReturnLastFailure().
		Build()
	return &Retrier{dependency, failsafe.With[any](policy), m}
}

// fullJitter is a random share of the pause after the given attempt (1, 2, …).
func fullJitter(attempt int, share float64) time.Duration {
	return time.Duration(share * float64(min(retryBase<<min(attempt-1, 10), retryMax)))
}

// Do makes the call until it succeeds, fails for good, or is out of attempts,
// budget or time; attempt counts from 0. It returns the last error.
func (r *Retrier) Do(ctx context.Context, call func(ctx context.Context, attempt int) error) error {
	var last error
	err := r.executor.WithContext(ctx).RunWithExecution(func(e failsafe.Execution[any]) error {
		last = call(ctx, e.Attempts()-1)
		return last
	})
	if errors.Is(err, budget.ErrExceeded) && last != nil {
		return last
	}
	return err
}
