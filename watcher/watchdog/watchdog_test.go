package watchdog_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
	"pharos/watcher/watchdog"
)

// receiver keeps what it is sent, and can be away.
type receiver struct {
	got  []string
	away bool
}

func (r *receiver) Send(_ context.Context, m outbox.Message) (*httpcall.Response, error) {
	if r.away {
		return nil, errors.New("away")
	}
	r.got = append(r.got, string(m.Body))
	return &httpcall.Response{Status: 202}, nil
}

func TestItPagesAndResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		connected, waiting := true, time.Time{}
		last := begin
		pager, slack := &receiver{}, &receiver{}
		w := &watchdog.Watchdog{
			Config: watchdog.Config{After: time.Minute}, Key: "pharos-watchdog/test", Where: "test",
			Routes: []watchdog.Route{{Name: "pagerduty", Channel: pager}, {Name: "slack", Channel: slack}},
			Health: func() watchdog.Health {
				if connected {
					last = time.Now()
				}
				return watchdog.Health{Connected: last, Waiting: waiting}
			},
			Now: time.Now, Report: func(context.Context, error) {},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		step := func(d time.Duration, what string, pages, messages int, contains string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if len(pager.got) != pages || len(slack.got) != messages {
				t.Fatalf("%s: %d pages %v, %d messages", what, len(pager.got), pager.got, len(slack.got))
			}
			if contains != "" && !strings.Contains(pager.got[pages-1], contains) {
				t.Errorf("%s: %s", what, pager.got[pages-1])
			}
		}
		step(10*time.Minute, "well", 0, 0, "")
		connected = false
		step(55*time.Second, "not long enough", 0, 0, "")
		pager.away = true
		step(30*time.Second, "PagerDuty is away", 0, 1, "")
		pager.away = false
		step(6*time.Second, "PagerDuty is back", 1, 1, `"event_action":"trigger","dedup_key":"pharos-watchdog/test"`)
		step(4*time.Minute, "no reminder yet", 1, 1, "")
		step(time.Minute, "a reminder to PagerDuty", 2, 1, "Elasticsearch does not answer")
		connected = true
		step(6*time.Second, "back", 3, 2, `"event_action":"resolve"`)
		step(10*time.Minute, "well again", 3, 2, "")
		waiting = time.Now()
		step(66*time.Second, "nothing completes", 4, 3, "none is completed")
		waiting = time.Time{}
		step(6*time.Second, "works", 5, 4, "resolve")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
