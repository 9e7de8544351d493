package redisbus

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// DedupeConfig is the settings of Dedupe.
type DedupeConfig struct {
	// TTL is how long an event is recognized as a duplicate.
	TTL time.Duration `env:"SHOP_DEDUPE_TTL" envDefault:"24h"`
}

// Dedupe remembers the keys of events that were published, for a while. It
// implements shop.Dedupe.
type Dedupe struct {
	rdb *redis.Client
	cfg DedupeConfig
}

// NewDedupe returns a Dedupe. Its client is the caller's to close.
func NewDedupe(rdb *redis.Client, cfg DedupeConfig) *Dedupe { return &Dedupe{rdb, cfg} }

const dedupePrefix = "shop:seen:"

// Seen implements shop.Dedupe.
func (d *Dedupe) Seen(ctx context.Context, keys []string) ([]bool, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	values, err := d.rdb.MGet(ctx, prefixed(keys)...).Result()
	if err != nil {
		return nil, fmt.Errorf("look up %d events: %w", len(keys), err)
	}
	seen := make([]bool, len(keys))
	for i, v := range values {
		seen[i] = v != nil
	}
	return seen, nil
}

// Remember implements shop.Dedupe. A key that is known keeps its time.
func (d *Dedupe) Remember(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := d.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, k := range prefixed(keys) {
			pipe.SetNX(ctx, k, 1, d.cfg.TTL)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remember %d events: %w", len(keys), err)
	}
	return nil
}

func prefixed(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = dedupePrefix + k
	}
	return out
}
