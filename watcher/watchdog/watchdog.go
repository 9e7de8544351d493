// Package watchdog pages when the watcher itself can't work. It needs no
// Elasticsearch: it sends straight to PagerDuty and Slack.
package watchdog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/outbox"
)

// Config are the settings.
type Config struct {
	// After is how long Elasticsearch may be away, or executions may be due
	// without one being completed; 0 turns the watchdog off.
	After time.Duration `env:"WATCHDOG_AFTER" envDefault:"2m"`
}

// Validate checks the settings.
func (c *Config) Validate() error {
	if c.After != 0 && c.After < 10*time.Second {
		return errors.New("WATCHDOG_AFTER must be 0 or at least 10s")
	}
	return nil
}

// Health is what the watchdog judges by.
type Health struct {
	Connected time.Time // when Elasticsearch answered the last time
	Waiting   time.Time // since when executions are due and none is completed; zero: none is due
}

// Reason says why the watcher can't work.
type Reason string

// The reasons; Well is none.
const (
	Well Reason = ""
	Away Reason = "Elasticsearch does not answer"
	Idle Reason = "watches are due and none is completed"
)

// Judge is pure: what is wrong, for how long.
func Judge(h Health, after time.Duration, now time.Time) (Reason, time.Duration) {
	if d := now.Sub(h.Connected); d >= after {
		return Away, d
	}
	if d := now.Sub(h.Waiting); !h.Waiting.IsZero() && d >= after {
		return Idle, d
	}
	return Well, 0
}

// Route is a channel with one of its accounts.
type Route struct {
	Name    string // pagerduty or slack
	Account string // empty: the log
	Channel outbox.Channel
}

// Watchdog pages. All fields are needed.
type Watchdog struct {
	Config Config
	Health func() Health
	Routes []Route
	// Key is the dedup_key, the same for all processes of an environment: one
	// incident, whoever notices.
	Key    string
	Where  string // what watcher this is, for people
	Now    func() time.Time
	Report func(ctx context.Context, err error)

	told map[string]told // by route
}

// told is what a route knows.
type told struct {
	reason Reason
	at     time.Time
}

const (
	look = 5 * time.Second
	// remind is how often a page that lasts is sent again: PagerDuty takes it for
	// the same, unless another process's word has ended it.
	remind  = 5 * time.Minute
	attempt = 10 * time.Second
)

// Run looks until ctx ends.
func (w *Watchdog) Run(ctx context.Context) error {
	if w.Config.After == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			w.Look(ctx)
		}
	}
}

// Look judges once and tells each route what it does not know yet. What can't be
// sent is sent at the next look.
func (w *Watchdog) Look(ctx context.Context) {
	if w.told == nil {
		w.told = map[string]told{}
	}
	now := w.Now()
	reason, lasting := Judge(w.Health(), w.Config.After, now)
	for _, r := range w.Routes {
		id := r.Name + "/" + r.Account
		last := w.told[id]
		again := reason != Well && r.Name == "pagerduty" && now.Sub(last.at) >= remind
		if (reason == Well) == (last.reason == Well) && !again {
			continue
		}
		if err := w.send(ctx, r, reason, lasting, now); err != nil {
			w.Report(ctx, fmt.Errorf("watchdog: tell %s: %w", r.Name, err))
			continue
		}
		w.told[id] = told{reason, now}
	}
}

func (w *Watchdog) send(ctx context.Context, r Route, reason Reason, lasting time.Duration, now time.Time) error {
	body, err := json.Marshal(w.body(r, reason, lasting))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	response, err := r.Channel.Send(ctx, outbox.Message{
		ID: fmt.Sprintf("%s/%d", w.Key, now.UnixMilli()), Key: w.Key, Channel: r.Name, Account: r.Account, Body: body, CreatedAt: now,
	})
	if err != nil {
		return err
	}
	if response.Status < 200 || response.Status > 299 {
		return fmt.Errorf("status %d", response.Status)
	}
	return nil
}

// body is an event of PagerDuty's Events API v2, or a message of Slack's
// incoming webhooks.
func (w *Watchdog) body(r Route, reason Reason, lasting time.Duration) *document.Object {
	text := fmt.Sprintf("%s: the watcher works again", w.Where)
	if reason != Well {
		text = fmt.Sprintf("%s: no alerts: %s for %s", w.Where, reason, lasting.Round(time.Second))
	}
	pair := func(key string, value any) document.Pair { return document.Pair{Key: key, Value: value} }
	switch {
	case r.Name != "pagerduty":
		return document.NewObject(pair("text", text))
	case reason == Well:
		return document.NewObject(pair("event_action", "resolve"), pair("dedup_key", w.Key))
	}
	return document.NewObject(
		pair("event_action", "trigger"), pair("dedup_key", w.Key),
		pair("payload", document.NewObject(
			pair("summary", text), pair("source", w.Where), pair("severity", "critical"),
			pair("component", "watcher"), pair("class", "watchdog"))))
}
