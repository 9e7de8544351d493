package elastic

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// script answers one call after the other; a call beyond its end fails.
type script struct {
	answers []any // an int is a status, an error is returned
	bodies  []string
	headers http.Header
}

func (s *script) Perform(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	s.bodies = append(s.bodies, body)
	if len(s.bodies) > len(s.answers) {
		return nil, errors.New("one call too many")
	}
	switch a := s.answers[len(s.bodies)-1].(type) {
	case error:
		return nil, a
	case int:
		return &http.Response{StatusCode: a, Header: s.headers, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}
	return nil, errors.New("neither a status nor an error")
}

func TestPerformRepeatsOnlyWhatCannotHappenTwice(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	broken := &net.OpError{Op: "read", Err: errors.New("connection reset")}
	for name, tt := range map[string]struct {
		method, path string
		answers      []any
		calls        int
		status       int // 0 wants an error
	}{
		"success":                    {"GET", "/_search", []any{200}, 1, 200},
		"busy, then well":            {"POST", "/_bulk", []any{429, 503, 200}, 3, 200},
		"not found is an answer":     {"GET", "/x", []any{404}, 1, 404},
		"gateway, read":              {"GET", "/x", []any{502, 504, 200}, 3, 200},
		"gateway, search":            {"POST", "/a,b/_search", []any{504, 200}, 2, 200},
		"gateway, simulate":          {"POST", "/_index_template/_simulate/x", []any{504, 200}, 2, 200},
		"gateway, bulk":              {"POST", "/_bulk", []any{504}, 1, 504},
		"gateway, document":          {"POST", "/x/_doc", []any{502}, 1, 502},
		"never connected, bulk":      {"POST", "/_bulk", []any{refused, 200}, 2, 200},
		"broken, put":                {"PUT", "/x", []any{broken, io.EOF, 200}, 3, 200},
		"broken, bulk":               {"POST", "/_bulk", []any{broken}, 1, 0},
		"busy for good":              {"GET", "/x", []any{503, 503, 503, 503}, 4, 503},
		"refused for good":           {"GET", "/x", []any{refused, refused, refused, refused}, 4, 0},
		"caller gave up":             {"GET", "/x", []any{context.Canceled}, 1, 0},
		"not Elasticsearch":          {"GET", "/x", []any{errors.New("unknown product")}, 1, 0},
		"certificate is not trusted": {"GET", "/x", []any{&net.OpError{Op: "remote error", Err: errors.New("bad certificate")}}, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			base := &script{answers: tt.answers}
			c := &Client{base: base}
			// A reader that is no bytes.Reader: net/http can't rewind it.
			req, err := http.NewRequest(tt.method, tt.path, io.MultiReader(strings.NewReader("bo"), strings.NewReader("dy")))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Perform(req)
			if (err == nil) != (tt.status != 0) || err == nil && resp.StatusCode != tt.status {
				t.Errorf("%s: got %v, %v; want status %d", name, resp, err, tt.status)
			}
			if len(base.bodies) != tt.calls {
				t.Errorf("%s: %d calls, want %d", name, len(base.bodies), tt.calls)
			}
			for i, b := range base.bodies {
				if b != "body" {
					t.Errorf("%s: call %d sent %q", name, i+1, b)
				}
			}
		})
	}
}

func TestPerformEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = (&Client{base: &script{answers: []any{503}}}).Perform(req)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "status 503") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPauses(t *testing.T) {
	for attempt, want := range map[int][2]time.Duration{
		1: {50 * time.Millisecond, 100 * time.Millisecond},
		3: {200 * time.Millisecond, 400 * time.Millisecond},
		9: {2500 * time.Millisecond, 5 * time.Second},
	} {
		if lo, hi := backoff(attempt, 0), backoff(attempt, 0.9999); lo != want[0] || hi < lo || hi > want[1] {
			t.Errorf("backoff(%d) goes from %s to %s, want %v", attempt, lo, hi, want)
		}
	}
	for text, want := range map[string]time.Duration{"": 0, "2": 2 * time.Second, "3600": maxRetryAfter, "-1": 0, "soon": 0} {
		if got := retryAfter(http.Header{"Retry-After": {text}}); got != want {
			t.Errorf("Retry-After %q: %s, want %s", text, got, want)
		}
	}
}

func TestServersWishForAPauseIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{base: &script{answers: []any{429, 200}, headers: http.Header{"Retry-After": {"3"}}}}
		start := time.Now()
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("paused for %s, want 3s", d)
		}
	})
}

// server answers as Elasticsearch does, product header included.
func server(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		h(w, r)
	}))
	t.Cleanup(s.Close)
	c, err := New(Config{URLs: []string{s.URL}, User: "elastic", Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		status       int
		body         string
		kind, reason string
	}{
		"error object":   {400, `{"error":{"type":"a_b","reason":"outer","caused_by":{"type":"c","reason":"mid","caused_by":{"reason":"inner"}}},"status":400}`, "a_b", "outer: inner"},
		"cause repeated": {400, `{"error":{"type":"a_b","reason":"it says inner","caused_by":{"reason":"inner"}}}`, "a_b", "it says inner"},
		"string":         {405, `{"error":"Incorrect HTTP method","status":405}`, "", "Incorrect HTTP method"},
		"a proxy's page": {404, `<html>no</html>`, "", "Not Found"},
		"nothing":        {403, ``, "", "Forbidden"},
		"other JSON":     {404, `{"_index":"a","found":false}`, "", "Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			c := server(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			err := c.call(t.Context(), http.MethodDelete, "/x?y=1", nil, nil)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			want := Error{Method: "DELETE", Path: "/x", Status: tt.status, Type: tt.kind, Reason: tt.reason}
			if *e != want {
				t.Errorf("got %+v, want %+v", *e, want)
			}
			if !isStatus(err, tt.status) {
				t.Error("isStatus is false")
			}
		})
	}
}

func TestReasonIsBounded(t *testing.T) {
	got := cut(strings.Repeat("ä", maxReason))
	if len(got) > maxReason+len("…") || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid: %t", len(got), utf8.ValidString(got))
	}
}

func TestWrongProductIsSaid(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(s.Close)
	c, err := New(Config{URLs: []string{s.URL}, User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "not Elasticsearch") {
		t.Errorf("got %v", err)
	}
}

func TestNewNamesTheSetting(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := Config{URLs: []string{"http://a:9200"}, User: "u", Password: "hunter2"}
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no address":       {func(c *Config) { c.URLs = nil }, "ELASTICSEARCH_URL"},
		"no scheme":        {func(c *Config) { c.URLs = []string{"a:9200"} }, "ELASTICSEARCH_URL: address 1"},
		"second is wrong":  {func(c *Config) { c.URLs = append(c.URLs, "ftp://b") }, "ELASTICSEARCH_URL: address 2"},
		"credentials":      {func(c *Config) { c.URLs = []string{"http://u:hunter2@a:9200"} }, "ELASTICSEARCH_USER"},
		"no URL at all":    {func(c *Config) { c.URLs = []string{"http://hunter2:x:y"} }, "ELASTICSEARCH_URL: address 1"},
		"CA file missing":  {func(c *Config) { c.CAFile = "/nowhere/ca.pem" }, "ELASTICSEARCH_CA_FILE"},
		"CA file is empty": {func(c *Config) { c.CAFile = empty }, "ELASTICSEARCH_CA_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			_, err := New(cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want it to name %s", err, tt.want)
			}
		})
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
