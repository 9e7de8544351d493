// Package sitetest stands the console up before an Elasticsearch and a watcher
// that say what a test wants. People sign in as in a browser, so that forms are
// checked as theirs are.
package sitetest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/console/page"
	"pharos/console/session"
	"pharos/console/watcherapi"
	"pharos/elastic"
	"pharos/internal/look"
)

// Now is the time of every page.
func Now() time.Time { return time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC) }

// Call is one that the watcher got.
type Call struct {
	User, Method, Path, Body string
}

// Stand is a console whose accounts are oncall (all rights), support (no metrics;
// reads alerts) and viewer (metrics and uptime).
type Stand struct {
	t      *testing.T
	url    string
	client *http.Client

	// Search answers a search of a stream; nil: nothing is found.
	Search func(target string, body map[string]any) (status int, answer string)
	// Watch answers what the watcher is asked; nil: an empty object.
	Watch func(Call) (status int, answer string)

	// Watcher is the watcher's server, which a test may close.
	Watcher *httptest.Server

	mu    sync.Mutex
	calls []Call
}

// rights are each account's: streams, then privileges of the application.
func may(user string, name string) bool {
	switch user {
	case "oncall":
		return true
	case "support":
		return name != "metrics-slo-default" && name != "watch:operate" && name != "monitor_watcher"
	case "viewer":
		return name == "metrics-slo-default" || name == "heartbeat-default"
	}
	return false
}

// New stands it up, with what add registers.
func New(t *testing.T, add func(*page.Site, *watcherapi.Client) error) *Stand {
	t.Helper()
	gin.SetMode(gin.TestMode)
	s := &Stand{t: t}
	search := httptest.NewServer(http.HandlerFunc(s.elasticsearch))
	t.Cleanup(search.Close)
	s.Watcher = httptest.NewServer(http.HandlerFunc(s.watch))
	t.Cleanup(s.Watcher.Close)
	es, err := elastic.New(elastic.Config{URLs: []string{search.URL}, User: "console", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(es, session.Config{Key: "0123456789abcdef0123456789abcdef", Lasts: time.Hour}, time.Now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	assets, err := look.NewAssets("/assets/", fstest.MapFS{"console.js": {}, "console.css": {}})
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	site, err := page.NewSite(r, page.Config{Elasticsearch: es, Sessions: sessions, Assets: assets, Now: Now, Timeout: 10 * time.Second, Environment: "test", Region: "here"})
	if err != nil {
		t.Fatal(err)
	}
	if err := add(site, watcherapi.New(s.Watcher.URL)); err != nil {
		t.Fatal(err)
	}
	console := httptest.NewServer(r)
	t.Cleanup(console.Close)
	s.url = console.URL
	return s
}

func (s *Stand) elasticsearch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	user := strings.TrimPrefix(r.Header.Get("Authorization"), "ApiKey key-")
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in)
	target, call, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case strings.HasSuffix(call, "/grant"):
		grant, _ := in["grant"].(map[string]any)
		name, _ := grant["username"].(string)
		if name == "" {
			name, _ = in["username"].(string)
		}
		_, _ = fmt.Fprintf(w, `{"id":"id-%[1]s","encoded":"key-%[1]s","expiration":%[2]d}`, name, time.Now().Add(time.Hour).UnixMilli())
	case strings.HasSuffix(call, "/_has_privileges"):
		index, application := map[string]map[string]bool{}, map[string]bool{"watch:operate": may(user, "watch:operate"), "alert:read": may(user, "alert:read")}
		for _, name := range []string{elastic.TrafficStream, "logs-pharos-default", "traces-apm-default", "metrics-slo-default", "heartbeat-default"} {
			index[name] = map[string]bool{"read": may(user, name)}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"username": user, "index": index, "cluster": map[string]bool{"monitor_watcher": may(user, "monitor_watcher")},
			"application": map[string]any{"pharos": map[string]any{"*": application}},
		})
	case s.Search != nil:
		status, answer := s.Search(target, in)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	default:
		_, _ = io.WriteString(w, `{"hits":{"total":{"value":0},"hits":[]}}`)
	}
}

func (s *Stand) watch(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c := Call{strings.TrimPrefix(r.Header.Get("Authorization"), "ApiKey key-"), r.Method, r.URL.RequestURI(), string(body)}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	status, answer := http.StatusOK, "{}"
	if s.Watch != nil {
		status, answer = s.Watch(c)
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		_, _ = io.WriteString(w, answer)
	}
}

// Changes are the calls to the watcher that were not reads, in their order.
func (s *Stand) Changes() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c Call) bool { return c.Method == http.MethodGet || strings.Contains(c.Path, "/_query/") })
}

// SignIn signs somebody in, instead of who was.
func (s *Stand) SignIn(user string) {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	status, _, body := s.send(http.MethodPost, "/sign-in", url.Values{"user": {user}, "password": {"right"}})
	if status != http.StatusSeeOther {
		s.t.Fatalf("sign in as %s: %d %s", user, status, body)
	}
}

// Get reads a page.
func (s *Stand) Get(path string) (status int, body string) {
	s.t.Helper()
	status, _, body = s.send(http.MethodGet, path, nil)
	return status, body
}

// JSON reads a page as a program does; anything but 200 fails the test.
func (s *Stand) JSON(path string, into any) {
	s.t.Helper()
	status, body := s.Get(path)
	if status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		s.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

var tokenIn = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// Token is the one in the forms of a page.
func (s *Stand) Token(path string) string {
	s.t.Helper()
	_, body := s.Get(path)
	m := tokenIn.FindStringSubmatch(body)
	if m == nil {
		s.t.Fatalf("%s has no form: %s", path, body)
	}
	return m[1]
}

// Post sends a form; location is where it leads to.
func (s *Stand) Post(path string, form url.Values) (status int, location, body string) {
	s.t.Helper()
	status, header, body := s.send(http.MethodPost, path, form)
	return status, header.Get("Location"), body
}

func (s *Stand) send(method, path string, form url.Values) (status int, header http.Header, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	// Numbers are written with spaces that do not break.
	return resp.StatusCode, resp.Header, strings.ReplaceAll(string(text), "\u00a0", " ")
}
