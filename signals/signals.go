// Package signals sees when signals get lost on their way: it holds what the
// servers themselves have counted against the documents that came of it, window
// by window, and writes the share that is missing.
//
// What is compared with what:
//
//	nginx.access     nginx's own count of requests (stub_status) → documents of its access log
//	api.log          lines that api's processes wrote to their access log → documents of them
//	api.transactions transactions that api's agents recorded (sampled) → documents of them
//	api.requests     documents of nginx's log that name a trace of api's → requests that api's processes counted
//
// All counts are exact: the agents' sampling is accounted for by counting in the
// process what was sampled. What is on its way at a window's ends can count into
// one window on one side and into the next on the other; so single requests say
// nothing, and sums over some windows do.
//
// A window is looked at once its documents had time to come (Config.Settle). One
// that lacks some is only judged when every instance that sent documents has sent
// later ones, so that a shipper that is behind is no loss; or after
// Config.Patience, counted from when Elasticsearch could be asked.
package signals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config is the settings of a [Watch].
type Config struct {
	// NginxURLs are the addresses of nginx's status page, without its path; none:
	// nginx is not counted. A name that stands for several addresses is asked at
	// each.
	NginxURLs []string `env:"NGINX_STATUS_URL"`
	// APIURLs are the same of api's processes, whose /metrics is asked.
	APIURLs []string `env:"API_URLS"`
	// Interval is how long a window is.
	Interval time.Duration `env:"SIGNALS_INTERVAL" envDefault:"1m"`
	// Settle is how long after its end a window is looked at first.
	Settle time.Duration `env:"SIGNALS_SETTLE" envDefault:"45s"`
	// Patience is how long the documents of a shipper that is behind are waited for.
	Patience time.Duration `env:"SIGNALS_PATIENCE" envDefault:"5m"`
}

// Validate implements env.Validator.
func (c *Config) Validate() error {
	switch {
	case c.Interval < time.Second:
		return errors.New("SIGNALS_INTERVAL must be at least 1s")
	case c.Settle < 0 || c.Patience < 0:
		return errors.New("SIGNALS_SETTLE and SIGNALS_PATIENCE must not be below 0")
	}
	return nil
}

// Names of the counters that sources read.
const (
	NginxRequests = "nginx requests"
	APILogged     = "api logged"
	APITraced     = "api traced"
	APISampled    = "api sampled"
)

// Source reads the counters of all instances of a process, by the counters' names.
type Source interface {
	// Read returns what the instances show; partial says that some did not answer.
	Read(ctx context.Context) (readings map[string][]Reading, partial bool)
}

// Documents is where the documents are: [Store].
type Documents interface {
	// Count returns how many documents of the stream the window has.
	Count(ctx context.Context, s Stream, from, to time.Time) (int64, error)
	// Behind reports whether an instance that sent documents of the stream lately
	// has sent none from to on.
	Behind(ctx context.Context, s Stream, to time.Time) (bool, error)
	// Write keeps verdicts; those that are there already are left as they are.
	Write(ctx context.Context, verdicts []Verdict) error
}

// Stream is one comparison.
type Stream struct {
	Name    string // signals.stream
	Service string // whose signals they are
	Counter string
	// CounterFinds turns it round: documents are what was counted, and the counter
	// is what is found of it.
	CounterFinds bool
}

// Streams are the comparisons that are made.
func Streams() []Stream {
	return []Stream{
		{Name: "nginx.access", Service: "nginx", Counter: NginxRequests},
		{Name: "api.log", Service: "api", Counter: APILogged},
		{Name: "api.transactions", Service: "api", Counter: APISampled},
		{Name: "api.requests", Service: "nginx", Counter: APITraced, CounterFinds: true},
	}
}

// Verdict is what became of the signals of a window.
type Verdict struct {
	Stream   Stream
	From, To time.Time
	Counted  float64 // what was sent
	Found    float64 // what has come; duplicates can make it more
	// Partial is set where more may have been sent than was counted.
	Partial bool
}

// Lost is how many signals are missing, at least 0.
func (v Verdict) Lost() float64 { return max(0, v.Counted-v.Found) }

// Share is the part that is missing, from 0 to 1; 0 where nothing was sent.
func (v Verdict) Share() float64 {
	if v.Counted == 0 {
		return 0
	}
	return v.Lost() / v.Counted
}

// Watch compares, window by window. Several may run at once, in several
// processes: of their verdicts on a stream and a window the first is kept.
type Watch struct {
	Config    Config
	Sources   []Source
	Documents Documents
	Log       *zap.Logger
	Now       func() time.Time

	meters  map[string]*Meter
	pending []*window
}

// window is one that is not judged yet.
type window struct {
	stream  Stream
	growth  Growth
	lacking time.Time // when it was first seen to lack documents
}

const (
	// maxPending is four hours of one minute's windows; when Elasticsearch is away
	// for longer, the oldest are given up.
	maxPending = 1000
	// perPass bounds what is asked of an Elasticsearch that has just come back.
	perPass = 100
)

// Run compares until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	for {
		w.pass(ctx)
		next := w.Now().Truncate(w.Config.Interval).Add(w.Config.Interval)
		timer := time.NewTimer(next.Sub(w.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// pass reads the counters, which ends a window for each stream, and judges what
// can be judged.
func (w *Watch) pass(ctx context.Context) {
	growths := w.read(ctx)
	for _, s := range Streams() {
		if g, ok := growths[s.Counter]; ok {
			w.pending = append(w.pending, &window{stream: s, growth: g})
		}
	}
	if over := len(w.pending) - maxPending; over > 0 {
		w.Log.Warn("windows of signals are given up: Elasticsearch could not be asked for too long", zap.Int("windows", over))
		w.pending = w.pending[over:]
	}
	if err := w.judge(ctx); err != nil && ctx.Err() == nil {
		w.Log.Warn("lost signals can't be counted; the next pass counts them", zap.Error(err), zap.Int("windows", len(w.pending)))
	}
}

func (w *Watch) read(ctx context.Context) map[string]Growth {
	type answer struct {
		at       time.Time
		readings map[string][]Reading
		partial  bool
	}
	answers := make([]answer, len(w.Sources))
	var all sync.WaitGroup
	for i, s := range w.Sources {
		all.Go(func() {
			readings, partial := s.Read(ctx)
			answers[i] = answer{w.Now(), readings, partial}
		})
	}
	all.Wait()
	if w.meters == nil {
		w.meters = map[string]*Meter{}
	}
	growths := map[string]Growth{}
	for _, a := range answers {
		for counter, readings := range a.readings {
			if w.meters[counter] == nil {
				w.meters[counter] = &Meter{}
			}
			if g, known := w.meters[counter].Read(a.at, readings, a.partial); known {
				growths[counter] = g
			}
		}
	}
	return growths
}

// judge looks at the windows that had time to settle. The first error ends it:
// what is left is looked at by the next pass.
func (w *Watch) judge(ctx context.Context) error {
	var left []*window
	var verdicts []Verdict
	var failed error
	looked := 0
	for i, p := range w.pending {
		if failed != nil || looked == perPass || w.Now().Before(p.growth.To.Add(w.Config.Settle)) {
			left = append(left, w.pending[i])
			continue
		}
		looked++
		v, done, err := w.look(ctx, p)
		if err != nil {
			failed = fmt.Errorf("look at %s: %w", p.stream.Name, err)
		}
		if err != nil || !done {
			left = append(left, p)
			continue
		}
		verdicts = append(verdicts, v)
	}
	if len(verdicts) > 0 {
		if err := w.Documents.Write(ctx, verdicts); err != nil {
			return errors.Join(failed, fmt.Errorf("write verdicts: %w", err))
		}
		w.tell(verdicts)
	}
	w.pending = left
	return failed
}

// look returns a window's verdict, or false while it is too early for one.
func (w *Watch) look(ctx context.Context, p *window) (Verdict, bool, error) {
	v := Verdict{Stream: p.stream, From: p.growth.From, To: p.growth.To, Partial: p.growth.Partial}
	n, err := w.Documents.Count(ctx, p.stream, v.From, v.To)
	if err != nil {
		return v, false, err
	}
	if p.stream.CounterFinds {
		v.Counted, v.Found = float64(n), p.growth.Count
		return v, true, nil
	}
	v.Counted, v.Found = p.growth.Count, float64(n)
	if v.Lost() == 0 {
		return v, true, nil
	}
	now := w.Now()
	if p.lacking.IsZero() {
		p.lacking = now
	}
	if now.Sub(p.lacking) >= w.Config.Patience {
		return v, true, nil
	}
	behind, err := w.Documents.Behind(ctx, p.stream, v.To)
	return v, err == nil && !behind, err
}

// told is from which share on, and from how many signals, a loss is worth a line.
const (
	toldShare = 0.01
	toldCount = 10
)

func (w *Watch) tell(verdicts []Verdict) {
	var lines []string
	for _, v := range verdicts {
		if v.Lost() >= toldCount && v.Share() >= toldShare {
			lines = append(lines, fmt.Sprintf("%s: %.0f of %.0f from %s to %s", v.Stream.Name, v.Lost(), v.Counted, v.From.UTC().Format(time.TimeOnly), v.To.UTC().Format(time.TimeOnly)))
		}
	}
	if len(lines) > 0 {
		w.Log.Warn("signals were lost: " + strings.Join(lines, "; "))
	}
}
