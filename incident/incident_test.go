package incident_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pharos/incident"
	"pharos/internal/fault"
	"pharos/watcher/alert"
)

func TestTimelineAndSeverity(t *testing.T) {
	a := fired("latency", "/v1/feed", "api", alert.Warning, 0)
	i := incident.New(incident.Key(a), a)
	i = take(t, i, a)
	if i.Impact != incident.None || i.State != incident.Open {
		t.Errorf("a warning: %+v", i)
	}
	if _, shown := i.Public(); shown {
		t.Error("a warning is shown to the public")
	}
	b := fired("errors", "/v1/feed", "nginx", alert.Critical, time.Minute)
	i = take(t, i, b)
	if i.Severity != alert.Critical || i.Impact != incident.Major || i.Summary != "errors is bad" || i.Title != "Service disruption" {
		t.Errorf("got %s, %s, %q, %q", i.Severity, i.Impact, i.Summary, i.Title)
	}
	if !slices.Equal(i.Services, []string{"api", "nginx"}) || !slices.Equal(i.Routes, []string{"/v1/feed"}) {
		t.Errorf("%q, %q", i.Services, i.Routes)
	}
	b.State, b.AcknowledgedAt, b.AcknowledgedBy = alert.Acknowledged, start.Add(2*time.Minute), "ada"
	i = take(t, i, b)
	if _, changed := i.Settle(); changed {
		t.Error("closed while alerts go on")
	}
	i = take(t, i, resolved(a, 3*time.Minute))
	i = take(t, i, resolved(b, 4*time.Minute))
	i, _ = i.Settle()
	if i.State != incident.Closed || !i.ClosedAt.Equal(start.Add(4*time.Minute)) || i.Status != incident.Resolved {
		t.Errorf("%s at %s, %s", i.State, i.ClosedAt, i.Status)
	}
	want := "opened alert_fired alert_fired alert_acknowledged:ada alert_resolved alert_resolved closed"
	if got := kinds(i); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	p, shown := i.Public()
	if !shown || len(p.Timeline) != 2 || p.Timeline[0].Kind != incident.WasClosed || !p.ResolvedAt.Equal(i.ClosedAt) {
		t.Errorf("public: %t, %+v", shown, p)
	}
	for _, e := range p.Timeline {
		if strings.Contains(e.Text, "errors") || strings.Contains(e.Text, "nginx") {
			t.Errorf("the public reads %q", e.Text)
		}
	}
}

func TestOlderReadingsChangeNothing(t *testing.T) {
	a := fired("w", "", "api", alert.Error, 0)
	again := a
	again.Episode, again.StartedAt = 2, start.Add(time.Minute)
	i := take(t, incident.New("i", a), a)
	i = take(t, i, resolved(a, 30*time.Second))
	i = take(t, i, again)
	for name, old := range map[string]alert.Alert{"first episode": a, "its end": resolved(a, 30*time.Second), "the same": again} {
		if _, changed := i.Take(old); changed {
			t.Errorf("%s: changed it", name)
		}
	}
	if got := kinds(i); got != "opened alert_fired alert_resolved alert_fired" {
		t.Error(got)
	}
}

func TestJoins(t *testing.T) {
	const window = 10 * time.Minute
	first := fired("latency", "/v1/feed", "api", alert.Error, 0)
	open, _ := incident.New("i", first).Take(first)
	closed, _ := open.Take(resolved(first, 20*time.Minute))
	closed, _ = closed.Settle()
	again := func(after time.Duration) alert.Alert {
		a := first
		a.Episode, a.StartedAt = 2, start.Add(after)
		return a
	}
	for name, c := range map[string]struct {
		i    incident.Incident
		a    alert.Alert
		want bool
	}{
		"same service":                    {open, fired("x", "", "api", alert.Info, time.Minute), true},
		"same route":                      {open, fired("x", "/v1/feed", "nginx", alert.Info, time.Minute), true},
		"same watch":                      {open, fired("latency", "/v1/posts", "", alert.Info, time.Minute), true},
		"a little earlier":                {open, fired("x", "", "api", alert.Info, -time.Minute), true},
		"at the window's end":             {open, fired("x", "", "api", alert.Info, window), true},
		"too late":                        {open, fired("x", "", "api", alert.Info, window+time.Second), false},
		"too early":                       {open, fired("x", "", "api", alert.Info, -window-time.Second), false},
		"nothing in common":               {open, fired("x", "all routes", "shop", alert.Info, time.Minute), false},
		"no service is none in common":    {open, fired("x", "", "", alert.Info, time.Minute), false},
		"its own, late":                   {open, again(time.Hour), true},
		"its own, soon after the end":     {closed, again(29 * time.Minute), true},
		"its own, long after the end":     {closed, again(31 * time.Minute), false},
		"another after the end":           {closed, fired("x", "", "api", alert.Info, 21*time.Minute), false},
		"another before the end, in time": {closed, fired("x", "", "api", alert.Info, 5*time.Minute), true},
	} {
		if got := c.i.Joins(c.a, window); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestOpensAnew(t *testing.T) {
	a := fired("w", "", "api", alert.Error, 0)
	i, _ := incident.New("i", a).Take(a)
	i, _ = i.Take(resolved(a, time.Minute))
	i, _ = i.Settle()
	a.Episode, a.StartedAt = 2, start.Add(2*time.Minute)
	i = take(t, i, a)
	if i.State != incident.Open || i.Status != incident.Investigating || !i.ClosedAt.IsZero() {
		t.Errorf("%s, %s, closed at %s", i.State, i.Status, i.ClosedAt)
	}
	if got := kinds(i); got != "opened alert_fired alert_resolved closed opened alert_fired" {
		t.Error(got)
	}
}

func TestWhatPeopleSay(t *testing.T) {
	a := fired("w", "", "api", alert.Error, 0)
	i, _ := incident.New("i", a).Take(a)
	i, err := i.Note("ada", "it is the cache", start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	i, err = i.Update("ada", incident.Words{Text: "Feeds are slow.", Status: incident.Identified, Title: "Slow feeds", Impact: incident.Minor, Components: []string{"Feed"}}, start.Add(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	worse := fired("x", "", "api", alert.Critical, 3*time.Minute)
	i = take(t, i, worse)
	if i.Title != "Slow feeds" || i.Impact != incident.Minor || i.Status != incident.Identified || i.Severity != alert.Critical {
		t.Errorf("what a person wrote does not stay: %+v", i)
	}
	if i, err = i.Close("ada", "", start.Add(4*time.Minute)); err != nil || i.State != incident.Closed || i.ClosedBy != "ada" {
		t.Fatalf("%+v, %v", i, err)
	}
	if _, err := i.Close("ada", "", start.Add(5*time.Minute)); !fault.Is(err, fault.Conflict) {
		t.Errorf("closed twice: %v", err)
	}
	if after := take(t, i, resolved(a, 6*time.Minute)); after.State != incident.Closed || after.ClosedBy != "ada" {
		t.Errorf("%+v", after)
	}
	if _, err := i.Update("ada", incident.Words{Text: "x", Status: incident.Monitoring}, start); !fault.Is(err, fault.Conflict) {
		t.Errorf("updated after its end: %v", err)
	}
	p, _ := i.Public()
	var texts []string
	for _, e := range p.Timeline {
		texts = append(texts, e.Text)
	}
	if got := strings.Join(texts, "|"); got != "The problem has ended.|Feeds are slow.|We have found a problem and look into it." {
		t.Error(got)
	}
}

func TestBadWords(t *testing.T) {
	good := incident.Words{Text: "x", Status: incident.Investigating, Title: "x", Impact: incident.Major}
	for field, spoil := range map[string]func(*incident.Words){
		"text":       func(w *incident.Words) { w.Text = " " },
		"status":     func(w *incident.Words) { w.Status = "fine" },
		"impact":     func(w *incident.Words) { w.Impact = "huge" },
		"title":      func(w *incident.Words) { w.Title = strings.Repeat("ü", 201) },
		"components": func(w *incident.Words) { w.Components = []string{""} },
	} {
		w := good
		spoil(&w)
		_, err := incident.Declare("i", "ada", w, start)
		if f := fault.From(err); f.Code != fault.InvalidParameter || f.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	i, err := incident.Declare("i", "ada", good, start)
	if err != nil || i.OpenedBy != "ada" || i.Severity != alert.Error {
		t.Fatalf("%+v, %v", i, err)
	}
	if _, changed := i.Settle(); changed {
		t.Error("what a person opened closes by itself")
	}
	ended, err := i.Update("ada", incident.Words{Text: "done", Status: incident.Resolved}, start.Add(time.Minute))
	if err != nil || ended.State != incident.Closed || ended.ClosedBy != "ada" {
		t.Errorf("%+v, %v", ended, err)
	}
}

func TestRelate(t *testing.T) {
	a := fired("w", "", "api", alert.Error, 0)
	i, _ := incident.New("i", a).Take(a)
	at := func(id string, after time.Duration) incident.Change {
		return incident.Change{ID: id, Kind: incident.Deploy, Service: "api", Version: id, At: start.Add(after), By: "ada"}
	}
	changes := []incident.Change{
		at("old", -7*time.Hour), at("d", -4*time.Hour), at("a", -time.Minute), at("b", -time.Hour), at("c", -3*time.Hour), at("after", time.Minute),
	}
	i, changed := i.Relate(changes)
	var got []string
	for _, c := range i.Changes {
		got = append(got, c.ID)
	}
	if !changed || strings.Join(got, " ") != "after a b c" {
		t.Errorf("%t: %s", changed, got)
	}
	if _, changed := i.Relate(changes); changed {
		t.Error("related twice")
	}
	if got := kinds(i); got != "change:ada change:ada change:ada opened alert_fired change:ada" {
		t.Error(got)
	}
}

func TestCheckChange(t *testing.T) {
	for field, c := range map[string]incident.Change{
		"kind": {Text: "x"},
		"text": {Kind: incident.Deploy},
		"at":   {Kind: incident.Deploy, Text: "x", At: start.Add(time.Hour)},
	} {
		if f := fault.From(c.Check(start)); f.Field != field {
			t.Errorf("%s: %v", field, f)
		}
	}
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fired is an alert of a watch that fires so long after the start.
func fired(watch, group, service string, s alert.Severity, after time.Duration) alert.Alert {
	id := alert.NewID(watch, group)
	return alert.Alert{
		ID: id, WatchID: watch, Group: group, Service: service, Severity: s, Summary: watch + " is bad",
		State: alert.Firing, Episode: 1, StartedAt: start.Add(after), Page: id,
	}
}

func resolved(a alert.Alert, after time.Duration) alert.Alert {
	a.State, a.ResolvedAt = alert.Resolved, start.Add(after)
	return a
}

func take(t *testing.T, i incident.Incident, a alert.Alert) incident.Incident {
	t.Helper()
	before := kinds(i)
	after, changed := i.Take(a)
	if !changed {
		t.Fatalf("%s %s changes nothing", a.WatchID, a.State)
	}
	if _, changed := after.Take(a); changed {
		t.Fatalf("%s %s changes it twice", a.WatchID, a.State)
	}
	if kinds(i) != before {
		t.Fatal("what was there is changed, too")
	}
	return after
}

// kinds is a timeline in short.
func kinds(i incident.Incident) string {
	var list []string
	for _, e := range i.Timeline {
		text := string(e.Kind)
		if e.By != "" {
			text += ":" + e.By
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}
