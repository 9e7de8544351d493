package slos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"pharos/console/pagetest"
	"pharos/console/slos"
	"pharos/slo"
)

// elasticsearch answers for the objectives' minutes: availability and its routes
// have 10 bad of 100 000, the others no data.
func elasticsearch(target string, body map[string]any) (int, string) {
	text, _ := json.Marshal(body)
	query := string(text)
	counted := func(good, total int) string {
		return fmt.Sprintf(`{"good":{"value":%d},"total":{"value":%d}}`, good, total)
	}
	windows := func(key string) string {
		c := counted(99990, 100000)
		return fmt.Sprintf(`{"key":%q,"window":%s,"since":{"value":1795219200000},"burn0":%s,"burn1":%s,"burn2":%s,"short0":%s,"short1":%s,"short2":%s}`,
			key, c, c, c, c, counted(10, 10), counted(10, 10), counted(10, 10))
	}
	switch {
	case target != slo.RollupStream:
		return http.StatusOK, `{"hits":{"total":{"value":10},"hits":[]},"aggregations":{"0":{"buckets":[{"key":502,"doc_count":9}]}}}`
	case !strings.Contains(query, `availability"`):
		return http.StatusOK, `{"hits":{"total":{"value":0},"hits":[]},"aggregations":{"groups":{"buckets":[]},"points":{"buckets":[]}}}`
	case strings.Contains(query, "date_histogram"):
		return http.StatusOK, `{"hits":{"total":{"value":1},"hits":[]},"aggregations":{"points":{"buckets":[{"key":1795258800000,"good":{"value":99990},"total":{"value":100000}}]}}}`
	case strings.Contains(query, `"field":"slo.group"`):
		return http.StatusOK, `{"hits":{"total":{"value":1},"hits":[]},"aggregations":{"groups":{"buckets":[` + windows("/v1/feed") + `]}}}`
	}
	return http.StatusOK, `{"hits":{"total":{"value":1},"hits":[]},"aggregations":{"groups":{"buckets":[` + windows("") + `]}}}`
}

func newStand(t *testing.T, user string) *pagetest.Stand {
	t.Helper()
	objectives, err := slo.Load(os.DirFS("../../objectives"), ".")
	if err != nil {
		t.Fatal(err)
	}
	s := pagetest.New(t)
	s.Add(slos.SLOs{Objectives: objectives, Runbooks: "https://runbooks.test"}.Pages()...)
	s.Search = elasticsearch
	s.SignIn(user)
	return s
}

func holds(t *testing.T, s *pagetest.Stand, path string, want ...string) {
	t.Helper()
	status, body := s.Get(path)
	_, main, _ := strings.Cut(body, "<main")
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, status, main)
	}
	for _, w := range want {
		if !strings.Contains(main, w) {
			t.Errorf("%s lacks %q in %s", path, w, main)
		}
	}
}

func TestPages(t *testing.T) {
	s := newStand(t, "viewer")
	holds(t, s, "/slos", `href="/slos/availability"`, "99.9 %", "99.99 %", "90 %", "no data", "0.1<span class=\"muted\"> / 14.4")
	// 10 bad of 100 000 at 99.9 %: a tenth of the budget of 100.
	holds(t, s, "/slos/availability", "100000 events", "10 events", "99990", "100 events may be bad", "90 %", "0.1 ×", "https://runbooks.test/slo-availability.md", "slo-availability-fast", "14.4 × over 1 h and 5 min")
	holds(t, s, "/slos/route-availability", "/v1/feed", "part=%2Fv1%2Ffeed", "By http.route")
	holds(t, s, "/slos/route-availability?part=/v1/feed", "Availability: /v1/feed")
	holds(t, s, "/slos/jobs-in-time", "no data", "No data in this time.", "Nothing was counted.")
	if _, body := s.Get("/slos/availability"); strings.Contains(body, `href="/logs`) || strings.Contains(body, `href="/watches`) {
		t.Error("a viewer is led to what it may not see")
	}
	var v slos.ObjectiveView
	s.JSON("/slos/availability.json", &v)
	if d := v.Standing.Data; d.Bad != 10 || d.Attained == nil || *d.Attained != 0.9999 || len(d.Hours) != 1 || len(v.Watches) != 3 {
		t.Errorf("%+v", v)
	}
	var list slos.View
	s.JSON("/slos.json", &list)
	if len(list.Objectives) < 7 || list.Objectives[0].Standing.Data.Total != 100000 {
		t.Errorf("%+v", list)
	}
}

func TestCausesAreLinked(t *testing.T) {
	s := newStand(t, "oncall")
	holds(t, s, "/slos/availability", "http.response.status_code", ">502</a>", "status_code%3A502")
}

func TestRefusals(t *testing.T) {
	s := newStand(t, "oncall")
	for path, status := range map[string]int{
		"/slos/none": http.StatusNotFound, "/slos/availability?part=x": http.StatusBadRequest, "/slos/route-availability?part=/none": http.StatusBadRequest, "/slos/availability?from=bad": http.StatusBadRequest,
	} {
		if got, body := s.Get(path); got != status {
			t.Errorf("%s: %d, want %d: %s", path, got, status, body)
		}
	}
	s.SignIn("support")
	if status, _ := s.Get("/slos"); status != http.StatusForbidden {
		t.Errorf("support: %d", status)
	}
}

func TestElasticsearchAway(t *testing.T) {
	s := newStand(t, "oncall")
	s.Search = func(string, map[string]any) (int, string) {
		return http.StatusBadRequest, `{"error":{"type":"x","reason":"y"},"status":400}`
	}
	holds(t, s, "/slos", "Elasticsearch refused the question")
	holds(t, s, "/slos/availability", "Elasticsearch refused the question", "Who is told")
}
