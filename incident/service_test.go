package incident_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pharos/incident"
	"pharos/internal/fault"
	"pharos/watcher/alert"
)

// memory is an incident.Store.
type memory struct {
	mu        sync.Mutex
	incidents map[string]incident.Stored
	claims    map[string]string
	changes   []incident.Change
	writes    int
	fail      error // of the next write
}

func newMemory() *memory {
	return &memory{incidents: map[string]incident.Stored{}, claims: map[string]string{}}
}

func (m *memory) Incident(_ context.Context, id string) (incident.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.incidents[id]
	if !ok {
		return i, fault.New(fault.NotFound, "none")
	}
	return i, nil
}

func (m *memory) Save(_ context.Context, i incident.Stored) (incident.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail; err != nil {
		m.fail = nil
		return i.Revision, err
	}
	if m.incidents[i.ID].Revision != i.Revision {
		return i.Revision, fault.New(fault.Conflict, "changed")
	}
	i.Revision = incident.Revision{SeqNo: i.Revision.SeqNo + 1, PrimaryTerm: 1}
	m.incidents[i.ID] = i
	m.writes++
	return i.Revision, nil
}

func (m *memory) Incidents(_ context.Context, f incident.Filter) ([]incident.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []incident.Stored
	for _, i := range m.incidents {
		has := slices.ContainsFunc(i.Alerts, func(a incident.Member) bool { return slices.Contains(f.Keys, a.Key) })
		if i.State == incident.Open || !i.ClosedAt.Before(f.Since) || has {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b incident.Stored) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func (m *memory) Claim(_ context.Context, key, id string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if owner, ok := m.claims[key]; ok {
		return owner, nil
	}
	m.claims[key] = id
	return id, nil
}

func (m *memory) SaveChange(_ context.Context, c incident.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes = append(m.changes, c)
	return nil
}

func (m *memory) Changes(context.Context, time.Time, time.Time, int) ([]incident.Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.changes), nil
}

// all is what is kept, in short, in the order of their beginning.
func (m *memory) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []incident.Stored
	for _, i := range m.incidents {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b incident.Stored) int { return a.StartedAt.Compare(b.StartedAt) })
	var lines []string
	for _, i := range list {
		var watches []string
		for _, a := range i.Alerts {
			watches = append(watches, a.WatchID)
		}
		slices.Sort(watches)
		lines = append(lines, fmt.Sprintf("%s[%s]", i.State, strings.Join(watches, " ")))
	}
	return strings.Join(lines, " ")
}

// world is alerts, and processes that derive incidents from them.
type world struct {
	mu     sync.Mutex
	alerts map[string]alert.Alert
	store  *memory
	errs   []error
}

func (w *world) put(a alert.Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alerts[a.ID] = a
}

func (w *world) read(context.Context, time.Time) ([]alert.Alert, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []alert.Alert
	for _, a := range w.alerts {
		list = append(list, a)
	}
	return list, nil
}

func (w *world) service() *incident.Service {
	return &incident.Service{
		Config: incident.Config{Window: 10 * time.Minute, Poll: time.Second}, Store: w.store, Alerts: w.read, Now: time.Now,
		NewID: func() string { return "by-hand" },
		Report: func(_ context.Context, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.errs = append(w.errs, err)
		},
	}
}

// in runs a test in a bubble with so many processes; step lets them pass at least
// twice.
func in(t *testing.T, processes int, test func(t *testing.T, w *world, step func())) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{alerts: map[string]alert.Alert{}, store: newMemory()}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range processes {
			all.Go(func() {
				if err := w.service().Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		test(t, w, func() { time.Sleep(2500 * time.Millisecond); synctest.Wait() })
		cancel()
		all.Wait()
	})
}

func TestTwoProcessesDeriveOneIncident(t *testing.T) {
	in(t, 3, func(t *testing.T, w *world, step func()) {
		now := func(a alert.Alert) alert.Alert { a.StartedAt = time.Now(); return a }
		first, second := now(fired("a", "", "api", alert.Error, 0)), now(fired("b", "", "api", alert.Critical, 0))
		third := now(fired("c", "", "shop", alert.Error, 0))
		silenced := now(fired("d", "", "api", alert.Critical, 0))
		silenced.Page = ""
		for _, a := range []alert.Alert{first, second, third, silenced} {
			w.put(a)
		}
		step()
		if got := w.store.all(); got != "open[a b] open[c]" && got != "open[c] open[a b]" {
			t.Errorf("got %s", got)
		}
		writes := w.store.writes
		step()
		if w.store.writes != writes {
			t.Errorf("%d writes without news", w.store.writes-writes)
		}
		for _, a := range []alert.Alert{first, second, third} {
			a.State, a.ResolvedAt = alert.Resolved, time.Now()
			w.put(a)
		}
		step()
		if got := w.store.all(); strings.Contains(got, "open") {
			t.Errorf("got %s", got)
		}
		time.Sleep(5 * time.Minute)
		again := now(first)
		again.Episode = 2
		w.put(again)
		step()
		if got := w.store.all(); strings.Count(got, "open[a b]") != 1 || len(w.store.incidents) != 2 {
			t.Errorf("got %s", got)
		}
		again.State, again.ResolvedAt = alert.Resolved, time.Now()
		w.put(again)
		step()
		time.Sleep(time.Hour)
		again = now(first)
		again.Episode = 3
		w.put(again)
		step()
		if got := w.store.all(); len(w.store.incidents) != 3 || strings.Count(got, "open[a]") != 1 {
			t.Errorf("got %s", got)
		}
		if len(w.errs) > 0 {
			t.Error(errors.Join(w.errs...))
		}
	})
}

func TestAClaimThatWasNotFollowedIs(t *testing.T) {
	in(t, 1, func(t *testing.T, w *world, step func()) {
		a := fired("a", "", "api", alert.Error, 0)
		a.StartedAt = time.Now()
		w.store.claims[incident.Key(a)] = "somebody-died"
		w.put(a)
		step()
		if i, err := w.store.Incident(t.Context(), "somebody-died"); err != nil || len(i.Alerts) != 1 {
			t.Errorf("%+v, %v", i, err)
		}
	})
}

func TestAFailedPassIsReportedAndDoneAgain(t *testing.T) {
	in(t, 1, func(t *testing.T, w *world, step func()) {
		a := fired("a", "", "api", alert.Error, 0)
		a.StartedAt = time.Now()
		w.store.mu.Lock()
		w.store.fail = errors.New("away")
		w.store.mu.Unlock()
		w.put(a)
		step()
		if got := w.store.all(); got != "open[a]" || len(w.errs) != 1 {
			t.Errorf("%s, %v", got, w.errs)
		}
	})
}

func TestAPersonClosesWhileAnAlertFires(t *testing.T) {
	in(t, 2, func(t *testing.T, w *world, step func()) {
		a := fired("a", "", "api", alert.Error, 0)
		a.StartedAt = time.Now()
		w.put(a)
		step()
		i, err := w.service().Close(t.Context(), incident.Key(a), "ada", "a false alarm")
		if err != nil || i.State != incident.Closed {
			t.Fatalf("%+v, %v", i, err)
		}
		time.Sleep(48 * time.Hour)
		step()
		if got := w.store.all(); got != "closed[a]" {
			t.Errorf("got %s", got)
		}
	})
}

func TestChangesOfAnOpenIncident(t *testing.T) {
	in(t, 2, func(t *testing.T, w *world, step func()) {
		a := fired("a", "", "api", alert.Error, 0)
		a.StartedAt = time.Now()
		w.put(a)
		c, err := w.service().Record(t.Context(), "ada", incident.Change{Kind: incident.Deploy, Service: "api", At: time.Now().Add(-time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		step()
		i, err := w.store.Incident(t.Context(), incident.Key(a))
		if err != nil || len(i.Changes) != 1 || i.Changes[0].ID != c.ID {
			t.Errorf("%+v, %v", i, err)
		}
	})
}
