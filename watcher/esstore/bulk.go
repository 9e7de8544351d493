package esstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"pharos/watcher"
	"pharos/watcher/document"
)

// operation is one line pair of a bulk call.
type operation struct {
	action      string // index, create, update
	index, id   string
	seqNo       *int64 // with primaryTerm: only if the document is still that one
	primaryTerm int64
	body        json.RawMessage
}

// outcome is what became of an operation.
type outcome struct {
	written
	err error
}

// bulk writes operations by one call. The error is that of the whole call.
func bulk(ctx context.Context, es watcher.Elasticsearch, refresh bool, operations []operation) ([]outcome, error) {
	var body bytes.Buffer
	for _, o := range operations {
		meta := map[string]any{"_index": o.index, "_id": o.id}
		if o.seqNo != nil {
			meta["if_seq_no"], meta["if_primary_term"] = *o.seqNo, o.primaryTerm
		}
		line, err := json.Marshal(map[string]any{o.action: meta})
		if err != nil {
			return nil, err
		}
		body.Write(line)
		body.WriteByte('\n')
		body.Write(o.body) // Marshal writes no line breaks
		body.WriteByte('\n')
	}
	path := "/_bulk?filter_path=items.*.status,items.*.error.type,items.*.error.reason,items.*._version,items.*._seq_no,items.*._primary_term,items.*.result"
	if refresh {
		path += "&refresh=true"
	}
	status, answer, err := es.Do(ctx, http.MethodPost, path, body.Bytes())
	if err != nil {
		return nil, err
	}
	if err := refusal(status, answer); err != nil {
		return nil, err
	}
	var parsed struct {
		Items []map[string]struct {
			written
			Status int `json:"status"`
			Error  struct {
				Type   string `json:"type"`
				Reason string `json:"reason"`
			} `json:"error"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &parsed); err != nil {
		return nil, fmt.Errorf("read the answer to a bulk call: %w", err)
	}
	if len(parsed.Items) != len(operations) {
		return nil, fmt.Errorf("%d answers to a bulk call of %d", len(parsed.Items), len(operations))
	}
	outcomes := make([]outcome, len(operations))
	for i, item := range parsed.Items {
		for _, o := range item {
			outcomes[i] = outcome{written: o.written}
			if o.Status/100 == 2 {
				continue
			}
			text, err := document.Marshal(document.NewObject(
				document.Pair{Key: "error", Value: document.NewObject(
					document.Pair{Key: "type", Value: o.Error.Type}, document.Pair{Key: "reason", Value: o.Error.Reason})},
				document.Pair{Key: "status", Value: int64(o.Status)}))
			if err != nil {
				return nil, err
			}
			outcomes[i].err = refusal(o.Status, text)
		}
	}
	return outcomes, nil
}

const (
	// gather is how long the first of a batch waits for others.
	gather = 50 * time.Millisecond
	// batchTimeout bounds a batch's call.
	batchTimeout = 30 * time.Second
)

// batcher writes operations that come at about the same time by one call.
type batcher struct {
	es watcher.Elasticsearch

	mu      sync.Mutex
	waiting []*pending
}

type pending struct {
	operation
	done chan outcome
}

// do writes an operation and returns what became of it. It is written even if
// ctx ends meanwhile.
func (b *batcher) do(ctx context.Context, o operation) (written, error) {
	p := &pending{operation: o, done: make(chan outcome, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, p)
	first := len(b.waiting) == 1
	b.mu.Unlock()
	if first {
		go b.flush(context.WithoutCancel(ctx))
	}
	select {
	case out := <-p.done:
		return out.written, out.err
	case <-ctx.Done():
		return written{}, ctx.Err()
	}
}

func (b *batcher) flush(ctx context.Context) {
	time.Sleep(gather)
	b.mu.Lock()
	batch := b.waiting
	b.waiting = nil
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	operations := make([]operation, len(batch))
	for i, p := range batch {
		operations[i] = p.operation
	}
	outcomes, err := bulk(ctx, b.es, false, operations)
	for i, p := range batch {
		if err != nil {
			p.done <- outcome{err: err}
			continue
		}
		p.done <- outcomes[i]
	}
}
