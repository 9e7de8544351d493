package composetest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// arrival is how long a signal may take into Elasticsearch on a busy machine.
const arrival = 2 * time.Minute

// TestRequestIsFollowedIntoElasticsearch is what Pharos is for, here through
// containers: a request's answer, its log lines, its transactions and the probes.
func TestRequestIsFollowedIntoElasticsearch(t *testing.T) {
	s := open(t)
	start := time.Now()
	token := s.signUp(t)
	var post struct{ ID string }
	s.want(t, http.StatusCreated, &post, "NGINX_PORT", "POST", "/v1/posts", `{"text":"Hello from a container."}`, "Authorization", "Bearer "+token)
	read := s.want(t, http.StatusOK, nil, "NGINX_PORT", "GET", "/v1/feed", "", "Authorization", "Bearer "+token)
	trace, request := read.header.Get("X-Trace-Id"), read.header.Get("X-Request-Id")
	if trace == "" || request == "" {
		t.Fatalf("the answer names no trace or request: %v", read.header)
	}
	var sum struct{ Value, Sum string }
	s.want(t, http.StatusOK, &sum, "NGINX_PORT", "GET", "/tasks/fibonacci?n=90", "")
	if sum.Value != "2880067194370816120" || sum.Sum != "7540113804746346428" {
		t.Errorf("fibonacci: %+v", sum)
	}

	eventually(t, arrival, "nginx's line", func() string {
		lines := s.search(t, "logs-nginx.access-default", term("http.request.id", request))
		if len(lines) != 1 || field(lines[0], "trace.id") != trace || field(lines[0], "http.route") != "/v1/feed" {
			return fmt.Sprint(lines)
		}
		return ""
	})
	for _, service := range []string{"api", "feed"} {
		eventually(t, arrival, service+"'s line", func() string {
			lines := s.search(t, "logs-pharos-default", all(term("trace.id", trace), term("service.name", service)))
			for _, line := range lines {
				if field(line, "http.request.id") == request && field(line, "http.route") == "/v1/feed" {
					return ""
				}
			}
			return fmt.Sprint(lines)
		})
		eventually(t, arrival, service+"'s transaction", func() string {
			found := s.search(t, "traces-apm-default", all(term("trace.id", trace), term("processor.event", "transaction"), term("service.name", service)))
			if len(found) == 0 {
				return "none with trace.id " + trace
			}
			return ""
		})
	}
	for _, store := range []string{"redis", "mongodb", "mysql"} {
		eventually(t, arrival, "a span of feed on "+store, func() string {
			if len(s.search(t, "traces-apm-default", all(term("trace.id", trace), term("service.name", "feed"), term("span.subtype", store)))) == 0 {
				return "none with trace.id " + trace
			}
			return ""
		})
	}
	since := query{"range": query{"@timestamp": query{"gte": start.UTC().Format(time.RFC3339)}}}
	for _, monitor := range []string{"site", "api-1", "api-2", "feed-1", "feed-2", "redis", "mysql", "mongodb", "elasticsearch"} {
		eventually(t, arrival, "a probe of "+monitor, func() string {
			if len(s.search(t, "heartbeat-default", all(term("monitor.id", monitor), term("monitor.status", "up"), since))) == 0 {
				return "none that is up"
			}
			return ""
		})
	}
	for _, what := range []struct{ stream, field, value string }{
		{"metricbeat-default", "metricset.name", "cpu"}, {"metricbeat-default", "service.name", "nginx"},
		{"metricbeat-default", "service.name", "redis"}, {"metricbeat-default", "service.name", "mysql"},
		{"metrics-pharos-default", "service.name", "api"}, {"metrics-pharos-default", "service.name", "feed"},
		{"metrics-pharos-default", "service.name", "ingest"}, {"metrics-pharos-default", "service.name", "analytics"},
		{"metrics-pharos-default", "service.name", "jobs"}, {"metrics-pharos-default", "service.name", "watcher"},
		{"metrics-pharos-default", "service.name", "console"},
	} {
		eventually(t, arrival, what.value+" in "+what.stream, func() string {
			if len(s.search(t, what.stream, all(term(what.field, what.value), since))) == 0 {
				return "no document"
			}
			return ""
		})
	}
}

func (s up) signUp(t *testing.T) (token string) {
	t.Helper()
	handle := "user_" + strings.ToLower(rand.Text()[:10])
	s.want(t, http.StatusCreated, nil, "NGINX_PORT", "POST", "/v1/users", fmt.Sprintf(`{"handle":%q,"name":"A user","password":"correct horse battery"}`, handle))
	var session struct{ Token string }
	s.want(t, http.StatusCreated, &session, "NGINX_PORT", "POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":"correct horse battery"}`, handle))
	return session.Token
}

// TestShopEventsAreCounted sends events through the bus into windows.
func TestShopEventsAreCounted(t *testing.T) {
	s := open(t)
	token := s.signUp(t)
	product := "p-" + strings.ToLower(rand.Text()[:10])
	for n := range 3 {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%s-%d","source":"/composetest","type":"shop.view","data":{"session_id":"s","product_id":%q,"category":"lamps"}}`, product, n, product)
		var results struct{ Items []struct{ Status string } }
		s.want(t, http.StatusAccepted, &results, "NGINX_PORT", "POST", "/v1/events", body, "Authorization", "Bearer "+token, "Content-Type", "application/cloudevents+json")
		if len(results.Items) != 1 || results.Items[0].Status != "accepted" {
			t.Fatalf("event %d: %+v", n, results)
		}
	}
	// A shop that falls silent is waited for as long as SHOP_IDLE_AFTER.
	eventually(t, 5*time.Minute, "the product's window", func() string {
		if len(s.search(t, "metrics-shop.analytics-default", term("shop.product", product))) == 0 {
			return "no document"
		}
		return ""
	})
}

// TestPages reads what operators and the public see, with their own accounts.
func TestPages(t *testing.T) {
	s := open(t)
	if a := s.ask(t, "CONSOLE_PORT", "GET", "/overview.json", ""); a.status == http.StatusOK {
		t.Errorf("anybody reads the overview: %.300s", a.body)
	}
	eventually(t, arrival, "the overview with requests", func() string {
		a := s.ask(t, "CONSOLE_PORT", "GET", "/overview.json", "", "Authorization", basic("oncall", s.settings["ONCALL_PASSWORD"]))
		if a.status != http.StatusOK || !strings.Contains(a.body, "/v1/feed") {
			return fmt.Sprintf("%d %.600s", a.status, a.body)
		}
		return ""
	})
	page := s.ask(t, "CONSOLE_PORT", "GET", "/sign-in", "", "Accept", "text/html")
	if page.status != http.StatusOK || !strings.Contains(page.body, "<title>") {
		t.Errorf("the console's sign-in: %d %.300s", page.status, page.body)
	}
	// The bundle that the npm stage of the Dockerfile made.
	for _, part := range strings.Split(page.body, `"`) {
		if strings.HasSuffix(part, ".css") || strings.HasSuffix(part, ".js") {
			if a := s.ask(t, "CONSOLE_PORT", "GET", part, ""); a.status != http.StatusOK || len(a.body) < 1000 {
				t.Errorf("%s: %d, %d bytes", part, a.status, len(a.body))
			}
		}
	}
	status := s.ask(t, "NGINX_PORT", "GET", "/status", "", "Accept", "text/html")
	if status.status != http.StatusOK || !strings.Contains(status.body, "Website and API") {
		t.Errorf("the status page: %d %.300s", status.status, status.body)
	}
	for path, want := range map[string]int{"/metrics": http.StatusNotFound, "/readyz": http.StatusNotFound, "/healthz": http.StatusOK, "/docs": http.StatusOK} {
		if a := s.ask(t, "NGINX_PORT", "GET", path, ""); a.status != want {
			t.Errorf("%s through nginx: %d", path, a.status)
		}
	}
}

// TestWatcherWorks sees the watches of the repository run.
func TestWatcherWorks(t *testing.T) {
	s := open(t)
	eventually(t, arrival+2*time.Minute, "runs of watches", func() string {
		runs := s.search(t, "pharos-watch-history", query{"match_all": query{}})
		if len(runs) < 3 {
			return fmt.Sprintf("%d runs", len(runs))
		}
		return ""
	})
}
