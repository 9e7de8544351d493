// Command api runs Service One, the public HTTP edge.
package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"

	"pharos/api"
	"pharos/funcmetrics"
	"pharos/funcmetrics/redisqueue"
	"pharos/funcmetrics/sqlstore"
	"pharos/internal/attempts"
	"pharos/internal/idempotency"
	"pharos/internal/process"
	"pharos/internal/ratelimit"
	"pharos/internal/redisconn"
	"pharos/internal/resilience"
	"pharos/jobs"
	"pharos/jobs/mongostore"
	"pharos/jobs/taskqueue"
	"pharos/shop"
	"pharos/shop/busconn"
	"pharos/shop/redisbus"
)

var version = "dev" // set by the linker

type config struct {
	API         api.Config
	Redis       redisconn.Config
	RateLimit   ratelimit.Config
	SignIns     attempts.Config
	Idempotency idempotency.Config
	Jobs        jobs.Config
	Guests      jobs.GuestConfig
	JobStore    mongostore.Config
	Record      funcmetrics.Config
	List        redisqueue.Config
	Functions   sqlstore.Config
	Shop        shop.Limits
	Dedupe      redisbus.DedupeConfig
	KeysPerUser int `env:"API_KEYS_PER_USER" envDefault:"20"` // feed's, for /docs
}

// Validate implements env.Validator.
func (c *config) Validate() error {
	for _, v := range []interface{ Validate() error }{&c.API, c.SignIns, c.Jobs, c.Guests, c.Record} {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func main() { os.Exit(process.Main("api", version, wire)) }

// wire opens what api shares with other processes. It waits for none of it: the
// tasks work without any store.
func wire(ctx context.Context, p *process.Process, cfg *config) (http.Handler, error) {
	report := func(ctx context.Context, err error) {
		p.Log.Warn("degraded", append(apmzap.TraceContext(ctx), zap.Error(err))...)
	}
	rdb, err := redisconn.Open(cfg.Redis)
	if err != nil {
		return nil, err
	}
	p.OnStop("redis", func(context.Context) error { return rdb.Close() })
	metrics := resilience.NewMetrics(p.Metrics)
	redisconn.RegisterMetrics(p.Metrics, "commands", rdb)
	redisconn.Guard(rdb, cfg.Redis, metrics, p.Log)
	limiter, err := ratelimit.New(rdb, cfg.RateLimit)
	if err != nil {
		return nil, err
	}
	signIns, err := attempts.New(rdb, cfg.SignIns, time.Now)
	if err != nil {
		return nil, err
	}

	store, err := mongostore.Open(ctx, cfg.JobStore)
	if err != nil {
		return nil, err
	}
	p.OnStop("mongodb", store.Close)
	store.RegisterMetrics(p.Metrics)
	work := &jobs.Service{
		Store: store, Results: store, Queue: taskqueue.NewQueue(rdb, cfg.Jobs), Config: cfg.Jobs, Now: time.Now, Report: report,
	}

	saved, err := sqlstore.Open(cfg.Functions)
	if err != nil {
		return nil, err
	}
	p.OnStop("mysql", func(context.Context) error { return saved.Close() })
	saved.RegisterMetrics(p.Metrics)
	live := redisqueue.New(rdb, cfg.List)
	recorder := funcmetrics.NewRecorder(live, cfg.Record, report)
	p.Go("function metrics", recorder.Run)
	recorder.RegisterMetrics(p.Metrics)

	bus, err := busconn.Open(busconn.Options{Consumer: p.Service.Node, Report: report, Metrics: p.Metrics})
	if err != nil {
		return nil, err
	}
	p.OnStop("bus", func(context.Context) error { return bus.Close() })

	server, err := api.NewServer(&cfg.API, api.Parts{
		Limiter: limiter,
		SignIns: signIns,
		Keys:    idempotency.New(rdb, cfg.Idempotency, api.MaxAnyBody),
		Jobs:    work, JobLimits: cfg.Jobs.Limits,
		GuestJobs: &jobs.Guests{
			Service: work, Config: cfg.Guests, PerHour: ratelimit.NewQuota(rdb, "guest-jobs", cfg.Guests.PerHour, time.Hour),
		},
		Guests:    cfg.Guests,
		Functions: funcmetrics.Reader{Live: live, History: saved},
		Events: api.NewEvents(api.EventsOptions{
			Bus: bus, Dedupe: redisbus.NewDedupe(rdb, cfg.Dedupe), Limits: cfg.Shop, Metrics: shop.NewPublisherMetrics(p.Metrics), Now: time.Now,
		}),
		Recorder: recorder,
		Settings: api.Settings{RateLimit: cfg.RateLimit, Idempotency: cfg.Idempotency, Jobs: cfg.Jobs, Events: cfg.Shop, SignIns: cfg.SignIns, KeysPerUser: cfg.KeysPerUser},
	}, metrics, p.Telemetry, time.Now)
	if err != nil {
		return nil, err
	}
	return server.Router(p.Server.Draining), nil
}
