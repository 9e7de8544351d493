package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"pharos/elastic"
	"pharos/intake"
	"pharos/internal/env"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
)

const token = "a-token-of-the-tests"

// document is what a bulk request asked for.
type document struct {
	Action   string         `json:"action"`
	Index    string         `json:"index"`
	Document map[string]any `json:"document"`
}

// verdict is Elasticsearch's answer for one document.
type verdict struct {
	status       int
	kind, reason string
}

// elasticsearch is what the intake sees of Elasticsearch: a server that takes
// bulk requests, or does not.
type elasticsearch struct {
	*httptest.Server

	mu     sync.Mutex
	docs   []document
	params []string
	// refuse answers a whole request; nil or false lets it through.
	refuse func(http.ResponseWriter, *http.Request) bool
	// judge answers for one document; nil takes it.
	judge func(document) verdict
}

func newElasticsearch(t testing.TB) *elasticsearch {
	e := &elasticsearch{}
	e.Server = httptest.NewServer(e.serve(t))
	t.Cleanup(e.Close)
	return e
}

func (e *elasticsearch) serve(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		e.mu.Lock()
		refuse := e.refuse
		e.mu.Unlock()
		if refuse != nil && refuse(w, r) {
			return
		}
		if r.URL.Path != "/_bulk" {
			_, _ = io.WriteString(w, `{}`)
			return
		}
		docs := bulkDocuments(t, r.Body)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.params = append(e.params, r.URL.RawQuery)
		items := make([]any, 0, len(docs))
		for _, d := range docs {
			v := verdict{status: http.StatusCreated}
			if e.judge != nil {
				v = e.judge(d)
			}
			item := map[string]any{"_index": d.Index, "status": v.status}
			if v.status > 299 {
				item["error"] = map[string]any{"type": v.kind, "reason": v.reason}
			} else {
				e.docs = append(e.docs, d)
			}
			items = append(items, map[string]any{"create": item})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"items": items})
	}
}

func bulkDocuments(t testing.TB, r io.Reader) []document {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil // the client gave up
	}
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	if len(lines)%2 != 0 {
		t.Errorf("bulk request of %d lines", len(lines))
		return nil
	}
	var docs []document
	for pair := range slices.Chunk(lines, 2) {
		var action map[string]struct {
			Index string `json:"_index"`
		}
		if err := json.Unmarshal(pair[0], &action); err != nil || len(action) != 1 {
			t.Errorf("bulk action %s: %v", pair[0], err)
		}
		for name, a := range action {
			d := document{Action: name, Index: a.Index}
			if err := json.Unmarshal(pair[1], &d.Document); err != nil {
				t.Errorf("bulk document %s: %v", pair[1], err)
			}
			docs = append(docs, d)
		}
	}
	return docs
}

func (e *elasticsearch) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

func (e *elasticsearch) documents() []document {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.docs)
}

// wait returns the documents once there are n.
func (e *elasticsearch) wait(t testing.TB, n int) []document {
	t.Helper()
	eventually(t, func() bool { return len(e.documents()) >= n })
	if docs := e.documents(); len(docs) != n {
		t.Fatalf("%d documents, want %d", len(docs), n)
	}
	return e.documents()
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 20 seconds")
		}
	}
}

// system is an intake that serves, and what it writes to.
type system struct {
	*httptest.Server
	in   *intake.Intake
	es   *elasticsearch
	tel  *obs.Telemetry
	logs *observer.ObservedLogs
}

func settings() intake.Config {
	return intake.Config{
		SecretToken: token, MaxEventSize: 300 << 10, MaxRequestSize: 8 << 20, MaxStreams: 8,
		QueueBytes: 1 << 20, QueueWait: 200 * time.Millisecond,
		FlushBytes: 64 << 10, FlushInterval: 10 * time.Millisecond, BulkRequests: 2,
		LogsMaxRequestSize: 5 << 20, LogsMaxLineSize: 64 << 10, LogsRate: 100_000, LogsRateBurst: 10_000, LogsMaxAge: 72 * time.Hour,
		OTLPMaxRequestSize: 4 << 20,
	}
}

func start(t testing.TB, cfg intake.Config) *system {
	t.Helper()
	es := newElasticsearch(t)
	client, err := elastic.New(elastic.Config{URLs: []string{es.URL}, User: "intake", Password: env.Secret("x")})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, client, cfg)
	s.es = es
	return s
}

func serve(t testing.TB, es intake.Transport, cfg intake.Config) *system {
	t.Helper()
	tel, err := obs.Discard("intake")
	if err != nil {
		t.Fatal(err)
	}
	tel.Tracer.SetRecording(false)
	t.Cleanup(tel.Tracer.Close)
	s := &system{tel: tel}
	var core zapcore.Core
	core, s.logs = observer.New(zap.DebugLevel)
	tel.Log = zap.New(core)
	if s.in, err = intake.New(tel, es, cfg); err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	router := httpserver.NewRouter(tel, httpserver.RouterOptions{
		Draining: func() bool { return false },
		Checks:   []httpserver.Check{{Name: "elasticsearch", Ready: s.in.Ready}},
	})
	s.in.Routes(router)
	s.Server = httptest.NewServer(router)
	t.Cleanup(func() {
		s.in.Interrupt()
		s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.in.Close(ctx) // tests that care close it themselves
	})
	return s
}

type reply struct {
	status   int
	header   http.Header
	body     string
	Accepted int
	Errors   []struct{ Message, Document string }
}

// post sends a stream; headers are pairs of name and value.
func (s *system) post(t testing.TB, body io.Reader, headers ...string) reply {
	t.Helper()
	return s.send(t, http.MethodPost, "/intake/v2/events", body, headers...)
}

func (s *system) send(t testing.TB, method, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
		if pair[1] == "" {
			req.Header.Del(pair[0])
		}
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{status: res.StatusCode, header: res.Header, body: string(content)}
	if len(content) > 0 && strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(content, &r); err != nil && !strings.HasPrefix(path, "/config") {
			t.Fatalf("answer %s: %v", content, err)
		}
	}
	return r
}

// metric returns the sum of a metric's values whose labels include the pairs.
func (s *system) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := s.tel.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == name })
	if i < 0 {
		t.Fatalf("no metric %s", name)
	}
	var sum float64
	for _, m := range families[i].GetMetric() {
		if hasLabels(m, labels) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func hasLabels(m *dto.Metric, labels []string) bool {
	for pair := range slices.Chunk(labels, 2) {
		if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == pair[0] && l.GetValue() == pair[1] }) {
			return false
		}
	}
	return true
}
