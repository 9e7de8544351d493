package e2e

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestStatusPage reads the public page through the front door, as anybody may,
// and in a browser.
func TestStatusPage(t *testing.T) {
	s := open(t)
	// It is no part of the API's document, by which the other tests' client goes.
	get := func(path string, want int) (http.Header, []byte) {
		t.Helper()
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", s.NginxPort, path))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%s: %d %v %.300s", path, resp.StatusCode, err, body)
		}
		return resp.Header, body
	}
	var status struct {
		Known      bool `json:"known"`
		Stale      bool `json:"stale"`
		Components []struct {
			Name  string   `json:"name"`
			State string   `json:"state"`
			Share *float64 `json:"share"`
			Days  []any    `json:"days"`
		} `json:"components"`
	}
	var header http.Header
	// A minute is counted after its end, and read a minute later at most.
	eventually(t, arrival+3*time.Minute, "a minute of the website on the status page", func() string {
		var body []byte
		header, body = get("/status.json", http.StatusOK)
		if err := json.Unmarshal(body, &status); err != nil {
			t.Fatal(err)
		}
		if len(status.Components) != 5 || !status.Known || status.Stale || status.Components[0].Share == nil || status.Components[0].State == "unknown" {
			return string(body[:min(len(body), 600)])
		}
		return ""
	})
	if status.Components[0].Name != "Website and API" || len(status.Components[0].Days) != 90 || header.Get("Cache-Control") != "public, max-age=10" {
		t.Errorf("%v %+v", header, status.Components[0])
	}
	for _, path := range []string{"/status.rss", "/status.atom", "/status/badge.svg"} {
		var document struct{ XMLName xml.Name }
		_, body := get(path, http.StatusOK)
		if err := xml.Unmarshal(body, &document); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	get("/status/sign-in", http.StatusNotFound)

	b := newBrowser(t, 1400, 1000)
	b.open("/status")
	if text := b.text("main"); !strings.Contains(text, "Website and API") || !strings.Contains(text, "UTC") {
		t.Errorf("%s", text)
	}
	b.pictures("status")
}

// TestConsoleUptime goes from all monitors to one.
func TestConsoleUptime(t *testing.T) {
	open(t)
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/uptime")
	eventually(t, arrival, "the monitors", func() string {
		b.open("/uptime")
		if text := b.text("#p-monitors"); !strings.Contains(text, "The site, through nginx") || !strings.Contains(text, "none: no TLS") {
			return text
		}
		return ""
	})
	b.pictures("uptime")
	b.do(chromedp.Click(`#p-monitors a[href^="/uptime/site"]`, chromedp.ByQuery), chromedp.WaitVisible("#took canvas", chromedp.ByQuery))
	if text := b.text("#p-now"); !strings.Contains(text, "site") || !strings.Contains(text, "Log lines of nginx") {
		t.Errorf("%s", text)
	}
	b.pictures("monitor")
}
