package feed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pharos/feed"
)

// requestStore is a RequestStore that can be away. It is the tracker's rules
// that are tested with it; the real stores have their suite in storetest.
type requestStore struct {
	mu   sync.Mutex
	away bool
	ids  []string
}

func (s *requestStore) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *requestStore) Insert(_ context.Context, rs []feed.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errors.New("store is away")
	}
	for _, r := range rs {
		if !slices.Contains(s.ids, r.ID) {
			s.ids = append(s.ids, r.ID)
		}
	}
	return nil
}

func (s *requestStore) ByUser(context.Context, string, string, int) ([]feed.Request, error) {
	return nil, nil
}

func (s *requestStore) saved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

type overflow struct {
	mu   sync.Mutex
	away bool
	rs   []feed.Request
}

func (o *overflow) Push(_ context.Context, rs []feed.Request) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.away {
		return errors.New("overflow is away")
	}
	o.rs = append(o.rs, rs...)
	return nil
}

func (o *overflow) Peek(_ context.Context, limit int) ([]feed.Request, []string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rs := slices.Clone(o.rs[:min(limit, len(o.rs))])
	handles := make([]string, len(rs))
	for i, r := range rs {
		handles[i] = r.ID
	}
	return rs, handles, nil
}

func (o *overflow) Remove(_ context.Context, handles []string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rs = slices.DeleteFunc(o.rs, func(r feed.Request) bool { return slices.Contains(handles, r.ID) })
	return nil
}

func track(tr *feed.Tracker, from, to int) {
	for i := from; i < to; i++ {
		tr.Track(feed.Request{ID: fmt.Sprint(i)})
	}
}

func newTracker(s *requestStore, o *overflow, queue int) *feed.Tracker {
	return feed.NewTracker(feed.TrackerOptions{
		Store: s, Overflow: o, Queue: queue, Batch: 10, Every: 100 * time.Millisecond, Report: func(context.Context, error) {},
	})
}

func TestTrackerSavesInBatchesAndOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := &requestStore{}, &overflow{}
		tr := newTracker(s, o, 100)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- tr.Run(ctx) }()
		track(tr, 0, 15)
		synctest.Wait()
		if s.saved() != 10 {
			t.Errorf("a full batch waits: %d saved", s.saved())
		}
		time.Sleep(101 * time.Millisecond)
		synctest.Wait()
		if s.saved() != 15 {
			t.Errorf("a part of a batch waits too long: %d saved", s.saved())
		}
		track(tr, 15, 18)
		stop()
		if err := <-done; err != nil || s.saved() != 18 {
			t.Errorf("after stop: %d saved, %v", s.saved(), err)
		}
	})
}

func TestTrackerSpillsAndRestores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, o := &requestStore{away: true}, &overflow{}
		tr := newTracker(s, o, 100)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- tr.Run(ctx) }()
		track(tr, 0, 25)
		time.Sleep(5 * time.Second)
		if s.saved() != 0 || tr.Stats().Spilled.Load() != 25 {
			t.Errorf("away: %d saved, %d spilled", s.saved(), tr.Stats().Spilled.Load())
		}
		s.setAway(false)
		time.Sleep(2 * time.Second)
		if s.saved() != 25 || tr.Stats().Restored.Load() != 25 {
			t.Errorf("back: %d saved, %d restored", s.saved(), tr.Stats().Restored.Load())
		}
		stop()
		<-done
		if tr.Stats().Dropped.Load() != 0 {
			t.Errorf("%d dropped", tr.Stats().Dropped.Load())
		}
	})
}

func TestTrackerCountsWhatItDrops(t *testing.T) {
	s, o := &requestStore{away: true}, &overflow{away: true}
	tr := newTracker(s, o, 20)
	track(tr, 0, 50) // nobody takes from the queues: 20 + 20 fit
	if got := tr.Stats().Dropped.Load(); got != 10 || tr.Queued() != 40 {
		t.Errorf("%d dropped, %d queued", got, tr.Queued())
	}
}
