package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// watcherClient is Elastic's own client, at the watcher instead of Elasticsearch.
func watcherClient(t *testing.T, url, user, password string) *elasticsearch.Client {
	t.Helper()
	c, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{url}, Username: user, Password: password, DisableRetry: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decoded(t *testing.T, r *esapi.Response, err error, status int) map[string]any {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != status {
		t.Fatalf("status %d instead of %d: %s", r.StatusCode, status, body)
	}
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}

// times are for when a watch was executed, sorted, by its records.
func (s *stack) times(t *testing.T, id string) []time.Time {
	t.Helper()
	var list []time.Time
	for _, h := range s.search(t, "pharos-watch-history", all(term("watch_id", id))) {
		var r struct {
			TriggerEvent struct {
				Schedule struct {
					At time.Time `json:"scheduled_time"`
				} `json:"schedule"`
			} `json:"trigger_event"`
		}
		if err := json.Unmarshal(h.Source, &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r.TriggerEvent.Schedule.At)
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}

func TestWatchesRunAreSharedAndOutliveAProcess(t *testing.T) {
	s := open(t)
	url := "http://127.0.0.1:" + os.Getenv("WATCHER_PORT")
	admin := watcherClient(t, url, "elastic", os.Getenv("ELASTIC_PASSWORD"))
	oncall := watcherClient(t, url, "oncall", os.Getenv("ONCALL_PASSWORD"))
	run := strings.ToLower(random(t))
	index := "e2e-watch-" + run
	const watches = 16
	id := func(i int) string { return fmt.Sprintf("e2e-%s-%d", run, i) }
	watch := func(every string) io.Reader {
		return strings.NewReader(`{
			"trigger": {"schedule": {"interval": "` + every + `"}},
			"input": {"search": {"request": {"indices": ["heartbeat-*"], "body": {"size": 0, "query": {"range": {"@timestamp": {"gte": "{{ctx.trigger.scheduled_time}}||-5m"}}}}}}},
			"condition": {"script": {"source": "return ctx.payload.hits.total >= params.least", "params": {"least": 0}}},
			"actions": {"keep": {"throttle_period": "0s", "transform": {"script": "return ['total': ctx.payload.hits.total, 'watch': ctx.watch_id]"}, "index": {"index": "` + index + `"}}}
		}`)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for i := range watches {
			if r, err := admin.Watcher.DeleteWatch(id(i), admin.Watcher.DeleteWatch.WithContext(ctx)); err == nil {
				_ = r.Body.Close()
			}
		}
		_, _, _ = s.es.Do(ctx, http.MethodDelete, "/"+index, nil)
	})
	for i := range watches {
		r, err := admin.Watcher.PutWatch(id(i), watch("5s"))
		if v := decoded(t, r, err, http.StatusCreated); v["created"] != true || v["_version"] != 1.0 {
			t.Fatal(v)
		}
	}

	t.Run("they run and do what they say", func(t *testing.T) {
		eventually(t, 30*time.Second, "documents of the index action", func() string {
			status, body, err := s.es.Do(t.Context(), http.MethodGet, "/"+index+"/_count", nil)
			var count struct{ Count int }
			if err != nil || status != http.StatusOK || json.Unmarshal(body, &count) != nil || count.Count < watches {
				return fmt.Sprintf("%d %s %v%s", status, body, err, s.tail("pharos/watcher.log"))
			}
			return ""
		})
		eventually(t, 20*time.Second, "records", func() string {
			if got := s.times(t, id(0)); len(got) < 2 {
				return fmt.Sprint(got)
			}
			return ""
		})
	})

	t.Run("who may do what", func(t *testing.T) {
		r, err := oncall.Watcher.PutWatch(id(0), watch("1h"))
		decoded(t, r, err, http.StatusForbidden)
		r, err = oncall.Watcher.AckWatch(id(0))
		if v := decoded(t, r, err, http.StatusOK); !strings.Contains(fmt.Sprint(v), "acked") {
			t.Error(v)
		}
		r, err = oncall.Watcher.DeactivateWatch(id(1))
		decoded(t, r, err, http.StatusOK)
		r, err = oncall.Watcher.ActivateWatch(id(1))
		decoded(t, r, err, http.StatusOK)
		r, err = watcherClient(t, url, "viewer", os.Getenv("VIEWER_PASSWORD")).Watcher.GetWatch(id(0))
		decoded(t, r, err, http.StatusForbidden)
		r, err = watcherClient(t, url, "elastic", "wrong").Watcher.Stats()
		decoded(t, r, err, http.StatusUnauthorized)
	})

	t.Run("killed, they go on", func(t *testing.T) {
		before := s.state(t, "watcher")
		if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		eventually(t, 90*time.Second, "executions after a kill", func() string {
			got := s.times(t, id(2))
			if len(got) == 0 || !got[len(got)-1].After(killed.Add(20*time.Second)) {
				return fmt.Sprint(got) + s.tail("pharos/watcher.log")
			}
			return ""
		})
		// One at the most for what was missed, and none twice but around the kill.
		twice := 0
		seen := map[time.Time]int{}
		for _, at := range s.times(t, id(2)) {
			seen[at]++
			if seen[at] > 2 {
				t.Errorf("%s happened %d times", at, seen[at])
			}
			if seen[at] == 2 {
				twice++
			}
		}
		if twice > 1 {
			t.Errorf("%d executions happened twice", twice)
		}
	})

	t.Run("two share", func(t *testing.T) {
		second, _ := s.own(t, "watcher", "ELASTICSEARCH_USER=watcher", "ELASTICSEARCH_PASSWORD="+os.Getenv("WATCHER_PASSWORD"))
		other := watcherClient(t, second, "elastic", os.Getenv("ELASTIC_PASSWORD"))
		eventually(t, time.Minute, "both run watches", func() string {
			r, err := other.Watcher.Stats()
			v := decoded(t, r, err, http.StatusOK)
			nodes, _ := v["stats"].([]any)
			sum := 0.0
			for _, n := range nodes {
				node, _ := n.(map[string]any)
				count, _ := node["watch_count"].(float64)
				if count == 0 {
					return fmt.Sprint(v)
				}
				sum += count
			}
			if len(nodes) != 2 || sum < watches {
				return fmt.Sprint(v)
			}
			return ""
		})
		// By the second: the first must hear of it.
		r, err := other.Watcher.Stop()
		decoded(t, r, err, http.StatusOK)
		t.Cleanup(func() {
			if r, err := admin.Watcher.Start(); err == nil {
				_ = r.Body.Close()
			}
		})
		r, err = admin.Watcher.Stats()
		if v := decoded(t, r, err, http.StatusOK); v["manually_stopped"] != true {
			t.Error(v)
		}
		time.Sleep(6 * time.Second) // until the first has heard, and what ran is recorded
		counts := func() string {
			var b bytes.Buffer
			for i := range watches {
				fmt.Fprintf(&b, "%d ", len(s.times(t, id(i))))
			}
			return b.String()
		}
		before := counts()
		time.Sleep(7 * time.Second) // longer than the interval: it is about nothing happening
		if after := counts(); after != before {
			t.Errorf("stopped, and still: %s, %s", before, after)
		}
		r, err = admin.Watcher.Start()
		decoded(t, r, err, http.StatusOK)
		eventually(t, 30*time.Second, "executions after a start", func() string {
			if counts() == before {
				return before
			}
			return ""
		})
	})
}
