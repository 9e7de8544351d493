package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// Quota limits how often something costly may be done in a period: a token
// bucket that all instances share through Redis, and without Redis nothing is
// allowed.
type Quota struct {
	name   string
	limit  redis_rate.Limit
	shared *redis_rate.Limiter
}

// NewQuota returns the named quota of n in a period for each who asks, on rdb,
// which the caller closes.
func NewQuota(rdb *redis.Client, name string, n int, period time.Duration) *Quota {
	return &Quota{name, redis_rate.Limit{Rate: n, Burst: n, Period: period}, redis_rate.NewLimiter(rdb)}
}

// Take counts one for who. It returns 0, or, where this one is too many, the
// time after which there is one left.
func (q *Quota) Take(ctx context.Context, who string) (time.Duration, error) {
	r, err := q.shared.Allow(ctx, "quota:"+q.name+":"+who, q.limit)
	if err != nil {
		return 0, fmt.Errorf("take from quota %s: %w", q.name, err)
	}
	if r.Allowed > 0 {
		return 0, nil
	}
	return max(r.RetryAfter, time.Second), nil
}
