package alertstore_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/rand"

	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/internal/teststack"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/alertstore"
	"pharos/watcher/outbox"
)

// newStore is a store on a real Elasticsearch, set up. Others may use it: ids
// and names are the test's own.
func newStore(t *testing.T) (*alertstore.Store, string) {
	t.Helper()
	client, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elastic.Setup(t.Context(), client, nil, elastic.Options{}); err != nil {
		t.Fatal(err)
	}
	return &alertstore.Store{Elasticsearch: client}, "test-" + rand.Text()[:8]
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	x, _ := json.Marshal(got)
	y, _ := json.Marshal(want)
	if string(x) != string(y) {
		t.Errorf("got\n%s\nwant\n%s", x, y)
	}
}

func TestRealElasticsearch(t *testing.T) {
	s, name := newStore(t)
	now := time.Now().UTC().Truncate(time.Millisecond)

	t.Run("alerts", func(t *testing.T) {
		id := alert.NewID(name, "g")
		if _, err := s.Alert(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Fatalf("before there is one: %v", err)
		}
		a := alerting.Stored{Alert: alert.Alert{
			ID: id, WatchID: name, Group: "g", Service: "api", Severity: alert.Error, Summary: "it's bad", State: alert.Firing, Episode: 1,
			StartedAt: now, Reason: alert.Fired, Page: id, Routes: []alert.Route{{ActionID: "page", Channel: "pagerduty", Account: "default", Key: name + "/g"}},
		}}
		revision, err := s.SaveAlert(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.SaveAlert(t.Context(), a); !fault.Is(err, fault.Conflict) {
			t.Errorf("made twice: %v", err)
		}
		got, err := s.Alert(t.Context(), id)
		if err != nil || got.Revision != revision {
			t.Errorf("%+v, %v", got, err)
		}
		equal(t, got.Alert, a.Alert)
		for what, f := range map[string]alerting.Filter{
			"watch": {WatchID: name}, "open": {WatchID: name, Open: true}, "page": {Page: id, Open: true}, "key": {Key: name + "/g"},
		} {
			list, err := s.Alerts(t.Context(), f)
			if err != nil || len(list) != 1 || list[0].Revision != revision {
				t.Errorf("by %s: %+v, %v", what, list, err)
			}
		}
		got.State, got.ResolvedAt = alert.Resolved, now
		if _, err := s.SaveAlert(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SaveAlert(t.Context(), got); !fault.Is(err, fault.Conflict) {
			t.Errorf("written over a change: %v", err)
		}
		if list, err := s.Alerts(t.Context(), alerting.Filter{WatchID: name, Open: true}); err != nil || len(list) != 0 {
			t.Errorf("open after it ended: %+v, %v", list, err)
		}
	})

	t.Run("leads", func(t *testing.T) {
		l, revision, err := s.Lead(t.Context(), name)
		if err != nil || l != (alert.Lead{}) {
			t.Fatalf("%+v, %v", l, err)
		}
		want := alert.Lead{Service: name, AlertID: "a", Severity: alert.Error, OpenedAt: now}
		if err := s.SaveLead(t.Context(), want, revision); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveLead(t.Context(), want, revision); !fault.Is(err, fault.Conflict) {
			t.Errorf("two first leads: %v", err)
		}
		l, revision, err = s.Lead(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, l, want)
		l.Closed = true
		if err := s.SaveLead(t.Context(), l, revision); err != nil {
			t.Error(err)
		}
	})

	t.Run("silences", func(t *testing.T) {
		want := alert.Silence{ID: name, Matchers: alert.Matchers{Service: name}, StartsAt: now, EndsAt: now.Add(time.Hour), CreatedBy: "ada", CreatedAt: now}
		if err := s.SaveSilence(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		list, err := s.Silences(t.Context(), now)
		i := slices.IndexFunc(list, func(x alert.Silence) bool { return x.ID == name })
		if err != nil || i < 0 {
			t.Fatalf("%+v, %v", list, err)
		}
		equal(t, list[i], want)
		if list, err := s.Silences(t.Context(), now.Add(time.Hour)); err != nil || slices.ContainsFunc(list, func(x alert.Silence) bool { return x.ID == name }) {
			t.Errorf("still there when it is over: %+v, %v", list, err)
		}
		// One that has begun is kept with its end, one that has not is removed.
		ended := now.Add(time.Minute)
		if err := s.EndSilence(t.Context(), name, ended); err != nil {
			t.Error(err)
		}
		if err := s.EndSilence(t.Context(), name, ended); !fault.Is(err, fault.NotFound) {
			t.Errorf("ended twice: %v", err)
		}
		planned := want
		planned.ID, planned.StartsAt, planned.EndsAt = name+"-planned", now.Add(2*time.Hour), now.Add(3*time.Hour)
		if err := s.SaveSilence(t.Context(), planned); err != nil {
			t.Fatal(err)
		}
		if err := s.EndSilence(t.Context(), planned.ID, now); err != nil {
			t.Error(err)
		}
		window := want
		window.ID, window.Maintenance, window.Title, window.EndsAt = name+"-window", true, "New disks", ended
		if err := s.SaveSilence(t.Context(), window); err != nil {
			t.Fatal(err)
		}
		// Page by page, without those of other tests.
		pages := func(f alerting.EndedFilter) (ids []string) {
			f.Before, f.Limit = now.Add(4*time.Hour), 1
			for {
				list, err := s.EndedSilences(t.Context(), f)
				if err != nil || len(list) > 1 {
					t.Fatalf("%d, %v", len(list), err)
				}
				if len(list) == 0 {
					return ids
				}
				if f.After = list[0].ID; strings.HasPrefix(f.After, name) {
					ids = append(ids, f.After)
					if !list[0].EndsAt.Equal(ended) {
						t.Errorf("%s ended at %s", f.After, list[0].EndsAt)
					}
				}
			}
		}
		if got := pages(alerting.EndedFilter{}); !slices.Equal(got, []string{name, name + "-window"}) {
			t.Errorf("ended: %v", got)
		}
		if got := pages(alerting.EndedFilter{Maintenance: true}); !slices.Equal(got, []string{name + "-window"}) {
			t.Errorf("maintenance that ended: %v", got)
		}
		if _, err := s.EndedSilences(t.Context(), alerting.EndedFilter{Before: now, After: planned.ID, Limit: 1}); !fault.Is(err, fault.NotFound) {
			t.Errorf("after one that is gone: %v", err)
		}
	})

	t.Run("outbox", func(t *testing.T) {
		var made []string
		for i := range 3 {
			id := fmt.Sprintf("%s/%d with a / and a very %s id", name, i, string(make([]byte, 600)))
			e := outbox.Entry{Message: outbox.Message{
				ID: id, Key: name, Kind: "trigger", Channel: "pagerduty", Account: "default", WatchID: name,
				Body: []byte(`{"event_action":"trigger","payload":{"summary":"ü"}}`), CreatedAt: now.Add(time.Duration(i)),
			}, State: outbox.Pending, NotBefore: now.Add(time.Hour)} // not for the stack's own watcher
			revision, err := s.Create(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Create(t.Context(), e); !fault.Is(err, fault.Conflict) {
				t.Errorf("kept twice: %v", err)
			}
			made = append(made, id)
			waiting, err := s.Waiting(t.Context(), name, 10)
			if err != nil || len(waiting) != i+1 {
				t.Fatalf("%d wait, %v; want %d", len(waiting), err, i+1)
			}
			e.Revision = revision
			if i == 0 {
				equal(t, waiting[0], e)
				if waiting[0].Revision != revision {
					t.Errorf("revision %+v, want %+v", waiting[0].Revision, revision)
				}
			}
		}
		waiting, err := s.Waiting(t.Context(), name, 10)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range waiting { // in order, though they differ by nanoseconds
			if e.ID != made[i] {
				t.Errorf("%d is %.40q", i, e.ID)
			}
		}
		// Many claim the first at once: one gets it.
		var claimed sync.Map
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				e := waiting[0]
				e.LeaseUntil = now.Add(time.Minute)
				if _, err := s.Update(t.Context(), e); err == nil {
					claimed.Store(i, true)
				} else if !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		n := 0
		claimed.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%d claimed it", n)
		}
		e := waiting[1]
		e.State, e.DoneAt, e.Reason = outbox.Sent, now, "x"
		if _, err := s.Update(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if waiting, err = s.Waiting(t.Context(), name, 10); err != nil || len(waiting) != 2 {
			t.Errorf("%d wait, %v", len(waiting), err)
		}
		for _, e := range waiting { // leave nothing for others to stumble over
			e.State = outbox.Failed
			if _, err := s.Update(t.Context(), e); err != nil {
				t.Error(err)
			}
		}
	})
}
