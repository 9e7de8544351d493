// Package resilience keeps a failing or slow dependency from taking its
// callers along: limits of calls in flight, circuit breakers, and retries
// within a budget. The policies are those of failsafe-go.
package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/apm/v2"
	"go.uber.org/zap"
)

// ErrRejected is in the chain of the error of a call that a Guard did not let
// through: the dependency has not been asked.
var ErrRejected = errors.New("not asked")

// Settings are the limits of a Guard.
type Settings struct {
	// MaxInFlight calls are let through at once; a further one waits up to
	// MaxWait, and no longer than its context, for its turn.
	MaxInFlight int
	MaxWait     time.Duration
	// When at least MinCalls were made within Window and FailureRate (0 to 1)
	// of them failed, calls are rejected for OpenFor; then three are let
	// through to find out.
	FailureRate float64
	MinCalls    int
	Window      time.Duration
	OpenFor     time.Duration
}

// Defaults are good for a store or a service on the same network.
func Defaults() Settings {
	return Settings{
		MaxInFlight: 64, MaxWait: 100 * time.Millisecond,
		FailureRate: 0.5, MinCalls: 10, Window: 10 * time.Second, OpenFor: 2 * time.Second,
	}
}

const probes = 3 // calls that a half-open breaker lets through

// Guard protects the calls to one instance of a dependency. Its methods may be
// called from any goroutine.
type Guard struct {
	dependency, instance string
	breaker              circuitbreaker.CircuitBreaker[any]
	executor             failsafe.Executor[any]
	metrics              *Metrics
}

// NewGuard returns a Guard for the named instance of a dependency. failed tells
// which errors are the dependency's fault: a "not found" is an answer, and a
// caller that went away says nothing of the dependency.
func NewGuard(dependency, instance string, s Settings, failed func(error) bool, m *Metrics, log *zap.Logger) *Guard {
	g := &Guard{dependency: dependency, instance: instance, metrics: m}
	state := m.state.WithLabelValues(dependency, instance)
	state.Set(0)
	g.breaker = circuitbreaker.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool {
			return err != nil && !errors.Is(err, context.Canceled) && failed(err)
		}).
		WithFailureRateThreshold(s.FailureRate, uint(s.MinCalls), s.Window).
		WithSuccessThreshold(probes).
		WithDelay(s.OpenFor).WithJitterFactor(.2).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			state.Set(stateValue(e.NewState))
			log.Warn("circuit breaker is "+e.NewState.String(),
				zap.String("labels.dependency", dependency), zap.String("labels.instance", instance),
				zap.String("labels.was", e.OldState.String()))
		}).
		Build()
	limit := bulkhead.NewBuilder[any](uint(s.MaxInFlight)).WithMaxWaitTime(s.MaxWait).Build()
	// From the outside in: first the turn, then the breaker, so that a full
	// queue is not taken for a failure of the dependency.
	g.executor = failsafe.With[any](limit, g.breaker)
	return g
}

// stateValue is how a state shows in metrics.
func stateValue(s circuitbreaker.State) float64 {
	switch s {
	case circuitbreaker.OpenState:
		return 1
	case circuitbreaker.HalfOpenState:
		return .5
	}
	return 0
}

// Instance is the name of the instance.
func (g *Guard) Instance() string { return g.instance }

// Open reports whether calls are rejected at present.
func (g *Guard) Open() bool { return g.breaker.IsOpen() && g.breaker.RemainingDelay() > 0 }

// Do makes the call, or returns an error with ErrRejected in its chain.
func (g *Guard) Do(ctx context.Context, call func(context.Context) error) error {
	inFlight := g.metrics.inFlight.WithLabelValues(g.dependency, g.instance)
	err := g.executor.WithContext(ctx).RunWithExecution(func(failsafe.Execution[any]) error {
		inFlight.Inc()
		defer inFlight.Dec()
		return call(ctx)
	})
	switch {
	case errors.Is(err, circuitbreaker.ErrOpen):
		return g.rejected(ctx, "breaker open")
	case errors.Is(err, bulkhead.ErrFull):
		return g.rejected(ctx, "too many in flight")
	}
	return err
}

func (g *Guard) rejected(ctx context.Context, reason string) error {
	g.metrics.rejected.WithLabelValues(g.dependency, g.instance, reason).Inc()
	if span := apm.SpanFromContext(ctx); span != nil {
		span.Context.SetLabel("rejected_"+g.dependency, reason)
	} else if tx := apm.TransactionFromContext(ctx); tx != nil {
		tx.Context.SetLabel("rejected_"+g.dependency, reason)
	}
	return fmt.Errorf("%s %s: %w: %s", g.dependency, g.instance, ErrRejected, reason)
}

// Metrics shows the state of all guards and retriers of a process.
type Metrics struct {
	state, inFlight   *prometheus.GaugeVec
	rejected, retried *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		state: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pharos_dependency_breaker_open", Help: "1 while calls to the instance are rejected, 0.5 while it is tried, else 0.",
		}, []string{"dependency", "target"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pharos_dependency_in_flight", Help: "Calls that the instance has not answered yet.",
		}, []string{"dependency", "target"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pharos_dependency_rejected_total", Help: "Calls that were not made.",
		}, []string{"dependency", "target", "reason"}),
		retried: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pharos_dependency_retries_total", Help: "Calls that were made again, and those that the budget forbade.",
		}, []string{"dependency", "outcome"}),
	}
	reg.MustRegister(m.state, m.inFlight, m.rejected, m.retried)
	return m
}
