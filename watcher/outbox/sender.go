package outbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pharos/internal/fault"
	"pharos/watcher/httpcall"
)

// Config are the settings of delivery.
type Config struct {
	// Interval is how often the queue is looked through.
	Interval time.Duration `env:"OUTBOX_INTERVAL" envDefault:"2s"`
	// AttemptTimeout bounds one attempt; an execution waits no longer for the
	// first.
	AttemptTimeout time.Duration `env:"OUTBOX_ATTEMPT_TIMEOUT" envDefault:"10s"`
	// GiveUp is the age at which a message that can't be delivered is kept as
	// failed.
	GiveUp time.Duration `env:"OUTBOX_GIVE_UP" envDefault:"24h"`
}

// The shape of retries: the pause doubles from base up to most, and half of it
// is random.
const (
	retryBase = 2 * time.Second
	retryMost = 5 * time.Minute
	batch     = 500 // entries looked at in one round
	senders   = 8   // messages under way at once, each of another key
)

// Sender delivers messages. It is safe for concurrent use.
type Sender struct {
	Store    Store
	Channels map[string]Channel
	Config   Config
	Now      func() time.Time
	Random   func() float64 // in [0,1), spreads retries
	// Report is told of what failed outside an execution: a store that is away,
	// messages given up.
	Report func(ctx context.Context, err error)
}

// Deliver writes a message down and makes the first attempt, unless earlier
// messages of its key wait. It returns what came of it: Pending means that Run,
// here or in another process, goes on. If the store is away the message is sent
// without being written down: an alert that can't be kept must still arrive.
func (s *Sender) Deliver(ctx context.Context, m Message) (Delivery, error) {
	now := s.Now()
	if m.CreatedAt.IsZero() {
		m.CreatedAt = now
	}
	waiting, err := s.Store.Waiting(ctx, m.Key, batch)
	if err != nil {
		return s.unkept(ctx, m, err)
	}
	if len(waiting) > 0 {
		last := waiting[len(waiting)-1]
		if last.ID == m.ID || m.Kind != "" && last.Kind == m.Kind {
			return Delivery{State: Pending, Duplicate: true}, nil
		}
	}
	e := Entry{Message: m, State: Pending, NotBefore: now}
	if len(waiting) == 0 {
		e.LeaseUntil = now.Add(s.lease())
	}
	e.Revision, err = s.Store.Create(ctx, e)
	switch {
	case fault.Is(err, fault.Conflict):
		return Delivery{State: Sent, Duplicate: true}, nil
	case err != nil:
		return s.unkept(ctx, m, err)
	case len(waiting) > 0:
		return Delivery{State: Pending}, nil
	}
	return s.attempt(ctx, e)
}

func (s *Sender) unkept(ctx context.Context, m Message, cause error) (Delivery, error) {
	response, err := s.send(ctx, m)
	if judge(response, err) == delivered {
		s.Report(ctx, fmt.Errorf("message %s was sent without the outbox: %w", m.ID, cause))
		return Delivery{State: Sent, Response: response}, nil
	}
	return Delivery{State: Failed, Response: response, Err: err}, fmt.Errorf("write message to the outbox: %w", cause)
}

// lease outlives an attempt, so that nobody sends the message a second time
// while the first may still be under way.
func (s *Sender) lease() time.Duration { return 2*s.Config.AttemptTimeout + 5*time.Second }

func (s *Sender) send(ctx context.Context, m Message) (*httpcall.Response, error) {
	channel, ok := s.Channels[m.Channel]
	if !ok {
		return nil, fmt.Errorf("no channel [%s]", m.Channel)
	}
	ctx, cancel := context.WithTimeout(ctx, s.Config.AttemptTimeout)
	defer cancel()
	return channel.Send(ctx, m)
}

// attempt sends an entry that is leased to the caller and writes down the
// outcome.
func (s *Sender) attempt(ctx context.Context, e Entry) (Delivery, error) {
	response, err := s.send(ctx, e.Message)
	d := Delivery{State: Pending, Response: response, Err: err}
	now := s.Now()
	e.Attempts++
	e.LeaseUntil = now
	switch judge(response, err) {
	case delivered:
		e.State, e.DoneAt, e.Reason = Sent, now, ""
	case refused:
		e.State, e.DoneAt, e.Reason = Failed, now, reason(response, err)
	case again:
		e.Reason = reason(response, err)
		e.NotBefore = now.Add(max(s.pause(e.Attempts), retryAfter(response)))
		if now.Sub(e.CreatedAt) >= s.Config.GiveUp {
			e.State, e.DoneAt = Failed, now
			e.Reason = fmt.Sprintf("given up after %d attempts: %s", e.Attempts, e.Reason)
		}
	}
	d.State = e.State
	// What was sent must be marked as sent, even if the execution is being ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Config.AttemptTimeout)
	defer cancel()
	if _, werr := s.Store.Update(ctx, e); werr != nil {
		s.Report(ctx, fmt.Errorf("mark message %s as %s: %w", e.ID, e.State, werr))
	}
	return d, nil
}

func reason(response *httpcall.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	const most = 500
	text := fmt.Sprintf("status %d: %s", response.Status, response.Body)
	if len(text) > most {
		text = text[:most]
	}
	return text
}

func (s *Sender) pause(attempts int) time.Duration {
	const doublings = 8
	d := min(retryBase<<min(attempts-1, doublings), retryMost)
	return d/2 + time.Duration(s.Random()*float64(d/2))
}

func retryAfter(response *httpcall.Response) time.Duration {
	if response == nil {
		return 0
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, time.Hour)
}

// Run delivers what waits until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	tick := time.NewTicker(s.Config.Interval)
	defer tick.Stop()
	for {
		if err := s.Round(ctx); err != nil && ctx.Err() == nil {
			s.Report(ctx, fmt.Errorf("look through the outbox: %w", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Round goes through the queue once: the first message of each key is sent if it
// is due and nobody else sends it.
func (s *Sender) Round(ctx context.Context) error {
	waiting, err := s.Store.Waiting(ctx, "", batch)
	if err != nil {
		return err
	}
	var (
		group   errgroup.Group
		perMany = newLimits(senders / 2)
		now     = s.Now()
		blocked = map[string]bool{}
	)
	group.SetLimit(senders)
	for _, e := range waiting {
		if blocked[e.Key] {
			continue
		}
		blocked[e.Key] = true
		if e.NotBefore.After(now) || e.LeaseUntil.After(now) || !perMany.take(e.Channel) {
			continue
		}
		group.Go(func() error {
			defer perMany.give(e.Channel)
			e.LeaseUntil = now.Add(s.lease())
			revision, err := s.Store.Update(ctx, e)
			if fault.Is(err, fault.Conflict) {
				return nil // another process has it
			}
			if err != nil {
				return fmt.Errorf("claim message %s: %w", e.ID, err)
			}
			e.Revision = revision
			_, err = s.attempt(ctx, e)
			return err
		})
	}
	return group.Wait()
}

// limits counts messages under way by channel, so that a slow receiver leaves
// room for the others.
type limits struct {
	mu   sync.Mutex
	most int
	used map[string]int
}

func newLimits(most int) *limits { return &limits{most: most, used: map[string]int{}} }

func (l *limits) take(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.used[name] >= l.most {
		return false
	}
	l.used[name]++
	return true
}

func (l *limits) give(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used[name]--
}

// Validate checks the settings.
func (c *Config) Validate() error {
	if c.Interval <= 0 || c.AttemptTimeout <= 0 || c.GiveUp <= 0 {
		return errors.New("OUTBOX_INTERVAL, OUTBOX_ATTEMPT_TIMEOUT and OUTBOX_GIVE_UP must be above 0")
	}
	return nil
}
