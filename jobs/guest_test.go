package jobs_test

import (
	"context"
	"testing"
	"time"

	"pharos/internal/fault"
	"pharos/jobs"
)

// once lets everyone do n things.
type quota struct {
	left map[string]int
	n    int
}

func (q *quota) Take(_ context.Context, who string) (time.Duration, error) {
	if _, ok := q.left[who]; !ok {
		q.left[who] = q.n
	}
	if q.left[who]--; q.left[who] < 0 {
		return 12 * time.Minute, nil
	}
	return 0, nil
}

func TestGuests(t *testing.T) {
	b := newBench()
	g := jobs.Guests{
		Service: &b.Service, PerHour: &quota{map[string]int{}, 2},
		Config: jobs.GuestConfig{FibonacciMaxN: 100, FactorialMaxN: 50, AtOnce: 1, PerHour: 2, Kept: 4},
	}
	submit := func(browser, address string, n uint64) (jobs.Job, error) {
		return g.Submit(t.Context(), jobs.Guest{Browser: browser, Address: address}, "", jobs.Spec{Task: jobs.Fibonacci, N: n})
	}
	must := func(browser, address string, n uint64) jobs.Job {
		t.Helper()
		j, err := submit(browser, address, n)
		if err != nil || !j.Guest || j.Owner != "guest:"+browser {
			t.Fatalf("%+v, %v", j, err)
		}
		return j
	}
	refused := func(browser, address string, retryAfter time.Duration) {
		t.Helper()
		if _, err := submit(browser, address, 99); !fault.Is(err, fault.TooManyRequests) || fault.From(err).RetryAfter != retryAfter {
			t.Errorf("%s at %s: %v", browser, address, err)
		}
	}
	first := must("b1", "home", 10)
	if again := must("b1", "home", 10); again.ID != first.ID {
		t.Error("the same job was made twice")
	}
	refused("b1", "home", 5*time.Second) // one at a time
	if err := b.work(t, first.ID, false); err != nil {
		t.Fatal(err)
	}
	must("b1", "home", 11)
	refused("b2", "home", 12*time.Minute) // two an hour from there
	must("b2", "office", 12)
	must("b3", "school", 12)
	refused("b4", "library", time.Minute) // four are kept
	for _, n := range []uint64{101, 1 << 60} {
		if _, err := submit("b9", "far", n); !fault.Is(err, fault.LimitExceeded) {
			t.Errorf("%d: %v", n, err)
		}
	}
	// A user is not in their way, nor they in a user's.
	b.submit(t, 99)
	if none := (jobs.GuestConfig{FibonacciMaxN: 100}); none.MaxN(jobs.Fibonacci) != 0 {
		t.Error("jobs are offered that nobody may make")
	}
}
