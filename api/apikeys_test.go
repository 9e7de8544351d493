package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zapcore"

	"pharos/feed"
	"pharos/internal/attempts"
	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/idempotency"
	"pharos/internal/obs"
	"pharos/internal/ratelimit"
	"pharos/internal/redisconn"
	"pharos/internal/resilience"
	"pharos/shop"
)

// A key of ada's for events, as feed would make it.
const (
	eventsKey   = "pharos_0198c0de00007000800000000000abcd_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaan7xrvsy"
	eventsKeyID = "0198c0de-0000-7000-8000-00000000abcd"
)

// fakeFeed is feed as api sees it, with one user and one key.
type fakeFeed struct {
	mu       sync.Mutex
	calls    []string // method and path
	verified fault.Code
	until    *time.Time
	signIns  map[string]fault.Code // by handle; "" is a success
}

func (f *fakeFeed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r.Method+" "+r.URL.Path)
	answer := func(code fault.Code, status int, body any) {
		if code != "" {
			e := fault.New(code, "Feed's word.")
			status, body = e.Status(), e.Problem("", "")
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/api-keys/current":
		if r.Header.Get("X-Api-Key") != eventsKey {
			answer(fault.InvalidKey, 0, nil)
			return
		}
		answer(f.verified, http.StatusOK, feed.Grant{KeyID: eventsKeyID, UserID: "ada", Scopes: []feed.Scope{feed.EventsWrite, feed.PostsWrite}, ExpiresAt: f.until})
	case "POST /v1/sessions":
		var in credentials
		_ = json.NewDecoder(r.Body).Decode(&in)
		answer(f.signIns[in.Handle], http.StatusCreated, feed.Session{ID: "s1", User: feed.User{ID: "ada"}, ExpiresAt: time.Now().Add(time.Hour)})
	default:
		answer("", http.StatusCreated, gin.H{})
	}
}

func (f *fakeFeed) called() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := strings.Join(f.calls, ", ")
	f.calls = nil
	return all
}

// edge is a server before a fake feed, without Redis, and its log.
type edge struct {
	http.Handler
	feed *fakeFeed
	log  *syncBuffer
	now  time.Time
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) Sync() error { return nil }

func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{feed: &fakeFeed{signIns: map[string]fault.Code{}}, log: &syncBuffer{}, now: time.Now()}
	upstream := httptest.NewServer(e.feed)
	t.Cleanup(upstream.Close)
	tel, err := obs.Discard("api")
	if err != nil {
		t.Fatal(err)
	}
	tel.Log = obs.NewLogger(tel.Service, e.log, zapcore.InfoLevel)
	rdb, err := redisconn.Open(redisconn.Config{Addr: "127.0.0.1:1", Password: "x", Timeout: 50 * time.Millisecond, PoolSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb.Close(); err != nil { // so that it fails at once
		t.Fatal(err)
	}
	limiter, err := ratelimit.New(rdb, ratelimit.Config{PerSecond: 1, Burst: 20})
	if err != nil {
		t.Fatal(err)
	}
	signIns, err := attempts.New(rdb, attempts.Config{FreePerHandle: 3, FreePerAddress: 10, FirstWait: time.Minute, MaxWait: time.Hour, Forget: time.Hour}, func() time.Time { return e.now })
	if err != nil {
		t.Fatal(err)
	}
	var cfg Config
	if err := env.ParseMap(&cfg, map[string]string{"FEED_URLS": upstream.URL, "INTERNAL_KEY": string(keyA), "JWT_KEY": string(keyB), "OPERATOR_API_KEY": "operator"}); err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(&cfg, Parts{
		Limiter: limiter, SignIns: signIns, Keys: &idempotency.Keys{},
		Events: NewEvents(EventsOptions{
			Bus: &fakeBus{known: map[string]bool{}}, Dedupe: &fakeBus{known: map[string]bool{}}, Limits: shop.Limits{Future: time.Minute, Age: time.Hour},
			Metrics: shop.NewPublisherMetrics(prometheus.NewRegistry()), Now: time.Now,
		}),
	}, resilience.NewMetrics(tel.Metrics), tel, func() time.Time { return e.now })
	if err != nil {
		t.Fatal(err)
	}
	e.Handler = s.Router(func() bool { return false })
	return e
}

func (e *edge) ask(method, path, body string, header ...string) (*httptest.ResponseRecorder, fault.Problem) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = "127.0.0.1:1" // nginx's
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	var p fault.Problem
	_ = json.Unmarshal(w.Body.Bytes(), &p)
	return w, p
}

// lines are the log's lines with the given field and value.
func (e *edge) lines(t *testing.T, field, value string) []map[string]any {
	t.Helper()
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	var found []map[string]any
	for line := range strings.Lines(e.log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l[field] == value {
			found = append(found, l)
		}
	}
	return found
}

const anEvent = `{"specversion":"1.0","id":"1","source":"/x","type":"shop.view","data":{"session_id":"s","product_id":"p"}}`

func TestKeysAreTakenWhereTheirScopeIs(t *testing.T) {
	e := newEdge(t)
	if _, ok := feed.APIKeyID(eventsKey); !ok {
		t.Fatal("the test's key has a wrong checksum")
	}
	unknown := strings.Replace(eventsKey, "_aaaa", "_baaa", 1)
	token := "Bearer x.y.z"
	for name, tt := range map[string]struct {
		method, path string
		header       []string
		status       int
		code         fault.Code
		detail       string
	}{
		"scope that it has":    {"POST", "/v1/events", []string{"X-Api-Key", eventsKey}, 202, "", ""},
		"scope that it lacks":  {"GET", "/v1/feed", []string{"X-Api-Key", eventsKey}, 403, fault.Forbidden, "feed:read"},
		"jobs":                 {"GET", "/v1/jobs/1", []string{"X-Api-Key", eventsKey}, 403, fault.Forbidden, "jobs:write"},
		"a key makes no key":   {"POST", "/v1/api-keys", []string{"X-Api-Key", eventsKey}, 403, fault.Forbidden, "takes no API key"},
		"a key lists no keys":  {"GET", "/v1/api-keys", []string{"X-Api-Key", eventsKey}, 403, fault.Forbidden, "takes no API key"},
		"a key signs none out": {"DELETE", "/v1/sessions/current", []string{"X-Api-Key", eventsKey}, 403, fault.Forbidden, "takes no API key"},
		"operators' functions": {"GET", "/v1/functions", []string{"X-Api-Key", eventsKey}, 403, fault.Forbidden, "operator"},
		"operators' look-up":   {"GET", "/v1/admin/users?handle=ada", []string{"X-Api-Key", eventsKey}, 403, fault.Forbidden, "operator"},
		"the operator's key":   {"POST", "/v1/events", []string{"X-Api-Key", "operator"}, 401, fault.InvalidKey, "malformed"},
		"a typo":               {"POST", "/v1/events", []string{"X-Api-Key", unknown}, 401, fault.InvalidKey, "malformed"},
		"key and token":        {"POST", "/v1/events", []string{"X-Api-Key", eventsKey, "Authorization", token}, 400, fault.InvalidParameter, "not both"},
		"neither":              {"POST", "/v1/events", nil, 401, fault.Unauthenticated, "Bearer"},
		"the key as a token":   {"POST", "/v1/events", []string{"Authorization", "Bearer " + eventsKey}, 401, fault.InvalidToken, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := e.ask(tt.method, tt.path, anEvent, tt.header...)
			if w.Code != tt.status || tt.code != "" && p.Fault().Code != tt.code || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	if calls := e.feed.called(); calls != "GET /v1/api-keys/current" {
		t.Errorf("feed was asked %q, want once what the key allows", calls)
	}
	if text := e.log.String(); strings.Contains(text, eventsKey[40:]) {
		t.Errorf("the key is in the log:\n%s", text)
	}
	lines := e.lines(t, "labels.api_key_id", eventsKeyID)
	if len(lines) != 3 || lines[0]["user.id"] != "ada" {
		t.Errorf("lines of the key: %v", lines)
	}
}

func TestKeysEnd(t *testing.T) {
	e := newEdge(t)
	post := func() (int, fault.Code) {
		w, p := e.ask("POST", "/v1/events", anEvent, "X-Api-Key", eventsKey)
		if w.Code < 400 {
			return w.Code, ""
		}
		return w.Code, p.Fault().Code
	}
	expect := func(name string, status int, code fault.Code, calls string) {
		t.Helper()
		gotStatus, gotCode := post()
		if called := e.feed.called(); gotStatus != status || gotCode != code || called != calls {
			t.Errorf("%s: %d %s, feed was asked %q", name, gotStatus, gotCode, called)
		}
	}
	const ask = "GET /v1/api-keys/current"
	expect("first", 202, "", ask)
	expect("known", 202, "", "")
	e.feed.verified = fault.UserSuspended
	e.now = e.now.Add(10 * time.Second)
	expect("suspended", 403, fault.UserSuspended, ask)
	expect("still suspended", 403, fault.UserSuspended, ask)
	e.feed.verified = ""
	until := e.now.Add(5 * time.Second)
	e.feed.until = &until
	expect("reactivated", 202, "", ask)
	e.now = until
	expect("expired", 401, fault.InvalidKey, "")
	e.feed.until = nil
	e.now = e.now.Add(10 * time.Second)
	expect("asked again", 202, "", ask)

	// Revoking it here is known here at once.
	token, err := (&tokenMaker{e.now}).token()
	if err != nil {
		t.Fatal(err)
	}
	if w, _ := e.ask("DELETE", "/v1/api-keys/"+eventsKeyID, "", "Authorization", "Bearer "+token); w.Code != 204 {
		t.Fatalf("revoke: %d %s", w.Code, w.Body)
	}
	e.feed.called()
	e.feed.verified = fault.InvalidKey
	expect("revoked", 401, fault.InvalidKey, ask)
}

// tokenMaker signs what newEdge's server takes for a token of ada's.
type tokenMaker struct{ now time.Time }

func (m *tokenMaker) token() (string, error) {
	keys, err := NewTokenKeys(keyB, nil, func() time.Time { return m.now })
	if err != nil {
		return "", err
	}
	return keys.sign(feed.Session{ID: "s1", User: feed.User{ID: "ada"}, ExpiresAt: m.now.Add(time.Hour)})
}

func TestKeysHaveBucketsOfTheirOwn(t *testing.T) {
	e := newEdge(t)
	token, err := (&tokenMaker{e.now}).token()
	if err != nil {
		t.Fatal(err)
	}
	refused := false
	for range 60 {
		w, _ := e.ask("POST", "/v1/events", anEvent, "X-Api-Key", eventsKey)
		refused = refused || w.Code == http.StatusTooManyRequests
	}
	if !refused {
		t.Error("the key is not limited")
	}
	if w, _ := e.ask("POST", "/v1/events", anEvent, "Authorization", "Bearer "+token); w.Code != http.StatusAccepted {
		t.Errorf("the key's user: %d %s", w.Code, w.Body)
	}
}

func TestBadKeysToBeMade(t *testing.T) {
	e := newEdge(t)
	token, err := (&tokenMaker{e.now}).token()
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		`{"name":"x","scopes":["feed:read","feed:write"]}`:                        "422 unknown-scope scopes[1]",
		`{"name":"x","scopes":[]}`:                                                "400 invalid-parameter scopes",
		`{"name":"x","scopes":"feed:read"}`:                                       "400 malformed-body scopes",
		`{"name":"","scopes":["feed:read"]}`:                                      "400 invalid-parameter name",
		`{"name":"x","scopes":["feed:read"],"expires_at":"soon"}`:                 "400 invalid-parameter expires_at",
		`{"name":"x","scopes":["feed:read"],"expires_at":"2001-01-01T00:00:00Z"}`: "400 invalid-parameter expires_at",
		`{"name":"x","scopes":["feed:read"],"user_id":"eve"}`:                     "400 unknown-field user_id",
	} {
		w, p := e.ask("POST", "/v1/api-keys", body, "Authorization", "Bearer "+token)
		if got := fmt.Sprintf("%d %s %s", w.Code, p.Fault().Code, p.Field); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
	if w, _ := e.ask("POST", "/v1/api-keys", `{"name":"x","scopes":["feed:read"],"expires_at":null}`, "Authorization", "Bearer "+token); w.Code != 201 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestFailedSignInsAreSlowedAndLogged(t *testing.T) {
	e := newEdge(t)
	e.feed.signIns = map[string]fault.Code{"eve": fault.InvalidCredentials, "my password": fault.InvalidCredentials, "away": fault.Unavailable, "banned": fault.UserSuspended}
	signIn := func(handle, address string) *httptest.ResponseRecorder {
		w, _ := e.ask("POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":"secret"}`, handle), httpserver.RequestIDHeader, "r1", "X-Forwarded-For", address)
		return w
	}
	expect := func(name string, w *httptest.ResponseRecorder, status int, retryAfter string) {
		t.Helper()
		if w.Code != status || w.Header().Get("Retry-After") != retryAfter {
			t.Errorf("%s: %d, Retry-After %q, %s", name, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	}
	for i := range 3 {
		expect("free", signIn("eve", fmt.Sprintf("192.0.2.%d", i)), 401, "")
	}
	e.feed.called()
	e.feed.signIns["eve"] = "" // from here on the password is right
	expect("slowed", signIn("eve", "192.0.2.9"), 429, "60")
	if calls := e.feed.called(); calls != "" {
		t.Errorf("the password was looked at: %s", calls)
	}
	e.now = e.now.Add(time.Minute)
	expect("waited", signIn("eve", "192.0.2.9"), 201, "")
	e.feed.signIns["eve"] = fault.InvalidCredentials
	expect("the success made the next free", signIn("eve", "192.0.2.9"), 401, "")

	for range 5 {
		expect("feed away", signIn("away", "192.0.2.9"), 503, "")
		expect("suspended, with the right password", signIn("banned", "192.0.2.9"), 403, "")
	}
	expect("no handle", signIn("my password", "192.0.2.9"), 401, "")
	expect("long", signIn(strings.Repeat("x", 101), "192.0.2.9"), 401, "")

	failed, slowed := e.lines(t, "event.action", "sign-in-failed"), e.lines(t, "event.action", "sign-in-slowed")
	if len(failed) != 6 || len(slowed) != 1 {
		t.Fatalf("%d failures and %d refusals are logged: %s", len(failed), len(slowed), e.log)
	}
	for _, l := range append(failed, slowed...) {
		if fmt.Sprint(l["event.category"]) != "[authentication]" || l["event.outcome"] != "failure" || l["http.request.id"] != "r1" || l["trace.id"] == nil ||
			!strings.HasPrefix(fmt.Sprint(l["client.ip"]), "192.0.2.") {
			t.Errorf("line %v", l)
		}
	}
	if failed[0]["user.name"] != "eve" || failed[0]["log.level"] != "info" || slowed[0]["log.level"] != "warn" || failed[4]["user.name"] != nil || failed[5]["user.name"] != nil {
		t.Errorf("lines %v %v", failed, slowed)
	}
	if strings.Contains(e.log.String(), "secret") || strings.Contains(e.log.String(), "my password") {
		t.Errorf("a password is in the log: %s", e.log)
	}
}

func TestManyHandlesFromOneAddressAreSlowed(t *testing.T) {
	e := newEdge(t)
	e.feed.signIns = map[string]fault.Code{}
	for i := range 10 {
		e.feed.signIns[fmt.Sprintf("user_%d", i)] = fault.InvalidCredentials
	}
	ask := func(handle, address string) int {
		w, _ := e.ask("POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":"x"}`, handle), "X-Forwarded-For", address)
		return w.Code
	}
	for i := range 10 {
		if status := ask(fmt.Sprintf("user_%d", i), "2001:db8::"+fmt.Sprint(i)); status != 401 {
			t.Errorf("attempt %d: %d", i, status)
		}
	}
	if status := ask("ada", "2001:db8::ffff"); status != 429 {
		t.Errorf("the same network: %d", status)
	}
	if status := ask("ada", "2001:db8:0:1::1"); status != 201 {
		t.Errorf("another network: %d", status)
	}
}
