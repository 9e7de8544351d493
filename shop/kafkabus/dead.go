package kafkabus

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"pharos/shop"
)

// bury keeps dead letters, each under an id of its own.
func (b *Bus) bury(ctx context.Context, dead []shop.DeadLetter) error {
	records := make([]*kgo.Record, len(dead))
	for i, d := range dead {
		id, err := uuid.NewV7() // in order of time
		if err != nil {
			return fmt.Errorf("make id: %w", err)
		}
		d.ID = id.String()
		text, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("encode dead letter: %w", err)
		}
		records[i] = &kgo.Record{Topic: b.dead, Key: []byte(d.ID), Value: text}
	}
	if err := b.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("publish to %s: %w", b.dead, err)
	}
	return nil
}

// DeadLetters implements shop.DeadLetters. It reads the whole topic, which is
// small, or something is very wrong.
func (b *Bus) DeadLetters(ctx context.Context, limit int) ([]shop.DeadLetter, error) {
	all, err := b.readDead(ctx)
	if err != nil {
		return nil, err
	}
	list := slices.SortedFunc(maps.Values(all), func(a, b shop.DeadLetter) int { return cmp.Compare(a.ID, b.ID) })
	return list[:min(limit, len(list))], nil
}

// DeadLetter implements shop.DeadLetters.
func (b *Bus) DeadLetter(ctx context.Context, id string) (shop.DeadLetter, error) {
	all, err := b.readDead(ctx)
	if err != nil {
		return shop.DeadLetter{}, err
	}
	d, ok := all[id]
	if !ok {
		return d, shop.ErrNoDeadLetter
	}
	return d, nil
}

// Drop implements shop.DeadLetters.
func (b *Bus) Drop(ctx context.Context, id string) error {
	if _, err := b.DeadLetter(ctx, id); err != nil {
		return err
	}
	if err := b.client.ProduceSync(ctx, &kgo.Record{Topic: b.dead, Key: []byte(id)}).FirstErr(); err != nil {
		return fmt.Errorf("publish to %s: %w", b.dead, err)
	}
	return nil
}

// quiet is how long the reader waits for more: compaction may have removed the
// very last message, so that its offset never comes.
const quiet = 3 * time.Second

func (b *Bus) readDead(ctx context.Context) (map[string]shop.DeadLetter, error) {
	if err := b.ensure(ctx); err != nil {
		return nil, err
	}
	ends, err := b.admin.ListEndOffsets(ctx, b.dead)
	if err != nil {
		return nil, fmt.Errorf("read offsets: %w", err)
	}
	end, _ := ends.Lookup(b.dead, 0)
	if err := ends.Error(); err != nil {
		return nil, fmt.Errorf("read offsets of %s: %w", b.dead, err)
	}
	out := map[string]shop.DeadLetter{}
	if end.Offset == 0 {
		return out, nil
	}
	client, err := kgo.NewClient(append(b.connection(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{b.dead: {0: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka: %w", err)
	}
	defer client.Close()
	for last := int64(-1); last < end.Offset-1; {
		poll, cancel := context.WithTimeout(ctx, quiet)
		fetches := client.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read %s: %w", b.dead, ctx.Err())
		}
		if fetches.NumRecords() == 0 {
			if err := fetches.Err0(); err != nil && poll.Err() == nil {
				return nil, fmt.Errorf("read %s: %w", b.dead, err)
			}
			break
		}
		var failed error
		fetches.EachRecord(func(r *kgo.Record) {
			last = r.Offset
			id := string(r.Key)
			var d shop.DeadLetter
			if r.Value == nil {
				delete(out, id)
			} else if err := json.Unmarshal(r.Value, &d); err != nil {
				failed = fmt.Errorf("decode dead letter %s: %w", id, err)
			} else {
				out[id] = d
			}
		})
		if failed != nil {
			return nil, failed
		}
	}
	return out, nil
}
