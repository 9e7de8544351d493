// Package pagetest stands the console up with pages of a test's choice, before
// an Elasticsearch and a watcher that say what the test wants. People sign in as
// in a browser, so that forms are checked as theirs are.
package pagetest

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

// Elasticsearch answers a question: target is the index or stream, body["call"]
// what was called there. The status is 200 where it is 0.
type Elasticsearch func(target string, body map[string]any) (status int, answer string)

// Call is one that the watcher got.
type Call struct {
	User, Method, Path, Body string
}

// Stand is a console. Its reader is a program with the account "reader", until
// somebody signs in.
type Stand struct {
	Site *page.Site
	// Watcher is the console's way to the watcher.
	Watcher *watcherapi.Client

	// Search answers Elasticsearch's questions; nil: nothing is found.
	Search Elasticsearch
	// Rights are an account's, asked for at each request, so that a test can
	// withdraw them; one without a User is nobody's. nil: RightsOf.
	Rights func(user string) elastic.Rights
	// Watch answers what the watcher is asked; nil: an empty object.
	Watch func(Call) (status int, answer string)

	t       *testing.T
	url     string
	client  *http.Client
	watcher *httptest.Server
	mu      sync.Mutex
	calls   []Call
}

// Rights are Elasticsearch's answer about a reader who may do all that the
// console asks for; what is left out may not.
func Rights(without ...string) elastic.Rights {
	index := map[string]map[string]bool{}
	for _, name := range []string{elastic.TrafficStream, "logs-pharos-default", "traces-apm-default", "metrics-slo-default", "heartbeat-default"} {
		index[name] = map[string]bool{"read": true}
	}
	cluster := map[string]bool{"monitor_watcher": true}
	application := map[string]bool{"watch:operate": true, "alert:read": true, "user:suspend": true}
	for _, name := range without {
		delete(index, name)
		delete(cluster, name)
		delete(application, name)
	}
	return elastic.Rights{User: "reader", Cluster: cluster, Index: index, Application: map[string]map[string]map[string]bool{"pharos": {"*": application}}}
}

// RightsOf are those of the accounts: oncall and reader may do everything,
// support reads no metrics and changes no alerts, viewer reads metrics and
// uptime, and anybody else is nobody.
func RightsOf(user string) elastic.Rights {
	rights := elastic.Rights{}
	switch user {
	case "oncall", "reader":
		rights = Rights()
	case "support":
		rights = Rights("metrics-slo-default", "watch:operate", "monitor_watcher")
	case "viewer":
		rights = Rights(elastic.TrafficStream, "logs-pharos-default", "traces-apm-default", "monitor_watcher", "watch:operate", "alert:read", "user:suspend")
	default:
		return rights
	}
	rights.User = user
	return rights
}

// New stands a console up that has no pages yet.
func New(t *testing.T) *Stand {
	t.Helper()
	gin.SetMode(gin.TestMode)
	s := &Stand{t: t}
	search := httptest.NewServer(http.HandlerFunc(s.elasticsearch))
	t.Cleanup(search.Close)
	s.watcher = httptest.NewServer(http.HandlerFunc(s.watch))
	t.Cleanup(s.watcher.Close)
	s.Watcher = watcherapi.New(s.watcher.URL)
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
	s.Site, err = page.NewSite(r, page.Config{Elasticsearch: es, Sessions: sessions, Assets: assets, Now: Now, Timeout: 10 * time.Second, Environment: "test", Region: "here"})
	if err != nil {
		t.Fatal(err)
	}
	console := httptest.NewServer(r)
	t.Cleanup(console.Close)
	s.url = console.URL
	return s
}

// Add adds pages.
func (s *Stand) Add(pages ...page.Page) {
	s.t.Helper()
	for _, p := range pages {
		if err := s.Site.Add(p); err != nil {
			s.t.Fatal(err)
		}
	}
}

// StopWatcher leaves the console without a watcher.
func (s *Stand) StopWatcher() { s.watcher.Close() }

// user is for whom Elasticsearch or the watcher is asked.
func user(r *http.Request) string {
	if name, _, ok := r.BasicAuth(); ok {
		return name
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "ApiKey key-")
}

func (s *Stand) elasticsearch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	body := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&body)
	target, call, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case strings.HasSuffix(call, "/grant"):
		grant, _ := body["grant"].(map[string]any)
		name, _ := grant["username"].(string)
		if name == "" {
			name, _ = body["username"].(string)
		}
		_, _ = fmt.Fprintf(w, `{"id":"id-%[1]s","encoded":"key-%[1]s","expiration":%[2]d}`, name, time.Now().Add(time.Hour).UnixMilli())
	case target == "_security":
		of := s.Rights
		if of == nil {
			of = RightsOf
		}
		rights := of(user(r))
		if rights.User == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_ = json.NewEncoder(w).Encode(rights)
	case s.Search != nil:
		body["call"] = call
		status, answer := s.Search(target, body)
		if status != 0 {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, answer)
	default:
		_, _ = io.WriteString(w, `{"hits":{"total":{"value":0},"hits":[]}}`)
	}
}

func (s *Stand) watch(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c := Call{user(r), r.Method, r.URL.RequestURI(), string(body)}
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
	s.client = &http.Client{Jar: jar, CheckRedirect: stay}
	status, _, body := s.send(http.MethodPost, "/sign-in", url.Values{"user": {user}, "password": {"right"}})
	if status != http.StatusSeeOther {
		s.t.Fatalf("sign in as %s: %d %s", user, status, body)
	}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

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

// Post sends a form; location is where it leads to, which is not followed.
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
	client := s.client
	if client == nil {
		client = &http.Client{CheckRedirect: stay}
		req.SetBasicAuth("reader", "right")
	}
	resp, err := client.Do(req)
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
