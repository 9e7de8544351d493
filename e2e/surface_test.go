package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pharos/internal/fault"
)

// TestFeedIsAskedForAgain keeps a page of the feed and asks whether it still
// holds, through nginx and its compression.
func TestFeedIsAskedForAgain(t *testing.T) {
	c := newClient(open(t))
	author, reader := c.signUp(t, "author"), c.signUp(t, "reader")
	c.want(t, http.StatusNoContent, "PUT", "/v1/follows/"+author.Handle, "", reader.auth()...)
	text := strings.Repeat("long enough to be compressed ", 40)
	c.want(t, http.StatusCreated, "POST", "/v1/posts", fmt.Sprintf(`{"text":%q}`, text), author.auth()...)

	first := c.want(t, http.StatusOK, "GET", "/v1/feed", "", reader.auth()...)
	etag := first.header.Get("ETag")
	if etag == "" || first.header.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("headers %v", first.header)
	}
	again := append(reader.auth(), "If-None-Match", etag)
	for range 4 { // both instances of api, from the cache
		a := c.want(t, http.StatusNotModified, "GET", "/v1/feed", "", again...)
		if len(a.body) > 0 || a.header.Get("ETag") != etag {
			t.Errorf("unchanged: %v %s", a.header, a.body)
		}
	}
	c.want(t, http.StatusNotModified, "HEAD", "/v1/feed", "", again...)
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", append(author.auth(), "If-None-Match", etag)...)
	c.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"new"}`, author.auth()...)
	if a := c.want(t, http.StatusOK, "GET", "/v1/feed", "", again...); a.header.Get("ETag") == etag {
		t.Errorf("the page has changed and its ETag has not: %s", a.body)
	}

	packed := append(reader.auth(), "Accept-Encoding", "gzip")
	resp := c.raw(t, "GET", "/v1/feed", "", packed...)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	vary := strings.Join(resp.Header.Values("Vary"), ", ")
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" || len(body) > len(text)/2 || !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Authorization") {
		t.Errorf("compressed: %v, %d bytes, %v", err, len(body), resp.Header)
	}
}

// TestMethodsAndTypes asks in ways that the API does not serve.
func TestMethodsAndTypes(t *testing.T) {
	c := newClient(open(t))
	u := c.signUp(t, "methods")
	for _, tt := range []struct {
		method, path, body string
		header             []string
		status             int
		want               []string // headers and their values
	}{
		{"OPTIONS", "/v1/feed", "", nil, 204, []string{"Allow", "GET, HEAD", "Access-Control-Allow-Origin", ""}},
		{"OPTIONS", "/v1/feed", "", []string{"Origin", "https://shop.example", "Access-Control-Request-Method", "GET"}, 204, []string{"Access-Control-Allow-Origin", ""}},
		{"PATCH", "/v1/posts/1", "", u.auth(), 405, []string{"Allow", "DELETE", "Content-Type", fault.ContentType}},
		{"POST", "/docs", "", nil, 405, []string{"Allow", "GET, HEAD", "Content-Type", fault.ContentType}},
		{"HEAD", "/v1/feed", "", u.auth(), 200, []string{"Content-Type", "application/json; charset=utf-8"}},
		{"HEAD", "/docs", "", nil, 200, []string{"Content-Type", "text/html; charset=utf-8"}},
		{"HEAD", "/healthz", "", nil, 200, nil},
		{"GET", "/v1/feed", "", append(u.auth(), "Accept", "text/csv"), 406, []string{"Content-Type", fault.ContentType}},
		{"POST", "/v1/posts", "text=x", append(u.auth(), "Content-Type", "application/x-www-form-urlencoded"), 415, []string{"Content-Type", fault.ContentType}},
		{"POST", "/v1/events", "{}", append(u.auth(), "Content-Type", "text/plain"), 415, []string{"Content-Type", fault.ContentType}},
		{"GET", "/problems/conflict", "", []string{"Accept", "text/html"}, 200, []string{"Content-Type", "text/html; charset=utf-8"}},
		{"GET", "/openapi.yaml", "", nil, 200, []string{"Content-Type", "application/yaml"}},
	} {
		a := c.do(t, tt.method, tt.path, tt.body, tt.header...)
		if a.status != tt.status {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, a.status, a.body)
		}
		for pair := range slices.Chunk(tt.want, 2) {
			if got := a.header.Get(pair[0]); got != pair[1] {
				t.Errorf("%s %s: %s %q, want %q", tt.method, tt.path, pair[0], got, pair[1])
			}
		}
	}
}

// TestQuickStart runs the commands of /docs as a reader would.
func TestQuickStart(t *testing.T) {
	c := newClient(open(t))
	page := c.want(t, http.StatusOK, "GET", "/docs", "", "Accept", "text/html")
	handle := "quick_" + random(t)
	var script strings.Builder
	for _, m := range regexp.MustCompile(`<code id="quick-\d+">([^<]*)</code>`).FindAllStringSubmatch(string(page.body), -1) {
		script.WriteString(html.UnescapeString(m[1]) + "; echo\n")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(script.String(), "reader_1", handle))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v in %s: %s", err, script.String(), out)
	}
	for _, want := range []string{`"handle":"` + handle + `"`, `"text":"Hello, world."`, "HTTP/1.1 200 OK", `"next_cursor":""`, `"2880067194370816120"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is not in what the commands say:\n%s", want, out)
		}
	}
}

// propertyTime bounds the property test.
const propertyTime = 4 * time.Minute

// TestProperties lets Schemathesis ask what the document allows, and what it
// does not: no answer is 5xx, and all are as documented.
func TestProperties(t *testing.T) {
	s := open(t)
	u := newClient(s).signUp(t, "properties")
	ctx, cancel := context.WithTimeout(t.Context(), propertyTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../dev/schemathesis", fmt.Sprintf("http://127.0.0.1:%d", s.NginxPort))
	cmd.Env = append(os.Environ(), "TOKEN="+u.token, "OPERATOR_API_KEY="+s.OperatorKey)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts is to end with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 69:
		t.Skipf("SKIPPED, NOTHING PROVED: %s", said.String())
	case err != nil:
		t.Fatalf("%v: %s", err, said.String())
	}
	passed := regexp.MustCompile(`(\d+) generated, (\d+) passed`).FindStringSubmatch(said.String())
	if passed == nil {
		t.Fatalf("it says: %s", said.String())
	}
	if n, err := strconv.Atoi(passed[2]); err != nil || n < 500 {
		t.Errorf("only %s: %s", passed[0], said.String())
	}
	t.Log(passed[0])
}
