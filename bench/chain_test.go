package bench

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"pharos/internal/httpserver"
	"pharos/internal/obs"
)

// chain compares the middleware that every request to api goes through
// (request id, trace, metrics, ECS log line, recovery, limit of requests at
// once, deadline; all but the stores) with a bare Gin handler.
func chain(t *testing.T) []figure {
	answer := func(c *gin.Context) {
		c.JSON(http.StatusOK, gin.H{"task": "fibonacci", "n": 90, "value": "2880067194370816120"})
	}
	full := router(t)
	full.GET("/tasks/:name", answer)
	bare := gin.New()
	bare.GET("/tasks/:name", answer)

	var cpu [2][]float64
	side := func(i int, h http.Handler) func() float64 {
		return func() float64 {
			wall, own := serve(t, h)
			cpu[i] = append(cpu[i], own)
			return wall
		}
	}
	inProcess := inTurn(31, side(0, full), side(1, bare))
	overLoopback := inTurn(31, ask(t, full), ask(t, bare))
	return []figure{
		{"api's middleware, added to a request in process", pairs(inProcess[0], inProcess[1], minus), "µs", goal{atMost: 6}},
		{"  of these, processor time of the request's thread", pairs(cpu[0], cpu[1], minus), "µs", goal{}},
		{"a request over loopback, with middleware / bare", pairs(overLoopback[0], overLoopback[1], over), "×", goal{atMost: 1.35}},
		{"  of these, bare", overLoopback[1], "µs", goal{}},
	}
}

// router is api's, with telemetry as in a running process: lines go to a file
// and to standard output, traces are encoded and thrown away.
func router(t *testing.T) *gin.Engine {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = null
	tel, err := obs.New("bench", "bench", obs.Config{
		NodeName: "bench", LogLevel: zapcore.InfoLevel, LogFile: filepath.Join(t.TempDir(), "log"), LogMaxSizeMB: 64, LogKeep: 1,
	})
	os.Stdout = stdout
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close(t.Context()) })
	r := httpserver.NewRouter(tel, httpserver.RouterOptions{Draining: func() bool { return false }})
	r.Use(httpserver.Shed(256, tel.Metrics), httpserver.Deadline(5*time.Second))
	return r
}

const requests = 5000 // of a round

// serve returns the microseconds that a request takes without a network, and how
// many of them its thread was running.
func serve(t *testing.T, h http.Handler) (wall, cpu float64) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/tasks/fibonacci?n=90", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", "0af7651916cd43dd8448eb211c80319c")
	req.RemoteAddr = "127.0.0.1:40000"
	w := &writer{header: http.Header{}}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, start := threadTime(t), time.Now()
	for range requests {
		clear(w.header)
		h.ServeHTTP(w, req)
	}
	wall = time.Since(start).Seconds() * 1e6 / requests
	cpu = (threadTime(t) - before).Seconds() * 1e6 / requests
	if w.status != http.StatusOK {
		t.Fatalf("answered %d", w.status)
	}
	return wall, cpu
}

func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writer throws an answer away.
type writer struct {
	header http.Header
	status int
}

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) WriteHeader(status int)      { w.status = status }
func (w *writer) Write(b []byte) (int, error) { return len(b), nil }

// ask serves on loopback; what it returns gives the microseconds that a request
// takes on a connection that stays open.
func ask(t *testing.T, h http.Handler) func() float64 {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	url := "http://" + l.Addr().String() + "/tasks/fibonacci?n=90"
	return func() float64 {
		const n = requests / 5
		start := time.Now()
		for range n {
			resp, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return time.Since(start).Seconds() * 1e6 / n
	}
}
