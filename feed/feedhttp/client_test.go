package feedhttp_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pharos/feed/feedhttp"
	"pharos/internal/fault"
	"pharos/internal/resilience"
)

func newClient(t *testing.T, bases ...string) *feedhttp.Client {
	t.Helper()
	keys, err := feedhttp.NewKeys("0123456789abcdef0123456789abcdef0123456789abcdef", nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := feedhttp.NewClient(bases, keys, resilience.NewMetrics(prometheus.NewRegistry()), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnInstanceThatIsGoneCostsNoCall(t *testing.T) {
	var posts atomic.Int64
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		posts.Add(1)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"id":"p1","text":"hello"}`))
	}))
	defer well.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, gone, well.URL)
	// Far more at once than the budget for retries would let through.
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if p, err := c.CreatePost(t.Context(), feedhttp.Call{RequestID: "r"}, "hello", ""); err != nil || p.ID != "p1" {
				t.Errorf("%+v %v", p, err)
			}
		})
	}
	wg.Wait()
	if posts.Load() != 100 {
		t.Errorf("%d posts of 100", posts.Load())
	}
}

func TestABusyInstanceIsNotLeftOut(t *testing.T) {
	var asked atomic.Int64
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", fault.ContentType)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"type":"/problems/overloaded","title":"x","status":503,"detail":"busy"}`))
	}))
	defer busy.Close()
	c := newClient(t, busy.URL)
	for range 50 {
		_, err := c.SignIn(t.Context(), feedhttp.Call{RequestID: "r"}, "ada", "secret")
		if !fault.Is(err, fault.Overloaded) || fault.From(err).RetryAfter != time.Second {
			t.Fatal(err)
		}
	}
	if asked.Load() != 50 {
		t.Errorf("asked %d times: the breaker took busy for broken", asked.Load())
	}
}
