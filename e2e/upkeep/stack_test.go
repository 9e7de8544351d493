// Package upkeep tries what an operator does to a whole system: back it up and
// restore it, upgrade it, change its secrets. Each stops and restarts what other
// tests use, so these have a stack of their own: make test-backup.
package upkeep

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/internal/teststack"
)

type system struct {
	NginxPort int    `env:"NGINX_PORT,required"`
	State     string `env:"PHAROS_STATE,required"`
	Root      string `env:"PHAROS_ROOT,required"`
	Setup     elastic.SetupConfig

	es *elastic.Client
}

func open(t *testing.T) *system {
	t.Helper()
	if os.Getenv("PHAROS_UPKEEP") == "" {
		t.Skip("SKIPPED: restarts the whole stack; run `make test-backup`")
	}
	s := teststack.Config[system](t)
	s.connect(t)
	return &s
}

func (s *system) connect(t *testing.T) {
	t.Helper()
	es, err := elastic.New(s.Setup.Client())
	if err != nil {
		t.Fatal(err)
	}
	s.es = es
}

// run runs a script, of dev/ if it has no path, and returns what it said and its exit code.
func (s *system) run(t *testing.T, environment []string, script string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if !filepath.IsAbs(script) {
		script = filepath.Join(s.Root, "dev", script)
	}
	cmd := exec.CommandContext(ctx, script, args...)
	cmd.Env = append(os.Environ(), environment...)
	// Not a pipe: what the script starts and leaves running would hold it open.
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = said.Close() }()
	cmd.Stdout, cmd.Stderr = said, said
	err = cmd.Run()
	text, rerr := os.ReadFile(said.Name())
	if rerr != nil {
		t.Fatal(rerr)
	}
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", script, err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// must is run for what has to go well.
func (s *system) must(t *testing.T, environment []string, script string, args ...string) string {
	t.Helper()
	start := time.Now()
	said, code := s.run(t, environment, script, args...)
	t.Logf("%s %s: %.0f s\n%s", script, strings.Join(args, " "), time.Since(start).Seconds(), said)
	if code != 0 {
		t.Fatalf("%s ended with %d", script, code)
	}
	return said
}

// person is a user with a password.
type person struct{ handle, password, token string }

// call is one request; the answer is decoded into out.
func (s *system) call(t *testing.T, method, path, token string, in, out any) int {
	t.Helper()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", s.NginxPort, path), body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if out != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return resp.StatusCode
}

func (s *system) newPerson(t *testing.T) person {
	t.Helper()
	p := person{handle: "u" + strings.ToLower(rand.Text()[:10]), password: rand.Text()}
	if got := s.call(t, "POST", "/v1/users", "", map[string]string{"handle": p.handle, "name": p.handle, "password": p.password}, nil); got != http.StatusCreated {
		t.Fatalf("making a user answered %d", got)
	}
	return s.signIn(t, p)
}

func (s *system) signIn(t *testing.T, p person) person {
	t.Helper()
	var session struct{ Token string }
	if got := s.call(t, "POST", "/v1/sessions", "", map[string]string{"handle": p.handle, "password": p.password}, &session); got != http.StatusCreated {
		t.Fatalf("signing %s in answered %d", p.handle, got)
	}
	p.token = session.Token
	return p
}

// eventually waits for check to return "".
func eventually(t *testing.T, limit time.Duration, what string, check func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		missing := check()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s: %s", what, limit, missing)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// count is how many documents of a stream match.
func (s *system) count(t *testing.T, stream string, query any) int64 {
	t.Helper()
	if err := s.es.Refresh(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	found, err := s.es.Search(t.Context(), stream, map[string]any{"size": 0, "query": query})
	if err != nil {
		t.Fatal(err)
	}
	return found.Total
}

var all = map[string]any{"match_all": map[string]any{}}

func (s *system) add(t *testing.T, stream string, n int) {
	t.Helper()
	var documents []elastic.Document
	for i := range n {
		body, err := json.Marshal(map[string]any{"@timestamp": time.Now().UTC().Format(time.RFC3339), "message": fmt.Sprintf("line %d", i)})
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, elastic.Document{Body: body})
	}
	if _, err := s.es.Create(t.Context(), stream, documents); err != nil {
		t.Fatal(err)
	}
}
