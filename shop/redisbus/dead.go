package redisbus

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"

	"pharos/shop"
)

const fieldLetter = "letter"

func encodeDead(d shop.DeadLetter) ([]any, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode dead letter: %w", err)
	}
	return []any{fieldLetter, text}, nil
}

func decodeDead(entry redis.XMessage) (shop.DeadLetter, error) {
	var d shop.DeadLetter
	text, _ := entry.Values[fieldLetter].(string)
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, fmt.Errorf("decode dead letter %s: %w", entry.ID, err)
	}
	d.ID = entry.ID
	return d, nil
}

// DeadLetters implements shop.DeadLetters.
func (b *Bus) DeadLetters(ctx context.Context, limit int) ([]shop.DeadLetter, error) {
	return b.readDead(ctx, "-", "+", limit)
}

// DeadLetter implements shop.DeadLetters.
func (b *Bus) DeadLetter(ctx context.Context, id string) (shop.DeadLetter, error) {
	if !validID(id) {
		return shop.DeadLetter{}, shop.ErrNoDeadLetter
	}
	found, err := b.readDead(ctx, id, id, 1)
	if err != nil {
		return shop.DeadLetter{}, err
	}
	if len(found) == 0 {
		return shop.DeadLetter{}, shop.ErrNoDeadLetter
	}
	return found[0], nil
}

func (b *Bus) readDead(ctx context.Context, from, to string, limit int) ([]shop.DeadLetter, error) {
	entries, err := b.rdb.XRangeN(ctx, b.dead, from, to, int64(limit)).Result()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", b.dead, err)
	}
	out := make([]shop.DeadLetter, 0, len(entries))
	for _, e := range entries {
		d, err := decodeDead(e)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Drop implements shop.DeadLetters.
func (b *Bus) Drop(ctx context.Context, id string) error {
	if !validID(id) {
		return shop.ErrNoDeadLetter
	}
	n, err := b.rdb.XDel(ctx, b.dead, id).Result()
	if err != nil {
		return fmt.Errorf("drop from %s: %w", b.dead, err)
	}
	if n == 0 {
		return shop.ErrNoDeadLetter
	}
	return nil
}

func validID(id string) bool { return idMillis(id) > 0 }
