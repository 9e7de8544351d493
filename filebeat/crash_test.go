package filebeat_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pharos/internal/obs"
)

// Whoever sets it runs TestCrash's process, which ends by a panic.
const crashing = "PHAROS_TEST_CRASH"

// TestCrash has a real process with our telemetry panic twice, once before the
// other, and expects each stack as one document.
func TestCrash(t *testing.T) {
	if os.Getenv(crashing) != "" {
		crash(t)
	}
	t.Parallel()
	es := newElasticsearch(t)
	f := newFilebeat(t, es)
	f.start()
	log := filepath.Join(f.pharos, "feed-1.log")
	for i := range 2 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
		cmd.Env = append(os.Environ(), crashing+"=1", "LOG_FILE="+log)
		said, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(said), "panic: no more coffee") {
			t.Fatalf("the process should have panicked: %v %s", err, said)
		}
		waitFor(t, 20*time.Second, "the documents", func() bool { return len(es.documents()) >= 2*(i+1) })
	}
	time.Sleep(2 * time.Second) // for one too many
	var lines, stacks int
	for _, d := range es.documents() {
		service, _ := d.Source["service"].(map[string]any)
		if service["name"] != "feed" || fmt.Sprint(service["node"]) != "map[name:feed-1]" || d.Index != "logs-pharos-default" {
			t.Errorf("%s of %v", d.Index, service)
		}
		failed, _ := d.Source["error"].(map[string]any)
		if failed == nil {
			lines++
			continue
		}
		stacks++
		stack := fmt.Sprint(failed["stack_trace"])
		if d.Source["message"] != "panic: no more coffee" || failed["message"] != "no more coffee" || failed["type"] != "panic" ||
			!strings.Contains(stack, "goroutine ") || !strings.Contains(stack, "filebeat_test.crash") || !strings.Contains(stack, "crash_test.go:") {
			t.Errorf("%s\n%s", asJSON(t, d), stack)
		}
		if level := d.Source["log"].(map[string]any)["level"]; level != "error" {
			t.Errorf("log.level %v", level)
		}
	}
	if lines != 2 || stacks != 2 {
		t.Errorf("%d log lines and %d stacks, want 2 of each: %s", lines, stacks, asJSON(t, es.documents()))
	}
	if names, _ := filepath.Glob(filepath.Join(f.pharos, "*")); !slices.Equal(names, []string{filepath.Join(f.pharos, "feed-1.crash.log"), log}) {
		t.Errorf("files %v", names)
	}
}

// crash panics, and not in a test's own goroutine, which would be a failed test.
func crash(t *testing.T) {
	tel, err := obs.New("feed", "test", obs.Config{NodeName: "feed-1", LogFile: os.Getenv("LOG_FILE"), LogMaxSizeMB: 1})
	if err != nil {
		t.Fatal(err)
	}
	// Lines below warn may wait a moment in memory.
	tel.Log.Warn("about to panic", zap.Int("process.pid", os.Getpid()))
	go func() { panic("no more coffee") }()
	select {}
}
