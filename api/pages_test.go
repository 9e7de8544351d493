package api

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"pharos/internal/look"
)

// TestPagesKeepToThePolicy looks for what look.Policy would make a browser
// refuse: inline scripts and styles, and anything from elsewhere.
func TestPagesKeepToThePolicy(t *testing.T) {
	h := newRouter(t, nil)
	refused := regexp.MustCompile(`<style|\sstyle=|\son[a-z]+=|<script>|(src|href|action)="(https?:|//|data:|javascript:)`)
	linked := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)
	for _, target := range []string{"/", "/tasks/fibonacci?n=1000", "/tasks/factorial?n=x", "/tasks/ackermann", "/docs", "/problems/conflict"} {
		resp, page := getAs(t, h, target, browser)
		if resp.Header.Get("Content-Security-Policy") != look.Policy {
			t.Errorf("%s: Content-Security-Policy %q", target, resp.Header.Get("Content-Security-Policy"))
		}
		if found := refused.FindString(page); found != "" {
			t.Errorf("%s holds %s", target, found)
		}
		links := linked.FindAllStringSubmatch(page, -1)
		if len(links) < 5 {
			t.Errorf("%s links %d assets", target, len(links))
		}
		for _, link := range links {
			resp, _ := getAs(t, h, link[1], "")
			if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d %v", link[1], resp.StatusCode, resp.Header)
			}
		}
	}
}

func TestStaticAssets(t *testing.T) {
	h := routeTasks(defaultTaskHandlers(t))
	for target, cache := range map[string]string{
		"/static/tokens.css":         "no-cache",
		"/static/tokens.css?v=older": "no-cache",
	} {
		resp, body := getAs(t, h, target, "")
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != cache ||
			resp.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(body, "--bg") {
			t.Errorf("%s: %d %v", target, resp.StatusCode, resp.Header)
		}
		req := httptest.NewRequest(http.MethodGet, target, nil)
		req.Header.Set("If-None-Match", resp.Header.Get("ETag"))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != http.StatusNotModified {
			t.Errorf("%s asked again: %d", target, rec.Code)
		}
	}
	for _, target := range []string{"/static/", "/static/none.css", "/static/../pages.go", "/static/..%2fpages/index.html", "/static/%2e%2e/pages/index.html"} {
		if resp, _ := getAs(t, h, target, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 12: "12", 999: "999", 1000: "1,000", 100000: "100,000", 9007199254740991: "9,007,199,254,740,991"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                         "0 ns",
		999:                       "999 ns",
		1500:                      "1.50 µs",
		47_230:                    "47.2 µs",
		815_600:                   "816 µs",
		61_740 * time.Microsecond: "61.7 ms",
		1240 * time.Millisecond:   "1.24 s",
		83 * time.Second:          "83.0 s",
		1234 * time.Second:        "1234 s",
	} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%d) = %s, want %s", d, got, want)
		}
	}
}
