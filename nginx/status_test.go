package nginx_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"pharos/internal/fault"
)

func TestTheStatusPageIsTheConsoles(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []*http.Request
	console := api(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r)
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=10")
		w.Header().Set("Etag", `"a"`)
		_, _ = w.Write([]byte("status"))
	})
	f := start(t, settings{servers: []string{api(t, answers)}, console: console})
	for _, path := range []string{"/status", "/status.json", "/status.rss", "/status.atom", "/status/badge.svg", "/status/assets/status.css?v=1"} {
		res, body := get(t, f.url(path), "Cookie", "pharos_session=x", "Authorization", "Basic eDp5")
		if res.StatusCode != http.StatusOK || body != "status" || res.Header.Get("Etag") != `"a"` || len(res.Header.Values("Cache-Control")) != 1 || res.Header.Get("Cache-Control") != "public, max-age=10" {
			t.Errorf("%s: %d %q %v", path, res.StatusCode, body, res.Header)
		}
		mu.Lock()
		r := asked[len(asked)-1]
		mu.Unlock()
		if r.URL.RequestURI() != path || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s came as %s with %v", path, r.URL.RequestURI(), r.Header)
		}
	}
}

// The console's other pages are for operators: no way of writing a path leads
// there.
func TestNothingElseOfTheConsoleIsReached(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 100)
	console := api(t, func(w http.ResponseWriter, r *http.Request) {
		reached <- r.URL.RequestURI()
		answers(w, r)
	})
	f := start(t, settings{servers: []string{api(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })}, console: console})
	for _, path := range []string{"/status/", "/status/x", "/status.xml", "/status/assets/", "/status/assets/a/b", "/status.json/x"} {
		res, body := get(t, f.url(path))
		checkProblem(t, res, body, http.StatusNotFound, fault.NotFound)
	}
	for _, path := range []string{"/status/../sign-in", "/status/..%2foverview", "/statuses", "/sign-in", "/overview.json", "/status/assets/../../logs"} {
		if got := raw(t, f.addr, "GET "+path+" HTTP/1.1\r\nHost: pharos\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 418") {
			t.Errorf("%s: %.60q", path, got)
		}
	}
	select {
	case path := <-reached:
		t.Errorf("the console was asked for %s", path)
	default:
	}
	// What leads to a name of the page is asked for by that name.
	raw(t, f.addr, "GET /logs/../status HTTP/1.1\r\nHost: pharos\r\nConnection: close\r\n\r\n")
	if got := <-reached; got != "/status" {
		t.Errorf("the console was asked for %s", got)
	}
}

func TestWhatIsSaidWhileTheConsoleIsAway(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	res, body := get(t, f.url("/status"))
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(body, "The status page does not answer") ||
		res.Header.Get("Retry-After") == "" || res.Header.Get("Cache-Control") != "no-store" || !strings.Contains(body, res.Header.Get("X-Request-Id")) {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	checkSecurityHeaders(t, res)
	for _, path := range []string{"/status.json", "/status.rss", "/status/badge.svg"} {
		res, body := get(t, f.url(path))
		checkProblem(t, res, body, http.StatusServiceUnavailable, fault.Unavailable)
	}
	if got := parse(t, f.lines(t, 4)[0])["http.route"]; got != "/status" {
		t.Errorf("route %q", got)
	}
	if res, _ := get(t, f.url("/-/status")); res.StatusCode != http.StatusNotFound {
		t.Errorf("the page for this is reached from outside: %d", res.StatusCode)
	}
}
