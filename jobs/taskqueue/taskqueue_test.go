package taskqueue_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.elastic.co/apm/v2"
	"go.elastic.co/apm/v2/apmtest"
	"go.uber.org/zap"

	feedstore "pharos/feed/mongostore"
	"pharos/internal/fault"
	"pharos/internal/redisconn"
	"pharos/internal/teststack"
	"pharos/jobs"
	"pharos/jobs/mongostore"
	"pharos/jobs/taskqueue"
	"pharos/tasks"
)

// testDB is a database of Redis that only these tests use: the queues have
// fixed names.
const testDB = 13

// beWorker makes this test's binary a worker, to be killed.
const beWorker = "TASKQUEUE_TEST_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(beWorker) == "" {
		os.Exit(m.Run())
	}
	s, err := open(&testing.B{}, apm.DefaultTracer())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s.worker.Tasks["fibonacci"] = func(ctx context.Context, _ jobs.Work) (jobs.Numbers, error) {
		fmt.Println("computing")
		<-ctx.Done()
		return jobs.Numbers{}, ctx.Err()
	}
	_ = s.workers.Run(context.Background())
}

type system struct {
	rdb     *redis.Client
	store   *mongostore.Store
	service *jobs.Service
	worker  *jobs.Worker
	workers *taskqueue.Workers
	sweeper *jobs.Sweeper
	queue   *taskqueue.Queue

	mu    sync.Mutex
	ended []jobs.Job
}

func open(t testing.TB, tracer *apm.Tracer) (*system, error) {
	redisCfg := teststack.Config[redisconn.Config](t)
	redisCfg.DB = testDB
	rdb, err := redisconn.Open(redisCfg)
	if err != nil {
		return nil, err
	}
	store, err := mongostore.Open(context.Background(), teststack.Config[mongostore.Config](t))
	if err != nil {
		return nil, err
	}
	cfg := jobs.Config{
		Limits:    jobs.Limits{FibonacciMaxN: 100_000_000, FactorialMaxN: 1_000_000},
		Retention: time.Hour, PerUser: 3, KeptUser: 5, Timeout: time.Minute, Retries: 1, Progress: 20 * time.Millisecond,
		StaleQueued: time.Millisecond, StaleRunning: 500 * time.Millisecond,
	}
	s := &system{rdb: rdb, store: store, queue: taskqueue.NewQueue(rdb, cfg)}
	ended := func(_ context.Context, j jobs.Job) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, j)
	}
	report := func(_ context.Context, err error) { t.Log(err) }
	s.service = &jobs.Service{Store: store, Results: store, Queue: s.queue, Config: cfg, Now: time.Now, Report: report}
	s.worker = &jobs.Worker{Store: store, Results: store, Tasks: jobs.Tasks(), Config: cfg, Now: time.Now, Ended: ended}
	s.sweeper = &jobs.Sweeper{Store: store, Queue: s.queue, Config: cfg, Now: time.Now, Report: report, Ended: ended}
	s.workers = taskqueue.NewWorkers(rdb, taskqueue.WorkersConfig{Quick: 1, Any: 1, Check: 20 * time.Millisecond, Shutdown: 100 * time.Millisecond},
		s.worker, tracer, zap.NewNop())
	return s, nil
}

// start opens a system with empty queues and a database of its own, its
// workers not yet running. A process that the test starts gets the same.
func start(t *testing.T) (*system, *apmtest.RecordingTracer) {
	cfg := teststack.Config[feedstore.SetupConfig](t)
	cfg.URI = strings.Replace(cfg.URI, "/pharos?", "/test_"+uuid.NewString()+"?", 1)
	t.Setenv("MONGODB_URI", cfg.URI)
	if err := feedstore.Setup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	tracer := apmtest.NewRecordingTracer()
	t.Cleanup(tracer.Close)
	s, err := open(t, tracer.Tracer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.store.Drop(context.Background()), s.store.Close(context.Background()), s.rdb.Close()); err != nil {
			t.Log(err)
		}
	})
	if err := errors.Join(s.rdb.FlushDB(t.Context()).Err(), s.store.EnsureIndexes(t.Context())); err != nil {
		t.Fatal(err)
	}
	return s, tracer
}

func (s *system) work(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.workers.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func (s *system) submit(t *testing.T, owner, task string, n uint64) jobs.Job {
	t.Helper()
	j, err := s.service.Submit(t.Context(), owner, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", jobs.Spec{Task: task, N: n})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (s *system) await(t *testing.T, j jobs.Job, what string, ok func(jobs.Job) bool) jobs.Job {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got, err := s.service.Get(t.Context(), j.Owner, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		if ok(got) {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %s after 20 s: %+v", what, got)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func in(state jobs.State) func(jobs.Job) bool {
	return func(j jobs.Job) bool { return j.State == state }
}

func TestJobsAreDone(t *testing.T) {
	s, tracer := start(t)
	if state, err := s.queue.State(); state != (taskqueue.State{}) || err != nil {
		t.Errorf("%d jobs wait before the first, %v", state, err)
	}
	owner := uuid.NewString()
	fibonacci, factorial := s.submit(t, owner, jobs.Fibonacci, 6_000_000), s.submit(t, owner, jobs.Factorial, 3000)
	if again := s.submit(t, owner, jobs.Factorial, 3000); again.ID != factorial.ID {
		t.Error("the same job was made twice")
	}
	if other := s.submit(t, uuid.NewString(), jobs.Factorial, 3000); other.ID == factorial.ID {
		t.Error("users share a job")
	}
	if state, err := s.queue.State(); state.Waiting != 3 || state.Running != 0 || state.Oldest <= 0 || err != nil {
		t.Errorf("%d jobs wait, %v", state, err)
	}
	s.work(t)
	s.await(t, factorial, "done", in(jobs.Done))
	done := s.await(t, fibonacci, "done", in(jobs.Done))
	if done.Progress != 1 || done.Result.Value.Digits != 1_253_926 || done.Attempt != 1 || done.FinishedAt.Before(done.StartedAt) {
		t.Errorf("done: %+v", done)
	}
	if again := s.submit(t, owner, jobs.Factorial, 3000); again.ID != factorial.ID || again.State != jobs.Done {
		t.Errorf("a job whose result is kept was made again: %+v", again)
	}
	for _, j := range []jobs.Job{fibonacci, factorial} {
		_, kept, err := s.service.Result(t.Context(), owner, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		unzipped, err := gzip.NewReader(kept)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Task, Value, Sum string
			N                uint64
		}
		if err := json.NewDecoder(unzipped).Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.Task != j.Task || got.N != j.N || j.Task == jobs.Factorial && (got.Value != tasks.Factorial(j.N).String() || got.Sum != "") ||
			j.Task == jobs.Fibonacci && (len(got.Value) != done.Result.Value.Digits || len(got.Sum) != len(got.Value)) {
			t.Errorf("%s: wrong result %.100s", j.Task, got.Value)
		}
	}
	tracer.Flush(nil)
	for _, tx := range tracer.Payloads().Transactions {
		if fmt.Sprintf("%x", tx.TraceID) != "0af7651916cd43dd8448eb211c80319c" || tx.Type != "messaging" || tx.Outcome != "success" {
			t.Errorf("transaction %+v", tx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended) != 3 {
		t.Errorf("%d jobs were told of", len(s.ended))
	}
}

func TestCancel(t *testing.T) {
	s, _ := start(t)
	owner := uuid.NewString()
	queued := s.submit(t, owner, jobs.Factorial, 10)
	if err := s.service.Cancel(t.Context(), owner, queued.ID); err != nil {
		t.Fatal(err)
	}
	running := s.submit(t, owner, jobs.Fibonacci, 100_000_000)
	s.work(t)
	s.await(t, running, "under way", func(j jobs.Job) bool { return j.Progress > 0 })
	if err := s.service.Cancel(t.Context(), owner, running.ID); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	// The worker is free for the next one.
	next := s.submit(t, owner, jobs.Fibonacci, 6_000_000)
	s.await(t, next, "done", in(jobs.Done))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the next job took %s", took)
	}
	for _, j := range []jobs.Job{queued, running} {
		if got := s.await(t, j, "cancelled", in(jobs.Cancelled)); got.ExpiresAt.IsZero() {
			t.Errorf("it never expires: %+v", got)
		}
		if err := s.service.Cancel(t.Context(), owner, j.ID); err != nil {
			t.Errorf("again: %v", err)
		}
	}
	if err := s.service.Cancel(t.Context(), owner, next.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("a job that is done: %v", err)
	}
	if again := s.submit(t, owner, jobs.Factorial, 10); again.ID == queued.ID {
		t.Error("a cancelled job can't be made again")
	}
}

func TestLimitsOfAUser(t *testing.T) {
	s, _ := start(t)
	owner := uuid.NewString()
	for n := range uint64(3) {
		s.submit(t, owner, jobs.Factorial, n)
	}
	_, err := s.service.Submit(t.Context(), owner, "", jobs.Spec{Task: jobs.Factorial, N: 4})
	if !fault.Is(err, fault.TooManyRequests) || fault.From(err).RetryAfter == 0 {
		t.Errorf("a fourth one: %v", err)
	}
	s.submit(t, uuid.NewString(), jobs.Factorial, 4)
}

// A worker that is killed leaves its job to another one.
func TestKilledWorker(t *testing.T) {
	s, _ := start(t)
	j := s.submit(t, uuid.NewString(), jobs.Fibonacci, 1000)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), beWorker+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "computing" {
		t.Fatalf("the worker said %q", lines.Text())
	}
	s.await(t, j, "running", in(jobs.Running))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// asynq waits for a minute before it takes a worker for dead; here its lease
	// is made to have ended long ago.
	for _, key := range s.rdb.Keys(t.Context(), "asynq:*:lease").Val() {
		if err := s.rdb.ZAdd(t.Context(), key, redis.Z{Score: 1, Member: j.ID}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.work(t)
	if done := s.await(t, j, "done", in(jobs.Done)); done.Attempt != 2 {
		t.Errorf("attempt %d", done.Attempt)
	}
}

// A queue that lost everything, or was away when the job was made, gets the
// job from the store.
func TestLostQueue(t *testing.T) {
	s, _ := start(t)
	j := s.submit(t, uuid.NewString(), jobs.Fibonacci, 1000)
	if err := s.rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.work(t)
	time.Sleep(10 * time.Millisecond)
	for range 3 { // handing it on again does no harm
		if err := s.sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if done := s.await(t, j, "done", in(jobs.Done)); done.Attempt != 1 {
		t.Errorf("attempt %d", done.Attempt)
	}
}

// A job that no worker survives is tried again and then given up.
func TestGivenUp(t *testing.T) {
	s, _ := start(t)
	j := s.submit(t, uuid.NewString(), jobs.Fibonacci, 1000)
	s.worker.Tasks[jobs.Fibonacci] = func(context.Context, jobs.Work) (jobs.Numbers, error) { panic("out of memory") }
	s.work(t)
	failed := s.await(t, j, "failed", func(j jobs.Job) bool {
		if err := s.sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return j.State == jobs.Failed
	})
	if failed.Attempt != 2 || !strings.Contains(failed.Detail, "several times") {
		t.Errorf("failed: %+v", failed)
	}
}

// A process that is stopped gives its job back, and the next one does it.
func TestStoppedWorker(t *testing.T) {
	s, _ := start(t)
	j := s.submit(t, uuid.NewString(), jobs.Fibonacci, 30_000_000)
	stop := s.work(t)
	s.await(t, j, "under way", func(j jobs.Job) bool { return j.Progress > 0.02 })
	start := time.Now()
	stop()
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if got := s.await(t, j, "running", in(jobs.Running)); got.Detail != "" {
		t.Errorf("after the stop: %+v", got)
	}
	next, err := open(t, apm.DefaultTracer())
	if err != nil {
		t.Fatal(err)
	}
	next.work(t)
	if done := next.await(t, j, "done", in(jobs.Done)); done.Attempt != 2 || done.Result.Value.Digits != 6_269_629 {
		t.Errorf("done: %+v", done)
	}
}
