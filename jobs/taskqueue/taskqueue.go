// Package taskqueue carries jobs to workers by asynq, a task queue in Redis.
package taskqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"
	"go.uber.org/zap"

	"pharos/jobs"
)

// The queues. Large jobs never take the workers that small ones need, and
// guests wait for users.
const (
	quick  = "quick"
	large  = "large"
	guests = "guests"
)

// payload is what the queue carries.
type payload struct {
	ID          string `json:"id"`
	TraceParent string `json:"traceparent,omitempty"`
}

// Queue implements jobs.Queue.
type Queue struct {
	client    *asynq.Client
	inspector *asynq.Inspector
	cfg       jobs.Config
}

// NewQueue returns a Queue in the Redis that rdb connects to; who opened rdb
// closes it.
func NewQueue(rdb *redis.Client, cfg jobs.Config) *Queue {
	return &Queue{asynq.NewClientFromRedisClient(rdb), asynq.NewInspectorFromRedisClient(rdb), cfg}
}

// State is how the queue stands.
type State struct {
	Waiting int // for a worker
	Running int
	// Oldest is how long the first of those that could run has waited; 0: none waits.
	Oldest time.Duration
}

// State asks how the queue stands.
func (q *Queue) State() (State, error) {
	// Those that are there: a queue comes into being with its first job.
	names, err := q.inspector.Queues()
	if err != nil {
		return State{}, fmt.Errorf("list queues: %w", err)
	}
	var s State
	for _, name := range names {
		info, err := q.inspector.GetQueueInfo(name)
		if err != nil {
			return State{}, fmt.Errorf("measure queue %s: %w", name, err)
		}
		s.Waiting += info.Pending + info.Scheduled + info.Retry
		s.Running += info.Active
		s.Oldest = max(s.Oldest, info.Latency)
	}
	return s, nil
}

// The worker's own limit comes first.
const timeoutSlack = time.Minute

// Enqueue implements jobs.Queue. What the queue has given up is begun anew.
func (q *Queue) Enqueue(ctx context.Context, j jobs.Job) error {
	body, err := json.Marshal(payload{j.ID, j.TraceParent})
	if err != nil {
		return err
	}
	name := queueOf(j)
	enqueue := func() error {
		_, err := q.client.EnqueueContext(ctx, asynq.NewTask(j.Task, body), asynq.Queue(name), asynq.TaskID(j.ID),
			asynq.MaxRetry(q.cfg.Retries), asynq.Timeout(q.cfg.Timeout+timeoutSlack))
		return err
	}
	err = enqueue()
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		info, infoErr := q.inspector.GetTaskInfo(name, j.ID)
		if infoErr != nil || info.State != asynq.TaskStateArchived {
			return nil // it is on its way, or has just ended
		}
		if err := q.inspector.DeleteTask(name, j.ID); err != nil && !errors.Is(err, asynq.ErrTaskNotFound) {
			return fmt.Errorf("enqueue job: %w", err)
		}
		if err = enqueue(); errors.Is(err, asynq.ErrTaskIDConflict) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("enqueue job: %w", err)
	}
	return nil
}

func queueOf(j jobs.Job) string {
	switch {
	case j.Guest:
		return guests
	case j.Large():
		return large
	}
	return quick
}

// WorkersConfig is how many jobs run at once in a process.
type WorkersConfig struct {
	Quick int `env:"JOBS_QUICK_AT_ONCE" envDefault:"1"` // workers for small jobs only
	Any   int `env:"JOBS_LARGE_AT_ONCE" envDefault:"1"` // workers for large jobs and those of guests; small ones first
	// Check is how often an idle worker looks for a job.
	Check time.Duration `env:"JOBS_CHECK_EVERY" envDefault:"200ms"`
	// Shutdown is how long a job may go on after the process was told to stop;
	// then it goes back into the queue.
	Shutdown time.Duration `env:"JOBS_SHUTDOWN_TIMEOUT" envDefault:"5s"`
}

// Validate implements env.Validator.
func (c WorkersConfig) Validate() error {
	if c.Quick < 1 || c.Any < 1 || c.Check <= 0 || c.Shutdown < 0 {
		return errors.New("JOBS_QUICK_AT_ONCE and JOBS_LARGE_AT_ONCE must be at least 1, JOBS_CHECK_EVERY more than 0s and JOBS_SHUTDOWN_TIMEOUT not negative")
	}
	return nil
}

// Workers runs jobs from the queue.
type Workers struct {
	servers []*asynq.Server
	handler asynq.Handler
}

// NewWorkers returns workers that hand each job to worker, in a transaction
// that goes on with the trace of the request that made it.
func NewWorkers(rdb *redis.Client, cfg WorkersConfig, worker *jobs.Worker, tracer *apm.Tracer, log *zap.Logger) *Workers {
	server := func(atOnce int, queues map[string]int) *asynq.Server {
		return asynq.NewServerFromRedisClient(rdb, asynq.Config{
			Concurrency: atOnce, Queues: queues, TaskCheckInterval: cfg.Check, DelayedTaskCheckInterval: time.Second, ShutdownTimeout: cfg.Shutdown,
			RetryDelayFunc: retryDelay, Logger: log.Named("asynq").Sugar(), LogLevel: asynq.WarnLevel,
		})
	}
	return &Workers{
		servers: []*asynq.Server{
			server(cfg.Quick, map[string]int{quick: 1}),
			server(cfg.Any, map[string]int{quick: 9, large: 3, guests: 1}),
		},
		handler: asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error { return run(ctx, t, worker, tracer) }),
	}
}

// retryDelay doubles from two seconds to a minute, with full jitter above one.
func retryDelay(n int, _ error, _ *asynq.Task) time.Duration {
	limit := min(time.Minute, 2*time.Second<<min(n, 10))
	return time.Second + rand.N(limit)
}

func run(ctx context.Context, t *asynq.Task, worker *jobs.Worker, tracer *apm.Tracer) (err error) {
	var p payload
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return fmt.Errorf("read task: %w: %w", err, asynq.SkipRetry)
	}
	var opts apm.TransactionOptions
	if parent, err := apmhttp.ParseTraceparentHeader(p.TraceParent); err == nil {
		opts.TraceContext = parent
	}
	tx := tracer.StartTransactionOptions("job "+t.Type(), "messaging", opts)
	defer tx.End()
	tx.Context.SetLabel("job_id", p.ID)
	ctx = apm.ContextWithTransaction(ctx, tx)
	tx.Outcome = "success"

	retried, _ := asynq.GetRetryCount(ctx)
	most, _ := asynq.GetMaxRetry(ctx)
	if err = worker.Run(ctx, p.ID, retried >= most); err != nil {
		tx.Outcome = "failure"
		if ctx.Err() == nil {
			apm.CaptureError(ctx, err).Send()
		}
	}
	return err
}

// Run works until ctx ends, and then until the jobs that are running are done
// or are back in the queue.
func (w *Workers) Run(ctx context.Context) error {
	var started []*asynq.Server
	defer func() {
		for _, s := range started {
			s.Stop() // none takes another job while the first still finishes
		}
		var ending sync.WaitGroup
		for _, s := range started {
			ending.Go(s.Shutdown)
		}
		ending.Wait()
	}()
	for _, s := range w.servers {
		if err := s.Start(w.handler); err != nil {
			return fmt.Errorf("start workers: %w", err)
		}
		started = append(started, s)
	}
	<-ctx.Done()
	return nil
}
