package load_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pharos/load"
)

// slow answers every request after a time, and notes when it was sent.
type slow struct {
	takes  time.Duration
	status int
	start  time.Time

	mu   sync.Mutex
	sent []time.Duration
}

func (s *slow) Send(_ context.Context, r load.Request) load.Answer {
	s.mu.Lock()
	s.sent = append(s.sent, time.Since(s.start))
	s.mu.Unlock()
	time.Sleep(s.takes)
	if s.status == 0 {
		return load.Answer{Status: r.Want}
	}
	return load.Answer{Status: s.status}
}

func TestScheduleDoesNotWaitForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Rate, cfg.Constant = 10, true
		to := &slow{takes: 3 * time.Second, start: time.Now()}
		var seen []load.Progress
		report := load.Run(t.Context(), load.NewPlan(cfg), load.Limits{Duration: 5 * time.Second, InFlight: 1000}, to,
			func(p load.Progress) { seen = append(seen, p) })
		if len(to.sent) != 50 {
			t.Fatalf("%d requests", len(to.sent))
		}
		for i, at := range to.sent {
			if want := time.Duration(i+1) * 100 * time.Millisecond; at != want {
				t.Fatalf("request %d was sent at %s", i, at)
			}
		}
		if got := report.Total; got.Sent != 50 || got.OK != 50 || got.Dropped != 0 || got.P50 < 2.97 || got.P99 > 3.03 {
			t.Errorf("%+v", got)
		}
		if report.Seconds != 8 || len(seen) < 5 || seen[1].InFlight < 19 || seen[1].Rate < 9 || seen[1].Rate > 11 {
			t.Errorf("%v s, progress %+v", report.Seconds, seen)
		}
	})
}

func TestWhatIsBeyondInFlightIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Rate, cfg.Constant = 100, true
		to := &slow{takes: time.Second - time.Millisecond}
		report := load.Run(t.Context(), load.NewPlan(cfg), load.Limits{Duration: 2 * time.Second, InFlight: 5}, to, nil)
		if got := report.Total; got.Sent != 10 || got.Dropped != 190 || got.OK != 10 {
			t.Errorf("%+v", got)
		}
	})
}

func TestStopWaitsForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 950*time.Millisecond)
		defer cancel()
		cfg := config()
		cfg.Rate, cfg.Constant = 10, true
		report := load.Run(ctx, load.NewPlan(cfg), load.Limits{Duration: time.Hour, InFlight: 100}, &slow{takes: time.Minute}, nil)
		if got := report.Total; got.Sent != 9 || got.OK != 9 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnswersAreSorted(t *testing.T) {
	for status, want := range map[int]func(load.Row) int64{
		200: func(r load.Row) int64 { return r.OK },
		404: func(r load.Row) int64 { return r.ClientError },
		429: func(r load.Row) int64 { return r.TooMany },
		503: func(r load.Row) int64 { return r.ServerError },
		302: func(r load.Row) int64 { return r.Failed },
		-1:  func(r load.Row) int64 { return r.Failed },
	} {
		cfg := config()
		cfg.Rate, cfg.Mix = 1000, load.Mix{load.Task: 1}
		report := load.Run(t.Context(), load.NewPlan(cfg), load.Limits{Duration: 20 * time.Millisecond, InFlight: 100}, &slow{status: status}, nil)
		if got := report.Total; got.Sent == 0 || want(got) != got.Sent || len(report.Rows) != 1 || report.Answered() != (got.Failed == 0) {
			t.Errorf("%d: %+v", status, report)
		}
	}
}

// service answers as Pharos does, as far as the load can see.
type service struct {
	mu      sync.Mutex
	users   map[string]bool
	follows map[string]int
	refused int // sign-ins that are told to come again
	seen    map[string]int
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[r.Method+" "+r.URL.Path]++
	signedIn := strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token of load_")
	status := func(code int) { w.WriteHeader(code) }
	switch path := r.URL.Path; {
	case path == "/healthz", path == "/", strings.HasPrefix(path, "/tasks/") && r.URL.Query().Get("n") != "ninety" && r.URL.RawQuery != "m=2":
		status(http.StatusOK)
	case strings.HasPrefix(path, "/tasks/"):
		status(http.StatusBadRequest)
	case path == "/v1/users", path == "/v1/sessions":
		var in struct{ Handle, Password string }
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Password != "secret word" {
			status(http.StatusUnauthorized)
		} else if path == "/v1/users" && s.users[in.Handle] {
			status(http.StatusConflict)
		} else if path == "/v1/users" {
			s.users[in.Handle] = true
			status(http.StatusCreated)
		} else if s.refused > 0 {
			s.refused--
			w.Header().Set("Retry-After", "1")
			status(http.StatusServiceUnavailable)
		} else {
			status(http.StatusCreated)
			_, _ = w.Write([]byte(`{"token":"token of ` + in.Handle + `"}`))
		}
	case !signedIn && strings.HasPrefix(path, "/v1/feed"):
		status(http.StatusUnauthorized)
	case strings.HasPrefix(path, "/v1/follows/"):
		s.follows[strings.TrimPrefix(path, "/v1/follows/")]++
		status(http.StatusNoContent)
	case path == "/v1/posts":
		var in struct{ Text string }
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Text == "" {
			status(http.StatusBadRequest)
		} else {
			status(http.StatusCreated)
		}
	case path == "/v1/events":
		status(http.StatusAccepted)
	case path == "/v1/feed", path == "/v1/users/me/requests":
		status(http.StatusOK)
	default:
		status(http.StatusNotFound)
	}
}

func TestRunAgainstAServer(t *testing.T) {
	s := &service{users: map[string]bool{"load_0002": true}, follows: map[string]int{}, seen: map[string]int{}, refused: 1}
	server := httptest.NewServer(s)
	defer server.Close()
	for range 2 { // the second time everybody is there
		c, err := load.NewClient(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		cfg := config()
		cfg.Rate, cfg.Users = 1000, 4
		if err := c.Prepare(t.Context(), 4, "secret word"); err != nil {
			t.Fatal(err)
		}
		report := load.Run(t.Context(), load.NewPlan(cfg), load.Limits{Duration: 300 * time.Millisecond, InFlight: 5000}, c, nil)
		if got := report.Total; got.Sent < 100 || got.OK != got.Sent || len(report.Rows) != len(load.Kinds()) || got.P50 <= 0 || got.P99 < got.P50 {
			t.Errorf("%+v", report)
		}
	}
	if len(s.users) != 4 || len(s.follows) != 4 || s.follows["load_0001"] != 6 {
		t.Errorf("users %v, follows %v", s.users, s.follows)
	}
	c, err := load.NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Prepare(t.Context(), 1, "another"); err == nil || errors.Is(err, load.ErrUnreachable) || !strings.Contains(err.Error(), "load_0001") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestNothingToReach(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := load.NewClient(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Prepare(t.Context(), 1, "x"); !errors.Is(err, load.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "127.0.0.1:8080", "ftp://x", "http://"} {
		if _, err := load.NewClient(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
