package taskqueue_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/internal/faultproxy"
	"pharos/internal/teststack"
	"pharos/jobs"
)

// TestFaults lets the network to Redis and to MongoDB fail in every way while
// jobs are asked for: each is done once in the end, and no call outlasts its
// context.
func TestFaults(t *testing.T) {
	teststack.Need(t)
	host, _, _ := strings.Cut(strings.TrimPrefix(os.Getenv("MONGODB_URI"), "mongodb://"), "/")
	redis, mongodb := faultproxy.New(t, os.Getenv("REDIS_ADDR")), faultproxy.New(t, host)
	t.Setenv("REDIS_ADDR", redis.Addr)
	// The replica set would name the server's own address.
	t.Setenv("MONGODB_URI", strings.Replace(os.Getenv("MONGODB_URI"), host, mongodb.Addr, 1)+"&directConnection=true")
	s, _ := start(t)
	s.work(t)
	ctx, cancel := context.WithCancel(context.Background())
	swept := make(chan error)
	go func() { swept <- s.sweeper.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-swept; err != nil {
			t.Error(err)
		}
	})

	n := uint64(1000)
	var asked []jobs.Job
	for _, part := range []struct {
		name  string
		proxy *faultproxy.Proxy
		taken bool // a job is taken all the same: it waits in the store
	}{{"redis", redis, true}, {"mongodb", mongodb, false}} {
		for _, fault := range faultproxy.All() {
			t.Run(part.name+", "+fault.Name, func(t *testing.T) {
				n++
				owner, spec := uuid.NewString(), jobs.Spec{Task: jobs.Factorial, N: n}
				submit := func() error {
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					defer cancel()
					_, err := s.service.Submit(ctx, owner, "", spec)
					return err
				}
				part.proxy.Break(t, fault)
				begin := time.Now()
				err := submit()
				part.proxy.Heal(t)
				// Three times its context, on a machine that is busy.
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("submitting took %s", took)
				}
				if part.taken && err != nil {
					t.Errorf("not taken: %v", err)
				}
				for deadline := time.Now().Add(30 * time.Second); err != nil; time.Sleep(50 * time.Millisecond) {
					if err = submit(); time.Now().After(deadline) {
						t.Fatalf("still not taken: %v", err)
					}
				}
				j, err := s.store.ByKey(t.Context(), jobs.Job{Owner: owner, Spec: spec}.Key())
				if err != nil {
					t.Fatal(err)
				}
				asked = append(asked, j)
			})
		}
	}
	// A job whose way to its worker was lost goes on when asynq's lease of 30 s
	// has ended, which it looks for once a minute.
	for deadline := time.Now().Add(3 * time.Minute); len(asked) > 0; time.Sleep(100 * time.Millisecond) {
		j, err := s.service.Get(t.Context(), asked[0].Owner, asked[0].ID)
		if err == nil && j.State == jobs.Done {
			asked = asked[1:]
			continue
		}
		if time.Now().After(deadline) {
			t.Fatalf("not done: %+v, %v", j, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	times := map[string]int{}
	for _, j := range s.ended {
		times[fmt.Sprint(j.N)]++
	}
	if len(times) != 2*len(faultproxy.All()) || len(s.ended) != len(times) {
		t.Errorf("jobs that ended, and how often: %v", times)
	}
}
