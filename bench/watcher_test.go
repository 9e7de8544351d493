package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// The watches of the goal: a search each, and conditions by compare and painless
// in equal parts.
const (
	watchCount  = 1000
	watchEvery  = 10 * time.Second
	watchRounds = 6
)

// watches measures the watcher of the stack while it runs 1,000 watches at an
// interval of 10 s.
func watches(t *testing.T) []figure {
	t.Helper()
	url := "http://127.0.0.1:" + os.Getenv("WATCHER_PORT")
	call := func(ctx context.Context, method, path, body string) error {
		req, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.SetBasicAuth("elastic", os.Getenv("ELASTIC_PASSWORD"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode != http.StatusNotFound {
			return fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
		return nil
	}
	each := func(ctx context.Context, do func(id string, i int) error) error {
		var g errgroup.Group
		g.SetLimit(8)
		for i := range watchCount {
			g.Go(func() error { return do("bench-"+strconv.Itoa(i), i) })
		}
		return g.Wait()
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := each(ctx, func(id string, _ int) error { return call(ctx, http.MethodDelete, "/_watcher/watch/"+id, "") }); err != nil {
			t.Error(err)
		}
	})
	err := each(t.Context(), func(id string, i int) error {
		condition := `{"compare": {"ctx.payload.hits.total": {"gt": 1000000000}}}`
		if i%2 == 1 {
			condition = `{"script": {"source": "return ctx.payload.hits.total > params.most", "params": {"most": 1000000000}}}`
		}
		return call(t.Context(), http.MethodPut, "/_watcher/watch/"+id, `{
			"trigger": {"schedule": {"interval": "10s"}},
			"input": {"search": {"request": {"indices": ["heartbeat-*"], "body": {"size": 0, "query": {"range": {"@timestamp": {"gte": "now-1m"}}}}}}},
			"condition": `+condition+`,
			"actions": {"log": {"logging": {"text": "{{ctx.payload.hits.total}}"}}}}`)
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * watchEvery) // the first executions, which fill caches
	var cores, rate, within []float64
	for range watchRounds {
		cpu, begin, before := cpuOf(t, "watcher"), time.Now(), scrape(t, url)
		time.Sleep(watchEvery)
		took := time.Since(begin).Seconds()
		after := scrape(t, url)
		cores = append(cores, (cpuOf(t, "watcher")-cpu)/took)
		count := after.count - before.count
		rate = append(rate, float64(count)/took)
		within = append(within, 100*float64(after.within-before.within)/max(float64(count), 1))
	}
	return []figure{
		{"watcher: 1,000 watches at 10 s, its CPU", cores, "cores", goal{atMost: 1}},
		{"watcher: executions", rate, "/s", goal{atLeast: 99}},
		{"watcher: started within 1 s of their time", within, "%", goal{atLeast: 99.9}},
	}
}

// cpuOf is the processor time that a process of the stack has used, in seconds.
func cpuOf(t *testing.T, process string) float64 {
	t.Helper()
	record, err := os.ReadFile(filepath.Join(os.Getenv("PHAROS_STATE"), "run", process+".pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(record), " ")
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	fields := strings.Fields(string(rest))
	ticks := 0.0
	for _, f := range fields[11:13] { // utime and stime, in hundredths
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return ticks / 100
}

// delays are the starts of executions so far, and those within a second of their
// time.
type delays struct{ count, within uint64 }

func scrape(t *testing.T, url string) delays {
	t.Helper()
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var d delays
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		n, err := strconv.ParseUint(value, 10, 64)
		switch {
		case err != nil || !strings.HasPrefix(name, "watcher_start_delay_seconds_"):
		case strings.HasPrefix(name, "watcher_start_delay_seconds_count"):
			d.count = n
		case strings.Contains(name, `le="1"`):
			d.within = n
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return d
}
