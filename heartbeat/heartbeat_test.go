// Package heartbeat_test runs the real Heartbeat with heartbeat.yml against Go
// servers that stand in for what it probes.
package heartbeat_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pharos/internal/certs"
)

// event is the part of Heartbeat's documents that is relied on.
type event struct {
	Monitor struct {
		ID, Name, Status string
		Timespan         struct{ GTE, LT time.Time }
		Duration         struct{ US int64 }
	}
	Summary struct{ Up, Down int }
	Service struct {
		Name, Environment string
		Node              map[string]any
	}
	Observer struct{ Name string }
	Cloud    struct{ Region string }
	URL      struct{ Full string }
	Error    struct{ Message string }
	TLS      struct {
		Server struct {
			X509 struct {
				NotAfter time.Time `json:"not_after"`
			}
		}
	}
}

// binary finds the Heartbeat that the native run uses.
func binary(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "pharos", "beats-*", "heartbeat"))
	for _, path := range append([]string{filepath.Join(os.Getenv("PHAROS_BEATS"), "heartbeat")}, found...) {
		if _, err := exec.LookPath(path); err == nil && filepath.IsAbs(path) {
			return path
		}
	}
	t.Skip("SKIPPED, NOTHING PROVED: no heartbeat in PHAROS_BEATS or the cache folder (make up builds it)")
	return ""
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

// probed notes who asked for what.
type probed struct {
	mu     sync.Mutex
	agents map[string]bool
	paths  map[string]bool
}

func (p *probed) serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(p.noting(answer))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// secure serves by TLS with a certificate that ended at the time it returns.
func (p *probed) secure(t *testing.T, answer http.HandlerFunc) (string, time.Time) {
	t.Helper()
	dir := t.TempDir()
	made, err := certs.Make(certs.Options{
		Dir: dir, Now: time.Now().Add(-48 * time.Hour), Lasts: 24 * time.Hour,
		Servers: []certs.Server{{Name: "nginx", Hosts: []string{"shop.example"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "nginx.crt"), filepath.Join(dir, "nginx.key"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(p.noting(answer))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), made[1].Ends
}

func (p *probed) noting(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.agents[r.UserAgent()], p.paths[r.URL.Path] = true, true
		p.mu.Unlock()
		answer(w, r)
	}
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	program, dir := binary(t), t.TempDir()
	seen := &probed{agents: map[string]bool{}, paths: map[string]bool{}}
	const ok = `{"status":"ok"}`
	site, api1, api2 := seen.serve(t, says(200, ok)), seen.serve(t, says(200, ok)), seen.serve(t, says(503, ok))
	feed1 := seen.serve(t, says(200, `{"status":"starting"}`))
	feed2 := seen.serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	})
	secured, ended := seen.secure(t, says(200, ok))
	want := map[string]struct{ status, service, url string }{
		// Another's name, and it has ended: what counts is that this is written.
		"site-tls":      {"up", "nginx", "https://" + secured + "/healthz"},
		"site":          {"up", "nginx", "http://" + site + "/healthz"},
		"api-1":         {"up", "api", "http://" + api1 + "/healthz"},
		"api-2":         {"down", "api", "http://" + api2 + "/healthz"},
		"feed-1":        {"down", "feed", "http://" + feed1 + "/healthz"},
		"feed-2":        {"down", "feed", "http://" + feed2 + "/healthz"},
		"redis":         {"up", "redis", "tcp://" + site},
		"mysql":         {"down", "mysql", "tcp://" + freeAddr(t)},
		"mongodb":       {"up", "mongodb", "tcp://" + api1},
		"elasticsearch": {"up", "elasticsearch", "tcp://" + api1},
	}
	stats := freeAddr(t)
	host, port, _ := net.SplitHostPort(stats)
	hostPort := func(id string) string { return strings.TrimPrefix(want[id].url, "tcp://") }

	cmd := exec.Command(program, "--strict.perms=false", "-c", "heartbeat.yml",
		"--path.home", dir, "--path.config", ".", "--path.data", filepath.Join(dir, "data"), "--path.logs", filepath.Join(dir, "logs"),
		"-E", "output.elasticsearch.enabled=false", "-E", "output.file.path="+filepath.Join(dir, "out"), "-E", "output.file.filename=documents")
	cmd.Env = append(os.Environ(),
		"ELASTICSEARCH_URL=http://127.0.0.1:9", "HEARTBEAT_PASSWORD=x", "HEARTBEAT_HTTP_HOST="+host, "HEARTBEAT_PORT="+port,
		"REGION=here", "ENVIRONMENT=test", "NODE_NAME=heartbeat-1", "NGINX_URL=http://"+site, "NGINX_TLS_PROBE=true", "NGINX_TLS_URL=https://"+secured,
		"API_URLS=http://"+api1+",http://"+api2, "FEED_URLS=http://"+feed1+",http://"+feed2,
		"REDIS_HOST_PORT="+hostPort("redis"), "MYSQL_HOST_PORT="+hostPort("mysql"),
		"MONGODB_HOST_PORT="+hostPort("mongodb"), "ELASTICSEARCH_HOST_PORT="+hostPort("elasticsearch"))
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-done; err != nil {
			t.Errorf("heartbeat: %v %s", err, said.String())
		}
	})

	latest := map[string]event{}
	for deadline := time.Now().Add(25 * time.Second); len(latest) < len(want); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("documents of %d monitors, want %d: %s", len(latest), len(want), said.String())
		}
		for _, e := range documents(t, filepath.Join(dir, "out")) {
			latest[e.Monitor.ID] = e
		}
	}
	for id, w := range want {
		e, ok := latest[id]
		if !ok {
			t.Errorf("no document of %s", id)
			continue
		}
		if e.Monitor.Status != w.status || e.Service.Name != w.service || e.URL.Full != w.url || e.Monitor.Name == "" {
			t.Errorf("%s: %+v, want %v", id, e, w)
		}
		if up := w.status == "up"; (e.Summary.Up == 1) != up || (e.Summary.Down == 1) == up || (e.Error.Message == "") != up {
			t.Errorf("%s: summary %v, error %q", id, e.Summary, e.Error.Message)
		}
		if e.Cloud.Region != "here" || e.Service.Environment != "test" || e.Observer.Name != "heartbeat-1" {
			t.Errorf("%s: identity %+v", id, e)
		}
		if node := e.Service.Node["name"]; (w.service == "nginx") != (node == nil) || (node != nil && node != id) {
			t.Errorf("%s: service.node.name %v", id, node)
		}
		if span := e.Monitor.Timespan.LT.Sub(e.Monitor.Timespan.GTE); span < 4*time.Second || span > 9*time.Second {
			t.Errorf("%s is probed every %s, want 5 s", id, span)
		}
		if e.Monitor.Duration.US > 4e6 {
			t.Errorf("%s took %d µs, want at most 3 s", id, e.Monitor.Duration.US)
		}
	}
	if got := latest["site-tls"].TLS.Server.X509.NotAfter; !got.Equal(ended) {
		t.Errorf("the certificate's end is %s in the documents, %s in itself", got, ended)
	}
	if len(latest) != len(want) {
		t.Errorf("%d monitors, want %d", len(latest), len(want))
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.paths) != 1 || !seen.paths["/healthz"] {
		t.Errorf("asked for %v", seen.paths)
	}
	for agent := range seen.agents { // by which nginx knows a probe
		if !strings.HasPrefix(agent, "Elastic-Heartbeat/") {
			t.Errorf("User-Agent %q", agent)
		}
	}
	res, err := http.Get("http://" + stats + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

// documents reads what Heartbeat has written so far.
func documents(t *testing.T, dir string) []event {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "documents*"))
	var events []event
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var e event
			if err := json.Unmarshal(line, &e); err == nil { // the last one may be half
				events = append(events, e)
			}
		}
	}
	return events
}
