// Package ratelimit limits how often each user or key may ask: a token bucket
// that all instances share through Redis, and one of each instance's own while
// Redis is away.
package ratelimit

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-redis/redis_rate/v10"
	"github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// Config is how much a user may ask for.
type Config struct {
	PerSecond int `env:"USER_RATE_LIMIT" envDefault:"50"`  // requests of a user or key
	Burst     int `env:"USER_RATE_BURST" envDefault:"100"` // as many at once after a pause
}

// Limiter limits requests.
type Limiter struct {
	cfg    Config
	shared *redis_rate.Limiter

	mu    sync.Mutex
	local *lru.Cache[string, *rate.Limiter] // of those seen last, for when Redis is away
}

const remembered = 10_000

// New returns a limiter on rdb, which the caller closes.
func New(rdb *redis.Client, cfg Config) (*Limiter, error) {
	if cfg.PerSecond < 1 || cfg.Burst < 1 {
		return nil, fmt.Errorf("USER_RATE_LIMIT and USER_RATE_BURST must be at least 1")
	}
	local, err := lru.New[string, *rate.Limiter](remembered)
	if err != nil {
		return nil, fmt.Errorf("make local limits: %w", err)
	}
	return &Limiter{cfg: cfg, shared: redis_rate.NewLimiter(rdb), local: local}, nil
}

// verdict is what a limiter says to one request.
type verdict struct {
	allowed    bool
	remaining  int
	retryAfter time.Duration // until one more is allowed; 0 if one is
	resetAfter time.Duration // until the whole burst is allowed
}

// Middleware refuses what is over the limit with 429. who names whom a request
// counts for; "" is not limited. Every answer has the fields RateLimit-Policy
// and RateLimit of draft-ietf-httpapi-ratelimit-headers.
func (l *Limiter) Middleware(who func(*gin.Context) string) gin.HandlerFunc {
	return func(c *gin.Context) {
		key := who(c)
		if key == "" {
			return
		}
		v, err := l.ask(c.Request.Context(), key)
		if err != nil {
			httpserver.LogFault(c, fmt.Errorf("rate limit of this instance only: %w", err))
		}
		c.Header("RateLimit-Policy", fmt.Sprintf(`"user";q=%d;w=%d`, l.cfg.Burst, max(l.cfg.Burst/l.cfg.PerSecond, 1)))
		c.Header("RateLimit", fmt.Sprintf(`"user";r=%d;t=%d`, v.remaining, seconds(v.resetAfter)))
		if !v.allowed {
			f := fault.New(fault.TooManyRequests, "You may ask %s times a second, %s at once.", strconv.Itoa(l.cfg.PerSecond), strconv.Itoa(l.cfg.Burst))
			f.RetryAfter = max(v.retryAfter, time.Second)
			httpserver.Problem(c, f)
		}
	}
}

// ask counts a request. An error says why the limit is not the shared one.
func (l *Limiter) ask(ctx context.Context, key string) (verdict, error) {
	r, err := l.shared.Allow(ctx, "limit:"+key, redis_rate.Limit{Rate: l.cfg.PerSecond, Period: time.Second, Burst: l.cfg.Burst})
	if err != nil {
		return l.askLocal(key), err
	}
	return verdict{r.Allowed > 0, r.Remaining, max(r.RetryAfter, 0), r.ResetAfter}, nil
}

func (l *Limiter) askLocal(key string) verdict {
	l.mu.Lock()
	bucket, ok := l.local.Get(key)
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(l.cfg.PerSecond), l.cfg.Burst)
		l.local.Add(key, bucket)
	}
	l.mu.Unlock()
	allowed := bucket.Allow()
	tokens := max(bucket.Tokens(), 0)
	per := float64(time.Second) / float64(l.cfg.PerSecond)
	v := verdict{allowed: allowed, remaining: int(tokens), resetAfter: time.Duration((float64(l.cfg.Burst) - tokens) * per)}
	if !allowed {
		v.retryAfter = time.Duration((1 - tokens) * per)
	}
	return v
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
