package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/internal/fault"
)

// arrival is how long a signal may take from its process into Elasticsearch.
const arrival = 60 * time.Second

// TestRequestIsFollowedIntoElasticsearch is what Pharos is for: one request's
// log lines, transactions and spans, from nginx to the stores, under one trace
// id; uptime seen from outside; and an availability that is counted right.
func TestRequestIsFollowedIntoElasticsearch(t *testing.T) {
	s := open(t)
	c := newClient(s)
	quiet(t, s)
	start := time.Now()

	author, reader := c.signUp(t, "author"), c.signUp(t, "reader")
	var post struct{ ID, Text string }
	c.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"Hello from the end-to-end test."}`, author.auth()...).decode(t, &post)
	c.want(t, http.StatusNoContent, "PUT", "/v1/follows/"+author.Handle, "", reader.auth()...)
	read := c.want(t, http.StatusOK, "GET", "/v1/feed", "", reader.auth()...)
	var page feedPage
	read.decode(t, &page)
	if len(page.Items) != 1 || page.Items[0].ID != post.ID || page.Items[0].Author.Handle != author.Handle || page.Items[0].Text != post.Text {
		t.Errorf("feed: %s", read.body)
	}
	if read.traceID() == "" || read.requestID() == "" {
		t.Fatalf("the answer names no trace or request: %v", read.header)
	}
	for path, want := range map[string]string{
		"/tasks/fibonacci?n=90":    `{"task":"fibonacci","n":90,"value":"2880067194370816120","sum":"7540113804746346428"}`,
		"/tasks/factorial?n=20":    `{"task":"factorial","n":20,"value":"2432902008176640000"}`,
		"/tasks/ackermann?m=2&n=3": `{"task":"ackermann","m":2,"n":3,"value":"9"}`,
	} {
		if a := c.want(t, http.StatusOK, "GET", path, ""); strings.TrimSpace(string(a.body)) != want {
			t.Errorf("%s: %s", path, a.body)
		}
	}

	s.supervise(t, "stop", "feed-1", "feed-2")
	t.Cleanup(func() { startFeeds(t, s) }) // also when the test fails before it does so
	eventually(t, time.Minute, "both feeds are stopped", func() string {
		if ready(s.Feed1Port) || ready(s.Feed2Port) {
			return "one of them still answers"
		}
		return ""
	})
	failed := c.want(t, http.StatusServiceUnavailable, "GET", "/v1/feed?limit=7", "", reader.auth()...)
	var p fault.Problem
	failed.decode(t, &p)
	if p.Type != "/problems/unavailable" || p.TraceID != failed.traceID() || failed.header.Get("Retry-After") == "" {
		t.Errorf("failed request: %v %s", failed.header, failed.body)
	}
	eventually(t, arrival, "Heartbeat's down documents of feed", func() string { return s.probed(t, start, "feed", "down") })
	startFeeds(t, s)
	c.want(t, http.StatusOK, "GET", "/v1/feed?limit=7", "", reader.auth()...)
	end := time.Now().Add(time.Millisecond)

	eventually(t, arrival, "the feed request's signals", func() string { return s.followed(t, read, reader) })
	eventually(t, arrival, "the failed request's signals", func() string { return s.followedFailure(t, failed) })
	eventually(t, arrival, "Heartbeat's up documents", func() string {
		for _, monitor := range []string{"site", "api", "feed", "redis", "mysql", "mongodb", "elasticsearch"} {
			if missing := s.probed(t, start, monitor, "up"); missing != "" {
				return missing
			}
		}
		return ""
	})
	eventually(t, arrival, "availability", func() string {
		got, err := s.es.Availability(t.Context(), elastic.Window{From: start, To: end}, elastic.TrafficFilter{})
		if err != nil {
			return err.Error()
		}
		want := elastic.Availability{Total: c.total, Bad: c.bad, Ratio: float64(c.total-c.bad) / float64(c.total)}
		if got != want {
			return fmt.Sprintf("the traffic query says %+v, the test counted %+v", got, want)
		}
		return ""
	})
	if c.bad != 1 {
		t.Errorf("%d requests failed, one was meant to", c.bad)
	}
}

type feedPage struct {
	Items []struct {
		ID     string
		Author struct{ ID, Handle, Name string }
		Text   string
	}
	NextCursor string `json:"next_cursor"`
}

func startFeeds(t *testing.T, s *stack) {
	for _, f := range []struct {
		name string
		port int
	}{{"feed-1", s.Feed1Port}, {"feed-2", s.Feed2Port}} {
		if !ready(f.port) {
			s.supervise(t, "start", f.name)
		}
	}
	eventually(t, time.Minute, "both feeds are ready", func() string {
		if !ready(s.Feed1Port) || !ready(s.Feed2Port) {
			return "one of them does not answer" + s.tail("feed-*/output.log")
		}
		return ""
	})
}

// quiet waits until no request of an earlier test is on its way any more: the
// test counts by time.
func quiet(t *testing.T, s *stack) {
	t.Helper()
	marker := newClient(s).want(t, http.StatusOK, "GET", "/tasks/factorial?n=1", "")
	eventually(t, arrival, "nginx's line of a first request", func() string {
		if len(s.search(t, "logs-nginx.access-default", all(term("http.request.id", marker.requestID())))) == 0 {
			return "not in Elasticsearch" + s.tail("nginx/access.log") + s.tail("filebeat/*")
		}
		return ""
	})
	time.Sleep(2 * time.Millisecond) // a window's edges have milliseconds
}

// followed says what is missing of a feed request's signals, "" if nothing is.
func (s *stack) followed(t *testing.T, a answer, u user) string {
	t.Helper()
	access := s.search(t, "logs-nginx.access-default", all(term("http.request.id", a.requestID())))
	if len(access) != 1 {
		return fmt.Sprintf("%d access documents with http.request.id %s%s", len(access), a.requestID(), s.tail("nginx/access.log"))
	}
	if missing := fields(access[0], map[string]any{
		"trace.id": a.traceID(), "http.route": "/v1/feed", "http.response.status_code": 200.0, "url.path": "/v1/feed",
		"service.name": "nginx", "cloud.region": nil, "service.environment": nil, "service.node.name": nil, "service.version": nil,
		"event.duration": nil, "source.ip": "127.0.0.1", "nginx.upstream.address": nil,
	}); missing != "" {
		return "access document: " + missing
	}
	for _, service := range []string{"api", "feed"} {
		lines := s.search(t, "logs-pharos-default", all(term("trace.id", a.traceID()), term("service.name", service)))
		i := slices.IndexFunc(lines, func(h elastic.Hit) bool { return fields(h, map[string]any{"http.route": "/v1/feed"}) == "" })
		if i < 0 {
			return fmt.Sprintf("no line of %s among the %d with trace.id %s%s", service, len(lines), a.traceID(), s.tail("pharos/"+service+"*.log"))
		}
		if missing := fields(lines[i], map[string]any{
			"http.request.id": a.requestID(), "user.id": u.ID, "transaction.id": nil, "event.duration": nil,
			"http.response.status_code": 200.0, "service.node.name": nil, "service.version": nil, "cloud.region": nil,
		}); missing != "" {
			return service + "'s line: " + missing
		}
		tx := s.search(t, "traces-apm-default", all(term("trace.id", a.traceID()), term("processor.event", "transaction"), term("service.name", service), term("transaction.name", "GET /v1/feed")))
		if len(tx) != 1 {
			return fmt.Sprintf("%d transactions of %s with trace.id %s%s", len(tx), service, a.traceID(), s.tail("pharos/intake.log"))
		}
		if missing := fields(tx[0], map[string]any{
			"transaction.duration.us": nil, "cloud.region": nil, "service.environment": nil, "service.node.name": nil,
		}); missing != "" {
			return service + "'s transaction: " + missing
		}
	}
	if tx := s.search(t, "traces-apm-default", all(term("trace.id", a.traceID()), term("service.name", "api"), term("processor.event", "transaction"))); fields(tx[0], map[string]any{"parent.id": nil}) == "" {
		return "api's transaction has a parent: it is not the root of the trace"
	}
	for _, store := range []string{"redis", "mongodb", "mysql"} {
		// api asks Redis too: it counts sign-ins there.
		spans := s.search(t, "traces-apm-default", all(term("trace.id", a.traceID()), term("service.name", "feed"), term("span.subtype", store)))
		if len(spans) == 0 {
			return fmt.Sprintf("no span of feed on %s with trace.id %s", store, a.traceID())
		}
		if missing := fields(spans[0], map[string]any{"span.duration.us": nil, "parent.id": nil, "transaction.id": nil}); missing != "" {
			return store + "'s span: " + missing
		}
	}
	return ""
}

// followedFailure says what is missing of the request that failed on purpose.
func (s *stack) followedFailure(t *testing.T, a answer) string {
	t.Helper()
	if h := s.search(t, "logs-nginx.access-default", all(term("http.request.id", a.requestID()), term("http.response.status_code", 503))); len(h) != 1 {
		return fmt.Sprintf("%d access documents with status 503", len(h))
	}
	if h := s.search(t, "logs-pharos-default", all(term("trace.id", a.traceID()), term("service.name", "api"), term("log.level", "error"))); len(h) == 0 {
		return "no error line of api"
	}
	h := s.search(t, "logs-apm.error-default", all(term("trace.id", a.traceID())))
	if len(h) == 0 {
		return "no captured error"
	}
	return fields(h[0], map[string]any{"service.name": "api", "error.grouping_key": nil, "error.exception": nil})
}

// probed says whether a document of a monitor of the service (or with the id)
// is missing in that state since the given time.
func (s *stack) probed(t *testing.T, since time.Time, monitor, status string) string {
	t.Helper()
	q := query{"bool": query{
		"filter": []query{term("monitor.status", status), {"range": query{"@timestamp": query{"gte": since.UTC().Format(time.RFC3339)}}}},
		"should": []query{term("monitor.id", monitor), term("service.name", monitor)}, "minimum_should_match": 1,
	}}
	if len(s.search(t, "heartbeat-default", q)) == 0 {
		return fmt.Sprintf("no document that %s is %s%s", monitor, status, s.tail("heartbeat/*"))
	}
	return ""
}

// fields compares a document with what it must hold; nil stands for any value.
// It returns what differs.
func fields(h elastic.Hit, want map[string]any) string {
	var doc map[string]any
	if err := json.Unmarshal(h.Source, &doc); err != nil {
		return err.Error()
	}
	for name, value := range want {
		got, ok := lookup(doc, name)
		if !ok || value != nil && got != value {
			return fmt.Sprintf("%s is %v, want %v, in %s", name, got, value, h.Source)
		}
	}
	return ""
}

// lookup finds a field whether its name is written with dots or as objects.
func lookup(doc map[string]any, name string) (any, bool) {
	if v, ok := doc[name]; ok {
		return v, true
	}
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		if inner, ok := doc[name[:i]].(map[string]any); ok {
			if v, ok := lookup(inner, name[i+1:]); ok {
				return v, true
			}
		}
	}
	return nil, false
}
