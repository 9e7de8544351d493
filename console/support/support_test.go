package support

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pharos/console/operatorapi"
	"pharos/console/pagetest"
	"pharos/elastic"
	"pharos/internal/fault"
)

// users is an API with one user, ada.
type users struct {
	suspended *time.Time
	requests  operatorapi.Requests
	err       error
}

func (u *users) Account(_ context.Context, handle string) (operatorapi.Account, error) {
	if u.err != nil {
		return operatorapi.Account{}, u.err
	}
	if handle != "ada" {
		return operatorapi.Account{}, fault.Field(fault.NotFound, "handle", "There is no user with this handle.")
	}
	return operatorapi.Account{ID: "u-1", Handle: "ada", Name: "<Ada>", CreatedAt: time.Unix(0, 0), SuspendedAt: u.suspended}, nil
}

func (u *users) Requests(_ context.Context, _, _ string, _ int) (operatorapi.Requests, error) {
	return u.requests, nil
}

func (u *users) Suspend(context.Context, string) error {
	at := pagetest.Now()
	u.suspended = &at
	return nil
}

func (u *users) Reactivate(context.Context, string) error { u.suspended = nil; return nil }

// A line as Filebeat wrote it.
const failedLine = `{"@timestamp":"2026-11-21T11:58:53.758Z","message":"GET /v1/feed 404","trace":{"id":"bc74339325908ef1385e11970f008ad7"},
"http":{"request":{"method":"GET","id":"4c78"},"route":"/v1/feed","response":{"status_code":404,"body":{"bytes":50}}},"event":{"duration":8645151},
"error":{"message":"not-found: <script>"},"user":{"id":"u-1"}}`

func stand(t *testing.T, api *users, rights func() elastic.Rights) (*pagetest.Stand, *observer.ObservedLogs) {
	t.Helper()
	core, lines := observer.New(zap.InfoLevel)
	answer := func(_ string, body map[string]any) (int, string) {
		hit := failedLine
		if body["size"].(float64) == 10 {
			hit = `{"@timestamp":"2026-11-20T08:00:00Z","event":{"action":"user-suspended","reason":"spam"},"user":{"id":"support"}}`
		}
		return 0, `{"hits":{"total":{"value":7},"hits":[{"_source":` + hit + `}]}}`
	}
	s := Support{API: api, Log: zap.New(core)}
	c := pagetest.New(t)
	c.Search, c.Rights = answer, func(string) elastic.Rights { return rights() }
	s.Actions(c.Site)
	c.Add(s.Page())
	return c, lines
}

func all() elastic.Rights { return pagetest.Rights() }

func TestAUser(t *testing.T) {
	t.Parallel()
	api := &users{requests: operatorapi.Requests{NextCursor: "c2", Items: []operatorapi.Request{
		{RequestID: "r1", TraceID: "t1", Method: "GET", Path: "/v1/feed?q=<i>", Status: 200, Returned: 3, Source: "mongodb", Millis: 12.5, At: pagetest.Now()},
	}}}
	c, _ := stand(t, api, all)
	status, body := c.Get("/support?handle=ada")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{
		"&lt;Ada&gt;", "active", "act=suspend", "7 in the log", "8.65 ms", "not-found: &lt;script&gt;", "/traces/bc74339325908ef1385e11970f008ad7",
		"GET /v1/feed?q=&lt;i&gt;", "12.5 ms", "mongodb", "/traces/t1", "cursor=c2", "spam", "http.request.id%3A%22r1%22",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	var v View
	c.JSON("/support.json?handle=ada", &v)
	if !v.MaySuspend || v.Account.Data.ID != "u-1" || v.Failures.Data.Total != 7 || v.Failures.Data.Lines[0].Status != 404 || v.Changes.Data[0].By != "support" {
		t.Errorf("%+v", v)
	}
	if _, body := c.Get("/support?handle=ada&act=suspend"); !strings.Contains(body, `action="/support/suspend?`) || !strings.Contains(body, `name="reason"`) {
		t.Error("no form to confirm")
	}
	if _, body := c.Get("/support?handle=nobody"); !strings.Contains(body, "Nobody has the handle") {
		t.Error(body)
	}
	if status, _ := c.Get("/support?handle=" + strings.Repeat("a", 65)); status != http.StatusBadRequest {
		t.Errorf("a long handle: %d", status)
	}
	api.err = fault.New(fault.Unavailable, "The public API does not answer the console.")
	if status, body := c.Get("/support?handle=ada"); status != http.StatusOK || !strings.Contains(body, "does not answer the console") {
		t.Errorf("%d %s", status, body)
	}
}

func TestSuspendAndReactivate(t *testing.T) {
	t.Parallel()
	api := &users{}
	c, lines := stand(t, api, all)
	form := url.Values{"id": {"u-1"}, "handle": {"ada"}, "reason": {" spam "}}
	if status, _, body := c.Post("/support/suspend", form); status != http.StatusSeeOther || api.suspended == nil {
		t.Fatalf("%d %s", status, body)
	}
	if _, body := c.Get("/support?handle=ada"); !strings.Contains(body, "act=reactivate") {
		t.Error("a suspended user can't be reactivated")
	}
	if status, _, _ := c.Post("/support/reactivate", form); status != http.StatusSeeOther || api.suspended != nil {
		t.Fatal(status)
	}
	var actions []any
	for _, l := range lines.All() {
		fields := l.ContextMap()
		if fields["user.id"] != "reader" || fields["event.reason"] != "spam" || fields["labels.target_user_id"] != "u-1" {
			t.Errorf("%v", fields)
		}
		actions = append(actions, fields["event.action"])
	}
	if len(actions) != 2 || actions[0] != "user-suspended" || actions[1] != "user-reactivated" {
		t.Errorf("%v", actions)
	}
}

func TestWhatIsNotDone(t *testing.T) {
	t.Parallel()
	good := url.Values{"id": {"u-1"}, "handle": {"ada"}, "reason": {"spam"}}
	change := func(name, value string) url.Values {
		form := maps.Clone(good)
		form.Set(name, value)
		return form
	}
	// withdrawn has the rights at sign-in, and none any more when it counts.
	withdrawn := func() func() elastic.Rights {
		asked := 0
		return func() elastic.Rights {
			if asked++; asked == 1 {
				return all()
			}
			return pagetest.Rights("user:suspend")
		}
	}
	for name, tc := range map[string]struct {
		form   url.Values
		rights func() elastic.Rights
		status int
	}{
		"no reason":          {change("reason", " "), all, http.StatusBadRequest},
		"a long reason":      {change("reason", strings.Repeat("a", 501)), all, http.StatusBadRequest},
		"two lines":          {change("reason", "a\nb"), all, http.StatusBadRequest},
		"another user":       {change("id", "u-2"), all, http.StatusConflict},
		"nobody":             {change("handle", "eve"), all, http.StatusNotFound},
		"may only look":      {good, func() elastic.Rights { return pagetest.Rights("user:suspend") }, http.StatusForbidden},
		"may no longer":      {good, withdrawn(), http.StatusForbidden},
		"a key that is dead": {good, func() elastic.Rights { return elastic.Rights{} }, http.StatusSeeOther}, // to sign in
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &users{}
			c, lines := stand(t, api, tc.rights)
			status, _, body := c.Post("/support/suspend", tc.form)
			if status != tc.status || api.suspended != nil || lines.Len() > 0 {
				t.Errorf("%d, suspended %v, %d lines: %s", status, api.suspended, lines.Len(), body)
			}
		})
	}
}

func TestWhoMayLook(t *testing.T) {
	t.Parallel()
	c, _ := stand(t, &users{}, func() elastic.Rights {
		return pagetest.Rights(elastic.TrafficStream, "logs-pharos-default", "traces-apm-default", "user:suspend")
	})
	if status, _ := c.Get("/support?handle=ada"); status != http.StatusForbidden {
		t.Errorf("the viewer: %d", status)
	}
	c, _ = stand(t, &users{}, func() elastic.Rights { return pagetest.Rights("user:suspend") })
	if status, body := c.Get("/support?handle=ada&act=suspend"); status != http.StatusOK || strings.Contains(body, "act=suspend\"") || strings.Contains(body, "<form method=\"post\" action=\"/support") {
		t.Errorf("may look only: %d %s", status, body)
	}
}
