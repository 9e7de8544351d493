// Package redisconn opens connections to Redis the way every process needs
// them: settings, short timeouts, and a span for each command.
package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.elastic.co/apm/v2"
	"go.uber.org/zap"

	"pharos/internal/env"
	"pharos/internal/resilience"
)

// Config is how to reach Redis.
type Config struct {
	Addr     string        `env:"REDIS_ADDR,required,notEmpty"` // host:port
	Password env.Secret    `env:"REDIS_PASSWORD,required,notEmpty"`
	DB       int           `env:"REDIS_DB" envDefault:"0"`
	Timeout  time.Duration `env:"REDIS_TIMEOUT" envDefault:"500ms"` // of connecting, and of a command
	PoolSize int           `env:"REDIS_POOL_SIZE" envDefault:"50"`
}

// Open returns a client without waiting for Redis. Close it.
func Open(cfg Config) (*redis.Client, error) {
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("REDIS_ADDR: %w", err)
	}
	client := redis.NewClient(&redis.Options{
		Addr: cfg.Addr, Password: cfg.Password.Reveal(), DB: cfg.DB,
		DialTimeout: cfg.Timeout, ReadTimeout: cfg.Timeout, WriteTimeout: cfg.Timeout,
		PoolSize: cfg.PoolSize, PoolTimeout: cfg.Timeout,
		ContextTimeoutEnabled: true,
		// Who calls has a fallback, or a loop of its own: by default go-redis
		// would try a refused connection five times within half a second.
		MaxRetries:    -1,
		DialerRetries: 1,
		// Redis 7.0 knows neither command, and answers them with errors.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	client.AddHook(spans{host: host, port: port})
	return client, nil
}

// Guard lets the client's commands through a breaker and a limit of commands in
// flight. It is for clients of requests; a consumer that blocks until there is
// something to read needs none.
func Guard(client *redis.Client, cfg Config, metrics *resilience.Metrics, log *zap.Logger) {
	limits := resilience.Defaults()
	limits.MaxInFlight = 2 * cfg.PoolSize
	client.AddHook(guarded{resilience.NewGuard("redis", cfg.Addr, limits, isAway, metrics, log)})
}

// isAway tells a Redis that does not answer, or not yet, from one that does.
func isAway(err error) bool {
	var answer redis.Error
	if errors.As(err, &answer) {
		return redis.HasErrorPrefix(err, "LOADING") || redis.HasErrorPrefix(err, "READONLY") || redis.HasErrorPrefix(err, "MASTERDOWN")
	}
	return true
}

// guarded lets commands through the guard.
type guarded struct{ guard *resilience.Guard }

// DialHook implements redis.Hook.
func (g guarded) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (g guarded) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return g.guard.Do(ctx, func(ctx context.Context) error { return next(ctx, cmd) })
	}
}

// ProcessPipelineHook implements redis.Hook.
func (g guarded) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return g.guard.Do(ctx, func(ctx context.Context) error { return next(ctx, cmds) })
	}
}

// spans makes a span for each command or pipeline of a traced context. The
// statement is the command's name alone: keys and values are users' data.
type spans struct{ host, port string }

// DialHook implements redis.Hook.
func (s spans) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (s spans) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		span, ctx := s.start(ctx, strings.ToUpper(cmd.Name()))
		defer span.End()
		err := next(ctx, cmd)
		finish(span, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (s spans) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		names := make([]string, 0, len(cmds))
		for i, cmd := range cmds {
			if i == 5 {
				names = append(names, fmt.Sprintf("… %d in all", len(cmds)))
				break
			}
			names = append(names, strings.ToUpper(cmd.Name()))
		}
		span, ctx := s.start(ctx, strings.Join(names, ", "))
		defer span.End()
		err := next(ctx, cmds)
		finish(span, err)
		return err
	}
}

func (s spans) start(ctx context.Context, name string) (*apm.Span, context.Context) {
	span, ctx := apm.StartSpanOptions(ctx, name, "db.redis.query", apm.SpanOptions{ExitSpan: true})
	if !span.Dropped() {
		span.Context.SetDatabase(apm.DatabaseSpanContext{Type: "redis", Statement: name})
		span.Context.SetDestinationAddress(s.host, port(s.port))
		span.Context.SetServiceTarget(apm.ServiceTargetSpanContext{Type: "redis"})
	}
	return span, ctx
}

func finish(span *apm.Span, err error) {
	span.Outcome = "success"
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as it is: "no such key"
		span.Outcome = "failure"
	}
}

// port is the number of a numeric port, 0 for a named one.
func port(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
