package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/api/openapi"
	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/internal/idempotency"
	"pharos/internal/look"
	"pharos/internal/obs"
	"pharos/internal/ratelimit"
	"pharos/internal/resilience"
)

// newRouter is the whole router, on settings that are the defaults but for those
// given. What it is to call is not there.
func newRouter(t *testing.T, vars map[string]string) *gin.Engine {
	t.Helper()
	all := map[string]string{
		"FEED_URLS": "http://127.0.0.1:1", "INTERNAL_KEY": "0123456789abcdef0123456789abcdef", "JWT_KEY": "0123456789abcdef0123456789abcdef", "OPERATOR_API_KEY": "x",
	}
	for name, value := range vars {
		all[name] = value
	}
	var cfg struct {
		API      Config
		Settings Settings
	}
	cfg.Settings.KeysPerUser = 87
	if err := env.ParseMap(&cfg, all); err != nil {
		t.Fatal(err)
	}
	if err := cfg.API.Validate(); err != nil {
		t.Fatal(err)
	}
	tel, err := obs.Discard("api")
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(&cfg.API, Parts{
		Limiter: &ratelimit.Limiter{}, Keys: &idempotency.Keys{}, Events: NewEvents(EventsOptions{}), Settings: cfg.Settings,
	}, resilience.NewMetrics(tel.Metrics), tel, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s.Router(func() bool { return false })
}

func request(h http.Handler, method, target string, header ...string) *http.Response {
	req := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

// TestDocumentHasEveryRoute holds the document against Gin's table. What
// operators ask a process itself is not in it, nor are the pages of visitors'
// jobs, which are forms and no API; HEAD goes with GET.
func TestDocumentHasEveryRoute(t *testing.T) {
	doc, err := openapi.Parse()
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, op := range doc.Operations {
		documented[op.Method+" "+op.Path] = true
	}
	parameter := regexp.MustCompile(`[:*](\w+)`)
	served := map[string]bool{}
	for _, r := range newRouter(t, nil).Routes() {
		path := parameter.ReplaceAllString(r.Path, "{$1}")
		if path == "/readyz" || path == "/metrics" || strings.HasPrefix(path, "/tasks/jobs/") {
			continue
		}
		served[r.Method+" "+path] = true
		if r.Method != http.MethodHead && !documented[r.Method+" "+path] {
			t.Errorf("%s %s is not in the document", r.Method, path)
		}
	}
	for name := range documented {
		if !served[name] {
			t.Errorf("%s is documented and not served", name)
		}
		if path, ok := strings.CutPrefix(name, "GET "); ok && !served["HEAD "+path] {
			t.Errorf("%s answers no HEAD", path)
		}
	}
}

func TestMethodsThatARouteDoesNotTake(t *testing.T) {
	h := newRouter(t, nil)
	resp := request(h, http.MethodPatch, "/v1/feed")
	if allow := resp.Header.Get("Allow"); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Content-Type") != fault.ContentType || !strings.Contains(allow, "GET") || !strings.Contains(allow, "HEAD") {
		t.Errorf("PATCH: %d %v", resp.StatusCode, resp.Header)
	}
	for _, origin := range []string{"", "https://shop.example"} {
		resp := request(h, http.MethodOptions, "/v1/posts/1", "Origin", origin, "Access-Control-Request-Method", "DELETE")
		if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Allow") != "DELETE" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("OPTIONS: %d %v", resp.StatusCode, resp.Header)
		}
	}
	if resp := request(h, http.MethodOptions, "/none"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("OPTIONS of nothing: %d", resp.StatusCode)
	}
}

func TestAnswersThatAreNotJSON(t *testing.T) {
	h := newRouter(t, nil)
	for accept, status := range map[string]int{
		"": 401, "*/*": 401, "application/*": 401, "text/html, application/json;q=0.1": 401, browser: 401,
		"text/html": 406, "image/png": 406, "application/json;q=0, */*": 406, "application/problem+json": 406,
	} {
		if resp := request(h, http.MethodGet, "/v1/feed", "Accept", accept); resp.StatusCode != status || resp.Header.Get("Content-Type") != fault.ContentType {
			t.Errorf("%q: %d %v", accept, resp.StatusCode, resp.Header)
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	const shop, other = "https://shop.example", "https://shop.example.evil.example"
	h := newRouter(t, map[string]string{"CORS_ORIGINS": shop + ",http://localhost:3000"})
	preflight := func(origin, method, headers string) http.Header {
		resp := request(h, http.MethodOptions, "/v1/posts", "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
		if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s %s: %d %v", origin, method, headers, resp.StatusCode, resp.Header)
		}
		return resp.Header
	}
	allowed := preflight(shop, "POST", "authorization,content-type,idempotency-key")
	if allowed.Get("Access-Control-Allow-Origin") != shop || allowed.Get("Access-Control-Allow-Methods") != "POST" ||
		allowed.Get("Access-Control-Allow-Headers") != "authorization,content-type,idempotency-key" || allowed.Get("Access-Control-Max-Age") != "600" || !strings.Contains(allowed.Get("Vary"), "Origin") {
		t.Errorf("preflight: %v", allowed)
	}
	for _, refused := range []http.Header{preflight(other, "POST", ""), preflight("null", "POST", ""), preflight(shop, "PATCH", ""), preflight(shop, "POST", "x-strange")} {
		if refused.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("allowed: %v", refused)
		}
	}
	resp := request(h, http.MethodGet, "/v1/feed", "Origin", shop)
	if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("Access-Control-Allow-Origin") != shop || !slices.Contains(strings.Split(resp.Header.Get("Access-Control-Expose-Headers"), ", "), "X-Trace-Id") {
		t.Errorf("a problem for the page: %d %v", resp.StatusCode, resp.Header)
	}
	if resp := request(h, http.MethodGet, "/v1/feed", "Origin", other); resp.Header.Get("Access-Control-Allow-Origin") != "" || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("another origin: %d %v", resp.StatusCode, resp.Header)
	}
	if resp := request(newRouter(t, map[string]string{"CORS_ORIGINS": ""}), http.MethodGet, "/", "Origin", shop); resp.Header.Get("Access-Control-Allow-Origin") != "" || strings.Contains(resp.Header.Get("Vary"), "Origin") {
		t.Errorf("off: %v", resp.Header)
	}
}

func TestOriginsAreExact(t *testing.T) {
	for _, bad := range []string{"*", "shop.example", "https://*.example", "https://shop.example/", "https://Shop.example", "null", "ftp://x", "https://u@shop.example", " https://shop.example"} {
		if err := checkOrigins([]string{"https://ok.example", bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := checkOrigins([]string{"http://localhost:3000", "https://shop.example"}); err != nil {
		t.Error(err)
	}
}

func TestDocumentIsServed(t *testing.T) {
	h := newRouter(t, nil)
	for path, contentType := range map[string]string{"/openapi.yaml": "application/yaml", "/openapi.json": "application/json"} {
		resp := request(h, http.MethodGet, path)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != contentType || resp.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
		if resp := request(h, http.MethodGet, path, "If-None-Match", resp.Header.Get("ETag")); resp.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %d", path, resp.StatusCode)
		}
	}
}

// TestEveryProblemHasAPage follows the types of all problems, and looks for the
// pages' links that lead nowhere.
func TestEveryProblemHasAPage(t *testing.T) {
	h := newRouter(t, nil)
	_, docs := getAs(t, h, "/docs", browser)
	for _, code := range append(fault.Codes(), "malformed-request") {
		if !strings.Contains(docs, `href="/problems/`+string(code)+`"`) {
			t.Errorf("/docs lacks %s", code)
		}
		resp, page := getAs(t, h, "/problems/"+string(code), browser)
		f := fault.Error{Code: code}
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Security-Policy") != look.Policy || code != "malformed-request" && !strings.Contains(page, "<h1>"+f.Title()+"</h1>") {
			t.Errorf("%s: %d %s", code, resp.StatusCode, page)
		}
		resp, body := getAs(t, h, "/problems/"+string(code), program)
		var entry problemView
		if err := json.Unmarshal([]byte(body), &entry); err != nil || resp.Header.Get("Vary") != "Accept" || entry.Type != "/problems/"+string(code) || entry.Statuses[0] < 400 || entry.Cure == "" {
			t.Errorf("%s: %v %s", code, err, body)
		}
	}
	if resp, _ := getAs(t, h, "/problems/none", browser); resp.StatusCode != http.StatusNotFound {
		t.Errorf("no such problem: %d", resp.StatusCode)
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(docs, -1) {
		if ids[m[1]] {
			t.Errorf("the id %s is there twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?:href="#|aria-labelledby=")([^"]+)"`).FindAllStringSubmatch(docs, -1) {
		if !ids[m[1]] {
			t.Errorf("nothing has the id %s", m[1])
		}
	}
	_, index := getAs(t, h, "/", browser)
	if !strings.Contains(index, `href="/docs"`) {
		t.Error("the main page does not lead to /docs")
	}
}

// TestLimitsAreTheSettings changes settings and looks for them on the page.
func TestLimitsAreTheSettings(t *testing.T) {
	_, page := getAs(t, newRouter(t, map[string]string{
		"NGINX_RATE_LIMIT": "71r/s", "NGINX_RATE_BURST": "72", "NGINX_BODY_LIMIT": "73m", "USER_RATE_LIMIT": "74", "USER_RATE_BURST": "75",
		"API_MAX_IN_FLIGHT": "76", "REQUEST_TIMEOUT": "7s", "IDEMPOTENCY_TTL": "77h", "SHOP_MAX_AGE": "78h", "SHOP_MAX_FUTURE": "79m",
		"FIBONACCI_MAX_N": "8001", "FACTORIAL_MAX_N": "8002", "ACKERMANN_MAX_N": "8003", "ACKERMANN_M3_MAX_N": "8004", "TASKS_CONCURRENCY": "9", "TASKS_WAIT": "81s",
		"JOBS_FIBONACCI_MAX_N": "8205", "JOBS_FACTORIAL_MAX_N": "8206", "JOBS_PER_USER": "83", "JOBS_KEPT_PER_USER": "84", "JOBS_TIMEOUT": "85m", "JOBS_RETENTION": "86h",
		"SIGN_IN_FREE_PER_HANDLE": "88", "SIGN_IN_FREE_PER_ADDRESS": "89", "SIGN_IN_FIRST_WAIT": "9s", "SIGN_IN_MAX_WAIT": "9m", "SIGN_IN_FORGET": "91h",
	}), "/docs", browser)
	for _, want := range []string{
		"71 a second, and 72 more at once", "73 MiB", "74 a second, 75 at once", ">76<", ">7 s<", ">77 h<", "78 h,", "1 h 19 min,",
		"8,001", "8,002", "8,003", "8,004", "9, others wait up to 1 min 21 s", "8,205", "8,206", ">83<", ">84<", "1 h 25 min, then", ">86 h<",
		">87<", "88 of a handle, 89 of a client address", "9 s, doubled by each further one, up to 9 min", ">91 h<",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
