// Package e2e follows what users do through the whole running system, from
// nginx into Elasticsearch. dev/with-stack starts that system.
package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/internal/teststack"
)

// stack is the system under test.
type stack struct {
	NginxPort   int    `env:"NGINX_PORT,required"`
	Feed1Port   int    `env:"FEED_1_PORT,required"`
	Feed2Port   int    `env:"FEED_2_PORT,required"`
	State       string `env:"PHAROS_STATE,required"`
	Bus         string `env:"BUS,required"`
	OperatorKey string `env:"OPERATOR_API_KEY,required"`
	// Supervisor is the control socket of the processes' supervisor.
	Supervisor string `env:"PHAROS_SUPERVISOR,required"`

	Setup elastic.SetupConfig

	es       *elastic.Client
	document *document
}

func open(t *testing.T) *stack {
	t.Helper()
	s := teststack.Config[stack](t)
	es, err := elastic.New(s.Setup.Client())
	if err != nil {
		t.Fatal(err)
	}
	s.es = es
	if s.document, err = loadDocument(); err != nil {
		t.Fatal(err)
	}
	return &s
}

// answer is what the system answered to a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) traceID() string   { return a.header.Get("X-Trace-Id") }
func (a answer) requestID() string { return a.header.Get("X-Request-Id") }

func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// client makes requests through nginx and counts the answers. What is not as
// the API's document says fails the test.
type client struct {
	stack      *stack
	total, bad int64
	http       http.Client
}

func newClient(s *stack) *client {
	return &client{stack: s, http: http.Client{Timeout: 20 * time.Second, Transport: s.document}}
}

func (c *client) do(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	resp := c.raw(t, method, path, body, header...)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode == http.StatusCreated {
		given.note(path, b)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

// raw is do for a test that reads the body itself.
func (c *client) raw(t *testing.T, method, path, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", c.stack.NginxPort, path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	c.total++
	if resp.StatusCode >= 500 {
		c.bad++
	}
	return resp
}

// want is do with the status that must come.
func (c *client) want(t *testing.T, status int, method, path, body string, header ...string) answer {
	t.Helper()
	a := c.do(t, method, path, body, header...)
	if a.status != status {
		t.Fatalf("%s %s answered %d instead of %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

// user is somebody who is signed up and in.
type user struct {
	ID, Handle, token string
}

func (u user) auth() []string { return []string{"Authorization", "Bearer " + u.token} }

const password = "correct horse battery"

func (c *client) signUp(t *testing.T, name string) user {
	t.Helper()
	u := user{Handle: name + "_" + random(t)}
	c.want(t, http.StatusCreated, "POST", "/v1/users", fmt.Sprintf(`{"handle":%q,"name":%q,"password":%q}`, u.Handle, name, password)).decode(t, &u)
	u.token = c.signIn(t, u.Handle)
	return u
}

func (c *client) signIn(t *testing.T, handle string) string {
	t.Helper()
	var session struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	c.want(t, http.StatusCreated, "POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":%q}`, handle, password)).decode(t, &session)
	if session.Token == "" || time.Until(session.ExpiresAt) <= 0 {
		t.Fatalf("session %+v", session)
	}
	return session.Token
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 5)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// supervise tells process-compose to start or stop processes, and waits until
// they are healthy or have ended. (It refuses to start a process right after
// one that this one depends on: only what is healthy again counts.)
func (s *stack) supervise(t *testing.T, action string, processes ...string) {
	t.Helper()
	method := http.MethodPost
	if action == "stop" {
		method = http.MethodPatch
	}
	for _, p := range processes {
		if status, body := s.control(t, method, "/process/"+action+"/"+p); status != http.StatusOK {
			t.Fatalf("%s %s: %d %s", action, p, status, body)
		}
	}
	if action == "stop" {
		return
	}
	for _, p := range processes {
		eventually(t, 3*time.Minute, p+" is healthy", func() string {
			_, body := s.control(t, http.MethodGet, "/process/"+p)
			if !strings.Contains(string(body), `"is_ready":"Ready"`) {
				return string(body) + s.tail(p+"/output.log")
			}
			return ""
		})
	}
}

// control asks the supervisor. It does without the test's context, since it
// also cleans up.
func (s *stack) control(t *testing.T, method, path string) (int, []byte) {
	t.Helper()
	client := http.Client{Timeout: 90 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.Supervisor)
		},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequest(method, "http://supervisor"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, body
}

// ready reports whether a process answers /readyz at the port.
func ready(port int) bool {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port))
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// eventually calls check until it returns "", and fails with what it returned
// last when the limit is over.
func eventually(t *testing.T, limit time.Duration, what string, check func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		missing := check()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %s", what, limit, missing)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

type query = map[string]any

func term(field string, value any) query { return query{"term": query{field: value}} }

func all(filters ...query) query { return query{"bool": query{"filter": filters}} }

// search returns the documents of a stream that match, at most 100. A stream
// that is not there yet has none.
func (s *stack) search(t *testing.T, stream string, q query) []elastic.Hit {
	t.Helper()
	result, err := s.es.Search(t.Context(), stream, query{"query": q, "size": 100, "sort": []query{{"@timestamp": query{"order": "asc", "unmapped_type": "date"}}}})
	if err != nil {
		t.Logf("search %s: %v", stream, err)
		return nil
	}
	return result.Hits
}

// tail is the end of the logs that match the pattern below the stack's logs,
// for the message of a failed test.
func (s *stack) tail(pattern string) string {
	var b bytes.Buffer
	names, _ := filepath.Glob(filepath.Join(s.State, "logs", pattern))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&b, "\n== %s\n%s", name, strings.Join(lines[max(0, len(lines)-8):], "\n"))
	}
	return b.String()
}
