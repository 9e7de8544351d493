package security

import (
	"net/http"
	"strings"
	"testing"

	"pharos/console/kql"
	"pharos/console/pagetest"
)

// answer is Elasticsearch's to the page's questions, as 8.19 writes it.
func answer(_ string, body map[string]any) (int, string) {
	aggs, ok := body["aggs"].(map[string]any)
	if !ok {
		return scans(body)
	}
	const times = `"first":{"value":1795262280000.0},"last":{"value":1795262340000.0}`
	switch {
	case aggs["routes"] != nil:
		return 0, `{"hits":{"total":{"value":7}},"aggregations":{"status":{"buckets":[{"key":429,"doc_count":2},{"key":401,"doc_count":5}]},
			"over":{"buckets":[{"key":1795262340000,"doc_count":7,"status":{"buckets":[{"key":401,"doc_count":5},{"key":429,"doc_count":2}]}}]},
			"routes":{"buckets":[{"key":"/v1/sessions","doc_count":7,"addresses":{"value":3},"status":{"buckets":[{"key":401,"doc_count":5},{"key":429,"doc_count":2}]}}]}}}`
	case aggs["attempts"] != nil:
		return 0, `{"aggregations":{"console":{"doc_count":4},"attempts":{"doc_count":21,"failed":{"doc_count":20},"slowed":{"doc_count":1},
			"addresses":{"buckets":[{"key":"192.0.2.1","doc_count":10,"others":{"value":9},` + times + `},{"key":"192.0.2.2","doc_count":9,"others":{"value":1},` + times + `}]},
			"handles":{"buckets":[{"key":"a<b>","doc_count":4,"others":{"value":2},` + times + `}]}}}}`
	case aggs["probed"] != nil:
		return 0, `{"aggregations":{"probed":{"buckets":{"PHP":{"doc_count":3,"addresses":{"value":1},"answered":{"doc_count":1}},"WordPress":{"doc_count":5,"addresses":{"value":2},"answered":{"doc_count":0}},"CGI and routers":{"doc_count":0}}},
			"around":{"doc_count":30,"addresses":{"buckets":[{"key":"192.0.2.1","doc_count":20,"paths":{"value":10},"last":{"value":1795262340000.0}},{"key":"192.0.2.9","doc_count":20,"paths":{"value":9},"last":{"value":1795262340000.0}}]}}}}`
	case aggs["agents"] != nil:
		return 0, `{"aggregations":{"agents":{"buckets":{"sqlmap":{"doc_count":2,"addresses":{"value":1},"answered":{"doc_count":0}},"no user agent":{"doc_count":8,"addresses":{"value":1},"answered":{"doc_count":8}}}}}}`
	}
	return 0, `{"aggregations":{"addresses":{"buckets":[{"key":"192.0.2.1","doc_count":100,"refused":{"doc_count":20},"failed":{"doc_count":5}}]}}}`
}

// scans is what make vuln wrote: a scan, and two findings of it.
func scans(body map[string]any) (int, string) {
	if body["size"] == 1.0 {
		return 0, `{"hits":{"hits":[{"_source":{"@timestamp":"2026-11-20T11:00:00Z","event":{"outcome":"success"},"observer":{"name":"govulncheck v1.1.4"},"service":{"version":"v1.2.3"},"vulnerability":{"report_id":"r1"}}}]}}`
	}
	return 0, `{"hits":{"hits":[
		{"_source":{"@timestamp":"2026-11-20T11:00:00Z","vulnerability":{"id":["GO-1"],"category":["required"],"description":"a<b>","reference":"javascript:alert(1)"},"package":{"name":"example.org/a","version":"v1.0.0"}}},
		{"_source":{"@timestamp":"2026-11-20T11:00:00Z","vulnerability":{"id":["GO-2","CVE-2"],"category":["called"],"description":"bad","reference":"https://pkg.go.dev/vuln/GO-2"},"package":{"name":"example.org/b","version":"v1.0.0"},"labels":{"fixed_version":"v1.0.1"}}}]}}`
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		last      string // what the search for the last scan finds
		says, not []string
	}{
		"found":     {"", []string{"1 called", "GO-2, CVE-2", `href="https://pkg.go.dev/vuln/GO-2"`, "calls it", "v1.0.1", "none yet", "requires the module", "a&lt;b&gt;", "govulncheck v1.1.4"}, []string{"javascript:", "Nobody has looked"}},
		"none":      {`{"hits":{"hits":[{"_source":{"@timestamp":"2026-11-20T11:00:00Z","event":{"outcome":"success"},"vulnerability":{"report_id":"r0"}}}]}}`, []string{"none known"}, []string{"not run"}},
		"not run":   {`{"hits":{"hits":[{"_source":{"@timestamp":"2026-11-20T11:00:00Z","event":{"outcome":"failure"},"error":{"message":"no such host"},"vulnerability":{"report_id":"r2"}}}]}}`, []string{"not run", "nothing is known: no such host"}, []string{"none known"}},
		"never yet": {`{"hits":{"hits":[]}}`, []string{"Nobody has looked yet"}, []string{"none known"}},
	} {
		c := stand(t, func(path string, body map[string]any) (int, string) {
			if body["aggs"] == nil && tt.last != "" {
				if body["size"] == 1.0 {
					return 0, tt.last
				}
				return 0, `{"hits":{"hits":[]}}`
			}
			return answer(path, body)
		})
		_, body := c.Get("/security")
		_, part, _ := strings.Cut(body, `id="p-dependencies"`)
		part, _, _ = strings.Cut(part, "</section>")
		for _, want := range tt.says {
			if !strings.Contains(part, want) {
				t.Errorf("%s: %q is not in %s", name, want, part)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(part, not) {
				t.Errorf("%s: %q is in %s", name, not, part)
			}
		}
	}
}

func stand(t *testing.T, answer pagetest.Elasticsearch) *pagetest.Stand {
	t.Helper()
	s := pagetest.New(t)
	s.Search = answer
	s.Add(Page())
	return s
}

func TestPage(t *testing.T) {
	t.Parallel()
	c := stand(t, answer)
	status, body := c.Get("/security")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{"/v1/sessions", "too many requests", "a&lt;b&gt;", "WordPress", "sqlmap", "25 %", "client.ip%3A%22192.0.2.1%22"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	var v View
	c.JSON("/security.json", &v)
	r := v.Refused.Data
	if r.Total != 7 || r.Codes[0].Count != 5 || r.Codes[1].Count != 0 || r.Codes[2].Count != 2 || r.Routes[0].Codes[2].Count != 2 {
		t.Errorf("%+v", r)
	}
	s := v.SignIns.Data
	if s.Failed != 20 || s.Slowed != 1 || s.Console != 4 || !s.Sources[0].Many || s.Sources[1].Many || s.Handles[0].Many || s.Handles[0].Others != 2 {
		t.Errorf("%+v", s)
	}
	// Nine paths are no scan; what nobody looked for is left out.
	if scan := v.Scanners.Data; len(scan.Addresses) != 1 || len(scan.Paths) != 2 || scan.Paths[0].Name != "WordPress" || scan.Paths[1].Answered != 1 {
		t.Errorf("%+v", scan)
	}
	if a := v.Agents.Data; len(a) != 2 || a[0].Name != "no user agent" {
		t.Errorf("%+v", a)
	}
	if a := v.Addresses.Data[0]; a.ErrorShare() != 0.25 {
		t.Errorf("%+v", a)
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	c := stand(t, func(string, map[string]any) (int, string) {
		return http.StatusNotFound, `{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`
	})
	if status, body := c.Get("/security"); status != http.StatusOK || !strings.Contains(body, "Nothing was refused") || strings.Count(body, "None in this time.") != 3 {
		t.Errorf("%d %s", status, body)
	}
}

// Every link to the log lines must be one that the logs page can read.
func TestSearchesAreRead(t *testing.T) {
	t.Parallel()
	searches := []string{
		Traffic + " and http.response.status_code:(401 or 403 or 429)",
		`event.action:(sign-in-failed or sign-in-slowed) and user.name:"a<b>"`,
		Traffic + ` and (not user_agent.original:* or user_agent.original:"-")`,
	}
	for name := range probes() {
		searches = append(searches, Traffic+" and http.route:other and "+anyOf("url.path", probes()[name]))
	}
	for _, name := range agents() {
		searches = append(searches, Traffic+" and user_agent.original:*"+name+"*")
	}
	for _, search := range searches {
		if _, err := kql.Parse(search); err != nil {
			t.Errorf("%s: %v", search, err)
		}
	}
}
