package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// script answers requests with the given statuses, in turn; 0 is a connection
// that breaks, and the last one stays.
type script struct {
	mu       sync.Mutex
	statuses []int
	asked    int
	bodies   []string
}

func (s *script) Perform(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, string(body))
	status := s.statuses[min(s.asked, len(s.statuses)-1)]
	s.asked++
	if status == 0 {
		return nil, errors.New("connection reset")
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// from gives the script new answers.
func (s *script) from(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses, s.asked = statuses, 0
}

func bulk(ctx context.Context, t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/_bulk", bytes.NewReader([]byte("documents\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDeliveryRepeats(t *testing.T) {
	for name, tt := range map[string]struct {
		statuses []int
		status   int
		asked    int
		took     time.Duration // at most
	}{
		"taken":            {[]int{200}, 200, 1, 0},
		"wrong":            {[]int{400}, 400, 1, 0},
		"too large":        {[]int{413}, 413, 1, 0},
		"away, then taken": {[]int{0, 503, 502, 504, 429, 401, 403, 404, 200}, 200, 9, time.Minute},
		"fails on it":      {[]int{500}, 500, maxServerErrors, 4 * time.Second},
		"away for an hour": {append(make([]int, 500), 200), 200, 501, 84 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{statuses: tt.statuses}
				d := newDelivery(s, zap.NewNop())
				begin := time.Now()
				res, err := d.Perform(bulk(t.Context(), t))
				if err != nil || res.StatusCode != tt.status {
					t.Fatalf("%v %v", res, err)
				}
				if took := time.Since(begin); took > tt.took {
					t.Errorf("took %v", took)
				}
				if s.asked != tt.asked {
					t.Errorf("asked %d times", s.asked)
				}
				for i, body := range s.bodies {
					if body != "documents\n" {
						t.Errorf("attempt %d sent %q", i, body)
					}
				}
			})
		})
	}
}

func TestDeliveryEnds(t *testing.T) {
	for name, end := range map[string]func(d *delivery, cancel context.CancelFunc){
		"aborted":          func(d *delivery, _ context.CancelFunc) { d.abort() },
		"context's end":    func(_ *delivery, cancel context.CancelFunc) { cancel() },
		"hurried, aborted": func(d *delivery, _ context.CancelFunc) { d.hurry(); d.abort() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDelivery(&script{statuses: []int{503}}, zap.NewNop())
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Minute, func() { end(d, cancel) })
				begin := time.Now()
				if res, err := d.Perform(bulk(ctx, t)); err == nil || !strings.Contains(err.Error(), "503") {
					t.Errorf("%v %v", res, err)
				}
				if took := time.Since(begin); took != time.Minute {
					t.Errorf("took %v", took)
				}
				if _, err := d.Perform(bulk(ctx, t)); err == nil {
					t.Error("a delivery that has ended delivers")
				}
				cancel()
			})
		})
	}
}

// TestDeliveryHurries: a stop does not wait for a long pause to end.
func TestDeliveryHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{statuses: make([]int, 1000)}
		d := newDelivery(s, zap.NewNop())
		time.AfterFunc(time.Hour, func() {
			s.from(0, 0, 200)
			d.hurry()
		})
		begin := time.Now()
		if _, err := d.Perform(bulk(t.Context(), t)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin) - time.Hour; took < 0 || took > 3*firstPause {
			t.Errorf("took %v from the stop on", took)
		}
	})
}

func TestDeliverySaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		s := &script{statuses: []int{503}}
		d := newDelivery(s, zap.New(core))
		time.AfterFunc(10*time.Minute, func() { s.from(200) })
		if _, err := d.Perform(bulk(t.Context(), t)); err != nil {
			t.Fatal(err)
		}
		warnings := logs.FilterLevelExact(zap.WarnLevel).Len()
		if warnings < 9 || warnings > 11 {
			t.Errorf("%d warnings in ten minutes", warnings)
		}
		if n := logs.FilterMessage("Elasticsearch takes documents again").Len(); n != 1 {
			t.Errorf("%d lines of the return", n)
		}
		if d.blockedBy() != nil {
			t.Error("still blocked")
		}
	})
}

// TestDeliveryGivesUpSilence: an Elasticsearch that does not answer is asked
// again.
func TestDeliveryGivesUpSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		d := newDelivery(transport(func(r *http.Request) (*http.Response, error) {
			if asked++; asked == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		}), zap.NewNop())
		if _, err := d.Perform(bulk(t.Context(), t)); err != nil || asked != 2 {
			t.Errorf("asked %d times: %v", asked, err)
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) Perform(r *http.Request) (*http.Response, error) { return f(r) }
