package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/lease"
)

// keepLeases renews the leases until ctx ends.
func (s *Scheduler) keepLeases(ctx context.Context) {
	tick := time.NewTicker(s.Lease.Interval())
	defer tick.Stop()
	for {
		s.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round renews the leases, and has the watches of new shards loaded.
func (s *Scheduler) round(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, s.Lease.TTL)
	defer cancel()
	before := s.Leases.Held()
	report, err := json.Marshal(s.report())
	if err == nil {
		err = s.Leases.Round(limited, report, s.busy)
	}
	if err != nil && ctx.Err() == nil {
		s.Metrics.failed()
		s.Report(ctx, fmt.Errorf("share the watches: %w", err))
		return
	}
	s.mu.Lock()
	s.health.Connected = s.Now()
	s.mu.Unlock()
	if fmt.Sprint(before) != fmt.Sprint(s.Leases.Held()) {
		s.refresh(limited)
	}
}

// busy reports whether an execution of a shard waits or goes on.
func (s *Scheduler) busy(shard int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.running {
		if lease.Of(id, s.Lease.Shards) == shard {
			return true
		}
	}
	return false
}

// keepUp looks for what other processes changed, until ctx ends. While
// Elasticsearch is away it asks less often.
func (s *Scheduler) keepUp(ctx context.Context) {
	const longest = 15 * time.Second
	pause := s.Poll
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if s.refresh(ctx) {
			pause = s.Poll
		} else {
			pause = min(2*pause, longest)
		}
	}
}

// refresh brings the entries to what is stored, and reports whether that could be
// read.
func (s *Scheduler) refresh(ctx context.Context) bool {
	err := s.reload(ctx)
	if err != nil && ctx.Err() == nil {
		s.Metrics.failed()
		s.Report(ctx, fmt.Errorf("look for changed watches: %w", err))
	}
	return err == nil
}

func (s *Scheduler) reload(ctx context.Context) error {
	stopped, err := s.Store.Stopped(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	list, err := s.Store.List(ctx)
	if err != nil {
		return err
	}
	held := map[int]bool{}
	for _, n := range s.Leases.Held() {
		held[n] = true
	}
	var changed []string
	s.mu.Lock()
	for id, seqNo := range list {
		e, known := s.entries[id]
		if held[lease.Of(id, s.Lease.Shards)] && (!known || seqNo > e.stored.SeqNo) {
			changed = append(changed, id)
		}
	}
	for id, e := range s.entries {
		_, there := list[id]
		if !held[e.shard] || !there && e.epoch <= epoch {
			s.remove(e)
		}
	}
	s.mu.Unlock()
	loaded, err := s.Store.Load(ctx, changed, func(err error) { s.Report(ctx, err) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, stored := range loaded {
		s.take(ctx, stored)
	}
	s.setStopped(stopped)
	s.resume()
	s.mu.Unlock()
	s.wakeUp()
	return nil
}

// remove forgets a watch; s.mu is held.
func (s *Scheduler) remove(e *entry) {
	s.plan(e, time.Time{})
	e.gone = true
	delete(s.entries, e.id)
}

// take takes in a watch as it is stored; s.mu is held.
func (s *Scheduler) take(ctx context.Context, stored watcher.Stored) *entry {
	e, known := s.entries[stored.ID]
	if known && stored.SeqNo <= e.stored.SeqNo {
		return e
	}
	if !known {
		e = &entry{id: stored.ID, shard: lease.Of(stored.ID, s.Lease.Shards), place: -1}
		s.entries[stored.ID] = e
	}
	if stored.Source == nil { // of a change of the status alone
		stored.Source = e.stored.Source
	}
	if text, err := document.Marshal(stored.Source); err != nil || e.watch == nil || string(text) != e.text {
		w, text, err := parse(s.Engine, stored)
		if err != nil {
			s.Report(ctx, err)
		}
		e.watch, e.text, e.schedule = w, text, nil
	}
	s.update(e, stored)
	return e
}

// update gives an entry a stored watch whose source it has parsed, and plans it
// anew if its schedule or its activation changed; s.mu is held.
func (s *Scheduler) update(e *entry, stored watcher.Stored) {
	was := e.stored.Status
	if stored.Source == nil {
		stored.Source = e.stored.Source
	}
	e.stored = stored
	switch now := stored.Status; {
	case e.watch == nil || !now.Active:
		s.plan(e, time.Time{})
	case e.schedule == nil || was.Active != now.Active || !was.StateChanged.Equal(now.StateChanged):
		var due time.Time
		e.schedule, due = anchor(e.watch, now)
		s.plan(e, due)
	}
}

// resume plans what was due while its shard was not held or the watches were
// stopped; s.mu is held.
func (s *Scheduler) resume() {
	if s.stopped {
		return
	}
	for _, e := range s.entries {
		if e.watch != nil && e.stored.Status.Active && e.place < 0 && s.running[e.id] == nil {
			var due time.Time
			e.schedule, due = anchor(e.watch, e.stored.Status)
			s.plan(e, due)
		}
	}
}

func (s *Scheduler) setStopped(stopped bool) {
	s.stopped = stopped
	s.loaded = true
}

// Notice returns the store for those who change watches in this process: the
// scheduler learns of it at once.
func (s *Scheduler) Notice(store watcher.Store) watcher.Store { return noticing{store, s} }

type noticing struct {
	watcher.Store
	scheduler *Scheduler
}

func (n noticing) Put(ctx context.Context, id string, source *document.Object, status watcher.Status, cond watcher.Precondition) (watcher.Stored, bool, error) {
	stored, created, err := n.Store.Put(ctx, id, source, status, cond)
	if err == nil {
		n.scheduler.noticed(ctx, stored, false)
	}
	return stored, created, err
}

func (n noticing) UpdateStatus(ctx context.Context, id string, status watcher.Status, cond watcher.Precondition) (watcher.Stored, error) {
	stored, err := n.Store.UpdateStatus(ctx, id, status, cond)
	if err == nil {
		n.scheduler.noticed(ctx, stored, false)
	}
	return stored, err
}

func (n noticing) Delete(ctx context.Context, id string) (watcher.Stored, error) {
	stored, err := n.Store.Delete(ctx, id)
	if err == nil {
		n.scheduler.noticed(ctx, stored, true)
	}
	return stored, err
}

func (s *Scheduler) noticed(ctx context.Context, stored watcher.Stored, deleted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	e, known := s.entries[stored.ID]
	switch {
	case deleted && known:
		s.remove(e)
	case deleted, !known && stored.Source == nil, !s.Leases.Holds(lease.Of(stored.ID, s.Lease.Shards)):
	default:
		s.take(ctx, stored).epoch = s.epoch
	}
	s.wakeUp()
}
