package funcmetrics_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/funcmetrics"
)

// sink keeps what is pushed. Its err is answered by every push; with arrives
// the batch is taken all the same, as when an answer gets lost.
type sink struct {
	mu      sync.Mutex
	err     error
	arrives bool
	batches map[string]bool
	records []funcmetrics.Record
	pushes  int
}

func (s *sink) Push(_ context.Context, batch string, rs []funcmetrics.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushes++
	if (s.err == nil || s.arrives) && !s.batches[batch] {
		if s.batches == nil {
			s.batches = map[string]bool{}
		}
		s.batches[batch] = true
		s.records = append(s.records, rs...)
	}
	return s.err
}

func (s *sink) set(err error) { s.mu.Lock(); s.err = err; s.mu.Unlock() }

type recording struct {
	*funcmetrics.Recorder
	sink    *sink
	reports *[]string
	stop    func()
}

// record starts a recorder with a buffer of 10 and batches of 4.
func record(t *testing.T) recording {
	var (
		s       = &sink{}
		reports []string
		done    = make(chan struct{})
	)
	r := funcmetrics.NewRecorder(s, funcmetrics.Config{Buffer: 10, Batch: 4, Every: 100 * time.Millisecond},
		func(_ context.Context, err error) { reports = append(reports, err.Error()) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return recording{r, s, &reports, func() { cancel(); <-done }}
}

func work(r *funcmetrics.Recorder, took time.Duration, fail error) (err error) {
	defer r.Track("work")(&err)
	time.Sleep(took)
	return fail
}

func TestTrackAndWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		boom := errors.New("boom")
		_ = work(r.Recorder, 2*time.Second, nil)
		_ = work(r.Recorder, time.Second, boom)
		panics := func(fn func()) {
			defer func() {
				if p := recover(); p != "oh" {
					t.Errorf("the panic did not go on: %v", p)
				}
			}()
			fn()
		}
		panics(func() {
			defer r.Track("panicking")(nil)
			panic("oh")
		})
		double := funcmetrics.Wrap(r.Recorder, "double", func(_ context.Context, n int) (int, error) {
			time.Sleep(time.Duration(n) * time.Millisecond)
			switch n {
			case 0:
				return 0, boom
			case 1:
				panic("oh")
			}
			return 2 * n, nil
		})
		if got, err := double(t.Context(), 21); got != 42 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
		if _, err := double(t.Context(), 0); !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		panics(func() { _, _ = double(t.Context(), 1) })
		r.stop()

		type seen struct {
			name    string
			seconds float64
			failed  bool
		}
		var got []seen
		for _, rec := range r.sink.records {
			if err := rec.Validate(); err != nil {
				t.Errorf("%+v: %v", rec, err)
			}
			got = append(got, seen{rec.FuncName, rec.Seconds, rec.Failed})
		}
		want := []seen{{"work", 2, false}, {"work", 1, true}, {"panicking", 0, true}, {"double", 0.021, false}, {"double", 0, true}, {"double", 0.001, true}}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); diff != "" {
			t.Error(diff)
		}
		if len(*r.reports) > 0 {
			t.Errorf("reports: %q", *r.reports)
		}
	})
}

func TestNilRecorder(t *testing.T) {
	var r *funcmetrics.Recorder
	if err := work(r, 0, nil); err != nil {
		t.Error(err)
	}
	same := funcmetrics.Wrap(r, "same", func(_ context.Context, s string) (string, error) { return s, nil })
	if got, err := same(t.Context(), "x"); got != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPushedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		_ = work(r.Recorder, 0, nil)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if n := len(r.sink.records); n != 1 {
			t.Errorf("%d records after 100 ms", n)
		}
		for range 4 {
			_ = work(r.Recorder, 0, nil)
		}
		synctest.Wait()
		if n := len(r.sink.records); n != 5 {
			t.Errorf("a full batch waits: %d records", n)
		}
		r.stop()
	})
}

func TestSinkAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		r.sink.set(errors.New("away"))
		for range 4 + 10 + 3 { // a batch that is being pushed, a full buffer, and too many
			start := time.Now()
			_ = work(r.Recorder, 0, nil)
			if took := time.Since(start); took > 0 {
				t.Errorf("the caller waited %s", took)
			}
			synctest.Wait()
		}
		if d := r.Stats().Dropped.Load(); d != 3 {
			t.Errorf("%d dropped, want 3", d)
		}
		time.Sleep(time.Minute)
		_ = work(r.Recorder, 0, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(*r.reports) != 3 || !strings.Contains((*r.reports)[0], "away") || !strings.Contains((*r.reports)[1], "3 calls dropped") || !strings.Contains((*r.reports)[2], "1 calls dropped, 4 since") {
			t.Errorf("reports %q", *r.reports)
		}
		if r.sink.pushes > 60 {
			t.Errorf("tried %d times in two minutes", r.sink.pushes)
		}
		r.sink.set(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(r.sink.records); n != 14 {
			t.Errorf("%d records arrived, want 14", n)
		}
		r.stop()
	})
}

func TestLostAnswerCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		r.sink.arrives = true
		r.sink.set(errors.New("connection reset"))
		_ = work(r.Recorder, 0, nil)
		time.Sleep(time.Second)
		_ = work(r.Recorder, 0, nil)
		synctest.Wait()
		r.sink.set(nil)
		r.stop() // while the batch is being tried again
		ids := map[string]bool{}
		for _, rec := range r.sink.records {
			ids[rec.ID] = true
		}
		if len(r.sink.records) != 2 || len(ids) != 2 {
			t.Errorf("records %v", slices.Collect(maps.Keys(ids)))
		}
	})
}

func TestAwayAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		r.sink.set(errors.New("away"))
		for range 7 {
			_ = work(r.Recorder, 0, nil)
		}
		r.stop()
		if d := r.Stats().Dropped.Load(); d != 7 {
			t.Errorf("%d dropped", d)
		}
	})
}

func BenchmarkTrack(b *testing.B) {
	b.Run("track", func(b *testing.B) { bench(b, func(r *funcmetrics.Recorder) { _ = work0(r) }) })
	b.Run("wrap", func(b *testing.B) {
		bench(b, func(r *funcmetrics.Recorder) {
			_, _ = funcmetrics.Wrap(r, "wrapped", func(context.Context, int) (int, error) { return 1, nil })(context.Background(), 1)
		})
	})
}

func work0(r *funcmetrics.Recorder) (err error) {
	defer r.Track("work")(&err)
	return nil
}

// bench measures a call while the recorder runs, or drops all it can't take.
func bench(b *testing.B, call func(*funcmetrics.Recorder)) {
	for name, s := range map[string]*sink{"kept": nil, "dropped": {err: errors.New("away")}} {
		b.Run(name, func(b *testing.B) {
			var to funcmetrics.Sink = discard{}
			if s != nil {
				to = s
			}
			r := funcmetrics.NewRecorder(to, funcmetrics.Config{Buffer: 20000, Batch: 500, Every: 100 * time.Millisecond}, func(context.Context, error) {})
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() { defer close(done); _ = r.Run(ctx) }()
			for b.Loop() {
				call(r)
			}
			b.StopTimer()
			cancel()
			<-done
		})
	}
}

type discard struct{}

func (discard) Push(context.Context, string, []funcmetrics.Record) error { return nil }
