package redisbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"pharos/shop"
)

const (
	blockFor   = 500 * time.Millisecond // a stop waits for it
	retryPause = 500 * time.Millisecond
	// leaveTimeout is for what is left to do after ctx has ended.
	leaveTimeout = 3 * time.Second
	// suspectAfter is how many consumers may die over a message before it is
	// handled alone, so that the others are no longer taken down with it.
	suspectAfter = 2
)

// consumer is one run of Consume.
type consumer struct {
	*Bus
	group  string
	handle shop.Handler
}

// Consume implements shop.Bus. Redis may go away and come back meanwhile.
func (b *Bus) Consume(ctx context.Context, group string, handle shop.Handler) error {
	background, cancel := context.WithCancel(ctx)
	defer cancel()
	go b.keepTrimmed(background)

	c := &consumer{b, group, handle}
	failing := false
	for ctx.Err() == nil {
		err := c.run(ctx)
		var h handlerError
		switch {
		case ctx.Err() != nil || err == nil:
			// c.run ends without an error only when ctx has
		case errors.As(err, &h):
			return h.error
		default:
			if !failing {
				b.opts.Report(ctx, fmt.Errorf("consume as %s (tried until it works): %w", group, err))
			}
			failing = true
			select {
			case <-ctx.Done():
			case <-time.After(retryPause):
			}
			continue
		}
		failing = false
	}
	return c.leave(ctx)
}

// handlerError tells the handler's errors, which end Consume, from Redis'.
type handlerError struct{ error }

// run reads and handles until ctx ends or Redis fails.
func (c *consumer) run(ctx context.Context) error {
	if err := c.ensure(ctx, append([]string{c.group}, c.opts.Groups...)...); err != nil {
		return err
	}
	// What was delivered under this name before, and not acknowledged.
	for ctx.Err() == nil {
		size, err := c.suspects(ctx, c.opts.Consumer, 0)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		entries, err := c.read(ctx, "0", size)
		if err != nil {
			return err
		}
		if err := c.again(ctx, entries); err != nil {
			return err
		}
	}
	claimed := time.Now()
	for ctx.Err() == nil {
		if time.Since(claimed) > c.opts.ClaimAfter/2 {
			if err := c.claim(ctx); err != nil {
				return err
			}
			claimed = time.Now()
		}
		entries, err := c.read(ctx, ">", c.opts.Batch)
		if err != nil {
			return err
		}
		if err := c.do(ctx, entries); err != nil {
			return err
		}
	}
	return nil
}

// read takes a batch. It is not interrupted by a stop: what Redis has handed
// out by then would have to wait for its next reader.
func (c *consumer) read(ctx context.Context, from string, size int64) ([]redis.XMessage, error) {
	streams, err := c.rdb.XReadGroup(context.WithoutCancel(ctx), &redis.XReadGroupArgs{
		Group: c.group, Consumer: c.opts.Consumer, Streams: []string{c.opts.Stream, from}, Count: size, Block: blockFor,
	}).Result()
	if err == redis.Nil { //nolint:errorlint // go-redis returns it as it is: nothing new
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(streams) == 0 {
		return nil, nil
	}
	return streams[0].Messages, nil
}

// claim takes over what other consumers have left behind.
func (c *consumer) claim(ctx context.Context) error {
	for ctx.Err() == nil {
		size, err := c.suspects(ctx, "", c.opts.ClaimAfter)
		if err != nil || size == 0 {
			return err
		}
		entries, _, err := c.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
			Stream: c.opts.Stream, Group: c.group, Consumer: c.opts.Consumer, MinIdle: c.opts.ClaimAfter, Start: "0-0", Count: size,
		}).Result()
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		if len(entries) == 0 { // another was faster, or the entries were removed
			return nil
		}
		if err := c.again(ctx, entries); err != nil {
			return err
		}
	}
	return nil
}

// suspects looks at what was delivered and not acknowledged, to the named
// consumer or to any, and returns how many to take at once: none where there is
// nothing, a single one where consumers have died over these, as being
// delivered counts against a message.
func (c *consumer) suspects(ctx context.Context, consumer string, idle time.Duration) (int64, error) {
	pending, err := c.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: c.opts.Stream, Group: c.group, Consumer: consumer, Idle: idle, Start: "-", End: "+", Count: c.opts.Batch,
	}).Result()
	if err != nil {
		return 0, fmt.Errorf("read deliveries: %w", err)
	}
	for _, p := range pending {
		if p.RetryCount >= suspectAfter {
			return 1, nil
		}
	}
	return int64(len(pending)), nil
}

// again handles entries that were delivered before. What many consumers died
// over is given up.
func (c *consumer) again(ctx context.Context, entries []redis.XMessage) error {
	if len(entries) == 0 {
		return nil
	}
	deliveries, err := c.deliveries(ctx, entries)
	if err != nil {
		return err
	}
	var batch, done []redis.XMessage
	var dead []shop.DeadLetter
	for _, e := range entries {
		switch n := deliveries[e.ID]; {
		case len(e.Values) == 0: // removed meanwhile, and counted as lost then
			done = append(done, e)
		case n > c.opts.MaxDeliveries:
			done = append(done, e)
			dead = append(dead, shop.GiveUp(c.group, decode(e), errors.New("its consumers died before they were done with it"), int(n)-1, c.opts.Now()))
		default:
			batch = append(batch, e)
		}
	}
	if len(done) > 0 {
		if err := c.finish(ctx, done, dead); err != nil {
			return err
		}
	}
	return c.do(ctx, batch)
}

func (c *consumer) deliveries(ctx context.Context, entries []redis.XMessage) (map[string]int64, error) {
	pending, err := c.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: c.opts.Stream, Group: c.group, Consumer: c.opts.Consumer,
		Start: entries[0].ID, End: entries[len(entries)-1].ID, Count: 10 * c.opts.Batch,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	n := make(map[string]int64, len(pending))
	for _, p := range pending {
		n[p.ID] = p.RetryCount
	}
	return n, nil
}

// do hands a batch to the handler, then acknowledges it.
func (c *consumer) do(ctx context.Context, entries []redis.XMessage) error {
	if len(entries) == 0 {
		return nil
	}
	batch := make([]shop.Message, len(entries))
	for i, e := range entries {
		batch[i] = decode(e)
	}
	stop := c.hold(ctx, entries)
	dead, err := c.handle(ctx, batch)
	stop()
	if err != nil {
		return handlerError{err}
	}
	return c.finish(ctx, entries, dead)
}

// hold keeps other consumers from taking the entries over while they are being
// handled, which takes as long as a store is away.
func (c *consumer) hold(ctx context.Context, entries []redis.XMessage) (stop func()) {
	ids := ids(entries)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(c.opts.ClaimAfter / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// A failure is harmless: the effect may be done twice.
			_ = c.rdb.XClaimJustID(ctx, &redis.XClaimArgs{
				Stream: c.opts.Stream, Group: c.group, Consumer: c.opts.Consumer, Messages: ids,
			}).Err()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// finish keeps the dead letters and acknowledges the entries, in one step.
func (c *consumer) finish(ctx context.Context, entries []redis.XMessage, dead []shop.DeadLetter) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	var trimmed *redis.IntCmd
	_, err := c.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, d := range dead {
			values, err := encodeDead(d)
			if err != nil {
				return err
			}
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: c.dead, Values: values})
		}
		if len(dead) > 0 {
			trimmed = pipe.XTrimMaxLen(ctx, c.dead, c.opts.MaxDead)
		}
		pipe.XAck(ctx, c.opts.Stream, c.group, ids(entries)...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	if trimmed != nil && trimmed.Val() > 0 {
		c.opts.Report(ctx, fmt.Errorf("%s held more than %d: the %d oldest dead letters are gone", c.dead, c.opts.MaxDead, trimmed.Val()))
	}
	return nil
}

// leave takes this consumer out of the group if it owes nothing.
func (c *consumer) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	pending, err := c.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: c.opts.Stream, Group: c.group, Consumer: c.opts.Consumer, Start: "-", End: "+", Count: 1,
	}).Result()
	if err == nil && len(pending) == 0 {
		err = c.rdb.XGroupDelConsumer(ctx, c.opts.Stream, c.group, c.opts.Consumer).Err()
	}
	if err != nil && !strings.HasPrefix(err.Error(), "NOGROUP") {
		c.opts.Report(ctx, fmt.Errorf("leave group %s: %w", c.group, err))
	}
	return nil
}

func ids(entries []redis.XMessage) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.ID
	}
	return out
}
