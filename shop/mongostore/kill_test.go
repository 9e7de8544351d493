package mongostore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/x/mongo/driver/connstring"

	"pharos/internal/env"
	"pharos/internal/obs"
	"pharos/internal/teststack"
	"pharos/shop"
	"pharos/shop/busconn"
	"pharos/shop/bustest"
	"pharos/shop/mongostore"
)

// The test binary is also the two consumers, so that they can be killed.
const (
	childVariable = "PHAROS_SHOP_CHILD"
	tenYears      = 10 * 365 * 24 * time.Hour // the events of the tests lie far back
)

func TestMain(m *testing.M) {
	if group := os.Getenv(childVariable); group != "" {
		if err := child(group); err != nil {
			fmt.Fprintln(os.Stderr, group+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is cmd/ingest or cmd/analytics without HTTP, and with a collection in
// place of Elasticsearch.
func child(group string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	report := func(_ context.Context, err error) { fmt.Fprintln(os.Stderr, group+":", err) }
	tel, err := obs.Discard(group)
	if err != nil {
		return err
	}
	var cfg struct {
		MongoDB mongostore.Config
		Retry   shop.Retry
	}
	if err := env.Parse(&cfg); err != nil {
		return err
	}
	client, err := mongostore.Open(ctx, cfg.MongoDB)
	if err != nil {
		return err
	}
	bus, err := busconn.Open(busconn.Options{Consumer: group + "-1", Report: report})
	if err != nil {
		return err
	}
	var effect shop.Effect
	var wg sync.WaitGroup
	switch group {
	case shop.GroupIngest:
		events := client.NewEvents(mongostore.EventsConfig{Retention: time.Hour})
		effect = shop.NewIngest(events)
	case shop.GroupAnalytics:
		store, err := openWindows(ctx, cfg.MongoDB)
		if err != nil {
			return err
		}
		state := client.NewAnalytics(group+"-1", tenYears)
		if err := state.EnsureIndexes(ctx); err != nil {
			return err
		}
		a := shop.NewAnalytics(shop.AnalyticsOptions{
			AnalyticsConfig: shop.AnalyticsConfig{
				Delay: time.Hour, Idle: time.Second, Every: 100 * time.Millisecond, Top: 1000, StateTTL: tenYears,
			},
			State: state, Windows: store,
			Lag: func(ctx context.Context) (int64, error) {
				b, err := bus.Backlog(ctx, group)
				return b.Lag, err
			},
			Fields: map[string]string{"cloud.region": "test"}, Metrics: prometheus.NewRegistry(), Report: report, Now: time.Now,
		})
		effect = a
		wg.Go(func() { _ = a.Run(ctx) })
	}
	worker := shop.NewWorker(shop.WorkerOptions{
		Group: group, Effect: effect, Retry: cfg.Retry, Tracer: tel.Tracer,
		Metrics: shop.NewConsumerMetrics(tel.Metrics, group), Report: report, Now: time.Now,
	})
	err = bus.Consume(ctx, group, worker.Handle)
	wg.Wait()
	return errors.Join(err, bus.Close())
}

// windows is a collection that, like a data stream, takes an id once.
type windows struct{ coll *mongo.Collection }

func openWindows(ctx context.Context, cfg mongostore.Config) (*windows, error) {
	cs, err := connstring.ParseAndValidate(cfg.URI)
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(ctx, options.Client().ApplyURI(cfg.URI).
		SetAuth(options.Credential{AuthSource: cs.Database, Username: cfg.User, Password: cfg.Password.Reveal()}))
	if err != nil {
		return nil, err
	}
	return &windows{client.Database(cs.Database).Collection("windows")}, nil
}

type kept struct {
	ID   string `bson:"_id"`
	Body string
}

func (w *windows) Create(ctx context.Context, documents []shop.Document) (map[string]string, error) {
	docs := make([]any, len(documents))
	for i, d := range documents {
		docs[i] = kept{d.ID, string(d.Body)}
	}
	_, err := w.coll.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	if mongo.IsDuplicateKeyError(err) {
		err = nil
	}
	return nil, err
}

// victim is a consumer that is killed and started again.
type victim struct {
	group       string
	environ     []string
	calm, leave chan struct{} // closed to end the killing, and the process
	done        chan struct{}
	kills       int
}

func startVictim(t *testing.T, group string, environ []string) *victim {
	v := &victim{group: group, environ: environ, calm: make(chan struct{}), leave: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(v.done)
		for v.live(t) {
			v.kills++
		}
	}()
	return v
}

// live is one life of the process. It returns true when it was killed, and
// false when it was asked to end.
func (v *victim) live(t *testing.T) bool {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(v.environ, childVariable+"="+v.group)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return false
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	death := time.After(time.Duration(200+rand.IntN(800)) * time.Millisecond)
	for {
		select {
		case <-death:
			select {
			case <-v.calm:
				death = nil
				continue
			default:
			}
			_ = cmd.Process.Kill()
			<-exited
			return true
		case err := <-exited:
			t.Errorf("%s ended by itself: %v", v.group, err)
			return false
		case <-v.leave:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := <-exited; err != nil {
				t.Errorf("%s did not stop in order: %v", v.group, err)
			}
			return false
		}
	}
}

// Both consumers are killed at random moments, over and over, while events
// come, some of them twice. Nothing is lost, and nothing counts twice.
func TestKill(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		teststack.Need(t)
		killing(t, map[string]string{"BUS": "redis", "REDIS_DB": "8"})
	})
	t.Run("kafka", func(t *testing.T) {
		teststack.Need(t)
		settings := maps.Clone(bustest.Kafka(t))
		settings["BUS"] = "kafka"
		killing(t, settings)
	})
}

func killing(t *testing.T, settings map[string]string) {
	const patience = 2 * time.Minute
	client, uri := openAt(t)
	events := client.NewEvents(mongostore.EventsConfig{Retention: time.Hour})
	if err := errors.Join(events.EnsureIndexes(t.Context()), client.NewAnalytics("test", tenYears).EnsureIndexes(t.Context())); err != nil {
		t.Fatal(err)
	}
	name := "test-" + uuid.NewString()
	maps.Copy(settings, map[string]string{
		"MONGODB_URI": uri, "BUS_STREAM": name, "KAFKA_TOPIC": name, "BUS_BATCH": "20", "BUS_CLAIM_AFTER": "2s", "BUS_MAX_DELIVERIES": "1000",
	})
	var environ []string
	for name, value := range settings {
		t.Setenv(name, value)
		environ = append(environ, name+"="+value)
	}
	bus, err := busconn.Open(busconn.Options{Consumer: "publisher", Report: func(_ context.Context, err error) { t.Log(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })

	victims := []*victim{startVictim(t, shop.GroupIngest, environ), startVictim(t, shop.GroupAnalytics, environ)}
	random := rand.New(rand.NewPCG(3, 4))
	sent := randomEvents(t, random, 2000)
	var plain []shop.Event
	for i := 0; i < len(sent); i += 10 {
		var batch []shop.Message
		for _, e := range sent[i : i+10] {
			plain = append(plain, e.Event)
			batch = append(batch, shop.Message{Key: e.Visitor(), Value: e.Raw})
		}
		batch = append(batch, batch[0]) // a client that sends again
		if err := bus.Publish(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, v := range victims {
		close(v.calm)
	}
	want := expect(plain).asSums()
	var got map[string]map[string]int64
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		var docs []kept
		if err := client.Find(t.Context(), "windows", &docs); err != nil {
			t.Fatal(err)
		}
		var written []shop.Document
		for _, d := range docs {
			written = append(written, shop.Document{ID: d.ID, Body: json.RawMessage(d.Body)})
		}
		got = sum(t, written)
		for _, s := range got {
			delete(s, "shop.late") // which those are depends on the kills
		}
		var raw []bson.Raw
		if err := client.Find(t.Context(), "shop_events", &raw); err != nil {
			t.Fatal(err)
		}
		if len(raw) == len(plain) && cmp.Equal(want, got) {
			break
		}
	}
	time.Sleep(time.Second) // anything that would count twice had its chance
	for _, v := range victims {
		close(v.leave)
		<-v.done
		t.Logf("%s was killed %d times", v.group, v.kills)
		if v.kills < 5 {
			t.Errorf("%s was killed %d times only", v.group, v.kills)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sums of windows (-want +got):\n%s", diff)
	}
	var raw []bson.Raw
	if err := client.Find(t.Context(), "shop_events", &raw); err != nil || len(raw) != len(plain) {
		t.Errorf("%d raw events instead of %d, error %v", len(raw), len(plain), err)
	}
	if dead, err := bus.DeadLetters(t.Context(), 10); err != nil || len(dead) != 0 {
		t.Errorf("dead letters %v, error %v", dead, err)
	}
}
