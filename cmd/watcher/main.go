// Command watcher runs watches written for Elastic's Watcher, and serves their
// REST API.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	randv2 "math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/incident"
	"pharos/internal/env"
	"pharos/internal/httpserver"
	"pharos/internal/process"
	"pharos/retention"
	"pharos/retention/sweep"
	"pharos/signals"
	"pharos/slo"
	"pharos/slo/rollup"
	"pharos/watcher"
	"pharos/watcher/action/email"
	"pharos/watcher/action/index"
	"pharos/watcher/action/logging"
	"pharos/watcher/action/pagerduty"
	"pharos/watcher/action/slack"
	"pharos/watcher/action/webhook"
	"pharos/watcher/alerthttp"
	"pharos/watcher/alerting"
	"pharos/watcher/alertstore"
	"pharos/watcher/document"
	"pharos/watcher/esstore"
	"pharos/watcher/httpcall"
	"pharos/watcher/lease"
	"pharos/watcher/mustache"
	"pharos/watcher/outbox"
	"pharos/watcher/pagerdutyhook"
	"pharos/watcher/scheduler"
	"pharos/watcher/shipped"
	"pharos/watcher/viewstore"
	"pharos/watcher/watchdog"
	"pharos/watcher/watcherhttp"
)

var version = "dev" // set by the linker

type config struct {
	// DefaultThrottle is that of watches and actions that name none.
	DefaultThrottle time.Duration `env:"WATCHER_THROTTLE" envDefault:"5s"`

	Elasticsearch elastic.Config
	Scheduler     scheduler.Config
	History       esstore.HistoryConfig
	HTTP          httpcall.Config
	Email         email.Account
	PagerDuty     pagerduty.Config
	Webhooks      pagerdutyhook.Config
	Slack         slack.Config
	Alerting      alerting.Config
	Incidents     incident.Config
	Outbox        outbox.Config
	Watchdog      watchdog.Config
	Shipped       shipped.Config
	Retention     retention.Config
	Signals       signals.Config
	// ObjectivesDir holds the objectives, *.yaml; empty: there are none.
	ObjectivesDir string `env:"OBJECTIVES_DIR"`
}

// Validate implements env.Validator.
func (c *config) Validate() error {
	var errs []error
	for _, v := range []env.Validator{&c.Elasticsearch, &c.Scheduler, &c.History, &c.HTTP, &c.Email, &c.PagerDuty, &c.Slack, &c.Alerting, &c.Incidents, &c.Outbox, &c.Watchdog, &c.Retention, &c.Signals} {
		errs = append(errs, v.Validate())
	}
	if c.DefaultThrottle < 0 {
		errs = append(errs, errors.New("WATCHER_THROTTLE must not be below 0"))
	}
	return errors.Join(errs...)
}

func main() { os.Exit(process.Main("watcher", version, wire)) }

func wire(_ context.Context, p *process.Process, cfg *config) (http.Handler, error) {
	report := func(ctx context.Context, err error) {
		p.Log.Warn("degraded", append(apmzap.TraceContext(ctx), zap.Error(err))...)
	}
	es, err := elastic.New(cfg.Elasticsearch)
	if err != nil {
		return nil, err
	}
	history := esstore.NewHistory(es, cfg.History, report)
	p.Go("history", history.Run)
	store := esstore.New(es, history)

	channels := newChannels(p, cfg)
	alerts := &alerting.Service{
		Store: &alertstore.Store{Elasticsearch: es}, Channels: channels.alerting(), Config: cfg.Alerting, Now: time.Now,
	}
	sender := &outbox.Sender{
		Store: &alertstore.Store{Elasticsearch: es}, Channels: channels.outbox(), Config: cfg.Outbox,
		Now: time.Now, Random: randv2.Float64, Report: report,
	}
	alerts.Outbox = sender
	p.Go("outbox", sender.Run)

	guarded := httpcall.NewClient(cfg.HTTP)
	p.OnStop("http client", func(context.Context) error { guarded.Close(); return nil })
	renderer := mustache.Renderer{Stored: store.StoredScript}
	engine := watcher.New(watcher.Config{
		Elasticsearch: es, Renderer: renderer, HTTP: guarded, DefaultThrottle: cfg.DefaultThrottle, Now: time.Now, NewID: uuid.NewString,
		Actions: map[string]watcher.ParseAction{
			"email":        email.Parser(email.Deps{Renderer: renderer, Account: cfg.Email, HTTP: guarded, NewID: uuid.NewString}),
			"index":        index.Parser(index.Deps{Elasticsearch: es}),
			"logging":      logging.Parser(logging.Deps{Renderer: renderer, Log: p.Log}),
			pagerduty.Name: pagerduty.Parser(pagerduty.Deps{Renderer: renderer, Config: cfg.PagerDuty, Router: alerts}),
			slack.Name:     slack.Parser(slack.Deps{Renderer: renderer, Config: cfg.Slack, Router: alerts}),
			"webhook":      webhook.Parser(webhook.Deps{Renderer: renderer, Client: guarded}),
		},
	})
	leases := lease.NewManager(cfg.Scheduler.Lease, store, p.Service.Node+"/"+rand.Text(), time.Now)
	sched := scheduler.New(scheduler.Options{
		Config: cfg.Scheduler, Store: store, Engine: engine,
		Leases:   leases,
		Executed: alerts.Executed, Node: p.Service.Node, NewID: uuid.NewString, Now: time.Now,
		Tracer: p.Tracer, Metrics: scheduler.NewMetrics(p.Metrics), Report: report,
	})
	sched.Watch(p.Metrics)
	noticed := sched.Notice(store)
	alerts.AckWatch = func(ctx context.Context, id string, actions []string) error {
		return scheduler.Acknowledge(ctx, noticed, id, actions, time.Now())
	}
	started := time.Now()
	dog := &watchdog.Watchdog{
		Config: cfg.Watchdog, Routes: channels.watchdog(),
		Key: "pharos-watchdog/" + p.Service.Environment + "/" + p.Service.Region, Where: "Pharos watcher, " + p.Service.Environment + " " + p.Service.Region,
		Health: func() watchdog.Health {
			h := sched.Health()
			if h.Connected.IsZero() {
				h.Connected = started
			}
			return watchdog.Health{Connected: h.Connected, Waiting: h.Waiting}
		},
		Now: time.Now, Report: report,
	}
	p.Go("watchdog", dog.Run)
	objectives, files, err := shippedFiles(cfg)
	if err != nil {
		return nil, err
	}
	loader := &shipped.Loader{Files: files, Engine: engine, Store: store, Now: time.Now}
	p.Go("shipped watches", func(ctx context.Context) error { return load(ctx, p.Log, loader) })
	minutes := &rollup.Rollup{
		Elasticsearch: es, Objectives: objectives, Stream: slo.RollupStream, Environment: p.Service.Environment, Log: p.Log, Now: time.Now,
	}
	p.Go("objectives", minutes.Run)
	p.Go("signals", newSignals(p, es, cfg.Signals).Run)
	p.Go("scheduler", sched.Run)
	sweeper := &sweep.Sweeper{
		Elasticsearch: es, Families: cfg.Retention.Families(), Records: cfg.Retention.Trimmed(), Every: cfg.Retention.Every,
		// One process of all: the one that runs the watches of this name's shard.
		May: func() bool { return leases.Holds(lease.Of("retention", cfg.Scheduler.Lease.Shards)) },
		Now: time.Now, Log: p.Log, Metrics: sweep.NewMetrics(p.Metrics),
	}
	p.Go("retention", sweeper.Run)

	incidents := newIncidents(es, alerts, cfg.Incidents, report)
	p.Go("incidents", incidents.Run)

	r := httpserver.NewRouter(p.Telemetry, httpserver.RouterOptions{
		Draining: p.Server.Draining,
		Checks:   []httpserver.Check{{Name: "elasticsearch", Ready: es.Ping}},
	})
	rights := newAuthorizer(es, time.Now)
	watcherhttp.Register(r, watcherhttp.Config{
		Engine: engine, Store: noticed, Service: service{sched}, Settings: store, Authorizer: rights, Executed: alerts.Executed,
		Node: p.Service.Node, Now: time.Now,
	})
	alerthttp.Register(r, alerthttp.Config{
		Authorizer: people{rights}, Alerts: alerts, Incidents: incidents, Watches: store, Views: &viewstore.Store{Elasticsearch: es},
		As: actAs(es), Now: time.Now, NewID: newID,
	})
	r.POST("/webhooks/pagerduty", gin.WrapH(&pagerdutyhook.Handler{Config: cfg.Webhooks, Alerts: alerts, Report: report}))
	return r, nil
}

// shippedFiles reads the objectives, and the watches that ship: those that are
// files, and those that the objectives ask for.
func shippedFiles(cfg *config) ([]slo.Objective, []shipped.File, error) {
	var files []shipped.File
	var objectives []slo.Objective
	var err error
	if cfg.Shipped.Dir != "" {
		if files, err = shipped.Files(os.DirFS(cfg.Shipped.Dir)); err != nil {
			return nil, nil, fmt.Errorf("WATCHES_DIR: %w", err)
		}
	}
	if cfg.ObjectivesDir == "" {
		return nil, files, nil
	}
	if objectives, err = slo.Load(os.DirFS(cfg.ObjectivesDir), "."); err != nil {
		return nil, nil, fmt.Errorf("OBJECTIVES_DIR: %w", err)
	}
	for _, o := range objectives {
		for _, w := range slo.Watches(o) {
			text, err := document.Marshal(w.Body)
			if err != nil {
				return nil, nil, fmt.Errorf("write watch %s: %w", w.ID, err)
			}
			files = append(files, shipped.File{ID: w.ID, Text: text})
		}
	}
	return objectives, files, nil
}

// load tries until the files are loaded or all that is wrong is in them.
func load(ctx context.Context, log *zap.Logger, l *shipped.Loader) error {
	const first, longest, tries = time.Second, 30 * time.Second, 100
	for try, pause := 1, first; ; try, pause = try+1, min(2*pause, longest) {
		sum, err := l.Load(ctx)
		log.Info(fmt.Sprintf("shipped watches: %d added, %d updated, %d unchanged, %d kept as people put them",
			sum.Added, sum.Updated, sum.Unchanged, sum.Kept), zap.Error(err))
		if err == nil || try == tries {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
