package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/elastic/apm-data/model/modeljson"
	"github.com/elastic/apm-data/model/modelpb"
	"github.com/elastic/go-docappender/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/fastjson"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
)

// documentOverhead is what a document in the queue costs besides its bytes; it
// also bounds their number.
const documentOverhead = 512

// maxBatch is how many documents are queued together at most.
const maxBatch = 10_000

// queue holds documents until they are put into a bulk request.
//
// docappender bounds its own buffer by the number of documents only, and lets
// Add wait on it as long as the caller will. Here the room for a whole batch is
// taken in bytes before its first Add, so that memory has a limit, a batch is
// queued whole or not at all, and Add never waits.
type queue struct {
	appender *docappender.Appender
	delivery *delivery
	log      *zap.Logger
	dropped  *prometheus.CounterVec

	room *semaphore.Weighted
	size int64
	used atomic.Int64
	wait time.Duration
}

func newQueue(log *zap.Logger, es Transport, cfg Config, dropped *prometheus.CounterVec) (*queue, error) {
	d := newDelivery(es, log)
	appender, err := docappender.New(d, docappender.Config{
		Logger:             newFailureLog(log),
		MaxRequests:        cfg.BulkRequests,
		FlushBytes:         cfg.FlushBytes,
		FlushInterval:      cfg.FlushInterval,
		DocumentBufferSize: int(cfg.QueueBytes / documentOverhead),
		// Without its template a data stream would become a plain index with
		// guessed mappings, which would then be in the stream's way.
		RequireDataStream: true,
		// Single documents are refused like this when a shard is overloaded or
		// just starting. They go with a later bulk request.
		MaxDocumentRetries:    5,
		RetryOnDocumentStatus: []int{http.StatusTooManyRequests, http.StatusServiceUnavailable},
		// Scaling is for more processors than two, and makes the order in
		// which documents arrive a matter of chance.
		Scaling: docappender.ScalingConfig{Disabled: true},
	})
	if err != nil {
		return nil, fmt.Errorf("start document appender: %w", err)
	}
	return &queue{
		appender: appender, delivery: d, log: log, dropped: dropped,
		room: semaphore.NewWeighted(cfg.QueueBytes), size: cfg.QueueBytes, wait: cfg.QueueWait,
	}, nil
}

// ProcessBatch queues the events' documents. It returns errQueueFull or
// errStopping, and then has queued none.
func (q *queue) ProcessBatch(ctx context.Context, b *modelpb.Batch) error {
	return q.add(ctx, q.encode(*b))
}

// newDocument returns one of a batch of so many. A batch must fit into an empty
// queue, whatever its size.
func (q *queue) newDocument(index string, json []byte, batch int) *document {
	return &document{
		index: index, json: json, release: q.release,
		weight: min(int64(len(json))+documentOverhead, q.size/int64(batch)),
	}
}

// most is how many documents can be queued together.
func (q *queue) most() int { return int(min(maxBatch, q.size/documentOverhead)) }

// add queues the documents of a batch, at most q.most(). It returns errQueueFull
// or errStopping, and then has queued none.
func (q *queue) add(ctx context.Context, docs []*document) error {
	if len(docs) == 0 {
		return nil
	}
	if q.delivery.hurried.Err() != nil {
		// A closed appender may still take documents, and then keeps them.
		q.dropped.WithLabelValues(droppedStopping).Add(float64(len(docs)))
		return errStopping
	}
	var total int64
	for _, d := range docs {
		total += d.weight
	}
	// Events that were read are worth keeping though their client has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.wait)
	defer cancel()
	if err := q.room.Acquire(ctx, total); err != nil {
		q.dropped.WithLabelValues(droppedQueueFull).Add(float64(len(docs)))
		return errQueueFull
	}
	q.used.Add(total)
	for i, d := range docs {
		if err := q.appender.Add(ctx, d.index, d); err != nil {
			reason, cause := droppedQueueFull, errQueueFull
			if errors.Is(err, docappender.ErrClosed) {
				reason, cause = droppedStopping, errStopping
			}
			q.dropped.WithLabelValues(reason).Add(float64(len(docs) - i))
			for _, d := range docs[i:] {
				q.release(d.weight)
			}
			return cause
		}
	}
	return nil
}

// encode returns the documents of a batch.
func (q *queue) encode(b modelpb.Batch) []*document {
	docs := make([]*document, 0, len(b))
	for _, e := range b {
		var w fastjson.Writer
		if err := modeljson.MarshalAPMEvent(e, &w); err != nil {
			q.dropped.WithLabelValues(droppedUnencodable).Inc()
			q.log.Warn("event can't be encoded", zap.Error(err))
			continue
		}
		ds := e.DataStream
		docs = append(docs, q.newDocument(ds.Type+"-"+ds.Dataset+"-"+ds.Namespace, w.Bytes(), len(b)))
	}
	return docs
}

func (q *queue) release(weight int64) {
	q.used.Add(-weight)
	q.room.Release(weight)
}

// close delivers what is in the queue, until ctx ends.
func (q *queue) close(ctx context.Context) error {
	before := q.appender.Stats().Failed
	q.delivery.hurry()
	// The appender itself would not give up its last requests when ctx ends.
	defer context.AfterFunc(ctx, q.delivery.abort)()
	// Its error repeats every failure since the start; the count below is what
	// is new.
	_ = q.appender.Close(ctx)
	s := q.appender.Stats()
	if lost := s.Failed - before + s.Active; lost > 0 {
		return fmt.Errorf("%d documents were lost, Elasticsearch did not take them in time", lost)
	}
	return nil
}

// document is an encoded event on its way into a bulk request.
type document struct {
	index   string
	json    []byte
	weight  int64
	release func(int64)
}

// WriteTo puts the document into a bulk request's buffer, and so makes room in
// the queue. It is called once.
func (d *document) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(d.json)
	d.release(d.weight)
	return int64(n), err
}
