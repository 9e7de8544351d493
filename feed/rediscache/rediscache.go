// Package rediscache keeps in Redis what feed can do without: pages of
// timelines, the standing of sessions, and requests that MySQL can't take.
package rediscache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"pharos/feed"
)

// Config is how long things are kept.
type Config struct {
	// TimelineTTL is how long a page is kept to be served while MongoDB is
	// away; see feed.Options.FreshFor for how long it is fresh.
	TimelineTTL time.Duration `env:"TIMELINE_TTL" envDefault:"1h"`
	// SessionFreshFor is how long a session's standing is relied on;
	// SessionTTL, how long it is known while MongoDB is away.
	SessionFreshFor time.Duration `env:"SESSION_FRESH_FOR" envDefault:"15s"`
	SessionTTL      time.Duration `env:"SESSION_CACHE_TTL" envDefault:"15m"`
}

// Validate implements env.Validator.
func (c *Config) Validate() error {
	if c.SessionFreshFor > 15*time.Second {
		return errors.New("SESSION_FRESH_FOR may be at most 15s: api caches for as long again, and a suspension must hold within 30s")
	}
	if c.TimelineTTL < time.Second || c.SessionTTL < c.SessionFreshFor {
		return errors.New("TIMELINE_TTL must be at least 1s, and SESSION_CACHE_TTL at least SESSION_FRESH_FOR")
	}
	return nil
}

// Cache implements feed.TimelineCache, feed.SessionCache and feed.Overflow.
//
// A page is a hash timeline:{user}:{limit}:{before} with the fields body,
// count, made (unix milliseconds), origins (the keys of the versions that it
// depends on, separated by spaces), versions (their values) and set (a hash of
// origins). An origin's version is a random string under version:{origin}, set anew by each change. The version outlives every
// page that was made before the change, so that its absence always means the
// same: no change for as long as any page is kept. Redis must therefore evict
// by the shortest time to live first (maxmemory-policy volatile-ttl).
type Cache struct {
	rdb   *redis.Client
	cfg   Config
	now   func() time.Time
	known *knownOrigins
}

// New returns a cache on rdb, which the caller closes.
func New(rdb *redis.Client, cfg Config, now func() time.Time) *Cache {
	return &Cache{rdb: rdb, cfg: cfg, now: now, known: newKnownOrigins()}
}

// Ping reports whether Redis answers.
func (c *Cache) Ping(ctx context.Context) error { return c.rdb.Ping(ctx).Err() }

func pageKey(k feed.PageKey) string {
	return "timeline:" + k.UserID + ":" + strconv.Itoa(k.Limit) + ":" + k.Before
}

func versionKey(o feed.Origin) string { return "version:" + string(o) }

// readPage compares the versions and returns the page in one round trip. The
// keys of the versions are known only from the page itself, so it needs a
// Redis where all keys are on one server (replicas are fine, Cluster is not).
//
//nolint:gochecknoglobals // a constant that go-redis makes by a function
var readPage = redis.NewScript(`
local e = redis.call('HMGET', KEYS[1], 'origins', 'versions', 'body', 'count', 'made', 'set')
if not e[1] then return false end
local keys = {}
for k in string.gmatch(e[1], '%S+') do keys[#keys + 1] = k end
local versions = {}
for from = 1, #keys, 1000 do
  local part = redis.call('MGET', unpack(keys, from, math.min(from + 999, #keys)))
  for i = 1, #part do versions[#versions + 1] = part[i] or '' end
end
local changed = '0'
if table.concat(versions, ' ') ~= e[2] then changed = '1' end
local origins = ''
if #keys <= tonumber(ARGV[1]) then origins = e[1] end
return {e[3], e[4], e[5], changed, e[6] or '', origins}
`)

// Page implements feed.TimelineCache.
func (c *Cache) Page(ctx context.Context, key feed.PageKey) (feed.Kept, bool, error) {
	name := pageKey(key)
	if o, ok := c.known.of(name); ok {
		if kept, ok, err := c.pageOf(ctx, name, o); ok || err != nil {
			return kept, ok, err
		}
	}
	answer, err := readPage.Run(ctx, c.rdb, []string{name}, maxKnown).StringSlice()
	if errors.Is(err, redis.Nil) {
		return feed.Kept{}, false, nil
	}
	if err != nil {
		return feed.Kept{}, false, fmt.Errorf("read page: %w", err)
	}
	if len(answer) != 6 {
		return feed.Kept{}, false, fmt.Errorf("read page: %d values instead of 6", len(answer))
	}
	c.known.add(name, answer[4], answer[5])
	kept, err := decodePage(answer[0], answer[1], answer[2])
	kept.Changed = answer[3] == "1"
	return kept, err == nil, err
}

// pageOf reads a page whose origins are known. It returns false for a page that
// is not kept, or not as one of these origins: the script is to be asked then.
// The page is read before the versions, so that a change in between shows.
func (c *Cache) pageOf(ctx context.Context, name string, o origins) (feed.Kept, bool, error) {
	var page, versions *redis.SliceCmd
	if _, err := c.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		page = pipe.HMGet(ctx, name, "body", "count", "made", "set", "versions")
		versions = pipe.MGet(ctx, o.keys...)
		return nil
	}); err != nil {
		return feed.Kept{}, false, fmt.Errorf("read page: %w", err)
	}
	fields := texts(page.Val())
	if len(fields) != 5 || fields[3] != o.set {
		c.known.forget(name)
		return feed.Kept{}, false, nil
	}
	kept, err := decodePage(fields[0], fields[1], fields[2])
	kept.Changed = strings.Join(texts(versions.Val()), " ") != fields[4]
	return kept, err == nil, err
}

func decodePage(body, count, made string) (feed.Kept, error) {
	n, countErr := strconv.Atoi(count)
	ms, madeErr := strconv.ParseInt(made, 10, 64)
	if err := errors.Join(countErr, madeErr); err != nil {
		return feed.Kept{}, fmt.Errorf("read page: %w", err)
	}
	return feed.Kept{Page: feed.Page{JSON: []byte(body), Count: n}, MadeAt: time.UnixMilli(ms)}, nil
}

// texts are the values of an answer, "" for those that are not there.
func texts(values []any) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i], _ = v.(string)
	}
	return out
}

// Versions implements feed.TimelineCache.
func (c *Cache) Versions(ctx context.Context, origins []feed.Origin) ([]string, error) {
	keys := make([]string, len(origins))
	for i, o := range origins {
		keys[i] = versionKey(o)
	}
	values, err := c.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	return texts(values), nil
}

// Keep implements feed.TimelineCache.
func (c *Cache) Keep(ctx context.Context, key feed.PageKey, p feed.Kept, origins []feed.Origin, versions []string) error {
	keys := make([]string, len(origins))
	for i, o := range origins {
		keys[i] = versionKey(o)
	}
	name, joined := pageKey(key), strings.Join(keys, " ")
	_, err := c.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.HSet(ctx, name,
			"origins", joined, "set", setOf(joined), "versions", strings.Join(versions, " "),
			"body", p.JSON, "count", p.Count, "made", p.MadeAt.UnixMilli())
		pipe.PExpire(ctx, name, jitter(c.cfg.TimelineTTL))
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep page: %w", err)
	}
	return nil
}

// jitter takes up to a tenth off, so that what was kept at once does not expire
// at once.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/10+1) }

// Changed implements feed.TimelineCache.
func (c *Cache) Changed(ctx context.Context, o feed.Origin) error {
	if err := c.rdb.Set(ctx, versionKey(o), uuid.NewString(), 2*c.cfg.TimelineTTL).Err(); err != nil {
		return fmt.Errorf("set version: %w", err)
	}
	return nil
}

func sessionKey(id string) string { return "session:" + id }

// Standing implements feed.SessionCache. A standing is kept as its word and the
// time at which it was read, in unix milliseconds.
func (c *Cache) Standing(ctx context.Context, sessionID string) (feed.Standing, bool, error) {
	text, err := c.rdb.Get(ctx, sessionKey(sessionID)).Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read standing: %w", err)
	}
	word, at, _ := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return "", false, fmt.Errorf("read standing: %w", err)
	}
	s := feed.Standing(word)
	return s, s == feed.Ended || c.now().Sub(time.UnixMilli(ms)) < c.cfg.SessionFreshFor, nil
}

// remember leaves an end alone.
//
//nolint:gochecknoglobals // as readPage
var remember = redis.NewScript(`
local old = redis.call('GET', KEYS[1])
if old and string.sub(old, 1, #ARGV[3]) == ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

// Remember implements feed.SessionCache.
func (c *Cache) Remember(ctx context.Context, sessionID string, s feed.Standing) error {
	err := remember.Run(ctx, c.rdb, []string{sessionKey(sessionID)}, c.standing(s), c.cfg.SessionTTL.Milliseconds(), string(feed.Ended)+" ").Err()
	if err != nil {
		return fmt.Errorf("remember standing: %w", err)
	}
	return nil
}

// End implements feed.SessionCache. It is remembered for longer than any
// standing that was remembered before.
func (c *Cache) End(ctx context.Context, sessionID string) error {
	if err := c.rdb.Set(ctx, sessionKey(sessionID), c.standing(feed.Ended), c.cfg.SessionTTL+time.Minute).Err(); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

func (c *Cache) standing(s feed.Standing) string {
	return string(s) + " " + strconv.FormatInt(c.now().UnixMilli(), 10)
}
