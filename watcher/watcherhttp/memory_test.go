package watcherhttp_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/watcherhttp"
)

// memory is a Store for tests: it finds by match_all or ids, and sorts by nothing
// but the id.
type memory struct {
	mu      sync.Mutex
	watches map[string]watcher.Stored
	seqNo   int64
	records []watcher.Record
	told    []watcher.Record // of which alerts heard
	stopped bool
	indexed map[string]any // settings of the index; nil: there is no index
}

func newMemory() *memory { return &memory{watches: map[string]watcher.Stored{}, seqNo: -1} }

func (m *memory) Get(_ context.Context, id string) (watcher.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w, ok := m.watches[id]
	if !ok {
		return w, fault.New(fault.NotFound, "There is no watch %s.", id)
	}
	w.Status = w.Status.Clone()
	return w, nil
}

func (m *memory) write(id string, cond watcher.Precondition, change func(*watcher.Stored)) (watcher.Stored, error) {
	w, ok := m.watches[id]
	if cond.SeqNo != nil && (!ok || *cond.SeqNo != w.SeqNo || *cond.PrimaryTerm != w.PrimaryTerm) || cond.Version != nil && *cond.Version != w.Version {
		return w, fault.New(fault.Conflict, "It changed.")
	}
	m.seqNo++
	w.ID, w.SeqNo, w.PrimaryTerm = id, m.seqNo, 1
	w.Version++
	change(&w)
	m.watches[id] = w
	return w, nil
}

func (m *memory) Put(_ context.Context, id string, source *document.Object, status watcher.Status, cond watcher.Precondition) (watcher.Stored, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.watches[id]
	w, err := m.write(id, cond, func(w *watcher.Stored) { w.Source, w.Status = source, status })
	return w, !there, err
}

func (m *memory) UpdateStatus(_ context.Context, id string, status watcher.Status, cond watcher.Precondition) (watcher.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.write(id, cond, func(w *watcher.Stored) { w.Status = status })
}

func (m *memory) Delete(_ context.Context, id string) (watcher.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w, ok := m.watches[id]
	if !ok {
		return w, fault.New(fault.NotFound, "There is no watch %s.", id)
	}
	delete(m.watches, id)
	m.seqNo++
	w.Version++
	return w, nil
}

func (m *memory) Query(_ context.Context, body *document.Object) (int64, []watcher.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []watcher.Stored
	wanted, only := document.At(body, "query.ids.values").([]any)
	for id, w := range m.watches {
		if !only || slices.Contains(wanted, any(id)) {
			found = append(found, w)
		}
	}
	slices.SortFunc(found, func(a, b watcher.Stored) int { return strings.Compare(a.ID, b.ID) })
	total := int64(len(found))
	if from, ok := document.At(body, "from").(int64); ok {
		found = found[min(from, total):]
	}
	if size, ok := document.At(body, "size").(int64); ok {
		found = found[:min(size, int64(len(found)))]
	}
	return total, found, nil
}

func (m *memory) Record(_ context.Context, r watcher.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, r)
	return nil
}

func (m *memory) Executed(_ context.Context, _ *watcher.Watch, r watcher.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, r)
	return errors.New("alerts are away")
}

func (m *memory) Settings(context.Context, string) (map[string]any, error) { return m.indexed, nil }

func (m *memory) ChangeSettings(_ context.Context, changes map[string]any) error {
	if m.indexed == nil {
		return fault.New(fault.NotFound, "There is no index.")
	}
	maps.Copy(m.indexed, changes)
	return nil
}

func (m *memory) Start(context.Context) error { m.stopped = false; return nil }
func (m *memory) Stop(context.Context) error  { m.stopped = true; return nil }
func (m *memory) Stats(context.Context) (watcherhttp.Stats, error) {
	state := "started"
	if m.stopped {
		state = "stopped"
	}
	return watcherhttp.Stats{ClusterName: "pharos", ManuallyStopped: m.stopped,
		Nodes: []watcherhttp.NodeStats{{ID: "node-1", State: state, WatchCount: int64(len(m.watches))}}}, nil
}

// users knows three: admin may all, oncall may read and operate, reader may read;
// all with the password pw.
type users struct{}

func (users) Authorize(_ context.Context, authorization string, need watcherhttp.Privilege) (string, error) {
	switch {
	case authorization == "Basic YWRtaW46cHc=":
		return "admin", nil
	case authorization == "Basic b25jYWxsOnB3" && need != watcherhttp.Manage:
		return "oncall", nil
	case authorization == "Basic b25jYWxsOnB3":
		return "", fault.New(fault.Forbidden, "action is unauthorized for user [oncall]")
	case authorization == "Basic cmVhZGVyOnB3" && need == watcherhttp.Monitor:
		return "reader", nil
	case authorization == "Basic cmVhZGVyOnB3":
		return "", fault.New(fault.Forbidden, "action is unauthorized for user [reader]")
	}
	return "", fault.New(fault.Unauthenticated, "missing authentication credentials for REST request")
}
