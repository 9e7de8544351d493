// Package redisbus is the shop's bus on Redis Streams: one stream for events,
// a consumer group for each consumer, one stream for dead letters.
package redisbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"pharos/shop"
)

// Config is the settings of the bus.
type Config struct {
	// Stream is the name of the stream; the dead letters' is Stream + ":dead".
	Stream string `env:"BUS_STREAM" envDefault:"shop:events"`
	// Batch is how many messages a consumer takes at once.
	Batch int64 `env:"BUS_BATCH" envDefault:"500"`
	// Retention is how long messages are kept that every group has
	// acknowledged.
	Retention time.Duration `env:"BUS_RETENTION" envDefault:"24h"`
	// HardRetention is how long messages are kept at all. What a group has not
	// acknowledged by then is removed, and counted as lost.
	HardRetention time.Duration `env:"BUS_HARD_RETENTION" envDefault:"168h"`
	// MaxLength bounds the stream: above it, messages go as soon as every group
	// has acknowledged them, and while that is not enough, publishing fails
	// with shop.ErrFull. Redis keeps the stream in memory.
	MaxLength int64 `env:"BUS_MAX_LENGTH" envDefault:"200000"`
	// ClaimAfter is how long a message may wait for its consumer before another
	// takes it over.
	ClaimAfter time.Duration `env:"BUS_CLAIM_AFTER" envDefault:"30s"`
	// MaxDeliveries is how many consumers may die over a message before it
	// becomes a dead letter.
	MaxDeliveries int64 `env:"BUS_MAX_DELIVERIES" envDefault:"20"`
	// MaxDead is how many dead letters are kept; the oldest go first.
	MaxDead int64 `env:"BUS_MAX_DEAD" envDefault:"10000"`
}

// Validate implements env.Validator.
func (c *Config) Validate() error {
	switch {
	case c.Stream == "":
		return errors.New("BUS_STREAM is empty")
	case c.Batch < 1:
		return errors.New("BUS_BATCH must be at least 1")
	case c.Retention <= 0 || c.HardRetention < c.Retention:
		return errors.New("BUS_RETENTION must be more than 0s and at most BUS_HARD_RETENTION")
	case c.MaxLength < 1000:
		return errors.New("BUS_MAX_LENGTH must be at least 1000")
	case c.ClaimAfter < time.Second:
		return errors.New("BUS_CLAIM_AFTER must be at least 1s")
	case c.MaxDeliveries < 3:
		return errors.New("BUS_MAX_DELIVERIES must be at least 3: a message is delivered twice before it is suspected")
	case c.MaxDead < 1:
		return errors.New("BUS_MAX_DEAD must be at least 1")
	}
	return nil
}

// Options are the parts of a Bus.
type Options struct {
	Config
	// Consumer names this process within its group. A process that comes back
	// under the same name goes on where it died, without waiting.
	Consumer string
	// Groups are those that must have acknowledged a message before it may go.
	Groups []string
	// Report is told of failures that the bus tries to overcome by itself.
	Report func(context.Context, error)
	Now    func() time.Time
}

// Bus implements shop.Bus.
type Bus struct {
	rdb  *redis.Client
	opts Options
	dead string // stream of dead letters
	lost string // hash: group → messages lost

	count, expire *redis.Script
}

// New returns a Bus that owns rdb. It does not wait for Redis.
func New(rdb *redis.Client, opts Options) *Bus {
	// In a cluster the three keys must be in one slot.
	return &Bus{
		rdb: rdb, opts: opts, dead: opts.Stream + ":dead", lost: opts.Stream + ":lost",
		count: redis.NewScript(countScript), expire: redis.NewScript(expireScript),
	}
}

// Close implements shop.Bus.
func (b *Bus) Close() error { return b.rdb.Close() }

// Retention implements shop.Bus.
func (b *Bus) Retention() time.Duration { return b.opts.HardRetention }

// Ping implements shop.Bus.
func (b *Bus) Ping(ctx context.Context) error { return b.rdb.Ping(ctx).Err() }

// The fields of an entry.
const (
	fieldKey       = "key"
	fieldValue     = "value"
	fieldTrace     = "traceparent"
	fieldPublished = "published" // Unix time in milliseconds
)

func (b *Bus) encode(m shop.Message) []any {
	if m.PublishedAt.IsZero() {
		m.PublishedAt = b.opts.Now()
	}
	return []any{fieldKey, m.Key, fieldValue, m.Value, fieldTrace, m.TraceParent, fieldPublished, m.PublishedAt.UnixMilli()}
}

func decode(entry redis.XMessage) shop.Message {
	text := func(name string) string {
		s, _ := entry.Values[name].(string)
		return s
	}
	m := shop.Message{Key: text(fieldKey), Value: []byte(text(fieldValue)), TraceParent: text(fieldTrace)}
	ms, err := strconv.ParseInt(text(fieldPublished), 10, 64)
	if err != nil {
		ms = idMillis(entry.ID)
	}
	m.PublishedAt = time.UnixMilli(ms).UTC()
	return m
}

// idMillis is the time in an entry's id, which is <milliseconds>-<number>.
func idMillis(id string) int64 {
	text, _, _ := strings.Cut(id, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return ms
}

// Publish implements shop.Publisher. All messages become visible at once.
func (b *Bus) Publish(ctx context.Context, messages []shop.Message) error {
	if len(messages) == 0 {
		return nil
	}
	length, err := b.rdb.XLen(ctx, b.opts.Stream).Result()
	if err != nil {
		return fmt.Errorf("measure %s: %w", b.opts.Stream, err)
	}
	if length+int64(len(messages)) > b.opts.MaxLength {
		// Room is made every trimEvery; a publisher can't wait for that.
		if err := b.Trim(ctx); err != nil {
			return fmt.Errorf("trim %s: %w", b.opts.Stream, err)
		}
		if length, err = b.rdb.XLen(ctx, b.opts.Stream).Result(); err != nil {
			return fmt.Errorf("measure %s: %w", b.opts.Stream, err)
		}
		if length+int64(len(messages)) > b.opts.MaxLength {
			return fmt.Errorf("%s holds %d messages: %w", b.opts.Stream, length, shop.ErrFull)
		}
	}
	_, err = b.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, m := range messages {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: b.opts.Stream, Values: b.encode(m)})
		}
		return nil
	})
	if err != nil && strings.HasPrefix(err.Error(), "OOM") {
		return fmt.Errorf("out of memory: %w", shop.ErrFull)
	}
	if err != nil {
		return fmt.Errorf("publish to %s: %w", b.opts.Stream, err)
	}
	return nil
}

// ensure makes the groups. A group sees every message since the stream's
// beginning.
func (b *Bus) ensure(ctx context.Context, groups ...string) error {
	for _, g := range groups {
		err := b.rdb.XGroupCreateMkStream(ctx, b.opts.Stream, g, "0").Err()
		if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
			return fmt.Errorf("make group %s: %w", g, err)
		}
	}
	return nil
}

// Backlog implements shop.Bus.
func (b *Bus) Backlog(ctx context.Context, group string) (shop.Backlog, error) {
	if err := b.ensure(ctx, group); err != nil {
		return shop.Backlog{}, err
	}
	groups, err := b.rdb.XInfoGroups(ctx, b.opts.Stream).Result()
	if err != nil {
		return shop.Backlog{}, fmt.Errorf("read groups: %w", err)
	}
	length, err := b.rdb.XLen(ctx, b.opts.Stream).Result()
	if err != nil {
		return shop.Backlog{}, fmt.Errorf("measure %s: %w", b.opts.Stream, err)
	}
	first, err := b.rdb.XRangeN(ctx, b.opts.Stream, "-", "+", 1).Result()
	if err != nil {
		return shop.Backlog{}, fmt.Errorf("read the oldest message: %w", err)
	}
	var oldest time.Time
	if len(first) > 0 {
		oldest = time.UnixMilli(idMillis(first[0].ID)).UTC()
	}
	lost, err := b.rdb.HGet(ctx, b.lost, group).Int64()
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as it is: nothing was lost
		return shop.Backlog{}, fmt.Errorf("read lost messages: %w", err)
	}
	dead, err := b.rdb.XLen(ctx, b.dead).Result()
	if err != nil {
		return shop.Backlog{}, fmt.Errorf("measure %s: %w", b.dead, err)
	}
	for _, g := range groups {
		if g.Name != group {
			continue
		}
		unread := g.Lag
		if unread < 0 { // Redis lost count, which deletions cause
			if unread, err = b.countFrom(ctx, "("+g.LastDeliveredID); err != nil {
				return shop.Backlog{}, err
			}
		}
		waiting, err := b.waiting(ctx, g, unread)
		if err != nil {
			return shop.Backlog{}, err
		}
		// Redis goes on counting what was removed before it was read.
		return shop.Backlog{
			Waiting: waiting.Seconds(),
			Lag:     min(unread, length) + g.Pending, Pending: float64(g.Pending), DeadLetters: float64(dead), Lost: lost, Oldest: oldest,
		}, nil
	}
	return shop.Backlog{}, fmt.Errorf("group %s has vanished", group)
}

// waiting is the age of the oldest message that a group has in hand or has not
// read.
func (b *Bus) waiting(ctx context.Context, g redis.XInfoGroup, unread int64) (time.Duration, error) {
	var ids []string
	if g.Pending > 0 {
		inHand, err := b.rdb.XPending(ctx, b.opts.Stream, g.Name).Result()
		if err != nil {
			return 0, fmt.Errorf("read what %s has in hand: %w", g.Name, err)
		}
		if inHand.Count > 0 {
			ids = append(ids, inHand.Lower)
		}
	}
	if unread > 0 {
		next, err := b.rdb.XRangeN(ctx, b.opts.Stream, "("+g.LastDeliveredID, "+", 1).Result()
		if err != nil {
			return 0, fmt.Errorf("read what %s has not read: %w", g.Name, err)
		}
		if len(next) > 0 {
			ids = append(ids, next[0].ID)
		}
	}
	var age time.Duration // the clocks of Redis and of this process may differ
	for _, id := range ids {
		age = max(age, time.Since(time.UnixMilli(idMillis(id))))
	}
	return age, nil
}

// countFrom counts entries from start on. A script, so that they stay in Redis.
func (b *Bus) countFrom(ctx context.Context, start string) (int64, error) {
	n, err := b.count.Run(ctx, b.rdb, []string{b.opts.Stream}, start).Int64()
	if err != nil {
		return 0, fmt.Errorf("count messages: %w", err)
	}
	return n, nil
}
