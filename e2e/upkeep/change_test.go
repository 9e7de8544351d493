package upkeep

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// users asks steadily until stop, and notes what was not answered as it must be.
// A third of it must not be sent twice, so that nginx can't mend it.
func (s *system) users(t *testing.T, p person) (stop func() (sent int, failed []string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var (
		mu     sync.Mutex
		sent   int
		failed []string
		all    sync.WaitGroup
	)
	one := func(method, path, body string, want int) {
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), method, fmt.Sprintf("http://127.0.0.1:%d%s", s.NginxPort, path), strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+p.token)
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Content-Type", "application/json")
		start := time.Now()
		resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
		mu.Lock()
		defer mu.Unlock()
		sent++
		switch {
		case err != nil:
			failed = append(failed, fmt.Sprintf("%s %s %s: %v", start.UTC().Format("15:04:05.0"), method, path, err))
		default:
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				failed = append(failed, fmt.Sprintf("%s %s %s: %d after %s", start.UTC().Format("15:04:05.0"), method, path, resp.StatusCode, time.Since(start).Round(time.Millisecond)))
			}
		}
	}
	for _, r := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/feed", "", 200}, {"POST", "/v1/posts", `{"text":"still here"}`, 201}, {"GET", "/tasks/fibonacci?n=20", "", 200},
	} {
		all.Go(func() {
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				one(r.method, r.path, r.body, r.want)
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	return func() (int, []string) {
		cancel()
		all.Wait()
		return sent, failed
	}
}

// TestUpgrade upgrades a running system whose streams have mappings of an earlier
// version, under load.
func TestUpgrade(t *testing.T) {
	s := open(t)
	const template = "/_index_template/pharos-logs-external"
	stream := "logs-external-upgrade" + strings.ToLower(rand.Text()[:8])
	// An earlier version had the message as a keyword.
	former := `{"index_patterns":["logs-external-*"],"priority":500,"data_stream":{},"composed_of":["pharos-base"],` +
		`"template":{"mappings":{"properties":{"message":{"type":"keyword"}}}},"_meta":{"managed_by":"pharos"}}`
	if status, body, err := s.es.Do(t.Context(), "PUT", template, []byte(former)); err != nil || status != 200 {
		t.Fatalf("%d %v %s", status, err, body)
	}
	s.add(t, stream, 10)
	words := map[string]any{"match": map[string]any{"message": "LINE"}}
	if n := s.count(t, stream, words); n != 0 {
		t.Fatalf("a keyword is searched by words: %d", n)
	}

	stop := s.users(t, s.newPerson(t))
	said := s.must(t, nil, "upgrade")
	sent, failed := stop()
	if len(failed) > 0 || sent < 100 {
		t.Errorf("%d of %d requests failed:\n%s", len(failed), sent, strings.Join(failed, "\n"))
	}
	t.Logf("%d requests, none failed", sent)
	if !strings.Contains(said, "data stream "+stream+" rolled over") {
		t.Errorf("nothing is said of %s", stream)
	}
	s.add(t, stream, 5)
	if n := s.count(t, stream, all); n != 15 {
		t.Errorf("%d documents, want 15", n)
	}
	if n := s.count(t, stream, words); n != 5 {
		t.Errorf("the new mapping finds %d documents, want 5", n)
	}
	exact := map[string]any{"term": map[string]any{"message": "line 7"}}
	if n := s.count(t, stream, exact); n != 1 {
		t.Errorf("what was written before is found %d times, want 1", n)
	}
	if again, code := s.run(t, nil, "pharos", "setup", "elasticsearch"); code != 0 || strings.Contains(again, "rolled over") {
		t.Errorf("the second time: %d %s", code, again)
	}
	if _, err := os.Stat(s.State + "/bin/api"); err != nil {
		t.Error(err)
	}
}
