// Command analytics counts the shop's events in windows: from the bus, by way of
// MongoDB, into Elasticsearch.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"

	"pharos/elastic"
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

	MongoDB       mongostore.Config
	Elasticsearch elastic.Config
	Analytics     shop.AnalyticsConfig
	Retry         shop.Retry

	Redis  redisconn.Config
	Record funcmetrics.Config
	List   redisqueue.Config
}

// Validate implements env.Validator.
func (c *config) Validate() error {
	return errors.Join(c.Elasticsearch.Validate(), c.Analytics.Validate(), c.Retry.Validate(), c.Record.Validate())
}

func main() { os.Exit(process.Main("analytics", version, wire)) }

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
	state := mongo.NewAnalytics(p.Service.Node, cfg.Analytics.StateTTL)
	starting, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	if err := state.EnsureIndexes(starting); err != nil {
		return nil, err
	}
	es, err := elastic.New(cfg.Elasticsearch)
	if err != nil {
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
	analytics := shop.NewAnalytics(shop.AnalyticsOptions{
		AnalyticsConfig: cfg.Analytics, State: state, Windows: &windows{es: es},
		Lag: func(ctx context.Context) (int64, error) {
			b, err := bus.Backlog(ctx, shop.GroupAnalytics)
			return b.Lag, err
		},
		Fields: map[string]string{
			"service.name": p.Service.Name, "service.version": p.Service.Version,
			"service.environment": p.Service.Environment, "service.node.name": p.Service.Node, "cloud.region": p.Service.Region,
		},
		Metrics: p.Metrics, Report: report, Now: time.Now,
	})
	p.Go("windows", analytics.Run)

	metrics := shop.NewConsumerMetrics(p.Metrics, shop.GroupAnalytics)
	worker := shop.NewWorker(shop.WorkerOptions{
		Group: shop.GroupAnalytics, Effect: analytics, Retry: cfg.Retry,
		Tracer: p.Tracer, Metrics: metrics, Recorder: recorder, Report: report, Now: time.Now,
	})
	p.Go("backlog", func(ctx context.Context) error { return metrics.Watch(ctx, bus, shop.GroupAnalytics, report) })
	p.Go("consumer", func(ctx context.Context) error { return bus.Consume(ctx, shop.GroupAnalytics, worker.Handle) })

	// Without Elasticsearch the windows wait in the outbox.
	return httpserver.NewRouter(p.Telemetry, httpserver.RouterOptions{
		Draining: p.Server.Draining,
		Checks:   []httpserver.Check{{Name: "bus", Ready: bus.Ping}, {Name: "mongodb", Ready: mongo.Ping}},
	}), nil
}
