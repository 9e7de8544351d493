package resilience

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
)

var (
	errAway    = errors.New("away")
	errMissing = errors.New("not found")
)

func guard(s Settings) (*Guard, *Metrics) {
	m := NewMetrics(prometheus.NewRegistry())
	return NewGuard("store", "store-1", s, func(err error) bool { return !errors.Is(err, errMissing) }, m, zap.NewNop()), m
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, m := guard(Defaults())
		asked := 0
		answer := func(err error) func(context.Context) error {
			return func(context.Context) error { asked++; return err }
		}
		for range 100 { // answers and clients that went away are no failures
			_ = g.Do(t.Context(), answer(errMissing))
			_ = g.Do(t.Context(), answer(context.Canceled))
		}
		if g.Open() || asked != 200 {
			t.Fatalf("open %v after %d", g.Open(), asked)
		}
		time.Sleep(11 * time.Second)
		for range 10 {
			if err := g.Do(t.Context(), answer(errAway)); !errors.Is(err, errAway) {
				t.Fatal(err)
			}
		}
		if !g.Open() || testutil.ToFloat64(m.state) != 1 {
			t.Fatalf("not open after ten failures: %v", testutil.ToFloat64(m.state))
		}
		before := asked
		if err := g.Do(t.Context(), answer(nil)); !errors.Is(err, ErrRejected) || asked != before {
			t.Errorf("open: %v, asked %v", err, asked != before)
		}
		time.Sleep(3 * time.Second)
		for range probes {
			if err := g.Do(t.Context(), answer(nil)); err != nil {
				t.Errorf("trying: %v", err)
			}
		}
		if testutil.ToFloat64(m.state) != 0 {
			t.Error("not closed after good answers")
		}
	})
}

func TestLimitOfCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Defaults()
		s.MaxInFlight = 2
		g, m := guard(s)
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := g.Do(context.Background(), func(context.Context) error { <-release; return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		err := g.Do(t.Context(), func(context.Context) error { t.Error("a third is let through"); return nil })
		if !errors.Is(err, ErrRejected) || time.Since(start) != s.MaxWait {
			t.Errorf("third: %v after %v", err, time.Since(start))
		}
		if n := testutil.ToFloat64(m.rejected.WithLabelValues("store", "store-1", "too many in flight")); n != 1 {
			t.Errorf("%v counted as rejected", n)
		}
		close(release)
		wg.Wait()
		if g.Open() {
			t.Error("a full queue opens the breaker")
		}
	})
}

func TestRetrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(prometheus.NewRegistry())
		r := NewRetrier("store", 3, func(err error) bool { return errors.Is(err, errAway) }, m)
		for name, tt := range map[string]struct {
			errs     []error
			want     error
			attempts int
		}{
			"good at once":       {[]error{nil}, nil, 1},
			"good at last":       {[]error{errAway, errAway, nil}, nil, 3},
			"never":              {[]error{errAway, errAway, errAway}, errAway, 3},
			"not worth it":       {[]error{errMissing}, errMissing, 1},
			"not worth it later": {[]error{errAway, errMissing}, errMissing, 2},
		} {
			attempts := 0
			err := r.Do(t.Context(), func(_ context.Context, attempt int) error {
				if attempt != attempts {
					t.Errorf("%s: attempt %d is called %d", name, attempts, attempt)
				}
				attempts++
				return tt.errs[attempt]
			})
			if !errors.Is(err, tt.want) || attempts != tt.attempts {
				t.Errorf("%s: %v after %d attempts", name, err, attempts)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		attempts := 0
		if err := r.Do(ctx, func(context.Context, int) error { attempts++; time.Sleep(time.Millisecond); return errAway }); err == nil || attempts != 1 {
			t.Errorf("out of time: %v after %d attempts", err, attempts)
		}
	})
}

func TestRetriesAreATenthOfTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(prometheus.NewRegistry())
		r := NewRetrier("store", 3, func(error) bool { return true }, m)
		const calls = 200
		var (
			mu    sync.Mutex
			total int
			wg    sync.WaitGroup
		)
		for range calls {
			wg.Go(func() {
				_ = r.Do(context.Background(), func(context.Context, int) error {
					mu.Lock()
					total++
					mu.Unlock()
					time.Sleep(100 * time.Millisecond)
					return errAway
				})
			})
		}
		wg.Wait()
		if extra := total - calls; extra > calls/10+retryFloor {
			t.Errorf("%d calls became %d", calls, total)
		}
	})
}

func TestFullJitter(t *testing.T) {
	for attempt, want := range map[int]time.Duration{1: retryBase, 2: 2 * retryBase, 3: 4 * retryBase, 20: retryMax} {
		if got := fullJitter(attempt, 1); got != want {
			t.Errorf("after attempt %d at most %v, want %v", attempt, got, want)
		}
		if got := fullJitter(attempt, 0); got != 0 {
			t.Errorf("after attempt %d at least %v", attempt, got)
		}
	}
}
