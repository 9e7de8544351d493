// Package metricbeat_test runs the real Metricbeat with metricbeat.yml against
// Go servers that stand in for nginx and for our own processes.
package metricbeat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pharos/internal/obs"
)

// event is the part of Metricbeat's documents that is relied on.
type event struct {
	Metadata struct {
		Index string `json:"raw_index"`
	} `json:"@metadata"`
	Metricset struct{ Name string }
	Service   struct {
		Name, Version, Environment, Address string
		Node                                struct{ Name string }
	}
	Cloud    struct{ Region string }
	Observer struct{ Name string }
	Error    struct{ Message string }
	System   map[string]map[string]any
	Nginx    struct{ Stubstatus map[string]any }
	Prom     struct {
		Labels  map[string]string
		Metrics map[string]float64
	} `json:"prometheus"`
}

// binary finds the Metricbeat that the native run uses.
func binary(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "pharos", "beats-*", "metricbeat"))
	for _, path := range append([]string{filepath.Join(os.Getenv("PHAROS_BEATS"), "metricbeat")}, found...) {
		if _, err := exec.LookPath(path); err == nil && filepath.IsAbs(path) {
			return path
		}
	}
	t.Skip("SKIPPED, NOTHING PROVED: no metricbeat in PHAROS_BEATS or the cache folder (make up builds it)")
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

// process serves metrics as our processes do.
func process(t *testing.T, name, node string) string {
	t.Helper()
	tel, err := obs.Discard(name)
	if err != nil {
		t.Fatal(err)
	}
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency_seconds", Buckets: []float64{1}, ConstLabels: prometheus.Labels{"group": node}})
	requests := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "http_server_request_duration_seconds"})
	tel.Metrics.MustRegister(latency, requests)
	latency.Observe(0.5)
	s := httptest.NewServer(promhttp.HandlerFor(tel.Metrics, promhttp.HandlerOpts{}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	program, dir := binary(t), t.TempDir()
	nginx := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/nginx_status" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = fmt.Fprint(w, "Active connections: 3 \nserver accepts handled requests\n 10 10 20 \nReading: 0 Writing: 1 Waiting: 2 \n")
	}))
	t.Cleanup(nginx.Close)
	feed, jobs, gone := process(t, "feed", "a"), process(t, "jobs", "b"), "http://"+freeAddr(t)
	host, port, _ := net.SplitHostPort(freeAddr(t))
	env := append(os.Environ(),
		"METRICBEAT_HOSTFS=/", "METRICBEAT_NETWORK=false", "METRICBEAT_PERIOD=1s", "METRICS_INTERVAL=1s", "METRICS_URLS="+feed+","+jobs+","+gone,
		"NGINX_STATUS_URL="+nginx.URL, "REDIS_HOST_PORT="+freeAddr(t), "REDIS_PASSWORD=x", "MYSQL_HOST_PORT="+freeAddr(t), "METRICBEAT_MYSQL_PASSWORD=x",
		"ELASTICSEARCH_URL=http://127.0.0.1:9", "METRICBEAT_PASSWORD=x", "METRICBEAT_HTTP_HOST="+host, "METRICBEAT_PORT="+port,
		"REGION=here", "ENVIRONMENT=test", "NODE_NAME=metricbeat-1")
	args := []string{"--strict.perms=false", "-c", "metricbeat.yml", "--path.home", dir, "--path.config", ".",
		"--path.data", filepath.Join(dir, "data"), "--path.logs", filepath.Join(dir, "logs")}

	check := exec.Command(program, append([]string{"test", "config"}, args...)...)
	check.Env = env
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("metricbeat.yml: %v %s", err, out)
	}
	cmd := exec.Command(program, append(args, "-E", "metricbeat.max_start_delay=0", "-E", "output.elasticsearch.enabled=false",
		"-E", "output.file.path="+filepath.Join(dir, "out"), "-E", "output.file.filename=documents")...)
	cmd.Env = env
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Errorf("metricbeat: %v %s", err, said.String())
		}
	})

	have := map[string]func(event) bool{
		"cpu":        func(e event) bool { return e.System["cpu"]["total"] != nil },
		"memory":     func(e event) bool { return e.System["memory"]["actual"] != nil },
		"filesystem": func(e event) bool { return e.System["filesystem"]["used"] != nil },
		"load":       func(e event) bool { return e.System["load"]["norm"] != nil },
		"nginx": func(e event) bool {
			return e.Nginx.Stubstatus["active"] == 3.0 && e.Service.Name == "nginx" && e.Service.Node.Name == "nginx"
		},
		"redis, which is away": func(e event) bool {
			return e.Metricset.Name == "info" && e.Error.Message != "" && e.Service.Name == "redis"
		},
		"mysql, which is away": func(e event) bool {
			return e.Metricset.Name == "status" && e.Error.Message != "" && e.Service.Name == "mysql"
		},
		"feed's runtime": func(e event) bool { return e.Prom.Metrics["go_goroutines"] > 0 && e.Service.Name == "feed" },
		"feed's latency": func(e event) bool {
			return e.Prom.Metrics["latency_seconds_count"] == 1 && e.Prom.Labels["group"] == "a"
		},
		"feed's bucket": func(e event) bool { return e.Prom.Metrics["latency_seconds_bucket"] == 1 && e.Prom.Labels["le"] == "1" },
		"jobs' runtime": func(e event) bool { return e.Prom.Metrics["go_goroutines"] > 0 && e.Service.Name == "jobs" },
		"feed is up":    func(e event) bool { return e.Prom.Metrics["up"] == 1 && e.Service.Address == feed+"/metrics" },
		"a process is down": func(e event) bool {
			up, ok := e.Prom.Metrics["up"]
			return ok && up == 0 && e.Service.Address == gone+"/metrics"
		},
	}
	var all []event
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		all = documents(t, filepath.Join(dir, "out"))
		var missing []string
		for what, is := range have {
			if !slices.ContainsFunc(all, is) {
				missing = append(missing, what)
			}
		}
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d documents, none of %v: %s", len(all), missing, said.String())
		}
	}
	for _, e := range all {
		ours := e.Metricset.Name == "collector"
		if want := map[bool]string{true: "metrics-pharos-default"}[ours]; e.Metadata.Index != want {
			t.Errorf("%s goes to %q", e.Metricset.Name, e.Metadata.Index)
		}
		if e.Observer.Name != "metricbeat-1" || e.Metricset.Name == "network" {
			t.Errorf("%+v", e)
		}
		own := ours && e.Service.Name != "" // what the process says of itself
		if want := map[bool][2]string{true: {"test", "test"}, false: {"test", "here"}}[own]; e.Service.Environment != want[0] || e.Cloud.Region != want[1] {
			t.Errorf("%s: %+v %+v", e.Metricset.Name, e.Service, e.Cloud)
		}
		if own && (e.Service.Node.Name != e.Service.Name || e.Service.Version != "test") {
			t.Errorf("identity %+v", e.Service)
		}
		for name := range e.Prom.Labels {
			if strings.HasPrefix(name, "service_") || name == "cloud_region" || name == "instance" || name == "job" {
				t.Errorf("label %s is left", name)
			}
		}
		for name := range e.Prom.Metrics {
			if strings.HasPrefix(name, "http_server_request_duration") {
				t.Errorf("%s is sent", name)
			}
		}
	}
	res, err := http.Get("http://" + net.JoinHostPort(host, port) + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

// documents reads what Metricbeat has written so far.
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
