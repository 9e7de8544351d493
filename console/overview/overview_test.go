package overview_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"pharos/console/kql"
	"pharos/console/overview"
	"pharos/console/pagetest"
	"pharos/slo"
)

// elasticsearch answers as 8.19 does: seven requests in this time, two bad, one
// route, and one order.
func elasticsearch(target string, body map[string]any) (int, string) {
	aggs, _ := body["aggs"].(map[string]any)
	const took = `"took":{"values":{"50.0":1000000,"95.0":20000000,"99.0":1500000000.5}}`
	const route = `{"buckets":[{"key":"/v1/feed","doc_count":7,"bad":{"doc_count":2},` + took + `}]}`
	switch {
	case target == slo.RollupStream:
		return 0, `{"aggregations":{"good":{"value":990},"total":{"value":1000}}}`
	case target == "heartbeat-default":
		return 0, `{"aggregations":{"monitors":{"buckets":[{"last":{"hits":{"hits":[{"_source":{"@timestamp":"2026-11-21T12:00:00Z","monitor":{"id":"api-1","name":"api 1","status":"up","duration":{"us":1200}},"service":{"name":"api"}}}]}}}]}}}`
	case strings.HasPrefix(target, "metrics-shop"):
		if strings.Contains(body["call"].(string), "_field_caps") {
			return 0, `{"fields":{"shop.revenue_minor.EUR":{}}}`
		}
		return 0, `{"aggregations":{"over":{"buckets":[{"key":1795262400000,"doc_count":1,"purchases":{"value":3},"shop.revenue_minor.EUR":{"value":2000}}]}}}`
	case aggs["sample"] != nil:
		return 0, `{"aggregations":{"sample":{"all":{"values":{"50.0":1000000,"95.0":20000000,"99.0":1500000000.5}},"over":{"buckets":[]},"top":` + route + `,"slow":` + route + `}}}`
	}
	return 0, `{"hits":{"total":{"value":7},"hits":[]},"aggregations":{"bad":{"doc_count":2,"over":{"buckets":[]},"routes":{"buckets":[{"key":"/v1/feed","doc_count":2}]}},"status":{"buckets":[{"key":200,"doc_count":5},{"key":503,"doc_count":2}]}}}`
}

func stand(t *testing.T, user string) *pagetest.Stand {
	t.Helper()
	s := pagetest.New(t)
	s.Search = elasticsearch
	s.Add(overview.Overview{Watcher: s.Watcher, Availability: &slo.Objective{Name: "availability", Target: 0.999, Window: 30 * 24 * time.Hour}}.Page())
	s.SignIn(user)
	return s
}

var (
	link   = regexp.MustCompile(`<a [^>]*href="([^"]+)"[^>]*>(.*?)</a>`)
	figure = regexp.MustCompile(`(?s)<div class="figures">.*?\n</div>`)
)

// Each number leads to the lines it was counted from, by a search that the logs
// page can read and that leaves out what was not counted.
func TestNumbersLeadToTheirLines(t *testing.T) {
	s := stand(t, "oncall")
	status, body := s.Get("/")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	const requests = "data_stream.dataset:nginx.access and not labels.probe:true"
	want := map[string]bool{
		requests: true,
		requests + " and http.response.status_code >= 500":                           true,
		requests + " and http.response.status_code:503":                              true,
		requests + ` and http.route:"/v1/feed"`:                                      true,
		requests + ` and http.route:"/v1/feed" and http.response.status_code >= 500`: true,
		requests + " and event.duration >= 1000000":                                  true,
		requests + " and event.duration >= 1500000000":                               true,
		requests + ` and http.route:"/v1/feed" and event.duration >= 20000000`:       true,
	}
	leads := map[string]bool{}
	for _, m := range link.FindAllStringSubmatch(body, -1) {
		to, err := url.Parse(html.UnescapeString(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		leads[to.Path] = true
		q := to.Query().Get("q")
		if to.Path != "/logs" || q == "" {
			continue
		}
		if _, err := kql.Parse(q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
		if !strings.HasPrefix(q, requests) {
			t.Errorf("%s looks for what was not counted", q)
		}
		delete(want, q)
	}
	for q := range want {
		t.Errorf("nothing leads to %s", q)
	}
	for _, path := range []string{"/slos/availability", "/uptime/api-1", "/services/api", "/shop"} {
		if !leads[path] {
			t.Errorf("nothing leads to %s", path)
		}
	}
	for _, figures := range figure.FindAllString(body, -1) {
		if strings.Contains(figures, `<div class="figure"><b`) && !strings.Contains(figures, "now (5 min)") {
			t.Errorf("a number that leads nowhere: %s", figures)
		}
	}
	if !strings.Contains(body, "2 bad</a> of <a") || !strings.Contains(body, "10 bad</a> of <a") {
		t.Error("availability does not lead to what is bad, and to all")
	}
}

// Who may not read lines is not sent there.
func TestAManagersOverview(t *testing.T) {
	s := stand(t, "viewer")
	status, body := s.Get("/")
	_, availability, _ := strings.Cut(body, `id="p-availability"`)
	availability, _, _ = strings.Cut(availability, "</section>")
	if status != http.StatusOK || strings.Contains(availability, "/logs") || !strings.Contains(availability, "10 bad of") || !strings.Contains(availability, "/slos/availability") {
		t.Errorf("%d %s", status, availability)
	}
}
