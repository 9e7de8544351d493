package kafkabus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pharos/shop"
)

const (
	// sessionTimeout is after how long a dead consumer's partitions go to others.
	sessionTimeout = 6 * time.Second
	// leaveTimeout is for what is left to do after ctx has ended.
	leaveTimeout = 5 * time.Second
	retryPause   = 500 * time.Millisecond
)

// consumer is one run of Consume.
type consumer struct {
	*Bus
	group  string
	handle shop.Handler
	client *kgo.Client

	mu sync.Mutex
	// next is the offset that should come next of each partition: a higher one
	// means that Kafka has removed messages before they were read.
	next map[int32]int64
}

// Consume implements shop.Bus. Kafka may go away and come back meanwhile.
func (b *Bus) Consume(ctx context.Context, group string, handle shop.Handler) error {
	for err := b.ensure(ctx); err != nil; err = b.ensure(ctx) {
		if ctx.Err() != nil {
			return nil
		}
		b.opts.Report(ctx, fmt.Errorf("consume as %s (tried until it works): %w", group, err))
		pause(ctx)
	}
	c := &consumer{Bus: b, group: group, handle: handle, next: map[int32]int64{}}
	client, err := kgo.NewClient(append(b.connection(),
		kgo.ConsumerGroup(b.groupName(group)),
		kgo.ConsumeTopics(b.opts.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		// A partition is not taken away while a batch of it is being handled.
		kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(sessionTimeout/4),
		kgo.OnPartitionsAssigned(c.assigned),
	)...)
	if err != nil {
		return fmt.Errorf("open Kafka: %w", err)
	}
	c.client = client
	defer client.CloseAllowingRebalance() // leaves the group
	return c.run(ctx)
}

func (c *consumer) run(ctx context.Context) error {
	for failing := false; ctx.Err() == nil; {
		fetches := c.client.PollRecords(ctx, c.opts.Batch)
		var fetchErr error
		fetches.EachError(func(_ string, _ int32, err error) { fetchErr = err })
		if fetchErr != nil && ctx.Err() == nil {
			if !failing {
				c.opts.Report(ctx, fmt.Errorf("consume as %s (tried until it works): %w", c.group, fetchErr))
			}
			pause(ctx)
		}
		failing = fetchErr != nil
		// A stop may come with records: they are handled, or would have to wait.
		if records := fetches.Records(); len(records) > 0 {
			if err := c.do(ctx, records); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
		c.client.AllowRebalance()
	}
	return nil
}

// do hands a batch to the handler, then keeps the dead letters, and only then
// commits.
func (c *consumer) do(ctx context.Context, records []*kgo.Record) error {
	c.watchGaps(records)
	batch := make([]shop.Message, len(records))
	for i, r := range records {
		batch[i] = decode(r)
	}
	dead, err := c.handle(ctx, batch)
	if err != nil {
		return err
	}
	for {
		err := c.finish(ctx, records, dead)
		if err == nil {
			return nil
		}
		// Not to be skipped: the next commit would cover what was not kept.
		c.opts.Report(ctx, fmt.Errorf("acknowledge as %s: %w", c.group, err))
		var d deadError
		if !errors.As(err, &d) || ctx.Err() != nil {
			return nil // the messages come again, here or elsewhere
		}
		pause(ctx)
	}
}

// deadError is a failure to keep dead letters.
type deadError struct{ error }

func (c *consumer) finish(ctx context.Context, records []*kgo.Record, dead []shop.DeadLetter) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if len(dead) > 0 {
		if err := c.bury(ctx, dead); err != nil {
			return deadError{err}
		}
	}
	return c.client.CommitRecords(ctx, records...)
}

// assigned notes where the group goes on in its new partitions.
func (c *consumer) assigned(ctx context.Context, _ *kgo.Client, assigned map[string][]int32) {
	done, err := c.committed(ctx, c.group)
	if err != nil {
		c.opts.Report(ctx, fmt.Errorf("lost messages will not be noticed: %w", err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, partition := range assigned[c.opts.Topic] {
		delete(c.next, partition)
		if at, ok := done[partition]; ok {
			c.next[partition] = at
		}
	}
}

// watchGaps counts what was removed before it was read.
func (c *consumer) watchGaps(records []*kgo.Record) {
	c.mu.Lock()
	var lost int64
	for _, r := range records {
		if next, ok := c.next[r.Partition]; ok && r.Offset > next {
			lost += r.Offset - next
		}
		c.next[r.Partition] = r.Offset + 1
	}
	c.mu.Unlock()
	if lost > 0 {
		c.Bus.mu.Lock()
		c.lost[c.group] += lost
		c.Bus.mu.Unlock()
	}
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(retryPause):
	}
}
