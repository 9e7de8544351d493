package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"pharos/watcher"
)

// Running is an execution that goes on or waits.
type Running struct {
	WatchID       string    `json:"watch_id"`
	TriggeredTime time.Time `json:"triggered_time"`
	StartedTime   time.Time `json:"started_time,omitzero"`
}

// Report is what a process tells of itself.
type Report struct {
	Node    string    `json:"node"`
	Started bool      `json:"started"` // runs what is due
	Watches int64     `json:"watches"`
	Most    int64     `json:"most"` // that waited at once
	Shards  []int     `json:"shards"`
	Current []Running `json:"current"`
	Queued  []Running `json:"queued"`
}

// shown bounds the executions of a report.
const shown = 100

func (s *Scheduler) report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{Node: s.Node, Started: s.loaded && !s.stopped, Shards: s.Leases.Held()}
	for _, e := range s.entries {
		if e.watch != nil && e.stored.Status.Active {
			r.Watches++
		}
	}
	for _, p := range []*pool{s.fast, s.slow} {
		p.mu.Lock()
		r.Most += int64(p.most)
		for j := range p.current {
			one := Running{WatchID: j.entry.id, TriggeredTime: j.trigger.TriggeredTime, StartedTime: j.started}
			switch {
			case j.started.IsZero() && len(r.Queued) < shown:
				r.Queued = append(r.Queued, one)
			case !j.started.IsZero() && len(r.Current) < shown:
				r.Current = append(r.Current, one)
			}
		}
		p.mu.Unlock()
	}
	return r
}

// Stats are the reports of this process, as it is now, and of the others, as of
// their last round.
type Stats struct {
	ClusterName string
	Stopped     bool
	Reports     []Report
}

// Stats tells how all processes do.
func (s *Scheduler) Stats(ctx context.Context) (Stats, error) {
	name, err := s.Store.ClusterName(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("read the cluster's name: %w", err)
	}
	stopped, err := s.Store.Stopped(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("read whether the watches are stopped: %w", err)
	}
	stats := Stats{ClusterName: name, Stopped: stopped, Reports: []Report{s.report()}}
	for _, raw := range s.Leases.Others() {
		var r Report
		if err := json.Unmarshal(raw, &r); err != nil {
			return Stats{}, fmt.Errorf("read the report of another process: %w", err)
		}
		stats.Reports = append(stats.Reports, r)
	}
	return stats, nil
}

// Start lets all processes run what is due; those beside this one hear of it
// within Config.Poll.
func (s *Scheduler) Start(ctx context.Context) error { return s.set(ctx, false) }

// Stop keeps all processes from starting executions; those that go on end by
// themselves.
func (s *Scheduler) Stop(ctx context.Context) error { return s.set(ctx, true) }

func (s *Scheduler) set(ctx context.Context, stopped bool) error {
	if err := s.Store.SetStopped(ctx, stopped); err != nil {
		return err
	}
	s.mu.Lock()
	s.setStopped(stopped)
	s.resume()
	s.mu.Unlock()
	s.wakeUp()
	return nil
}

// Acknowledge acknowledges actions of a watch, as the _ack call does.
func Acknowledge(ctx context.Context, store watcher.Store, id string, actions []string, now time.Time) error {
	for try := 1; ; try++ {
		stored, err := store.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("acknowledge watch [%s]: %w", id, err)
		}
		status := stored.Status.Clone()
		status.Version = stored.Version
		if !status.Acknowledge(now, actions...) {
			return nil
		}
		_, err = store.UpdateStatus(ctx, id, status, watcher.Precondition{SeqNo: &stored.SeqNo, PrimaryTerm: &stored.PrimaryTerm})
		if err == nil {
			return nil
		}
		if try == tries || !isConflict(err) {
			return fmt.Errorf("acknowledge watch [%s]: %w", id, err)
		}
	}
}
