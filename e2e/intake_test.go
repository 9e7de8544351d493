package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace"
)

// otelService is a service that is traced by OpenTelemetry's SDK.
func otelService(t *testing.T, name string, client otlptrace.Client) *sdktrace.TracerProvider {
	t.Helper()
	exporter, err := otlptrace.New(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithResource(resource.NewWithAttributes(semconv.SchemaURL, semconv.ServiceName(name))))
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil { // the test's own context has ended
			t.Error(err)
		}
	})
	return p
}

// traced is a document of a trace.
type traced struct {
	Service     struct{ Name string }
	Agent       struct{ Name string }
	Parent      struct{ ID string }
	Transaction struct{ ID string }
	Span        struct{ ID string }
	Processor   struct{ Event string }
}

// TestOpenTelemetryJoinsTheTrace: a service traced by OpenTelemetry calls api, and
// another one goes on with api's trace; one over HTTP, the other over gRPC. All of
// it is one trace.
func TestOpenTelemetryJoinsTheTrace(t *testing.T) {
	s := open(t)
	run := random(t)
	caller, callee := "checkout-"+run, "invoices-"+run
	overHTTP := otelService(t, caller, otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL("http://127.0.0.1:"+os.Getenv("INTAKE_PORT")+"/v1/traces"), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithHeaders(map[string]string{"Authorization": "ApiKey " + os.Getenv("INTAKE_API_KEY")})))
	overGRPC := otelService(t, callee, otlptracegrpc.NewClient(
		otlptracegrpc.WithEndpoint("127.0.0.1:"+os.Getenv("OTLP_PORT")), otlptracegrpc.WithInsecure(),
		otlptracegrpc.WithHeaders(map[string]string{"authorization": "Bearer " + os.Getenv("APM_SECRET_TOKEN")})))

	// As nginx would pass it on with TRUST_TRACEPARENT=on.
	ctx, root := overHTTP.Tracer("e2e").Start(t.Context(), "POST /checkout", trace.WithSpanKind(trace.SpanKindServer))
	ctx, call := overHTTP.Tracer("e2e").Start(ctx, "GET api", trace.WithSpanKind(trace.SpanKindClient))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+os.Getenv("API_1_PORT")+"/tasks/factorial?n=5", nil)
	if err != nil {
		t.Fatal(err)
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	call.End()
	root.End()
	id := root.SpanContext().TraceID().String()
	if got := res.Header.Get("X-Trace-Id"); got != id {
		t.Fatalf("api answered in trace %s, the caller's is %s", got, id)
	}
	documents := func(service string) []traced {
		var list []traced
		for _, h := range s.search(t, "traces-apm-default", all(term("trace.id", id), term("service.name", service))) {
			var d traced
			if err := json.Unmarshal(h.Source, &d); err != nil {
				t.Fatal(err)
			}
			list = append(list, d)
		}
		return list
	}
	var api string
	eventually(t, arrival, "api's transaction within the caller's span", func() string {
		for _, d := range documents("api") {
			if d.Processor.Event == "transaction" && d.Parent.ID == call.SpanContext().SpanID().String() {
				api = d.Transaction.ID
				return ""
			}
		}
		return fmt.Sprintf("%+v%s", documents("api"), s.tail("pharos/intake*.log"))
	})

	parent, err := trace.SpanIDFromHex(api)
	if err != nil {
		t.Fatal(err)
	}
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: root.SpanContext().TraceID(), SpanID: parent, TraceFlags: trace.FlagsSampled, Remote: true})
	_, span := overGRPC.Tracer("e2e").Start(trace.ContextWithRemoteSpanContext(t.Context(), remote), "write invoice", trace.WithSpanKind(trace.SpanKindServer))
	span.End()
	eventually(t, arrival, "one trace of three services", func() string {
		from, of := documents(caller), documents(callee)
		if len(from) != 2 || len(of) != 1 {
			return fmt.Sprintf("%+v %+v%s", from, of, s.tail("pharos/intake*.log"))
		}
		if of[0].Parent.ID != api || of[0].Processor.Event != "transaction" || of[0].Agent.Name != "otlp" {
			t.Fatalf("%+v", of[0])
		}
		return ""
	})
}

// TestLinesOfOtherPrograms sends a line to the central logging endpoint and finds
// it as support staff do.
func TestLinesOfOtherPrograms(t *testing.T) {
	s := open(t)
	service := "billing-" + random(t)
	post := func(key, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:"+os.Getenv("INTAKE_PORT")+"/logs", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "ApiKey "+key)
		r.Header.Set("Content-Type", "application/x-ndjson")
		return ask(t, r)
	}
	lines := `{"service.name":"` + service + `","log.level":"warn","message":"invoice 7 was not sent","user.id":"u-7"}
{"message":"whose?"}
{"service.name":"` + service + `","@metadata":{"index":"logs-pharos-default"},"message":"elsewhere"}
{"service":{"name":"` + service + `"},"message":"invoice 8 was sent","http":{"response":{"status_code":"a wrong type"}}}
`
	if status, body := post("somebody's key that is none", lines); status != http.StatusUnauthorized {
		t.Errorf("without a key: %d %s", status, body)
	}
	status, body := post(os.Getenv("INTAKE_API_KEY"), lines)
	if want := `{"accepted":2,"refused":2,"errors":[{"line":2,"field":"service.name","reason":"is missing"},{"line":3,"field":"@metadata","reason":"is not a sender's to set"}]}`; status != http.StatusBadRequest || body != want {
		t.Fatalf("answered %d %s", status, body)
	}
	query := "/logs.json?q=" + url.QueryEscape(`service.name:"`+service+`" and labels.sender:default`)
	eventually(t, arrival, "both lines on the console", func() string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+os.Getenv("CONSOLE_PORT")+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("support", os.Getenv("SUPPORT_PASSWORD"))
		status, body := ask(t, r)
		if status != http.StatusOK || strings.Contains(body, "elsewhere") || !strings.Contains(body, "invoice 7 was not sent") || !strings.Contains(body, "invoice 8 was sent") {
			return fmt.Sprintf("%d %.600s%s", status, body, s.tail("pharos/intake*.log"))
		}
		return ""
	})
	if hits := s.search(t, "logs-external-default", all(term("service.name", service), term("labels.sender", "default"), term("log.level", "warn"))); len(hits) != 1 {
		t.Errorf("%d documents by their fields", len(hits))
	}
}

func ask(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
