package look

import (
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gin-gonic/gin"
)

func TestAssetsAreZippedOnce(t *testing.T) {
	gin.SetMode(gin.TestMode)
	long := strings.Repeat("a { color: red }\n", 100)
	a, err := NewAssets("/static/", fstest.MapFS{"long.css": {Data: []byte(long)}, "short.css": {Data: []byte("a{}")}})
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	r.GET("/static/*filepath", a.Serve)
	ask := func(name string, header ...string) *http.Response {
		t.Helper()
		address, err := a.URL(name)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodGet, address, nil)
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
		if res := rec.Result(); res.Header.Get("Vary") != "Accept-Encoding" || res.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %v", name, res.Header)
		}
		return rec.Result()
	}
	plain, zipped, short := ask("long.css"), ask("long.css", "Accept-Encoding", "gzip, br"), ask("short.css", "Accept-Encoding", "gzip")
	if text, _ := io.ReadAll(plain.Body); string(text) != long || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("%d bytes, %v", len(text), plain.Header)
	}
	unzipped, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(unzipped); err != nil || string(text) != long || zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%d bytes, %v, %v", len(text), err, zipped.Header)
	}
	if text, _ := io.ReadAll(short.Body); string(text) != "a{}" || short.Header.Get("Content-Encoding") != "" {
		t.Errorf("%s, %v", text, short.Header)
	}
	// Each form has a tag of its own, by which it is asked for again.
	for encoding, tag := range map[string]string{"": plain.Header.Get("ETag"), "gzip": zipped.Header.Get("ETag")} {
		if again := ask("long.css", "Accept-Encoding", encoding, "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
			t.Errorf("%q with %s: %d", encoding, tag, again.StatusCode)
		}
	}
	if plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
		t.Error("both forms have one tag")
	}
}

// TestContrast holds the colours to WCAG 2's ratios, in both schemes.
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("files/tokens.css")
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
