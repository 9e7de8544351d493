// Command ingest keeps the shop's raw events: from the bus into MongoDB.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"

	"pharos/funcmetrics"
	"pharos/funcmetrics/redisqueue"
	"pharos/internal/httpserver"
	"pharos/internal/process"
	"pharos/internal/redisconn"
	"pharos/shop"
	"pharos/shop/busconn"
	"pharos/shop/mongostore"
)

var version = "dev" // set by the linker

type config struct {
	StartTimeout time.Duration `env:"START_TIMEOUT" envDefault:"60s"`

	MongoDB mongostore.Config
	Events  mongostore.EventsConfig
	Retry   shop.Retry

	Redis  redisconn.Config
	Record funcmetrics.Config
	List   redisqueue.Config
}

// Validate implements env.Validator.
func (c *config) Validate() error {
	return errors.Join(c.Retry.Validate(), c.Record.Validate())
}

func main() { os.Exit(process.Main("ingest", version, wire)) }

func wire(ctx context.Context, p *process.Process, cfg *config) (http.Handler, error) {
	report := func(ctx context.Context, err error) {
		p.Log.Warn("degraded", append(apmzap.TraceContext(ctx), zap.Error(err))...)
	}
	mongo, err := mongostore.Open(ctx, cfg.MongoDB)
	if err != nil {
		return nil, err
	}
	p.OnStop("mongodb", mongo.Close)
	mongo.RegisterMetrics(p.Metrics)
	events := mongo.NewEvents(cfg.Events)
	starting, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	if err := events.EnsureIndexes(starting); err != nil {
		return nil, err
	}

	rdb, err := redisconn.Open(cfg.Redis)
	if err != nil {
		return nil, err
	}
	p.OnStop("redis", func(context.Context) error { return rdb.Close() })
	redisconn.RegisterMetrics(p.Metrics, "commands", rdb)
	recorder := funcmetrics.NewRecorder(redisqueue.New(rdb, cfg.List), cfg.Record, report)
	p.Go("function metrics", recorder.Run)
	recorder.RegisterMetrics(p.Metrics)

	bus, err := busconn.Open(busconn.Options{Consumer: p.Service.Node, Report: report, Metrics: p.Metrics})
	if err != nil {
		return nil, err
	}
	p.OnStop("bus", func(context.Context) error { return bus.Close() })
	metrics := shop.NewConsumerMetrics(p.Metrics, shop.GroupIngest)
	worker := shop.NewWorker(shop.WorkerOptions{
		Group: shop.GroupIngest, Effect: shop.NewIngest(events), Retry: cfg.Retry,
		Tracer: p.Tracer, Metrics: metrics, Recorder: recorder, Report: report, Now: time.Now,
	})
	p.Go("backlog", func(ctx context.Context) error { return metrics.Watch(ctx, bus, shop.GroupIngest, report) })
	p.Go("consumer", func(ctx context.Context) error { return bus.Consume(ctx, shop.GroupIngest, worker.Handle) })

	return httpserver.NewRouter(p.Telemetry, httpserver.RouterOptions{
		Draining: p.Server.Draining,
		Checks:   []httpserver.Check{{Name: "bus", Ready: bus.Ping}, {Name: "mongodb", Ready: mongo.Ping}},
	}), nil
}
