package shop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.elastic.co/apm/v2/apmtest"

	"pharos/funcmetrics"
	"pharos/shop"
)

// effect does what its function says, and notes each try.
type effect struct {
	tries [][]string
	apply func(try int, ids []string) (map[int]error, error)
}

func (e *effect) Apply(ctx context.Context, batch []shop.Received) (map[int]error, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var ids []string
	for _, r := range batch {
		ids = append(ids, r.ID)
	}
	e.tries = append(e.tries, ids)
	return e.apply(len(e.tries), ids)
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func messages(ids ...string) []shop.Message {
	var out []shop.Message
	for _, id := range ids {
		text := "not an event"
		if id != "?" {
			text = with(shop.TypeView, map[string]string{"id": `"` + id + `"`})
		}
		out = append(out, shop.Message{Value: []byte(text), TraceParent: parent, PublishedAt: time.Now()})
	}
	return out
}

func newWorker(e *effect) (*shop.Worker, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	return shop.NewWorker(shop.WorkerOptions{
		Group: "ingest", Effect: e, Tracer: apmtest.DiscardTracer, Metrics: shop.NewConsumerMetrics(reg, "ingest"), Now: time.Now,
		Retry:  shop.Retry{MaxTries: 3, Pause: time.Millisecond, MaxPause: 10 * time.Millisecond, ApplyTimeout: time.Second},
		Report: func(context.Context, error) {},
	}), reg
}

// recorded notes what a Recorder pushed.
type recorded struct{ got chan funcmetrics.Record }

func (r recorded) Push(_ context.Context, _ string, rs []funcmetrics.Record) error {
	for _, record := range rs {
		r.got <- record
	}
	return nil
}

// Each try is a call of the consumer's function; one in which an event failed,
// or that panicked, is an error.
func TestWorkerIsMeasured(t *testing.T) {
	sink := recorded{make(chan funcmetrics.Record, 10)}
	recorder := funcmetrics.NewRecorder(sink, funcmetrics.Config{Buffer: 10, Batch: 10, Every: time.Millisecond}, func(context.Context, error) {})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- recorder.Run(ctx) }()
	w := shop.NewWorker(shop.WorkerOptions{
		Group: "ingest", Tracer: apmtest.DiscardTracer, Metrics: shop.NewConsumerMetrics(prometheus.NewRegistry(), "ingest"), Now: time.Now,
		Retry:  shop.Retry{MaxTries: 5, Pause: time.Millisecond, MaxPause: time.Millisecond, ApplyTimeout: time.Second},
		Report: func(context.Context, error) {}, Recorder: recorder,
		Effect: &effect{apply: func(try int, _ []string) (map[int]error, error) {
			switch try {
			case 1:
				return nil, errors.New("away")
			case 2:
				return map[int]error{0: errors.New("refused")}, nil
			}
			return nil, nil
		}},
	})
	if dead, err := w.Handle(t.Context(), messages("1")); err != nil || len(dead) != 0 {
		t.Fatal(dead, err)
	}
	for i, failed := range []bool{true, true, false} {
		if got := <-sink.got; got.FuncName != "shop.ingest" || got.Failed != failed {
			t.Errorf("try %d: %+v", i+1, got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func deadIDs(dead []shop.DeadLetter) string {
	var out []string
	for _, d := range dead {
		e, _ := shop.ParseEvent(d.Message.Value, time.Now())
		out = append(out, fmt.Sprintf("%s/%d", e.ID, d.Tries))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestWorker(t *testing.T) {
	away := errors.New("away")
	faulty := fmt.Errorf("%w: size", shop.ErrFaulty)
	for name, tt := range map[string]struct {
		batch []string
		apply func(try int, ids []string) (map[int]error, error)
		dead  string
		tries int
	}{
		"all is well": {[]string{"a", "b"}, func(int, []string) (map[int]error, error) { return nil, nil }, "", 1},
		"what can't be read is given up at once": {
			[]string{"a", "?", "b"}, func(int, []string) (map[int]error, error) { return nil, nil }, "/1", 1,
		},
		"what fails is tried alone, and given up": {
			[]string{"a", "b", "c"}, func(_ int, ids []string) (map[int]error, error) {
				if i := slices.Index(ids, "b"); i >= 0 {
					return map[int]error{i: errors.New("bad")}, nil
				}
				return nil, nil
			}, "b/3", 3,
		},
		"what fails once is well the next time": {
			[]string{"a", "b"}, func(try int, _ []string) (map[int]error, error) {
				if try == 1 {
					return map[int]error{1: errors.New("bad")}, nil
				}
				return nil, nil
			}, "", 2,
		},
		"a store that is away is waited for": {
			[]string{"a", "b"}, func(try int, _ []string) (map[int]error, error) {
				if try < 20 {
					return nil, away
				}
				return nil, nil
			}, "", 20,
		},
		"a panic is the fault of one": {
			[]string{"a", "b", "c"}, func(_ int, ids []string) (map[int]error, error) {
				if slices.Contains(ids, "b") {
					panic("boom")
				}
				return nil, nil
			}, "b/3", 1 + 3 + 2*2, // together, each alone, then b: together with itself, and alone
		},
		"so is what the store calls faulty": {
			[]string{"a", "b"}, func(_ int, ids []string) (map[int]error, error) {
				if slices.Contains(ids, "a") {
					return nil, faulty
				}
				return nil, nil
			}, "a/3", 1 + 2 + 2*2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := &effect{apply: tt.apply}
			worker, reg := newWorker(e)
			dead, err := worker.Handle(t.Context(), messages(tt.batch...))
			if err != nil {
				t.Fatal(err)
			}
			if got := deadIDs(dead); got != tt.dead {
				t.Errorf("dead: %q instead of %q", got, tt.dead)
			}
			if len(e.tries) != tt.tries {
				t.Errorf("%d tries: %v", len(e.tries), e.tries)
			}
			for _, d := range dead {
				if d.TraceID != parent[3:35] || d.Reason == "" || d.Group != "ingest" || d.FailedAt.IsZero() {
					t.Errorf("dead letter %+v", d)
				}
			}
			good := float64(len(tt.batch) - len(dead))
			if n := counter(t, reg, "shop_events_processed_total"); n != good {
				t.Errorf("%v processed instead of %v", n, good)
			}
			if n := counter(t, reg, "shop_events_failed_total"); n != float64(len(dead)) {
				t.Errorf("%v failed", n)
			}
		})
	}
}

// counter sums a counter's series.
func counter(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestWorkerContinuesTraces(t *testing.T) {
	recorder := apmtest.NewRecordingTracer()
	defer recorder.Close()
	worker := shop.NewWorker(shop.WorkerOptions{
		Group: "ingest", Tracer: recorder.Tracer, Metrics: shop.NewConsumerMetrics(prometheus.NewRegistry(), "ingest"), Now: time.Now,
		Retry:  shop.Retry{MaxTries: 1, ApplyTimeout: time.Second},
		Effect: &effect{apply: func(int, []string) (map[int]error, error) { return map[int]error{1: errors.New("bad")}, nil }},
		Report: func(context.Context, error) {},
	})
	batch := messages("a", "b")
	batch = append(batch, shop.Message{Value: batch[0].Value, TraceParent: "nonsense"})
	if _, err := worker.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	recorder.Flush(nil)
	payloads := recorder.Payloads()
	if len(payloads.Transactions) != 3 || len(payloads.Errors) != 1 {
		t.Fatalf("%d transactions, %d errors", len(payloads.Transactions), len(payloads.Errors))
	}
	for i, tx := range payloads.Transactions {
		inTrace := fmt.Sprintf("%x", tx.TraceID) == parent[3:35] && fmt.Sprintf("%x", tx.ParentID) == parent[36:52]
		if inTrace != (i < 2) || tx.Name != "ingest shop.view" || tx.Type != "messaging" {
			t.Errorf("transaction %d: %s %x of %x", i, tx.Name, tx.TraceID, tx.ParentID)
		}
		if want := []string{"success", "failure", "success"}[i]; tx.Outcome != want {
			t.Errorf("transaction %d: %s", i, tx.Outcome)
		}
	}
	if e := payloads.Errors[0]; fmt.Sprintf("%x", e.TraceID) != parent[3:35] {
		t.Errorf("error of trace %x", e.TraceID)
	}
}

// A stop does not interrupt a try, but ends the waiting for a store.
func TestWorkerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := &effect{}
		e.apply = func(try int, _ []string) (map[int]error, error) {
			if try == 3 {
				cancel()
			}
			return nil, errors.New("away")
		}
		metrics := shop.NewConsumerMetrics(prometheus.NewRegistry(), "ingest")
		reports := 0
		w := shop.NewWorker(shop.WorkerOptions{
			Group: "ingest", Effect: e, Tracer: apmtest.DiscardTracer, Metrics: metrics, Now: time.Now,
			Retry:  shop.Retry{MaxTries: 3, Pause: time.Second, MaxPause: 2 * time.Second, ApplyTimeout: time.Second},
			Report: func(context.Context, error) { reports++ },
		})
		start := time.Now()
		dead, err := w.Handle(ctx, messages("a"))
		if !errors.Is(err, context.Canceled) || len(dead) != 0 {
			t.Errorf("dead %v, error %v", dead, err)
		}
		if took := time.Since(start); took != 3*time.Second { // 1 s and 2 s, and none after the stop
			t.Errorf("took %s", took)
		}
		if reports != 1 {
			t.Errorf("reported %d times", reports)
		}

		e.apply = func(int, []string) (map[int]error, error) { return nil, nil }
		if _, err := w.Handle(ctx, messages("b")); err != nil {
			t.Errorf("what was fetched before the stop is not finished: %v", err)
		}
	})
}

func TestIndicatorsAreThereBeforeTheFirstEvent(t *testing.T) {
	reg := prometheus.NewRegistry()
	shop.NewConsumerMetrics(reg, "ingest")
	shop.NewPublisherMetrics(reg)
	for name, series := range map[string]int{
		"shop_events_processed_total": 4, "shop_events_failed_total": 4, "shop_events_published_total": 4, "shop_events_refused_total": 3,
		"shop_event_latency_seconds": 1, "shop_bus_lag_messages": 1, "shop_bus_lost_messages": 1,
	} {
		if n, err := testutil.GatherAndCount(reg, name); err != nil || n != series {
			t.Errorf("%s: %d series, error %v", name, n, err)
		}
	}
}
