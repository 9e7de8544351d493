package nginx_test

import (
	"net/http"
	"sync"
	"testing"
)

// instance stands in for one api: it notes what it was asked, and can die.
type instance struct {
	addr string

	mu   sync.Mutex
	seen []http.Header
	dead bool
}

func newInstance(t *testing.T) *instance {
	i := &instance{}
	i.addr = api(t, func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.seen = append(i.seen, r.Header)
		if i.dead {
			panic(http.ErrAbortHandler) // has the request, closes without an answer
		}
		answers(w, r)
	})
	return i
}

func (i *instance) requests() []http.Header {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.seen
}

func TestBothInstancesAreAsked(t *testing.T) {
	t.Parallel()
	a, b := newInstance(t), newInstance(t)
	f := start(t, settings{servers: []string{a.addr, b.addr}})
	for range 20 {
		get(t, f.url("/"))
	}
	if len(a.requests()) < 5 || len(b.requests()) < 5 {
		t.Errorf("%d and %d of 20", len(a.requests()), len(b.requests()))
	}
}

// An instance that is gone, or dies with the request in its hands, is not the
// client's business where asking again does no harm.
func TestIdempotentRequestsAreTriedOnTheOtherInstance(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			dying, well := newInstance(t), newInstance(t)
			dying.dead = true
			f := start(t, settings{servers: []string{dying.addr, well.addr}})
			for range 12 {
				if res, body := send(t, method, f.url("/v1/follows/ann"), ""); res.StatusCode != 200 {
					t.Errorf("%d %s", res.StatusCode, body)
				}
			}
			if n := len(dying.requests()); n == 0 || n > 2 {
				t.Errorf("the dying instance was asked %d times, want 1 or 2 before it is left alone", n)
			}
		})
	}
}

func TestOthersAreSentOnce(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "PATCH"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			dying, well := newInstance(t), newInstance(t)
			dying.dead = true
			f := start(t, settings{servers: []string{dying.addr, well.addr}})
			failed := 0
			for range 12 {
				if res, _ := send(t, method, f.url("/v1/posts"), `{"text":"once"}`); res.StatusCode == 502 {
					failed++
				}
			}
			if failed == 0 || failed != len(dying.requests()) {
				t.Errorf("%d failed, %d died", failed, len(dying.requests()))
			}
			sent := map[string]int{}
			for _, h := range append(dying.requests(), well.requests()...) {
				if sent[h.Get("X-Request-Id")]++; sent[h.Get("X-Request-Id")] > 1 {
					t.Error("a request was sent twice")
				}
			}
		})
	}
}

// Nothing was sent to an instance that refuses the connection, so that any
// request may go to the other.
func TestRefusedConnectionIsTriedOnTheOtherInstance(t *testing.T) {
	t.Parallel()
	well := newInstance(t)
	f := start(t, settings{servers: []string{freeAddr(t), well.addr}})
	for range 6 {
		if res, body := send(t, "POST", f.url("/v1/posts"), "{}"); res.StatusCode != 200 {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	}
}

func TestHeadersThatAPISees(t *testing.T) {
	t.Parallel()
	const parent, state = "00-11111111111111111111111111111111-2222222222222222-01", "es=s:1"
	sent := []string{
		"Traceparent", parent, "Tracestate", state, "Baggage", "a=b", "Elastic-Apm-Traceparent", parent,
		"X-Request-Id", "mine", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https", "X-Real-Ip", "6.6.6.6",
		"Forwarded", "for=6.6.6.6", "X-Forwarded-Host", "evil", "Authorization", "Bearer t", "X-Api-Key", "k", "Accept", "application/json",
	}
	for trust, want := range map[string]map[string]string{
		"off": {"Traceparent": "", "Tracestate": "", "Baggage": ""},
		"on":  {"Traceparent": parent, "Tracestate": state, "Baggage": "a=b"},
	} {
		t.Run("trust "+trust, func(t *testing.T) {
			t.Parallel()
			a := newInstance(t)
			f := start(t, settings{servers: []string{a.addr}, trust: trust})
			res, _ := get(t, f.url("/"), sent...)
			got := a.requests()[0]
			for name, value := range want {
				if got.Get(name) != value {
					t.Errorf("%s: %q, want %q", name, got.Get(name), value)
				}
			}
			for name, value := range map[string]string{
				"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Request-Id": res.Header.Get("X-Request-Id"),
				"X-Real-Ip": "", "Forwarded": "", "X-Forwarded-Host": "", "Elastic-Apm-Traceparent": "",
				"Authorization": "Bearer t", "X-Api-Key": "k", "Accept": "application/json",
			} {
				if v := got.Values(name); (value == "" && len(v) > 0) || got.Get(name) != value || len(v) > 1 {
					t.Errorf("%s: %q, want %q", name, v, value)
				}
			}
			if l := parse(t, f.lines(t, 1)[0]); l["http.request.id"] != got.Get("X-Request-Id") || !hex32.MatchString(got.Get("X-Request-Id")) {
				t.Errorf("logged %v, api saw %q", l["http.request.id"], got.Get("X-Request-Id"))
			}
		})
	}
}

func TestHostThatAPISees(t *testing.T) {
	t.Parallel()
	hosts := make(chan string, 1)
	f := start(t, settings{servers: []string{api(t, func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })}})
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: pharos.example:8080\r\nConnection: close\r\n\r\n": "pharos.example:8080",
		"GET / HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n":          "[::1]:8080",
		"GET / HTTP/1.1\r\nHost: a'b\r\nConnection: close\r\n\r\n":                 "pharos",
		"GET / HTTP/1.0\r\n\r\n": "pharos",
	} {
		raw(t, f.addr, request)
		select {
		case got := <-hosts:
			if got != want {
				t.Errorf("%q: %q, want %q", request, got, want)
			}
		default:
			t.Errorf("%q did not reach api", request)
		}
	}
}

func TestConnectionsToAPIAreKept(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	from := map[string]bool{}
	f := start(t, settings{servers: []string{api(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr] = true
	})}})
	for range 50 {
		get(t, f.url("/"))
	}
	if len(from) > 4 { // nginx keeps them worker by worker
		t.Errorf("%d connections for 50 requests", len(from))
	}
}
