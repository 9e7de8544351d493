package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"pharos/jobs"
)

// memory is a Store, a Results and a Queue whose every call can be made to
// fail.
type memory struct {
	mu       sync.Mutex
	all      map[string]jobs.Job
	touched  map[string]time.Time
	results  map[string][]byte
	enqueued []string
	away     error // of the store
	noQueue  error
	noWrite  error
}

func newMemory() *memory {
	return &memory{all: map[string]jobs.Job{}, touched: map[string]time.Time{}, results: map[string][]byte{}}
}

func (m *memory) change(id string, allowed func(jobs.Job) bool, change func(*jobs.Job)) (jobs.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return jobs.Job{}, m.away
	}
	j, ok := m.all[id]
	if !ok || !allowed(j) {
		return jobs.Job{}, jobs.ErrEnded
	}
	change(&j)
	m.all[id] = j
	return j, nil
}

func active(j jobs.Job) bool { return !j.State.Ended() }

func (m *memory) Insert(_ context.Context, j jobs.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.all {
		if other.Key() == j.Key() && (active(other) || other.State == jobs.Done) && !other.Expired(j.CreatedAt) {
			return jobs.ErrExists
		}
	}
	m.all[j.ID], m.touched[j.ID] = j, j.CreatedAt
	return m.away
}

func (m *memory) ByKey(_ context.Context, key string) (jobs.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.all {
		if j.Key() == key && (active(j) || j.State == jobs.Done) {
			return j, m.away
		}
	}
	return jobs.Job{}, errors.Join(m.away, jobs.ErrNone)
}

func (m *memory) Get(_ context.Context, id string) (jobs.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j, ok := m.all[id]
	if !ok {
		return j, jobs.ErrNone
	}
	return j, m.away
}

func (m *memory) Count(_ context.Context, owner string) (running, all int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.all {
		if j.Owner == owner {
			all++
			if active(j) {
				running++
			}
		}
	}
	return running, all, m.away
}

func (m *memory) CountGuests(context.Context) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.all {
		if j.Guest {
			n++
		}
	}
	return n, m.away
}

func (m *memory) Start(_ context.Context, id string, now time.Time) (jobs.Job, error) {
	return m.change(id, active, func(j *jobs.Job) {
		j.State, j.StartedAt = jobs.Running, now
		j.Attempt++
		m.touched[id] = now
	})
}

func (m *memory) Touch(_ context.Context, id string, attempt int, progress float64, doing string, now time.Time) error {
	_, err := m.change(id, by(attempt), func(j *jobs.Job) { j.Progress, j.Doing, m.touched[id] = progress, doing, now })
	return err
}

func by(attempt int) func(jobs.Job) bool {
	return func(j jobs.Job) bool { return j.State == jobs.Running && j.Attempt == attempt }
}

func (m *memory) Finish(_ context.Context, ended jobs.Job) error {
	_, err := m.change(ended.ID, by(ended.Attempt), func(j *jobs.Job) { *j = ended })
	return err
}

func (m *memory) Cancel(_ context.Context, id string, now, expires time.Time) error {
	_, err := m.change(id, active, func(j *jobs.Job) { j.State, j.FinishedAt, j.ExpiresAt = jobs.Cancelled, now, expires })
	return err
}

func (m *memory) Stale(_ context.Context, queuedBefore, runningBefore time.Time, limit int) (stale []jobs.Job, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, j := range m.all {
		if j.State == jobs.Queued && m.touched[id].Before(queuedBefore) || j.State == jobs.Running && m.touched[id].Before(runningBefore) {
			stale = append(stale, j)
		}
	}
	return stale[:min(limit, len(stale))], m.away
}

func (m *memory) Enqueue(_ context.Context, j jobs.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.noQueue == nil && !slices.Contains(m.enqueued, j.ID) {
		m.enqueued = append(m.enqueued, j.ID)
	}
	return m.noQueue
}

type memoryWriter struct {
	bytes.Buffer
	m  *memory
	id string
}

func (w *memoryWriter) Write(b []byte) (int, error) {
	if w.m.noWrite != nil {
		return 0, w.m.noWrite
	}
	return w.Buffer.Write(b)
}

func (w *memoryWriter) Close() error          { w.m.results[w.id] = w.Bytes(); return nil }
func (w *memoryWriter) Written() (int64, int) { return int64(w.Len()), 1 }

func (m *memory) Create(_ context.Context, id string, _ int, _ time.Time) jobs.ResultWriter {
	return &memoryWriter{m: m, id: id}
}

func (m *memory) Open(_ context.Context, j jobs.Job) io.Reader {
	return bytes.NewReader(m.results[j.ID])
}
