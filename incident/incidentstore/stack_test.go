package incidentstore_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/incident"
	"pharos/incident/incidentstore"
	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/internal/teststack"
	"pharos/watcher/alert"
)

// newStore is a store on a real Elasticsearch, set up, with the watcher's own
// account. Others may use it: ids are the test's own.
func newStore(t *testing.T) (*incidentstore.Store, string) {
	t.Helper()
	cfg := teststack.Config[struct {
		elastic.SetupConfig
		Watcher env.Secret `env:"WATCHER_PASSWORD,required"`
	}](t)
	super, err := elastic.New(cfg.Client())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elastic.Setup(t.Context(), super, nil, elastic.Options{}); err != nil {
		t.Fatal(err)
	}
	own := cfg.Client()
	own.User, own.Password = "watcher", cfg.Watcher
	client, err := elastic.New(own)
	if err != nil {
		t.Fatal(err)
	}
	return &incidentstore.Store{Elasticsearch: client}, "test-" + strings.ToLower(rand.Text()[:8])
}

func TestRealElasticsearch(t *testing.T) {
	s, name := newStore(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	a := alert.Alert{ID: name, WatchID: name, Group: "/" + name, Service: name, Severity: alert.Error, Summary: "bad", State: alert.Firing, Episode: 1, StartedAt: now, Page: name}

	t.Run("incidents", func(t *testing.T) {
		if _, err := s.Incident(t.Context(), name); !fault.Is(err, fault.NotFound) {
			t.Fatalf("before there is one: %v", err)
		}
		want, _ := incident.New(name, a).Take(a)
		revision, err := s.Save(t.Context(), incident.Stored{Incident: want})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Save(t.Context(), incident.Stored{Incident: want}); !fault.Is(err, fault.Conflict) {
			t.Errorf("made twice: %v", err)
		}
		got, err := s.Incident(t.Context(), name)
		if err != nil || got.Revision != revision {
			t.Errorf("%+v, %v", got, err)
		}
		equal(t, got.Incident, want)
		if _, changed := got.Take(a); changed {
			t.Error("what was stored and read takes the same alert twice")
		}
		has(t, s, name, true, incident.Filter{State: incident.Open})
		has(t, s, name, false, incident.Filter{State: incident.Closed})

		a.State, a.ResolvedAt = alert.Resolved, now.Add(time.Minute)
		got.Incident, _ = got.Take(a)
		got.Incident, _ = got.Settle()
		if _, err := s.Save(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Save(t.Context(), got); !fault.Is(err, fault.Conflict) {
			t.Errorf("written over a change: %v", err)
		}
		has(t, s, name, true, incident.Filter{State: incident.Closed})
		has(t, s, name, true, incident.Filter{Since: now.Add(time.Minute)})
		has(t, s, name, false, incident.Filter{Since: now.Add(2 * time.Minute)})
		has(t, s, name, true, incident.Filter{Since: now.Add(2 * time.Minute), Keys: []string{"x", incident.Key(a)}})

		// Page by page, without those of other tests.
		second := got.Incident
		second.ID = name + "-2"
		if _, err := s.Save(t.Context(), incident.Stored{Incident: second}); err != nil {
			t.Fatal(err)
		}
		var pages []string
		for f := (incident.Filter{State: incident.Closed, Limit: 1}); ; {
			list, err := s.Incidents(t.Context(), f)
			if err != nil || len(list) > 1 {
				t.Fatalf("%d, %v", len(list), err)
			}
			if len(list) == 0 {
				break
			}
			if f.After = list[0].ID; strings.HasPrefix(f.After, name) {
				pages = append(pages, f.After)
			}
		}
		if !slices.Equal(pages, []string{name, name + "-2"}) {
			t.Errorf("closed, page by page: %v", pages)
		}
		if _, err := s.Incidents(t.Context(), incident.Filter{After: "none"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("after one that is not there: %v", err)
		}
	})

	t.Run("claims", func(t *testing.T) {
		for _, id := range []string{"first", "second"} {
			if owner, err := s.Claim(t.Context(), name, id); err != nil || owner != "first" {
				t.Errorf("%s: %s, %v", id, owner, err)
			}
		}
		if _, err := s.Incident(t.Context(), "claim-"+name); !fault.Is(err, fault.NotFound) {
			t.Errorf("a claim is no incident: %v", err)
		}
	})

	t.Run("changes", func(t *testing.T) {
		want := incident.Change{ID: name, Kind: incident.Deploy, Service: name, Version: "1", At: now, By: "ada"}
		if err := s.SaveChange(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			from, to time.Time
			want     bool
		}{
			"all": {want: true}, "from then": {from: now, want: true}, "until then": {to: now}, "later": {from: now.Add(time.Millisecond)},
		} {
			list, err := s.Changes(t.Context(), c.from, c.to, 1000)
			i := slices.IndexFunc(list, func(one incident.Change) bool { return one.ID == name })
			if err != nil || (i >= 0) != c.want {
				t.Errorf("%s: %+v, %v", what, list, err)
			}
			if i >= 0 {
				equal(t, list[i], want)
			}
		}
	})
}

// Two services derive from the same alerts at once: there is one incident, with
// each event told once.
func TestTwoServicesOnRealElasticsearch(t *testing.T) {
	store, name := newStore(t)
	var mu sync.Mutex
	var alerts []alert.Alert
	now := time.Now().UTC().Truncate(time.Millisecond)
	for n := range 4 {
		id := fmt.Sprintf("%s-%d", name, n)
		alerts = append(alerts, alert.Alert{
			ID: id, WatchID: id, Service: name, Severity: alert.Error, State: alert.Firing, Episode: 1, StartedAt: now.Add(time.Duration(n) * time.Second), Page: id,
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 2 {
		service := &incident.Service{
			Config: incident.Config{Window: time.Minute, Poll: 100 * time.Millisecond}, Store: store, Now: time.Now, NewID: rand.Text,
			Alerts: func(context.Context, time.Time) ([]alert.Alert, error) {
				mu.Lock()
				defer mu.Unlock()
				return slices.Clone(alerts), nil
			},
			Report: func(ctx context.Context, err error) {
				if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			},
		}
		all.Go(func() { _ = service.Run(ctx) })
	}
	defer all.Wait()
	defer cancel()
	id := incident.Key(alerts[0])
	wait := func(want string) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			i, err := store.Incident(t.Context(), id)
			got := map[incident.Kind]int{}
			for _, e := range i.Timeline {
				if e.Kind != incident.WasChanged { // those are of other tests
					got[e.Kind]++
				}
			}
			text := fmt.Sprint(i.State, " ", got)
			if err == nil && text == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s, %v; want %s", text, err, want)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	wait("open map[alert_fired:4 opened:1]")
	mu.Lock()
	for n := range alerts {
		alerts[n].State, alerts[n].ResolvedAt = alert.Resolved, now.Add(time.Minute)
	}
	mu.Unlock()
	wait("closed map[alert_fired:4 alert_resolved:4 closed:1 opened:1]")
	list, err := store.Incidents(t.Context(), incident.Filter{Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, i := range list {
		if slices.Contains(i.Services, name) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d incidents", n)
	}
}

// has fails unless a filter finds the incident, or does not.
func has(t *testing.T, s *incidentstore.Store, id string, want bool, f incident.Filter) {
	t.Helper()
	f.Limit = 10000
	list, err := s.Incidents(t.Context(), f)
	if err != nil || slices.ContainsFunc(list, func(i incident.Stored) bool { return i.ID == id }) != want {
		t.Errorf("%+v: found is not %t, %v", f, want, err)
	}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	x, _ := json.Marshal(got)
	y, _ := json.Marshal(want)
	if string(x) != string(y) {
		t.Errorf("got\n%s\nwant\n%s", x, y)
	}
}
