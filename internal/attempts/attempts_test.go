package attempts

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"pharos/internal/redisconn"
	"pharos/internal/teststack"
)

// testConfig has a first wait that no test comes near by being slow.
var testConfig = Config{FreePerHandle: 3, FreePerAddress: 5, FirstWait: time.Minute, MaxWait: 10 * time.Minute, Forget: time.Hour}

func TestWait(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		1: 0, 2: 0, 3: time.Minute, 4: 2 * time.Minute, 5: 4 * time.Minute, 6: 8 * time.Minute, 7: 10 * time.Minute, 90: 10 * time.Minute,
	} {
		if got := testConfig.wait(failures, 3); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	if err := testConfig.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"SIGN_IN_FREE_PER_HANDLE":  func(c *Config) { c.FreePerHandle = 0 },
		"SIGN_IN_FREE_PER_ADDRESS": func(c *Config) { c.FreePerAddress = 0 },
		"SIGN_IN_FIRST_WAIT":       func(c *Config) { c.FirstWait = 0 },
		"SIGN_IN_MAX_WAIT":         func(c *Config) { c.MaxWait = time.Second },
		"SIGN_IN_FORGET":           func(c *Config) { c.Forget = time.Minute },
	} {
		cfg := testConfig
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "not an address": "not an address",
	} {
		if got := Network(address); got != want {
			t.Errorf("%q: %q", address, got)
		}
	}
}

// away is a Redis that fails at once.
func away(t *testing.T) *redis.Client {
	t.Helper()
	rdb := connect(t, redisconn.Config{Addr: "127.0.0.1:1", Password: "x", Timeout: time.Second, PoolSize: 1})
	if err := rdb.Close(); err != nil {
		t.Fatal(err)
	}
	return rdb
}

func connect(t *testing.T, cfg redisconn.Config) *redis.Client {
	t.Helper()
	rdb, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func limiter(t *testing.T, rdb *redis.Client) *Limiter {
	t.Helper()
	l, err := New(rdb, testConfig, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// suite is what a limiter must do; instances count together.
func suite(t *testing.T, degraded bool, instances ...*Limiter) {
	ctx := t.Context()
	turn := 0
	begin := func(t *testing.T, handle, address string) (*Attempt, time.Duration) {
		t.Helper()
		turn++
		a, wait, err := instances[turn%len(instances)].Begin(ctx, handle, address)
		if (err != nil) != degraded {
			t.Errorf("error %v", err)
		}
		return a, wait
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	fail := func(t *testing.T, n int, handle, address string) {
		t.Helper()
		for i := range n {
			a, wait := begin(t, handle, address)
			if wait > 0 {
				t.Fatalf("attempt %d waits %s", i+1, wait)
			}
			must(t, a.Failed(ctx))
		}
	}
	waits := func(t *testing.T, handle, address string) {
		t.Helper()
		for range 3 { // being refused makes it no longer
			if _, wait := begin(t, handle, address); wait <= 0 || wait > time.Minute {
				t.Errorf("the next attempt waits %s", wait)
			}
		}
	}

	t.Run("failures of a handle from everywhere", func(t *testing.T) {
		handle := uuid.NewString()
		for i := range testConfig.FreePerHandle {
			fail(t, 1, handle, fmt.Sprintf("%s-%d", handle, i))
		}
		waits(t, handle, handle+"-new")
		fail(t, 1, uuid.NewString(), handle+"-new")
	})
	t.Run("a success forgets the handle's", func(t *testing.T) {
		handle := uuid.NewString()
		for range 3 {
			fail(t, testConfig.FreePerHandle-1, handle, uuid.NewString())
			a, wait := begin(t, handle, uuid.NewString())
			if wait > 0 {
				t.Fatalf("waits %s", wait)
			}
			must(t, a.Succeeded(ctx))
		}
	})
	t.Run("failures of an address for any handle", func(t *testing.T) {
		address := uuid.NewString()
		for range testConfig.FreePerAddress {
			a, wait := begin(t, uuid.NewString(), address)
			if wait > 0 {
				t.Fatalf("waits %s", wait)
			}
			must(t, a.Failed(ctx))
			if own, _ := begin(t, uuid.NewString(), address); own != nil {
				must(t, own.Succeeded(ctx)) // an account of the guesser's own changes nothing
			}
		}
		waits(t, uuid.NewString(), address)
		fail(t, 1, uuid.NewString(), uuid.NewString())
	})
	t.Run("what is void does not count", func(t *testing.T) {
		handle := uuid.NewString()
		for range 2 * testConfig.FreePerHandle {
			a, wait := begin(t, handle, handle)
			if wait > 0 {
				t.Fatalf("waits %s", wait)
			}
			must(t, a.Void(ctx))
		}
		fail(t, testConfig.FreePerHandle, handle, handle)
		waits(t, handle, uuid.NewString())
	})
	t.Run("of many at once no more are let through", func(t *testing.T) {
		handle := uuid.NewString()
		var (
			wg      sync.WaitGroup
			through atomic.Int64
		)
		for i := range 30 {
			wg.Go(func() {
				if a, _, _ := instances[i%len(instances)].Begin(ctx, handle, uuid.NewString()); a != nil {
					through.Add(1)
				}
			})
		}
		wg.Wait()
		if through.Load() != int64(testConfig.FreePerHandle) {
			t.Errorf("%d were let through", through.Load())
		}
	})
}

func TestInstancesCountTogether(t *testing.T) {
	rdb := connect(t, teststack.Config[redisconn.Config](t))
	suite(t, false, limiter(t, rdb), limiter(t, rdb))
}

func TestRedisAway(t *testing.T) { suite(t, true, limiter(t, away(t))) }

// TestWaitsEnd needs a Redis whose waits are short enough to be waited for.
func TestWaitsEnd(t *testing.T) {
	rdb := connect(t, teststack.Config[redisconn.Config](t))
	l, err := New(rdb, Config{FreePerHandle: 1, FreePerAddress: 100, FirstWait: 20 * time.Millisecond, MaxWait: time.Second, Forget: time.Minute}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	handle := uuid.NewString()
	deadline := time.Now().Add(20 * time.Second)
	for failures := 0; failures < 3; {
		a, wait, err := l.Begin(t.Context(), handle, handle)
		switch {
		case err != nil:
			t.Fatal(err)
		case a != nil:
			failures++
		case time.Now().After(deadline):
			t.Fatal("the wait does not end")
		default:
			time.Sleep(wait)
		}
	}
	for name, ttl := range map[string]time.Duration{handleKey(handle): time.Minute} {
		if got := rdb.PTTL(t.Context(), name).Val(); got <= 0 || got > ttl {
			t.Errorf("%s is kept for %s", name, got)
		}
	}
}

func TestLocalTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := newLocal(time.Now)
		if err != nil {
			t.Fatal(err)
		}
		begin := func() time.Duration {
			wait, _ := l.begin(context.Background(), "h", "a", testConfig)
			return wait
		}
		for range testConfig.FreePerHandle {
			if wait := begin(); wait != 0 {
				t.Fatalf("waits %s", wait)
			}
		}
		for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
			if wait := begin(); wait != want {
				t.Fatalf("waits %s, want %s", wait, want)
			}
			time.Sleep(want - time.Second)
			if wait := begin(); wait != time.Second {
				t.Fatalf("a second before its end: %s", wait)
			}
			time.Sleep(time.Second)
			if wait := begin(); wait != 0 {
				t.Fatalf("after its end: %s", wait)
			}
		}
		time.Sleep(testConfig.Forget)
		for range testConfig.FreePerHandle {
			if wait := begin(); wait != 0 {
				t.Fatalf("not forgotten: %s", wait)
			}
		}
	})
}
