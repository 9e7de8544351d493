// Package receivertest has what tests page: HTTP servers that hold every request
// against the rules that PagerDuty and Slack publish, keep what they took, and
// fail when they are told to.
package receivertest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// anyPort is for a test that tells the sender where it listens.
const anyPort = "127.0.0.1:0"

// receiver is what both have in common.
type receiver struct {
	// URL is where to post.
	URL string

	mu       sync.Mutex
	failures []failure
	broken   []string // rules that a request broke
	attempts int
	changed  chan struct{}
}

type failure struct {
	status     int // 0: no answer
	retryAfter int
}

// Fail makes the next n requests fail with a status, without being looked at.
// Status 0 closes the connection without an answer.
func (r *receiver) Fail(n, status int) { r.fail(n, failure{status: status}) }

// FailFor is Fail with a Retry-After header of so many seconds.
func (r *receiver) FailFor(n, status, seconds int) {
	r.fail(n, failure{status: status, retryAfter: seconds})
}

func (r *receiver) fail(n int, f failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		r.failures = append(r.failures, f)
	}
}

// Attempts is how many requests came, failed ones included.
func (r *receiver) Attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts
}

// Broken lists the rules that requests broke.
func (r *receiver) Broken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.broken)
}

// Changed is closed at the next request; take it before looking, so that no
// request is missed.
func (r *receiver) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// serve starts a server at the address that answers POSTs at path. take gets
// each body and returns the rules that it breaks and the answer.
func (r *receiver) serve(t testing.TB, addr, path string, maxBody int64, take func(body []byte, header http.Header) (broken []string, status int, answer string)) {
	t.Helper()
	r.changed = make(chan struct{})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			close(r.changed)
			r.changed = make(chan struct{})
		}()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.attempts++
		if len(r.failures) > 0 {
			f := r.failures[0]
			r.failures = r.failures[1:]
			if f.status == 0 {
				hangUp(w)
				return
			}
			if f.retryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
			}
			w.WriteHeader(f.status)
			return
		}
		if req.Method != http.MethodPost || req.URL.Path != path {
			r.broken = append(r.broken, req.Method+" "+req.URL.Path+" is not there")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		body, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
		if err != nil {
			return
		}
		if int64(len(body)) > maxBody {
			r.broken = append(r.broken, "the body is larger than "+strconv.FormatInt(maxBody, 10)+" bytes")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		broken, status, answer := take(body, req.Header)
		r.broken = append(r.broken, broken...)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	r.URL = s.URL + path
}

func hangUp(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	conn, _, err := hijacker.Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// checker collects the rules that a JSON body breaks.
type checker struct{ broken []string }

func (c *checker) fail(rule string) { c.broken = append(c.broken, rule) }

// text checks a string of an object.
func (c *checker) text(in map[string]any, key string, required bool, most int) string {
	v, ok := in[key]
	if !ok {
		if required {
			c.fail(key + " is missing")
		}
		return ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		c.fail(key + " must be a string")
	case required && s == "":
		c.fail(key + " is empty")
	case most > 0 && len([]rune(s)) > most:
		c.fail(key + " is longer than " + strconv.Itoa(most) + " characters")
	}
	return s
}

// only checks that an object has no other keys.
func (c *checker) only(in map[string]any, where string, keys ...string) {
	for key := range in {
		if !slices.Contains(keys, key) {
			c.fail(where + " has the unknown key " + key)
		}
	}
}

// list checks a list of objects.
func (c *checker) list(in map[string]any, key string, each func(map[string]any)) {
	v, ok := in[key]
	if !ok {
		return
	}
	list, ok := v.([]any)
	if !ok {
		c.fail(key + " must be an array")
		return
	}
	for _, e := range list {
		object, ok := e.(map[string]any)
		if !ok {
			c.fail(key + " must hold objects")
			return
		}
		each(object)
	}
}
