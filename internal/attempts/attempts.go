// Package attempts slows down those who guess passwords: after a few failures
// of a handle, or from a client's address, further attempts are refused for a
// time that grows with each failure. All instances count together in Redis, and
// each on its own while Redis is away.
package attempts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config is how many failures are free and how long the waits are.
type Config struct {
	FreePerHandle  int `env:"SIGN_IN_FREE_PER_HANDLE" envDefault:"5"`   // failures of a handle up to the first wait
	FreePerAddress int `env:"SIGN_IN_FREE_PER_ADDRESS" envDefault:"50"` // and of a client address, which many people may share
	// The first wait; each further failure doubles it, up to MaxWait. MaxWait is
	// also the longest that somebody else's guesses can lock a user out after
	// they have stopped.
	FirstWait time.Duration `env:"SIGN_IN_FIRST_WAIT" envDefault:"1s"`
	MaxWait   time.Duration `env:"SIGN_IN_MAX_WAIT" envDefault:"5m"`
	Forget    time.Duration `env:"SIGN_IN_FORGET" envDefault:"1h"` // after so long without a failure all is forgotten
}

// Validate implements env.Validator.
func (c Config) Validate() error {
	switch {
	case c.FreePerHandle < 1 || c.FreePerAddress < 1:
		return errors.New("SIGN_IN_FREE_PER_HANDLE and SIGN_IN_FREE_PER_ADDRESS must be at least 1")
	case c.FirstWait < time.Millisecond || c.MaxWait < c.FirstWait || c.Forget < c.MaxWait:
		return errors.New("SIGN_IN_FIRST_WAIT must be at least 1ms, SIGN_IN_MAX_WAIT as long or longer, and SIGN_IN_FORGET as long as that or longer")
	}
	return nil
}

// wait is how long the next attempt must wait after so many failures.
func (c Config) wait(failures, free int) time.Duration {
	if failures < free {
		return 0
	}
	const doublings = 40 // beyond that every wait is at its longest
	if n := failures - free; n < doublings && c.FirstWait<<n>>n == c.FirstWait {
		return min(c.FirstWait<<n, c.MaxWait)
	}
	return c.MaxWait
}

// Limiter counts attempts and refuses them. Its methods may be called from any
// goroutine.
type Limiter struct {
	cfg    Config
	shared shared
	local  *local
}

// New returns a limiter on rdb, which the caller closes.
func New(rdb redis.UniversalClient, cfg Config, now func() time.Time) (*Limiter, error) {
	own, err := newLocal(now)
	if err != nil {
		return nil, err
	}
	return &Limiter{cfg: cfg, shared: shared{rdb}, local: own}, nil
}

// counters is where failures are counted.
type counters interface {
	// begin returns how long the longer of the two waits still is. If it is 0,
	// it counts a failure of handle.
	begin(ctx context.Context, handle, address string, cfg Config) (time.Duration, error)
	// fail counts a failure of address.
	fail(ctx context.Context, address string, cfg Config) error
	// reset forgets the failures of handle.
	reset(ctx context.Context, handle string) error
	// undo takes one failure of handle back.
	undo(ctx context.Context, handle string) error
}

// Attempt is an attempt that was let through. It must be ended by one of its
// methods; one that is not counts as a failure of its handle.
type Attempt struct {
	cfg             Config
	counters        counters
	handle, address string
}

// Begin lets an attempt through, or returns how long to wait for the next one.
// What is refused is not counted. An error says why only this instance counts;
// the attempt is good all the same.
//
// An attempt counts as a failure of its handle from its beginning: of many that
// are made at once no more are let through than of those made in turn. The
// address is counted for when an attempt has failed, since many people who
// sign in at once may share it.
func (l *Limiter) Begin(ctx context.Context, handle, address string) (*Attempt, time.Duration, error) {
	a := &Attempt{cfg: l.cfg, counters: l.shared, handle: handleKey(handle), address: "signin:address:" + Network(address)}
	wait, err := a.counters.begin(ctx, a.handle, a.address, l.cfg)
	if err != nil {
		a.counters = l.local
		wait, _ = l.local.begin(ctx, a.handle, a.address, l.cfg) // memory does not fail
	}
	if wait > 0 {
		return nil, wait, err
	}
	return a, 0, err
}

// Failed ends an attempt with a wrong password.
func (a *Attempt) Failed(ctx context.Context) error {
	return a.counters.fail(ctx, a.address, a.cfg)
}

// Succeeded ends an attempt with the right password: the handle's failures are
// forgotten. Those of the address are not, or whoever has an account could
// guess the passwords of others in between.
func (a *Attempt) Succeeded(ctx context.Context) error { return a.counters.reset(ctx, a.handle) }

// Void ends an attempt of which nobody knows whether the password was right.
func (a *Attempt) Void(ctx context.Context) error { return a.counters.undo(ctx, a.handle) }

// handleKey is a hash: what is typed as a handle may be a password.
func handleKey(handle string) string {
	sum := sha256.Sum256([]byte(handle))
	return "signin:handle:" + hex.EncodeToString(sum[:])
}

// Network is what a client's address counts for: of IPv6 the /64, all of which
// is one subscriber's. What is no address counts for itself.
func Network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	const subscriber = 64
	return netip.PrefixFrom(ip, subscriber).Masked().String()
}

// shared counts in Redis, by Redis's clock. A counter is a hash with the fields
// failures and until (unix milliseconds).
type shared struct{ rdb redis.UniversalClient }

// count is Config.wait in Lua.
const count = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function count(key, free, first, max, forget)
  local n = redis.call('HINCRBY', key, 'failures', 1)
  local wait = 0
  if n >= tonumber(free) then wait = math.min(first * 2 ^ math.min(n - free, 40), max) end
  redis.call('HSET', key, 'until', string.format('%d', now + wait))
  redis.call('PEXPIRE', key, forget)
end
`

//nolint:gochecknoglobals // constants that go-redis makes by a function
var (
	beginScript = redis.NewScript(count + `
local wait = 0
for _, key in ipairs(KEYS) do
  wait = math.max(wait, (tonumber(redis.call('HGET', key, 'until')) or 0) - now)
end
if wait <= 0 then count(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) end
return wait
`)
	failScript = redis.NewScript(count + `
count(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 0
`)
	undoScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HINCRBY', KEYS[1], 'failures', -1) <= 0 then
  redis.call('DEL', KEYS[1])
end
return redis.call('HDEL', KEYS[1], 'until')
`)
)

func arguments(cfg Config, free int) []any {
	return []any{free, cfg.FirstWait.Milliseconds(), cfg.MaxWait.Milliseconds(), cfg.Forget.Milliseconds()}
}

func (s shared) begin(ctx context.Context, handle, address string, cfg Config) (time.Duration, error) {
	ms, err := beginScript.Run(ctx, s.rdb, []string{handle, address}, arguments(cfg, cfg.FreePerHandle)...).Int64()
	if err != nil {
		return 0, fmt.Errorf("count attempt: %w", err)
	}
	return max(time.Duration(ms)*time.Millisecond, 0), nil
}

func (s shared) fail(ctx context.Context, address string, cfg Config) error {
	if err := failScript.Run(ctx, s.rdb, []string{address}, arguments(cfg, cfg.FreePerAddress)...).Err(); err != nil {
		return fmt.Errorf("count failed attempt: %w", err)
	}
	return nil
}

func (s shared) reset(ctx context.Context, handle string) error {
	if err := s.rdb.Del(ctx, handle).Err(); err != nil {
		return fmt.Errorf("forget failed attempts: %w", err)
	}
	return nil
}

func (s shared) undo(ctx context.Context, handle string) error {
	if err := undoScript.Run(ctx, s.rdb, []string{handle}).Err(); err != nil {
		return fmt.Errorf("take attempt back: %w", err)
	}
	return nil
}
