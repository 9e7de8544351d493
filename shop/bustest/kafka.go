package bustest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Kafka returns settings that reach a real broker: the one of KAFKA_BROKERS, or
// one of its own that ends with the test, if Kafka is in the cache. Otherwise
// the test is skipped.
func Kafka(t *testing.T) map[string]string {
	t.Helper()
	if brokers := os.Getenv("KAFKA_BROKERS"); brokers != "" {
		return map[string]string{
			"KAFKA_BROKERS": brokers, "KAFKA_USER": os.Getenv("KAFKA_USER"), "KAFKA_PASSWORD": os.Getenv("KAFKA_PASSWORD"),
		}
	}
	jars := kafkaJars()
	java, err := exec.LookPath("java")
	if jars == "" || err != nil {
		t.Skip("SKIPPED: needs a Kafka broker; set KAFKA_BROKERS, or let BUS=kafka make up put Kafka into the cache")
	}
	if java, err = filepath.EvalSymlinks(java); err != nil {
		t.Fatal(err)
	}
	return startKafka(t, jars, filepath.Dir(filepath.Dir(java)))
}

func kafkaJars() string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	found, err := filepath.Glob(filepath.Join(cache, "pharos", "kafka-*", "kafka-server-*.jar"))
	if err != nil || len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[0])
}

func startKafka(t *testing.T, jars, javaHome string) map[string]string {
	t.Helper()
	state := t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	script, err := upward(filepath.Join("dev", "run", "kafka.sh"))
	if err != nil {
		t.Fatal(err)
	}
	port, controller := freePort(t), freePort(t)
	const password = "TestPassword"
	var log strings.Builder
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", script) // until the clean-up ends it
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = append(os.Environ(), "PC_PROC_NAME=kafka", "PHAROS_STATE="+state, "PHAROS_KAFKA="+jars, "PHAROS_JAVA_HOME="+javaHome,
		"KAFKA_HEAP=256m", "KAFKA_PASSWORD="+password, "KAFKA_PORT="+port, "KAFKA_CONTROLLER_PORT="+controller)
	// The death of the test takes it down, too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	address := net.JoinHostPort("127.0.0.1", port)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		var d net.Dialer
		conn, err := d.DialContext(context.Background(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return map[string]string{"KAFKA_BROKERS": address, "KAFKA_USER": "pharos", "KAFKA_PASSWORD": password}
		}
		if time.Now().After(deadline) {
			t.Fatal("Kafka does not listen: ", err)
		}
	}
}

// upward finds a file of the repository from wherever in it the test runs.
func upward(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not above the working directory", name)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	var cfg net.ListenConfig
	l, err := cfg.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
