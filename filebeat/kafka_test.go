package filebeat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// kafka starts a real broker as the native run does, and returns its address.
func kafka(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	jars := os.Getenv("PHAROS_KAFKA")
	if jars == "" {
		jars = filepath.Join(cache, "pharos", "kafka-3.9.1")
	}
	if os.Getenv("BUS") != "kafka" {
		t.Skip("SKIPPED, NOTHING PROVED: starts a broker, so it is a part of make test-kafka (BUS=kafka)")
	}
	java, err := exec.LookPath("java")
	if _, missing := os.Stat(jars); err != nil || missing != nil {
		t.Skip("SKIPPED, NOTHING PROVED: no Kafka in PHAROS_KAFKA or the cache folder, or no java (BUS=kafka make up fetches them)")
	}
	if java, err = filepath.EvalSymlinks(java); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	port, controller := freePort(t), freePort(t)
	cmd := exec.Command("sh", "../dev/run/kafka.sh")
	cmd.Env = append(os.Environ(), "PC_PROC_NAME=kafka", "PHAROS_STATE="+state, "PHAROS_KAFKA="+jars, "PHAROS_JAVA_HOME="+filepath.Dir(filepath.Dir(java)),
		"KAFKA_PASSWORD="+password, "KAFKA_PORT="+port, "KAFKA_CONTROLLER_PORT="+controller, "KAFKA_HEAP=192m")
	// The script replaces itself by Kafka; what it starts before is in its group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	addr := "127.0.0.1:" + port
	waitFor(t, 3*time.Minute, "Kafka to listen", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return addr
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// Over Kafka: while Elasticsearch is away Kafka takes the lines; the Filebeat that
// reads from it is killed, and Elasticsearch comes back slowly. Each line is there
// in the end, once, in its stream, those without an id of their own, too.
func TestOverKafkaNothingIsLostAndNothingIsDouble(t *testing.T) {
	broker := kafka(t)
	es := newElasticsearch(t)
	f := newFilebeat(t, es)
	stats := freePort(t)
	run := func(name string, args ...string) *exec.Cmd {
		dir := filepath.Join(filepath.Dir(f.nginx), name)
		cmd := exec.Command(binary(t), append(args, "--strict.perms=false", "--path.home", dir, "--path.config", ".", "--path.data", filepath.Join(dir, "data"), "--path.logs", filepath.Join(dir, "logs"))...)
		cmd.Env = append(os.Environ(), "NGINX_LOG_DIR="+f.nginx, "PHAROS_LOG_DIR="+f.pharos, "ELASTICSEARCH_URL=http://"+es.addr, "FILEBEAT_PASSWORD="+password,
			"FILEBEAT_HTTP_HOST=127.0.0.1", "FILEBEAT_PORT="+stats, "FILEBEAT_QUEUE_PORT="+freePort(t), "REGION=here", "ENVIRONMENT=test", "NODE_NAME="+name,
			"KAFKA_BROKERS="+broker, "KAFKA_USER=pharos", "KAFKA_PASSWORD="+password)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if t.Failed() {
				files, _ := filepath.Glob(filepath.Join(dir, "logs", "*"))
				for _, file := range files {
					text, _ := os.ReadFile(file)
					t.Logf("%s: %s", file, text[max(0, len(text)-3000):])
				}
			}
		})
		return cmd
	}
	reader := func() *exec.Cmd { return run("reader", "-c", "filebeat-from-kafka.yml") }
	acked := func() int {
		res, err := http.Get("http://127.0.0.1:" + stats + "/stats")
		if err != nil {
			return 0
		}
		defer func() { _ = res.Body.Close() }()
		var s struct {
			Libbeat struct {
				Output struct {
					Type   string
					Events struct{ Acked int }
				}
			}
		}
		if json.NewDecoder(res.Body).Decode(&s) != nil || s.Libbeat.Output.Type != "kafka" {
			return 0
		}
		return s.Libbeat.Output.Events.Acked
	}
	// nginx's lines have an id of their own, api's have none.
	w := &writer{t: t, dir: f.nginx}
	w.open()
	lines := 0
	write := func(n int) {
		w.write(n)
		file, err := os.OpenFile(filepath.Join(f.pharos, "api-1.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			lines++
			_, _ = fmt.Fprintf(file, `{"@timestamp":"2026-01-05T02:00:00.000Z","message":"%d","service.name":"api","service.node.name":"api-1"}`+"\n", lines)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}

	write(500)
	run("writer", "-c", "filebeat.yml", "-c", "filebeat-to-kafka.yml")
	cmd := reader()
	waitFor(t, 2*time.Minute, "the first lines", func() bool { return len(es.documents()) >= 200 })

	es.stop()
	write(1500)
	waitFor(t, 2*time.Minute, "Kafka to take the lines", func() bool { return acked() >= w.n+lines })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	reader()
	es.setBusy(true)
	es.start(t)
	waitFor(t, 2*time.Minute, "a refused request and a refused batch", func() bool { return es.refusals() >= 2 })
	es.setBusy(false)

	waitFor(t, 2*time.Minute, fmt.Sprintf("%d lines", w.n+lines), func() bool { return len(es.documents()) >= w.n+lines })
	time.Sleep(2 * time.Second) // for one too many
	seen := map[string]int{}
	for _, d := range es.documents() {
		seen[fmt.Sprint(d.Index, " ", d.Source["message"])]++
		if d.Source["kafka"] != nil || d.Source["@timestamp"] != "2026-01-05T02:00:00.000Z" {
			t.Fatalf("document %v", d.Source)
		}
	}
	for _, stream := range []string{"logs-nginx.access-default", "logs-pharos-default"} {
		for i := range lines {
			if n := seen[fmt.Sprint(stream, " ", i+1)]; n != 1 {
				t.Fatalf("line %d is %d times in %s", i+1, n, stream)
			}
		}
	}
	if len(seen) != w.n+lines {
		t.Errorf("%d lines of %d", len(seen), w.n+lines)
	}
}
