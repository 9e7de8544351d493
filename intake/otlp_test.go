package intake_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkresource "go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcmetadata "google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
)

const otelTrace = "0af7651916cd43dd8448eb211c80319c"

// resource describes a service in another language that would like its data
// elsewhere.
func resource(r pcommon.Resource) {
	r.Attributes().PutStr("service.name", "billing")
	r.Attributes().PutStr("telemetry.sdk.language", "python")
	r.Attributes().PutStr("data_stream.dataset", "evil")
	r.Attributes().PutStr("data_stream.namespace", "evil")
}

func spans(n int) ptraceotlp.ExportRequest {
	return spansOf(n, pcommon.TraceID{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c})
}

func spansOf(n int, id pcommon.TraceID) ptraceotlp.ExportRequest {
	all := ptrace.NewTraces()
	rs := all.ResourceSpans().AppendEmpty()
	resource(rs.Resource())
	list := rs.ScopeSpans().AppendEmpty().Spans()
	for i := range n {
		s := list.AppendEmpty()
		s.SetTraceID(id)
		s.SetSpanID(pcommon.SpanID{0, 0, 0, 0, 0, 0, 0, byte(i + 1)})
		s.SetName("GET /invoices")
		s.SetKind(ptrace.SpanKindServer)
		if i%2 == 1 {
			s.SetParentSpanID(pcommon.SpanID{0, 0, 0, 0, 0, 0, 0, byte(i)})
			s.SetKind(ptrace.SpanKindClient)
		}
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-time.Second)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		s.Attributes().PutStr("data_stream.dataset", "evil")
		s.Attributes().PutStr("http.request.header.authorization", "s3cret")
	}
	return ptraceotlp.NewExportRequestFromTraces(all)
}

func measurements() pmetricotlp.ExportRequest {
	all := pmetric.NewMetrics()
	rm := all.ResourceMetrics().AppendEmpty()
	resource(rm.Resource())
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("invoices.open")
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	p.SetDoubleValue(2.5)
	return pmetricotlp.NewExportRequestFromMetrics(all)
}

func records() plogotlp.ExportRequest {
	all := plog.NewLogs()
	rl := all.ResourceLogs().AppendEmpty()
	resource(rl.Resource())
	l := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	l.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	l.Body().SetStr("invoice sent")
	return plogotlp.NewExportRequestFromLogs(all)
}

// checkExported expects the documents of two spans, a measurement and a line.
func (s *system) checkExported(t *testing.T) {
	t.Helper()
	got := map[string]int{}
	for _, d := range s.es.wait(t, 4) {
		got[d.Index]++
		if name := d.Document["service"].(map[string]any)["name"]; name != "billing" {
			t.Errorf("%s of %v", d.Index, name)
		}
		if trace, ok := d.Document["trace"].(map[string]any); ok && trace["id"] != otelTrace {
			t.Errorf("trace %v", trace)
		}
		if labels, ok := d.Document["labels"].(map[string]any); ok && labels["http_request_header_authorization"] != nil && labels["http_request_header_authorization"] != "[REDACTED]" {
			t.Errorf("labels %v", labels)
		}
	}
	if got["traces-apm-default"] != 2 || got["metrics-apm.app.billing-default"] != 1 || got["logs-apm.app.billing-default"] != 1 {
		t.Errorf("documents in %v", got)
	}
	for kind, n := range map[string]float64{"transaction": 1, "span": 1, "metric": 1, "log": 1} {
		if got := s.metric(t, "pharos_intake_events_accepted_total", "type", kind); got != n {
			t.Errorf("%v of type %s counted", got, kind)
		}
	}
}

func TestOTLPOverHTTP(t *testing.T) {
	type request interface {
		MarshalProto() ([]byte, error)
		MarshalJSON() ([]byte, error)
	}
	for _, encoding := range []string{"application/x-protobuf", "application/json"} {
		s := start(t, logSettings())
		for path, r := range map[string]request{"/v1/traces": spans(2), "/v1/metrics": measurements(), "/v1/logs": records()} {
			body, err := r.MarshalProto()
			if encoding == "application/json" {
				body, err = r.MarshalJSON()
			}
			if err != nil {
				t.Fatal(err)
			}
			var zipped bytes.Buffer
			w := gzip.NewWriter(&zipped)
			_, _ = w.Write(body)
			_ = w.Close()
			answer := s.otlp(t, path, &zipped, "Content-Type", encoding, "Content-Encoding", "gzip", "Authorization", "ApiKey "+logKey)
			if answer.status != http.StatusOK || answer.header.Get("Content-Type") != encoding {
				t.Errorf("%s: answered %d %q", path, answer.status, answer.body)
			}
		}
		s.checkExported(t)
	}
}

// otlp is send without reading the answer as an agent's.
func (s *system) otlp(t *testing.T, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: res.StatusCode, header: res.Header, body: string(text)}
}

func TestOTLPOverHTTPRefuses(t *testing.T) {
	cfg := logSettings()
	cfg.OTLPMaxRequestSize = 4 << 10
	s := start(t, cfg)
	good, err := spans(1).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body            []byte
		kind, key, want string
		status          int
	}{
		"the agents' token": {good, "application/x-protobuf", "Bearer " + token, "", http.StatusOK},
		"no key":            {good, "application/x-protobuf", "", "API key", http.StatusUnauthorized},
		"a wrong key":       {good, "application/json", "ApiKey wrong", `"message":"The API key`, http.StatusUnauthorized},
		"another type":      {good, "text/plain", "Bearer " + token, "application/x-protobuf", http.StatusBadRequest},
		"no OTLP":           {[]byte("hello"), "application/x-protobuf", "Bearer " + token, "OTLP", http.StatusBadRequest},
		"no JSON":           {[]byte("{"), "application/json", "Bearer " + token, "OTLP", http.StatusBadRequest},
		"too long":          {bytes.Repeat([]byte("x"), 5000), "application/x-protobuf", "Bearer " + token, "4096 bytes", http.StatusBadRequest},
	} {
		r := s.otlp(t, "/v1/traces", bytes.NewReader(c.body), "Content-Type", c.kind, "Authorization", c.key)
		if r.status != c.status || !strings.Contains(strings.ReplaceAll(r.body, ": ", ":"), c.want) {
			t.Errorf("%s: answered %d %q", name, r.status, r.body)
		}
	}
	s.es.wait(t, 1)
}

func TestOTLPBackpressure(t *testing.T) {
	cfg := logSettings()
	cfg.QueueBytes, cfg.FlushBytes, cfg.BulkRequests, cfg.QueueWait = 64<<10, 4<<10, 1, 50*time.Millisecond
	s := start(t, cfg)
	s.es.set(func() {
		s.es.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
	})
	client, addr := s.grpc(t)
	body, err := spans(20).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	var last reply
	for range 100 {
		if last = s.otlp(t, "/v1/traces", bytes.NewReader(body), "Content-Type", "application/x-protobuf", "Authorization", "Bearer "+token); last.status != http.StatusOK {
			break
		}
	}
	if last.status != http.StatusServiceUnavailable || last.header.Get("Retry-After") != "5" {
		t.Errorf("answered %d %v", last.status, last.header)
	}
	if _, err := ptraceotlp.NewGRPCClient(client).Export(as(t, "Bearer "+token), spans(20)); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("%s: %v", addr, err)
	}
	many, err := spans(200).MarshalProto() // more than the queue could ever hold
	if err != nil {
		t.Fatal(err)
	}
	if r := s.otlp(t, "/v1/traces", bytes.NewReader(many), "Content-Type", "application/x-protobuf", "Authorization", "Bearer "+token); r.status != http.StatusBadRequest || !strings.Contains(r.body, "fewer") {
		t.Errorf("answered %d %q", r.status, r.body)
	}
	s.es.set(func() { s.es.refuse = nil })
}

// grpc serves OTLP over gRPC until the test ends.
func (s *system) grpc(t *testing.T) (*grpc.ClientConn, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := s.in.NewGRPC()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	client, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return client, l.Addr().String()
}

// as is the test's context with credentials.
func as(t *testing.T, authorization string) context.Context {
	return grpcmetadata.AppendToOutgoingContext(t.Context(), "authorization", authorization)
}

func TestOTLPOverGRPC(t *testing.T) {
	cfg := logSettings()
	cfg.OTLPMaxRequestSize = 8 << 10
	s := start(t, cfg)
	client, _ := s.grpc(t)
	traces := ptraceotlp.NewGRPCClient(client)
	if _, err := traces.Export(as(t, "ApiKey "+logKey), spans(2), grpc.UseCompressor("gzip")); err != nil {
		t.Error(err)
	}
	if _, err := pmetricotlp.NewGRPCClient(client).Export(as(t, "Bearer "+token), measurements()); err != nil {
		t.Error(err)
	}
	if _, err := plogotlp.NewGRPCClient(client).Export(as(t, "Bearer "+hashedKey), records()); err != nil {
		t.Error(err)
	}
	s.checkExported(t)
	for _, key := range []string{"", "Bearer wrong", "ApiKey " + token} {
		if _, err := traces.Export(as(t, key), spans(1)); grpcstatus.Code(err) != codes.Unauthenticated {
			t.Errorf("%q: %v", key, err)
		}
	}
	if _, err := traces.Export(as(t, "Bearer "+token), spans(200)); grpcstatus.Code(err) != codes.ResourceExhausted {
		t.Errorf("too long: %v", err)
	}
	s.in.Interrupt()
	if _, err := traces.Export(as(t, "Bearer "+token), spans(1)); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("while it stops: %v", err)
	}
	s.es.wait(t, 4)
}

// TestOpenTelemetrySDK sends by OpenTelemetry's own SDK, over HTTP and over gRPC,
// within a trace that one of our processes has begun.
func TestOpenTelemetrySDK(t *testing.T) {
	s := start(t, logSettings())
	_, addr := s.grpc(t)
	traceID, err := oteltrace.TraceIDFromHex(otelTrace)
	if err != nil {
		t.Fatal(err)
	}
	ours := oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: traceID, SpanID: oteltrace.SpanID{7}, TraceFlags: oteltrace.FlagsSampled, Remote: true})
	n := 0
	for name, client := range map[string]otlptrace.Client{
		"over-http": otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(s.URL+"/v1/traces"), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
			otlptracehttp.WithHeaders(map[string]string{"Authorization": "ApiKey " + logKey})),
		"over-grpc": otlptracegrpc.NewClient(otlptracegrpc.WithEndpoint(addr), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"),
			otlptracegrpc.WithHeaders(map[string]string{"authorization": "Bearer " + token})),
	} {
		exporter, err := otlptrace.New(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithResource(sdkresource.NewSchemaless(
			attribute.String("service.name", name), attribute.String("telemetry.sdk.language", "go"), attribute.String("telemetry.sdk.name", "opentelemetry"))))
		ctx, server := provider.Tracer("test").Start(oteltrace.ContextWithRemoteSpanContext(t.Context(), ours), "GET /invoices", oteltrace.WithSpanKind(oteltrace.SpanKindServer))
		_, inner := provider.Tracer("test").Start(ctx, "count", oteltrace.WithSpanKind(oteltrace.SpanKindInternal))
		inner.End()
		server.End()
		if err := provider.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for _, d := range s.es.wait(t, n+2)[n:] {
			n++
			of := func(path ...string) any {
				var v any = d.Document
				for _, p := range path {
					m, _ := v.(map[string]any)
					v = m[p]
				}
				return v
			}
			parent := ours.SpanID().String()
			if of("transaction", "type") == nil {
				parent = server.SpanContext().SpanID().String()
			}
			if d.Index != "traces-apm-default" || of("trace", "id") != otelTrace || of("parent", "id") != parent || of("service", "name") != name || of("agent", "name") != "opentelemetry/go" {
				t.Errorf("%s: %v", d.Index, d.Document)
			}
		}
		if got := s.metric(t, "pharos_intake_events_accepted_total", "type", "transaction"); got != float64(n)/2 {
			t.Errorf("%v transactions of %d events", got, n)
		}
	}
}
