package funcmetrics_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pharos/funcmetrics"
)

// memory is a Queue and a Store.
type memory struct {
	mu       sync.Mutex
	list     []funcmetrics.Record
	taken    map[string][]funcmetrics.Record
	saved    []funcmetrics.Record
	away     error // the store's
	inserts  int
	rejected int
}

func (m *memory) Len(context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.list), nil
}

func (m *memory) Take(_ context.Context, limit int, _ time.Duration) (funcmetrics.Batch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, rs := range m.taken { // their lease is always over
		return funcmetrics.Batch{ID: id, Records: rs}, nil
	}
	if len(m.list) == 0 {
		return funcmetrics.Batch{}, nil
	}
	n := min(limit, len(m.list))
	b := funcmetrics.Batch{ID: strconv.Itoa(m.inserts), Records: m.list[:n], Rejected: m.rejected}
	m.list = m.list[n:]
	m.taken = map[string][]funcmetrics.Record{b.ID: b.Records}
	return b, nil
}

func (m *memory) Remove(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.taken, id)
	return nil
}

func (m *memory) Insert(_ context.Context, rs []funcmetrics.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inserts++
	if m.away == nil {
		m.saved = append(m.saved, rs...)
	}
	return m.away
}

// set changes the memory while a saver may run.
func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func TestSaver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		reports := 0
		s := funcmetrics.NewSaver(m, m, funcmetrics.SaverConfig{Every: time.Minute, Limit: 10, Batch: 4, Look: 200 * time.Millisecond, Lease: time.Minute},
			func(context.Context, error) { reports++ })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		after := func(d time.Duration, want int, what string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			m.set(func() {
				if len(m.saved) != want {
					t.Errorf("%s: %d saved, want %d", what, len(m.saved), want)
				}
			})
		}
		m.set(func() { m.list = make([]funcmetrics.Record, 9) })
		after(59*time.Second, 0, "below the limit, before its time")
		after(time.Second, 9, "when it is time")
		m.set(func() { m.list = make([]funcmetrics.Record, 10) })
		after(200*time.Millisecond, 19, "at the limit")

		m.set(func() { m.list, m.inserts, m.away = make([]funcmetrics.Record, 10), 0, errors.New("away") })
		after(time.Minute, 19, "while the store is away")
		m.set(func() {
			if reports != 1 || m.inserts < 10 || m.inserts > 60 {
				t.Errorf("%d reports, %d attempts in a minute", reports, m.inserts)
			}
		})
		m.set(func() { m.away = nil })
		after(time.Minute, 29, "after it has come back")
		if got := s.Stats().Saved.Load(); got != 29 {
			t.Errorf("counted %d", got)
		}
		m.set(func() { m.list, m.rejected = make([]funcmetrics.Record, 10), 2 })
		after(time.Second, 39, "with rubbish")
		if got := s.Stats().Rejected.Load(); got != 6 || reports != 4 {
			t.Errorf("%d rejected, %d reports", got, reports)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
