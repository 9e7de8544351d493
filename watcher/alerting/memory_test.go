package alerting_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"pharos/internal/fault"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/outbox"
)

// memory is an alerting.Store and an outbox.Store.
type memory struct {
	mu       sync.Mutex
	alerts   map[string]alerting.Stored
	leads    map[string]alert.Lead
	leadRev  map[string]int64
	silences []alert.Silence
	entries  map[string]outbox.Entry
	reads    int
}

func newMemory() *memory {
	return &memory{alerts: map[string]alerting.Stored{}, leads: map[string]alert.Lead{}, leadRev: map[string]int64{}, entries: map[string]outbox.Entry{}}
}

func (m *memory) Alert(_ context.Context, id string) (alerting.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.alerts[id]
	if !ok {
		return a, fault.New(fault.NotFound, "none")
	}
	return a, nil
}

func (m *memory) SaveAlert(_ context.Context, a alerting.Stored) (outbox.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alerts[a.ID].Revision != a.Revision {
		return a.Revision, fault.New(fault.Conflict, "changed")
	}
	a.Revision = outbox.Revision{SeqNo: a.Revision.SeqNo + 1, PrimaryTerm: 1}
	m.alerts[a.ID] = a
	return a.Revision, nil
}

func (m *memory) Alerts(_ context.Context, f alerting.Filter) ([]alerting.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	var list []alerting.Stored
	for _, a := range m.alerts {
		keyed := slices.ContainsFunc(a.Routes, func(r alert.Route) bool { return r.Key == f.Key })
		if (f.WatchID == "" || a.WatchID == f.WatchID) && (f.Page == "" || a.Page == f.Page) && (f.Key == "" || keyed) && (!f.Open || a.Open()) {
			list = append(list, a)
		}
	}
	return list, nil
}

func (m *memory) Lead(_ context.Context, service string) (alert.Lead, outbox.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leads[service], outbox.Revision{SeqNo: m.leadRev[service]}, nil
}

func (m *memory) SaveLead(_ context.Context, l alert.Lead, r outbox.Revision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leadRev[l.Service] != r.SeqNo {
		return fault.New(fault.Conflict, "changed")
	}
	m.leads[l.Service] = l
	m.leadRev[l.Service]++
	return nil
}

func (m *memory) Silences(context.Context, time.Time) ([]alert.Silence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.silences), nil
}

func (m *memory) SaveSilence(_ context.Context, s alert.Silence) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silences = append(m.silences, s)
	return nil
}

func (m *memory) EndedSilences(context.Context, alerting.EndedFilter) ([]alert.Silence, error) {
	return nil, nil
}

func (m *memory) EndSilence(_ context.Context, id string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silences = slices.DeleteFunc(m.silences, func(s alert.Silence) bool { return s.ID == id })
	return nil
}

func (m *memory) Create(_ context.Context, e outbox.Entry) (outbox.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.entries[e.ID]; ok {
		return outbox.Revision{}, fault.New(fault.Conflict, "known")
	}
	e.Revision = outbox.Revision{SeqNo: 1}
	m.entries[e.ID] = e
	return e.Revision, nil
}

func (m *memory) Update(_ context.Context, e outbox.Entry) (outbox.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[e.ID].Revision != e.Revision {
		return outbox.Revision{}, fault.New(fault.Conflict, "changed")
	}
	e.Revision.SeqNo++
	m.entries[e.ID] = e
	return e.Revision, nil
}

func (m *memory) Waiting(_ context.Context, key string, limit int) ([]outbox.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []outbox.Entry
	for _, e := range m.entries {
		if e.State == outbox.Pending && (key == "" || e.Key == key) {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b outbox.Entry) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list[:min(limit, len(list))], nil
}
