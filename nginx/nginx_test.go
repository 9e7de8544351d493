// Package nginx_test runs the real nginx with nginx.conf.template in front of
// Go servers that stand in for api.
package nginx_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// settings are the template's variables. The zero value of each is a limit
// that no test meets by accident.
type settings struct {
	servers []string // host:port of each api
	rate    string
	burst   string
	trust   string
	tls     string
	console string // host:port; empty: nobody is there
	toTLS   string // the port that plain requests are sent to
	hsts    string
}

// front is a running nginx.
type front struct {
	addr, status   string
	logDir, runDir string
	pidFile        string
}

func (f *front) url(path string) string { return "http://" + f.addr + path }

// nginxPath finds nginx where a user's PATH may not look.
func nginxPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("SKIPPED, NOTHING PROVED: no nginx in PATH or /usr/sbin (Debian: apt-get install nginx-light)")
	return ""
}

// render fills the template in as envsubst does when it is limited to these
// names, and fails the test for a name that it leaves.
func render(t *testing.T, values map[string]string) []byte {
	t.Helper()
	text, err := os.ReadFile("nginx.conf.template")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		text = bytes.ReplaceAll(text, []byte("${"+name+"}"), []byte(value))
	}
	if left := regexp.MustCompile(`\$\{[A-Z_]+\}`).Find(text); left != nil {
		t.Fatalf("the template has %s, which nobody sets", left)
	}
	return text
}

// start runs nginx until the test ends.
func start(t *testing.T, s settings) *front {
	t.Helper()
	nginx := nginxPath(t)
	dir := stateDir(t)
	f := &front{
		addr: freeAddr(t), status: freeAddr(t),
		logDir: filepath.Join(dir, "log"), runDir: filepath.Join(dir, "run"),
	}
	f.pidFile = filepath.Join(f.runDir, "nginx.pid")
	for _, d := range []string{f.logDir, f.runDir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := net.SplitHostPort(f.addr)
	var servers strings.Builder
	for _, addr := range s.servers {
		fmt.Fprintf(&servers, "server %s max_fails=2 fail_timeout=2s; ", addr)
	}
	conf := filepath.Join(f.runDir, "nginx.conf")
	text := render(t, map[string]string{
		"NGINX_LISTEN_ADDR": host, "NGINX_PORT": port, "NGINX_STATUS_LISTEN": f.status,
		"NGINX_API_SERVERS": servers.String(), "NGINX_RESOLVER": "",
		"NGINX_CONSOLE_SERVERS": "server " + or(s.console, freeAddr(t)) + ";",
		"NGINX_RATE_LIMIT":      or(s.rate, "10000r/s"), "NGINX_RATE_BURST": or(s.burst, "10000"),
		"NGINX_BODY_LIMIT": "1m", "TRUST_TRACEPARENT": or(s.trust, "off"), "NGINX_TLS": s.tls,
		"TLS_REDIRECT": s.toTLS, "HSTS_MAX_AGE": or(s.hsts, "0"),
		"NGINX_LOG_DIR": f.logDir, "NGINX_RUN_DIR": f.runDir,
		"ENVIRONMENT": "test", "REGION": "here", "NODE_NAME": "nginx-1",
	})
	if err := os.WriteFile(conf, text, 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	directives := "daemon off;"
	if os.Geteuid() == 0 {
		// The state may lie where nobody, nginx's own choice for its workers,
		// can't go: TMPDIR may be the tester's alone.
		directives += " user root;"
	}
	cmd := exec.Command(nginx, "-e", filepath.Join(f.logDir, "error.log"), "-c", conf, "-p", f.runDir, "-g", directives)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Errorf("nginx: %v %s", err, said.String())
		}
	})
	waitFor(t, "nginx to listen", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v %s", err, said.String())
		default:
		}
		c, err := net.Dial("tcp", f.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return f
}

// stateDir is a folder that the workers of an nginx started by root, who run
// as another user, can reach.
func stateDir(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s for %s", what)
		}
	}
}

// api starts a server that stands in for api and returns its host:port.
func api(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// answers says what api says when all is well.
func answers(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Trace-Id", traceID)
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprint(w, `{"status":"ok"}`)
}

// get sends a request with headers given as name, value, name, value…
func get(t *testing.T, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	return send(t, http.MethodGet, url, "", headers...)
}

func send(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return res, string(text)
}

// raw sends bytes as they are and returns all that comes back, until nginx
// closes or has been silent for 300 ms.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for buf := make([]byte, 32<<10); ; {
		if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String()
		}
	}
}

// lines waits until the access log has n lines, and returns them.
func (f *front) lines(t *testing.T, n int) [][]byte {
	t.Helper()
	var lines [][]byte
	waitFor(t, fmt.Sprintf("%d lines in the access log", n), func() bool {
		lines = readLines(t, filepath.Join(f.logDir, "access.log"))
		return len(lines) >= n
	})
	if len(lines) != n {
		t.Fatalf("%d lines in the access log, want %d", len(lines), n)
	}
	return lines
}

func readLines(t *testing.T, path string) [][]byte {
	t.Helper()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var lines [][]byte
	for r := bufio.NewReader(file); ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return lines // what has no end yet is still being written
		}
		lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
	}
}
