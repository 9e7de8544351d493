package nginx_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rotate runs rotate.sh until the test ends.
func rotate(t *testing.T, logDir, pidFile string, env ...string) {
	t.Helper()
	cmd := exec.Command("./rotate.sh", logDir, pidFile)
	cmd.Env = append(os.Environ(), env...)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || said.String() != "" {
			t.Errorf("rotate.sh: %v %s", err, said.String())
		}
	})
}

func rotated(t *testing.T, dir, name string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, name+"-*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRotationLosesNoLine(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	rotate(t, f.logDir, f.pidFile, "NGINX_LOG_MAX_MB=1", "NGINX_LOG_CHECK_SECONDS=1", "NGINX_LOG_KEEP=1")

	const clients = 4
	var done sync.WaitGroup
	counts := make([]int, clients)
	stop := make(chan struct{})
	for i := range clients {
		done.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				res, err := http.Get(f.url(fmt.Sprintf("/v1/posts/%d-%d", i, counts[i])))
				if err != nil {
					t.Error(err)
					return
				}
				_ = res.Body.Close()
				counts[i]++
			}
		})
	}
	waitFor(t, "two rotations", func() bool { return len(rotated(t, f.logDir, "access")) >= 2 })
	close(stop)
	done.Wait()

	want := 0
	for _, n := range counts {
		want += n
	}
	name := regexp.MustCompile(`/access-\d{8}T\d{6}\.log$`)
	seen := map[string]bool{}
	waitFor(t, strconv.Itoa(want)+" lines", func() bool {
		clear(seen)
		for _, path := range append(rotated(t, f.logDir, "access"), filepath.Join(f.logDir, "access.log")) {
			if filepath.Base(path) != "access.log" && !name.MatchString(path) {
				t.Fatalf("a file of another name: %s", path)
			}
			for _, text := range readLines(t, path) {
				var l line
				if err := json.Unmarshal(text, &l); err != nil {
					t.Fatalf("%v: %s", err, text)
				}
				seen[fmt.Sprint(l["url.path"])] = true
			}
		}
		return len(seen) >= want
	})
	if len(seen) != want {
		t.Errorf("%d lines of %d requests", len(seen), want)
	}
}

// logFolder is a folder with rotated logs of the given ages, oldest first, and
// the pid file of a process that is, or is not, called nginx.
func logFolder(t *testing.T, ages ...time.Duration) (dir, pidFile string) {
	t.Helper()
	dir = t.TempDir()
	for i, age := range ages {
		path := filepath.Join(dir, fmt.Sprintf("access-20260101T0000%02d.log", i))
		if err := os.WriteFile(path, []byte("x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, filepath.Join(dir, "nginx.pid")
}

// process starts a sleeping process of the given name and writes its pid.
func process(t *testing.T, name, pidFile string) *exec.Cmd {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Filebeat may not have read a young file yet, however many there are.
func TestOnlyOldFilesBeyondTheLimitAreRemoved(t *testing.T) {
	t.Parallel()
	dir, pidFile := logFolder(t, 3*time.Hour, 2*time.Hour, time.Minute, time.Minute, time.Hour, 0)
	for _, name := range []string{"access.log", "error.log", "access-notes.log"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	process(t, "nginx", pidFile)
	rotate(t, dir, pidFile, "NGINX_LOG_KEEP=2", "NGINX_LOG_CHECK_SECONDS=1")
	waitFor(t, "the two old files to go", func() bool { return len(rotated(t, dir, "access")) == 5 })
	time.Sleep(1500 * time.Millisecond) // another round
	var left []string
	for _, path := range rotated(t, dir, "access") {
		left = append(left, filepath.Base(path))
	}
	want := "access-20260101T000002.log access-20260101T000003.log access-20260101T000004.log access-20260101T000005.log access-notes.log"
	if got := strings.Join(left, " "); got != want {
		t.Errorf("left %s, want %s", got, want)
	}
}

// The pid file of an nginx that was killed may name another process by now,
// which a USR1 would end.
func TestNoSignalToAStranger(t *testing.T) {
	t.Parallel()
	dir, pidFile := logFolder(t)
	big := make([]byte, 2<<20)
	if err := os.WriteFile(filepath.Join(dir, "access.log"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	stranger := process(t, "stranger", pidFile)
	rotate(t, dir, pidFile, "NGINX_LOG_MAX_MB=1", "NGINX_LOG_CHECK_SECONDS=1")
	time.Sleep(1500 * time.Millisecond)
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger is gone: %v", err)
	}
	if n := len(rotated(t, dir, "access")); n != 0 {
		t.Errorf("%d files rotated without an nginx", n)
	}
}
