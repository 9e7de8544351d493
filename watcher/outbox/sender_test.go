package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pharos/internal/fault"
	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
)

// memory is a Store that many senders can share.
type memory struct {
	mu      sync.Mutex
	entries map[string]outbox.Entry
	away    error
}

func newMemory() *memory { return &memory{entries: map[string]outbox.Entry{}} }

func (m *memory) Create(_ context.Context, e outbox.Entry) (outbox.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return outbox.Revision{}, m.away
	}
	if _, ok := m.entries[e.ID]; ok {
		return outbox.Revision{}, fault.New(fault.Conflict, "known")
	}
	e.Revision = outbox.Revision{SeqNo: 1, PrimaryTerm: 1}
	m.entries[e.ID] = e
	return e.Revision, nil
}

func (m *memory) Update(_ context.Context, e outbox.Entry) (outbox.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return outbox.Revision{}, m.away
	}
	if m.entries[e.ID].Revision != e.Revision {
		return outbox.Revision{}, fault.New(fault.Conflict, "changed")
	}
	e.Revision.SeqNo++
	m.entries[e.ID] = e
	return e.Revision, nil
}

func (m *memory) Waiting(_ context.Context, key string, limit int) ([]outbox.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return nil, m.away
	}
	var list []outbox.Entry
	for _, e := range m.entries {
		if e.State == outbox.Pending && (key == "" || e.Key == key) {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b outbox.Entry) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list[:min(limit, len(list))], nil
}

func (m *memory) entry(id string) outbox.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries[id]
}

// channel answers as it is told and remembers what it was sent, and when.
type channel struct {
	mu      sync.Mutex
	answers []any // int or error, one a message; then 202
	after   string
	sent    []string
	at      []time.Time
	takes   time.Duration
}

func (c *channel) Send(ctx context.Context, m outbox.Message) (*httpcall.Response, error) {
	if c.takes > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(c.takes):
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
	var answer any = http.StatusAccepted
	if len(c.answers) > 0 {
		answer, c.answers = c.answers[0], c.answers[1:]
	}
	if err, ok := answer.(error); ok {
		return nil, err
	}
	status := answer.(int)
	if status < 300 {
		c.sent = append(c.sent, m.ID)
	}
	header := http.Header{}
	if c.after != "" {
		header.Set("Retry-After", c.after)
	}
	return &httpcall.Response{Status: status, Header: header, Body: []byte("answer")}, nil
}

func sender(t *testing.T, store outbox.Store, c outbox.Channel) *outbox.Sender {
	return &outbox.Sender{
		Store: store, Channels: map[string]outbox.Channel{"pagerduty": c}, Now: time.Now, Random: func() float64 { return 0.5 },
		Config: outbox.Config{Interval: 2 * time.Second, AttemptTimeout: 10 * time.Second, GiveUp: time.Hour},
		Report: func(_ context.Context, err error) { t.Log(err) },
	}
}

func message(id, key string) outbox.Message {
	return outbox.Message{ID: id, Key: key, Channel: "pagerduty", Body: []byte(`{}`)}
}

// run lets a sender work for some time of the bubble.
func run(t *testing.T, s *outbox.Sender, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestSentOnceAndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newMemory(), &channel{}
		s := sender(t, store, c)
		for i := range 3 {
			d, err := s.Deliver(t.Context(), message("a", "k"))
			if err != nil || d.State != outbox.Sent || d.Duplicate != (i > 0) {
				t.Fatalf("delivery %d: %+v, %v", i, d, err)
			}
		}
		run(t, s, time.Minute)
		if !slices.Equal(c.sent, []string{"a"}) || store.entry("a").State != outbox.Sent || store.entry("a").Attempts != 1 {
			t.Errorf("sent %v, kept %+v", c.sent, store.entry("a"))
		}
	})
}

func TestRetriedWithBackoff(t *testing.T) {
	for name, c := range map[string]struct {
		answers []any
		state   outbox.State
		tries   int
		reason  string
	}{
		"500":           {[]any{500, 502, 503}, outbox.Sent, 4, ""},
		"429":           {[]any{429}, outbox.Sent, 2, ""},
		"408":           {[]any{408}, outbox.Sent, 2, ""},
		"network":       {[]any{errors.New("connection refused")}, outbox.Sent, 2, ""},
		"400":           {[]any{400}, outbox.Failed, 1, "status 400: answer"},
		"403":           {[]any{403}, outbox.Failed, 1, "status 403: answer"},
		"302":           {[]any{302}, outbox.Failed, 1, "status 302: answer"},
		"500, then 400": {[]any{500, 400}, outbox.Failed, 2, "status 400: answer"},
		"500 for good":  {slices.Repeat([]any{500}, 100), outbox.Failed, 0, "given up after "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, ch := newMemory(), &channel{answers: c.answers}
				s := sender(t, store, ch)
				if _, err := s.Deliver(t.Context(), message("a", "k")); err != nil {
					t.Fatal(err)
				}
				run(t, s, 3*time.Hour)
				e := store.entry("a")
				if e.State != c.state || c.tries > 0 && e.Attempts != c.tries || !strings.HasPrefix(e.Reason, c.reason) {
					t.Errorf("%+v", e)
				}
				for i := 2; i < len(ch.at); i++ {
					before, after := ch.at[i-1].Sub(ch.at[i-2]), ch.at[i].Sub(ch.at[i-1])
					if after+4*time.Second < before {
						t.Errorf("attempt %d came %s after the one before, which had waited %s", i, after, before)
					}
				}
			})
		})
	}
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newMemory(), &channel{answers: []any{429}, after: "120"}
		s := sender(t, store, c)
		if _, err := s.Deliver(t.Context(), message("a", "k")); err != nil {
			t.Fatal(err)
		}
		run(t, s, 10*time.Minute)
		if len(c.at) != 2 || c.at[1].Sub(c.at[0]) < 120*time.Second {
			t.Errorf("attempts at %v", c.at)
		}
	})
}

func TestAResolveNeverOvertakesItsTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newMemory(), &channel{answers: []any{500, 500, errors.New("reset")}}
		s := sender(t, store, c)
		for i, id := range []string{"trigger", "resolve", "trigger again", "other"} {
			m := message(id, "k")
			if id == "other" {
				m.Key = "k2"
			}
			d, err := s.Deliver(t.Context(), m)
			if err != nil || d.State != outbox.Pending {
				if id != "other" && i > 0 {
					t.Fatalf("%s: %+v, %v", id, d, err)
				}
			}
			time.Sleep(time.Millisecond)
		}
		run(t, s, 10*time.Minute)
		own := slices.DeleteFunc(slices.Clone(c.sent), func(id string) bool { return id == "other" })
		if want := []string{"trigger", "resolve", "trigger again"}; !slices.Equal(own, want) {
			t.Errorf("sent %v, want %v", own, want)
		}
		if !slices.Contains(c.sent, "other") {
			t.Error("another key was held up")
		}
	})
}

func TestASecondTriggerIsLeftOutWhileOneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newMemory(), &channel{answers: []any{500}}
		s := sender(t, store, c)
		for i := range 5 {
			m := message(fmt.Sprint("run", i), "k")
			m.Kind = "trigger"
			if _, err := s.Deliver(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		run(t, s, time.Minute)
		if !slices.Equal(c.sent, []string{"run0"}) {
			t.Errorf("sent %v", c.sent)
		}
	})
}

// TestCrash leaves messages as a process that was killed leaves them: written,
// leased, never marked.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newMemory(), &channel{}
		now := time.Now()
		_, err := store.Create(t.Context(), outbox.Entry{Message: message("a", "k"), State: outbox.Pending, NotBefore: now, LeaseUntil: now.Add(25 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		run(t, sender(t, store, c), 20*time.Second)
		if len(c.sent) != 0 {
			t.Fatalf("sent %v while another process may be sending it", c.sent)
		}
		run(t, sender(t, store, c), time.Minute)
		if !slices.Equal(c.sent, []string{"a"}) {
			t.Errorf("sent %v", c.sent)
		}
	})
}

func TestManyProcessesShareTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := newMemory(), &channel{takes: 100 * time.Millisecond}
		for i := range 40 {
			m := message(fmt.Sprintf("m%02d", i), fmt.Sprintf("k%d", i%7))
			m.CreatedAt = time.Now().Add(time.Duration(i) * time.Millisecond)
			if _, err := store.Create(t.Context(), outbox.Entry{Message: m, State: outbox.Pending}); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		for range 3 {
			all.Go(func() { _ = sender(t, store, c).Run(ctx) })
		}
		all.Wait()
		if len(c.sent) != 40 {
			t.Fatalf("%d messages were sent, want each of 40 once: %v", len(c.sent), c.sent)
		}
		last := map[string]string{}
		for _, id := range c.sent {
			key := store.entry(id).Key
			if last[key] > id {
				t.Errorf("of %s, %s came after %s", key, id, last[key])
			}
			last[key] = id
		}
	})
}

func TestSentEvenWithoutTheStore(t *testing.T) {
	store, c := newMemory(), &channel{}
	store.away = errors.New("Elasticsearch is away")
	s := sender(t, store, c)
	d, err := s.Deliver(t.Context(), message("a", "k"))
	if err != nil || d.State != outbox.Sent || len(c.sent) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	c.answers = []any{500}
	if d, err = s.Deliver(t.Context(), message("b", "k")); err == nil || d.State != outbox.Failed {
		t.Errorf("neither kept nor sent, but %+v, %v", d, err)
	}
}
