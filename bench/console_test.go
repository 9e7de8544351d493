package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pharos/elastic"
	"pharos/internal/teststack"
)

const (
	consoleRounds = 40
	consoleSpan   = 7 * 24 * time.Hour
	bulkSize      = 5000
)

// TestConsole loads millions of requests' lines and measures the console's pages
// over them: CONSOLE_BENCH_DOCUMENTS, 5,000,000 unless set.
func TestConsole(t *testing.T) {
	if os.Getenv("PHAROS_BENCH") == "" {
		t.Skip("SKIPPED: a benchmark; run `make bench-console`")
	}
	setup := teststack.Config[elastic.SetupConfig](t)
	es, err := elastic.New(setup.Client())
	if err != nil {
		t.Fatal(err)
	}
	documents := 5_000_000
	if text := os.Getenv("CONSOLE_BENCH_DOCUMENTS"); text != "" {
		if documents, err = strconv.Atoi(text); err != nil {
			t.Fatalf("CONSOLE_BENCH_DOCUMENTS: %v", err)
		}
	}
	loadLines(t, es, documents)

	pages := []struct {
		what, path string
		goal       goal
	}{
		{"overview, last hour", "/", goal{atMost: 500}},
		{"overview, last 24 h", "/?from=now-24h", goal{atMost: 500}},
		{"overview, all 7 d", "/?from=now-7d", goal{atMost: 500}},
		{"logs, first page, last hour", "/logs.json", goal{atMost: 400}},
		{"logs, first page, all 7 d", "/logs.json?from=now-7d", goal{atMost: 400}},
		{"logs, a search, all 7 d", "/logs.json?from=now-7d&q=http.response.status_code+%3E%3D+500+and+http.route%3A%22%2Fv1%2Ffeed%22", goal{atMost: 400}},
	}
	times := make([][]float64, len(pages))
	for range consoleRounds {
		for i, p := range pages {
			times[i] = append(times[i], askPage(t, p.path))
		}
	}
	var all []figure
	for i, p := range pages {
		slices.Sort(times[i])
		all = append(all, figure{p.what, times[i], "ms", goal{}}, figure{p.what + ", p95", times[i][len(times[i])*95/100:][:1], "ms", p.goal})
	}
	all = append(all, figure{"status page, kept", crowd(t), "requests/s", goal{atLeast: 5000}})
	print(t, os.Stdout, all)
}

// loadLines fills nginx's stream with requests over the last seven days.
func loadLines(t *testing.T, es *elastic.Client, n int) {
	t.Helper()
	now := time.Now()
	random := rand.New(rand.NewPCG(1, 2))
	routes := []string{"/", "/v1/feed", "/v1/posts", "/v1/follows/:handle", "/tasks/fibonacci", "/v1/events", "/v1/sessions", "other"}
	var group errgroup.Group
	group.SetLimit(3)
	begin := time.Now()
	var done atomic.Int64
	for first := 0; first < n; first += bulkSize {
		batch := make([]elastic.Document, 0, bulkSize)
		for i := first; i < min(first+bulkSize, n); i++ {
			status := 200
			switch x := random.IntN(1000); {
			case x < 2:
				status = 503
			case x < 60:
				status = 404
			}
			route := routes[min(len(routes)-1, int(random.ExpFloat64()*2))]
			at := now.Add(-time.Duration(float64(consoleSpan) * float64(n-i) / float64(n)))
			body, err := json.Marshal(map[string]any{
				"@timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"), "message": fmt.Sprintf("GET %s %d", route, status),
				"service.name": "nginx", "service.node.name": "nginx", "service.environment": "bench", "cloud.region": "local", "log.level": "info",
				"event.dataset": "nginx.access", "event.duration": int64(random.ExpFloat64() * 2e7), "http.request.method": "GET", "http.route": route,
				"http.response.status_code": status, "http.request.id": fmt.Sprintf("bench-%d", i), "trace.id": fmt.Sprintf("%032x", i),
				"source.ip": fmt.Sprintf("10.%d.%d.%d", i%3, i%251, i%199), "url.path": route, "user_agent.original": "pharos-bench/1",
			})
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, elastic.Document{Body: body})
		}
		group.Go(func() error {
			got, err := es.Create(t.Context(), elastic.TrafficStream, batch)
			if err == nil && len(got.Refused) > 0 {
				err = fmt.Errorf("%d lines are refused: %s", len(got.Refused), got.Refused[0].Reason)
			}
			if total := done.Add(int64(len(batch))); total%500_000 < bulkSize {
				t.Logf("%d lines after %s", total, time.Since(begin).Round(time.Second))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := es.Refresh(t.Context(), elastic.TrafficStream); err != nil {
		t.Fatal(err)
	}
}

// askPage is how many milliseconds a page takes, for who is on call.
func askPage(t *testing.T, path string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+os.Getenv("CONSOLE_PORT")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("oncall", os.Getenv("ONCALL_PASSWORD"))
	begin := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %.500s", path, resp.StatusCode, err, body)
	}
	return float64(time.Since(begin).Microseconds()) / 1000
}

// crowd is how many requests a second the status page answers to eight clients,
// in five rounds of 10,000.
func crowd(t *testing.T) []float64 {
	t.Helper()
	const clients, requests = 8, 10_000
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	var rates []float64
	for range 5 {
		var left atomic.Int64
		left.Store(requests)
		var wg sync.WaitGroup
		begin := time.Now()
		for range clients {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					resp, err := client.Get("http://127.0.0.1:" + os.Getenv("CONSOLE_PORT") + "/status")
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						t.Errorf("status page: %d", resp.StatusCode)
						return
					}
				}
			})
		}
		wg.Wait()
		rates = append(rates, requests/time.Since(begin).Seconds())
	}
	return rates
}
