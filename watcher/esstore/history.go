package esstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
)

// HistoryConfig are the settings of how records are written.
type HistoryConfig struct {
	// Interval is how long a record waits at most to be written.
	Interval time.Duration `env:"WATCHER_HISTORY_INTERVAL" envDefault:"500ms"`
	// Buffer is how many bytes of records wait while Elasticsearch is away; those
	// beyond are lost, counted and reported.
	Buffer int64 `env:"WATCHER_HISTORY_BUFFER" envDefault:"67108864"`
}

// Validate checks the settings.
func (c *HistoryConfig) Validate() error {
	if c.Interval <= 0 || c.Buffer < 1<<20 {
		return errors.New("WATCHER_HISTORY_INTERVAL must be above 0 and WATCHER_HISTORY_BUFFER at least 1048576")
	}
	return nil
}

// History writes records many at once. Each has its own id, so that writing one
// again adds nothing.
type History struct {
	es     watcher.Elasticsearch
	cfg    HistoryConfig
	report func(ctx context.Context, err error)

	mu      sync.Mutex
	waiting []operation
	bytes   int64
	lost    int64
	full    chan struct{} // has a token when a whole batch waits
}

// NewHistory returns a History whose records wait until Run writes them. report
// is told of records that can't be written.
func NewHistory(es watcher.Elasticsearch, cfg HistoryConfig, report func(ctx context.Context, err error)) *History {
	return &History{es: es, cfg: cfg, report: report, full: make(chan struct{}, 1)}
}

// A batch is written when it has reached either of these.
const (
	batchRecords = 500
	batchBytes   = 4 << 20
)

var errHistoryFull = errors.New("the history's buffer is full")

func (h *History) add(r watcher.Record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record [%s]: %w", r.ID, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bytes+int64(len(body)) > h.cfg.Buffer {
		h.lost++
		return fmt.Errorf("write record [%s]: %w", r.ID, errHistoryFull)
	}
	h.waiting = append(h.waiting, operation{action: "create", index: historyAlias + "-" + r.At.UTC().Format("2006.01.02"), id: r.ID, body: body})
	h.bytes += int64(len(body))
	if len(h.waiting) >= batchRecords || h.bytes >= batchBytes {
		select {
		case h.full <- struct{}{}:
		default:
		}
	}
	return nil
}

// Waiting is how many records wait to be written, Lost how many found no room.
func (h *History) Waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting)
}

// Lost is how many records were lost for want of room.
func (h *History) Lost() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

const (
	longestPause = 15 * time.Second
	lastFlush    = 5 * time.Second
)

// Run writes until ctx ends, and then once more what still waits.
func (h *History) Run(ctx context.Context) error {
	pause := h.cfg.Interval
	for {
		select {
		case <-ctx.Done():
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			if err := h.Flush(closing); err != nil {
				h.report(closing, fmt.Errorf("%d records are not written: %w", h.Waiting(), err))
			}
			return nil
		case <-time.After(pause):
		case <-h.full:
		}
		if err := h.Flush(ctx); err != nil && ctx.Err() == nil {
			h.report(ctx, err)
			pause = min(2*pause, longestPause)
			continue
		}
		pause = h.cfg.Interval
	}
}

// Flush writes all that waits. What could not be written waits on, but for
// records that Elasticsearch will never take, which are reported.
func (h *History) Flush(ctx context.Context) error {
	for {
		h.mu.Lock()
		n, size := 0, 0
		for n < len(h.waiting) && n < batchRecords && size < batchBytes {
			size += len(h.waiting[n].body)
			n++
		}
		batch := h.waiting[:n:n]
		h.mu.Unlock()
		if n == 0 {
			return nil
		}
		outcomes, err := bulk(ctx, h.es, false, batch)
		if err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		var again []operation
		var failed error
		for i, o := range outcomes {
			var refused *document.Error
			switch {
			case o.err == nil, fault.Is(o.err, fault.Conflict): // there already
			case asRefused(o.err, &refused):
				h.report(ctx, fmt.Errorf("record [%s] is refused: %w", batch[i].id, o.err))
			default:
				again, failed = append(again, batch[i]), o.err
			}
		}
		h.mu.Lock()
		h.waiting = append(again, h.waiting[n:]...)
		h.bytes = 0
		for _, o := range h.waiting {
			h.bytes += int64(len(o.body))
		}
		h.mu.Unlock()
		if failed != nil {
			return fmt.Errorf("write records: %w", failed)
		}
	}
}
