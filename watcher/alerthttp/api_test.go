package alerthttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pharos/incident"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
	"pharos/watcher"
	"pharos/watcher/alert"
	"pharos/watcher/alerthttp"
	"pharos/watcher/alerting"
	"pharos/watcher/document"
	"pharos/watcher/viewstore"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// stand is the API over stores in memory.
type stand struct {
	t         *testing.T
	url       string
	alerts    *alerts
	incidents *incidents
	searches  []string // by whom
	blind     bool     // nobody may read what the watch searches
}

func newStand(t *testing.T) *stand {
	t.Helper()
	tel, err := obs.Discard("watcher")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tel.Tracer.Close)
	s := &stand{t: t, alerts: &alerts{kept: map[string]alerting.Stored{}}, incidents: &incidents{kept: map[string]incident.Stored{}}}
	for id, state := range map[string]alert.State{"a": alert.Firing, "b": alert.Acknowledged, "c": alert.Resolved} {
		s.alerts.kept[id] = alerting.Stored{Alert: alert.Alert{
			ID: id, WatchID: "down", Service: "api", Severity: alert.Critical, State: state, Episode: 1, StartedAt: now.Add(-time.Minute), Page: id,
		}}
	}
	clock := func() time.Time { return now }
	ids := 0
	newID := func() string { ids++; return fmt.Sprintf("id-%d", ids) }
	source, err := document.ParseObject([]byte(`{
		"trigger":{"schedule":{"interval":"1m"}},
		"input":{"search":{"request":{"indices":["logs-x"],"body":{"query":{"range":{"@timestamp":{"gte":"now-5m"}}}}}}},
		"condition":{"compare":{"ctx.payload.hits.total":{"gt":0}}},
		"actions":{"page":{"pagerduty":{"description":"it is bad"}}},
		"metadata":{"pharos":{"resolve":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	router := httpserver.NewRouter(tel, httpserver.RouterOptions{Draining: func() bool { return false }})
	alerthttp.Register(router, alerthttp.Config{
		Authorizer: users{}, Now: clock, NewID: newID, Views: views(map[string]viewstore.View{}),
		Alerts:    &alerting.Service{Store: s.alerts, Outbox: s.alerts, Now: clock},
		Incidents: &incident.Service{Store: s.incidents, Now: clock, NewID: newID},
		Watches:   watches{watcher.Stored{ID: "down", Source: source}},
		As:        func(authorization string) watcher.Elasticsearch { return searched{s, authorization} },
	})
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// searched finds something in the second half of an hour.
type searched struct {
	*stand
	as string
}

func (s searched) Do(_ context.Context, _, path string, body []byte) (int, []byte, error) {
	if path == "/_security/user/_has_privileges" {
		return http.StatusOK, fmt.Appendf(nil, `{"index":{"logs-x":{"read":%t}}}`, !s.blind), nil
	}
	s.searches = append(s.searches, s.as)
	hits := 0
	if strings.Contains(string(body), "T02:3") || strings.Contains(string(body), "T02:4") {
		hits = 1
	}
	return http.StatusOK, fmt.Appendf(nil, `{"took":1,"timed_out":false,"hits":{"total":%d,"hits":[]}}`, hits), nil
}

// call asks as a user, and expects a status and texts in the answer.
func (s *stand) call(user, method, path, body string, status int, want ...string) *document.Object {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", user)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != status {
		s.t.Errorf("%s %s %s: %d, want %d: %s", user, method, path, resp.StatusCode, status, text)
	}
	for _, w := range want {
		if !strings.Contains(string(text), w) {
			s.t.Errorf("%s %s: %s lacks %s", method, path, text, w)
		}
	}
	if status >= http.StatusBadRequest && resp.Header.Get("Content-Type") != "application/problem+json" {
		s.t.Errorf("%s %s: content type %s", method, path, resp.Header.Get("Content-Type"))
	}
	o, err := document.ParseObject(text)
	if err != nil && status != http.StatusNoContent {
		s.t.Errorf("%s %s: %v: %s", method, path, err, text)
	}
	return o
}

func TestRights(t *testing.T) {
	s := newStand(t)
	const incidentBody = `{"title":"t","impact":"minor","status":"investigating","text":"x"}`
	for _, c := range []struct {
		method, path, body string
		may                string // all but these are refused
	}{
		{"GET", "/v1/alerts", "", "support oncall"},
		{"GET", "/v1/alerts/a", "", "support oncall"},
		{"POST", "/v1/alerts/a/ack", "", "oncall"},
		{"POST", "/v1/alerts/a/unack", "", "oncall"},
		{"POST", "/v1/alerts/a/resolve", "", "oncall"},
		{"GET", "/v1/silences", "", "viewer support oncall"},
		{"POST", "/v1/silences", `{"matchers":{"service":"api"},"ends_at":"2026-01-02T04:00:00Z"}`, "oncall"},
		{"GET", "/v1/incidents", "", "viewer support oncall"},
		{"POST", "/v1/incidents", incidentBody, "oncall"},
		{"GET", "/v1/changes", "", "viewer support oncall"},
		{"POST", "/v1/changes", `{"kind":"other","text":"x"}`, "oncall"},
		{"GET", "/v1/watches/down/history", "", "oncall"},
		{"POST", "/v1/watches/down/replay", `{"from":"2026-01-02T03:00:00Z"}`, "oncall"},
		{"GET", "/v1/views/logs", "", "nobody viewer support oncall"},
		{"PUT", "/v1/views/logs/x", `{"query":"a=b"}`, "nobody viewer support oncall"},
	} {
		s.call("stranger", c.method, c.path, c.body, http.StatusUnauthorized, `"type":"/problems/unauthenticated"`)
		for _, user := range []string{"nobody", "viewer", "support", "oncall"} {
			status := http.StatusForbidden
			if strings.Contains(c.may, user) {
				status = http.StatusOK
				if c.method == "POST" && c.path != "/v1/watches/down/replay" && !strings.HasPrefix(c.path, "/v1/alerts") {
					status = http.StatusCreated
				}
			}
			s.call(user, c.method, c.path, c.body, status)
		}
	}
}

func TestAlerts(t *testing.T) {
	s := newStand(t)
	for query, count := range map[string]int{"": 3, "?state=open": 2, "?state=firing": 1, "?state=acknowledged": 1, "?state=resolved&watch=down": 1, "?watch=up": 0} {
		o := s.call("support", "GET", "/v1/alerts"+query, "", 200, `"items":[`)
		if list, _ := document.At(o, "items").([]any); len(list) != count {
			t.Errorf("%s: %d, want %d", query, len(list), count)
		}
	}
	s.call("support", "GET", "/v1/alerts?service=api&from=2026-01-02T03:00:00%2B01:00&to=2026-01-03T00:00:00Z&limit=7", "", 200)
	f := s.alerts.asked
	if f.Service != "api" || f.Limit != 7 || f.From.Hour() != 2 || f.To.Day() != 3 {
		t.Errorf("asked %+v", f)
	}
	for query, field := range map[string]string{"state=bad": "state", "limit=0": "limit", "limit=1001": "limit", "limit=x": "limit", "from=today": "from", "page=2": "page"} {
		s.call("support", "GET", "/v1/alerts?"+query, "", 400, `"field":"`+field+`"`)
	}
	s.call("support", "GET", "/v1/alerts/a", "", 200, `"id":"a"`, `"watch_id":"down"`, `"state":"firing"`, `"started_at":"2026-01-02T03:03:05Z"`)
	s.call("support", "GET", "/v1/alerts/x", "", 404)
	s.call("oncall", "POST", "/v1/alerts/x/ack", "", 404)
	s.call("oncall", "POST", "/v1/alerts/a/ack", "", 200, `"state":"acknowledged"`, `"acknowledged_by":"oncall"`)
	s.call("oncall", "POST", "/v1/alerts/a/ack", "", 409, `"The alert is acknowledged."`)
	s.call("oncall", "POST", "/v1/alerts/a/unack", "", 200, `"state":"firing"`)
	s.call("oncall", "POST", "/v1/alerts/a/resolve", "", 200, `"state":"resolved"`, `"resolved_by":"oncall"`)
	s.call("oncall", "POST", "/v1/alerts/a/resolve", "", 409)
	s.call("oncall", "DELETE", "/v1/alerts/a", "", 405)
}

func TestSilences(t *testing.T) {
	s := newStand(t)
	for body, field := range map[string]string{
		`{"matchers":{"service":"api"}}`:                                                          "ends_at",
		`{"matchers":{"service":"api"},"ends_at":"2026-01-02T03:00:00Z"}`:                         "ends_at",
		`{"ends_at":"2026-01-02T04:00:00Z"}`:                                                      "matchers",
		`{"matchers":{"severity":"bad"},"ends_at":"2026-01-02T04:00:00Z"}`:                        "matchers.severity",
		`{"maintenance":true,"ends_at":"2026-01-02T04:00:00Z"}`:                                   "title",
		`{"matchers":{"service":"api"},"title":"x","ends_at":"2026-01-02T04:00:00Z"}`:             "maintenance",
		`{"maintenance":true,"title":"x","components":[""],"ends_at":"2026-01-02T04:00:00Z"}`:     "components",
		`{"maintenance":true,"title":"x","starts_at":"soon","ends_at":"2026-01-02T04:00:00Z"}`:    "starts_at",
		`{"matchers":{"service":"api"},"created_by":"somebody","ends_at":"2026-01-02T04:00:00Z"}`: "created_by",
	} {
		s.call("oncall", "POST", "/v1/silences", body, 400, `"field":"`+field+`"`)
	}
	made := s.call("oncall", "POST", "/v1/silences", `{"matchers":{"service":"api"},"ends_at":"2026-01-02T04:00:00Z","comment":"known"}`, 201,
		`"created_by":"oncall"`, `"starts_at":"2026-01-02T03:04:05Z"`)
	s.call("oncall", "POST", "/v1/silences", `{"maintenance":true,"title":"New disks","components":["Feed"],"starts_at":"2026-01-02T04:00:00Z","ends_at":"2026-01-02T05:00:00Z"}`, 201,
		`"maintenance":true`, `"title":"New disks"`, `"components":["Feed"]`)
	for user, count := range map[string]int{"viewer": 1, "support": 2} {
		o := s.call(user, "GET", "/v1/silences", "", 200)
		if list, _ := document.At(o, "items").([]any); len(list) != count {
			t.Errorf("%s sees %d, want %d", user, len(list), count)
		}
	}
	path := "/v1/silences/" + document.String(document.At(made, "id"))
	s.call("oncall", "DELETE", path, "", 204)
	s.call("oncall", "DELETE", path, "", 404)

	// What is over is listed by itself, page by page; a viewer sees maintenance only.
	s.alerts.silences = nil
	for n := range 3 {
		s.alerts.silences = append(s.alerts.silences, alert.Silence{ID: fmt.Sprintf("ended-%d", n), Maintenance: n != 1, EndsAt: now})
	}
	s.call("support", "GET", "/v1/silences", "", 200, `"items":[]`)
	s.call("support", "GET", "/v1/silences?state=ended&limit=2", "", 200, `"id":"ended-0"`, `"id":"ended-1"`, `"next":"ended-1"`)
	for query, count := range map[string]int{"after=ended-1&limit=2": 1, "": 3} {
		o := s.call("support", "GET", "/v1/silences?state=ended&"+query, "", 200)
		if list, _ := document.At(o, "items").([]any); len(list) != count || document.At(o, "next") != nil {
			t.Errorf("%s: %d, next %v", query, len(list), document.At(o, "next"))
		}
	}
	o := s.call("viewer", "GET", "/v1/silences?state=ended", "", 200, `"id":"ended-0"`, `"id":"ended-2"`)
	if list, _ := document.At(o, "items").([]any); len(list) != 2 {
		t.Errorf("a viewer sees %d", len(list))
	}
	s.call("support", "GET", "/v1/silences?state=all", "", 400, `"field":"state"`)
}

func TestIncidentsAndChanges(t *testing.T) {
	s := newStand(t)
	s.call("oncall", "POST", "/v1/incidents", `{"title":"Slow","impact":"minor","status":"investigating"}`, 400, `"field":"text"`)
	made := s.call("oncall", "POST", "/v1/incidents", `{"title":"Slow","impact":"minor","status":"investigating","text":"Feeds are slow.","components":["Feed"]}`, 201,
		`"opened_by":"oncall"`, `"state":"open"`, `"components":["Feed"]`)
	id := document.String(document.At(made, "id"))
	s.call("viewer", "GET", "/v1/incidents?state=open", "", 200, `"id":"`+id+`"`)
	s.call("viewer", "GET", "/v1/incidents?state=closed", "", 200, `"items":[]`)
	s.call("viewer", "GET", "/v1/incidents?state=all", "", 400, `"field":"state"`)
	for n := range 2 {
		s.incidents.kept[fmt.Sprint("old-", n)] = incident.Stored{Incident: incident.Incident{ID: fmt.Sprint("old-", n), State: incident.Closed}}
	}
	s.call("viewer", "GET", "/v1/incidents?state=closed&limit=1", "", 200, `"id":"old-0"`, `"next":"old-0"`)
	if last := s.call("viewer", "GET", "/v1/incidents?state=closed&limit=1&after=old-0", "", 200, `"id":"old-1"`); document.At(last, "next") != nil {
		t.Error("there is a page after the last one")
	}
	s.call("viewer", "GET", "/v1/incidents/x", "", 404)
	s.call("oncall", "POST", "/v1/incidents/"+id+"/notes", `{"text":"the cache"}`, 201, `"kind":"note"`)
	s.call("oncall", "POST", "/v1/incidents/"+id+"/notes", `{}`, 400, `"field":"text"`)
	s.call("oncall", "POST", "/v1/incidents/"+id+"/updates", `{"text":"We know why.","status":"identified","impact":"major"}`, 201,
		`"status":"identified"`, `"impact":"major"`, `"title":"Slow"`)
	s.call("oncall", "POST", "/v1/incidents/"+id+"/close", "", 200, `"state":"closed"`, `"closed_by":"oncall"`)
	s.call("oncall", "POST", "/v1/incidents/"+id+"/close", `{"text":"again"}`, 409)

	s.call("oncall", "POST", "/v1/changes", `{"kind":"deploy","service":"api","version":"1.2","at":"2026-01-02T03:00:00Z"}`, 201, `"by":"oncall"`, `"at":"2026-01-02T03:00:00Z"`)
	s.call("oncall", "POST", "/v1/changes", `{"kind":"magic","text":"x"}`, 400, `"field":"kind"`)
	s.call("viewer", "GET", "/v1/changes?from=2026-01-02T00:00:00Z", "", 200, `"version":"1.2"`)
	s.call("viewer", "GET", "/v1/changes?from=2026-01-02T03:00:01Z", "", 200, `"items":[]`)
}

func TestHistoryAndReplay(t *testing.T) {
	s := newStand(t)
	s.call("oncall", "GET", "/v1/watches/down/history?limit=5", "", 200, `"duration_ms":5`, `"condition_met":true`, `"reason":"acknowledged"`)
	s.call("oncall", "GET", "/v1/watches/none/history", "", 404)

	for body, field := range map[string]string{
		`{}`:                              "from",
		`{"from":"2026-01-03T00:00:00Z"}`: "from",
		`{"from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}`: "from",
		`{"from":"2026-01-02T00:00:00Z","step":"1ms"}`:                "step",
	} {
		s.call("oncall", "POST", "/v1/watches/down/replay", body, 400, `"field":"`+field+`"`)
	}
	s.call("oncall", "POST", "/v1/watches/down/replay", `{"from":"2020-01-02T00:00:00Z","step":"1m"}`, 422, `"field":"step"`)
	s.call("oncall", "POST", "/v1/watches/none/replay", `{"from":"2026-01-02T02:00:00Z"}`, 404)
	if len(s.searches) > 0 {
		t.Errorf("%d searches for what can't be replayed", len(s.searches))
	}
	o := s.call("oncall", "POST", "/v1/watches/down/replay", `{"from":"2026-01-02T02:00:30Z","to":"2026-01-02T03:00:00Z","step":"5m"}`, 200,
		`"changes":["input.search.request.body.query.range`)
	for path, want := range map[string]string{
		"runs": "11", "failed": "0", "intervals.0.from": "2026-01-02T02:30:30Z", "intervals.0.to": "2026-01-02T02:50:30Z",
		"alerts.0.state": "resolved", "alerts.0.routes.0.channel": "pagerduty", "pages": "1", "resolved": "1",
	} {
		if got := document.String(document.At(o, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	s.blind = true
	s.call("oncall", "POST", "/v1/watches/down/replay", `{"from":"2026-01-02T02:00:30Z"}`, 403, "logs-x")
	for _, as := range s.searches {
		if as != "oncall" {
			t.Fatalf("searched as %q", as)
		}
	}
}

func TestViews(t *testing.T) {
	s := newStand(t)
	s.call("viewer", "PUT", "/v1/views/logs/mine", `{"query":"q=error&from=-1h"}`, 200, `"owner":"viewer"`, `"shared":false`)
	s.call("viewer", "PUT", "/v1/views/logs/ours", `{"query":"q=error","shared":true}`, 200)
	s.call("viewer", "PUT", "/v1/views/logs/long", `{"query":"`+strings.Repeat("x", 8001)+`"}`, 400, `"field":"query"`)
	s.call("support", "GET", "/v1/views/logs/mine", "", 404)
	s.call("support", "GET", "/v1/views/logs/ours", "", 200, `"query":"q=error"`)
	for user, count := range map[string]int{"viewer": 2, "support": 1} {
		if list, _ := document.At(s.call(user, "GET", "/v1/views/logs", "", 200), "items").([]any); len(list) != count {
			t.Errorf("%s sees %d", user, len(list))
		}
	}
	s.call("support", "DELETE", "/v1/views/logs/ours", "", 404)
	s.call("viewer", "DELETE", "/v1/views/logs/ours", "", 204)
}
