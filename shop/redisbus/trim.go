package redisbus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	trimEvery = time.Minute
	// expireAtOnce bounds how long Redis is busy with one script.
	expireAtOnce = 1000
	// A consumer that is gone for so long and owes nothing is forgotten.
	forgetAfter = time.Hour
)

// keepTrimmed trims until ctx ends. Every consumer does; it is harmless.
func (b *Bus) keepTrimmed(ctx context.Context) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		if err := b.Trim(ctx); err != nil && ctx.Err() == nil {
			b.opts.Report(ctx, fmt.Errorf("trim %s (tried every %s): %w", b.opts.Stream, trimEvery, err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Trim removes what is older than the retention and acknowledged by all, and
// what is older than the hard retention. Consumers do so every minute.
func (b *Bus) Trim(ctx context.Context) error {
	if err := b.ensure(ctx, b.opts.Groups...); err != nil {
		return err
	}
	now := b.opts.Now()
	hard := strconv.FormatInt(now.Add(-b.opts.HardRetention).UnixMilli(), 10) + "-0"
	for {
		n, err := b.expire.Run(ctx, b.rdb, []string{b.opts.Stream, b.lost}, hard, expireAtOnce).Int()
		if err != nil {
			return err
		}
		if n < expireAtOnce {
			break
		}
	}

	// Groups only ever move on, so that what they have done now stays done.
	floor, err := b.floor(ctx)
	if err != nil {
		return err
	}
	length, err := b.rdb.XLen(ctx, b.opts.Stream).Result()
	if err != nil {
		return err
	}
	aged := strconv.FormatInt(now.Add(-b.opts.Retention).UnixMilli(), 10) + "-0"
	if length*10 < b.opts.MaxLength*9 && less(aged, floor) {
		floor = aged
	}
	return b.rdb.XTrimMinID(ctx, b.opts.Stream, floor).Err()
}

// floor returns the first id that a group has not acknowledged, or the last
// that all have.
func (b *Bus) floor(ctx context.Context) (string, error) {
	groups, err := b.rdb.XInfoGroups(ctx, b.opts.Stream).Result()
	if err != nil {
		return "", err
	}
	floor := ""
	for _, g := range groups {
		id := g.LastDeliveredID
		if g.Pending > 0 {
			pending, err := b.rdb.XPending(ctx, b.opts.Stream, g.Name).Result()
			if err != nil {
				return "", err
			}
			if pending.Count > 0 && less(pending.Lower, id) {
				id = pending.Lower
			}
		}
		if floor == "" || less(id, floor) {
			floor = id
		}
		if err := b.forget(ctx, g.Name); err != nil {
			return "", err
		}
	}
	if floor == "" {
		floor = "0-0"
	}
	return floor, nil
}

// forget removes consumers that died: hosts in containers have a new name each
// time.
func (b *Bus) forget(ctx context.Context, group string) error {
	consumers, err := b.rdb.XInfoConsumers(ctx, b.opts.Stream, group).Result()
	if err != nil {
		return err
	}
	for _, c := range consumers {
		if c.Pending == 0 && c.Idle > forgetAfter && c.Name != b.opts.Consumer {
			if err := b.rdb.XGroupDelConsumer(ctx, b.opts.Stream, group, c.Name).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// less compares the ids of two entries.
func less(a, b string) bool {
	am, bm := idMillis(a), idMillis(b)
	if am != bm {
		return am < bm
	}
	return idNumber(a) < idNumber(b)
}

func idNumber(id string) uint64 {
	_, text, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
