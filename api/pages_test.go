package api

import (
	"fmt"
	"math"
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

// TestContrast holds the colours to WCAG 2's ratios, in both schemes.
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("static/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	schemes := [2]map[string]string{{}, {}}
	for _, token := range regexp.MustCompile(`--(\w+): light-dark\((#\w{6}), (#\w{6})\);`).FindAllStringSubmatch(string(css), -1) {
		schemes[0][token[1]], schemes[1][token[1]] = token[2], token[3]
	}
	for i, scheme := range []string{"light", "dark"} {
		for _, ground := range []string{"bg", "panel"} {
			for token, least := range map[string]float64{
				"text": 4.5, "muted": 4.5, "link": 4.5, "ok": 4.5, "warn": 4.5, "bad": 4.5, "info": 4.5, "focus": 3,
			} {
				ratio := contrast(t, schemes[i][token], schemes[i][ground])
				t.Logf("%s --%s on --%s: %.1f", scheme, token, ground, ratio)
				if ratio < least {
					t.Errorf("%s --%s on --%s has a contrast of %.2f, below %.1f", scheme, token, ground, ratio, least)
				}
			}
		}
	}
}

// contrast is the contrast ratio of WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var rgb [3]uint8
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	total := 0.0
	for i, weight := range [3]float64{0.2126, 0.7152, 0.0722} {
		v := float64(rgb[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		total += weight * v
	}
	return total
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
