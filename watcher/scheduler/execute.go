package scheduler

import (
	"context"
	"fmt"
	"time"

	"go.elastic.co/apm/v2"

	"pharos/internal/fault"
	"pharos/watcher"
)

// execute runs one job and keeps what came of it.
func (s *Scheduler) execute(ctx context.Context, j *job) {
	e, ok := s.begin(ctx, j)
	if !ok {
		return
	}
	s.Metrics.started(j.started.Sub(j.trigger.ScheduledTime))
	tx := s.Tracer.StartTransaction("watch "+e.id, "watch")
	limited, cancel := context.WithTimeout(apm.ContextWithTransaction(ctx, tx), s.Timeout)
	record, after := s.Engine.Execute(limited, j.watch, j.stored.Status.Clone(), j.trigger, watcher.Options{Node: s.Node})
	if err := s.Executed(limited, j.watch, record); err != nil {
		s.Report(limited, fmt.Errorf("alerts of watch [%s]: %w", e.id, err))
	}
	cancel()
	tx.Result = string(record.State)
	tx.Outcome = "success"
	if record.State == watcher.Failed {
		tx.Outcome = "failure"
	}
	tx.End()
	s.Metrics.executed(record.State, record.Duration)

	// What has happened must be written down, even if the process is being stopped.
	keeping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Timeout)
	defer cancel()
	stored, err := s.settle(keeping, j.stored, after)
	kept := err == nil || fault.Is(err, fault.NotFound) // deleted meanwhile
	if !kept {
		s.Report(keeping, err)
	}
	if err := s.Store.Record(keeping, record); err != nil {
		s.Report(keeping, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	delete(s.running, e.id)
	if kept {
		s.health.completed(now)
	}
	if e = s.entries[e.id]; e == nil {
		return
	}
	e.wasSlow = now.Sub(j.started) > s.Slow
	if err == nil {
		s.take(keeping, stored)
	} else if !kept {
		// The next execution must know of this one, throttling above all.
		e.stored.Status = merge(e.stored.Status, j.stored.Status, after)
	}
}

// tries is how often a status is written again that somebody else changed in
// between.
const tries = 5

// begin says whether a job is still to be done, and gives it the watch as it is
// now.
func (s *Scheduler) begin(ctx context.Context, j *job) (*entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := j.entry
	if known := s.entries[e.id]; known != nil {
		e = known
	}
	switch {
	case ctx.Err() != nil, !s.Leases.Holds(e.shard): // another process runs it
	case e.gone || e.watch == nil:
		s.notExecuted(ctx, e, watcher.WatchMissing, j.trigger, "Watch ["+e.id+"] has been deleted")
	case !e.stored.Status.Active:
		s.notExecuted(ctx, e, watcher.NotActive, j.trigger, "Watch ["+e.id+"] is not active")
	default:
		j.watch, j.stored, j.started = e.watch, e.stored, s.Now()
		return e, true
	}
	delete(s.running, e.id)
	return nil, false
}

// settle writes the status that an execution left of the one that it began with.
// What people changed meanwhile stays. If another process has recorded a later
// execution, its status stays and is returned.
func (s *Scheduler) settle(ctx context.Context, began watcher.Stored, after watcher.Status) (watcher.Stored, error) {
	after.Version = began.Version
	at, status := began, after
	for try := 1; ; try++ {
		stored, err := s.Store.Settle(ctx, began.ID, status, at.SeqNo, at.PrimaryTerm)
		if err == nil || try == tries || !fault.Is(err, fault.Conflict) {
			stored.Source = at.Source
			return stored, err
		}
		if at, err = s.Store.Get(ctx, began.ID); err != nil {
			return at, err
		}
		if at.Status.LastChecked.After(after.LastChecked) {
			return at, nil
		}
		status = merge(at.Status, began.Status, after)
		status.Version = at.Version
	}
}

// merge is what is stored now, with what an execution changed of the status that
// it began with.
func merge(now, began, after watcher.Status) watcher.Status {
	m := now.Clone()
	m.LastChecked, m.LastMetCondition, m.ExecutionState = after.LastChecked, after.LastMetCondition, after.ExecutionState
	for i := range m.Actions {
		a := &m.Actions[i]
		was, is := began.Action(a.ID), after.Action(a.ID)
		if is == nil {
			continue
		}
		people := was != nil && a.AckChanged.After(was.AckChanged)
		ack, changed := a.Ack, a.AckChanged
		*a = *is
		if people && !is.AckChanged.After(changed) {
			a.Ack, a.AckChanged = ack, changed
		}
	}
	return m
}

// Health is what a watchdog must know.
type Health struct {
	// Connected is when Elasticsearch answered the last time.
	Connected time.Time
	// Waiting is since when executions have been due of which none was completed
	// and recorded; zero if none is.
	Waiting time.Time
}

func (h *Health) due(now time.Time) {
	if h.Waiting.IsZero() {
		h.Waiting = now
	}
}

func (h *Health) completed(now time.Time) {
	h.Waiting = time.Time{}
	h.Connected = now
}

// Health tells how the scheduler does.
func (s *Scheduler) Health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}
