// Package filebeat_test runs the real Filebeat with filebeat.yml against a
// server that stands in for Elasticsearch's bulk API.
package filebeat_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const password = "filebeats-own"

// document is what Filebeat had indexed.
type document struct {
	Index  string         `json:"index"`
	ID     string         `json:"-"`
	Source map[string]any `json:"source"`
}

// elasticsearch takes bulk requests as Elasticsearch does.
type elasticsearch struct {
	addr string

	mu      sync.Mutex
	stop    func()
	busy    bool // answers 503 to every request, and 429 to every second item
	items   int
	docs    []document
	ids     map[string]bool
	refused int
	errors  []string
}

func newElasticsearch(t *testing.T) *elasticsearch {
	t.Helper()
	es := &elasticsearch{ids: map[string]bool{}, addr: "127.0.0.1:0"}
	es.start(t)
	t.Cleanup(func() {
		es.stop()
		for _, text := range es.errors {
			t.Error(text)
		}
	})
	return es
}

// start listens, at the second and later calls on the same address.
func (es *elasticsearch) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", es.addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: es}}
	s.Start()
	es.addr, es.stop = l.Addr().String(), s.Close
}

func (es *elasticsearch) setBusy(busy bool) {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.busy = busy
}

func (es *elasticsearch) documents() []document {
	es.mu.Lock()
	defer es.mu.Unlock()
	return slices.Clone(es.docs)
}

// refusals is how many requests were refused, whole or in part. The first is
// refused whole, the second in part.
func (es *elasticsearch) refusals() int {
	es.mu.Lock()
	defer es.mu.Unlock()
	return es.refused
}

func (es *elasticsearch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	es.mu.Lock()
	defer es.mu.Unlock()
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	if user, pass, _ := r.BasicAuth(); user != "filebeat" || pass != password {
		es.errors = append(es.errors, fmt.Sprintf("%s %s by %q", r.Method, r.URL, user))
	}
	switch {
	case es.busy && es.refused%3 == 0:
		es.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/_bulk":
		es.bulk(w, r)
	default:
		_, _ = fmt.Fprint(w, `{"version":{"number":"8.19.13","build_flavor":"default"},"tagline":"You Know, for Search"}`)
	}
}

func (es *elasticsearch) bulk(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			es.errors = append(es.errors, err.Error())
			return
		}
		body = zipped
	}
	type action struct {
		Index    string `json:"_index"`
		ID       string `json:"_id"`
		Pipeline string `json:"pipeline"`
	}
	var items []map[string]any
	for d := json.NewDecoder(body); ; {
		var actions map[string]action
		var doc document
		if err := d.Decode(&actions); err == io.EOF {
			break
		} else if err != nil {
			es.errors = append(es.errors, err.Error())
			return
		}
		create, ok := actions["create"]
		if !ok || create.Pipeline != "" {
			es.errors = append(es.errors, fmt.Sprintf("an action that no line may choose: %v", actions))
			return
		}
		if err := d.Decode(&doc.Source); err != nil {
			es.errors = append(es.errors, err.Error())
			return
		}
		doc.Index, doc.ID = create.Index, create.ID
		status := http.StatusCreated
		es.items++
		switch {
		case es.busy && es.items%2 == 0:
			status = http.StatusTooManyRequests
		case doc.ID != "" && es.ids[doc.ID]:
			status = http.StatusConflict
		default:
			es.docs = append(es.docs, doc)
			es.ids[doc.ID] = true
		}
		items = append(items, map[string]any{"create": map[string]any{"status": status}})
	}
	if es.busy {
		es.refused++
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"took": 1, "errors": es.busy, "items": items})
}

// filebeat is a running Filebeat and the folders that it reads.
type filebeat struct {
	nginx, pharos string
	stats         string
	start         func() *exec.Cmd
}

// binary finds the Filebeat that the native run uses.
func binary(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "pharos", "beats-*", "filebeat"))
	for _, path := range append([]string{filepath.Join(os.Getenv("PHAROS_BEATS"), "filebeat")}, found...) {
		if _, err := exec.LookPath(path); err == nil && filepath.IsAbs(path) {
			return path
		}
	}
	t.Skip("SKIPPED, NOTHING PROVED: no filebeat in PHAROS_BEATS or the cache folder (make up builds it)")
	return ""
}

// newFilebeat makes the folders; start runs Filebeat with one and the same
// state each time, until the test ends.
func newFilebeat(t *testing.T, es *elasticsearch) *filebeat {
	t.Helper()
	program, dir := binary(t), t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	f := &filebeat{nginx: filepath.Join(dir, "nginx"), pharos: filepath.Join(dir, "pharos"), stats: l.Addr().String()}
	for _, d := range []string{f.nginx, f.pharos} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := net.SplitHostPort(f.stats)
	f.start = func() *exec.Cmd {
		cmd := exec.Command(program, "--strict.perms=false", "-c", "filebeat.yml",
			"--path.home", dir, "--path.config", ".", "--path.data", filepath.Join(dir, "data"), "--path.logs", filepath.Join(dir, "logs"))
		cmd.Env = append(os.Environ(), "TZ=America/New_York", // times in documents do not depend on it
			"NGINX_LOG_DIR="+f.nginx, "PHAROS_LOG_DIR="+f.pharos, "ELASTICSEARCH_URL=http://"+es.addr, "FILEBEAT_PASSWORD="+password,
			"FILEBEAT_HTTP_HOST="+host, "FILEBEAT_PORT="+port, "REGION=here", "ENVIRONMENT=test", "NODE_NAME=filebeat")
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
				t.Errorf("filebeat: %v %s", err, said.String())
			}
		})
		return cmd
	}
	return f
}

func waitFor(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", within, what)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What reaches Elasticsearch for the lines of testdata, hostile ones included.
// PHAROS_UPDATE_GOLDEN=1 writes the golden file anew.
func TestDocuments(t *testing.T) {
	t.Parallel()
	es := newElasticsearch(t)
	f := newFilebeat(t, es)
	copyFile(t, "testdata/access.log", filepath.Join(f.nginx, "access.log"))
	copyFile(t, "testdata/error.log", filepath.Join(f.nginx, "error.log"))
	copyFile(t, "testdata/api-1.log", filepath.Join(f.pharos, "api-1.log"))
	copyFile(t, "testdata/feed-2-rotated.log", filepath.Join(f.pharos, "feed-2-2026-01-05T02-40-00.000.log"))
	f.start()

	const golden = "testdata/documents.golden.json"
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var want []document
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	update := os.Getenv("PHAROS_UPDATE_GOLDEN") != ""
	if !update {
		waitFor(t, 20*time.Second, fmt.Sprintf("%d documents", len(want)), func() bool { return len(es.documents()) >= len(want) })
	}
	time.Sleep(3 * time.Second) // for one too many
	got := es.documents()
	for _, d := range got {
		normalise(d)
	}
	slices.SortStableFunc(got, func(a, b document) int { return strings.Compare(place(a), place(b)) })
	if update {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if len(got) != len(want) {
		t.Errorf("%d documents, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if g, w := asJSON(t, got[i]), asJSON(t, want[i]); g != w {
			t.Errorf("document %d:\n%s\nwant\n%s", i, g, w)
		}
	}
}

// normalise takes out what differs from run to run, machine to machine and
// with Filebeat's version.
func normalise(d document) {
	for _, name := range []string{"agent", "host"} {
		delete(d.Source, name)
	}
	if at, err := time.Parse(time.RFC3339, fmt.Sprint(d.Source["@timestamp"])); err == nil && time.Since(at).Abs() < 10*time.Minute {
		d.Source["@timestamp"] = "when it was read"
	}
	if ecs, _ := d.Source["ecs"].(map[string]any); ecs["version"] == "1.12.0" || ecs["version"] == "8.0.0" {
		delete(d.Source, "ecs") // Filebeat's own, where the line has none
	}
	log, _ := d.Source["log"].(map[string]any)
	file, _ := log["file"].(map[string]any)
	log["file"] = map[string]any{"path": filepath.Base(fmt.Sprint(file["path"]))}
}

// place sorts documents as the lines stand in the files.
func place(d document) string {
	log, _ := d.Source["log"].(map[string]any)
	offset, _ := log["offset"].(float64)
	return fmt.Sprintf("%s %v %09.0f", d.Index, log["file"], offset)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writer writes numbered access log lines, and rotates as nginx/rotate.sh does.
type writer struct {
	t    *testing.T
	dir  string
	file *os.File
	n    int
}

func (w *writer) open() {
	w.t.Helper()
	file, err := os.OpenFile(filepath.Join(w.dir, "access.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		w.t.Fatal(err)
	}
	w.file = file
	w.t.Cleanup(func() { _ = file.Close() })
}

func (w *writer) write(lines int) {
	w.t.Helper()
	buf := bufio.NewWriter(w.file)
	for range lines {
		w.n++
		_, _ = fmt.Fprintf(buf, `{"@timestamp":"2026-01-05T02:00:00.000Z","message":"%d","http.request.id":"%032x"}`+"\n", w.n, w.n)
	}
	if err := buf.Flush(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) rotate() {
	w.t.Helper()
	if err := os.Rename(filepath.Join(w.dir, "access.log"), filepath.Join(w.dir, fmt.Sprintf("access-20260105T%06d.log", w.n))); err != nil {
		w.t.Fatal(err)
	}
	w.write(100) // nginx writes on until it has its signal
	w.open()
}

// Elasticsearch refuses connections, then answers 503 and 429, while nginx
// goes on writing and rotating and Filebeat itself is killed: each line is
// there in the end, and once.
func TestNothingIsLostAndNothingIsDouble(t *testing.T) {
	t.Parallel()
	es := newElasticsearch(t)
	f := newFilebeat(t, es)
	w := &writer{t: t, dir: f.nginx}
	w.open()
	w.write(2000)
	cmd := f.start()
	waitFor(t, 20*time.Second, "the first lines", func() bool { return len(es.documents()) >= 1000 })

	es.stop()
	w.write(3000)
	w.rotate()
	w.write(3000)
	time.Sleep(2 * time.Second)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	w.rotate()
	w.write(1000)
	f.start()
	time.Sleep(2 * time.Second)

	es.setBusy(true)
	es.start(t)
	w.write(1000)
	w.rotate()
	w.write(1000)
	// Filebeat's pause between two attempts is up to 5 s: no fixed wait would do.
	waitFor(t, 60*time.Second, "a refused request and a refused batch", func() bool { return es.refusals() >= 2 })
	es.setBusy(false)

	waitFor(t, 40*time.Second, fmt.Sprintf("%d lines", w.n), func() bool { return len(es.documents()) >= w.n })
	time.Sleep(2 * time.Second)
	seen := map[string]int{}
	for _, d := range es.documents() {
		seen[fmt.Sprint(d.Source["message"])]++
	}
	if most := slices.Max(slices.Collect(maps.Values(seen))); len(seen) != w.n || most != 1 {
		t.Errorf("%d of %d lines, one of them %d times", len(seen), w.n, most)
	}
}

// Events that Elasticsearch refuses are dropped with a warning only: the
// statistics are how one sees it.
func TestStatistics(t *testing.T) {
	t.Parallel()
	es := newElasticsearch(t)
	f := newFilebeat(t, es)
	f.start()
	var stats struct {
		Libbeat struct {
			Output struct {
				Events map[string]float64 `json:"events"`
			} `json:"output"`
		} `json:"libbeat"`
	}
	waitFor(t, 20*time.Second, "statistics", func() bool {
		res, err := http.Get("http://" + f.stats + "/stats")
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		// Filebeat answers before its output has begun to count.
		return json.NewDecoder(res.Body).Decode(&stats) == nil && len(stats.Libbeat.Output.Events) > 0
	})
	for _, name := range []string{"acked", "dropped", "failed"} {
		if _, ok := stats.Libbeat.Output.Events[name]; !ok {
			t.Errorf("no libbeat.output.events.%s in %v", name, stats)
		}
	}
}
