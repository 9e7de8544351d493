package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// forgery: the public API fetches nothing that a client names; a watch, which an
// operator writes, reaches nothing inside. Other spellings, redirects and names
// that resolve to what is forbidden are watcher/httpcall's tests.
func (o *attack) forgery(t *testing.T) {
	var fetched atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer inside.Close()
	u := o.signUp(t, "forger")
	event := fmt.Sprintf(`{"specversion":"1.0","id":"ssrf","source":%q,"dataschema":%q,"type":"shop.view","data":{"session_id":"s","product_id":%q}}`, inside.URL, inside.URL, inside.URL)
	o.do(t, "POST", "/v1/events", event, append(u.auth(), "Referer", inside.URL, "X-Forwarded-Host", inside.Listener.Addr().String())...)
	o.want(t, http.StatusCreated, "POST", "/v1/posts", fmt.Sprintf(`{"text":"see %s"}`, inside.URL), u.auth()...)

	admin := watcherClient(t, fmt.Sprintf("http://127.0.0.1:%d", o.WatcherPort), "elastic", o.Setup.Password.Reveal())
	execute := admin.Watcher.ExecuteWatch
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	for _, url := range []string{inside.URL, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://169.254.169.254/latest/meta-data/", "http://0.0.0.0:" + port} {
		for kind, watch := range map[string]string{
			"input":   fmt.Sprintf(`{"input":{"http":{"request":{"url":%q}}},"actions":{}}`, url),
			"webhook": fmt.Sprintf(`{"input":{"simple":{}},"actions":{"hook":{"webhook":{"method":"post","url":%q,"body":"x"}}}}`, url),
		} {
			body := `{"ignore_condition":true,"record_execution":false,"watch":{"trigger":{"schedule":{"interval":"1h"}},` + watch[1:] + `}`
			r, err := execute(execute.WithBody(strings.NewReader(body)), execute.WithContext(t.Context()))
			record, err := json.Marshal(decoded(t, r, err, http.StatusOK))
			if err != nil || !strings.Contains(string(record), "will not connect") {
				t.Errorf("%s to %s: %v %s", kind, url, err, record)
			}
		}
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("something inside was asked %d times", n)
	}
}

// misconfiguration: what every answer says and does not say, and that nothing
// but nginx is reached from outside. Errors without traces and /metrics are
// TestBadInput, origins and methods TestMethodsAndTypes, passwords of stores
// TestStoresKnowTheirAccounts.
func (o *attack) misconfiguration(t *testing.T) {
	base := fmt.Sprintf("http://127.0.0.1:%d", o.NginxPort)
	for _, path := range []string{"/", "/docs", "/healthz", "/v1/feed", "/nothing", "/tasks/factorial?n=3", "/status"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html, application/json")
		req.Header.Set("Origin", "https://evil.example")
		resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		h := resp.Header
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"} {
			if h.Get(name) != want || len(h.Values(name)) != 1 {
				t.Errorf("%s: %s %q", path, name, h.Values(name))
			}
		}
		if csp := h.Get("Content-Security-Policy"); csp == "" || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
		if h.Get("Referrer-Policy") == "" || h.Get("Server") != "nginx" || h.Get("X-Powered-By") != "" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	for _, origin := range []string{"null", "http://localhost", "https://127.0.0.1.evil.example"} {
		if h := o.do(t, "OPTIONS", "/v1/feed", "", "Origin", origin, "Access-Control-Request-Method", "GET").header; h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("pages of %s may ask: %v", origin, h)
		}
	}
	for _, method := range []string{"TRACE", "CONNECT", "DEBUG", "PROPFIND"} {
		if status, body := o.plain(t, method, base+"/v1/feed", ""); status != http.StatusMethodNotAllowed && status != http.StatusBadRequest && status != http.StatusNotFound {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
	for _, path := range []string{"//metrics", "/metrics/", "/%6detrics", "/./metrics", "/v1/../metrics", "/readyz/", "//readyz"} {
		if status, body := o.plain(t, "GET", base+path, ""); status != http.StatusNotFound || strings.Contains(body, "go_goroutines") {
			t.Errorf("%s through nginx: %d %.200s", path, status, body)
		}
	}
	for _, address := range public(t) {
		t.Errorf("a server of the stack listens on %s, which others reach", address)
	}
}

// public are the addresses other than loopback on which one of the stack's ports
// is listened on. (Where users come in is a setting; the tests' is loopback.)
func public(t *testing.T) []string {
	t.Helper()
	ports := map[int64]bool{}
	for _, setting := range os.Environ() {
		name, value, _ := strings.Cut(setting, "=")
		if port, err := strconv.ParseInt(value, 10, 32); err == nil && strings.HasSuffix(name, "_PORT") && name != "SMTP_PORT" {
			ports[port] = true
		}
	}
	var found []string
	listening := 0
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[3] != "0A" { // LISTEN
				continue
			}
			host, hex, _ := strings.Cut(fields[1], ":")
			port, err := strconv.ParseInt(hex, 16, 32)
			if err != nil || !ports[port] {
				continue
			}
			listening++
			// 127.0.0.1; the same as IPv6 writes it; ::1
			if host != "0100007F" && host != "0000000000000000FFFF00000100007F" && host != "00000000000000000000000001000000" {
				found = append(found, fields[1])
			}
		}
	}
	if listening < 15 {
		t.Errorf("only %d listeners of %d ports are known", listening, len(ports))
	}
	return found
}

// inventory: there is one version, all of it documented, and nothing beside it.
// That routes and document are the same is api's TestDocumentHasEveryRoute and
// nginx's TestRoutes; that answers are as documented, every test here.
func (o *attack) inventory(t *testing.T) {
	for _, path := range []string{
		"/v0/feed", "/v2/feed", "/api/v1/feed", "/v1", "/v1/", "/v1/debug", "/internal/feed", "/v1/internal", "/debug/pprof/", "/debug/vars", "/swagger", "/swagger/index.html",
		"/graphql", "/actuator/health", "/.env", "/.git/config", "/server-status", "/nginx_status", "/console", "/overview", "/sign-in", "/_search", "/_cluster/health",
		"/webhooks/pagerduty", "/intake/v2/events", "/v1/admin", "/status/overview", "/status/../overview", "/status%2f..%2foverview",
	} {
		if a := o.do(t, "GET", path, ""); a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %.200s", path, a.status, a.body)
		}
	}
}

// consumption: what others send us is believed only as far as it must be. Their
// answers' sizes, times and redirects are bounded by watcher/httpcall's
// TestLimits and TestRedirects; feed's failures and strange answers are api's
// TestFaults; Elasticsearch's sizes, elastic's tests.
func (o *attack) consumption(t *testing.T) {
	hook := fmt.Sprintf("http://127.0.0.1:%d/webhooks/pagerduty", o.WatcherPort)
	const body = `{"event":{"id":"1","event_type":"incident.resolved","occurred_at":"2026-01-01T00:00:00Z","data":{"incident_key":"x"}}}`
	secret, _, _ := strings.Cut(os.Getenv("PAGERDUTY_WEBHOOK_SECRETS"), ",")
	sign := func(key, body string) string {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(body))
		return "v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	for name, tt := range map[string]struct {
		signature, body string
		status          int
	}{
		"unsigned":                   {"", body, http.StatusUnauthorized},
		"signed by nobody we know":   {sign("guess", body), body, http.StatusUnauthorized},
		"signed by an empty secret":  {sign("", body), body, http.StatusUnauthorized},
		"signed for another body":    {sign(secret, "{}"), body, http.StatusUnauthorized},
		"signed by another scheme":   {strings.Replace(sign(secret, body), "v1=", "v0=", 1), body, http.StatusUnauthorized},
		"signed, and no event":       {sign(secret, "[["), "[[", http.StatusBadRequest},
		"signed, of nothing we know": {sign(secret, body), body, http.StatusAccepted},
	} {
		if status, said := o.plain(t, "POST", hook, tt.body, "X-PagerDuty-Signature", tt.signature); status != tt.status {
			t.Errorf("%s: %d %s, want %d", name, status, said, tt.status)
		}
	}
}
