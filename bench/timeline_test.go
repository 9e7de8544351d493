package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"pharos/feed"
	"pharos/feed/mongostore"
	"pharos/feed/rediscache"
	"pharos/funcmetrics"
	"pharos/internal/redisconn"
	"pharos/internal/resilience"
	"pharos/internal/teststack"
)

const (
	friends = 10
	posts   = 10 // of each
	limit   = 20
)

// timeline compares a page that is kept with a plain GET of as many bytes, and
// with a page that has to be made.
func timeline(t *testing.T) []figure {
	ctx := t.Context()
	cfg := teststack.Config[redisconn.Config](t)
	cfg.DB = 8
	plain, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	guarded, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = plain.Close(), guarded.Close() })
	metrics := resilience.NewMetrics(prometheus.NewRegistry())
	redisconn.Guard(guarded, cfg, metrics, zap.NewNop())

	store := feedStore(t, metrics)
	hasher, err := feed.NewHasher(1)
	if err != nil {
		t.Fatal(err)
	}
	report := func(_ context.Context, err error) { t.Log(err) }
	cache := rediscache.New(guarded, teststack.Config[rediscache.Config](t), time.Now)
	recorder := funcmetrics.NewRecorder(discard{}, teststack.Config[funcmetrics.Config](t), report)
	run(t, recorder.Run)
	service := feed.NewService(feed.Options{
		Store: store, Cache: cache, Sessions: cache, Hasher: hasher, SessionTTL: time.Hour, FreshFor: time.Hour,
		Direct: 1, MakeWithin: 5 * time.Second, Now: time.Now, Report: report, Recorder: recorder,
	})
	run(t, service.Run)

	reader := newUser(t, service)
	for range friends {
		author := newUser(t, service)
		if err := service.Follow(ctx, reader.ID, author.Handle); err != nil {
			t.Fatal(err)
		}
		for i := range posts {
			if _, err := service.CreatePost(ctx, author.ID, fmt.Sprintf("Post %d: %s", i, strings.Repeat("word ", 20)), ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(want feed.Source) feed.Page {
		page, err := service.Timeline(ctx, reader.ID, limit, "")
		if err != nil {
			t.Fatal(err)
		}
		if want != "" && page.Source != want {
			t.Fatalf("read from %s instead of %s", page.Source, want)
		}
		return page
	}
	// A change that is told of late makes the first pages stale.
	deadline := time.Now().Add(10 * time.Second)
	for hits := 0; hits < 10; hits++ {
		if read("").Source != feed.FromCache {
			hits = 0
		}
		if time.Now().After(deadline) {
			t.Fatal("the page is not kept")
		}
		time.Sleep(10 * time.Millisecond)
	}
	page := read(feed.FromCache)
	key := "bench:" + uuid.NewString()
	if err := plain.Set(ctx, key, page.JSON, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	kept, err := plain.Keys(ctx, "timeline:"+reader.ID+":*").Result()
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept pages: %v %v", kept, err)
	}
	t.Cleanup(func() { plain.Del(context.Background(), append(kept, key)...) })

	const n = 500
	values := inTurn(31,
		func() float64 {
			start := time.Now()
			for range n {
				read(feed.FromCache)
			}
			return time.Since(start).Seconds() * 1e6 / n
		},
		func() float64 {
			start := time.Now()
			for range n {
				if b, err := plain.Get(ctx, key).Bytes(); err != nil || len(b) != len(page.JSON) {
					t.Fatal(len(b), err)
				}
			}
			return time.Since(start).Seconds() * 1e6 / n
		},
		func() float64 {
			var took time.Duration
			for range n / 10 {
				if err := plain.Del(ctx, kept...).Err(); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				read(feed.FromMongoDB)
				took += time.Since(start)
			}
			return took.Seconds() * 1e6 / (n / 10)
		})
	size := fmt.Sprintf("%d friends, %.1f kB", friends, float64(len(page.JSON))/1000)
	return []figure{
		{"feed, a page from the cache / Redis GET of its bytes (" + size + ")", pairs(values[0], values[1], over), "×", goal{atMost: 2}},
		{"feed, a page that is made / from the cache", pairs(values[2], values[0], over), "×", goal{atLeast: 5}},
		{"  of these, from the cache", values[0], "µs", goal{}},
	}
}

func feedStore(t *testing.T, metrics *resilience.Metrics) *mongostore.Store {
	t.Helper()
	cfg := teststack.Config[mongostore.SetupConfig](t)
	cfg.URI = strings.Replace(cfg.URI, "/pharos?", "/bench_"+uuid.NewString()+"?", 1)
	if err := mongostore.Setup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	store, err := mongostore.Open(t.Context(), cfg.Config, metrics, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = store.Drop(context.Background())
		_ = store.Close(context.Background())
	})
	if err := store.EnsureIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func newUser(t *testing.T, service *feed.Service) feed.User {
	t.Helper()
	u, err := service.SignUp(t.Context(), feed.SignUp{Handle: "b" + uuid.NewString()[:8], Name: "Bench", Password: "not a secret"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// run runs a part until the test ends.
func run(t *testing.T, part func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}
