package lease_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pharos/internal/fault"
	"pharos/watcher/lease"
)

// memory is a Store that can be away.
type memory struct {
	mu    sync.Mutex
	docs  map[string]lease.Lease
	seqNo int64
	away  bool
}

func newMemory() *memory { return &memory{docs: map[string]lease.Lease{}} }

var errAway = errors.New("away")

func (m *memory) Leases(context.Context) ([]lease.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, errAway
	}
	var all []lease.Lease
	for _, l := range m.docs {
		all = append(all, l)
	}
	return all, nil
}

func (m *memory) WriteLeases(_ context.Context, leases []lease.Lease) ([]lease.Written, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, errAway
	}
	results := make([]lease.Written, len(leases))
	for i, l := range leases {
		if m.docs[l.ID].Revision != l.Revision {
			results[i].Err = fault.New(fault.Conflict, "It changed.")
			continue
		}
		m.seqNo++
		l.Revision = lease.Revision{SeqNo: m.seqNo, PrimaryTerm: 1}
		m.docs[l.ID] = l
		results[i].Revision = l.Revision
	}
	return results, nil
}

func (m *memory) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

const shards = 8

// process is one that takes part; skew is how far its clock is off.
type process struct {
	*lease.Manager
	name string
	stop context.CancelFunc
	busy atomic.Bool
}

func start(t *testing.T, store lease.Store, name string, skew time.Duration) *process {
	cfg := lease.Config{Shards: shards, TTL: 9 * time.Second}
	p := &process{name: name}
	p.Manager = lease.NewManager(cfg, store, name, func() time.Time { return time.Now().Add(skew) })
	ctx, cancel := context.WithCancel(t.Context())
	p.stop = cancel
	go func() {
		for ctx.Err() == nil {
			_ = p.Round(ctx, json.RawMessage(`"`+name+`"`), func(int) bool { return p.busy.Load() })
			time.Sleep(cfg.Interval())
		}
	}()
	return p
}

// holders says who holds each shard; a shard that two hold is an error.
func holders(t *testing.T, all ...*process) map[int]string {
	t.Helper()
	held := map[int]string{}
	for _, p := range all {
		for _, n := range p.Held() {
			if by, taken := held[n]; taken {
				t.Errorf("shard %d is held by %s and %s", n, by, p.name)
			}
			held[n] = p.name
		}
	}
	return held
}

func count(held map[int]string, name string) int {
	n := 0
	for _, by := range held {
		if by == name {
			n++
		}
	}
	return n
}

// watch checks for a while that no shard has two holders.
func watch(t *testing.T, d time.Duration, all ...*process) map[int]string {
	t.Helper()
	for range int(d / (100 * time.Millisecond)) {
		time.Sleep(100 * time.Millisecond)
		holders(t, all...)
	}
	return holders(t, all...)
}

func TestShardsAreSharedAndTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		a := start(t, store, "a", 0)
		if held := watch(t, 4*time.Second, a); count(held, "a") != shards {
			t.Fatalf("alone: %v", held)
		}
		// The clock of b is an hour ahead.
		b := start(t, store, "b", time.Hour)
		if held := watch(t, 15*time.Second, a, b); count(held, "a") != 4 || count(held, "b") != 4 {
			t.Fatalf("two: %v", held)
		}
		c := start(t, store, "c", -3*time.Second)
		if held := watch(t, 20*time.Second, a, b, c); len(held) != shards || count(held, "c") < 2 {
			t.Fatalf("three: %v", held)
		}
		if n := len(c.Others()); n != 2 {
			t.Errorf("c knows %d others", n)
		}
		// b is gone without a word.
		b.stop()
		if held := watch(t, 8*time.Second, a, c); len(held) == shards {
			t.Errorf("taken over before the lease had ended: %v", held)
		}
		if held := watch(t, 10*time.Second, a, c); len(held) != shards {
			t.Fatalf("not taken over: %v", held)
		}
		// a goes with a word.
		a.stop()
		if err := a.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if held := watch(t, 4*time.Second, c); count(held, "c") != shards {
			t.Fatalf("given back: %v", held)
		}
		c.stop()
		if members := len(store.docs) - shards; members != 3 {
			t.Errorf("%d documents of members", members)
		}
		d := start(t, store, "d", 0)
		watch(t, 30*time.Second, d)
		if members := len(store.docs) - shards; members != 3 {
			t.Errorf("%d documents of members after another start", members)
		}
		d.stop()
		synctest.Wait()
		time.Sleep(10 * time.Second)
	})
}

func TestALeaseEndsWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		a, b := start(t, store, "a", 0), start(t, store, "b", 0)
		watch(t, 20*time.Second, a, b)
		store.setAway(true)
		if held := watch(t, 10*time.Second, a, b); len(held) != 0 {
			t.Fatalf("still held: %v", held)
		}
		store.setAway(false)
		// Who comes first may think the other gone, and takes all; then they share.
		if held := watch(t, 15*time.Second, a, b); count(held, "a") != 4 || count(held, "b") != 4 {
			t.Errorf("back: %v", held)
		}
		a.stop()
		b.stop()
		time.Sleep(10 * time.Second)
	})
}

func TestABusyShardIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		a := start(t, store, "a", 0)
		a.busy.Store(true)
		watch(t, 4*time.Second, a)
		b := start(t, store, "b", 0)
		if held := watch(t, 20*time.Second, a, b); count(held, "a") != 4 || count(held, "b") != 0 {
			t.Fatalf("a starts nothing in what it is to give, and b has nothing: %v", held)
		}
		a.busy.Store(false)
		if held := watch(t, 10*time.Second, a, b); count(held, "b") != 4 {
			t.Fatalf("%v", held)
		}
		a.stop()
		b.stop()
		time.Sleep(10 * time.Second)
	})
}

func TestOf(t *testing.T) {
	seen := map[int]int{}
	for i := range 1000 {
		n := lease.Of(fmt.Sprintf("watch-%d", i), shards)
		seen[n]++
	}
	for n := range shards {
		if seen[n] < 80 || seen[n] > 170 {
			t.Errorf("shard %d has %d of 1000", n, seen[n])
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []lease.Config{{Shards: 0, TTL: time.Second}, {Shards: 8, TTL: time.Millisecond}, {Shards: 1000, TTL: time.Second}} {
		if c.Validate() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
