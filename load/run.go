package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Answer is how a request ended. Status is 0 where none came.
type Answer struct{ Status int }

// Sender sends one request and waits for its answer. It is called from many
// goroutines at once, and must end by itself.
type Sender interface {
	Send(ctx context.Context, r Request) Answer
}

// Limits bound a run.
type Limits struct {
	Duration time.Duration
	// InFlight is how many requests may wait for their answers; one that is due
	// beyond that is dropped and counted.
	InFlight int
}

// The bounds of a run, whatever is asked for.
const (
	MaxRate     = 5000
	MaxDuration = 24 * time.Hour
	MaxUsers    = 10_000
	MaxInFlight = 10_000
)

// Validate checks what a run is asked to do. Its errors name the flags of
// pharos load.
func Validate(cfg PlanConfig, l Limits) error {
	switch {
	case !(cfg.Rate > 0) || cfg.Rate > MaxRate:
		return fmt.Errorf("--rate must be more than 0 and at most %d", MaxRate)
	case l.Duration <= 0 || l.Duration > MaxDuration:
		return fmt.Errorf("--duration must be more than 0s and at most %s", MaxDuration)
	case cfg.Users < 1 || cfg.Users > MaxUsers:
		return fmt.Errorf("--users must be from 1 to %d", MaxUsers)
	case l.InFlight < 1 || l.InFlight > MaxInFlight:
		return fmt.Errorf("--in-flight must be from 1 to %d", MaxInFlight)
	case cfg.Mix.total() == 0:
		return errors.New("--mix: no kind has a weight above 0")
	}
	return nil
}

// Run sends the plan's requests as they become due until the limits' duration
// is over or ctx ends, and waits for the answers. Each second it hands the
// figures so far to progress, if that is not nil.
func Run(ctx context.Context, plan *Plan, l Limits, to Sender, progress func(Progress)) Report {
	var (
		wg      sync.WaitGroup
		stats   = newStats()
		slots   = make(chan struct{}, l.InFlight)
		start   = time.Now()
		sending = context.WithoutCancel(ctx) // what was sent is waited for
	)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watch(watching, stats, start, progress)
	}()
	for r := plan.Next(); r.At <= l.Duration; r = plan.Next() {
		due := start.Add(r.At)
		if !sleepUntil(ctx, due) {
			break
		}
		select {
		case slots <- struct{}{}:
		default:
			stats.drop(r.Kind)
			continue
		}
		stats.sent(r.Kind)
		wg.Go(func() {
			a := to.Send(sending, r)
			stats.answered(r, a, time.Since(due))
			<-slots
		})
	}
	wg.Wait()
	stop()
	<-watched
	return stats.report(time.Since(start))
}

func watch(ctx context.Context, stats *stats, start time.Time, progress func(Progress)) {
	if progress == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			progress(stats.progress(time.Since(start)))
		}
	}
}

// sleepUntil reports false when ctx ended first. What is due already is not
// waited for.
func sleepUntil(ctx context.Context, due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// class sorts answers.
type class int

const (
	ok          class = iota // the status that the request must get
	tooMany                  // 429
	clientError              // another 4xx
	serverError              // 5xx
	failed                   // no answer, or one that fits nothing
)

func classify(r Request, a Answer) class {
	switch {
	case a.Status == r.Want:
		return ok
	case a.Status == http.StatusTooManyRequests:
		return tooMany
	case a.Status >= 400 && a.Status < 500:
		return clientError
	case a.Status >= 500 && a.Status < 600:
		return serverError
	}
	return failed
}
