// Command jobs runs long tasks from the queue, and saves function metrics.
package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"

	"pharos/funcmetrics"
	"pharos/funcmetrics/redisqueue"
	"pharos/funcmetrics/sqlstore"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
	"pharos/internal/process"
	"pharos/internal/redisconn"
	"pharos/jobs"
	"pharos/jobs/mongostore"
	"pharos/jobs/taskqueue"
)

var version = "dev" // set by the linker

type config struct {
	Jobs         jobs.Config
	Workers      taskqueue.WorkersConfig
	Record       funcmetrics.Config
	Save         funcmetrics.SaverConfig
	List         redisqueue.Config
	StartTimeout time.Duration `env:"START_TIMEOUT" envDefault:"60s"`

	MongoDB mongostore.Config
	Redis   redisconn.Config
	MySQL   sqlstore.Config
}

// Validate implements env.Validator.
func (c *config) Validate() error {
	for _, v := range []interface{ Validate() error }{c.Jobs, c.Workers, c.Record, c.Save} {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func main() { os.Exit(process.Main("jobs", version, wire)) }

func wire(ctx context.Context, p *process.Process, cfg *config) (http.Handler, error) {
	rdb, err := redisconn.Open(cfg.Redis)
	if err != nil {
		return nil, err
	}
	p.OnStop("redis", func(context.Context) error { return rdb.Close() })
	redisconn.RegisterMetrics(p.Metrics, "commands", rdb)
	store, err := mongostore.Open(ctx, cfg.MongoDB)
	if err != nil {
		return nil, err
	}
	p.OnStop("mongodb", store.Close)
	store.RegisterMetrics(p.Metrics)
	store.RegisterServerMetrics(p.Metrics)
	saved, err := sqlstore.Open(cfg.MySQL)
	if err != nil {
		return nil, err
	}
	p.OnStop("mysql", func(context.Context) error { return saved.Close() })
	saved.RegisterMetrics(p.Metrics)

	starting, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	if err := store.EnsureIndexes(starting); err != nil {
		return nil, err
	}
	if err := saved.Migrate(starting); err != nil {
		return nil, err
	}

	report := func(ctx context.Context, err error) {
		p.Log.Warn("degraded", append(apmzap.TraceContext(ctx), zap.Error(err))...)
	}
	queue := redisqueue.New(rdb, cfg.List)
	recorder := funcmetrics.NewRecorder(queue, cfg.Record, report)
	p.Go("function metrics", recorder.Run)
	saver := funcmetrics.NewSaver(queue, saved, cfg.Save, report)
	p.Go("saving function metrics", saver.Run)
	p.Go("forgetting function metrics", funcmetrics.Pruner{Archive: saved, Keep: cfg.Save.Keep, Now: time.Now, Report: report}.Run)

	tasks := jobs.Tasks()
	for name, compute := range tasks {
		tasks[name] = funcmetrics.Wrap(recorder, "jobs."+name, compute)
	}
	ended := endedJobs(p)
	work := taskqueue.NewQueue(rdb, cfg.Jobs)
	worker := &jobs.Worker{Store: store, Results: store, Tasks: tasks, Config: cfg.Jobs, Now: time.Now, Ended: ended}
	sweeper := &jobs.Sweeper{Store: store, Queue: work, Config: cfg.Jobs, Now: time.Now, Report: report, Ended: ended}
	p.Go("lost jobs", sweeper.Run)
	p.Go("workers", taskqueue.NewWorkers(rdb, cfg.Workers, worker, p.Tracer, p.Log).Run)

	recorder.RegisterMetrics(p.Metrics)
	registerMetrics(p.Metrics, saver, queue, work)
	return httpserver.NewRouter(p.Telemetry, httpserver.RouterOptions{
		Draining: p.Server.Draining,
		Checks: []httpserver.Check{
			{Name: "mongodb", Ready: store.Ping},
			{Name: "redis", Ready: func(ctx context.Context) error { return rdb.Ping(ctx).Err() }},
		},
	}), nil
}

// endedJobs counts and logs the jobs that have ended, with the time since they
// were asked for: what "95 % under 10 s" is measured by.
func endedJobs(p *process.Process) func(context.Context, jobs.Job) {
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "jobs_latency_seconds",
		Help:    "Time from when a job was asked for to its end.",
		Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600},
	}, []string{"task", "outcome"})
	p.Metrics.MustRegister(latency)
	return func(ctx context.Context, j jobs.Job) {
		took := j.FinishedAt.Sub(j.CreatedAt)
		latency.WithLabelValues(j.Task, string(j.State)).Observe(took.Seconds())
		outcome := "success"
		if j.State != jobs.Done {
			outcome = "failure"
		}
		user := zap.Skip()
		if !j.Guest {
			user = zap.String("user.id", j.Owner)
		}
		p.Log.Info("job ended", append(apmzap.TraceContext(ctx),
			zap.String("event.kind", "event"),
			zap.String("event.action", "job-ended"),
			zap.String("event.outcome", outcome),
			zap.Int64("event.duration", took.Nanoseconds()),
			user,
			zap.String("labels.job_id", j.ID),
			zap.String("labels.task", j.Task),
		)...)
	}
}

func registerMetrics(reg prometheus.Registerer, s *funcmetrics.Saver, list *redisqueue.Queue, work *taskqueue.Queue) {
	for _, m := range []struct {
		name, help string
		value      func() int64
	}{
		{"funcmetrics_saved_total", "Calls saved to MySQL.", s.Stats().Saved.Load},
		{"funcmetrics_rejected_total", "Entries of the list that were no valid records.", s.Stats().Rejected.Load},
		{"funcmetrics_save_failures_total", "Attempts to save that failed.", s.Stats().Failures.Load},
	} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.name, Help: m.help},
			func() float64 { return float64(m.value()) }))
	}
	reg.MustRegister(obs.Asked(func(context.Context) ([]float64, error) {
		s, err := work.State()
		return []float64{float64(s.Waiting), float64(s.Running), s.Oldest.Seconds()}, err
	}, obs.Gauge{Name: "jobs_queued", Help: "Jobs that wait for a worker."},
		obs.Gauge{Name: "jobs_running", Help: "Jobs that a worker is at, of all processes."},
		obs.Gauge{Name: "jobs_oldest_seconds", Help: "How long the first of the jobs that could run has waited; 0: none waits."}))
	reg.MustRegister(obs.Asked(func(ctx context.Context) ([]float64, error) {
		n, err := list.Len(ctx)
		return []float64{float64(n)}, err
	}, obs.Gauge{Name: "funcmetrics_listed", Help: "Calls that wait in Redis to be saved."}))
}
