// Command feed runs Service Two: the social feed on MongoDB, Redis and MySQL.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"

	"pharos/feed"
	"pharos/feed/feedhttp"
	"pharos/feed/mongostore"
	"pharos/feed/rediscache"
	"pharos/feed/sqlstore"
	"pharos/funcmetrics"
	"pharos/funcmetrics/redisqueue"
	"pharos/internal/env"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
	"pharos/internal/process"
	"pharos/internal/redisconn"
	"pharos/internal/resilience"
)

var version = "dev" // set by the linker

type config struct {
	InternalKey env.Secret `env:"INTERNAL_KEY,required,notEmpty"`
	// InternalFormerKeys are accepted, too, while INTERNAL_KEY is changed.
	InternalFormerKeys []env.Secret  `env:"INTERNAL_FORMER_KEYS"`
	SessionTTL         time.Duration `env:"SESSION_TTL" envDefault:"24h"`
	KeysPerUser        int           `env:"API_KEYS_PER_USER" envDefault:"20"`
	// RequestTimeout is the longest that a request may take; api's is longer.
	RequestTimeout  time.Duration `env:"FEED_REQUEST_TIMEOUT" envDefault:"4s"`
	MaxInFlight     int           `env:"FEED_MAX_IN_FLIGHT" envDefault:"256"`
	PasswordsAtOnce int           `env:"PASSWORDS_AT_ONCE" envDefault:"2"`
	FreshFor        time.Duration `env:"TIMELINE_FRESH_FOR" envDefault:"5m"`
	Direct          int           `env:"TIMELINES_WITHOUT_CACHE" envDefault:"16"`
	TrackQueue      int           `env:"TRACK_QUEUE" envDefault:"10000"`
	TrackBatch      int           `env:"TRACK_BATCH" envDefault:"500"`
	TrackEvery      time.Duration `env:"TRACK_EVERY" envDefault:"200ms"`
	StartTimeout    time.Duration `env:"START_TIMEOUT" envDefault:"60s"`

	Record funcmetrics.Config
	List   redisqueue.Config

	MongoDB mongostore.Config
	Redis   redisconn.Config
	Cache   rediscache.Config
	MySQL   sqlstore.Config
}

// Validate implements env.Validator.
func (c *config) Validate() error {
	if c.KeysPerUser < 0 {
		return errors.New("API_KEYS_PER_USER must not be negative")
	}
	return c.Cache.Validate()
}

func main() { os.Exit(process.Main("feed", version, wire)) }

func wire(ctx context.Context, p *process.Process, cfg *config) (http.Handler, error) {
	keys, err := feedhttp.NewKeys(cfg.InternalKey, cfg.InternalFormerKeys, time.Now)
	if err != nil {
		return nil, err
	}
	hasher, err := feed.NewHasher(cfg.PasswordsAtOnce)
	if err != nil {
		return nil, err
	}
	metrics := resilience.NewMetrics(p.Metrics)
	rdb, err := redisconn.Open(cfg.Redis)
	if err != nil {
		return nil, err
	}
	p.OnStop("redis", func(context.Context) error { return rdb.Close() })
	redisconn.RegisterMetrics(p.Metrics, "commands", rdb)
	redisconn.Guard(rdb, cfg.Redis, metrics, p.Log)
	cache := rediscache.New(rdb, cfg.Cache, time.Now)

	mongo, err := mongostore.Open(ctx, cfg.MongoDB, metrics, p.Log)
	if err != nil {
		return nil, err
	}
	p.OnStop("mongodb", mongo.Close)
	mongo.RegisterMetrics(p.Metrics)

	requests, err := sqlstore.Open(cfg.MySQL, p.Telemetry, metrics)
	if err != nil {
		return nil, err
	}
	p.OnStop("mysql", func(context.Context) error { return requests.Close() })
	requests.RegisterMetrics(p.Metrics)

	starting, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	if err := mongo.EnsureIndexes(starting); err != nil {
		return nil, err
	}
	if err := requests.Migrate(starting); err != nil {
		return nil, err
	}

	report := func(ctx context.Context, err error) {
		p.Log.Warn("degraded", append(apmzap.TraceContext(ctx), zap.Error(err))...)
	}
	tracker := feed.NewTracker(feed.TrackerOptions{
		Store: requests, Overflow: cache, Queue: cfg.TrackQueue, Batch: cfg.TrackBatch, Every: cfg.TrackEvery, Report: report,
	})
	registerTracker(p.Metrics, tracker, cache)
	p.Go("request tracking", tracker.Run)

	recorder := funcmetrics.NewRecorder(redisqueue.New(rdb, cfg.List), cfg.Record, report)
	p.Go("function metrics", recorder.Run)
	recorder.RegisterMetrics(p.Metrics)
	service := feed.NewService(feed.Options{
		Store: mongo, Cache: cache, Sessions: cache, Hasher: hasher, SessionTTL: cfg.SessionTTL, KeysPerUser: cfg.KeysPerUser,
		FreshFor: cfg.FreshFor, Direct: cfg.Direct, MakeWithin: cfg.RequestTimeout, Now: time.Now, Report: report, Recorder: recorder,
	})
	p.Go("cache invalidation and use of keys", service.Run)

	// Redis and MySQL can be done without, so that readiness needs MongoDB only.
	router := httpserver.NewRouter(p.Telemetry, httpserver.RouterOptions{
		Draining: p.Server.Draining,
		Checks:   []httpserver.Check{{Name: "mongodb", Ready: mongo.Ping}},
	})
	router.Use(httpserver.Shed(cfg.MaxInFlight, p.Metrics), httpserver.CallerDeadline(cfg.RequestTimeout))
	(&feedhttp.Server{Service: service, Requests: requests, Tracker: tracker, Keys: keys, Now: time.Now}).Register(router)
	return router, nil
}

func registerTracker(reg prometheus.Registerer, t *feed.Tracker, cache *rediscache.Cache) {
	stats := t.Stats()
	for _, m := range []struct {
		name, help string
		value      func() int64
	}{
		{"feed_requests_tracked_total", "Requests saved to MySQL.", stats.Saved.Load},
		{"feed_requests_spilled_total", "Requests put into the overflow in Redis.", stats.Spilled.Load},
		{"feed_requests_restored_total", "Requests saved to MySQL from the overflow.", stats.Restored.Load},
		{"feed_requests_dropped_total", "Requests that were lost.", stats.Dropped.Load},
	} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.name, Help: m.help},
			func() float64 { return float64(m.value()) }))
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "feed_requests_queued", Help: "Requests that wait in memory to be saved."},
		func() float64 { return float64(t.Queued()) }))
	reg.MustRegister(obs.Asked(func(ctx context.Context) ([]float64, error) {
		n, err := cache.Overflowed(ctx)
		return []float64{float64(n)}, err
	}, obs.Gauge{Name: "feed_requests_overflowed", Help: "Requests of all feed processes that wait in Redis to be saved."}))
}
