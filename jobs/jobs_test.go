package jobs_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pharos/internal/fault"
	"pharos/jobs"
	"pharos/jobs/bigdec"
)

// bench is everything that jobs need, in memory.
type bench struct {
	*memory
	jobs.Service
	jobs.Worker
	jobs.Sweeper
	ended   []jobs.Job
	reports []error
}

func newBench() *bench {
	cfg := jobs.Config{
		Limits: limits(), Retention: time.Hour, PerUser: 2, KeptUser: 4, Timeout: time.Minute, Retries: 2,
		Progress: 250 * time.Millisecond, StaleQueued: 15 * time.Second, StaleRunning: 2 * time.Minute,
	}
	b := &bench{memory: newMemory()}
	report := func(_ context.Context, err error) { b.reports = append(b.reports, err) }
	ended := func(_ context.Context, j jobs.Job) { b.ended = append(b.ended, j) }
	b.Service = jobs.Service{Store: b.memory, Results: b.memory, Queue: b.memory, Config: cfg, Now: time.Now, Report: report}
	b.Worker = jobs.Worker{Store: b.memory, Results: b.memory, Tasks: jobs.Tasks(), Config: cfg, Now: time.Now, Ended: ended}
	b.Sweeper = jobs.Sweeper{Store: b.memory, Queue: b.memory, Config: cfg, Now: time.Now, Report: report, Ended: ended}
	return b
}

func (b *bench) submit(t *testing.T, n uint64) jobs.Job {
	t.Helper()
	j, err := b.Submit(t.Context(), "ada", "", jobs.Spec{Task: jobs.Fibonacci, N: n})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (b *bench) see(t *testing.T, j jobs.Job) jobs.Job {
	t.Helper()
	got, err := b.Service.Get(t.Context(), "ada", j.ID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// takes is a task that takes so long unless it is stopped.
func takes(d time.Duration) jobs.Compute {
	return func(ctx context.Context, w jobs.Work) (jobs.Numbers, error) {
		w.Progress(0.5)
		select {
		case <-time.After(d):
			return jobs.Numbers{Value: bigdec.FromUint(w.N)}, nil
		case <-ctx.Done():
			return jobs.Numbers{}, ctx.Err()
		}
	}
}

func TestDone(t *testing.T) {
	b := newBench()
	j := b.submit(t, 10)
	if again := b.submit(t, 10); again.ID != j.ID || len(b.enqueued) != 1 {
		t.Error("the same job was made twice")
	}
	if err := b.work(t, j.ID, false); err != nil {
		t.Fatal(err)
	}
	_, kept, err := b.Result(t.Context(), "ada", j.ID)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(kept)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(zip); err != nil || string(text) != `{"task":"fibonacci","n":10,"value":"55","sum":"143"}`+"\n" {
		t.Errorf("result %s, %v", text, err)
	}
	if got := b.see(t, j); got.State != jobs.Done || got.Result.Value != (jobs.Excerpt{Digits: 2, First: "55", Last: "55"}) || got.Result.Sum.Last != "143" || len(b.ended) != 1 {
		t.Errorf("done: %+v", got)
	}
	// The queue may hand a job on twice.
	if err := b.work(t, j.ID, false); err != nil || len(b.ended) != 1 {
		t.Errorf("again: %v", err)
	}
}

// work runs the job as a worker does.
func (b *bench) work(t *testing.T, id string, last bool) error {
	t.Helper()
	return b.Worker.Run(t.Context(), id, last)
}

func TestOwnJobsOnly(t *testing.T) {
	b := newBench()
	j := b.submit(t, 10)
	_, getErr := b.Service.Get(t.Context(), "eve", j.ID)
	_, _, resultErr := b.Result(t.Context(), "eve", j.ID)
	for _, err := range []error{getErr, resultErr, b.Service.Cancel(t.Context(), "eve", j.ID)} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("of another user: %v", err)
		}
	}
	for _, id := range []string{"", "x", "01a1fc18-9114-78ef-83db-6c18c67b219f"} {
		if _, err := b.Service.Get(t.Context(), "ada", id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, _, err := b.Result(t.Context(), "ada", j.ID); !fault.Is(err, fault.Conflict) || fault.From(err).RetryAfter == 0 {
		t.Errorf("result of a queued job: %v", err)
	}
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		refused := func() bool {
			_, err := b.Submit(t.Context(), "ada", "", jobs.Spec{Task: jobs.Fibonacci, N: 99})
			return fault.Is(err, fault.TooManyRequests) && fault.From(err).RetryAfter > 0
		}
		made := []jobs.Job{b.submit(t, 1), b.submit(t, 2)}
		if !refused() {
			t.Error("a third active job")
		}
		for _, j := range made {
			if err := b.work(t, j.ID, false); err != nil {
				t.Fatal(err)
			}
		}
		b.submit(t, 3)
		if err := b.Service.Cancel(t.Context(), "ada", b.submit(t, 4).ID); err != nil {
			t.Fatal(err)
		}
		if !refused() {
			t.Error("a fifth kept job")
		}
		time.Sleep(time.Hour)
		if _, err := b.Service.Get(t.Context(), "ada", made[0].ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("expired: %v", err)
		}
	})
}

func TestCancelWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.Tasks[jobs.Fibonacci] = takes(time.Hour)
		j := b.submit(t, 1)
		done := make(chan error)
		go func() { done <- b.work(t, j.ID, false) }()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := b.see(t, j); got.State != jobs.Running || got.Progress != 0.4 || got.Doing != "computing" {
			t.Errorf("running: %+v", got)
		}
		start := time.Now()
		if err := b.Service.Cancel(t.Context(), "ada", j.ID); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || time.Since(start) > 250*time.Millisecond {
			t.Errorf("the worker went on for %s, %v", time.Since(start), err)
		}
		if got := b.see(t, j); got.State != jobs.Cancelled || len(b.ended) != 0 {
			t.Errorf("cancelled: %+v", got)
		}
	})
}

func TestEndings(t *testing.T) {
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		prepare func(*bench)
		last    bool
		err     error
		state   jobs.State
		detail  string
	}{
		"takes too long":              {func(b *bench) { b.Tasks[jobs.Fibonacci] = takes(time.Hour) }, false, nil, jobs.Failed, "within 1m0s"},
		"can't be written, first":     {func(b *bench) { b.noWrite = boom }, false, boom, jobs.Running, ""},
		"can't be written, last time": {func(b *bench) { b.noWrite = boom }, true, boom, jobs.Failed, "several attempts"},
		"the store is away":           {func(b *bench) { b.away = boom }, true, boom, jobs.Queued, ""},
		"another process has it": {func(b *bench) {
			b.Tasks[jobs.Fibonacci] = func(ctx context.Context, w jobs.Work) (jobs.Numbers, error) {
				for id := range b.all {
					if _, err := b.Start(ctx, id, time.Now()); err != nil {
						return jobs.Numbers{}, err
					}
				}
				return jobs.Numbers{}, nil
			}
		}, false, nil, jobs.Running, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			j := b.submit(t, 10)
			tt.prepare(b)
			err := b.work(t, j.ID, tt.last)
			b.away = nil
			if got := b.see(t, j); !errors.Is(err, tt.err) || got.State != tt.state || !strings.Contains(got.Detail, tt.detail) || (got.State == jobs.Failed) != (len(b.ended) == 1) {
				t.Errorf("%s: %v, %+v", name, err, got)
			}
		})
	}
}

func TestStoppingLeavesTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.Tasks[jobs.Fibonacci] = takes(time.Hour)
		j := b.submit(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := b.Worker.Run(ctx, j.ID, true); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if got := b.see(t, j); got.State != jobs.Running || len(b.ended) > 0 {
			t.Errorf("stopped: %+v", got)
		}
	})
}

func TestSweeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.noQueue = errors.New("away")
		j := b.submit(t, 1)
		if len(b.reports) != 1 || len(b.enqueued) != 0 {
			t.Errorf("reports %v", b.reports)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Sweeper.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(b.reports) != 2 {
			t.Errorf("reports %v", b.reports)
		}
		b.mu.Lock()
		b.noQueue = nil
		b.mu.Unlock()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if len(b.enqueued) != 1 {
			t.Error("the job is lost")
		}
		// Three workers die with it.
		for range 3 {
			if _, err := b.Start(t.Context(), j.ID, time.Now()); err != nil {
				t.Error(err)
			}
			if got := b.see(t, j); got.State != jobs.Running {
				t.Errorf("given up early: %+v", got)
			}
			time.Sleep(119 * time.Second)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := b.see(t, j); got.State != jobs.Failed || len(b.ended) != 1 {
			t.Errorf("after three attempts: %+v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
