package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// compared adds up what was sent and what arrived of each stream of signals, in
// the windows that began after from.
func (s *stack) compared(t *testing.T, from time.Time) map[string][2]float64 {
	t.Helper()
	r, err := s.es.Search(t.Context(), "metrics-pharos-default", query{
		"size":  0,
		"query": all(query{"range": query{"event.start": query{"gte": from.UTC().Format(time.RFC3339Nano)}}}, query{"exists": query{"field": "signals.stream"}}),
		"aggs": query{"streams": query{"terms": query{"field": "signals.stream"}, "aggs": query{
			"counted": query{"sum": query{"field": "signals.counted"}}, "found": query{"sum": query{"field": "signals.found"}},
		}}},
	})
	if err != nil {
		t.Log(err)
		return nil
	}
	var streams struct {
		Buckets []struct {
			Key            string
			Counted, Found struct{ Value float64 }
		}
	}
	if raw, ok := r.Aggregations["streams"]; ok {
		if err := json.Unmarshal(raw, &streams); err != nil {
			t.Fatal(err)
		}
	}
	sums := map[string][2]float64{}
	for _, b := range streams.Buckets {
		sums[b.Key] = [2]float64{b.Counted.Value, b.Found.Value}
	}
	return sums
}

// TestLostSignalsAreSeen takes lines of nginx's log away before Filebeat has read
// them, as a rotation does in a long outage, and expects the loss to be counted,
// and its watch to fire, within three minutes.
func TestLostSignalsAreSeen(t *testing.T) {
	s := open(t)
	c := newClient(s)
	begin := time.Now()
	// A busy site: windows are judged once later documents have come.
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() {
		quiet := newClient(s)
		for ctx.Err() == nil {
			quiet.unlimited(t, "/nothing/busy")
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	defer busy.Wait()
	defer stop()

	// Boundaries of windows may part a request from its document.
	const onItsWay = 10
	eventually(t, 3*time.Minute, "what is sent is found", func() string {
		sums := s.compared(t, begin)
		for _, stream := range []string{"nginx.access", "api.log", "api.transactions", "api.requests"} {
			if sum := sums[stream]; sum[0] < 50 || sum[1] < sum[0]-onItsWay {
				return fmt.Sprintf("%s of %v%s", stream, sums, s.tail("pharos/watcher*.log"))
			}
		}
		return ""
	})

	s.supervise(t, "stop", "filebeat")
	t.Cleanup(func() {
		if s.state(t, "filebeat").Ready != "Ready" {
			s.supervise(t, "start", "filebeat")
		}
	})
	const lines = 150
	marker := "/nothing/lost_" + random(t)
	for range lines {
		c.unlimited(t, marker)
	}
	rotate(t, s, 9)
	if err := os.Remove(filepath.Join(s.State, "logs", "nginx", "access-test9.log")); err != nil {
		t.Fatal(err)
	}
	gone := time.Now()
	s.supervise(t, "start", "filebeat")

	eventually(t, time.Until(gone.Add(3*time.Minute)), "the loss is counted", func() string {
		sums := s.compared(t, begin)
		if sum := sums["nginx.access"]; sum[0]-sum[1] < lines-onItsWay {
			return fmt.Sprint(sums)
		}
		return ""
	})
	eventually(t, time.Until(gone.Add(3*time.Minute)), "the watch fires", func() string {
		for _, h := range s.search(t, "pharos-watch-history", all(term("watch_id", "signal-loss"), query{"range": query{"trigger_event.triggered_time": query{"gte": begin.UTC().Format(time.RFC3339)}}})) {
			var r struct {
				Result struct {
					Condition struct{ Met bool }
				}
			}
			if err := json.Unmarshal(h.Source, &r); err != nil {
				t.Fatal(err)
			}
			if r.Result.Condition.Met {
				return ""
			}
		}
		return "no run met its condition" + s.tail("pharos/watcher*.log")
	})
	t.Logf("seen %s after the lines were gone", time.Since(gone).Round(time.Second))
	// api's log was not touched: what it lost is not said of it.
	if sum := s.compared(t, begin)["api.log"]; sum[1] < sum[0]-onItsWay {
		t.Errorf("api.log: %v", sum)
	}
}
