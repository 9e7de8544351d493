package httpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
)

type body struct {
	Name  string   `json:"name"`
	Count int      `json:"count"`
	Tags  []string `json:"tags"`
}

// logBuffer is a sink for log lines.
type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}
func (b *logBuffer) Sync() error { return nil }

// line returns the only line logged so far, and forgets it.
func (b *logBuffer) line(t *testing.T) map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.String()
	b.Reset()
	if strings.Count(text, "\n") != 1 {
		t.Fatalf("want one line, got: %s", text)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatal(err)
	}
	return line
}

func router(t *testing.T, opts httpserver.RouterOptions) (*gin.Engine, *logBuffer) {
	t.Helper()
	tel, err := obs.Discard("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tel.Tracer.Close)
	logs := &logBuffer{}
	tel.Log = obs.NewLogger(tel.Service, logs, zapcore.InfoLevel)
	if opts.Draining == nil {
		opts.Draining = func() bool { return false }
	}
	r := httpserver.NewRouter(tel, opts)
	r.Use(httpserver.Deadline(time.Second))
	r.GET("/things/:id", func(c *gin.Context) {
		httpserver.SetUser(c, "u1")
		c.String(http.StatusOK, "thing")
	})
	r.GET("/panic", func(*gin.Context) { panic("boom") })
	r.GET("/late", func(c *gin.Context) {
		httpserver.Problem(c, fmt.Errorf("read store: %w", context.DeadlineExceeded))
	})
	r.GET("/secret", func(c *gin.Context) {
		httpserver.Problem(c, errors.New("dial tcp 10.1.2.3:3306: refused"))
	})
	r.GET("/busy", func(c *gin.Context) {
		f := fault.New(fault.Unavailable, "Busy.")
		f.RetryAfter = 1500 * time.Millisecond
		httpserver.Problem(c, fmt.Errorf("wrapped: %w", f))
	})
	r.POST("/things", func(c *gin.Context) {
		var b body
		if err := httpserver.DecodeJSON(c, &b, 100); err != nil {
			httpserver.Problem(c, err)
			return
		}
		c.JSON(http.StatusCreated, b)
	})
	return r, logs
}

func do(r http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func problem(t *testing.T, w *httptest.ResponseRecorder) fault.Problem {
	t.Helper()
	if ct := w.Header().Get("Content-Type"); ct != fault.ContentType {
		t.Errorf("content type %q", ct)
	}
	var p fault.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	if p.Status != w.Code || p.Title == "" || p.TraceID != w.Header().Get("X-Trace-Id") || p.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("problem %+v of answer %d %v", p, w.Code, w.Header())
	}
	return p
}

func TestAccessLog(t *testing.T) {
	r, logs := router(t, httpserver.RouterOptions{})
	w := do(r, "GET", "/things/7?password=x", "", "X-Request-Id", "abc123")
	line := logs.line(t)
	for field, want := range map[string]any{
		"http.request.id": "abc123", "http.request.method": "GET", "http.route": "/things/:id",
		"http.response.status_code": 200.0, "http.response.body.bytes": 5.0, "url.path": "/things/7",
		"user.id": "u1", "client.ip": "192.0.2.1", "event.outcome": "success", "log.level": "info",
		"service.name": "test", "service.node.name": "test", "cloud.region": "test", "service.environment": "test",
		"trace.id": w.Header().Get("X-Trace-Id"), "message": "GET /things/:id 200",
	} {
		if line[field] != want {
			t.Errorf("%s = %v, want %v", field, line[field], want)
		}
	}
	for _, field := range []string{"@timestamp", "ecs.version", "transaction.id", "event.duration", "trace.id"} {
		if line[field] == nil || line[field] == "" {
			t.Errorf("no %s in %v", field, line)
		}
	}
	if strings.Contains(fmt.Sprint(line), "password") {
		t.Error("the query is in the log")
	}
}

func TestProblems(t *testing.T) {
	r, logs := router(t, httpserver.RouterOptions{})
	for _, tt := range []struct {
		method, path string
		status       int
		kind         string
		level        string
	}{
		{"GET", "/nothing", 404, "/problems/not-found", "info"},
		{"DELETE", "/things/7", 405, "/problems/method-not-allowed", "info"},
		{"GET", "/panic", 500, "/problems/internal", "error"},
		{"GET", "/secret", 500, "/problems/internal", "error"},
		{"GET", "/late", 504, "/problems/timeout", "error"},
		{"GET", "/busy", 503, "/problems/unavailable", "error"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			w := do(r, tt.method, tt.path, "")
			p := problem(t, w)
			if w.Code != tt.status || p.Type != tt.kind {
				t.Errorf("got %d %s", w.Code, p.Type)
			}
			line := logs.line(t)
			if line["log.level"] != tt.level || line["error.message"] == nil {
				t.Errorf("line %v", line)
			}
			if s := w.Body.String(); strings.Contains(s, "10.1.2.3") || strings.Contains(s, "boom") || strings.Contains(s, "goroutine") {
				t.Errorf("the answer tells too much: %s", s)
			}
			switch tt.path {
			case "/panic":
				if stack, _ := line["error.stack_trace"].(string); !strings.Contains(stack, "httpserver_test.go") {
					t.Errorf("stack %q", stack)
				}
			case "/busy":
				if got := w.Header().Get("Retry-After"); got != "2" {
					t.Errorf("Retry-After %q", got)
				}
			}
		})
	}
}

func TestRequestIDIsTakenOnlyIfPlain(t *testing.T) {
	r, _ := router(t, httpserver.RouterOptions{})
	for in, taken := range map[string]bool{"abc-DEF_123": true, "": false, "a b": false, "x\"y": false, strings.Repeat("a", 65): false} {
		got := do(r, "GET", "/things/1", "", "X-Request-Id", in).Header().Get("X-Request-Id")
		if (got == in) != taken || got == "" {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	r, _ := router(t, httpserver.RouterOptions{})
	for name, tt := range map[string]struct {
		body, contentType string
		kind              fault.Code
		field             string
	}{
		"empty":         {"", "application/json", fault.MalformedBody, ""},
		"broken":        {`{"name":`, "application/json", fault.MalformedBody, ""},
		"not JSON":      {`name=x`, "", fault.MalformedBody, ""},
		"form":          {`name=x`, "application/x-www-form-urlencoded", fault.UnsupportedMedia, ""},
		"array":         {`[]`, "application/json", fault.MalformedBody, ""},
		"unknown field": {`{"name":"x","nmae":"y"}`, "application/json", fault.UnknownField, "nmae"},
		"wrong type":    {`{"count":"x"}`, "application/json", fault.MalformedBody, "count"},
		"float":         {`{"count":1.5}`, "application/json", fault.MalformedBody, "count"},
		"two values":    {`{"name":"x"} {"name":"y"}`, "application/json; charset=utf-8", fault.MalformedBody, ""},
		"rubbish after": {`{"name":"x"}}`, "application/json", fault.MalformedBody, ""},
		"too large":     {`{"name":"` + strings.Repeat("x", 200) + `"}`, "application/json", fault.BodyTooLarge, ""},
		"spaces after":  {`{"name":"x"}` + strings.Repeat(" ", 200), "application/json", fault.BodyTooLarge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := do(r, "POST", "/things", tt.body, "Content-Type", tt.contentType)
			p := problem(t, w)
			if p.Fault().Code != tt.kind || p.Field != tt.field || p.Detail == "" {
				t.Errorf("got %+v", p)
			}
		})
	}
	if w := do(r, "POST", "/things", `{"name":"ü","tags":["a"]}`); w.Code != 201 {
		t.Errorf("good body: %d %s", w.Code, w.Body)
	}
}

func TestHealth(t *testing.T) {
	draining, storeErr := false, error(nil)
	r, logs := router(t, httpserver.RouterOptions{
		Draining: func() bool { return draining },
		Checks:   []httpserver.Check{{Name: "store", Ready: func(context.Context) error { return storeErr }}},
	})
	if w := do(r, "GET", "/healthz", ""); w.Code != 200 || w.Body.String() != `{"status":"ok"}` || w.Header().Get("X-Trace-Id") != "" {
		t.Errorf("healthz: %d %s %v", w.Code, w.Body, w.Header())
	}
	if w := do(r, "GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
	if logs.Len() > 0 {
		t.Errorf("probes are logged: %s", logs)
	}
	storeErr = errors.New("dial tcp 10.1.2.3:1")
	if w := do(r, "GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), `"store":"failed"`) || strings.Contains(w.Body.String(), "10.1") {
		t.Errorf("store away: %d %s", w.Code, w.Body)
	}
	if line := logs.line(t); !strings.Contains(fmt.Sprint(line["error.message"]), "readiness: store: dial") {
		t.Errorf("line %v", line)
	}
	storeErr, draining = nil, true
	if w := do(r, "GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "draining") {
		t.Errorf("draining: %d %s", w.Code, w.Body)
	}
	if w := do(r, "GET", "/metrics", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "http_server_request_duration_seconds_bucket") {
		t.Errorf("metrics: %d", w.Code)
	}
}

func TestServer(t *testing.T) {
	s := httpserver.New(httpserver.Config{ListenAddr: "127.0.0.1:0"}, zap.NewNop())
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := httpserver.New(httpserver.Config{ListenAddr: s.Addr()}, zap.NewNop()).Listen(); err == nil || !strings.Contains(err.Error(), "LISTEN_ADDR") {
		t.Errorf("a taken port: %v", err)
	}
	r, _ := router(t, httpserver.RouterOptions{Draining: s.Draining})
	served := make(chan error, 1)
	go func() { served <- s.Serve(r) }()
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "", "0.0.0.0"} {
		if err := httpserver.CheckHealth(t.Context(), net.JoinHostPort(host, port)); err != nil {
			t.Errorf("health at %q: %v", host, err)
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close after shutdown: %v", err)
	}
	if err := httpserver.CheckHealth(t.Context(), s.Addr()); err == nil {
		t.Error("a stopped server is healthy")
	}
}
