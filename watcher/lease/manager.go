package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pharos/internal/fault"
)

// Store keeps leases.
type Store interface {
	// Leases returns all of them as they are now.
	Leases(ctx context.Context) ([]Lease, error)
	// WriteLeases writes each unless its document is no longer of its Revision,
	// and returns for each its new Revision or why it was not written
	// (fault.Conflict).
	WriteLeases(ctx context.Context, leases []Lease) ([]Written, error)
}

// Written is what became of a lease.
type Written struct {
	Revision Revision
	Err      error
}

// Config are the settings.
type Config struct {
	// Shards is into how many parts the watches are split: at least as many as
	// there are processes. It must be the same for all of them.
	Shards int `env:"WATCHER_SHARDS" envDefault:"8"`
	// TTL is how long a lease holds that is not renewed: a process that is gone is
	// replaced after about one and a half of it.
	TTL time.Duration `env:"WATCHER_LEASE_TTL" envDefault:"10s"`
}

// Validate checks the settings.
func (c *Config) Validate() error {
	switch {
	case c.Shards < 1 || c.Shards > 512:
		return errors.New("WATCHER_SHARDS must be between 1 and 512")
	case c.TTL < time.Second || c.TTL > 10*time.Minute:
		return errors.New("WATCHER_LEASE_TTL must be between 1s and 10m")
	}
	return nil
}

// Interval is how often Round is to be called.
func (c *Config) Interval() time.Duration { return c.TTL / 3 }

// Manager holds the leases of one process. It is safe for concurrent use.
type Manager struct {
	cfg    Config
	store  Store
	holder string
	now    func() time.Time

	mu   sync.Mutex
	seen map[string]observed
	held map[int]hold
	beat int64
	slot string // the member's document, empty until it has one
}

type hold struct {
	lease Lease
	until time.Time
	leave bool // to be given back when nothing of it runs
}

// NewManager returns a Manager. holder names this run of this process and no
// other, now must not go back (time.Now does not).
func NewManager(cfg Config, store Store, holder string, now func() time.Time) *Manager {
	return &Manager{cfg: cfg, store: store, holder: holder, now: now, seen: map[string]observed{}, held: map[int]hold{}}
}

// Holds reports whether this process may work on a shard now.
func (m *Manager) Holds(shard int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.held[shard]
	return ok && !h.leave && m.now().Before(h.until)
}

// Held lists the shards that this process may work on now.
func (m *Manager) Held() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []int
	for n, h := range m.held {
		if !h.leave && m.now().Before(h.until) {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

// Round renews what is held, takes and gives back what it should, and tells the
// others that this process lives, with a report. busy says whether something of
// a shard still runs: then it is kept until a later round. An error means that
// nothing is known; the leases then end by themselves.
func (m *Manager) Round(ctx context.Context, report json.RawMessage, busy func(shard int) bool) error {
	start := m.now()
	leases, err := m.store.Leases(ctx)
	if err != nil {
		return fmt.Errorf("read leases: %w", err)
	}
	m.observe(leases)
	changes, shards := m.changes(report, busy)
	written, err := m.store.WriteLeases(ctx, changes)
	if err != nil {
		return fmt.Errorf("write leases: %w", err)
	}
	return m.settle(changes, shards, written, start)
}

// observe notes what has changed since the last look.
func (m *Manager) observe(leases []Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	seen := make(map[string]observed, len(leases))
	for _, l := range leases {
		o, known := m.seen[l.ID]
		if !known || o.Revision != l.Revision {
			o = observed{Lease: l, since: now}
		}
		seen[l.ID] = o
	}
	m.seen = seen
}

// changes are the documents to be written, each with its shard, -1 for the
// member's.
func (m *Manager) changes(report json.RawMessage, busy func(int) bool) ([]Lease, []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beat++
	now := m.now()
	// What somebody else has written over is lost, whatever the clock says.
	for n, h := range m.held {
		if o, ok := m.seen[shardID(n)]; !ok || o.Revision != h.lease.Revision {
			delete(m.held, n)
		}
	}
	p := decide(m.holder, slices.Collect(maps.Keys(m.held)), m.cfg.Shards, m.seen, now)
	for n, h := range m.held {
		h.leave = slices.Contains(p.give, n)
		m.held[n] = h
	}
	if m.seen[m.slot].Holder != m.holder {
		m.slot = freeSlot(m.seen, now)
	}
	leases := []Lease{{ID: m.slot, Holder: m.holder, TTL: m.cfg.TTL, Beat: m.beat, Report: report, Revision: m.seen[m.slot].Revision}}
	shards := []int{-1}
	add := func(n int, holder string) {
		leases = append(leases, Lease{ID: shardID(n), Holder: holder, TTL: m.cfg.TTL, Beat: m.beat, Revision: m.seen[shardID(n)].Revision})
		shards = append(shards, n)
	}
	for n, h := range m.held {
		if h.leave && !busy(n) {
			add(n, "")
			continue
		}
		add(n, m.holder)
	}
	for _, n := range p.take {
		add(n, m.holder)
	}
	return leases, shards
}

// freeSlot is a member's document that nobody lives by: those of former processes
// are used again.
func freeSlot(seen map[string]observed, now time.Time) string {
	for n := 0; ; n++ {
		id := memberPrefix + strconv.Itoa(n)
		if o, there := seen[id]; !there || o.ended(now) {
			return id
		}
	}
}

func (m *Manager) settle(changes []Lease, shards []int, written []Written, start time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	var errs []error
	for i, l := range changes {
		n, w := shards[i], written[i]
		if w.Err != nil {
			if n >= 0 && fault.Is(w.Err, fault.Conflict) {
				delete(m.held, n)
			} else if !fault.Is(w.Err, fault.Conflict) {
				errs = append(errs, fmt.Errorf("write lease %s: %w", l.ID, w.Err))
			}
			continue
		}
		l.Revision = w.Revision
		m.seen[l.ID] = observed{Lease: l, since: now}
		switch {
		case n < 0:
		case l.Holder == "":
			delete(m.held, n)
		default:
			m.held[n] = hold{lease: l, until: start.Add(m.cfg.TTL), leave: m.held[n].leave}
		}
	}
	return errors.Join(errs...)
}

// Release gives everything back, so that others need not wait.
func (m *Manager) Release(ctx context.Context) error {
	m.mu.Lock()
	m.beat++
	var changes []Lease
	if o, ok := m.seen[m.slot]; ok && o.Holder == m.holder {
		changes = append(changes, Lease{ID: o.ID, TTL: m.cfg.TTL, Beat: m.beat, Revision: o.Revision})
	}
	for _, h := range m.held {
		changes = append(changes, Lease{ID: h.lease.ID, TTL: m.cfg.TTL, Beat: m.beat, Revision: h.lease.Revision})
	}
	m.held = map[int]hold{}
	m.mu.Unlock()
	if len(changes) == 0 {
		return nil
	}
	if _, err := m.store.WriteLeases(ctx, changes); err != nil {
		return fmt.Errorf("give leases back: %w", err)
	}
	return nil
}

// Others are the reports of the other members that live, as of the last round.
func (m *Manager) Others() []json.RawMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	var reports []json.RawMessage
	for _, id := range slices.Sorted(maps.Keys(m.seen)) {
		o := m.seen[id]
		if strings.HasPrefix(id, memberPrefix) && o.Holder != m.holder && !o.ended(now) {
			reports = append(reports, o.Report)
		}
	}
	return reports
}
