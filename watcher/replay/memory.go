package replay

import (
	"context"
	"time"

	"pharos/internal/fault"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/outbox"
)

// memory keeps what alerting keeps, for one replay, and takes the messages that
// would have been sent. One goroutine uses it.
type memory struct {
	alerts  map[string]alerting.Stored
	order   []string // of first appearance
	ended   []alert.Alert
	lead    alert.Lead
	leadRev outbox.Revision
	sent    []outbox.Message
}

func newMemory() *memory { return &memory{alerts: map[string]alerting.Stored{}} }

// Alert implements alerting.Store.
func (m *memory) Alert(_ context.Context, id string) (alerting.Stored, error) {
	a, ok := m.alerts[id]
	if !ok {
		return a, fault.New(fault.NotFound, "no alert %s", id)
	}
	return a, nil
}

// SaveAlert implements alerting.Store. An episode that has ended makes room for
// the next one and is kept.
func (m *memory) SaveAlert(_ context.Context, a alerting.Stored) (outbox.Revision, error) {
	before, known := m.alerts[a.ID]
	switch {
	case !known:
		m.order = append(m.order, a.ID)
	case before.Episode > 0 && before.Episode != a.Episode:
		m.ended = append(m.ended, before.Alert)
	}
	a.Revision.SeqNo++
	m.alerts[a.ID] = a
	return a.Revision, nil
}

// Alerts implements alerting.Store.
func (m *memory) Alerts(_ context.Context, f alerting.Filter) ([]alerting.Stored, error) {
	var list []alerting.Stored
	for _, id := range m.order {
		if a := m.alerts[id]; (f.Page == "" || a.Page == f.Page) && (!f.Open || a.Open()) {
			list = append(list, a)
		}
	}
	return list, nil
}

// Lead implements alerting.Store. A watch has one service.
func (m *memory) Lead(context.Context, string) (alert.Lead, outbox.Revision, error) {
	return m.lead, m.leadRev, nil
}

// SaveLead implements alerting.Store.
func (m *memory) SaveLead(_ context.Context, l alert.Lead, _ outbox.Revision) error {
	m.lead = l
	m.leadRev.SeqNo++
	return nil
}

// Silences implements alerting.Store: the past is replayed without them.
func (m *memory) Silences(context.Context, time.Time) ([]alert.Silence, error) { return nil, nil }

// SaveSilence implements alerting.Store.
func (m *memory) SaveSilence(context.Context, alert.Silence) error {
	return fault.New(fault.InvalidParameter, "a replay has no silences")
}

// EndedSilences implements alerting.Store.
func (m *memory) EndedSilences(context.Context, alerting.EndedFilter) ([]alert.Silence, error) {
	return nil, nil
}

// EndSilence implements alerting.Store.
func (m *memory) EndSilence(_ context.Context, id string, _ time.Time) error {
	return fault.New(fault.NotFound, "no silence %s", id)
}

// Deliver implements alerting.Outbox.
func (m *memory) Deliver(_ context.Context, message outbox.Message) (outbox.Delivery, error) {
	m.sent = append(m.sent, message)
	return outbox.Delivery{State: outbox.Pending}, nil
}
