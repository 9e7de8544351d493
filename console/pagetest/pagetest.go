// Package pagetest stands a page of the console up before an Elasticsearch that
// says what a test wants.
package pagetest

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/console/page"
	"pharos/console/session"
	"pharos/elastic"
	"pharos/internal/look"
)

// Now is the time of every page.
func Now() time.Time { return time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC) }

// Elasticsearch answers a search: target is the index or stream. The status is
// 200 where it is 0.
type Elasticsearch func(target string, body map[string]any) (status int, answer string)

// Console is a console with pages of a test's choice, read by "reader".
type Console struct {
	t   *testing.T
	url string
}

// Rights are Elasticsearch's answer about a reader who may do all that the
// console asks for; what is left out may not.
func Rights(without ...string) elastic.Rights {
	index := map[string]map[string]bool{}
	for _, name := range []string{elastic.TrafficStream, "logs-pharos-default", "traces-apm-default", "metrics-slo-default", "heartbeat-default"} {
		index[name] = map[string]bool{"read": true}
	}
	application := map[string]bool{"watch:operate": true, "alert:read": true, "user:suspend": true}
	for _, name := range without {
		delete(index, name)
		delete(application, name)
	}
	return elastic.Rights{User: "reader", Index: index, Application: map[string]map[string]map[string]bool{"pharos": {"*": application}}}
}

// New stands up a console. rights is asked at each request, so that a test can
// withdraw them.
func New(t *testing.T, rights func() elastic.Rights, answer Elasticsearch, add func(*page.Site) error) *Console {
	t.Helper()
	gin.SetMode(gin.TestMode)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		target, call, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if target == "_security" {
			now := rights()
			if now.User == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"username": now.User, "index": now.Index, "application": now.Application, "cluster": now.Cluster})
			return
		}
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body == nil {
			body = map[string]any{}
		}
		body["call"] = call
		status, text := answer(target, body)
		if status != 0 {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	es, err := elastic.New(elastic.Config{URLs: []string{server.URL}, User: "console", Password: "pw"})
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
	site, err := page.NewSite(r, page.Config{
		Elasticsearch: es, Sessions: sessions, Assets: assets, Now: Now, Timeout: 10 * time.Second, Environment: "test", Region: "here",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := add(site); err != nil {
		t.Fatal(err)
	}
	console := httptest.NewServer(r)
	t.Cleanup(console.Close)
	return &Console{t, console.URL}
}

// Get reads a page as a browser does.
func (c *Console) Get(path string) (int, string) {
	c.t.Helper()
	return c.send(http.MethodGet, path, nil)
}

// JSON reads a page as a program does; anything but 200 fails the test.
func (c *Console) JSON(path string, into any) {
	c.t.Helper()
	status, body := c.send(http.MethodGet, path, nil)
	if status != http.StatusOK {
		c.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		c.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

// Post sends a form; a redirect is not followed.
func (c *Console) Post(path string, form map[string]string) (int, string) {
	c.t.Helper()
	values := url.Values{}
	for name, value := range maps.All(form) {
		values.Set(name, value)
	}
	return c.send(http.MethodPost, path, strings.NewReader(values.Encode()))
}

func (c *Console) send(method, path string, body io.Reader) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.SetBasicAuth("reader", "right")
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
