package shop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// AnalyticsState keeps what was counted, and which events were. Each of its
// writes is one transaction: it happens altogether or not at all. Several
// processes may use it at once.
type AnalyticsState interface {
	// Apply counts those events that were not counted before. Those behind the
	// watermark count as late, too.
	Apply(ctx context.Context, events []Received, watermark time.Time) (Applied, error)
	// Newest returns the time of the newest event ever applied; the zero time
	// where there was none.
	Newest(ctx context.Context) (time.Time, error)
	// Due returns up to limit windows that changed since they were last settled,
	// that end before or at the watermark, and whose first change since lies
	// before changed. The oldest come first.
	Due(ctx context.Context, watermark, changed time.Time, limit int) ([]Window, error)
	// Settle gives revise the figures of a window and what was written of them,
	// and then puts the documents into the outbox, keeps the new ledger, and
	// takes the window off the list of changed ones. It returns how many
	// documents there were.
	Settle(ctx context.Context, w Window, revise func(now map[Group]Figures, before Ledger) ([]Document, Ledger, error)) (int, error)
	// Outbox returns up to limit documents that wait to be written.
	Outbox(ctx context.Context, limit int) ([]Document, error)
	// Sent takes documents off the outbox; those that were refused stay for an
	// operator to see, but come no more.
	Sent(ctx context.Context, documents []Document, refused map[string]string) error
}

// AnalyticsConfig is the settings of the analytics.
type AnalyticsConfig struct {
	// Delay is how far the watermark is behind the newest event.
	Delay time.Duration `env:"SHOP_WATERMARK_DELAY" envDefault:"30s"`
	// Idle is after how much silence the watermark follows the clock.
	Idle time.Duration `env:"SHOP_IDLE_AFTER" envDefault:"60s"`
	// Every is how often windows are closed and written.
	Every time.Duration `env:"SHOP_SETTLE_EVERY" envDefault:"5s"`
	// Gather is how long changes of a closed window are gathered before they
	// are written as one revision.
	Gather time.Duration `env:"SHOP_GATHER_LATE" envDefault:"30s"`
	// Top is how many categories, countries and products a window lists.
	Top int `env:"SHOP_TOP" envDefault:"100"`
	// StateTTL is how long the state is kept, and so how late an event may be,
	// its time on the bus included.
	StateTTL time.Duration `env:"SHOP_STATE_TTL" envDefault:"336h"`
}

// Validate implements env.Validator.
func (c *AnalyticsConfig) Validate() error {
	switch {
	case c.Delay < 0:
		return errors.New("SHOP_WATERMARK_DELAY must not be less than 0s")
	case c.Idle <= 0:
		return errors.New("SHOP_IDLE_AFTER must be more than 0s")
	case c.Every <= 0:
		return errors.New("SHOP_SETTLE_EVERY must be more than 0s")
	case c.Top < 1:
		return errors.New("SHOP_TOP must be at least 1")
	case c.StateTTL < 24*time.Hour:
		return errors.New("SHOP_STATE_TTL must be at least 24h")
	}
	return nil
}

// AnalyticsOptions are the parts of Analytics; all are needed.
type AnalyticsOptions struct {
	AnalyticsConfig
	State   AnalyticsState
	Windows WindowStore
	// Lag returns how many messages wait on the bus.
	Lag     func(context.Context) (int64, error)
	Fields  map[string]string // stand in every document, as cloud.region
	Metrics prometheus.Registerer
	Report  func(context.Context, error)
	Now     func() time.Time
}

// Analytics counts events in windows of event time. Apply is the effect of the
// group analytics; Run closes windows and writes them.
type Analytics struct {
	opts AnalyticsOptions

	late, again, written, refused prometheus.Counter

	mu     sync.Mutex
	newest time.Time // event time
	last   time.Time // when an event was applied last
	mark   time.Time // the watermark never goes back
}

// NewAnalytics returns the analytics.
func NewAnalytics(opts AnalyticsOptions) *Analytics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		opts.Metrics.MustRegister(c)
		return c
	}
	a := &Analytics{
		opts:    opts,
		last:    opts.Now(),
		late:    counter("shop_events_late_total", "Events that came after their minute was closed. They are counted all the same."),
		again:   counter("shop_events_again_total", "Events that came again after they were counted, and were not counted twice."),
		written: counter("shop_documents_written_total", "Documents of windows that were written."),
		refused: counter("shop_documents_refused_total", "Documents of windows that the store refused for good."),
	}
	opts.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "shop_watermark_age_seconds", Help: "How far the watermark is behind the clock.",
	}, func() float64 {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.mark.IsZero() {
			return 0
		}
		return opts.Now().Sub(a.mark).Seconds()
	}))
	return a
}

// Apply implements Effect.
func (a *Analytics) Apply(ctx context.Context, batch []Received) (map[int]error, error) {
	failed := map[int]error{}
	fit := make([]Received, 0, len(batch))
	oldest := a.opts.Now().Add(-a.opts.StateTTL)
	for i, e := range batch {
		// Without the state of its window it could be counted, but not once.
		if e.Time.Before(oldest) {
			failed[i] = fmt.Errorf("the event is of %s: windows older than %s are no longer kept", e.Time.Format(time.RFC3339), a.opts.StateTTL)
			continue
		}
		fit = append(fit, e)
	}
	if len(fit) == 0 {
		return failed, nil
	}
	applied, err := a.opts.State.Apply(ctx, fit, a.watermark(false))
	if err != nil {
		return nil, fmt.Errorf("count %d events: %w", len(fit), err)
	}
	a.late.Add(float64(applied.Late))
	a.again.Add(float64(applied.Again))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = a.opts.Now()
	if applied.Newest.After(a.newest) {
		a.newest = applied.Newest
	}
	return failed, nil
}

// watermark returns the watermark, which has moved on where it could.
func (a *Analytics) watermark(idle bool) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.newest.IsZero() && !idle {
		return a.mark
	}
	if w := Watermark(a.newest, a.opts.Now(), a.opts.Delay, idle); w.After(a.mark) {
		a.mark = w
	}
	return a.mark
}

// atOnce bounds what one round takes from the state.
const atOnce = 500

// Run closes windows and writes them until ctx ends.
func (a *Analytics) Run(ctx context.Context) error {
	tick := time.NewTicker(a.opts.Every)
	defer tick.Stop()
	for failing := false; ; {
		err := a.Settle(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			a.opts.Report(ctx, fmt.Errorf("write windows (tried every %s): %w", a.opts.Every, err))
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Settle closes the windows that the watermark has passed, and writes what is
// in the outbox: of them and of earlier rounds, whoever began them.
func (a *Analytics) Settle(ctx context.Context) error {
	newest, err := a.opts.State.Newest(ctx)
	if err != nil {
		return fmt.Errorf("read the newest event's time: %w", err)
	}
	lag, err := a.opts.Lag(ctx)
	if err != nil {
		return fmt.Errorf("read the lag: %w", err)
	}
	now := a.opts.Now()
	a.mu.Lock()
	if newest.After(a.newest) { // another process's
		a.newest, a.last = newest, now
	}
	idle := lag == 0 && now.Sub(a.last) >= a.opts.Idle
	a.mu.Unlock()

	mark := a.watermark(idle)
	due, err := a.opts.State.Due(ctx, mark, now.Add(-a.opts.Gather), atOnce)
	if err != nil {
		return fmt.Errorf("find windows to close: %w", err)
	}
	for _, w := range due {
		_, err := a.opts.State.Settle(ctx, w, func(now map[Group]Figures, before Ledger) ([]Document, Ledger, error) {
			return Revise(w, now, before, RevisionOptions{Top: a.opts.Top, Fields: a.opts.Fields})
		})
		if err != nil {
			return fmt.Errorf("close %s: %w", w, err)
		}
	}
	return a.send(ctx)
}

// send writes what is in the outbox. What was written and not taken off yet,
// because the process died in between, is written again, which changes nothing.
func (a *Analytics) send(ctx context.Context) error {
	for ctx.Err() == nil {
		docs, err := a.opts.State.Outbox(ctx, atOnce)
		if err != nil || len(docs) == 0 {
			return err
		}
		refused, err := a.opts.Windows.Create(ctx, docs)
		if err != nil {
			return fmt.Errorf("write %d documents: %w", len(docs), err)
		}
		if err := a.opts.State.Sent(ctx, docs, refused); err != nil {
			return fmt.Errorf("empty the outbox: %w", err)
		}
		for id, why := range refused {
			a.refused.Inc()
			a.opts.Report(ctx, fmt.Errorf("document %s was refused: %s", id, why))
		}
		a.written.Add(float64(len(docs) - len(refused)))
	}
	return nil
}
