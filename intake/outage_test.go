package intake_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// fill sends streams until one is refused and returns how many events were
// accepted.
func (s *system) fill(t *testing.T) (accepted int) {
	t.Helper()
	for range 10000 {
		r := s.send(t, http.MethodPost, "/intake/v2/events?verbose", strings.NewReader(metadata+transactions(30)))
		accepted += r.Accepted
		switch r.status {
		case http.StatusAccepted:
			continue
		case http.StatusServiceUnavailable:
			if len(r.Errors) != 1 || r.Errors[0].Message != "queue is full" {
				t.Errorf("answered %s", r.body)
			}
			return accepted
		}
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	t.Fatal("the queue is never full")
	return 0
}

// TestElasticsearchAway takes Elasticsearch away in each of its ways, fills
// the queue, and brings it back: every accepted event arrives, once.
func TestElasticsearchAway(t *testing.T) {
	for name, away := range map[string]func(t *testing.T, e *elasticsearch) (back func()){
		"unavailable":  status(http.StatusServiceUnavailable),
		"overloaded":   status(http.StatusTooManyRequests),
		"bad gateway":  status(http.StatusBadGateway),
		"unauthorized": status(http.StatusUnauthorized),
		"silent": func(_ *testing.T, e *elasticsearch) func() {
			stop := make(chan struct{})
			e.set(func() { e.refuse = func(http.ResponseWriter, *http.Request) bool { <-stop; return false } })
			return func() {
				e.set(func() { e.refuse = nil })
				close(stop)
			}
		},
		"breaking off": func(_ *testing.T, e *elasticsearch) func() {
			e.set(func() {
				e.refuse = func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
			})
			return func() { e.set(func() { e.refuse = nil }) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, settings())
			back := away(t, s.es)
			began := time.Now()
			accepted := s.fill(t)
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("took %v to fill", took)
			}
			if accepted < 100 || accepted > 4000 {
				t.Errorf("%d events fit into the queue", accepted)
			}
			if used, limit := s.metric(t, "pharos_intake_queue_bytes"), s.metric(t, "pharos_intake_queue_limit_bytes"); used > limit || used < limit/2 {
				t.Errorf("%v of %v bytes used", used, limit)
			}
			if n := s.metric(t, "pharos_intake_events_dropped_total", "reason", "queue_full"); n != 10 {
				t.Errorf("dropped %v, want the batch that did not fit", n)
			}
			if n := s.metric(t, "pharos_intake_events_accepted_total"); int(n) != accepted {
				t.Errorf("counted %v accepted, answered %d", n, accepted)
			}
			if name != "silent" { // where it is not known yet
				s.checkReady(t, http.StatusServiceUnavailable)
				if n := s.logs.FilterLevelExact(zap.WarnLevel).FilterMessageSnippet("does not take documents").Len(); n != 1 {
					t.Errorf("%d warnings", n)
				}
				if r := s.send(t, http.MethodGet, "/", nil); !strings.Contains(r.body, `"publish_ready":false`) {
					t.Errorf("server info %s", r.body)
				}
			}
			if r := s.send(t, http.MethodGet, "/healthz", nil); r.status != http.StatusOK {
				t.Errorf("/healthz answered %d", r.status)
			}

			back()
			docs := s.es.wait(t, accepted)
			if n := s.metric(t, "pharos_intake_documents_indexed_total"); int(n) > len(docs) {
				t.Errorf("counted %v documents", n)
			}
			if n := s.metric(t, "pharos_intake_documents_failed_total"); n != 0 {
				t.Errorf("%v documents failed", n)
			}
			s.checkReady(t, http.StatusOK)
			if r := s.post(t, strings.NewReader(metadata+transactions(5))); r.status != http.StatusAccepted {
				t.Errorf("afterwards: answered %d %s", r.status, r.body)
			}
			s.es.wait(t, accepted+5)
			eventually(t, func() bool { return s.metric(t, "pharos_intake_queue_bytes") == 0 })
		})
	}
}

func status(code int) func(*testing.T, *elasticsearch) func() {
	return func(_ *testing.T, e *elasticsearch) func() {
		e.set(func() {
			e.refuse = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(code); return true }
		})
		return func() { e.set(func() { e.refuse = nil }) }
	}
}

func (s *system) checkReady(t *testing.T, want int) {
	t.Helper()
	var r reply
	eventually(t, func() bool {
		r = s.send(t, http.MethodGet, "/readyz", nil)
		return r.status == want
	})
	if strings.Contains(r.body, "127.0.0.1") {
		t.Errorf("/readyz shows an address: %s", r.body)
	}
}

// TestNoConnection is an Elasticsearch that is not there at all.
func TestNoConnection(t *testing.T) {
	s := serve(t, transportFunc(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("connection refused")
	}), settings())
	s.checkReady(t, http.StatusServiceUnavailable)
	accepted := s.fill(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := s.in.Close(ctx)
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if want := fmt.Sprintf("%d documents were lost", accepted); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	if n := s.metric(t, "pharos_intake_documents_failed_total", "reason", "unsent") + s.metric(t, "pharos_intake_documents_active"); int(n) != accepted {
		t.Errorf("counted %v lost documents, want %d", n, accepted)
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) Perform(r *http.Request) (*http.Response, error) { return f(r) }

// TestCloseDelivers is a stop with documents that no bulk request holds yet,
// while Elasticsearch is just coming back.
func TestCloseDelivers(t *testing.T) {
	cfg := settings()
	cfg.FlushInterval = time.Hour
	s := start(t, cfg)
	var attempts atomic.Int32
	s.es.set(func() {
		s.es.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
			if attempts.Add(1) > 5 {
				return false
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
	})
	s.post(t, strings.NewReader(metadata+transactions(25)))
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := s.in.Close(ctx); err != nil {
		t.Error(err)
	}
	if n := len(s.es.documents()); n != 25 {
		t.Errorf("%d documents", n)
	}
	if err := s.in.Close(ctx); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// TestRefusedDocuments are single documents that Elasticsearch does not want.
func TestRefusedDocuments(t *testing.T) {
	s := start(t, settings())
	s.es.set(func() {
		s.es.judge = func(d document) verdict {
			if id := d.Document["transaction"].(map[string]any)["id"]; id == "3" || id == "4" {
				return verdict{400, "document_parsing_exception", "[1:2] failed to parse field [x] of type [long]. Preview of field's value: 'secret'"}
			}
			return verdict{status: http.StatusCreated}
		}
	})
	for range 20 {
		if r := s.post(t, strings.NewReader(metadata+transactions(10))); r.status != http.StatusAccepted {
			t.Fatalf("answered %d %s", r.status, r.body)
		}
		time.Sleep(15 * time.Millisecond) // so that there are many bulk requests
	}
	s.es.wait(t, 160)
	eventually(t, func() bool { return s.metric(t, "pharos_intake_documents_failed_total", "reason", "refused") == 40 })
	lines := s.logs.FilterLevelExact(zap.WarnLevel).FilterMessageSnippet("documents were lost").All()
	if len(lines) == 0 || len(lines) > 6 {
		t.Fatalf("%d warnings", len(lines))
	}
	message := lines[0].ContextMap()["error.message"].(string)
	if !strings.Contains(message, "failed to parse field [x]") || strings.Contains(message, "secret") {
		t.Errorf("warning %s", message)
	}
}

// TestOverloadedShard refuses a document at first with 429: it goes with a
// later bulk request.
func TestOverloadedShard(t *testing.T) {
	s := start(t, settings())
	var seen []any
	s.es.set(func() {
		s.es.judge = func(d document) verdict {
			id := d.Document["transaction"].(map[string]any)["id"]
			if id == "1" && !slices.Contains(seen, id) {
				seen = append(seen, id)
				return verdict{http.StatusTooManyRequests, "es_rejected_execution_exception", "rejected execution"}
			}
			return verdict{status: http.StatusCreated}
		}
	})
	s.post(t, strings.NewReader(metadata+transactions(3)))
	s.es.wait(t, 2)
	for range settings().BulkRequests { // the buffers take turns
		s.post(t, strings.NewReader(metadata+transaction(7)))
		time.Sleep(50 * time.Millisecond)
	}
	s.es.wait(t, 3+settings().BulkRequests)
	if n := s.metric(t, "pharos_intake_documents_failed_total"); n != 0 {
		t.Errorf("%v documents failed", n)
	}
}
