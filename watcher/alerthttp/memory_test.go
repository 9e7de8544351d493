package alerthttp_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"pharos/incident"
	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/alert"
	"pharos/watcher/alerthttp"
	"pharos/watcher/alerting"
	"pharos/watcher/esstore"
	"pharos/watcher/outbox"
	"pharos/watcher/viewstore"
)

// users are named after what they may.
type users struct{}

func (users) Authorize(_ context.Context, authorization string, need alerthttp.Privilege) (alerthttp.Caller, error) {
	may := map[string][]alerthttp.Privilege{
		"nobody":  {alerthttp.SignedIn},
		"viewer":  {alerthttp.SignedIn, alerthttp.ReadIncidents},
		"support": {alerthttp.SignedIn, alerthttp.ReadIncidents, alerthttp.ReadAlerts},
		"oncall":  {alerthttp.SignedIn, alerthttp.ReadIncidents, alerthttp.ReadAlerts, alerthttp.ReadWatches, alerthttp.Operate},
	}
	list, known := may[authorization]
	switch {
	case !known:
		return alerthttp.Caller{}, fault.New(fault.Unauthenticated, "who?")
	case !slices.Contains(list, need):
		return alerthttp.Caller{}, fault.New(fault.Forbidden, "no")
	}
	c := alerthttp.Caller{User: authorization, May: map[alerthttp.Privilege]bool{}}
	for _, p := range list {
		c.May[p] = true
	}
	return c, nil
}

// alerts is an alerting.Store without the parts that people do not reach.
type alerts struct {
	alerting.Store
	mu       sync.Mutex
	kept     map[string]alerting.Stored
	silences []alert.Silence
	asked    alerting.Filter // last
}

func (m *alerts) Alert(_ context.Context, id string) (alerting.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.kept[id]
	if !ok {
		return a, fault.New(fault.NotFound, "There is no such alert.")
	}
	return a, nil
}

func (m *alerts) SaveAlert(_ context.Context, a alerting.Stored) (outbox.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.Revision.SeqNo++
	m.kept[a.ID] = a
	return a.Revision, nil
}

func (m *alerts) Alerts(_ context.Context, f alerting.Filter) ([]alerting.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = f
	var list []alerting.Stored
	for _, a := range m.kept {
		if (!f.Open || a.Open()) && (f.State == "" || a.State == f.State) && (f.WatchID == "" || a.WatchID == f.WatchID) && (f.Page == "" || a.Page == f.Page) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b alerting.Stored) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

func (*alerts) Lead(context.Context, string) (alert.Lead, outbox.Revision, error) {
	return alert.Lead{}, outbox.Revision{}, nil
}

func (m *alerts) Silences(_ context.Context, now time.Time) ([]alert.Silence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.silences), func(s alert.Silence) bool { return !s.EndsAt.After(now) }), nil
}

func (m *alerts) EndedSilences(_ context.Context, f alerting.EndedFilter) ([]alert.Silence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []alert.Silence
	past := f.After == ""
	for _, s := range m.silences {
		if past && len(list) < f.Limit && !s.EndsAt.After(f.Before) && (s.Maintenance || !f.Maintenance) {
			list = append(list, s)
		}
		past = past || s.ID == f.After
	}
	return list, nil
}

func (m *alerts) SaveSilence(_ context.Context, s alert.Silence) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silences = append(m.silences, s)
	return nil
}

func (m *alerts) EndSilence(_ context.Context, id string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.silences, func(s alert.Silence) bool { return s.ID == id && s.EndsAt.After(now) })
	if i < 0 {
		return fault.New(fault.NotFound, "There is no such silence.")
	}
	m.silences[i].EndsAt = now
	return nil
}

// Deliver implements alerting.Outbox.
func (*alerts) Deliver(context.Context, outbox.Message) (outbox.Delivery, error) {
	return outbox.Delivery{}, nil
}

// incidents is an incident.Store that one caller uses.
type incidents struct {
	incident.Store
	kept    map[string]incident.Stored
	changes []incident.Change
}

func (m *incidents) Incident(_ context.Context, id string) (incident.Stored, error) {
	i, ok := m.kept[id]
	if !ok {
		return i, fault.New(fault.NotFound, "There is no such incident.")
	}
	return i, nil
}

func (m *incidents) Save(_ context.Context, i incident.Stored) (incident.Revision, error) {
	m.kept[i.ID] = i
	return i.Revision, nil
}

func (m *incidents) Incidents(_ context.Context, f incident.Filter) ([]incident.Stored, error) {
	var list []incident.Stored
	for _, i := range m.kept {
		if f.State == "" || i.State == f.State {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b incident.Stored) int { return cmp.Compare(a.ID, b.ID) })
	if at := slices.IndexFunc(list, func(i incident.Stored) bool { return i.ID == f.After }); f.After != "" {
		list = list[at+1:]
	}
	return list[:min(f.Limit, len(list))], nil
}

func (m *incidents) SaveChange(_ context.Context, c incident.Change) error {
	m.changes = append(m.changes, c)
	return nil
}

func (m *incidents) Changes(_ context.Context, from, to time.Time, _ int) ([]incident.Change, error) {
	var list []incident.Change
	for _, c := range m.changes {
		if !c.At.Before(from) && (to.IsZero() || c.At.Before(to)) {
			list = append(list, c)
		}
	}
	return list, nil
}

// watches has one watch.
type watches struct{ stored watcher.Stored }

func (w watches) Get(_ context.Context, id string) (watcher.Stored, error) {
	if id != w.stored.ID {
		return watcher.Stored{}, fault.New(fault.NotFound, "There is no such watch.")
	}
	return w.stored, nil
}

func (watches) Executions(_ context.Context, id string, limit int) ([]esstore.Execution, error) {
	met := true
	return []esstore.Execution{{ID: id + "_1", State: "executed", DurationMS: int64(limit), Met: &met, Actions: []esstore.ExecutionAction{{ID: "page", Type: "pagerduty", Status: "throttled", Reason: "acknowledged"}}}}, nil
}

// views is alerthttp.Views.
type views map[string]viewstore.View

func (v views) List(_ context.Context, page, person string) ([]viewstore.View, error) {
	var list []viewstore.View
	for _, one := range v {
		if one.Page == page && (one.Shared || one.Owner == person) {
			list = append(list, one)
		}
	}
	return list, nil
}

func (v views) Find(_ context.Context, page, name, person string) (viewstore.View, error) {
	one, ok := v[page+"/"+name]
	if !ok || !one.Shared && one.Owner != person {
		return one, fault.New(fault.NotFound, "There is no view of this name.")
	}
	return one, nil
}

func (v views) Save(_ context.Context, one viewstore.View) error {
	v[one.Page+"/"+one.Name] = one
	return nil
}

func (v views) Delete(_ context.Context, page, name, person string) error {
	if v[page+"/"+name].Owner != person {
		return fault.New(fault.NotFound, "There is no view of this name.")
	}
	delete(v, page+"/"+name)
	return nil
}
