package uptime_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/console/page"
	"pharos/console/session"
	"pharos/console/uptime"
	"pharos/elastic"
	"pharos/internal/look"
	"pharos/slo"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const hostile = `<script>alert(1)</script>`

// elasticsearch answers what the pages ask; with forbidden, not the minutes of
// objectives.
func elasticsearch(w http.ResponseWriter, r *http.Request, forbidden bool) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	body, _ := io.ReadAll(r.Body)
	check := `{"_source":{"@timestamp":"2026-11-21T11:59:58Z","monitor":{"id":"site","name":"The site ` + hostile + `","type":"http","status":"down"},"service":{"name":"nginx"},"error":{"message":"` + hostile + `"},"tls":{"server":{"x509":{"not_after":"2026-11-25T12:00:00Z"}}}}}`
	answer := func(aggs string) {
		_, _ = fmt.Fprintf(w, `{"_shards":{},"hits":{"total":{"value":1},"hits":[%s]},"aggregations":{%s}}`, check, aggs)
	}
	asks := func(text string) bool { return strings.Contains(string(body), text) }
	switch {
	case strings.HasSuffix(r.URL.Path, "/_has_privileges"):
		_, _ = fmt.Fprint(w, `{"username":"oncall","index":{"heartbeat-default":{"read":true},"logs-nginx.access-default":{"read":true},"logs-pharos-default":{"read":true}}}`)
	case strings.Contains(r.URL.Path, "metrics-slo") && forbidden:
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `{"error":{"type":"security_exception","reason":"no"},"status":403}`)
	case strings.Contains(r.URL.Path, "metrics-slo"):
		answer(`"parts":{"buckets":[{"key":"site","days":{"buckets":[{"key":1795219200000,"good":{"value":719},"total":{"value":720}}]}}]}`)
	case asks(`"steps"`):
		answer(`"monitors":{"buckets":[{"key":"site","steps":{"buckets":[{"doc_count":3,"first":{"value":1795262100000},"last":{"value":1795262110000}}]}}]}`)
	case asks(`"why0"`):
		answer(`"end0":{"at":{"value":null}},"why0":{"last":{"hits":{"hits":[` + check + `]}}}`)
	case asks(`"monitors"`):
		answer(`"monitors":{"buckets":[{"key":"site","doc_count":720,"down":{"doc_count":3},"up":{"took":{"values":{"50.0":2500,"95.0":4000}},"times":{"buckets":[]}},"last":{"hits":{"hits":[` + check + `]}}}]}`)
	case asks(`"times"`):
		answer(`"times":{"buckets":[{"key":1795260600000,"took":{"values":{"50.0":2500,"95.0":4000,"99.0":null}}}]}`)
	default:
		answer("")
	}
}

func get(t *testing.T, path string, forbidden bool) (int, string) {
	t.Helper()
	gin.SetMode(gin.TestMode)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { elasticsearch(w, r, forbidden) }))
	defer server.Close()
	es, err := elastic.New(elastic.Config{URLs: []string{server.URL}, User: "console", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return now }
	sessions, err := session.New(es, session.Config{Key: "0123456789abcdef0123456789abcdef", Lasts: time.Hour}, clock, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	assets, err := look.NewAssets("/assets/", fstest.MapFS{"console.js": {}, "console.css": {}})
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	site, err := page.NewSite(r, page.Config{Elasticsearch: es, Sessions: sessions, Assets: assets, Now: clock, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	u := uptime.Uptime{Objectives: []slo.Objective{{Name: "system-uptime", Target: 0.9999, Indicator: slo.Indicator{Uptime: &slo.Uptime{
		Components: []slo.Component{{Name: "site", Title: "Site", Monitors: []string{"site"}, NeedAll: true}},
	}}}}}
	for _, p := range []page.Page{u.Page(), u.MonitorPage()} {
		if err := site.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.SetBasicAuth("oncall", "pw")
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func TestPages(t *testing.T) {
	for _, path := range []string{"/uptime", "/uptime/site"} {
		status, html := get(t, path, false)
		if status != http.StatusOK || strings.Contains(html, hostile) || !strings.Contains(html, "&lt;script&gt;alert(1)") {
			t.Errorf("%s: %d %s", path, status, html)
		}
		for _, want := range []string{"down", "99.58\u00a0%", "4\u00a0d left", "99.86\u00a0%", "goes on", "/logs?from=2026-11-21T11%3A54%3A00.000Z&amp;q=service.name%3A%22nginx%22&amp;to=2026-11-21T12%3A01%3A00.000Z"} {
			if !strings.Contains(html, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}
	status, text := get(t, "/uptime/site.json", false)
	var v uptime.MonitorView
	if err := json.Unmarshal([]byte(text), &v); err != nil || status != http.StatusOK || v.ID != "site" || v.Monitor.Data.Status != "down" || v.Monitor.Data.Down != 3 || len(v.Outages.Data.List) != 1 {
		t.Errorf("%v %s", err, text)
	}
}

// Support reads checks, and no objectives: the rest of the page is there.
func TestWithoutTheRightToObjectives(t *testing.T) {
	status, html := get(t, "/uptime", true)
	if status != http.StatusOK || !strings.Contains(html, "Your role may not read this.") || !strings.Contains(html, "goes on") {
		t.Errorf("%d %s", status, html)
	}
}
