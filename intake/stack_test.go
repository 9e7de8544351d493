package intake_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/internal/teststack"
)

type stack struct {
	URLs      []string   `env:"ELASTICSEARCH_URL,required"`
	Superuser env.Secret `env:"ELASTIC_PASSWORD,required"`
	Intake    env.Secret `env:"INTAKE_PASSWORD,required"`
	Support   env.Secret `env:"SUPPORT_PASSWORD,required"`
}

// client is for the named user of the stack's Elasticsearch.
func (s stack) client(t *testing.T, user string, password env.Secret) *elastic.Client {
	t.Helper()
	c, err := elastic.New(elastic.Config{URLs: s.URLs, User: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestStack sends what a real agent sends to a real Elasticsearch that
// `pharos setup` has prepared, as the intake's own account.
func TestStack(t *testing.T) {
	cfg := teststack.Config[stack](t)
	super := cfg.client(t, "elastic", cfg.Superuser)
	s := serve(t, cfg.client(t, "intake", cfg.Intake), settings())
	s.checkReady(t, http.StatusOK)

	tracer := newAgent(t, s, token)
	tx := tracer.StartTransaction("find the trace", "test")
	id := tx.TraceContext().Trace.String()
	tx.Discard()
	traceOf := func(events string) string { return strings.ReplaceAll(events, "TRACE", id) }
	r := s.post(t, strings.NewReader(traceOf(`{"metadata":{"service":{"name":"intake-test","agent":{"name":"go","version":"2.7.1"}},"labels":{"region":"moon"}}}
{"transaction":{"id":"0000000000000001","trace_id":"TRACE","name":"GET /v1/feed","type":"request","duration":12.5,"outcome":"success","span_count":{"started":1}}}
{"span":{"id":"0000000000000002","trace_id":"TRACE","transaction_id":"0000000000000001","parent_id":"0000000000000001","name":"find","type":"db","subtype":"mongodb","duration":3,"start":1,"context":{"db":{"statement":"{}","type":"mongodb"}}}}
{"error":{"id":"0000000000000003","trace_id":"TRACE","transaction_id":"0000000000000001","parent_id":"0000000000000002","exception":{"message":"it broke","type":"Error"}}}
{"metricset":{"samples":{"golang.goroutines":{"value":7}},"tags":{"trace":"TRACE"}}}
{"metricset":{"samples":{"orders.open":{"value":2.5}},"tags":{"trace":"TRACE"}}}
`)))
	if r.status != http.StatusAccepted {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	hits := s.indexed(t, super, id, 5)
	got := map[string]source{}
	for _, h := range hits {
		var d source
		if err := json.Unmarshal(h.Source, &d); err != nil {
			t.Fatal(err)
		}
		if d.Cloud.Region != "moon" || d.Service.Name != "intake-test" {
			t.Errorf("%s: region %q, service %q", h.Index, d.Cloud.Region, d.Service.Name)
		}
		got[d.Processor.Event+" "+d.DataStream.Dataset] = d
	}
	for _, want := range []string{"transaction apm", "span apm", "error apm.error", "metric apm.internal", "metric apm.app.intake_test"} {
		if _, ok := got[want]; !ok {
			t.Errorf("no %s", want)
		}
	}
	if got := string(got["metric apm.internal"].Goroutines); got != "7" {
		t.Errorf("golang.goroutines is %q", got)
	}
	for _, h := range hits {
		if !strings.HasPrefix(h.Index, ".ds-") {
			t.Errorf("%s is not in a data stream", h.Index)
		}
	}
}

type source struct {
	Processor  struct{ Event string }
	DataStream struct{ Dataset string } `json:"data_stream"`
	Service    struct{ Name string }
	Cloud      struct{ Region string }
	Goroutines json.RawMessage `json:"golang.goroutines"`
}

// indexed returns the documents of the trace once there are n.
func (s *system) indexed(t *testing.T, super *elastic.Client, id string, n int64) []elastic.Hit {
	t.Helper()
	found := &elastic.SearchResult{}
	eventually(t, func() bool {
		result, err := super.Search(t.Context(), "traces-apm*,logs-apm*,metrics-apm*", map[string]any{
			"size": 100,
			"query": map[string]any{"bool": map[string]any{"should": []any{
				map[string]any{"term": map[string]any{"trace.id": id}},
				map[string]any{"term": map[string]any{"labels.trace": id}},
			}}},
		})
		if err != nil { // as while a new stream's first shard starts
			t.Log(err)
			return false
		}
		found = result
		return found.Total >= n
	})
	if found.Total != n {
		t.Errorf("%d documents, want %d", found.Total, n)
	}
	return found.Hits
}

// TestStackAgent is a real agent all the way.
func TestStackAgent(t *testing.T) {
	cfg := teststack.Config[stack](t)
	s := serve(t, cfg.client(t, "intake", cfg.Intake), settings())
	tracer := newAgent(t, s, token)
	tx := tracer.StartTransaction("GET /", "request")
	span := tx.StartSpan("SELECT", "db.mysql.query", nil)
	span.Duration = 1e7
	span.End()
	id := tx.TraceContext().Trace.String()
	tx.End()
	flush(t, tracer)
	s.indexed(t, cfg.client(t, "elastic", cfg.Superuser), id, 2)
}

// TestStackPoison: one document that can't be stored takes no other with it.
func TestStackPoison(t *testing.T) {
	cfg := teststack.Config[stack](t)
	s := serve(t, cfg.client(t, "intake", cfg.Intake), settings())
	tracer := newAgent(t, s, token)
	tx := tracer.StartTransaction("", "")
	id := tx.TraceContext().Trace.String()
	tx.Discard()
	long := strings.Repeat("x", 1000) // makes a name that is too long for a data stream
	r := s.post(t, strings.NewReader(`{"metadata":{"service":{"name":"`+long+`","agent":{"name":"go","version":"2.7.1"}}}}
{"transaction":{"id":"1","trace_id":"`+id+`","type":"request","duration":1,"span_count":{"started":0}}}
{"metricset":{"samples":{"orders":{"value":1}}}}
{"transaction":{"id":"2","trace_id":"`+id+`","type":"request","duration":1,"span_count":{"started":0}}}
`))
	if r.status != http.StatusAccepted {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	s.indexed(t, cfg.client(t, "elastic", cfg.Superuser), id, 2)
	eventually(t, func() bool { return s.metric(t, "pharos_intake_documents_failed_total") == 1 })
	lines := s.logs.FilterMessage("1 documents were lost").All()
	if len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["error.message"].(string), "illegal_argument_exception") {
		t.Errorf("log lines %v", lines)
	}
}

// TestStackAccount: without its account the intake keeps what it has, and is
// not ready.
func TestStackAccount(t *testing.T) {
	cfg := teststack.Config[stack](t)
	s := serve(t, cfg.client(t, "intake", "wrong"), settings())
	s.checkReady(t, http.StatusServiceUnavailable)
	s.post(t, strings.NewReader(metadata+transactions(3)))
	eventually(t, func() bool { return s.metric(t, "pharos_intake_bulk_retries_total") > 0 })
	if n := s.metric(t, "pharos_intake_documents_failed_total"); n != 0 {
		t.Errorf("%v documents failed", n)
	}
}

// TestStackLogs: a line of another program is kept whole, found by its fields, and
// read by support staff; what fits no field takes nothing else with it.
func TestStackLogs(t *testing.T) {
	cfg := teststack.Config[stack](t)
	s := serve(t, cfg.client(t, "intake", cfg.Intake), logSettings())
	tracer := newAgent(t, s, token)
	tx := tracer.StartTransaction("", "")
	id := tx.TraceContext().Trace.String()
	tx.Discard()
	r := s.logLines(t, strings.NewReader(`{"service.name":"billing","trace.id":"`+id+`","message":"invoice 7 sent","log":{"level":"info"},"own":{"field":7},"http.response.status_code":"none"}
{"service.name":"billing","trace":{"id":"`+id+`"},"client.ip":{"not":"an address"}}
{"trace.id":"`+id+`"}
`))
	if r.status != http.StatusBadRequest || r.Accepted != 2 || r.Refused != 1 {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	support := cfg.client(t, "support", cfg.Support)
	found := &elastic.SearchResult{}
	eventually(t, func() bool {
		result, err := support.Search(t.Context(), "logs-external-default", map[string]any{"query": map[string]any{"bool": map[string]any{"filter": []any{
			map[string]any{"term": map[string]any{"trace.id": id}}, map[string]any{"term": map[string]any{"labels.sender": "default"}},
			map[string]any{"term": map[string]any{"service.name": "billing"}}, map[string]any{"exists": map[string]any{"field": "event.ingested"}},
		}}}})
		if err != nil {
			t.Log(err)
			return false
		}
		found = result
		return found.Total >= 2
	})
	if found.Total != 2 {
		t.Errorf("%d lines", found.Total)
	}
	for _, h := range found.Hits {
		if text := string(h.Source); !strings.Contains(text, `"field":7`) && !strings.Contains(text, `"malformed"`) {
			t.Errorf("document %s", text)
		}
	}
}

// TestStackOTLP: spans of OpenTelemetry are transactions and spans of one trace,
// as an agent's are.
func TestStackOTLP(t *testing.T) {
	cfg := teststack.Config[stack](t)
	s := serve(t, cfg.client(t, "intake", cfg.Intake), logSettings())
	tracer := newAgent(t, s, token)
	tx := tracer.StartTransaction("GET /invoices", "request")
	id := tx.TraceContext().Trace
	body, err := spansOf(2, pcommon.TraceID(id)).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if r := s.otlp(t, "/v1/traces", bytes.NewReader(body), "Content-Type", "application/x-protobuf", "Authorization", "ApiKey "+logKey); r.status != http.StatusOK {
		t.Fatalf("answered %d %q", r.status, r.body)
	}
	tx.End()
	flush(t, tracer)
	got := map[string]int{}
	for _, h := range s.indexed(t, cfg.client(t, "elastic", cfg.Superuser), id.String(), 3) {
		var d source
		if err := json.Unmarshal(h.Source, &d); err != nil {
			t.Fatal(err)
		}
		got[d.Service.Name+" "+d.Processor.Event]++
	}
	if got["billing transaction"] != 1 || got["billing span"] != 1 || len(got) != 3 {
		t.Errorf("%v", got)
	}
}
