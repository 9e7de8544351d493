package alert_test

import (
	"reflect"
	"testing"
	"time"

	"pharos/watcher/alert"
	"pharos/watcher/document"
)

// step is one thing that happens to an alert.
type step struct {
	after time.Duration // since the step before
	do    string        // fire, few, clear, ack, unack, end, return
	route string
	mute  *alert.Silence
	want  alert.Reason
	state alert.State
}

func TestStateMachine(t *testing.T) {
	silence, maintenance := &alert.Silence{}, &alert.Silence{Maintenance: true}
	resolving := alert.Policy{Resolve: true}
	for name, c := range map[string]struct {
		policy alert.Policy
		steps  []step
		flaps  int
	}{
		"told once, resolved once": {resolving, []step{
			{0, "fire", "page", nil, alert.Fired, alert.Firing},
			{10 * time.Second, "fire", "page", nil, alert.StillFiring, alert.Firing},
			{10 * time.Second, "clear", "", nil, alert.Ended, alert.Resolved},
			{10 * time.Second, "clear", "", nil, alert.NotFiring, alert.Resolved},
			{10 * time.Second, "fire", "page", nil, alert.Fired, alert.Firing},
		}, 0},
		"each route once": {resolving, []step{
			{0, "fire", "page", nil, alert.Fired, alert.Firing},
			{0, "fire", "chat", nil, alert.Fired, alert.Firing},
			{10 * time.Second, "fire", "page", nil, alert.StillFiring, alert.Firing},
			{0, "fire", "chat", nil, alert.StillFiring, alert.Firing},
		}, 0},
		"without resolve it ends quietly": {alert.Policy{}, []step{
			{0, "fire", "page", nil, alert.Fired, alert.Firing},
			{10 * time.Second, "clear", "", nil, alert.EndedQuietly, alert.Resolved},
		}, 0},
		"acknowledged": {resolving, []step{
			{0, "fire", "page", nil, alert.Fired, alert.Firing},
			{time.Second, "ack", "", nil, alert.IsAcked, alert.Acknowledged},
			{time.Second, "fire", "page", nil, alert.IsAcked, alert.Acknowledged},
			{time.Second, "unack", "", nil, alert.StillFiring, alert.Firing},
			{time.Second, "fire", "page", nil, alert.StillFiring, alert.Firing},
			{time.Second, "ack", "", nil, alert.IsAcked, alert.Acknowledged},
			{time.Second, "clear", "", nil, alert.Ended, alert.Resolved},
		}, 0},
		"silenced, and paged when the silence is over": {resolving, []step{
			{0, "fire", "page", silence, alert.Silenced, alert.Firing},
			{time.Minute, "fire", "page", silence, alert.Silenced, alert.Firing},
			{time.Minute, "fire", "page", nil, alert.Fired, alert.Firing},
		}, 0},
		"over before the maintenance is": {resolving, []step{
			{0, "fire", "page", maintenance, alert.InMaintenance, alert.Firing},
			{time.Minute, "clear", "", nil, alert.EndedQuietly, alert.Resolved},
		}, 0},
		"a silence does not hold back a resolve": {resolving, []step{
			{0, "fire", "page", nil, alert.Fired, alert.Firing},
			{time.Minute, "fire", "page", silence, alert.StillFiring, alert.Firing},
			{time.Minute, "clear", "", nil, alert.Ended, alert.Resolved},
		}, 0},
		"too few events page nobody": {resolving, []step{
			{0, "few", "page", nil, alert.TooFewEvents, ""},
			{time.Minute, "clear", "", nil, alert.NotFiring, ""},
			{time.Minute, "fire", "page", nil, alert.Fired, alert.Firing},
			{time.Minute, "few", "page", nil, alert.StillFiring, alert.Firing},
		}, 0},
		"flapping is held": {alert.Policy{Resolve: true, Hold: 5 * time.Minute}, []step{
			{0, "fire", "page", nil, alert.Fired, alert.Firing},
			{time.Minute, "clear", "", nil, alert.Held, alert.Firing},
			{time.Minute, "fire", "page", nil, alert.StillFiring, alert.Firing},
			{time.Minute, "clear", "", nil, alert.Held, alert.Firing},
			{time.Minute, "return", "", nil, alert.Held, alert.Firing},
			{time.Minute, "clear", "", nil, alert.Held, alert.Firing},
			{4 * time.Minute, "clear", "", nil, alert.Held, alert.Firing},
			{time.Minute, "clear", "", nil, alert.Ended, alert.Resolved},
		}, 2},
		"ended by hand, it begins anew": {resolving, []step{
			{0, "fire", "page", nil, alert.Fired, alert.Firing},
			{time.Minute, "end", "", nil, alert.EndedQuietly, alert.Resolved},
			{time.Minute, "fire", "page", nil, alert.Fired, alert.Firing},
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			a := alert.Alert{ID: "a"}
			for i, s := range c.steps {
				now = now.Add(s.after)
				var reason alert.Reason
				switch s.do {
				case "fire", "few":
					o := alert.Observation{Enough: s.do == "fire", Severity: alert.Critical}
					a, reason = a.Fire(o, alert.Route{ActionID: s.route}, s.mute, now)
				case "clear":
					a, reason = a.Clear(c.policy, now)
				case "ack":
					a, _ = a.Acknowledge("ada", now)
					reason = a.Reason
				case "unack":
					a, _ = a.Unacknowledge()
					reason = a.Reason
				case "end":
					a, _ = a.End("ada", now)
					reason = a.Reason
				case "return":
					a, _ = a.Return()
					reason = a.Reason
				}
				if reason != s.want || a.State != s.state {
					t.Fatalf("step %d (%s): %s, %q; want %s, %q", i, s.do, reason, a.State, s.want, s.state)
				}
			}
			if a.Flaps != c.flaps {
				t.Errorf("%d flaps, want %d", a.Flaps, c.flaps)
			}
		})
	}
}

func TestLeadTakes(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lead := alert.Lead{Service: "api", AlertID: "a", Severity: alert.Error, OpenedAt: now.Add(-time.Minute)}
	for name, c := range map[string]struct {
		change   func(*alert.Lead)
		severity alert.Severity
		want     bool
	}{
		"as bad":       {func(*alert.Lead) {}, alert.Error, true},
		"less bad":     {func(*alert.Lead) {}, alert.Info, true},
		"worse":        {func(*alert.Lead) {}, alert.Critical, false},
		"itself":       {func(l *alert.Lead) { l.AlertID = "b" }, alert.Error, false},
		"over":         {func(l *alert.Lead) { l.Closed = true }, alert.Error, false},
		"too long ago": {func(l *alert.Lead) { l.OpenedAt = now.Add(-5 * time.Minute) }, alert.Error, false},
		"no page yet":  {func(l *alert.Lead) { *l = alert.Lead{} }, alert.Info, false},
	} {
		l := lead
		c.change(&l)
		if got := l.Takes("b", c.severity, 5*time.Minute, now); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestMuting(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	during := alert.Silence{StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour)}
	o := alert.Observation{Service: "api", Severity: alert.Warning}
	for name, c := range map[string]struct {
		m    alert.Matchers
		want bool
	}{
		"everything":       {alert.Matchers{}, true},
		"the service":      {alert.Matchers{Service: "api"}, true},
		"another service":  {alert.Matchers{Service: "feed"}, false},
		"a pattern":        {alert.Matchers{WatchID: "avail*"}, true},
		"a pattern, no":    {alert.Matchers{WatchID: "avail"}, false},
		"a group's slash":  {alert.Matchers{Group: "/v1/*"}, true},
		"both must match":  {alert.Matchers{Service: "api", Severity: alert.Critical}, false},
		"a bracket is one": {alert.Matchers{WatchID: "[a]*"}, false},
	} {
		s := during
		s.Matchers = c.m
		if got := alert.Muting([]alert.Silence{s}, "availability", "/v1/feed", o, now) != nil; got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for name, s := range map[string]alert.Silence{
		"not yet": {StartsAt: now.Add(time.Second), EndsAt: now.Add(time.Hour)},
		"over":    {StartsAt: now.Add(-time.Hour), EndsAt: now},
	} {
		if alert.Muting([]alert.Silence{s}, "w", "", o, now) != nil {
			t.Error(name)
		}
	}
	maintenance := during
	maintenance.Maintenance = true
	if s := alert.Muting([]alert.Silence{during, maintenance}, "w", "", o, now); s == nil || !s.Maintenance {
		t.Errorf("%+v, want the maintenance", s)
	}
}

func metadata(t *testing.T, text string) *document.Object {
	t.Helper()
	o, err := document.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestParsePolicy(t *testing.T) {
	p, err := alert.ParsePolicy(metadata(t, `{"other":1,"pharos":{"resolve":true,"severity":"warning","service":"api","runbook":"docs/runbooks/x.md",
		"links":[{"href":"https://x.example/","text":"X"}],"group_by":"key","minimum_events":{"path":"total","count":20},"hold":"5m","query":"a:b","labels":{"x":"y"}}}`))
	want := &alert.Policy{
		Resolve: true, Severity: alert.Warning, Service: "api", Runbook: "docs/runbooks/x.md", Links: []alert.Link{{Href: "https://x.example/", Text: "X"}},
		GroupBy: "key", MinimumEvents: 20, EventsPath: "total", Hold: 5 * time.Minute, Query: "a:b",
	}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := alert.ParsePolicy(nil); p != nil || err != nil {
		t.Errorf("no metadata: %v, %v", p, err)
	}
	for in, want := range map[string]string{
		`[]`:                              `could not parse metadata.pharos. expected an object, but found an array (at metadata.pharos)`,
		`{"sevirity":"info"}`:             `could not parse metadata.pharos. unexpected string field [sevirity] (at metadata.pharos.sevirity)`,
		`{"severity":"bad"}`:              `could not parse metadata.pharos. unknown severity [bad]; one of critical, error, warning, info (at metadata.pharos.severity)`,
		`{"resolve":"maybe"}`:             `could not parse metadata.pharos. failed to parse field [resolve], expected a boolean value but found a string instead (at metadata.pharos.resolve)`,
		`{"hold":"long"}`:                 `could not parse metadata.pharos. invalid time value for [hold] field: [long] is not a number with a unit (nanos, micros, ms, s, m, h, d) (at metadata.pharos.hold)`,
		`{"links":[{"href":"ftp://x"}]}`:  `could not parse metadata.pharos. [href] must be a http or https URL (at metadata.pharos.links[0].href)`,
		`{"minimum_events":0}`:            `could not parse metadata.pharos. [minimum_events] must be a whole number above 0, or {"path", "count"} (at metadata.pharos.minimum_events)`,
		`{"minimum_events":{"path":"x"}}`: `could not parse metadata.pharos. [count] must be a whole number above 0 (at metadata.pharos.minimum_events.count)`,
	} {
		_, err := alert.ParsePolicy(metadata(t, `{"pharos":`+in+`}`))
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}

func TestEnoughAndGroup(t *testing.T) {
	payload := metadata(t, `{"hits":{"total":19},"new":{"hits":{"total":{"value":20}}},"ratio":20.0,"bucket":{"key":"/v1/feed"}}`)
	for path, want := range map[string]bool{"hits.total": false, "new.hits.total": true, "ratio": true, "missing": false} {
		if p := (&alert.Policy{MinimumEvents: 20, EventsPath: path}); p.Enough(payload) != want {
			t.Errorf("%s: %t", path, !want)
		}
	}
	if p := (&alert.Policy{GroupBy: "bucket.key"}); p.Group(payload) != "/v1/feed" {
		t.Errorf("group %q", p.Group(payload))
	}
}
