package intake_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"
	"go.elastic.co/apm/v2/transport"
)

func newAgent(t *testing.T, s *system, secret string) *apm.Tracer {
	t.Helper()
	server, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := transport.NewHTTPTransport(transport.HTTPTransportOptions{ServerURLs: []*url.URL{server}, SecretToken: secret})
	if err != nil {
		t.Fatal(err)
	}
	tracer, err := apm.NewTracerOptions(apm.TracerOptions{ServiceName: "api", ServiceVersion: "1", Transport: tr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tracer.Close)
	return tracer
}

// trace records a request with a span and an error.
func trace(tracer *apm.Tracer) {
	h := apmhttp.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		span, ctx := apm.StartSpan(r.Context(), "SELECT", "db.mysql.query")
		span.Context.SetDatabase(apm.DatabaseSpanContext{Type: "sql", Statement: "SELECT 1"})
		apm.CaptureError(ctx, errors.New("it broke")).Send()
		span.Duration = 20 * time.Millisecond // a faster one might be left out
		span.End()
	}), apmhttp.WithTracer(tracer))
	r := httptest.NewRequest(http.MethodGet, "/v1/feed", nil)
	r.Header.Set("Authorization", "Bearer of-a-user")
	h.ServeHTTP(httptest.NewRecorder(), r)
}

func flush(t *testing.T, tracer *apm.Tracer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tracer.Flush(ctx.Done())
}

func TestAgent(t *testing.T) {
	s := start(t, settings())
	tracer := newAgent(t, s, token)
	trace(tracer)
	tracer.SendMetrics(nil)
	flush(t, tracer)

	kinds := map[string]int{}
	var traceID any
	eventually(t, func() bool { return len(s.es.documents()) >= 4 })
	for _, d := range s.es.documents() {
		switch {
		case d.Index == "logs-apm.error-default":
			kinds["error"]++
		case d.Index != "traces-apm-default":
			kinds["metric"]++
			continue
		case d.Document["span"].(map[string]any)["type"] != nil:
			kinds["span"]++
		default:
			kinds["transaction"]++
			request := d.Document["http"].(map[string]any)["request"].(map[string]any)
			if got := request["headers"].(map[string]any)["Authorization"].([]any)[0]; got != "[REDACTED]" {
				t.Errorf("Authorization %v", got)
			}
		}
		id := d.Document["trace"].(map[string]any)["id"]
		if traceID != nil && id != traceID {
			t.Errorf("trace %v, another is in %v", id, traceID)
		}
		traceID = id
	}
	if kinds["transaction"] != 1 || kinds["span"] != 1 || kinds["error"] != 1 || kinds["metric"] == 0 {
		t.Errorf("documents %v", kinds)
	}
	if n := tracer.Stats().Errors.SendStream; n != 0 {
		t.Errorf("the agent had %d failed requests", n)
	}
	eventually(t, func() bool { return s.logs.FilterMessage("GET /config/v1/agents 200").Len() == 1 })
}

func TestAgentWithWrongToken(t *testing.T) {
	s := start(t, settings())
	tracer := newAgent(t, s, "wrong")
	trace(tracer)
	flush(t, tracer)
	if n := tracer.Stats().Errors.SendStream; n == 0 {
		t.Error("the agent had no failed request")
	}
	if n := len(s.es.documents()); n != 0 {
		t.Errorf("%d documents", n)
	}
}

// TestAgentBacksOff: an agent that is told "queue is full" waits before it
// comes again, and is served when there is room.
func TestAgentBacksOff(t *testing.T) {
	s := start(t, settings())
	back := status(http.StatusServiceUnavailable)(t, s.es)
	accepted := s.fill(t)
	s.logs.TakeAll()

	tracer := newAgent(t, s, token)
	for range 3 { // the first repeat comes at once, the next after a second
		trace(tracer)
		flush(t, tracer)
	}
	if n := tracer.Stats().Errors.SendStream; n != 3 {
		t.Errorf("the agent had %d failed requests", n)
	}
	refused := s.logs.FilterMessage("POST /intake/v2/events 503").All()
	if len(refused) != 3 {
		t.Fatalf("%d refused requests", len(refused))
	}
	if pause := refused[2].Time.Sub(refused[1].Time); pause < 500*time.Millisecond {
		t.Errorf("the agent came again after %v", pause)
	}

	back()
	s.es.wait(t, accepted)
	trace(tracer)
	flush(t, tracer)
	eventually(t, func() bool { return len(s.es.documents()) == accepted+3 })
}
