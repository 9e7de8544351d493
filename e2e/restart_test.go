package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pharos/load"
)

// misses is a sender that notes what was not answered as it must be.
type misses struct {
	to load.Sender

	mu    sync.Mutex
	notes []string
}

func (m *misses) Send(ctx context.Context, r load.Request) load.Answer {
	start := time.Now()
	a := m.to.Send(ctx, r)
	if a.Status != r.Want {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.notes = append(m.notes, fmt.Sprintf("%s %s %s: %d after %s", start.UTC().Format("15:04:05.000"), r.Method, r.Path, a.Status, time.Since(start).Round(time.Millisecond)))
	}
	return a
}

// TestRollingRestartFailsNoRequest restarts every instance of api and feed, one
// after another, under a load that is half made of requests that must not be
// sent twice.
func TestRollingRestartFailsNoRequest(t *testing.T) {
	s := open(t)
	to := &misses{to: traffic(t, s.url(), 10)}
	plan := load.NewPlan(load.PlanConfig{
		Seed: 1, Rate: 20, Users: 10, Run: random(t), Start: time.Now(),
		Mix: load.Mix{load.Feed: 25, load.Post: 30, load.Task: 15, load.Page: 5, load.Shop: 20, load.Bad: 5},
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan load.Report, 1)
	go func() { ended <- load.Run(ctx, plan, load.Limits{Duration: 10 * time.Minute, InFlight: 500}, to, nil) }()

	for _, process := range []string{"api-1", "api-2", "feed-1", "feed-2"} {
		s.restart(t, process)
	}
	stop()
	report := <-ended
	if got := report.Total; got.OK != got.Sent || got.Dropped != 0 {
		slices.Sort(to.notes)
		t.Errorf("%+v\n%s%s", got, strings.Join(to.notes[:min(len(to.notes), 30)], "\n"), s.tail("nginx/error.log")+s.tail("pharos/api-*.log"))
	}
	t.Logf("%d requests in %.0f s, p99 %.0f ms", report.Total.Sent, report.Seconds, 1000*report.Total.P99)
	for _, row := range report.Rows {
		if row.Sent == 0 {
			t.Errorf("no %s was sent", row.Kind)
		}
	}
}

// state is what the supervisor says of a process.
type state struct {
	PID   int    `json:"pid"`
	Ready string `json:"is_ready"`
}

func (s *stack) state(t *testing.T, process string) state {
	t.Helper()
	status, body := s.control(t, http.MethodGet, "/process/"+process)
	var st state
	if err := json.Unmarshal(body, &st); status != http.StatusOK || err != nil {
		t.Fatalf("state of %s: %d %v %s", process, status, err, body)
	}
	return st
}

// restart restarts a process and waits until the new one is ready.
func (s *stack) restart(t *testing.T, process string) {
	t.Helper()
	before := s.state(t, process)
	if status, body := s.control(t, http.MethodPost, "/process/restart/"+process); status != http.StatusOK {
		t.Fatalf("restart %s: %d %s", process, status, body)
	}
	eventually(t, time.Minute, process+" is there again", func() string {
		if now := s.state(t, process); now.PID == before.PID || now.Ready != "Ready" {
			return fmt.Sprintf("%+v%s", now, s.tail(process+"/output.log"))
		}
		return ""
	})
}
