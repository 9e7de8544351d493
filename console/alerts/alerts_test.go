package alerts_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pharos/console/alerts"
	"pharos/console/page"
	"pharos/console/pagetest"
)

const firing = `{"id":"a1","watch_id":"down","group":"api-1","service":"api","severity":"critical","summary":"api-1 is <b>down</b>","state":"firing",
	"episode":2,"flaps":1,"started_at":"2026-11-21T11:50:30Z","reason":"fired","page":"a1","routes":[{"action_id":"page","channel":"pagerduty","account":"default"}]}`

const ended = `{"id":"a2","watch_id":"down","severity":"error","summary":"it was","state":"resolved","started_at":"2026-11-21T11:10:30Z","resolved_at":"2026-11-21T11:20:30Z","reason":"resolved"}`

const watch = `{"trigger":{"schedule":{"interval":"10s"}},"input":{"http":{"request":{"auth":{"basic":{"password":"::es_redacted::"}}}}},
	"metadata":{"name":"A thing is down","pharos":{"severity":"critical","service":"api","runbook":"down.md","query":"service.name: api"}}}`

const status = `{"state":{"active":true,"timestamp":"2026-11-20T12:00:00Z"},"last_checked":"2026-11-21T12:00:20Z","last_met_condition":"2026-11-21T11:59:00Z",
	"execution_state":"executed","actions":{"page":{"ack":{"timestamp":"2026-11-21T11:50:30Z","state":"ackable"},"last_execution":{"timestamp":"2026-11-21T11:50:30Z","successful":false,"reason":"no route"}}}}`

// watcher answers as the watcher does.
func watcher(c pagetest.Call) (int, string) {
	path, query, _ := strings.Cut(c.Path, "?")
	switch {
	case c.User == "support" && strings.HasPrefix(path, "/_watcher"):
		return http.StatusForbidden, `{"error":{"reason":"action is unauthorized"},"status":403}`
	case path == "/v1/alerts" && strings.Contains(query, "state=resolved"):
		return http.StatusOK, `{"items":[` + ended + `]}`
	case path == "/v1/alerts":
		return http.StatusOK, `{"items":[` + firing + `]}`
	case path == "/v1/alerts/a1":
		return http.StatusOK, firing
	case strings.HasPrefix(path, "/v1/alerts/a1/"):
		return http.StatusOK, firing
	case path == "/v1/silences" && strings.Contains(query, "after=s0"):
		return http.StatusOK, `{"items":[]}`
	case path == "/v1/silences" && strings.Contains(query, "state=ended"):
		return http.StatusOK, `{"items":[{"id":"s0","maintenance":true,"matchers":{},"starts_at":"2026-11-20T13:00:00Z","ends_at":"2026-11-20T14:00:00Z","title":"Old disks","created_by":"ada"}],"next":"s0"}`
	case path == "/v1/silences" && c.Method == http.MethodGet:
		return http.StatusOK, `{"items":[{"id":"s1","maintenance":true,"matchers":{"service":"api"},"starts_at":"2026-11-21T13:00:00Z","ends_at":"2026-11-21T14:00:00Z","title":"New disks","components":["API"],"created_by":"ada"}]}`
	case path == "/v1/silences":
		return http.StatusCreated, `{}`
	case strings.HasPrefix(path, "/v1/silences/"):
		return http.StatusNoContent, ``
	case path == "/v1/incidents":
		return http.StatusOK, `{"items":[{"id":"i0","alerts":[]},{"id":"i1","alerts":[{"id":"a1"}]}]}`
	case strings.HasSuffix(path, "/history"):
		return http.StatusOK, `{"items":[{"id":"e1","at":"2026-11-21T12:00:20Z","state":"execution_not_needed","duration_ms":12,"condition_met":false,"actions":[]}]}`
	case path == "/_watcher/_query/watches":
		return http.StatusOK, `{"count":2,"watches":[{"_id":"up","watch":{"trigger":{"schedule":{"cron":["0 0 * * * ?"]}}},"status":{"state":{"active":false}}},{"_id":"down","watch":` + watch + `,"status":` + status + `}]}`
	case path == "/_watcher/watch/down" && c.Method == http.MethodGet:
		return http.StatusOK, `{"found":true,"_id":"down","watch":` + watch + `,"status":` + status + `}`
	case path == "/_watcher/watch/down/_execute":
		return http.StatusOK, `{"_id":"x","watch_record":{"state":"executed","result":{"input":{"payload":{"hits":{"total":7}}},"condition":{"met":true},
			"actions":[{"id":"page","type":"pagerduty","status":"simulated","pagerduty":{"sent_event":{"event":{"description":"api-1 is down"}}}}]}}}`
	case path == "/v1/watches/down/replay":
		return http.StatusOK, `{"from":"2026-11-21T10:00:00Z","to":"2026-11-21T12:00:00Z","step_ns":60000000000,"runs":121,"failed":0,
			"intervals":[{"from":"2026-11-21T10:30:00Z","to":"2026-11-21T10:40:00Z","runs":10},{"from":"2026-11-21T11:50:00Z","runs":11}],"alerts":[` + firing + `],"pages":2,"resolved":1,"messages":0,"changes":["input.search"]}`
	case strings.HasPrefix(path, "/_watcher/watch/down/"):
		return http.StatusOK, `{"status":{}}`
	case strings.HasPrefix(path, "/_watcher/watch/"):
		return http.StatusNotFound, `{"found":false}`
	}
	return http.StatusNotFound, `{"type":"/problems/not-found","detail":"There is no such alert."}`
}

func newStand(t *testing.T, user string) *pagetest.Stand {
	t.Helper()
	s := pagetest.New(t)
	if err := (alerts.Alerts{Watcher: s.Watcher, Components: []string{"API", "Site"}, Runbooks: "https://runbooks.test/"}).AddTo(s.Site); err != nil {
		t.Fatal(err)
	}
	s.Watch = watcher
	s.SignIn(user)
	return s
}

// holds expects texts in a page.
func holds(t *testing.T, s *pagetest.Stand, path string, want ...string) string {
	t.Helper()
	status, body := s.Get(path)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, status, body)
	}
	for _, w := range want {
		if !strings.Contains(body, w) {
			_, main, _ := strings.Cut(body, "<main")
			t.Errorf("%s lacks %q in %s", path, w, main)
		}
	}
	return body
}

func TestList(t *testing.T) {
	s := newStand(t, "oncall")
	body := holds(t, s, "/alerts", "api-1 is &lt;b&gt;down&lt;/b&gt;", "10 min ago", "it began, and somebody was told", "it was",
		"New disks", "maintenance planned", "in 59.5 min", "every 10s", "cron [&#34;0 0 * * * ?&#34;]", "inactive", "fires", `action="/alerts/a1/ack"`, `action="/silences/s1/end"`, `value="API"`)
	if strings.Contains(body, "<b>down") {
		t.Error("a summary is markup")
	}
	var v alerts.View
	s.JSON("/alerts.json?watch=down", &v)
	if len(v.Open.Data) != 1 || len(v.History.Data) != 1 || len(v.Watches.Data) != 1 || v.Watches.Data[0].Alerts != 1 || v.Watches.Data[0].LastFired.IsZero() {
		t.Errorf("%+v", v)
	}
	if a := v.Watches.Data[0].Actions[0]; a.Failed != "no route" || !a.Ackable() {
		t.Errorf("%+v", a)
	}
	if status, body := s.Get("/alerts?id=a1&from=now-6h"); status != http.StatusSeeOther || strings.Contains(body, "firing") {
		t.Errorf("an alert by its id: %d", status)
	}
	holds(t, s, "/alerts", "maintenance ended", "Old disks", `href="/alerts?after=s0#ended">Older</a>`)
	if main := holds(t, s, "/alerts?after=s0", "None is older.", `href="/alerts#ended">The latest</a>`); strings.Contains(main, ">Older<") {
		t.Error("there is something older than the oldest")
	}
}

func TestFiltersAndSpanAreAskedFor(t *testing.T) {
	s := newStand(t, "oncall")
	asked := map[string]bool{}
	s.Watch = func(c pagetest.Call) (int, string) {
		if u, _ := url.Parse(c.Path); u.Path == "/v1/alerts" {
			if u.Query().Get("state") == "resolved" && (u.Query().Get("from") != "2026-11-21T06:00:30Z" || u.Query().Get("to") != "2026-11-21T12:00:30Z") {
				t.Errorf("asked %s", c.Path)
			}
			asked[fmt.Sprint(u.Query()["watch"], u.Query()["service"], u.Query()["state"])] = true
		}
		return watcher(c)
	}
	holds(t, s, "/alerts?watch=down&service=api&from=now-6h", "Only of", `value="down"`)
	if !asked["[down] [api] [open]"] || !asked["[down] [api] [resolved]"] {
		t.Errorf("asked %v", asked)
	}
}

func TestAlert(t *testing.T) {
	s := newStand(t, "oncall")
	body := holds(t, s, "/alerts/a1", "service.name: api", "from=2026-11-21T11%3A35%3A30.000Z", "/incidents/i1", "https://runbooks.test/down.md", "pagerduty default", "it cleared and came back 1 times", "10 min")
	if strings.Contains(body, `action="/alerts/a1/unack"`) {
		t.Error("an alert that nobody acknowledged can be taken back")
	}
	if status, body := s.Get("/alerts/none"); status != http.StatusNotFound || !strings.Contains(body, "There is no such alert.") {
		t.Errorf("no alert: %d %s", status, body)
	}
	var v struct{ ID, State string }
	s.JSON("/alerts/a1.json", &v)
	if v.ID != "a1" || v.State != "firing" {
		t.Errorf("%+v", v)
	}
}

func TestWatch(t *testing.T) {
	s := newStand(t, "oncall")
	holds(t, s, "/watches/down", "A thing is down", "every 10s", "::es_redacted::", "condition not met", "12 ms", "no route", `action="/watches/down/deactivate"`, `action="/watches/down/ack"`)
	if status, body := s.Get("/watches/none"); status != http.StatusNotFound || !strings.Contains(body, "There is no watch of this id.") {
		t.Errorf("no watch: %d %s", status, body)
	}
}

func TestRunAndReplay(t *testing.T) {
	s := newStand(t, "oncall")
	token := s.Token("/watches/down")
	status, _, body := s.Post("/watches/down", url.Values{"csrf": {token}, "do": {"run"}})
	for _, w := range []string{"condition met", "api-1 is down", "simulated", "&#34;total&#34;: 7"} {
		if status != http.StatusOK || !strings.Contains(body, w) {
			t.Errorf("run: %d, lacks %q in %s", status, w, body)
		}
	}
	if _, _, body := s.Post("/watches/down", url.Values{"csrf": {token}, "do": {"run"}, "anyway": {"1"}}); strings.Contains(body, "condition met<") || !strings.Contains(body, "was not looked at") {
		t.Errorf("run anyway: %s", body)
	}
	status, _, body = s.Post("/watches/down", url.Values{"csrf": {token}, "do": {"replay"}, "from": {"now-2h"}, "to": {"now"}, "step": {"1m0s"}})
	for _, w := range []string{"would have run 121 times", "<b>2</b><span>times met", "<b>2</b><span>pages", "went on", "10 min", "input.search"} {
		if status != http.StatusOK || !strings.Contains(body, w) {
			t.Errorf("replay: %d, lacks %q in %s", status, w, body)
		}
	}
	want := []string{
		`{"action_modes":{"_all":"force_simulate"},"ignore_condition":false,"record_execution":false}`,
		`{"action_modes":{"_all":"force_simulate"},"ignore_condition":true,"record_execution":false}`,
		`{"from":"2026-11-21T10:00:30Z","step":"1m0s","to":"2026-11-21T12:00:30Z"}`,
	}
	changes := s.Changes()
	if len(changes) != len(want) {
		t.Fatalf("%+v", changes)
	}
	for i, c := range changes {
		if c.Body != want[i] || c.User != "oncall" {
			t.Errorf("%+v, want %s", c, want[i])
		}
	}
	for form, field := range map[string]string{"do=nothing": "do", "do=replay&from=now&to=now-1h": "from", "do=replay&from=gestern&to=now": "from"} {
		values, _ := url.ParseQuery(form)
		values.Set("csrf", token)
		if status, _, body := s.Post("/watches/down", values); status != http.StatusBadRequest || !strings.Contains(body, "<code>"+field+"</code>") {
			t.Errorf("%s: %d %s", form, status, body)
		}
	}
}

func TestActions(t *testing.T) {
	for _, c := range []struct {
		path, form, location, call, body string
	}{
		{"/alerts/a1/ack", "", "/alerts/a1", "POST /v1/alerts/a1/ack", ""},
		{"/alerts/a1/unack", "", "/alerts/a1", "POST /v1/alerts/a1/unack", ""},
		{"/alerts/a1/resolve", "", "/alerts/a1", "POST /v1/alerts/a1/resolve", ""},
		{"/watches/down/activate", "", "/watches/down", "PUT /_watcher/watch/down/_activate", ""},
		{"/watches/down/deactivate", "", "/watches/down", "PUT /_watcher/watch/down/_deactivate", ""},
		{"/watches/down/ack", "", "/watches/down", "PUT /_watcher/watch/down/_ack", ""},
		{"/watches/down/ack", "action=page", "/watches/down", "PUT /_watcher/watch/down/_ack/page", ""},
		{"/silences/s1/end", "", "/alerts#silences", "DELETE /v1/silences/s1", ""},
		{"/silences", "kind=silence&watch=down*&severity=error&lasts=2h&comment=known+", "/alerts#silences", "POST /v1/silences",
			`{"comment":"known","ends_at":"2026-11-21T14:00:30Z","maintenance":false,"matchers":{"watch_id":"down*","severity":"error"},"starts_at":"2026-11-21T12:00:30Z"}`},
		{"/silences", "kind=maintenance&title=New+disks&components=API&components=Site&lasts=30m&starts=2026-11-22T20:15", "/alerts#silences", "POST /v1/silences",
			`{"comment":"","components":["API","Site"],"ends_at":"2026-11-22T20:45:00Z","maintenance":true,"matchers":{},"starts_at":"2026-11-22T20:15:00Z","title":"New disks"}`},
	} {
		s := newStand(t, "oncall")
		form, _ := url.ParseQuery(c.form)
		form.Set("csrf", s.Token("/alerts"))
		status, location, body := s.Post(c.path, form)
		if status != http.StatusSeeOther || location != c.location {
			t.Errorf("%s: %d to %q: %s", c.path, status, location, body)
		}
		changes := s.Changes()
		if len(changes) != 1 || changes[0].Method+" "+changes[0].Path != c.call || changes[0].Body != c.body || changes[0].User != "oncall" {
			t.Errorf("%s: %+v", c.path, changes)
		}
	}
}

func TestRefusedForms(t *testing.T) {
	s := newStand(t, "oncall")
	paths := []string{"/alerts/a1/ack", "/alerts/a1/resolve", "/watches/down", "/watches/down/deactivate", "/silences", "/silences/s1/end"}
	for _, path := range paths {
		for _, token := range []string{"", "another"} {
			if status, _, body := s.Post(path, url.Values{"csrf": {token}, "do": {"run"}, "lasts": {"1h"}}); status != http.StatusForbidden || !strings.Contains(body, "not of this session") {
				t.Errorf("%s with token %q: %d %s", path, token, status, body)
			}
		}
	}
	token := s.Token("/alerts")
	for form, field := range map[string]string{"lasts=never": "lasts", "lasts=1h&starts=soon": "starts"} {
		values, _ := url.ParseQuery(form)
		values.Set("csrf", token)
		if status, _, body := s.Post("/silences", values); status != http.StatusBadRequest || !strings.Contains(body, "<code>"+field+"</code>") {
			t.Errorf("%s: %d %s", form, status, body)
		}
	}
	if changes := s.Changes(); len(changes) > 0 {
		t.Errorf("the watcher was asked: %+v", changes)
	}
}

func TestRights(t *testing.T) {
	s := newStand(t, "support")
	body := holds(t, s, "/alerts", "api-1 is", "Your role may not do this.")
	if strings.Contains(body, "<form method=\"post\" action=\"/alerts") || strings.Contains(body, `action="/silences`) {
		t.Error("support sees forms that change something")
	}
	holds(t, s, "/alerts/a1", "it began")
	for _, path := range []string{"/alerts/a1/ack", "/silences", "/watches/down/activate"} {
		if status, _, _ := s.Post(path, url.Values{}); status != http.StatusForbidden {
			t.Errorf("support %s: %d", path, status)
		}
	}
	s.SignIn("viewer")
	if status, body := s.Get("/alerts"); status != http.StatusForbidden || strings.Contains(body, ">Alerts</a>") {
		t.Errorf("viewer: %d %s", status, body)
	}
	if changes := s.Changes(); len(changes) > 0 {
		t.Errorf("the watcher was asked: %+v", changes)
	}
}

func TestWatcherAway(t *testing.T) {
	s := newStand(t, "oncall")
	token := s.Token("/alerts")
	s.StopWatcher()
	body := holds(t, s, "/alerts", "The watcher does not answer")
	if strings.Contains(body, "Nothing fires") {
		t.Error("no answer is shown as no alert")
	}
	if status, _, body := s.Post("/alerts/a1/ack", url.Values{"csrf": {token}}); status != http.StatusServiceUnavailable || !strings.Contains(body, "The watcher does not answer") {
		t.Errorf("ack: %d %s", status, body)
	}
	if status, _ := s.Get("/watches/down"); status != http.StatusServiceUnavailable {
		t.Errorf("watch: %d", status)
	}
}

func TestReplayChart(t *testing.T) {
	s := newStand(t, "oncall")
	form := url.Values{"csrf": {s.Token("/watches/down")}, "do": {"replay"}, "from": {"now-2h"}, "to": {"now"}}
	_, _, body := s.Post("/watches/down", form)
	_, after, _ := strings.Cut(body, `<script type="application/json">`)
	text, _, _ := strings.Cut(after, "</script>")
	var chart page.Chart
	if err := json.Unmarshal([]byte(text), &chart); err != nil {
		t.Fatal(err, text)
	}
	for i := 1; i < len(chart.Times); i++ {
		if chart.Times[i] <= chart.Times[i-1] {
			t.Errorf("times do not rise: %v", chart.Times)
		}
	}
	if last := chart.Series[0].Values[len(chart.Times)-1]; last == nil || *last != 1 {
		t.Errorf("what went on has ended: %v", chart.Series)
	}
}
