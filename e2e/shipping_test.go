package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestShippingSurvivesAnOutageAndRotation stops Elasticsearch, makes requests
// while nginx's log is rotated twice, starts Elasticsearch again, and expects
// every request's document exactly once.
func TestShippingSurvivesAnOutageAndRotation(t *testing.T) {
	s := open(t)
	c := newClient(s)
	s.supervise(t, "stop", "elasticsearch")
	t.Cleanup(func() {
		if s.es.Ping(context.Background()) != nil { // the test's context has ended
			s.supervise(t, "start", "elasticsearch")
		}
	})
	eventually(t, time.Minute, "Elasticsearch is stopped", func() string {
		if s.es.Ping(t.Context()) == nil {
			return "it still answers"
		}
		return ""
	})
	acked := 0
	if s.Bus == "kafka" {
		acked = kafkaAcked(t)
	}
	marker := "shipping_" + random(t)
	const each = 100
	ids := map[string]bool{}
	for i := range 3 {
		for range each {
			ids[c.unlimited(t, "/nothing/"+marker).requestID()] = true
		}
		if i < 2 {
			rotate(t, s, i)
		}
	}
	if len(ids) != 3*each {
		t.Fatalf("%d request ids of %d requests", len(ids), 3*each)
	}
	if s.Bus == "kafka" {
		// nginx's lines and api's: Kafka has them while Elasticsearch is away.
		eventually(t, arrival, "Kafka has taken the lines", func() string {
			if now := kafkaAcked(t); now < acked+2*3*each {
				return fmt.Sprintf("%d acknowledged, %d before", now, acked)
			}
			return ""
		})
	}
	s.supervise(t, "start", "elasticsearch")
	eventually(t, 3*time.Minute, "Elasticsearch is back", func() string {
		if err := s.es.Ping(t.Context()); err != nil {
			return err.Error() + s.tail("elasticsearch/output.log")
		}
		return ""
	})
	q := all(term("url.path", "/nothing/"+marker), term("http.response.status_code", http.StatusNotFound))
	count := func(stream string) (total, unique int64, err error) {
		r, err := s.es.Search(t.Context(), stream, query{"size": 0, "query": q, "aggs": query{"ids": query{"cardinality": query{"field": "http.request.id", "precision_threshold": 3000}}}})
		if err != nil {
			return 0, 0, err
		}
		var ids struct{ Value int64 }
		if raw, ok := r.Aggregations["ids"]; ok {
			err = json.Unmarshal(raw, &ids)
		}
		return r.Total, ids.Value, err
	}
	for stream, logs := range map[string]string{"logs-nginx.access-default": "filebeat/*", "logs-pharos-default": "pharos/api-*.log"} {
		eventually(t, 2*time.Minute, "every line is in "+stream, func() string {
			total, unique, err := count(stream)
			if err != nil {
				return err.Error()
			}
			if total != 3*each || unique != 3*each {
				return fmt.Sprintf("%d documents of %d requests, %d were made%s", total, unique, 3*each, s.tail(logs))
			}
			return ""
		})
	}
	if a := c.do(t, "GET", "/tasks/factorial?n=3", ""); a.status != http.StatusOK {
		t.Errorf("after the outage: %d", a.status)
	}
}

// unlimited asks for what is not there, again when nginx says that there were
// too many requests.
func (c *client) unlimited(t *testing.T, path string) answer {
	t.Helper()
	for range 100 {
		a := c.do(t, "GET", path, "")
		if a.status == http.StatusNotFound {
			return a
		}
		wait, err := strconv.Atoi(a.header.Get("Retry-After"))
		if a.status != http.StatusTooManyRequests || err != nil {
			t.Fatalf("answered %d %v", a.status, a.header)
		}
		time.Sleep(time.Duration(wait) * time.Second)
	}
	t.Fatal("too many requests, however slowly")
	return answer{}
}

// rotate moves nginx's access log away and lets nginx open a new one.
func rotate(t *testing.T, s *stack, i int) {
	t.Helper()
	log := filepath.Join(s.State, "logs", "nginx", "access.log")
	if err := os.Rename(log, fmt.Sprintf("%s-test%d.log", strings.TrimSuffix(log, ".log"), i)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(s.State, "run", "nginx", "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "nginx has opened a new log", func() string {
		if _, err := os.Stat(log); err != nil {
			return err.Error()
		}
		return ""
	})
}

// kafkaAcked is how many events Kafka has taken of Filebeat.
func kafkaAcked(t *testing.T) int {
	t.Helper()
	var stats struct {
		Libbeat struct {
			Output struct {
				Type   string
				Events struct{ Acked int }
			}
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+os.Getenv("FILEBEAT_PORT")+"/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body := ask(t, r)
	if err := json.Unmarshal([]byte(body), &stats); err != nil {
		t.Fatal(err)
	}
	if stats.Libbeat.Output.Type != "kafka" {
		t.Fatalf("Filebeat writes to %s", stats.Libbeat.Output.Type)
	}
	return stats.Libbeat.Output.Events.Acked
}
