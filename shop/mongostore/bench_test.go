package mongostore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/apm/v2/apmtest"
	"go.mongodb.org/mongo-driver/bson"

	"pharos/internal/redisconn"
	"pharos/internal/teststack"
	"pharos/shop"
	"pharos/shop/mongostore"
	"pharos/shop/redisbus"
)

const benchBatch = 500

func benchEvents(b *testing.B, n int) []shop.Received {
	out := make([]shop.Received, n)
	for i := range out {
		text := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/shop","type":"shop.purchase","time":"2026-01-31T12:00:00Z",
			"data":{"session_id":"s%d","user_id":"u%d","order_id":"o%d","amount":19.99,"currency":"EUR","country":"DE","note":"unknown here, kept there"}}`,
			uuid.NewString(), i%100, i%50, i)
		e, err := shop.ParseEvent([]byte(text), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		out[i] = shop.Received{Event: e, ReceivedAt: time.Now()}
	}
	return out
}

// BenchmarkDirectInsert writes the documents that Events makes, with nothing
// else around it: what the next one is to be compared with.
func BenchmarkDirectInsert(b *testing.B) {
	_, uri := openAt(b)
	cfg := teststack.Config[mongostore.Config](b)
	cfg.URI = uri
	w, err := openWindows(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	coll := w.coll
	for b.Loop() {
		b.StopTimer()
		docs := make([]any, benchBatch)
		for i, e := range benchEvents(b, benchBatch) {
			var event bson.M
			if err := json.Unmarshal(e.Raw, &event); err != nil {
				b.Fatal(err)
			}
			docs[i] = bson.D{
				{Key: "_id", Value: e.Key()}, {Key: "type", Value: e.Type}, {Key: "time", Value: e.Time},
				{Key: "received_at", Value: e.ReceivedAt}, {Key: "event", Value: event},
			}
		}
		b.StartTimer()
		if _, err := coll.InsertMany(b.Context(), docs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*benchBatch)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkBusToMongoDB takes events from Redis Streams through worker and
// store: read, parse, trace, insert, acknowledge.
func BenchmarkBusToMongoDB(b *testing.B) {
	cfg := teststack.Config[redisconn.Config](b)
	cfg.DB = 8
	rdb, err := redisconn.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	report := func(_ context.Context, err error) { b.Log(err) }
	stream := "bench:" + uuid.NewString()
	bus := redisbus.New(rdb, redisbus.Options{
		Config:   redisbus.Config{Stream: stream, Batch: benchBatch, Retention: time.Hour, HardRetention: time.Hour, MaxLength: 1 << 30, ClaimAfter: time.Minute, MaxDeliveries: 10, MaxDead: 10},
		Consumer: "bench", Groups: []string{shop.GroupIngest}, Report: report, Now: time.Now,
	})
	b.Cleanup(func() {
		rdb.Del(context.Background(), stream, stream+":lost")
		_ = bus.Close()
	})
	store := open(b).NewEvents(mongostore.EventsConfig{Retention: time.Hour})
	if err := store.EnsureIndexes(b.Context()); err != nil {
		b.Fatal(err)
	}
	worker := shop.NewWorker(shop.WorkerOptions{
		Group: shop.GroupIngest, Effect: shop.NewIngest(store), Tracer: apmtest.DiscardTracer, Report: report, Now: time.Now,
		Metrics: shop.NewConsumerMetrics(prometheus.NewRegistry(), shop.GroupIngest),
		Retry:   shop.Retry{MaxTries: 1, Pause: time.Second, MaxPause: time.Second, ApplyTimeout: 10 * time.Second},
	})
	const batches = 20
	total := 0
	for b.Loop() {
		b.StopTimer()
		for range batches {
			var batch []shop.Message
			for _, e := range benchEvents(b, benchBatch) {
				batch = append(batch, shop.Message{Key: e.Visitor(), Value: e.Raw})
			}
			if err := bus.Publish(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(b.Context())
		left := batches * benchBatch
		b.StartTimer()
		if err := bus.Consume(ctx, shop.GroupIngest, func(ctx context.Context, batch []shop.Message) ([]shop.DeadLetter, error) {
			dead, err := worker.Handle(ctx, batch)
			if left -= len(batch); left == 0 {
				cancel()
			}
			return dead, err
		}); err != nil {
			b.Fatal(err)
		}
		total += batches * benchBatch
		cancel()
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
}
