package incidents_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pharos/console/incidents"
	"pharos/console/pagetest"
)

const open = `{"id":"i1","state":"open","title":"Service disruption","impact":"major","status":"investigating","components":["API","Old part"],"summary":"api <b>fails</b>",
	"severity":"critical","services":["api","feed"],"routes":["/v1/feed/:id"],"started_at":"2026-11-21T11:00:30Z",
	"alerts":[{"id":"a1","key":"k","episode":1,"watch_id":"5xx","severity":"critical","summary":"5xx","state":"firing","started_at":"2026-11-21T11:00:30Z"}],
	"changes":[{"id":"c1","kind":"deploy","service":"api","version":"1.2.3","at":"2026-11-21T10:50:30Z","by":"ada"}],
	"timeline":[{"at":"2026-11-21T10:50:30Z","kind":"change","by":"ada","text":"deploy api 1.2.3","public":false},
		{"at":"2026-11-21T11:00:30Z","kind":"opened","status":"investigating","text":"We have found a problem.","public":true},
		{"at":"2026-11-21T11:05:30Z","kind":"note","by":"bob","text":"it is the deploy","public":false}]}`

const closed = `{"id":"i2","state":"closed","title":"Degraded service","impact":"minor","status":"resolved","components":[],"severity":"error","services":[],"routes":[],
	"started_at":"2026-11-20T11:00:30Z","closed_at":"2026-11-20T12:00:30Z","opened_by":"bob","closed_by":"bob","alerts":[],"changes":[],"timeline":[]}`

func watcher(c pagetest.Call) (int, string) {
	path, query, _ := strings.Cut(c.Path, "?")
	switch {
	case c.Method == http.MethodPost && path == "/v1/incidents":
		return http.StatusCreated, `{"id":"i3"}`
	case c.Method == http.MethodPost && strings.Contains(c.Body, "too late"):
		return http.StatusConflict, `{"type":"/problems/conflict","detail":"The incident is closed: open another.","field":"status"}`
	case c.Method == http.MethodPost:
		return http.StatusCreated, open
	case path == "/v1/incidents" && strings.Contains(query, "state=open"):
		return http.StatusOK, `{"items":[` + open + `]}`
	case path == "/v1/incidents" && strings.Contains(query, "after=i2"):
		return http.StatusOK, `{"items":[]}`
	case path == "/v1/incidents":
		return http.StatusOK, `{"items":[` + closed + `],"next":"i2"}`
	case path == "/v1/incidents/i1":
		return http.StatusOK, open
	case path == "/v1/incidents/i2":
		return http.StatusOK, closed
	case path == "/v1/changes":
		return http.StatusOK, `{"items":[{"id":"c1","kind":"deploy","service":"api","version":"1.2.3","at":"2026-11-21T11:50:30Z","by":"ada"}]}`
	}
	return http.StatusNotFound, `{"type":"/problems/not-found","detail":"There is no such incident."}`
}

func newStand(t *testing.T, user string) *pagetest.Stand {
	t.Helper()
	s := pagetest.New(t)
	if err := (incidents.Incidents{Watcher: s.Watcher, Components: []string{"API", "Site"}}).AddTo(s.Site); err != nil {
		t.Fatal(err)
	}
	s.Watch = watcher
	s.SignIn(user)
	return s
}

func holds(t *testing.T, s *pagetest.Stand, path string, want ...string) string {
	t.Helper()
	status, body := s.Get(path)
	_, main, _ := strings.Cut(body, "<main")
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, status, main)
	}
	for _, w := range want {
		if !strings.Contains(main, w) {
			t.Errorf("%s lacks %q in %s", path, w, main)
		}
	}
	return main
}

func TestList(t *testing.T) {
	s := newStand(t, "oncall")
	main := holds(t, s, "/incidents", "api &lt;b&gt;fails&lt;/b&gt;", "1 h", "major, investigating", "api, feed", "/v1/feed/:id", "Degraded service", "1.2.3", "is public", `action="/incidents"`)
	if strings.Contains(main, ">resolved</option>") {
		t.Error("an incident can begin resolved")
	}
	var v incidents.View
	s.JSON("/incidents.json", &v)
	if len(v.Open.Data) != 1 || v.Open.Data[0].ID != "i1" || len(v.Closed.Data.Items) != 1 || len(v.Changes.Data) != 1 {
		t.Errorf("%+v", v)
	}
	holds(t, s, "/incidents?from=now-6h", `href="/incidents?after=i2&amp;from=now-6h#closed">Older</a>`)
	if main := holds(t, s, "/incidents?from=now-6h&after=i2", "None is older.", `href="/incidents?from=now-6h#closed">The latest</a>`); strings.Contains(main, ">Older<") {
		t.Error("there is something older than the oldest")
	}
}

func TestIncident(t *testing.T) {
	s := newStand(t, "oncall")
	main := holds(t, s, "/incidents/i1", "10 min before", "We have found a problem.", "it is the deploy", `<span class="tag">public</span>`,
		"(service.name:api or service.name:feed) and log.level:(warn or error or fatal)", "http.route:&#34;/v1/feed/:id&#34;", "from=2026-11-21T10%3A45%3A30.000Z", "event.outcome:failure",
		`value="API" checked`, `value="Site">`, `value="Old part" checked`, "Everything in this form is public", `action="/incidents/i1/close"`, `href="/alerts/a1"`)
	if strings.Count(main, `<span class="tag">public</span>`) != 1 {
		t.Error("what is not public is said to be")
	}
	if strings.Index(main, "it is the deploy") > strings.Index(main, "We have found a problem.") {
		t.Error("the latest is not first")
	}
	main = holds(t, s, "/incidents/i2", "1 h", "by bob", "nothing was published", "None: it was opened by hand.")
	if strings.Contains(main, "/close") || strings.Contains(main, ">monitoring</option>") {
		t.Error("a closed incident can be closed or go on")
	}
	if status, body := s.Get("/incidents/none"); status != http.StatusNotFound || !strings.Contains(body, "There is no such incident.") {
		t.Errorf("none: %d %s", status, body)
	}
}

func TestActions(t *testing.T) {
	for _, c := range []struct{ path, form, location, call, body string }{
		{"/incidents", "title=Slow&impact=minor&status=investigating&components=API&text=+Feeds+are+slow.+", "/incidents/i3", "POST /v1/incidents",
			`{"text":"Feeds are slow.","status":"investigating","impact":"minor","title":"Slow","components":["API"]}`},
		{"/incidents/i1/note", "text=it+is+known", "/incidents/i1", "POST /v1/incidents/i1/notes", `{"text":"it is known"}`},
		{"/incidents/i1/update", "title=Slow&impact=minor&status=monitoring&text=Better", "/incidents/i1", "POST /v1/incidents/i1/updates",
			`{"text":"Better","status":"monitoring","impact":"minor","title":"Slow","components":[]}`},
		{"/incidents/i1/close", "text=", "/incidents/i1", "POST /v1/incidents/i1/close", `{"text":""}`},
	} {
		s := newStand(t, "oncall")
		form, _ := url.ParseQuery(c.form)
		if status, _, body := s.Post(c.path, form); status != http.StatusForbidden || !strings.Contains(body, "not of this session") {
			t.Errorf("%s without a token: %d %s", c.path, status, body)
		}
		form.Set("csrf", s.Token("/incidents"))
		status, location, body := s.Post(c.path, form)
		if status != http.StatusSeeOther || location != c.location {
			t.Errorf("%s: %d to %q: %s", c.path, status, location, body)
		}
		changes := s.Changes()
		if len(changes) != 1 || changes[0].Method+" "+changes[0].Path != c.call || changes[0].Body != c.body || changes[0].User != "oncall" {
			t.Errorf("%s: %+v", c.path, changes)
		}
	}
	s := newStand(t, "oncall")
	status, _, body := s.Post("/incidents/i2/update", url.Values{"csrf": {s.Token("/incidents")}, "text": {"too late"}, "status": {"monitoring"}})
	if status != http.StatusConflict || !strings.Contains(body, "open another") {
		t.Errorf("what the watcher refuses: %d %s", status, body)
	}
}

func TestRights(t *testing.T) {
	s := newStand(t, "viewer")
	if main := holds(t, s, "/incidents", "api &lt;b&gt;fails"); strings.Contains(main, "<form method=\"post\"") {
		t.Error("a viewer sees forms")
	}
	main := holds(t, s, "/incidents/i1", "it is the deploy")
	if strings.Contains(main, `href="/logs`) || strings.Contains(main, `href="/traces`) || strings.Contains(main, `href="/alerts`) || strings.Contains(main, "/note") {
		t.Error("a viewer is led to what it may not see")
	}
	for _, path := range []string{"/incidents", "/incidents/i1/note", "/incidents/i1/update", "/incidents/i1/close"} {
		if status, _, _ := s.Post(path, url.Values{"text": {"x"}}); status != http.StatusForbidden {
			t.Errorf("viewer %s: %d", path, status)
		}
	}
	if changes := s.Changes(); len(changes) > 0 {
		t.Errorf("the watcher was asked: %+v", changes)
	}
}

func TestWatcherAway(t *testing.T) {
	s := newStand(t, "oncall")
	token := s.Token("/incidents")
	s.StopWatcher()
	if main := holds(t, s, "/incidents", "The watcher does not answer"); strings.Contains(main, "None is open.") {
		t.Error("no answer is shown as no incident")
	}
	if status, _, _ := s.Post("/incidents/i1/note", url.Values{"csrf": {token}, "text": {"x"}}); status != http.StatusServiceUnavailable {
		t.Errorf("note: %d", status)
	}
}
