package httpserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"

	"pharos/internal/httpserver"
)

// serveOn starts a server whose POST / answers 201.
func serveOn(t *testing.T, drain time.Duration) (*httpserver.Server, string) {
	t.Helper()
	s := httpserver.New(httpserver.Config{ListenAddr: "127.0.0.1:0", DrainDelay: drain}, zap.NewNop())
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	r, _ := router(t, httpserver.RouterOptions{Draining: s.Draining})
	r.POST("/", func(c *gin.Context) { c.Status(http.StatusCreated) })
	r.GET("/while-draining", func(c *gin.Context) {
		for !s.Draining() {
			time.Sleep(time.Millisecond)
		}
		c.Status(http.StatusNoContent)
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(r) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return s, "http://" + s.Addr()
}

func TestDrainingAnswersEndTheirConnections(t *testing.T) {
	s, base := serveOn(t, 300*time.Millisecond)
	ask := func(path string) *http.Response {
		t.Helper()
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	if resp := ask("/readyz"); resp.StatusCode != http.StatusOK || resp.Close {
		t.Fatalf("before: %s, closes: %v", resp.Status, resp.Close)
	}
	early := make(chan *http.Response, 1)
	go func() {
		resp, err := new(http.Transport).RoundTrip(httptest.NewRequest(http.MethodGet, base+"/while-draining", nil))
		if err != nil {
			t.Error(err)
			resp = &http.Response{Body: http.NoBody}
		}
		_ = resp.Body.Close()
		early <- resp
	}()
	done := make(chan error, 1)
	go func() {
		time.Sleep(50 * time.Millisecond) // for the request above to get there
		done <- s.Shutdown(context.Background())
	}()
	for !s.Draining() {
		time.Sleep(time.Millisecond)
	}
	if resp := ask("/readyz"); resp.StatusCode != http.StatusServiceUnavailable || !resp.Close {
		t.Errorf("while draining: %s, closes: %v", resp.Status, resp.Close)
	}
	if resp := ask("/things/1"); resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("a new connection while draining: %s, closes: %v", resp.Status, resp.Close)
	}
	if resp := <-early; resp.StatusCode != http.StatusNoContent || !resp.Close {
		t.Errorf("a request that came before: %d, closes: %v", resp.StatusCode, resp.Close)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("a stopped server takes connections")
	}
}

// TestStopLosesNoConnection restarts a server under POSTs that must not be sent
// twice: once a connection is made, its request is answered.
func TestStopLosesNoConnection(t *testing.T) {
	for round := range 5 {
		leaving, first := serveOn(t, 10*time.Millisecond)
		_, second := serveOn(t, 0)
		var (
			wg     sync.WaitGroup
			over   atomic.Bool
			posted atomic.Int64
		)
		transport := &http.Transport{
			DialContext:       (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext,
			DisableKeepAlives: true, // idle ones are the client's to close in time
		}
		post := func(base string) error {
			// A body that can't be made again: the transport must not repeat it.
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base, io.NopCloser(strings.NewReader("{}")))
			if err != nil {
				return err
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				return fmt.Errorf("answered %s", resp.Status)
			}
			posted.Add(1)
			return nil
		}
		for range 8 {
			wg.Go(func() {
				for !over.Load() {
					err := post(first)
					var op *net.OpError
					for errors.As(err, &op) && op.Op == "dial" { // again if this machine is too slow for its timeout
						err = post(second)
					}
					if err != nil {
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		for posted.Load() < 50 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		if err := leaving.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		after := posted.Load()
		for posted.Load() < after+50 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		over.Store(true)
		wg.Wait()
	}
}
