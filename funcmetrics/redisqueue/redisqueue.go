// Package redisqueue keeps function metrics in Redis until they are saved.
//
//	metrics_list               list: records as JSON, the oldest first
//	app:metrics:<func_name>    hash: calls, errors and total_time (seconds) since Redis began
//	metrics_processing         sorted set: batches that a saver has taken, by the end of their lease
//	metrics_processing:<id>    list: the records of such a batch
//	metrics_pushed:<id>        mark of a batch that was pushed
//	metrics_rejected           list: the newest entries that were no records
//
// Each operation is one script, so that what it does is done at once or not at
// all.
package redisqueue

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"pharos/funcmetrics"
)

const (
	list       = "metrics_list"
	totals     = "app:metrics:"
	processing = "metrics_processing"
	pushed     = "metrics_pushed:"
	rejected   = "metrics_rejected"
)

// A batch is pushed again within seconds, if at all.
const pushedTTL = 10 * time.Minute

const keepRejected = 1000

// Config bounds the list.
type Config struct {
	// Max is how many records may wait. More are refused: 200,000 take about 50
	// MB, and a list is never evicted.
	Max int `env:"FUNCMETRICS_LIST_MAX" envDefault:"200000"`
}

// Queue implements funcmetrics.Sink, funcmetrics.Queue and funcmetrics.Live.
type Queue struct {
	rdb *redis.Client
	cfg Config

	push, take, remove, snapshot *redis.Script
}

//go:embed push.lua
var pushScript string

//go:embed take.lua
var takeScript string

//go:embed remove.lua
var removeScript string

//go:embed snapshot.lua
var snapshotScript string

// New returns a Queue in the Redis that rdb connects to.
func New(rdb *redis.Client, cfg Config) *Queue {
	return &Queue{
		rdb: rdb, cfg: cfg,
		push: redis.NewScript(pushScript), take: redis.NewScript(takeScript),
		remove: redis.NewScript(removeScript), snapshot: redis.NewScript(snapshotScript),
	}
}

// Push implements funcmetrics.Sink.
func (q *Queue) Push(ctx context.Context, batch string, rs []funcmetrics.Record) error {
	sums := map[string]*funcmetrics.Summary{}
	args := []any{q.cfg.Max, int(pushedTTL.Seconds()), len(rs)}
	for _, r := range rs {
		b, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode function metrics: %w", err)
		}
		args = append(args, b)
		if sums[r.FuncName] == nil {
			sums[r.FuncName] = &funcmetrics.Summary{}
		}
		sums[r.FuncName].Add(r)
	}
	keys := []string{list, pushed + batch}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		s := sums[name]
		keys = append(keys, totals+name)
		args = append(args, s.Calls, s.Errors, strconv.FormatFloat(s.Seconds, 'f', -1, 64))
	}
	took, err := q.push.Run(ctx, q.rdb, keys, args...).Bool()
	if err != nil {
		return fmt.Errorf("push to %s: %w", list, err)
	}
	if !took {
		return funcmetrics.ErrFull
	}
	return nil
}

// Len implements funcmetrics.Queue.
func (q *Queue) Len(ctx context.Context) (int, error) {
	n, err := q.rdb.LLen(ctx, list).Result()
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", list, err)
	}
	return int(n), nil
}

// Take implements funcmetrics.Queue.
func (q *Queue) Take(ctx context.Context, limit int, lease time.Duration) (funcmetrics.Batch, error) {
	answer, err := q.take.Run(ctx, q.rdb, []string{list, processing}, limit, lease.Milliseconds(), uuid.NewString()).StringSlice()
	if err != nil {
		return funcmetrics.Batch{}, fmt.Errorf("take from %s: %w", list, err)
	}
	if len(answer) == 0 {
		return funcmetrics.Batch{}, nil
	}
	rs, bad := decode(answer[1:])
	if len(bad) > 0 {
		if err := q.reject(ctx, bad); err != nil {
			return funcmetrics.Batch{}, err
		}
	}
	return funcmetrics.Batch{ID: answer[0], Records: rs, Rejected: len(bad)}, nil
}

// Remove implements funcmetrics.Queue.
func (q *Queue) Remove(ctx context.Context, id string) error {
	if err := q.remove.Run(ctx, q.rdb, []string{processing}, id).Err(); err != nil {
		return fmt.Errorf("remove from %s: %w", processing, err)
	}
	return nil
}

// Snapshot implements funcmetrics.Live.
func (q *Queue) Snapshot(ctx context.Context) ([]funcmetrics.Record, error) {
	entries, err := q.snapshot.Run(ctx, q.rdb, []string{list, processing}).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", list, err)
	}
	rs, _ := decode(entries)
	return rs, nil
}

func (q *Queue) reject(ctx context.Context, entries []any) error {
	_, err := q.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.LPush(ctx, rejected, entries...)
		pipe.LTrim(ctx, rejected, 0, keepRejected-1)
		return nil
	})
	if err != nil {
		return fmt.Errorf("push to %s: %w", rejected, err)
	}
	return nil
}

// decode reads records; bad are the entries that are none.
func decode(entries []string) (rs []funcmetrics.Record, bad []any) {
	rs = make([]funcmetrics.Record, 0, len(entries))
	for _, e := range entries {
		var r funcmetrics.Record
		if err := errors.Join(json.Unmarshal([]byte(e), &r), r.Validate()); err != nil {
			bad = append(bad, e)
			continue
		}
		rs = append(rs, r)
	}
	return rs, bad
}
