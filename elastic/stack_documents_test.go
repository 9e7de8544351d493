package elastic

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func term(field string, value any) Query { return Query{"term": Query{field: value}} }
func match(field, text string) Query     { return Query{"match": Query{field: text}} }
func over(field string, value any) Query { return Query{"range": Query{field: Query{"gt": value}}} }

// documents sends what nginx, the Go processes, the agents and Heartbeat
// really wrote, and compares what Elasticsearch made of it.
func (w *world) documents(t *testing.T) {
	const trace = "921e05327ebf12a3286573854c93f8c0"
	for _, tt := range []struct {
		file, dataset string
		find          []Query
	}{
		{"nginx-access", "logs-nginx.access", []Query{
			term("trace.id", "4bf92f3577b34da6a3ce929d0e0e4736"), term("http.request.id", "31f369bdaa9f3001fb4ead76a5a60154"),
			term("http.route", "/v1/feed"), term("labels.probe", false), term("source.ip", "127.0.0.0/8"), term("cloud.region", "local"),
			over("event.duration", 4_999_999), over("http.response.status_code", 499), over("nginx.upstream.duration", 0),
			match("message", "feed"), term("user_agent.original", "curl/7.88.1"), match("user_agent.original.text", "curl"),
		}},
		{"nginx-error", "logs-nginx.error", []Query{
			term("log.level", "error"), term("client.ip", "127.0.0.1"), term("nginx.connection.id", 3), term("http.request.method", "GET"),
			term("@timestamp", "2026-11-21T02:26:13Z"), match("message", "refused"), term("event.dataset", "nginx.error"),
		}},
		{"go-log", "logs-pharos", []Query{
			term("trace.id", trace), term("transaction.id", "921e05327ebf12a3"), term("http.request.id", "abc"), term("user.id", "u1"),
			term("service.name", "api"), term("service.version", "1.2.3"), term("service.environment", "dev"), term("service.node.name", "api-1"),
			term("cloud.region", "local"), match("error.message", "boom"), over("event.duration", 1_000_000), term("log.origin.file.line", 114),
		}},
		{"apm-transaction", "traces-apm", []Query{
			term("trace.id", trace), term("processor.event", "transaction"), term("cloud.region", "local"), term("service.node.name", "api-1"),
			term("http.route", "/v1/feed"), term("http.request.id", "0cf19cd4b8cce8c97679f7f1048833f4"), over("transaction.duration.us", 1000),
			term("transaction.sampled", true), term("event.outcome", "failure"), term("event.success_count", 0), term("labels.cache", "true"),
			term("user.id", "u1"), match("transaction.name.text", "feed"),
		}},
		{"apm-span", "traces-apm", []Query{
			term("trace.id", trace), term("processor.event", "span"), term("parent.id", "921e05327ebf12a3"), term("span.subtype", "mysql"),
			term("span.db.rows_affected", 3), match("span.db.statement.text", "requests"), over("span.duration.us", 1000), term("cloud.region", "local"),
			term("span.destination.service.resource", "mysql"), term("event.success_count", 1),
		}},
		{"apm-error", "logs-apm.error", []Query{
			term("trace.id", trace), term("processor.event", "error"), term("error.exception.type", "wrapError"), match("error.exception.message", "timeline"),
			term("error.exception.handled", true), term("error.grouping_name", "read timeline: boom"), term("cloud.region", "local"), match("message", "boom"),
		}},
		{"apm-metric", "metrics-apm.internal", []Query{
			term("processor.event", "metric"), over("golang.goroutines", 1), over("system.process.memory.rss.bytes", 1e6), term("cloud.region", "local"),
			term("service.node.name", "api-1"), term("metricset.name", "app"),
		}},
		{"apm-metric-breakdown", "metrics-apm.internal", []Query{
			term("metricset.name", "span_breakdown"), term("span.subtype", "mysql"), over("span.self_time.sum.us", 2000), term("transaction.name", "GET /v1/feed"),
		}},
		{"heartbeat-up", "heartbeat", []Query{
			term("monitor.id", "up"), term("monitor.status", "up"), term("summary.up", 1), term("http.response.status_code", 200),
			term("monitor.timespan", "2026-11-21T02:25:01.000Z"), over("http.rtt.total.us", 0), term("http.response.headers.Content-Type", "application/json"),
		}},
		{"heartbeat-down", "heartbeat", []Query{
			term("monitor.id", "dead"), term("monitor.status", "down"), term("summary.down", 1), match("error.message", "refused"), term("monitor.ip", "127.0.0.1"),
		}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			document, err := os.ReadFile(filepath.Join("testdata", "documents", tt.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			stream := w.stream(tt.dataset)
			if err := w.index(t, stream, json.RawMessage(document)); err != nil {
				t.Fatal(err)
			}
			for _, q := range tt.find {
				if found, err := w.client.Search(t.Context(), stream, Query{"query": q}); err != nil || found.Total == 0 {
					t.Errorf("%v does not find it: %v", q, err)
				}
			}
			found, err := w.client.Search(t.Context(), stream, Query{"query": Query{"bool": Query{"filter": tt.find, "must_not": Query{"exists": Query{"field": "_ignored"}}}}})
			if err != nil || found.Total != 1 {
				t.Fatalf("found %v, %v, want one without ignored fields", found, err)
			}
			var source map[string]any
			if err := json.Unmarshal(found.Hits[0].Source, &source); err != nil {
				t.Fatal(err)
			}
			// When it was indexed is the only thing that differs from run to run.
			event := source["event"].(map[string]any)
			at, err := time.Parse(time.RFC3339, fmt.Sprint(event["ingested"]))
			if err != nil || time.Since(at).Abs() > time.Hour {
				t.Errorf("event.ingested is %v", event["ingested"])
			}
			event["ingested"] = "now"
			golden(t, filepath.Join("documents", tt.file+".golden.json"), source)
		})
	}
}

// apmServer runs the pipeline that Elastic's own pipelines call in a stack run
// over documents of an agent and of somebody else.
func (w *world) apmServer(t *testing.T) {
	transaction, err := os.ReadFile(filepath.Join("testdata", "documents", "apm-transaction.json"))
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(transaction), `"dataset": "apm"`, `"dataset": "other"`, 1)
	var answer struct {
		Docs []struct {
			Doc struct {
				Source struct {
					Cloud *struct{ Region string }
					HTTP  struct {
						Route   string
						Request struct{ ID string }
					}
				} `json:"_source"`
			}
		}
	}
	w.must(t, "POST", "/_ingest/pipeline/_simulate", map[string]any{
		"pipeline": ours(t, "pipelines")["global@custom"].body,
		"docs":     []any{map[string]any{"_source": json.RawMessage(transaction)}, map[string]any{"_source": json.RawMessage(other)}},
	}, &answer)
	ours, others := answer.Docs[0].Doc.Source, answer.Docs[1].Doc.Source
	if ours.Cloud == nil || ours.Cloud.Region != "local" || ours.HTTP.Route != "/v1/feed" || ours.HTTP.Request.ID == "" {
		t.Errorf("the agent's document lacks its identity: %+v", ours)
	}
	if others.Cloud != nil || others.HTTP.Route != "" {
		t.Errorf("another document was changed: %+v", others)
	}
}

// ownFields writes fields that no mapping names.
func (w *world) ownFields(t *testing.T) {
	stream := w.stream("logs-pharos") + "own"
	for _, line := range []string{
		`{"@timestamp":"2026-03-01T12:00:00Z","pharos":{"cache":{"hit":true,"size":3}},"pharos.source":"redis","other":"x"}`,
		`{"@timestamp":"2026-03-01T12:00:00Z","pharos":{"cache":"none"}}`,
	} {
		if err := w.index(t, stream, json.RawMessage(line)); err != nil {
			t.Error(err)
		}
	}
	for want, q := range map[int64]Query{
		1: {"bool": Query{"filter": []Query{term("pharos.cache.hit", true), over("pharos.cache.size", 2.5), term("pharos.source", "redis")}}},
		0: term("other", "x"),
	} {
		if found, err := w.client.Search(t.Context(), stream, Query{"query": q}); err != nil || found.Total != want {
			t.Errorf("%v finds %v, %v, want %d", q, found, err, want)
		}
	}
}

// guard sends what Elasticsearch would refuse without it.
func (w *world) guard(t *testing.T) {
	stream := w.stream("logs-external")
	for name, tt := range map[string]struct {
		document  string
		malformed string // of pharos.malformed
		time      string // of @timestamp; empty for now
	}{
		"object for field":     {`{"@timestamp":"2026-03-01T12:00:00Z","message":{"a":1}}`, `{"message":"{a=1}"}`, "2026-03-01T12:00:00Z"},
		"object in list":       {`{"@timestamp":"2026-03-01T12:00:00Z","tags":["a",{"b":1}]}`, `{"tags":"[a, {b=1}]"}`, "2026-03-01T12:00:00Z"},
		"field for object":     {`{"@timestamp":"2026-03-01T12:00:00Z","service":"x","service.name":"y"}`, `{"service":"x"}`, "2026-03-01T12:00:00Z"},
		"field for labels":     {`{"@timestamp":"2026-03-01T12:00:00Z","labels":"x"}`, `{"labels":"x"}`, "2026-03-01T12:00:00Z"},
		"path below a field":   {`{"@timestamp":"2026-03-01T12:00:00Z","service.name.first":"x"}`, `{"service.name.first":"x"}`, "2026-03-01T12:00:00Z"},
		"dotted object":        {`{"@timestamp":"2026-03-01T12:00:00Z","http.response":"x"}`, `{"http.response":"x"}`, "2026-03-01T12:00:00Z"},
		"inner of a list":      {`{"@timestamp":"2026-03-01T12:00:00Z","error":[{"message":{"q":1}},{"message":"k"}]}`, `{"error.message":"{q=1}"}`, "2026-03-01T12:00:00Z"},
		"event is no object":   {`{"@timestamp":"2026-03-01T12:00:00Z","event":"x","pharos":"y"}`, `{"event":"x","pharos":"y"}`, "2026-03-01T12:00:00Z"},
		"empty name":           {`{"@timestamp":"2026-03-01T12:00:00Z","":{"a":1}}`, `{"(unusable name)":" = {a=1}"}`, "2026-03-01T12:00:00Z"},
		"names of dots":        {`{"@timestamp":"2026-03-01T12:00:00Z","x":{"e.":[{"":2}]}}`, `{"x.(unusable name)":"e. = [{=2}]"}`, "2026-03-01T12:00:00Z"},
		"label of dots":        {`{"@timestamp":"2026-03-01T12:00:00Z","labels":{"a..b":1}}`, `{"labels.(unusable name)":"a..b = 1"}`, "2026-03-01T12:00:00Z"},
		"long value":           {`{"@timestamp":"2026-03-01T12:00:00Z","labels":{"a":"` + strings.Repeat("x", 40000) + `"},"url":{"path":"/` + strings.Repeat("y", 40000) + `"}}`, `null`, "2026-03-01T12:00:00Z"},
		"wrong number":         {`{"@timestamp":"2026-03-01T12:00:00Z","http":{"response":{"status_code":"abc"}},"event":{"duration":1e30},"source":{"ip":"-"}}`, `null`, "2026-03-01T12:00:00Z"},
		"nulls":                {`{"@timestamp":"2026-03-01T12:00:00Z","labels":null,"service":{"name":null}}`, `null`, "2026-03-01T12:00:00Z"},
		"no time":              {`{"message":"x"}`, `null`, ""},
		"wrong time":           {`{"@timestamp":"yesterday"}`, `{"@timestamp":"yesterday"}`, ""},
		"object for time":      {`{"@timestamp":{"a":1}}`, `{"@timestamp":"{a=1}"}`, ""},
		"zone without a colon": {`{"@timestamp":"2026-03-01T13:00:00.000+0100"}`, `null`, "2026-03-01T12:00:00Z"},
		"no zone":              {`{"@timestamp":"2026-03-01T12:00:00.5"}`, `null`, "2026-03-01T12:00:00.5Z"},
		"milliseconds":         {`{"@timestamp":1772366400000}`, `null`, "2026-03-01T12:00:00Z"},
		"milliseconds as text": {`{"@timestamp":"1772366400000"}`, `null`, "2026-03-01T12:00:00Z"},
		"a day":                {`{"@timestamp":"2026-03-01"}`, `null`, "2026-03-01T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			var document map[string]any
			if err := json.Unmarshal([]byte(tt.document), &document); err != nil {
				t.Fatal(err)
			}
			id := w.name(strings.ReplaceAll(name, " ", "-"))
			document["http.request.id"] = id
			if err := w.index(t, stream, document); err != nil {
				t.Fatal(err)
			}
			found, err := w.client.Search(t.Context(), stream, Query{
				"query": term("http.request.id", id), "sort": []string{"@timestamp"},
			})
			if err != nil || found.Total != 1 {
				t.Fatalf("found %v, %v", found, err)
			}
			var source struct {
				Tags   any `json:"tags"`
				Pharos struct {
					Malformed any `json:"malformed"`
				} `json:"pharos"`
			}
			if err := json.Unmarshal(found.Hits[0].Source, &source); err != nil {
				t.Fatal(err)
			}
			if source.Tags != nil {
				t.Errorf("tags are %v", source.Tags)
			}
			malformed, err := json.Marshal(source.Pharos.Malformed)
			if err != nil || string(malformed) != tt.malformed {
				t.Errorf("malformed is %s, want %s", malformed, tt.malformed)
			}
			at := time.UnixMilli(int64(found.Hits[0].Sort[0].(float64)))
			want, err := time.Parse(time.RFC3339, tt.time)
			if err != nil && time.Since(at).Abs() > time.Hour || err == nil && !at.Equal(want) {
				t.Errorf("time is %s, want %s", at, tt.time)
			}
		})
	}
}

// explosion sends more fields than a mapping may have.
func (w *world) explosion(t *testing.T) {
	many := map[string]any{}
	for i := range 1500 {
		many[fmt.Sprintf("field%d", i)] = i
	}
	for _, dataset := range []string{"logs-pharos", "logs-nginx.access", "metrics-pharos", "traces-apm"} {
		stream := w.stream(dataset) + "many"
		document := map[string]any{"@timestamp": noon, "labels": many, "unknown": many, "pharos": many, "http.request.id": "explosion"}
		if err := w.index(t, stream, document); err != nil {
			t.Errorf("%s: %v", dataset, err)
			continue
		}
		found, err := w.client.Search(t.Context(), stream, Query{"query": Query{"bool": Query{"filter": []Query{
			term("http.request.id", "explosion"), term("labels.field1499", 1499),
		}}}})
		if err != nil || found.Total != 1 {
			t.Errorf("%s: found %v, %v", dataset, found, err)
		}
		var caps struct {
			Fields map[string]any `json:"fields"`
		}
		w.must(t, "GET", "/"+stream+"/_field_caps?fields=*&filters=-metadata", nil, &caps)
		if n := len(caps.Fields); n > 1100 {
			t.Errorf("%s has %d fields", dataset, n)
		}
	}
}

// overlap measures a name and one below it, which plain mappings refuse.
func (w *world) overlap(t *testing.T) {
	for dataset, sample := range map[string]any{
		"metrics-pharos": map[string]any{"queue": 1, "queue.depth": 2.5, "service": map[string]any{"name": "jobs"}},
		"metrics-apm.internal": map[string]any{
			"data_stream": map[string]any{"type": "metrics", "dataset": "apm.internal"},
			"service":     map[string]any{"name": "jobs"},
			"metricset": map[string]any{"samples": []any{
				map[string]any{"name": "queue", "value": 1}, map[string]any{"name": "queue.depth", "value": 2.5},
				map[string]any{"name": "wait", "type": "histogram", "values": []float64{0.5, 1}, "counts": []int{3, 4}},
			}},
		},
	} {
		stream := w.stream(dataset)
		sample := sample.(map[string]any)
		sample["@timestamp"] = noon
		if err := w.index(t, stream, sample); err != nil {
			t.Errorf("%s: %v", dataset, err)
			continue
		}
		found, err := w.client.Search(t.Context(), stream, Query{"query": Query{"bool": Query{"filter": []Query{
			term("queue", 1), over("queue.depth", 2.4), term("service.name", "jobs"),
		}}}})
		if err != nil || found.Total != 1 {
			t.Errorf("%s: found %v, %v", dataset, found, err)
		}
	}
}

func (w *world) availability(t *testing.T) {
	filter := TrafficFilter{Stream: w.stream("logs-nginx.access") + "a"}
	window := Window{From: noon, To: noon.Add(time.Minute)}
	ask := func(what string, win Window, f TrafficFilter, want Availability) {
		t.Helper()
		got, err := w.client.Availability(t.Context(), win, f)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", what, got, err, want)
		}
	}
	ask("no stream yet", window, filter, Availability{NoData: true})

	for _, r := range []struct {
		at     time.Duration
		status any
		route  string
		region string
		probe  any // nil leaves the label out
	}{
		{0, 200, "/v1/feed", "local", false},
		{time.Second, 200, "/v1/feed", "local", nil},
		{2 * time.Second, 500, "/v1/feed", "local", false},
		{3 * time.Second, 404, "other", "local", false},
		{4 * time.Second, 499, "/", "west", "false"},
		{5 * time.Second, 599, "/", "west", false},
		{6 * time.Second, 200, "/", "west", false},
		{time.Minute - time.Millisecond, "unreadable", "/", "west", false},
		// Not in the window, or not traffic:
		{-time.Millisecond, 500, "/", "local", false},
		{time.Minute, 500, "/", "local", false},
		{7 * time.Second, 500, "/healthz", "local", true},
		{8 * time.Second, 200, "/healthz", "local", "true"},
	} {
		document := map[string]any{
			"@timestamp": noon.Add(r.at), "service.name": "nginx", "cloud.region": r.region,
			"http": map[string]any{"route": r.route, "response": map[string]any{"status_code": r.status}},
		}
		if r.probe != nil {
			document["labels.probe"] = r.probe
		}
		if err := w.index(t, filter.Stream, document); err != nil {
			t.Fatal(err)
		}
	}
	with := func(change func(*TrafficFilter)) TrafficFilter {
		f := filter
		change(&f)
		return f
	}
	ask("window", window, filter, Availability{Total: 8, Bad: 2, Ratio: 0.75})
	ask("all time", Window{}, filter, Availability{Total: 10, Bad: 4, Ratio: 0.6})
	ask("route", window, with(func(f *TrafficFilter) { f.Route = "/v1/feed" }), Availability{Total: 3, Bad: 1, Ratio: 2.0 / 3})
	ask("unmatched", window, with(func(f *TrafficFilter) { f.Route = "other" }), Availability{Total: 1, Ratio: 1})
	ask("region", window, with(func(f *TrafficFilter) { f.Region = "west" }), Availability{Total: 4, Bad: 1, Ratio: 0.75})
	ask("route in region", window, with(func(f *TrafficFilter) { f.Region, f.Route = "local", "/" }), Availability{NoData: true})
	ask("service", window, with(func(f *TrafficFilter) { f.Service = "nginx" }), Availability{Total: 8, Bad: 2, Ratio: 0.75})
	ask("only probes", window, with(func(f *TrafficFilter) { f.Route = "/healthz" }), Availability{NoData: true})
	ask("empty window", Window{From: noon.Add(-time.Hour), To: noon.Add(-time.Minute)}, filter, Availability{NoData: true})

	heartbeat := w.as(t, "pharos_heartbeat")
	var refused *Error
	if got, err := heartbeat.Availability(t.Context(), window, filter); !errors.As(err, &refused) || refused.Status != 403 {
		t.Errorf("who may not read gets %+v, %v, want 403", got, err)
	}
}
