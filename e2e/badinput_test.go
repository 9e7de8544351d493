package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pharos/internal/fault"
)

// TestBadInput asks for what can't be had: each answer is a 4xx that says why.
func TestBadInput(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "bad")
	auth := u.auth()
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	parts := strings.Split(u.token, ".")
	const none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"

	for name, tt := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		code               fault.Code
		field              string
	}{
		"unknown user":        {"POST", "/v1/sessions", `{"handle":"nobody_at_all","password":"12345678"}`, nil, 401, fault.InvalidCredentials, ""},
		"wrong password":      {"POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":"wrong password"}`, u.Handle), nil, 401, fault.InvalidCredentials, ""},
		"handle is an object": {"POST", "/v1/sessions", `{"handle":{"$ne":""},"password":"x"}`, nil, 400, fault.MalformedBody, "handle"},
		"no password":         {"POST", "/v1/sessions", `{"handle":"ada"}`, nil, 400, fault.InvalidParameter, "password"},
		"taken handle":        {"POST", "/v1/users", fmt.Sprintf(`{"handle":%q,"name":"x","password":"12345678"}`, u.Handle), nil, 409, fault.Conflict, "handle"},
		"bad handle":          {"POST", "/v1/users", `{"handle":"a b","name":"x","password":"12345678"}`, nil, 400, fault.InvalidParameter, "handle"},
		"short password":      {"POST", "/v1/users", `{"handle":"abc","name":"x","password":"1"}`, nil, 400, fault.InvalidParameter, "password"},
		"no token":            {"GET", "/v1/feed", "", nil, 401, fault.Unauthenticated, ""},
		"basic":               {"GET", "/v1/feed", "", []string{"Authorization", "Basic eDp5"}, 401, fault.Unauthenticated, ""},
		"rubbish token":       {"GET", "/v1/feed", "", bearer("x"), 401, fault.InvalidToken, ""},
		"forged token":        {"GET", "/v1/feed", "", bearer(parts[0] + "." + parts[1] + ".AAAA"), 401, fault.InvalidToken, ""},
		"alg none":            {"GET", "/v1/feed", "", bearer(none + "." + parts[1] + "."), 401, fault.InvalidToken, ""},
		"malformed JSON":      {"POST", "/v1/posts", `{"text":`, auth, 400, fault.MalformedBody, ""},
		"no body":             {"POST", "/v1/posts", "", auth, 400, fault.MalformedBody, ""},
		"unknown field":       {"POST", "/v1/posts", `{"text":"x","to":"y"}`, auth, 400, fault.UnknownField, "to"},
		"empty post":          {"POST", "/v1/posts", `{"text":" "}`, auth, 400, fault.InvalidParameter, "text"},
		"long post":           {"POST", "/v1/posts", `{"text":"` + strings.Repeat("x", 2001) + `"}`, auth, 400, fault.InvalidParameter, "text"},
		"large body":          {"POST", "/v1/posts", `{"text":"` + strings.Repeat("x", 70<<10) + `"}`, auth, 413, fault.BodyTooLarge, ""},
		"no such post":        {"DELETE", "/v1/posts/0198c0de-0000-7000-8000-000000000000", "", auth, 404, fault.NotFound, ""},
		"odd post":            {"DELETE", "/v1/posts/..%2f..%2fusers", "", auth, 404, fault.NotFound, ""},
		"follow nobody":       {"PUT", "/v1/follows/nobody_at_all", "", auth, 404, fault.NotFound, "handle"},
		"follow oneself":      {"PUT", "/v1/follows/" + u.Handle, "", auth, 400, fault.InvalidParameter, "handle"},
		"bad cursor":          {"GET", "/v1/feed?cursor=x", "", auth, 400, fault.InvalidCursor, "cursor"},
		"another's cursor":    {"GET", "/v1/feed?cursor=cmVxdWVzdDoxMjM", "", auth, 400, fault.InvalidCursor, "cursor"},
		"limit 0":             {"GET", "/v1/feed?limit=0", "", auth, 400, fault.InvalidParameter, "limit"},
		"limit 101":           {"GET", "/v1/feed?limit=101", "", auth, 400, fault.InvalidParameter, "limit"},
		"limit abc":           {"GET", "/v1/users/me/requests?limit=abc", "", auth, 400, fault.InvalidParameter, "limit"},
		"unknown parameter":   {"GET", "/v1/feed?page=2", "", auth, 400, fault.InvalidParameter, "page"},
		"two cursors":         {"GET", "/v1/feed?cursor=a&cursor=b", "", auth, 400, fault.InvalidParameter, "cursor"},
		"n negative":          {"GET", "/tasks/fibonacci?n=-1", "", nil, 400, fault.InvalidParameter, "n"},
		"n 1e9":               {"GET", "/tasks/factorial?n=1e9", "", nil, 400, fault.InvalidParameter, "n"},
		"n 1000000000":        {"GET", "/tasks/factorial?n=1000000000", "", nil, 422, fault.LimitExceeded, "n"},
		"n abc":               {"GET", "/tasks/fibonacci?n=abc", "", nil, 400, fault.InvalidParameter, "n"},
		"n missing":           {"GET", "/tasks/fibonacci", "", nil, 400, fault.InvalidParameter, "n"},
		"m 5":                 {"GET", "/tasks/ackermann?m=5&n=1", "", nil, 422, fault.LimitExceeded, "m"},
		"m missing":           {"GET", "/tasks/ackermann?n=1", "", nil, 400, fault.InvalidParameter, "m"},
		"no such path":        {"GET", "/v2/feed", "", nil, 404, fault.NotFound, ""},
		"wrong method":        {"PATCH", "/v1/feed", "", auth, 405, fault.MethodNotAllowed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.do(t, tt.method, tt.path, tt.body, tt.header...)
			if ct := a.header.Get("Content-Type"); ct != fault.ContentType {
				t.Fatalf("%d %s: %s", a.status, ct, a.body)
			}
			var p fault.Problem
			a.decode(t, &p)
			if a.status != tt.status || p.Status != tt.status || p.Fault().Code != tt.code || p.Field != tt.field {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if p.Detail == "" || p.TraceID == "" || p.TraceID != a.traceID() || p.RequestID != a.requestID() {
				t.Errorf("ids or detail missing: %s, header %v", a.body, a.header)
			}
			if strings.Contains(string(a.body), "goroutine") || strings.Contains(string(a.body), ".go:") {
				t.Errorf("a stack trace: %s", a.body)
			}
		})
	}
	for _, path := range []string{"/metrics", "/readyz"} {
		if a := c.do(t, "GET", path, ""); a.status != http.StatusNotFound || a.header.Get("Content-Type") != fault.ContentType {
			t.Errorf("%s through nginx: %d %s", path, a.status, a.body)
		}
	}
	if a := c.do(t, "POST", "/v1/posts", strings.Repeat("x", 2<<20), auth...); a.status != http.StatusRequestEntityTooLarge || a.header.Get("Content-Type") != fault.ContentType {
		t.Errorf("a body beyond nginx's limit: %d %s", a.status, a.body)
	}
}

func TestSignOutEndsTheToken(t *testing.T) {
	c := newClient(open(t))
	u := c.signUp(t, "leaver")
	other := user{ID: u.ID, Handle: u.Handle, token: c.signIn(t, u.Handle)}
	for range 4 { // both instances of api know the session
		c.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...)
	}
	c.want(t, http.StatusNoContent, "DELETE", "/v1/sessions/current", "", u.auth()...)
	for range 4 {
		a := c.want(t, http.StatusUnauthorized, "GET", "/v1/feed", "", u.auth()...)
		var p fault.Problem
		a.decode(t, &p)
		if p.Fault().Code != fault.SessionEnded {
			t.Errorf("got %s", a.body)
		}
	}
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", other.auth()...)
}

// TestOperators looks a user up, sees what that user asked for, suspends and
// reactivates the user.
func TestOperators(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "suspended")
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...)
	key := []string{"X-Api-Key", s.OperatorKey}
	var account struct {
		ID, Handle  string
		SuspendedAt *time.Time `json:"suspended_at"`
	}
	c.want(t, http.StatusOK, "GET", "/v1/admin/users?handle="+u.Handle, "", key...).decode(t, &account)
	if account.ID != u.ID || account.SuspendedAt != nil {
		t.Errorf("account %+v", account)
	}
	for path, status := range map[string]int{
		"/v1/admin/users?handle=nobody_at_all": 404, "/v1/admin/users": 400, "/v1/admin/users/" + u.ID + "/requests?limit=0": 400,
	} {
		c.want(t, status, "GET", path, "", key...)
	}
	c.want(t, http.StatusNotFound, "PUT", "/v1/admin/users/nobody/suspension", "", key...)
	for _, id := range []string{"nobody", "%F0%9F%98%80", "%ff"} { // the last two are no text that MySQL compares with ids
		c.want(t, http.StatusNotFound, "GET", "/v1/admin/users/"+id+"/requests", "", key...)
	}
	c.want(t, http.StatusUnauthorized, "GET", "/v1/admin/users?handle="+u.Handle, "", u.auth()...)
	c.want(t, http.StatusForbidden, "GET", "/v1/admin/users?handle="+u.Handle, "", "X-Api-Key", "wrong")
	eventually(t, 10*time.Second, "the user's requests are seen", func() string {
		a := c.want(t, http.StatusOK, "GET", "/v1/admin/users/"+u.ID+"/requests", "", key...)
		if !strings.Contains(string(a.body), "/v1/feed") {
			return string(a.body)
		}
		return ""
	})

	c.want(t, http.StatusNoContent, "PUT", "/v1/admin/users/"+u.ID+"/suspension", "", key...)
	eventually(t, 30*time.Second, "the suspension holds everywhere", func() string {
		for range 4 {
			if a := c.do(t, "GET", "/v1/feed", "", u.auth()...); a.status != http.StatusForbidden {
				return fmt.Sprintf("answered %d %s", a.status, a.body)
			}
		}
		return ""
	})
	a := c.want(t, http.StatusForbidden, "POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":%q}`, u.Handle, password))
	var p fault.Problem
	a.decode(t, &p)
	if p.Fault().Code != fault.UserSuspended {
		t.Errorf("got %s", a.body)
	}
	c.want(t, http.StatusNoContent, "DELETE", "/v1/admin/users/"+u.ID+"/suspension", "", key...)
	c.signIn(t, u.Handle)
}

// TestFeed checks what followers see, through the cache: pages, new posts,
// deleted ones, and unfollowing, each at once.
func TestFeed(t *testing.T) {
	c := newClient(open(t))
	a, b, reader := c.signUp(t, "a"), c.signUp(t, "b"), c.signUp(t, "r")
	read := func(path string) ([]string, string) {
		t.Helper()
		var page feedPage
		c.want(t, http.StatusOK, "GET", path, "", reader.auth()...).decode(t, &page)
		texts := []string{}
		for _, item := range page.Items {
			texts = append(texts, item.Text)
		}
		return texts, page.NextCursor
	}
	expect := func(want ...string) {
		t.Helper()
		for range 3 { // from the store, then from the cache
			if got, _ := read("/v1/feed"); strings.Join(got, ",") != strings.Join(want, ",") {
				t.Errorf("feed %v, want %v", got, want)
			}
		}
	}
	post := func(u user, text string) string {
		t.Helper()
		var p struct{ ID string }
		c.want(t, http.StatusCreated, "POST", "/v1/posts", fmt.Sprintf(`{"text":%q}`, text), u.auth()...).decode(t, &p)
		return p.ID
	}
	expect()
	post(a, "a1")
	expect()
	c.want(t, http.StatusNoContent, "PUT", "/v1/follows/"+a.Handle, "", reader.auth()...)
	expect("a1")
	c.want(t, http.StatusNoContent, "PUT", "/v1/follows/"+b.Handle, "", reader.auth()...)
	b1 := post(b, "b1")
	expect("b1", "a1")
	post(a, "a2")
	post(reader, "own")
	expect("a2", "b1", "a1")

	var paged []string
	next := "/v1/feed?limit=2"
	for range 5 {
		texts, cursor := read(next)
		paged = append(paged, texts...)
		if cursor == "" {
			break
		}
		next = "/v1/feed?limit=2&cursor=" + cursor
	}
	if strings.Join(paged, ",") != "a2,b1,a1" {
		t.Errorf("page by page: %v", paged)
	}

	c.want(t, http.StatusNotFound, "DELETE", "/v1/posts/"+b1, "", a.auth()...)
	c.want(t, http.StatusNoContent, "DELETE", "/v1/posts/"+b1, "", b.auth()...)
	expect("a2", "a1")
	c.want(t, http.StatusNoContent, "DELETE", "/v1/follows/"+a.Handle, "", reader.auth()...)
	expect()
}

// TestRequestsAreTracked reads back what a user asked for and got.
func TestRequestsAreTracked(t *testing.T) {
	c := newClient(open(t))
	u := c.signUp(t, "tracked")
	first := c.want(t, http.StatusOK, "GET", "/v1/feed?limit=3", "", u.auth()...)
	c.want(t, http.StatusOK, "GET", "/v1/feed?limit=3", "", u.auth()...)
	c.want(t, http.StatusNotFound, "PUT", "/v1/follows/nobody_at_all", "", u.auth()...)
	type item struct {
		RequestID  string `json:"request_id"`
		TraceID    string `json:"trace_id"`
		Method     string
		Path       string
		Status     int
		Returned   int
		Source     string
		DurationMS float64 `json:"duration_ms"`
		At         time.Time
	}
	var page struct {
		Items      []item
		NextCursor string `json:"next_cursor"`
	}
	eventually(t, 10*time.Second, "the requests are in MySQL", func() string {
		a := c.want(t, http.StatusOK, "GET", "/v1/users/me/requests?limit=100", "", u.auth()...)
		page.Items = nil
		a.decode(t, &page)
		var got []string
		for i := len(page.Items) - 1; i >= 0; i-- {
			if it := page.Items[i]; !strings.HasPrefix(it.Path, "/v1/users/me") {
				got = append(got, fmt.Sprint(it.Method, " ", it.Path, " ", it.Status, " ", it.Source))
			}
		}
		want := []string{"POST /v1/users 201 ", "POST /v1/sessions 201 ", "GET /v1/feed?limit=3 200 mongodb", "GET /v1/feed?limit=3 200 cache", "PUT /v1/follows/nobody_at_all 404 "}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			return fmt.Sprintf("got %q, want %q", got, want)
		}
		return ""
	})
	for _, it := range page.Items {
		if it.RequestID == first.requestID() {
			if it.TraceID != first.traceID() || it.DurationMS <= 0 || time.Since(it.At) > time.Minute {
				t.Errorf("tracked as %+v", it)
			}
			return
		}
	}
	t.Errorf("no request %s in %+v", first.requestID(), page.Items)
}
