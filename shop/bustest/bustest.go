// Package bustest is what every implementation of shop.Bus must do. The suite
// runs against real servers.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/shop"
)

// Open returns a bus of the test's own, seen by the named consumer. Every call
// of one test opens the same bus. It is closed by the test's end. A message of
// a consumer that died is handed to another within ten seconds.
type Open func(t *testing.T, consumer string) shop.Bus

// patience is for what has to happen at some time.
const patience = 40 * time.Second

// Run runs the suite. fresh is called once for each test.
func Run(t *testing.T, fresh func(t *testing.T) Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"every group gets every message":      everyGroup,
		"consumers of a group share":          share,
		"messages of a key stay in order":     order,
		"a slow group slows nobody":           slow,
		"what a consumer leaves is taken":     abandoned,
		"a stop finishes the batch":           stop,
		"a group goes on where it was":        resume,
		"dead letters":                        deadLetters,
		"a dead letter is acknowledged":       deadIsDone,
		"the backlog is what is not yet done": backlog,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

func message(i int) shop.Message {
	return shop.Message{
		Key: fmt.Sprintf("session-%d", i%3), Value: fmt.Appendf(nil, `{"n":%d,"text":"ü\u0000"}`, i),
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		PublishedAt: time.UnixMilli(1_700_000_000_000 + int64(i)).UTC(),
	}
}

func publish(t *testing.T, bus shop.Bus, from, to int) {
	t.Helper()
	var batch []shop.Message
	for i := from; i < to; i++ {
		batch = append(batch, message(i))
	}
	if err := bus.Publish(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// inbox gathers what a handler got.
type inbox struct {
	mu       sync.Mutex
	messages []shop.Message
}

func (i *inbox) take(_ context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.messages = append(i.messages, batch...)
	return nil, nil
}

func (i *inbox) all() []shop.Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.messages)
}

// counts returns how often each value came.
func (i *inbox) counts() map[string]int {
	n := map[string]int{}
	for _, m := range i.all() {
		n[string(m.Value)]++
	}
	return n
}

func (i *inbox) waitFor(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d different messages", n), func() bool { return len(i.counts()) >= n })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %s", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// consume runs a consumer until the returned function is called, which gives
// what Consume returned.
func consume(t *testing.T, bus shop.Bus, group string, handle shop.Handler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bus.Consume(ctx, group, handle) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			select {
			case err = <-done:
			case <-time.After(patience):
				err = errors.New("it does not end")
			}
		})
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func everyGroup(t *testing.T, open Open) {
	bus := open(t, "a")
	publish(t, bus, 0, 5) // before there is a consumer
	var one, two inbox
	stopOne := consume(t, bus, shop.GroupIngest, one.take)
	stopTwo := consume(t, open(t, "b"), shop.GroupAnalytics, two.take)
	publish(t, bus, 5, 10)
	for _, box := range []*inbox{&one, &two} {
		box.waitFor(t, 10)
		got := box.all()
		slices.SortFunc(got, func(a, b shop.Message) int { return a.PublishedAt.Compare(b.PublishedAt) })
		var want []shop.Message
		for i := range 10 {
			want = append(want, message(i))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	}
	if err := errors.Join(stopOne(), stopTwo()); err != nil {
		t.Error(err)
	}
}

func share(t *testing.T, open Open) {
	var box inbox
	a := consume(t, open(t, "a"), shop.GroupIngest, box.take)
	b := consume(t, open(t, "b"), shop.GroupIngest, box.take)
	bus := open(t, "publisher")
	for i := range 20 {
		publish(t, bus, i*10, i*10+10)
	}
	box.waitFor(t, 200)
	if err := errors.Join(a(), b()); err != nil {
		t.Error(err)
	}
	if n := len(box.counts()); n != 200 {
		t.Errorf("%d different messages", n)
	}
}

func order(t *testing.T, open Open) {
	bus := open(t, "a")
	publish(t, bus, 0, 60)
	publish(t, bus, 60, 90)
	var box inbox
	consume(t, bus, shop.GroupIngest, box.take)
	box.waitFor(t, 90)
	last := map[string]time.Time{}
	for _, m := range box.all() {
		if m.PublishedAt.Before(last[m.Key]) {
			t.Fatalf("%s came after a later one of %s", m.Value, m.Key)
		}
		last[m.Key] = m.PublishedAt
	}
}

func slow(t *testing.T, open Open) {
	bus := open(t, "a")
	hang := make(chan struct{})
	var late, box inbox
	stopSlow := consume(t, open(t, "b"), shop.GroupAnalytics, func(ctx context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
		<-hang
		return late.take(ctx, batch)
	})
	consume(t, bus, shop.GroupIngest, box.take)
	start := time.Now()
	for i := range 10 {
		publish(t, bus, i*10, i*10+10)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("publishing took %s", took)
	}
	box.waitFor(t, 100)
	if n := len(late.counts()); n != 0 {
		t.Errorf("the slow group has %d", n)
	}
	close(hang)
	late.waitFor(t, 100)
	if err := stopSlow(); err != nil {
		t.Error(err)
	}
}

func abandoned(t *testing.T, open Open) {
	bus := open(t, "survivor")
	publish(t, bus, 0, 10)
	broken := errors.New("broken")
	dying := open(t, "dying")
	if err := dying.Consume(t.Context(), shop.GroupIngest, func(context.Context, []shop.Message) ([]shop.DeadLetter, error) {
		return nil, broken
	}); !errors.Is(err, broken) {
		t.Errorf("Consume returned %v", err)
	}
	_ = dying.Close()
	var box inbox
	consume(t, bus, shop.GroupIngest, box.take)
	box.waitFor(t, 10)
}

func stop(t *testing.T, open Open) {
	bus := open(t, "a")
	publish(t, bus, 0, 10)
	var box inbox
	began := make(chan struct{})
	var once sync.Once
	end := consume(t, bus, shop.GroupIngest, func(ctx context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
		once.Do(func() { close(began) })
		<-ctx.Done() // the stop comes while the batch is being handled
		time.Sleep(100 * time.Millisecond)
		return box.take(ctx, batch)
	})
	<-began
	if err := end(); err != nil {
		t.Fatal(err)
	}
	done := len(box.counts())
	if done == 0 {
		t.Fatal("the batch was dropped")
	}
	var rest inbox
	consume(t, open(t, "b"), shop.GroupIngest, rest.take)
	rest.waitFor(t, 10-done)
	publish(t, bus, 10, 11)
	rest.waitFor(t, 11-done)
	if n := len(rest.all()); n != 11-done {
		t.Errorf("%d of the messages that were done came again", n-(11-done))
	}
}

func resume(t *testing.T, open Open) {
	bus := open(t, "a")
	for round := range 3 {
		publish(t, bus, round*5, round*5+5)
		var box inbox
		end := consume(t, bus, shop.GroupIngest, box.take)
		box.waitFor(t, 5)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if n := len(box.all()); n != 5 {
			t.Fatalf("round %d: %d messages", round, n)
		}
	}
}

// kill makes a handler that gives up every message whose number is in the list.
func kill(box *inbox, doomed ...int) shop.Handler {
	return func(ctx context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
		var dead []shop.DeadLetter
		for _, m := range batch {
			for _, i := range doomed {
				if string(m.Value) == string(message(i).Value) {
					dead = append(dead, shop.GiveUp(shop.GroupIngest, m, errors.New("can't be kept"), 5, time.UnixMilli(1_700_000_000_500)))
				}
			}
		}
		_, err := box.take(ctx, batch)
		return dead, err
	}
}

func deadLetters(t *testing.T, open Open) {
	ctx := t.Context()
	bus := open(t, "a")
	if list, err := bus.DeadLetters(ctx, 10); err != nil || len(list) != 0 {
		t.Fatalf("at first: %v %v", list, err)
	}
	publish(t, bus, 0, 6)
	var box inbox
	end := consume(t, bus, shop.GroupIngest, kill(&box, 1, 3, 4))
	box.waitFor(t, 6)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	list, err := bus.DeadLetters(ctx, 10)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d dead letters, error %v", len(list), err)
	}
	if b, err := bus.Backlog(ctx, shop.GroupIngest); err != nil || !math.IsNaN(b.DeadLetters) && b.DeadLetters != 3 {
		t.Errorf("%v dead letters are counted, error %v", b.DeadLetters, err)
	}
	got := list[slices.IndexFunc(list, func(d shop.DeadLetter) bool { return string(d.Message.Value) == string(message(1).Value) })]
	want := shop.DeadLetter{
		ID: got.ID, Group: shop.GroupIngest, Reason: "can't be kept", Tries: 5,
		FailedAt: time.UnixMilli(1_700_000_000_500).UTC(), TraceID: "0af7651916cd43dd8448eb211c80319c", Message: message(1),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
	if one, err := bus.DeadLetter(ctx, got.ID); err != nil || !cmp.Equal(one, got) {
		t.Errorf("by id: %+v %v", one, err)
	}
	if limited, err := bus.DeadLetters(ctx, 2); err != nil || len(limited) != 2 {
		t.Errorf("limited to 2: %d, error %v", len(limited), err)
	}

	if err := shop.Replay(ctx, bus, got.ID); err != nil {
		t.Fatal(err)
	}
	var again inbox
	consume(t, bus, shop.GroupIngest, again.take)
	again.waitFor(t, 1)
	if m := again.all()[0]; string(m.Value) != string(got.Message.Value) || m.TraceParent != got.Message.TraceParent {
		t.Errorf("replayed %+v", m)
	}
	var other string
	for _, d := range list {
		if d.ID != got.ID {
			other = d.ID
		}
	}
	if err := bus.Drop(ctx, other); err != nil {
		t.Error(err)
	}
	if list, err := bus.DeadLetters(ctx, 10); err != nil || len(list) != 1 {
		t.Errorf("after replay and drop: %d, error %v", len(list), err)
	}
	for _, id := range []string{got.ID, other, "", "no such thing"} {
		_, err := bus.DeadLetter(ctx, id)
		if !errors.Is(err, shop.ErrNoDeadLetter) {
			t.Errorf("get %q: %v", id, err)
		}
		if err := bus.Drop(ctx, id); !errors.Is(err, shop.ErrNoDeadLetter) {
			t.Errorf("drop %q: %v", id, err)
		}
		if err := shop.Replay(ctx, bus, id); !errors.Is(err, shop.ErrNoDeadLetter) {
			t.Errorf("replay %q: %v", id, err)
		}
	}
}

func deadIsDone(t *testing.T, open Open) {
	bus := open(t, "a")
	publish(t, bus, 0, 4)
	var box, other inbox
	end := consume(t, bus, shop.GroupIngest, kill(&box, 2))
	consume(t, open(t, "b"), shop.GroupAnalytics, other.take)
	box.waitFor(t, 4)
	other.waitFor(t, 4) // a group's dead letter is no other group's
	if err := end(); err != nil {
		t.Fatal(err)
	}
	var again inbox
	consume(t, open(t, "c"), shop.GroupIngest, again.take)
	publish(t, bus, 4, 5)
	again.waitFor(t, 1)
	if n := len(again.all()); n != 1 {
		t.Errorf("%d messages came again", n-1)
	}
}

func backlog(t *testing.T, open Open) {
	ctx := t.Context()
	bus := open(t, "a")
	var oldest time.Time
	var pending, waiting float64
	lag := func(group string) int64 {
		b, err := bus.Backlog(ctx, group)
		if err != nil {
			t.Fatal(err)
		}
		if b.Lost != 0 {
			t.Errorf("%s lost %d", group, b.Lost)
		}
		oldest, pending, waiting = b.Oldest, b.Pending, b.Waiting
		return b.Lag
	}
	if n := lag(shop.GroupIngest); n != 0 {
		t.Errorf("lag %d before anything was published", n)
	}
	if !oldest.IsZero() {
		t.Errorf("the oldest message of an empty bus is of %s", oldest)
	}
	if waiting > 0 {
		t.Errorf("something has waited %v s in an empty bus", waiting)
	}
	publish(t, bus, 0, 7)
	if n := lag(shop.GroupIngest); n != 7 {
		t.Errorf("lag %d of 7 that nobody read", n)
	}
	for deadline := time.Now().Add(time.Minute); waiting == 0 && time.Now().Before(deadline); lag(shop.GroupIngest) {
		time.Sleep(time.Millisecond)
	}
	if waiting <= 0 {
		t.Errorf("7 messages have waited %v s", waiting)
	}
	if age := time.Since(oldest); age < -time.Minute || age > time.Minute {
		t.Errorf("the oldest message is of %s", oldest)
	}
	hang := make(chan struct{})
	var box inbox
	began := make(chan struct{}, 100)
	end := consume(t, open(t, "b"), shop.GroupIngest, func(ctx context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
		began <- struct{}{}
		<-hang
		return box.take(ctx, batch)
	})
	<-began
	if n := lag(shop.GroupIngest); n != 7 {
		t.Errorf("lag %d of 7 that are being handled", n)
	}
	if !math.IsNaN(pending) && (pending < 1 || pending > 7) {
		t.Errorf("%v of 7 are in hand", pending)
	}
	if waiting <= 0 {
		t.Errorf("7 messages in hand have waited %v s", waiting)
	}
	close(hang)
	box.waitFor(t, 7)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if n := lag(shop.GroupIngest); n != 0 {
		t.Errorf("lag %d after all was done", n)
	}
	// They are kept, and wait for nobody.
	if waiting > 0 || oldest.IsZero() {
		t.Errorf("after all was done something waits %v s; the oldest is of %s", waiting, oldest)
	}
	if n := lag(shop.GroupAnalytics); n != 7 {
		t.Errorf("lag %d of the other group", n)
	}
}
