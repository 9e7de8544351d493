package shipped_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/shipped"
)

// kept is a watch as the store has it.
type kept struct {
	watcher.Stored
	hash string
}

// memory is a Store. taken names watches that somebody else puts just before
// they are written here.
type memory struct {
	watches map[string]kept
	taken   map[string]bool
	writes  int
	away    error
}

func (m *memory) Shipped(_ context.Context, id string) (watcher.Stored, string, error) {
	if m.away != nil {
		return watcher.Stored{}, "", m.away
	}
	w, ok := m.watches[id]
	if !ok {
		return watcher.Stored{}, "", fault.New(fault.NotFound, "There is no watch %s.", id)
	}
	return w.Stored, w.hash, nil
}

func (m *memory) PutShipped(_ context.Context, id string, source *document.Object, status watcher.Status, hash string, was *watcher.Stored) (watcher.Stored, error) {
	now, there := m.watches[id]
	if m.taken[id] || there != (was != nil) || there && now.SeqNo != was.SeqNo {
		return watcher.Stored{}, fault.New(fault.Conflict, "It changed.")
	}
	m.writes++
	stored := watcher.Stored{ID: id, Version: now.Version + 1, SeqNo: int64(m.writes), PrimaryTerm: 1, Source: source, Status: status}
	m.watches[id] = kept{stored, hash}
	return stored, nil
}

func watch(interval string) string {
	return `{"trigger":{"schedule":{"interval":"` + interval + `"}},"input":{"none":{}},"condition":{"always":{}},"actions":{}}`
}

// newLoader loads files, given as id, text, id, text…
func newLoader(store *memory, now time.Time, files ...string) *shipped.Loader {
	clock := func() time.Time { return now }
	l := &shipped.Loader{Store: store, Now: clock, Engine: watcher.New(watcher.Config{Now: clock})}
	for i := 0; i+1 < len(files); i += 2 {
		l.Files = append(l.Files, shipped.File{ID: files[i], Text: []byte(files[i+1])})
	}
	return l
}

func TestLoad(t *testing.T) {
	began := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	later := began.Add(time.Hour)
	store := &memory{watches: map[string]kept{}, taken: map[string]bool{}}
	load := func(l *shipped.Loader, want shipped.Summary, mistakes ...string) {
		t.Helper()
		got, err := l.Load(t.Context())
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if (err != nil) != (len(mistakes) > 0) {
			t.Errorf("error %v, want %q", err, mistakes)
		}
		for _, m := range mistakes {
			if err != nil && !strings.Contains(err.Error(), m) {
				t.Errorf("%q is missing in: %v", m, err)
			}
		}
	}
	interval := func(id string) any { return document.At(store.watches[id].Source, "trigger.schedule.interval") }

	load(newLoader(store, began, "a", watch("1m"), "b", watch("2m")), shipped.Summary{Added: 2})
	if a := store.watches["a"]; interval("a") != "1m" || !a.Status.Active || !a.Status.StateChanged.Equal(began) || a.hash == "" {
		t.Errorf("added %+v", a)
	}
	load(newLoader(store, later, "a", watch("1m"), "b", watch("2m")), shipped.Summary{Unchanged: 2})
	if store.writes != 2 {
		t.Errorf("%d writes of two watches", store.writes)
	}

	// Somebody has switched a off: a new file does not switch it on.
	a := store.watches["a"]
	a.Status.SetActive(false, began)
	store.watches["a"] = a
	load(newLoader(store, later, "a", watch("5m"), "b", watch("2m")), shipped.Summary{Updated: 1, Unchanged: 1})
	if a := store.watches["a"]; interval("a") != "5m" || a.Status.Active || a.Version != 2 {
		t.Errorf("updated %+v", a)
	}

	// Somebody has put b by the API, which forgets the hash.
	b := store.watches["b"]
	b.hash = ""
	store.watches["b"] = b
	load(newLoader(store, later, "a", watch("5m"), "b", watch("9m")), shipped.Summary{Unchanged: 1, Kept: 1})
	if interval("b") != "2m" {
		t.Errorf("a watch that people put became %v", interval("b"))
	}

	// Two processes load at once; one file of four is wrong.
	store.taken["c"] = true
	load(newLoader(store, later, "a", watch("5m"), "c", watch("1m"), "wrong", `{"trigger":{"schedule":{"interval":"soon"}}}`, "d", watch("1m")),
		shipped.Summary{Added: 1, Unchanged: 1, Kept: 1}, "load watch wrong:", "trigger.schedule.interval")
	if _, there := store.watches["wrong"]; there || interval("d") != "1m" {
		t.Error("the wrong file is there, or d behind it is not")
	}

	store.away = errors.New("Elasticsearch is away")
	load(newLoader(store, later, "a", watch("5m"), "d", watch("1m")), shipped.Summary{}, "load watch a: Elasticsearch is away", "load watch d:")
}

func TestFiles(t *testing.T) {
	dir := fstest.MapFS{
		"down.json": {Data: []byte("{}")}, "README.md": {Data: []byte("#")}, "more/in.json": {Data: []byte("{}")}, "up.json": {Data: []byte("[]")},
	}
	files, err := shipped.Files(dir)
	if err != nil || len(files) != 2 || files[0].ID != "down" || files[1].ID != "up" || string(files[1].Text) != "[]" {
		t.Errorf("%+v, %v", files, err)
	}
}
