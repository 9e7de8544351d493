package redisbus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"pharos/internal/redisconn"
	"pharos/internal/teststack"
	"pharos/shop"
	"pharos/shop/bustest"
	"pharos/shop/redisbus"
)

// testDB is a database that no process of the stack uses.
const testDB = 8

func connect(t *testing.T) *redis.Client {
	cfg := teststack.Config[redisconn.Config](t)
	cfg.DB = testDB
	rdb, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func config(stream string) redisbus.Config {
	return redisbus.Config{
		Stream: stream, Batch: 100, Retention: time.Hour, HardRetention: 24 * time.Hour, MaxLength: 10_000,
		ClaimAfter: 2 * time.Second, MaxDeliveries: 20, MaxDead: 100,
	}
}

func newStream(t *testing.T) string {
	stream := "test:" + uuid.NewString()
	rdb := connect(t)
	t.Cleanup(func() { rdb.Del(context.Background(), stream, stream+":dead", stream+":lost") })
	return stream
}

func open(t *testing.T, consumer string, cfg redisbus.Config, now func() time.Time) *redisbus.Bus {
	return redisbus.New(connect(t), redisbus.Options{
		Config: cfg, Consumer: consumer, Groups: shop.Groups(), Now: now,
		Report: func(_ context.Context, err error) { t.Log(err) },
	})
}

func TestBus(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bustest.Open {
		stream := newStream(t)
		return func(t *testing.T, consumer string) shop.Bus { return open(t, consumer, config(stream), time.Now) }
	})
}

func publish(t *testing.T, bus shop.Bus, n int) {
	t.Helper()
	batch := make([]shop.Message, n)
	for i := range batch {
		batch[i] = shop.Message{Key: "k", Value: fmt.Append(nil, i)}
	}
	if err := bus.Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// consumeAll runs a consumer until it has handled n messages.
func consumeAll(t *testing.T, bus shop.Bus, group string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := 0
	if err := bus.Consume(ctx, group, func(_ context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
		if got += len(batch); got >= n {
			cancel()
		}
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	if got != n {
		t.Fatalf("%d messages instead of %d", got, n)
	}
}

func backlog(t *testing.T, bus shop.Bus, group string) shop.Backlog {
	t.Helper()
	b, err := bus.Backlog(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	b.Oldest, b.Waiting = time.Time{}, 0 // bustest looks at them
	return b
}

// A message goes by age only when every group has done it; by the hard
// retention it goes anyway, and the group that missed it is told.
func TestTrimming(t *testing.T) {
	stream := newStream(t)
	rdb := connect(t)
	length := func() int64 { return rdb.XLen(t.Context(), stream).Val() }
	later := func(d time.Duration) *redisbus.Bus {
		return open(t, "later", config(stream), func() time.Time { return time.Now().Add(d) })
	}
	bus := open(t, "now", config(stream), time.Now)
	publish(t, bus, 30)
	consumeAll(t, bus, shop.GroupIngest, 30)
	if err := later(2 * time.Hour).Trim(t.Context()); err != nil || length() != 30 {
		t.Errorf("what analytics has not done yet was trimmed: %d left, error %v", length(), err)
	}
	if b := backlog(t, bus, shop.GroupAnalytics); b != (shop.Backlog{Lag: 30}) {
		t.Errorf("analytics: %+v", b)
	}
	consumeAll(t, bus, shop.GroupAnalytics, 30)
	if err := bus.Trim(t.Context()); err != nil || length() != 30 {
		t.Errorf("trimmed before its time: %d left, error %v", length(), err)
	}
	publish(t, bus, 5)
	consumeAll(t, bus, shop.GroupIngest, 5)
	if err := later(2 * time.Hour).Trim(t.Context()); err != nil || length() > 6 {
		t.Errorf("not trimmed: %d left, error %v", length(), err)
	}
	if b := backlog(t, bus, shop.GroupAnalytics); b != (shop.Backlog{Lag: 5}) {
		t.Errorf("analytics after trimming: %+v", b)
	}
	for range 2 { // the second time there is nothing more to lose
		if err := later(25 * time.Hour).Trim(t.Context()); err != nil || length() != 0 {
			t.Errorf("hard retention: %d left, error %v", length(), err)
		}
	}
	if b := backlog(t, bus, shop.GroupAnalytics); b != (shop.Backlog{Lost: 5}) {
		t.Errorf("analytics after the hard retention: %+v", b)
	}
	if b := backlog(t, bus, shop.GroupIngest); b != (shop.Backlog{}) {
		t.Errorf("ingest after the hard retention: %+v", b)
	}
}

// What was delivered and not acknowledged is lost by the hard retention, too.
func TestLosingWhatIsPending(t *testing.T) {
	cfg := config(newStream(t))
	bus := open(t, "a", cfg, time.Now)
	publish(t, bus, 3)
	broken := errors.New("broken")
	if err := bus.Consume(t.Context(), shop.GroupIngest, func(context.Context, []shop.Message) ([]shop.DeadLetter, error) {
		return nil, broken
	}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	late := open(t, "a", cfg, func() time.Time { return time.Now().Add(25 * time.Hour) })
	if err := late.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := backlog(t, bus, shop.GroupIngest); b != (shop.Backlog{Lost: 3}) {
		t.Errorf("%+v", b)
	}
}

func TestFullBus(t *testing.T) {
	cfg := config(newStream(t))
	cfg.MaxLength = 10
	bus := open(t, "a", cfg, time.Now)
	publish(t, bus, 10)
	if err := bus.Publish(t.Context(), []shop.Message{{Value: []byte("x")}}); !errors.Is(err, shop.ErrFull) {
		t.Errorf("a full bus: %v", err)
	}
	consumeAll(t, bus, shop.GroupIngest, 10)
	consumeAll(t, bus, shop.GroupAnalytics, 10)
	publish(t, bus, 5) // now there is room
}

// A message that kills each of its consumers becomes a dead letter, and those
// that were delivered with it do not.
func TestKillerMessage(t *testing.T) {
	cfg := config(newStream(t))
	cfg.MaxDeliveries = 4
	bus := open(t, "a", cfg, time.Now)
	publish(t, bus, 5)
	died := errors.New("died")
	done := map[string]bool{}
	for range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		err := bus.Consume(ctx, shop.GroupIngest, func(_ context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
			for _, m := range batch {
				if string(m.Value) == "2" {
					return nil, died
				}
			}
			for _, m := range batch {
				done[string(m.Value)] = true
			}
			return nil, nil
		})
		cancel()
		if err == nil {
			break
		}
	}
	if len(done) != 4 {
		t.Errorf("done: %v", done)
	}
	dead, err := bus.DeadLetters(t.Context(), 10)
	if err != nil || len(dead) != 1 || string(dead[0].Message.Value) != "2" || dead[0].Tries != 4 {
		t.Errorf("dead letters %+v, error %v", dead, err)
	}
}

func TestDedupe(t *testing.T) {
	rdb := connect(t)
	d := redisbus.NewDedupe(rdb, redisbus.DedupeConfig{TTL: time.Second})
	a, b := uuid.NewString(), uuid.NewString()
	if err := d.Remember(t.Context(), []string{a}); err != nil {
		t.Fatal(err)
	}
	if seen, err := d.Seen(t.Context(), []string{b, a}); err != nil || seen[0] || !seen[1] {
		t.Errorf("%v %v", seen, err)
	}
	time.Sleep(1100 * time.Millisecond)
	if seen, err := d.Seen(t.Context(), []string{a}); err != nil || seen[0] {
		t.Errorf("after its time: %v %v", seen, err)
	}
}
