package redisbus_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"pharos/internal/faultproxy"
	"pharos/internal/teststack"
	"pharos/shop"
)

// TestFaults lets the network to Redis fail in every way while messages are
// published and consumed: each that Publish has taken is handled, and none that
// nobody published.
func TestFaults(t *testing.T) {
	teststack.Need(t)
	stream := newStream(t) // removed past the proxy
	proxy := faultproxy.New(t, os.Getenv("REDIS_ADDR"))
	t.Setenv("REDIS_ADDR", proxy.Addr)
	publisher, consumer := open(t, "p", config(stream), time.Now), open(t, "c", config(stream), time.Now)

	var (
		mu      sync.Mutex
		handled = map[string]int{}
		running sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() {
		// A process that Consume has ended with an error is started again.
		for ctx.Err() == nil {
			_ = consumer.Consume(ctx, shop.GroupIngest, func(_ context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
				mu.Lock()
				defer mu.Unlock()
				for _, m := range batch {
					handled[string(m.Value)]++
				}
				return nil, nil
			})
		}
	})
	defer func() { cancel(); running.Wait() }()

	published := map[string]bool{}
	publish := func(name string, i int) error {
		value := fmt.Sprintf(`{"n":"%s %d"}`, name, i)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		err := publisher.Publish(ctx, []shop.Message{{Key: "k", Value: []byte(value)}})
		// After an error it may be on the bus or not.
		if err == nil {
			published[value] = true
		} else if _, ok := published[value]; !ok {
			published[value] = false
		}
		return err
	}
	for _, fault := range faultproxy.All() {
		t.Run(fault.Name, func(t *testing.T) {
			if err := publish(fault.Name, 0); err != nil {
				t.Fatal(err)
			}
			proxy.Break(t, fault)
			begin, taken := time.Now(), 0
			for i := range 3 {
				if publish(fault.Name, i+1) == nil {
					taken++
				}
			}
			// Each has two seconds, on a machine that is busy.
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("three messages took %s", took)
			}
			proxy.Heal(t)
			t.Logf("%d of 3 were taken", taken)
			for deadline := time.Now().Add(20 * time.Second); publish(fault.Name, 9) != nil; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("nothing is taken although the network is back")
				}
			}
		})
	}
	missing := func() string {
		mu.Lock()
		defer mu.Unlock()
		for value, taken := range published {
			if taken && handled[value] == 0 {
				return value
			}
		}
		return ""
	}
	for deadline := time.Now().Add(30 * time.Second); missing() != ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("lost: %s", missing())
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for value := range handled {
		if _, ok := published[value]; !ok {
			t.Errorf("nobody published %s", value)
		}
	}
}
