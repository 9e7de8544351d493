package nginx_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pharos/internal/fault"
)

// slow answers after d.
func slow(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			answers(w, r)
		case <-r.Context().Done():
		}
	}
}

// checkProblem holds an answer of nginx's own against internal/fault's rules.
func checkProblem(t *testing.T, res *http.Response, body string, status int, code fault.Code) {
	t.Helper()
	if res.StatusCode != status || res.Header.Get("Content-Type") != fault.ContentType {
		t.Errorf("%d %s, want %d %s: %s", res.StatusCode, res.Header.Get("Content-Type"), status, fault.ContentType, body)
	}
	var p fault.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if p.Type != "/problems/"+string(code) || p.Status != status || p.Detail == "" || p.Title == "" {
		t.Errorf("problem %+v, want %s, %d", p, code, status)
	}
	if p.RequestID == "" || p.RequestID != res.Header.Get("X-Request-Id") {
		t.Errorf("request_id %q, X-Request-Id %q", p.RequestID, res.Header.Get("X-Request-Id"))
	}
	// What nginx cannot read never reaches a Go process: the one code that
	// internal/fault has no use for.
	if known := p.Fault(); code != "malformed-request" && (known.Code != code || known.Title() != p.Title) {
		t.Errorf("internal/fault has %q %q, nginx %q %q", known.Code, known.Title(), code, p.Title)
	}
	if allow := res.Header.Get("Allow"); (res.StatusCode == http.StatusMethodNotAllowed) != (allow == "GET, HEAD, POST, PUT, DELETE, OPTIONS") {
		t.Errorf("%d with Allow %q", res.StatusCode, allow)
	}
	for _, status := range []int{429, 502, 503, 504} {
		if got := res.Header.Get("Retry-After"); (status == res.StatusCode) && got == "" {
			t.Errorf("%d without Retry-After", status)
		}
	}
	if res.StatusCode < 429 && res.Header.Get("Retry-After") != "" {
		t.Errorf("%d with Retry-After", res.StatusCode)
	}
	if got := res.Header.Values("Cache-Control"); !slices.Equal(got, []string{"no-store"}) {
		t.Errorf("Cache-Control %q", got)
	}
	checkSecurityHeaders(t, res)
}

func checkSecurityHeaders(t *testing.T, res *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options":  "nosniff",
		"X-Frame-Options":         "DENY",
		"Referrer-Policy":         "strict-origin-when-cross-origin",
		"Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
		"Server":                  "nginx",
	} {
		if got := res.Header.Values(name); !slices.Equal(got, []string{want}) {
			t.Errorf("%d: %s %q, want %q", res.StatusCode, name, got, want)
		}
	}
	if id := res.Header.Values("X-Request-Id"); len(id) != 1 || !hex32.MatchString(id[0]) {
		t.Errorf("X-Request-Id %q", id)
	}
}

func TestOwnErrorsAreProblems(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	big := strings.Repeat("a", 9000)
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     fault.Code
	}{
		{"metrics", "GET", "/metrics", "", nil, 404, fault.NotFound},
		{"readyz", "GET", "/readyz", "", nil, 404, fault.NotFound},
		{"metrics by detours", "GET", "//%6detrics/", "", nil, 404, fault.NotFound},
		{"TRACE", "TRACE", "/", "", nil, 405, fault.MethodNotAllowed},
		{"body", "POST", "/v1/posts", strings.Repeat("a", 1<<20+1), nil, 413, fault.BodyTooLarge},
		{"URI", "GET", "/" + big, "", nil, 414, fault.LimitExceeded},
		{"header", "GET", "/", "", []string{"X", big}, 431, fault.LimitExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := send(t, c.method, f.url(c.path), c.body, c.headers...)
			checkProblem(t, res, body, c.status, c.code)
		})
	}
	t.Run("a body at the limit", func(t *testing.T) {
		if res, body := send(t, "POST", f.url("/"), strings.Repeat("a", 1<<20)); res.StatusCode != 200 {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		if res, body := send(t, "HEAD", f.url("/metrics"), ""); res.StatusCode != 404 || body != "" {
			t.Errorf("%d %q", res.StatusCode, body)
		}
	})
	for name, request := range map[string]string{
		"400":         "GET / HTTP/1.1\r\n\r\n",
		"not HTTP":    "\x16\x03\x01\x00\xff\r\n",
		"501 and 505": "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			head, body, _ := strings.Cut(raw(t, f.addr, request), "\r\n\r\n")
			var p fault.Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil || p.Type != "/problems/malformed-request" || p.Status != 400 {
				t.Errorf("%v: %s\n%s", err, head, body)
			}
			if !strings.HasPrefix(head, "HTTP/1.1 400 ") || !strings.Contains(head, "X-Request-Id: "+p.RequestID+"\r\n") {
				t.Errorf("head %s", head)
			}
		})
	}
}

func TestServiceAwayIsAProblem(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{freeAddr(t), freeAddr(t)}})
	for range 4 { // the later ones find both out of rotation
		res, body := get(t, f.url("/v1/feed"))
		checkProblem(t, res, body, 502, fault.Unavailable)
	}
}

func TestServiceHangingIsAProblem(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, slow(9*time.Second))}})
	began := time.Now()
	res, body := send(t, "POST", f.url("/v1/posts"), "{}")
	checkProblem(t, res, body, 504, fault.Timeout)
	if took := time.Since(began); took < 7*time.Second || took > 9*time.Second {
		t.Errorf("answered after %s, want 8 s", took)
	}
}

func TestOwnFailureIsAProblem(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	if err := os.RemoveAll(filepath.Join(f.runDir, "body")); err != nil { // where nginx buffers bodies
		t.Fatal(err)
	}
	res, body := send(t, "POST", f.url("/v1/posts"), strings.Repeat("a", 100<<10))
	checkProblem(t, res, body, 500, fault.Internal)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}, rate: "1r/m", burst: "2"})
	for i := range 5 {
		res, body := get(t, f.url("/v1/feed"))
		if i < 3 {
			if res.StatusCode != 200 || res.Header.Get("Retry-After") != "" {
				t.Errorf("request %d: %d %s", i, res.StatusCode, body)
			}
			continue
		}
		checkProblem(t, res, body, 429, fault.TooManyRequests)
	}
	for range 5 {
		if res, body := get(t, f.url("/healthz")); res.StatusCode != 200 {
			t.Errorf("/healthz: %d %s", res.StatusCode, body)
		}
	}
	if res, _ := get(t, f.url("/HEALTHZ")); res.StatusCode != 429 {
		t.Errorf("/HEALTHZ: %d, want 429", res.StatusCode)
	}
	if log := readLines(t, filepath.Join(f.logDir, "error.log")); len(log) != 0 {
		t.Errorf("what the access log has is in the error log, too: %s", log)
	}
}

// What api says reaches the client as it is, and takes no api out of rotation.
func TestAnswersOfAPIPassUnchanged(t *testing.T) {
	t.Parallel()
	const problem = `{"type":"/problems/unavailable","title":"A part that is needed is away","status":503,"detail":"feed is away","trace_id":"x"}`
	asked := 0
	f := start(t, settings{servers: []string{api(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		h := w.Header()
		h.Set("Content-Type", fault.ContentType)
		h.Set("Retry-After", "7")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Trace-Id", traceID)
		h.Set("X-Request-Id", "api says")
		h.Set("Content-Security-Policy", "default-src 'none'")
		w.WriteHeader(503)
		_, _ = fmt.Fprint(w, problem)
	})}})
	for i := range 6 {
		res, body := get(t, f.url("/v1/feed"))
		if res.StatusCode != 503 || body != problem || asked != i+1 {
			t.Errorf("%d %s, api asked %d times", res.StatusCode, body, asked)
		}
		for name, want := range map[string]string{"Retry-After": "7", "Cache-Control": "no-store", "X-Trace-Id": traceID, "Content-Security-Policy": "default-src 'none'"} {
			if got := res.Header.Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s %q, want %q", name, got, want)
			}
		}
		if id := res.Header.Values("X-Request-Id"); len(id) != 1 || !hex32.MatchString(id[0]) {
			t.Errorf("X-Request-Id %q", id)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	res, _ := get(t, f.url("/"))
	checkSecurityHeaders(t, res)
	if got := res.Header.Get("Cache-Control") + res.Header.Get("Retry-After"); got != "" {
		t.Errorf("api's answer got %q", got)
	}
}

// A second Cache-Control would change how a client keeps what it has.
func TestUnchangedAnswersKeepTheirCacheControl(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `W/"1"`)
		w.Header().Set("Cache-Control", "private, no-cache")
		w.WriteHeader(http.StatusNotModified)
	})}})
	res, _ := get(t, f.url("/v1/feed"))
	if got := res.Header.Values("Cache-Control"); res.StatusCode != http.StatusNotModified || !slices.Equal(got, []string{"private, no-cache"}) {
		t.Errorf("%d, Cache-Control %q", res.StatusCode, got)
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("Content-Type", q.Get("type"))
		w.Header().Set("ETag", `W/"1"`)
		w.Header().Set("Vary", "Authorization")
		if q.Has("packed") {
			w.Header().Set("Content-Encoding", "gzip")
		}
		if q.Has("unchanged") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		size, _ := strconv.Atoi(q.Get("size"))
		_, _ = fmt.Fprint(w, strings.Repeat("a", size))
	})}})
	for query, packed := range map[string]bool{
		"size=4000&type=application/json":           true,
		"size=4000&type=application/problem%2bjson": true,
		"size=4000&type=application/yaml":           true,
		"size=4000&type=text/html":                  true,
		"size=4000&type=text/css":                   true,
		"size=100&type=application/json":            false, // not worth it
		"size=4000&type=image/png":                  false,
	} {
		res, body := get(t, f.url("/?"+query), "Accept-Encoding", "gzip")
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != packed || packed && len(body) > 400 || res.Header.Get("ETag") != `W/"1"` {
			t.Errorf("%s: %d bytes, %v", query, len(body), res.Header)
		}
		if vary := strings.Join(res.Header.Values("Vary"), ", "); packed && (!strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Authorization")) {
			t.Errorf("%s: Vary %q", query, vary)
		}
		if res, body := get(t, f.url("/?"+query)); res.Header.Get("Content-Encoding") != "" || len(body) < 100 {
			t.Errorf("%s unasked: %d bytes, %v", query, len(body), res.Header)
		}
	}
	// What api has compressed itself is passed on as it is.
	if res, body := get(t, f.url("/?size=4000&type=application/json&packed"), "Accept-Encoding", "gzip"); len(body) != 4000 || len(res.Header.Values("Content-Encoding")) != 1 {
		t.Errorf("packed: %d bytes, %v", len(body), res.Header)
	}
	if res, body := get(t, f.url("/?unchanged"), "Accept-Encoding", "gzip"); res.StatusCode != http.StatusNotModified || body != "" || res.Header.Get("ETag") != `W/"1"` {
		t.Errorf("unchanged: %d %v", res.StatusCode, res.Header)
	}
}

func TestStatusIsOnThePortForOperatorsOnly(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	if res, body := get(t, "http://"+f.status+"/nginx_status"); res.StatusCode != 200 || !strings.HasPrefix(body, "Active connections:") {
		t.Errorf("status port: %d %s", res.StatusCode, body)
	}
	if _, body := get(t, f.url("/nginx_status")); strings.Contains(body, "Active") {
		t.Errorf("public port: %s", body)
	}
	probes := 0
	for _, text := range f.lines(t, 2) { // two workers write in any order
		if parse(t, text)["labels.probe"] == true {
			probes++
		}
	}
	if probes != 1 {
		t.Errorf("%d of the two lines are a probe's", probes)
	}
}

// nginx's own count of requests is that of its log's lines, whatever was asked:
// what is lost on the way to Elasticsearch is seen by that.
func TestEachCountedRequestHasALine(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}, rate: "1r/s", burst: "8"})
	for range 12 { // some are too many
		get(t, f.url("/v1/feed"))
	}
	get(t, f.url("/healthz"))
	get(t, f.url("/status")) // the console is away
	for _, text := range []string{
		"GET / HTTP/9.9\r\n\r\n", "nonsense\r\n\r\n", "\x16\x03\x01\x00\xa5\x01", "GET /" + strings.Repeat("x", 9000) + " HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: strange\r\nConnection: close\r\n\r\n",
	} {
		raw(t, f.addr, text)
	}
	half, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = half.Write([]byte("GET / HTTP/1.1\r\nHo"))
	_ = half.Close()
	silent, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = silent.Close() // a connection is no request
	counted, asked := 0, 0
	waitFor(t, "20 requests to be counted", func() bool {
		asked++
		_, body := get(t, "http://"+f.status+"/nginx_status")
		m := regexp.MustCompile(`\d+ \d+ (\d+)`).FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("status %s", body)
		}
		counted, _ = strconv.Atoi(m[1])
		return counted >= 20+asked
	})
	if counted != 20+asked {
		t.Errorf("%d requests counted, want %d", counted, 20+asked)
	}
	f.lines(t, counted)
}
