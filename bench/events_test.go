package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/apm/v2/apmtest"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	feedstore "pharos/feed/mongostore"
	"pharos/internal/mongoconn"
	"pharos/internal/redisconn"
	"pharos/internal/teststack"
	"pharos/load"
	"pharos/shop"
	"pharos/shop/mongostore"
	"pharos/shop/redisbus"
)

const (
	batch   = 500
	batches = 20
)

// events compares the way of events from the bus into MongoDB with a bulk
// insert of the same documents into a collection with the same indexes.
func events(t *testing.T) []figure {
	direct, viaBus := directInsert(t), fromBus(t)
	rates := inTurn(15, func() float64 { return viaBus(t) }, func() float64 { return direct(t) })
	return []figure{
		{"events from the bus into MongoDB / direct bulk insert", pairs(rates[0], rates[1], over), "×", goal{atLeast: .5}},
		{"  of these, from the bus", rates[0], "events/s", goal{}},
		{"  of these, direct", rates[1], "events/s", goal{}},
		{"POST /v1/events until stored, batches of 500", endToEnd(t), "events/s", goal{}},
	}
}

func newEvents(t *testing.T, n int, at time.Time) []shop.Received {
	t.Helper()
	out := make([]shop.Received, n)
	for i := range out {
		text := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/shop","type":"shop.purchase","time":%q,
			"data":{"session_id":"s%d","user_id":"u%d","order_id":"o%d","amount":19.99,"currency":"EUR","country":"DE","note":"unknown here, kept there"}}`,
			uuid.NewString(), at.Format(time.RFC3339Nano), i%100, i%50, i)
		e, err := shop.ParseEvent([]byte(text), at)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = shop.Received{Event: e, ReceivedAt: at}
	}
	return out
}

// ownStore is a database of the test's own with the collection of raw events,
// and a connection that knows nothing of ours.
func ownStore(t *testing.T) (*mongostore.Events, *mongo.Collection) {
	t.Helper()
	setup := teststack.Config[feedstore.SetupConfig](t)
	cfg := teststack.Config[mongostore.Config](t)
	cfg.URI = strings.Replace(cfg.URI, "/pharos?", "/bench_"+uuid.NewString()+"?", 1)
	setup.URI = cfg.URI
	if err := feedstore.Setup(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
	client, err := mongostore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	db, _, err := mongoconn.Connect(t.Context(), mongoconn.Config(cfg), options.Client())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Drop(context.Background())
		_ = client.Close(context.Background())
		_ = db.Client().Disconnect(context.Background())
	})
	store := client.NewEvents(mongostore.EventsConfig{Retention: time.Hour})
	if err := store.EnsureIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store, db.Collection("shop_events")
}

// directInsert measures events a second.
func directInsert(t *testing.T) func(*testing.T) float64 {
	_, coll := ownStore(t)
	return func(t *testing.T) float64 {
		all := make([][]any, batches)
		for b := range all {
			for _, e := range newEvents(t, batch, time.Now()) {
				var event bson.M
				if err := json.Unmarshal(e.Raw, &event); err != nil {
					t.Fatal(err)
				}
				all[b] = append(all[b], bson.D{
					{Key: "_id", Value: e.Key()}, {Key: "type", Value: e.Type}, {Key: "time", Value: e.Time},
					{Key: "received_at", Value: e.ReceivedAt}, {Key: "event", Value: event},
				})
			}
		}
		start := time.Now()
		for _, docs := range all {
			if _, err := coll.InsertMany(t.Context(), docs); err != nil {
				t.Fatal(err)
			}
		}
		return batches * batch / time.Since(start).Seconds()
	}
}

// fromBus measures events a second: read, parsed, traced, inserted,
// acknowledged.
func fromBus(t *testing.T) func(*testing.T) float64 {
	cfg := teststack.Config[redisconn.Config](t)
	cfg.DB = 8
	rdb, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	report := func(_ context.Context, err error) { t.Log(err) }
	settings := teststack.Config[redisbus.Config](t)
	settings.Stream, settings.MaxLength = "bench:"+uuid.NewString(), 1<<30
	bus := redisbus.New(rdb, redisbus.Options{Config: settings, Consumer: "bench", Groups: []string{shop.GroupIngest}, Report: report, Now: time.Now})
	t.Cleanup(func() {
		rdb.Del(context.Background(), settings.Stream, settings.Stream+":lost")
		_ = bus.Close()
	})
	store, _ := ownStore(t)
	worker := shop.NewWorker(shop.WorkerOptions{
		Group: shop.GroupIngest, Effect: shop.NewIngest(store), Tracer: apmtest.DiscardTracer, Report: report, Now: time.Now,
		Metrics: shop.NewConsumerMetrics(prometheus.NewRegistry(), shop.GroupIngest), Retry: teststack.Config[shop.Retry](t),
	})
	return func(t *testing.T) float64 {
		for range batches {
			var messages []shop.Message
			for _, e := range newEvents(t, batch, time.Now()) {
				messages = append(messages, shop.Message{Key: e.Visitor(), Value: e.Raw})
			}
			if err := bus.Publish(t.Context(), messages); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		left := batches * batch
		var took time.Duration
		start := time.Now()
		if err := bus.Consume(ctx, shop.GroupIngest, func(ctx context.Context, m []shop.Message) ([]shop.DeadLetter, error) {
			dead, err := worker.Handle(ctx, m)
			if left -= len(m); left == 0 {
				took = time.Since(start)
				cancel()
			}
			return dead, err
		}); err != nil {
			t.Fatal(err)
		}
		return batches * batch / took.Seconds()
	}
}

// endToEnd sends events through nginx and api, and measures how many a second
// the running ingest has stored in MongoDB when the last of them is there.
func endToEnd(t *testing.T) []float64 {
	client, err := load.NewClient(os.Getenv("PHAROS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Prepare(t.Context(), 1, os.Getenv("DEMO_PASSWORD")); err != nil {
		t.Fatal(err)
	}
	cfg := teststack.Config[mongostore.Config](t)
	db, _, err := mongoconn.Connect(t.Context(), mongoconn.Config(cfg), options.Client())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Client().Disconnect(context.Background()) })
	round := func() float64 {
		at := time.Now().UTC().Truncate(time.Millisecond) // marks the events of this round
		var bodies [][]byte
		for range batches {
			var raw []json.RawMessage
			for _, e := range newEvents(t, batch, at) {
				raw = append(raw, e.Raw)
			}
			body, err := json.Marshal(raw)
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, body)
		}
		start := time.Now()
		for _, body := range bodies {
			a := client.Send(t.Context(), load.Request{
				User: 0, Method: http.MethodPost, Path: "/v1/events", ContentType: "application/cloudevents-batch+json", Body: body,
			})
			if a.Status != http.StatusAccepted {
				t.Fatalf("answered %d", a.Status)
			}
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			n, err := db.Collection("shop_events").CountDocuments(t.Context(), bson.D{{Key: "type", Value: shop.TypePurchase}, {Key: "time", Value: at}})
			if err != nil {
				t.Fatal(err)
			}
			if n == batches*batch {
				return float64(n) / time.Since(start).Seconds()
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d are stored after a minute", n, batches*batch)
			}
		}
	}
	return inTurn(5, round)[0]
}
