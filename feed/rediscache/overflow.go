package rediscache

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"

	"pharos/feed"
)

const (
	overflowStream = "requests:overflow"
	// More is refused: as many requests take about half of what the native Redis
	// may use, and a stream is never evicted.
	overflowMax = 500_000
)

// overflowed is a request with the fields that its JSON for users leaves out.
type overflowed struct {
	feed.Request
	ID          string `json:"id"`
	UserID      string `json:"user_id"`
	TraceParent string `json:"traceparent"`
}

// Push implements feed.Overflow.
func (c *Cache) Push(ctx context.Context, rs []feed.Request) error {
	length, err := c.Overflowed(ctx)
	if err != nil {
		return err
	}
	if length+int64(len(rs)) > overflowMax {
		return fmt.Errorf("%s is full: it holds %d requests", overflowStream, length)
	}
	_, err = c.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, r := range rs {
			b, err := json.Marshal(overflowed{r, r.ID, r.UserID, r.TraceParent})
			if err != nil {
				return fmt.Errorf("encode request: %w", err)
			}
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: overflowStream, Values: []any{"request", b}})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("push to %s: %w", overflowStream, err)
	}
	return nil
}

// Overflowed is how many requests wait in the overflow.
func (c *Cache) Overflowed(ctx context.Context) (int64, error) {
	length, err := c.rdb.XLen(ctx, overflowStream).Result()
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", overflowStream, err)
	}
	return length, nil
}

// Peek implements feed.Overflow. An entry that can't be read has a handle but
// gives no request, so that it is removed and does not block the rest.
func (c *Cache) Peek(ctx context.Context, limit int) ([]feed.Request, []string, error) {
	entries, err := c.rdb.XRangeN(ctx, overflowStream, "-", "+", int64(limit)).Result()
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", overflowStream, err)
	}
	rs := make([]feed.Request, 0, len(entries))
	handles := make([]string, len(entries))
	for i, e := range entries {
		handles[i] = e.ID
		text, _ := e.Values["request"].(string)
		var o overflowed
		if json.Unmarshal([]byte(text), &o) != nil || o.ID == "" {
			continue
		}
		o.Request.ID, o.Request.UserID, o.Request.TraceParent = o.ID, o.UserID, o.TraceParent
		rs = append(rs, o.Request)
	}
	return rs, handles, nil
}

// Remove implements feed.Overflow.
func (c *Cache) Remove(ctx context.Context, handles []string) error {
	if err := c.rdb.XDel(ctx, overflowStream, handles...).Err(); err != nil {
		return fmt.Errorf("remove from %s: %w", overflowStream, err)
	}
	return nil
}
