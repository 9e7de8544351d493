package scheduler_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/apm/v2/apmtest"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/lease"
	"pharos/watcher/scheduler"
)

// memory is Elasticsearch for these tests: watches, records, leases and the
// switch; it can be away.
type memory struct {
	mu      sync.Mutex
	watches map[string]watcher.Stored
	leases  map[string]lease.Lease
	records []watcher.Record
	seqNo   int64
	stopped bool
	away    bool
}

var errAway = fault.New(fault.Unavailable, "away")

func newMemory() *memory {
	return &memory{watches: map[string]watcher.Stored{}, leases: map[string]lease.Lease{}}
}

func (m *memory) lock() error {
	m.mu.Lock()
	if m.away {
		return errAway
	}
	return nil
}

func (m *memory) Get(_ context.Context, id string) (watcher.Stored, error) {
	err := m.lock()
	defer m.mu.Unlock()
	w, ok := m.watches[id]
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "No watch.")
	}
	w.Status = w.Status.Clone()
	return w, err
}

func (m *memory) Put(_ context.Context, id string, source *document.Object, status watcher.Status, _ watcher.Precondition) (watcher.Stored, bool, error) {
	err := m.lock()
	defer m.mu.Unlock()
	m.seqNo++
	_, there := m.watches[id]
	w := watcher.Stored{ID: id, Source: source, Status: status, SeqNo: m.seqNo, PrimaryTerm: 1, Version: m.seqNo}
	m.watches[id] = w
	return w, !there, err
}

func (m *memory) UpdateStatus(ctx context.Context, id string, status watcher.Status, cond watcher.Precondition) (watcher.Stored, error) {
	return m.Settle(ctx, id, status, *cond.SeqNo, *cond.PrimaryTerm)
}

func (m *memory) Settle(_ context.Context, id string, status watcher.Status, seqNo, _ int64) (watcher.Stored, error) {
	err := m.lock()
	defer m.mu.Unlock()
	w, ok := m.watches[id]
	switch {
	case err != nil:
		return w, err
	case !ok:
		return w, fault.New(fault.NotFound, "No watch.")
	case w.SeqNo != seqNo:
		return w, fault.New(fault.Conflict, "It changed.")
	}
	m.seqNo++
	w.Status, w.SeqNo, w.Version = status, m.seqNo, w.Version+1
	m.watches[id] = w
	w.Source = nil
	return w, nil
}

func (m *memory) Delete(_ context.Context, id string) (watcher.Stored, error) {
	err := m.lock()
	defer m.mu.Unlock()
	w := m.watches[id]
	delete(m.watches, id)
	return w, err
}

func (m *memory) Query(context.Context, *document.Object) (int64, []watcher.Stored, error) {
	return 0, nil, errAway
}

func (m *memory) Record(_ context.Context, r watcher.Record) error {
	m.mu.Lock() // the history's buffer takes records at any time
	defer m.mu.Unlock()
	m.records = append(m.records, r)
	return nil
}

func (m *memory) List(context.Context) (map[string]int64, error) {
	err := m.lock()
	defer m.mu.Unlock()
	list := map[string]int64{}
	for id, w := range m.watches {
		list[id] = w.SeqNo
	}
	return list, err
}

func (m *memory) Load(_ context.Context, ids []string, _ func(error)) ([]watcher.Stored, error) {
	err := m.lock()
	defer m.mu.Unlock()
	var all []watcher.Stored
	for _, id := range ids {
		if w, ok := m.watches[id]; ok {
			w.Status = w.Status.Clone()
			all = append(all, w)
		}
	}
	return all, err
}

func (m *memory) Stopped(context.Context) (bool, error) {
	err := m.lock()
	defer m.mu.Unlock()
	return m.stopped, err
}

func (m *memory) SetStopped(_ context.Context, stopped bool) error {
	err := m.lock()
	defer m.mu.Unlock()
	m.stopped = stopped
	return err
}

func (m *memory) ClusterName(context.Context) (string, error) { return "test", nil }

func (m *memory) Leases(context.Context) ([]lease.Lease, error) {
	err := m.lock()
	defer m.mu.Unlock()
	var all []lease.Lease
	for _, l := range m.leases {
		all = append(all, l)
	}
	return all, err
}

func (m *memory) WriteLeases(_ context.Context, leases []lease.Lease) ([]lease.Written, error) {
	err := m.lock()
	defer m.mu.Unlock()
	results := make([]lease.Written, len(leases))
	for i, l := range leases {
		if m.leases[l.ID].Revision != l.Revision {
			results[i].Err = fault.New(fault.Conflict, "It changed.")
			continue
		}
		m.seqNo++
		l.Revision = lease.Revision{SeqNo: m.seqNo, PrimaryTerm: 1}
		m.leases[l.ID], results[i].Revision = l, l.Revision
	}
	return results, err
}

func (m *memory) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

// took counts the records of a watch by state, and clears them.
func (m *memory) took(id string) map[watcher.State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := map[watcher.State]int{}
	var others []watcher.Record
	for _, r := range m.records {
		if r.WatchID == id {
			counts[r.State]++
			continue
		}
		others = append(others, r)
	}
	m.records = others
	return counts
}

// work is an action that takes as long as its watch says.
type work struct{ took time.Duration }

func (w work) Execute(ctx context.Context, _ watcher.Run) watcher.ActionResult {
	select {
	case <-time.After(w.took):
		return watcher.ActionResult{Status: watcher.Success}
	case <-ctx.Done():
		return watcher.ActionResult{Status: watcher.Failure, Reason: "too late"}
	}
}
func (w work) Body() *document.Object {
	return document.NewObject(document.Pair{Key: "ms", Value: w.took.Milliseconds()})
}
func (w work) SecretPaths() []string { return nil }

func engine() *watcher.Engine {
	return watcher.New(watcher.Config{
		Now: time.Now, NewID: uuid.NewString,
		Actions: map[string]watcher.ParseAction{"work": func(_ string, body any) (watcher.Action, error) {
			ms, _ := document.At(body, "ms").(int64)
			return work{time.Duration(ms) * time.Millisecond}, nil
		}},
	})
}

// process is a scheduler that runs.
type process struct {
	*scheduler.Scheduler
	stop func()      // in order
	gone atomic.Bool // as if killed: it reaches nothing any more
}

// mortal is a store that a killed process reaches no more.
type mortal struct {
	*memory
	p *process
}

func (m mortal) WriteLeases(ctx context.Context, l []lease.Lease) ([]lease.Written, error) {
	if m.p.gone.Load() {
		return nil, errAway
	}
	return m.memory.WriteLeases(ctx, l)
}

func (m mortal) Settle(ctx context.Context, id string, s watcher.Status, a, b int64) (watcher.Stored, error) {
	if m.p.gone.Load() {
		return watcher.Stored{}, errAway
	}
	return m.memory.Settle(ctx, id, s, a, b)
}

func start(t *testing.T, m *memory, node string, workers int) *process {
	t.Helper()
	p := &process{}
	store := mortal{m, p}
	cfg := scheduler.Config{Workers: workers, Slow: time.Second, Queue: 20, Timeout: 30 * time.Second, Poll: 3 * time.Second, Lease: lease.Config{Shards: 4, TTL: 9 * time.Second}}
	reg := prometheus.NewRegistry()
	p.Scheduler = scheduler.New(scheduler.Options{
		Config: cfg, Store: store, Engine: engine(), Leases: lease.NewManager(cfg.Lease, store, node, time.Now),
		Executed: func(context.Context, *watcher.Watch, watcher.Record) error { return nil },
		Node:     node, NewID: uuid.NewString, Now: time.Now, Tracer: apmtest.DiscardTracer,
		Metrics: scheduler.NewMetrics(reg), Report: func(_ context.Context, err error) { t.Log(node, err) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	p.stop = func() { cancel(); <-done }
	return p
}

func put(t *testing.T, store watcher.Store, id, schedule string, ms int) {
	t.Helper()
	text := fmt.Sprintf(`{"trigger":{"schedule":%s},"throttle_period":"0s","actions":{"do":{"throttle_period_in_millis":0,"work":{"ms":%d}}}}`, schedule, ms)
	w, err := engine().Load(id, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Put(t.Context(), id, w.Source(), watcher.NewStatus(true, time.Now(), w.ActionIDs()), watcher.Precondition{}); err != nil {
		t.Fatal(err)
	}
}

const tenSeconds = `{"interval":"10s"}`

func TestAWatchRunsOnItsSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		p := start(t, m, "a", 4)
		time.Sleep(time.Second)
		store := p.Notice(m)
		put(t, store, "w", tenSeconds, 0)
		time.Sleep(9900 * time.Millisecond)
		if got := m.took("w"); len(got) != 0 {
			t.Errorf("early: %v", got)
		}
		time.Sleep(200 * time.Millisecond)
		if got := m.took("w"); got[watcher.Executed] != 1 {
			t.Errorf("due after one interval: %v", got)
		}
		time.Sleep(time.Minute)
		if got := m.took("w"); got[watcher.Executed] != 6 {
			t.Errorf("a minute: %v", got)
		}
		stored, _ := m.Get(t.Context(), "w")
		if stored.Status.LastChecked.IsZero() || stored.Status.Action("do").Ack != watcher.Ackable {
			t.Errorf("status %+v", stored.Status)
		}

		t.Log("deactivated and deleted, here and elsewhere")
		off := stored.Status.Clone()
		off.SetActive(false, time.Now())
		if _, err := store.UpdateStatus(t.Context(), "w", off, watcher.Precondition{SeqNo: &stored.SeqNo, PrimaryTerm: &stored.PrimaryTerm}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := m.took("w"); len(got) != 0 {
			t.Errorf("not active: %v", got)
		}
		put(t, m, "w", `{"interval":"5s"}`, 0) // by another process
		time.Sleep(3*time.Second + 20*time.Second)
		if got := m.took("w"); got[watcher.Executed] < 4 || got[watcher.Executed] > 5 {
			t.Errorf("changed elsewhere: %v", got)
		}
		if _, err := m.Delete(t.Context(), "w"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		m.took("w")
		time.Sleep(time.Minute)
		if got := m.took("w"); len(got) != 0 {
			t.Errorf("deleted elsewhere: %v", got)
		}
		p.stop()
	})
}

func TestASlowWatchDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		p := start(t, m, "a", 2)
		for i := range 3 { // more than there are workers
			put(t, m, fmt.Sprintf("slow-%d", i), `{"interval":"6s"}`, 40000)
		}
		time.Sleep(5 * time.Minute)
		put(t, p.Notice(m), "fast", tenSeconds, 10)
		m.took("slow-0")
		time.Sleep(100 * time.Second)
		if got := m.took("fast"); got[watcher.Executed] < 9 {
			t.Errorf("fast: %v", got)
		}
		// An execution is cut off at 30 s, and none starts while one goes on.
		if got := m.took("slow-0"); got[watcher.AlreadyQueued] == 0 || got[watcher.Executed] > 4 {
			t.Errorf("slow: %v", got)
		}
		p.stop()
	})
}

func TestMissedRunsHappenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		p := start(t, m, "a", 4)
		put(t, m, "interval", tenSeconds, 0)
		put(t, m, "cron", `{"cron":"0 * * * * ?"}`, 0)
		time.Sleep(3 * time.Minute)
		m.setAway(true)
		time.Sleep(20 * time.Second)
		m.took("interval")
		m.took("cron")
		time.Sleep(30 * time.Minute)
		if got := m.took("interval"); len(got) != 0 {
			t.Errorf("while leases can't be renewed: %v", got)
		}
		if h := p.Health(); time.Since(h.Connected) < 29*time.Minute {
			t.Errorf("the watchdog is not told: %+v", h)
		}
		m.setAway(false)
		time.Sleep(18 * time.Second) // the longest pause, and a little
		for _, id := range []string{"interval", "cron"} {
			if got := m.took(id); got[watcher.Executed] < 1 || got[watcher.Executed] > 3 {
				t.Errorf("%s, when it is back: %v", id, got)
			}
		}
		p.stop()
		// A stop is an outage, too.
		time.Sleep(time.Hour)
		p = start(t, m, "b", 4)
		time.Sleep(5 * time.Second)
		for _, id := range []string{"interval", "cron"} {
			// The missed one, and the next if it is due in those seconds.
			if got := m.took(id); got[watcher.Executed] < 1 || got[watcher.Executed] > 2 {
				t.Errorf("%s, after a stop: %v", id, got)
			}
		}
		p.stop()
	})
}

func TestTwoShareAndOneIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := start(t, m, "a", 4)
		b := start(t, m, "b", 4)
		ids := make([]string, 20)
		for i := range ids {
			ids[i] = fmt.Sprintf("w-%d", i)
			put(t, m, ids[i], tenSeconds, 0)
		}
		time.Sleep(35 * time.Second)
		for _, id := range ids {
			m.took(id)
		}
		time.Sleep(100 * time.Second)
		for _, id := range ids {
			if got := m.took(id); got[watcher.Executed] != 10 {
				t.Errorf("%s: %v", id, got)
			}
		}
		stats, err := a.Stats(t.Context())
		if err != nil || len(stats.Reports) != 2 || stats.Reports[0].Watches+stats.Reports[1].Watches != 20 || stats.Reports[1].Watches == 0 {
			t.Errorf("%+v %v", stats, err)
		}
		b.gone.Store(true)
		time.Sleep(100 * time.Second)
		for _, id := range ids {
			// At most one is lost to the time that the lease takes to end (9 s and a
			// quarter), at most one happens twice.
			if got := m.took(id); got[watcher.Executed] < 8 || got[watcher.Executed] > 11 {
				t.Errorf("%s, one is gone: %v", id, got)
			}
		}
		a.stop()
		b.stop()
	})
}

func TestStopAndStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := start(t, m, "a", 4), start(t, m, "b", 4)
		put(t, m, "w", tenSeconds, 0)
		time.Sleep(30 * time.Second)
		if err := a.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		m.took("w")
		time.Sleep(time.Minute)
		if got := m.took("w"); len(got) != 0 {
			t.Errorf("stopped: %v", got)
		}
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		if got := m.took("w"); got[watcher.Executed] != 1 {
			t.Errorf("started: %v", got)
		}
		a.stop()
		b.stop()
	})
}

// Who acknowledges while a watch runs must not be written over.
func TestAnAcknowledgementWhileItRunsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		p := start(t, m, "a", 4)
		store := p.Notice(m)
		time.Sleep(time.Second)
		put(t, store, "w", tenSeconds, 5000)
		time.Sleep(16 * time.Second) // the first is done: ackable
		time.Sleep(6 * time.Second)  // the second goes on
		if err := scheduler.Acknowledge(t.Context(), m, "w", []string{"do"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		stored, err := m.Get(t.Context(), "w")
		if err != nil || stored.Status.Action("do").Ack != watcher.Acked {
			t.Errorf("%+v %v", stored.Status, err)
		}
		m.took("w")
		time.Sleep(10 * time.Second)
		if got := m.took("w"); got[watcher.Acknowledged] != 1 {
			t.Errorf("%v", got)
		}
		p.stop()
	})
}
