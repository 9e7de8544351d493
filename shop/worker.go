package shop

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.elastic.co/apm/v2"

	"pharos/funcmetrics"
)

// Received is an event that came by the bus.
type Received struct {
	Event
	TraceID    string
	ReceivedAt time.Time // when the bus got it
}

// Effect is what a consumer does with events.
type Effect interface {
	// Apply does the effect of a batch. It returns those that failed by
	// themselves, by their place in the batch: they are tried again, and given
	// up in the end. An error means that nothing is known to be done, because a
	// server is away: the batch is tried until it succeeds.
	//
	// Where an error wraps ErrFaulty, it is the fault of some event of the batch,
	// and each is tried alone.
	//
	// Applying an event again has no further effect.
	Apply(ctx context.Context, batch []Received) (failed map[int]error, err error)
}

// ErrFaulty says that a batch failed by the fault of one of its events.
var ErrFaulty = errors.New("an event of the batch is at fault")

// Retry is how a consumer tries again.
type Retry struct {
	// MaxTries is how often an event is tried before it becomes a dead letter.
	MaxTries int `env:"SHOP_MAX_TRIES" envDefault:"5"`
	// Pause is the time before the second try; it doubles up to MaxPause.
	Pause    time.Duration `env:"SHOP_RETRY_PAUSE" envDefault:"50ms"`
	MaxPause time.Duration `env:"SHOP_RETRY_MAX_PAUSE" envDefault:"5s"`
	// ApplyTimeout limits one try of a batch. A stop waits for it.
	ApplyTimeout time.Duration `env:"SHOP_APPLY_TIMEOUT" envDefault:"10s"`
}

// Validate implements env.Validator.
func (r *Retry) Validate() error {
	switch {
	case r.MaxTries < 1:
		return errors.New("SHOP_MAX_TRIES must be at least 1")
	case r.Pause <= 0 || r.MaxPause < r.Pause:
		return errors.New("SHOP_RETRY_PAUSE must be more than 0s and at most SHOP_RETRY_MAX_PAUSE")
	case r.ApplyTimeout <= 0:
		return errors.New("SHOP_APPLY_TIMEOUT must be more than 0s")
	}
	return nil
}

// WorkerOptions are the parts of a Worker; all are needed but Recorder.
type WorkerOptions struct {
	Group   string
	Effect  Effect
	Retry   Retry
	Tracer  *apm.Tracer
	Metrics *ConsumerMetrics
	// Recorder measures each try of a batch as the function shop.{Group}. A try
	// counts as an error if any event of it failed.
	Recorder *funcmetrics.Recorder
	Report   func(context.Context, error)
	Now      func() time.Time
}

// Worker stands between bus and effect: it reads messages, continues their
// traces, tries again, gives up, and counts.
type Worker struct{ opts WorkerOptions }

// NewWorker returns a Worker.
func NewWorker(opts WorkerOptions) *Worker { return &Worker{opts} }

// job is a message on its way through a Worker.
type job struct {
	message Message
	event   Received
	kind    string // the event's type; "other" for a message that can't be read
	tx      *apm.Transaction
	failure error
}

// Handle is a [Handler].
func (w *Worker) Handle(ctx context.Context, batch []Message) ([]DeadLetter, error) {
	var pending, given []*job
	jobs := make([]*job, len(batch))
	for i, m := range batch {
		j := w.begin(m)
		jobs[i] = j
		if j.failure != nil {
			given = append(given, j)
		} else {
			pending = append(pending, j)
		}
	}
	// No transaction may stay open, and only now is it known how it ended.
	outcome := "unknown"
	defer func() {
		for _, j := range jobs {
			w.end(j, outcome, len(batch))
		}
	}()

	dead := make([]DeadLetter, 0, len(given))
	for _, j := range given {
		dead = append(dead, w.dead(ctx, j, 1))
	}
	pause := w.opts.Retry.Pause
	for tries, away := 1, false; len(pending) > 0; {
		failed, err := w.apply(ctx, pending)
		if err != nil && !away {
			w.opts.Report(ctx, fmt.Errorf("%s: %d events wait, tried until it works: %w", w.opts.Group, len(pending), err))
		}
		away = err != nil
		if err == nil {
			if pending = failed; len(pending) == 0 {
				break
			}
			if tries == w.opts.Retry.MaxTries {
				for _, j := range pending {
					dead = append(dead, w.dead(ctx, j, tries))
				}
				break
			}
			tries++
		}
		w.opts.Metrics.retries.Inc()
		if err := wait(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(2*pause, w.opts.Retry.MaxPause)
	}
	outcome = "success"
	return dead, nil
}

func (w *Worker) begin(m Message) *job {
	j := &job{message: m, kind: "other"}
	e, err := ParseEvent(m.Value, m.PublishedAt)
	if err != nil {
		j.failure = fmt.Errorf("no event of the shop: %w", err)
	} else {
		j.kind = e.Type
		j.event = Received{Event: e, TraceID: traceID(m.TraceParent), ReceivedAt: m.PublishedAt}
	}
	j.tx = resume(w.opts.Tracer, w.opts.Group+" "+j.kind, m)
	return j
}

func (w *Worker) end(j *job, outcome string, size int) {
	switch {
	case j.failure != nil:
		outcome = "failure"
	case outcome == "success":
		w.opts.Metrics.processed.WithLabelValues(j.kind).Inc()
		w.opts.Metrics.latency.Observe(max(0, w.opts.Now().Sub(j.message.PublishedAt).Seconds()))
	}
	j.tx.Outcome = outcome
	j.tx.Context.SetLabel("batch_size", size)
	j.tx.End()
}

func (w *Worker) dead(ctx context.Context, j *job, tries int) DeadLetter {
	w.opts.Report(apm.ContextWithTransaction(ctx, j.tx), fmt.Errorf("%s gave up event %q after %d tries: %w", w.opts.Group, j.event.ID, tries, j.failure))
	w.opts.Metrics.failed.WithLabelValues(j.kind).Inc()
	e := w.opts.Tracer.NewError(j.failure)
	e.SetTransaction(j.tx)
	e.Send()
	return GiveUp(w.opts.Group, j.message, j.failure, tries, w.opts.Now())
}

// apply tries the jobs once and returns those that failed.
func (w *Worker) apply(ctx context.Context, jobs []*job) ([]*job, error) {
	failures, err := w.try(ctx, jobs)
	if errors.Is(err, ErrFaulty) {
		failures = map[int]error{}
		for i := range jobs {
			one, err := w.try(ctx, jobs[i:i+1])
			switch {
			case errors.Is(err, ErrFaulty):
				failures[i] = err
			case err != nil:
				return nil, err
			case one[0] != nil:
				failures[i] = one[0]
			}
		}
	} else if err != nil {
		return nil, err
	}
	var failed []*job
	for i, j := range jobs {
		if j.failure = failures[i]; j.failure != nil {
			failed = append(failed, j)
		}
	}
	return failed, nil
}

// try does the effect. A stop does not interrupt it, so that what was begun is
// finished and acknowledged.
func (w *Worker) try(ctx context.Context, jobs []*job) (failed map[int]error, err error) {
	measured := w.opts.Recorder.Track("shop." + w.opts.Group)
	defer func() {
		outcome := err
		if len(failed) > 0 {
			outcome = ErrFaulty
		}
		measured(&outcome)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.opts.Retry.ApplyTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			failed, err = nil, fmt.Errorf("%w: panic: %v\n%s", ErrFaulty, v, debug.Stack())
		}
	}()
	batch := make([]Received, len(jobs))
	for i, j := range jobs {
		batch[i] = j.event
	}
	return w.opts.Effect.Apply(ctx, batch)
}

// wait returns nil after d, or the error of ctx when that ends first.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
