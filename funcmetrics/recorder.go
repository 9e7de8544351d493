package funcmetrics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// Sink takes recorded calls.
type Sink interface {
	// Push appends records to the list and adds them to their functions'
	// totals, both or neither. A batch that is pushed again under the same id
	// has no further effect.
	Push(ctx context.Context, batch string, rs []Record) error
}

// ErrFull says that a sink holds as many records as it may.
var ErrFull = errors.New("the list of function metrics is full")

// Config is how a recorder buffers.
type Config struct {
	Buffer int           `env:"FUNCMETRICS_BUFFER" envDefault:"20000"`     // calls that wait in memory
	Batch  int           `env:"FUNCMETRICS_BATCH" envDefault:"500"`        // calls pushed at once
	Every  time.Duration `env:"FUNCMETRICS_PUSH_EVERY" envDefault:"100ms"` // the longest that a call waits for its batch
}

// Validate implements env.Validator.
func (c Config) Validate() error {
	switch {
	case c.Buffer < 1:
		return errors.New("FUNCMETRICS_BUFFER must be at least 1")
	case c.Batch < 1 || c.Batch > MaxBatch:
		return fmt.Errorf("FUNCMETRICS_BATCH must be from 1 to %d", MaxBatch)
	case c.Every <= 0:
		return errors.New("FUNCMETRICS_PUSH_EVERY must be more than 0s")
	}
	return nil
}

// MaxBatch is how many records are moved at once at most.
const MaxBatch = 2000

// Report is told of what went wrong in the background.
type Report func(ctx context.Context, err error)

// Recorder takes the calls of functions. Taking one costs about a
// microsecond and never waits: calls go into a bounded buffer, from which
// [Recorder.Run] pushes them on. When the buffer is full, calls are dropped,
// counted and reported.
//
// A nil *Recorder records nothing.
type Recorder struct {
	sink   Sink
	cfg    Config
	report Report
	calls  chan call
	stats  RecorderStats
}

// RecorderStats counts what became of calls.
type RecorderStats struct {
	Recorded atomic.Int64 // pushed to the sink
	Dropped  atomic.Int64 // lost
}

type call struct {
	name   string
	took   time.Duration
	failed bool
	at     time.Time
}

// NewRecorder returns a Recorder; the caller runs [Recorder.Run].
func NewRecorder(sink Sink, cfg Config, report Report) *Recorder {
	return &Recorder{sink: sink, cfg: cfg, report: report, calls: make(chan call, cfg.Buffer)}
}

// Stats are the recorder's counts so far.
func (r *Recorder) Stats() *RecorderStats { return &r.stats }

// Buffered is how many calls wait in memory.
func (r *Recorder) Buffered() int { return len(r.calls) }

// RegisterMetrics registers the recorder's counts and its buffer.
func (r *Recorder) RegisterMetrics(reg prometheus.Registerer) {
	counter := func(name, help string, n *atomic.Int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(n.Load()) })
	}
	reg.MustRegister(
		counter("funcmetrics_recorded_total", "Calls pushed on the list in Redis.", &r.stats.Recorded),
		counter("funcmetrics_dropped_total", "Calls that were lost because Redis was away for too long.", &r.stats.Dropped),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "funcmetrics_buffered", Help: "Calls that wait in memory to be pushed."},
			func() float64 { return float64(r.Buffered()) }),
	)
}

// Track starts measuring a call of the named function. What it returns is
// deferred with the address of the function's error result, or nil:
//
//	defer rec.Track("feed.Timeline")(&err)
//
// A panic counts as an error and goes on.
func (r *Recorder) Track(name string) func(*error) {
	if r == nil {
		return func(*error) {}
	}
	start := time.Now()
	return func(err *error) {
		failed := err != nil && *err != nil
		if p := recover(); p != nil {
			r.record(name, start, true)
			panic(p) //nolint:forbidigo // it goes on
		}
		r.record(name, start, failed)
	}
}

// Wrap returns fn measured under the given name. A panic counts as an error
// and goes on.
func Wrap[T, R any](r *Recorder, name string, fn func(context.Context, T) (R, error)) func(context.Context, T) (R, error) {
	if r == nil {
		return fn
	}
	return func(ctx context.Context, in T) (out R, err error) {
		start, failed := time.Now(), true
		defer func() { r.record(name, start, failed) }()
		out, err = fn(ctx, in)
		failed = err != nil
		return out, err
	}
}

func (r *Recorder) record(name string, start time.Time, failed bool) {
	end := time.Now()
	select {
	case r.calls <- call{name, end.Sub(start), failed, end}:
	default:
		r.stats.Dropped.Add(1)
	}
}

const (
	pushTimeout = 2 * time.Second
	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
	reportEvery = 10 * time.Second
)

// Run pushes calls on until ctx ends, and then what is still in the buffer, if
// the sink takes it.
func (r *Recorder) Run(ctx context.Context) error {
	p := &pusher{Recorder: r}
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case c := <-r.calls:
			if p.add(c); len(p.records) < r.cfg.Batch {
				continue
			}
		case <-tick.C:
		case <-ctx.Done():
		}
		p.untilPushed(ctx)
		p.reportDrops(ctx)
	}
	p.last(context.WithoutCancel(ctx))
	return nil
}

// pusher is the state of a running Recorder.
type pusher struct {
	*Recorder
	records  []Record
	batch    string // the id under which the records were tried to be pushed, if they were
	failing  bool
	reported int64     // drops that the last report told of
	at       time.Time // when it did
}

func (p *pusher) add(c call) {
	name := c.name
	if len(name) > MaxName {
		name = strings.ToValidUTF8(name[:MaxName], "")
	}
	id, err := uuid.NewV7()
	if err != nil {
		p.stats.Dropped.Add(1) // the system has no random numbers: nothing works then
		return
	}
	p.records = append(p.records, Record{
		ID: id.String(), FuncName: name, Seconds: c.took.Seconds(), Failed: c.failed, At: c.at.Unix(),
	})
}

// untilPushed pushes the records, and goes on trying as long as ctx lasts.
// Meanwhile the buffer fills.
func (p *pusher) untilPushed(ctx context.Context) {
	pause := firstPause
	for len(p.records) > 0 && ctx.Err() == nil {
		err := p.push(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !p.failing {
			p.report(ctx, fmt.Errorf("push function metrics (they wait in memory): %w", err))
			p.failing = true
		}
		p.reportDrops(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, longPause)
		}
	}
}

// push keeps the batch's id and records as they are until the sink has taken
// them: an attempt that seemed to fail may have arrived.
func (p *pusher) push(ctx context.Context) error {
	if p.batch == "" {
		p.batch = uuid.NewString()
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	if err := p.sink.Push(ctx, p.batch, p.records); err != nil {
		return err
	}
	p.stats.Recorded.Add(int64(len(p.records)))
	p.records, p.batch, p.failing = p.records[:0], "", false
	return nil
}

// last pushes what is left, and gives up at the first failure.
func (p *pusher) last(ctx context.Context) {
	for {
		for p.batch == "" && len(p.calls) > 0 && len(p.records) < p.cfg.Batch {
			p.add(<-p.calls)
		}
		if len(p.records) == 0 {
			return
		}
		if err := p.push(ctx); err != nil {
			n := int64(len(p.records) + len(p.calls))
			p.stats.Dropped.Add(n)
			p.report(ctx, fmt.Errorf("%d function metrics dropped at the end: %w", n, err))
			return
		}
	}
}

// reportDrops tells of new drops, at most every reportEvery.
func (p *pusher) reportDrops(ctx context.Context) {
	n := p.stats.Dropped.Load()
	if n == p.reported || time.Since(p.at) < reportEvery {
		return
	}
	p.report(ctx, fmt.Errorf("the buffer of function metrics is full: %d calls dropped, %d since the start", n-p.reported, n))
	p.reported, p.at = n, time.Now()
}
