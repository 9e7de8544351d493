package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"pharos/internal/fault"
)

// Store keeps jobs. Each change is atomic and is made only from the states that
// it names.
type Store interface {
	// Insert adds a job. It returns ErrExists where an unexpired job that has
	// neither failed nor been cancelled has the same key.
	Insert(ctx context.Context, j Job) error
	// ByKey returns the job that keeps Insert from adding another, or ErrNone.
	ByKey(ctx context.Context, key string) (Job, error)
	// Get returns a job, or ErrNone.
	Get(ctx context.Context, id string) (Job, error)
	// Count returns how many jobs a user has that have not ended, and how many
	// altogether.
	Count(ctx context.Context, owner string) (active, all int, err error)
	// CountGuests returns how many jobs of guests are kept.
	CountGuests(ctx context.Context) (int, error)
	// Start makes a job that has not ended a running one, as one more attempt,
	// and returns it; ErrEnded otherwise.
	Start(ctx context.Context, id string, now time.Time) (Job, error)
	// Touch notes an attempt's progress and that it lives; ErrEnded where the
	// job is not running by this attempt.
	Touch(ctx context.Context, id string, attempt int, progress float64, doing string, now time.Time) error
	// Finish ends an attempt: State, Detail, Result, FinishedAt and ExpiresAt are
	// those of j; ErrEnded where the job is not running by this attempt.
	Finish(ctx context.Context, j Job) error
	// Cancel makes a job that has not ended a cancelled one; ErrEnded otherwise.
	Cancel(ctx context.Context, id string, now, expires time.Time) error
	// Stale returns jobs that have not ended and of which nothing was heard
	// since the given moments, the oldest first.
	Stale(ctx context.Context, queuedBefore, runningBefore time.Time, limit int) ([]Job, error)
}

// Results keeps what jobs have computed, in gzip's format, until it expires.
type Results interface {
	// Create returns a writer for the result of one attempt. What was written
	// is kept when it is closed.
	Create(ctx context.Context, id string, attempt int, expires time.Time) ResultWriter
	// Open returns a job's result.
	Open(ctx context.Context, j Job) io.Reader
}

// ResultWriter writes a result.
type ResultWriter interface {
	io.WriteCloser
	// Written returns the bytes and chunks written, after Close.
	Written() (bytes int64, chunks int)
}

// Queue carries the ids of jobs to workers.
type Queue interface {
	// Enqueue hands a job to some worker. A job that is on its way already is
	// not handed on again.
	Enqueue(ctx context.Context, j Job) error
}

// Config is what a Service allows and how long things are kept.
type Config struct {
	Limits
	// Retention is how long a job and its result are kept after its end.
	Retention time.Duration `env:"JOBS_RETENTION" envDefault:"1h"`
	PerUser   int           `env:"JOBS_PER_USER" envDefault:"5"`           // jobs of a user that have not ended
	KeptUser  int           `env:"JOBS_KEPT_PER_USER" envDefault:"50"`     // jobs of a user, those that have ended included
	Timeout   time.Duration `env:"JOBS_TIMEOUT" envDefault:"5m"`           // of one attempt
	Retries   int           `env:"JOBS_RETRIES" envDefault:"3"`            // attempts after the first
	Progress  time.Duration `env:"JOBS_PROGRESS_EVERY" envDefault:"250ms"` // how often progress is kept, and a cancellation seen
	// A queued job that nobody has started for so long is handed on again, and a
	// running one of which nothing was heard.
	StaleQueued  time.Duration `env:"JOBS_STALE_QUEUED" envDefault:"15s"`
	StaleRunning time.Duration `env:"JOBS_STALE_RUNNING" envDefault:"2m"`
}

// Validate implements env.Validator.
func (c Config) Validate() error {
	switch {
	case c.Retention < time.Minute:
		return errors.New("JOBS_RETENTION must be at least 1m")
	case c.PerUser < 1 || c.KeptUser < c.PerUser:
		return errors.New("JOBS_PER_USER must be at least 1, and JOBS_KEPT_PER_USER at least as much")
	case c.Timeout < time.Second:
		return errors.New("JOBS_TIMEOUT must be at least 1s")
	case c.Retries < 0:
		return errors.New("JOBS_RETRIES must not be negative")
	case c.Progress <= 0 || c.StaleQueued <= 0 || c.StaleRunning < 10*c.Progress:
		return errors.New("JOBS_PROGRESS_EVERY and JOBS_STALE_QUEUED must be more than 0s, and JOBS_STALE_RUNNING ten times JOBS_PROGRESS_EVERY or more")
	}
	return c.Limits.Validate()
}

// Report is told of what went wrong without failing the call.
type Report func(ctx context.Context, err error)

// Service is what users do with jobs. Its errors for users are faults; a job
// of another user is as if there were none.
type Service struct {
	Store   Store
	Results Results
	Queue   Queue
	Config  Config
	Now     func() time.Time
	Report  Report
}

// insertTries is enough for a key that is taken and freed again meanwhile.
const insertTries = 3

// Submit makes a job, or returns the one that the user has already for the
// same task and arguments. When the queue is away the job waits in the store:
// a [Sweeper] hands it on later.
func (s *Service) Submit(ctx context.Context, owner, traceparent string, spec Spec) (Job, error) {
	return s.submit(ctx, Job{Owner: owner, Spec: spec, TraceParent: traceparent}, func(ctx context.Context) error { return s.allow(ctx, owner) })
}

// submit makes the job if allow lets it.
func (s *Service) submit(ctx context.Context, j Job, allow func(context.Context) error) (Job, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, fmt.Errorf("make job id: %w", err)
	}
	j.ID, j.State, j.CreatedAt = id.String(), Queued, s.Now().Truncate(time.Millisecond) // as the store keeps it
	for range insertTries {
		existing, err := s.Store.ByKey(ctx, j.Key())
		if err == nil && !existing.Expired(s.Now()) {
			return existing, nil
		}
		if err != nil && !errors.Is(err, ErrNone) {
			return Job{}, err
		}
		if err := allow(ctx); err != nil {
			return Job{}, err
		}
		err = s.Store.Insert(ctx, j)
		if errors.Is(err, ErrExists) {
			continue
		}
		if err != nil {
			return Job{}, err
		}
		if err := s.Queue.Enqueue(ctx, j); err != nil {
			s.Report(ctx, fmt.Errorf("enqueue job %s (it waits in the store): %w", j.ID, err))
		}
		return j, nil
	}
	return Job{}, fault.New(fault.Conflict, "The same job is being made and cancelled again and again.")
}

func (s *Service) allow(ctx context.Context, owner string) error {
	active, all, err := s.Store.Count(ctx, owner)
	if err != nil {
		return err
	}
	var busy *fault.Error
	switch {
	case active >= s.Config.PerUser:
		busy = fault.New(fault.TooManyRequests, "You have %d jobs that have not ended; more are not taken.", active)
		busy.RetryAfter = 5 * time.Second
	case all >= s.Config.KeptUser:
		busy = fault.New(fault.TooManyRequests, "%d of your jobs are kept; more are taken when the first of them is forgotten, %s after its end.", all, s.Config.Retention)
		busy.RetryAfter = time.Minute
	default:
		return nil
	}
	return busy
}

// Get returns a job of the user.
func (s *Service) Get(ctx context.Context, owner, id string) (Job, error) {
	if _, err := uuid.Parse(id); err != nil {
		return Job{}, notFound()
	}
	j, err := s.Store.Get(ctx, id)
	switch {
	case errors.Is(err, ErrNone), err == nil && (j.Owner != owner || j.Expired(s.Now())):
		return Job{}, notFound()
	case err != nil:
		return Job{}, err
	}
	return j, nil
}

func notFound() error {
	return fault.Field(fault.NotFound, "id", "You have no job of this id, or it has been forgotten.")
}

// Cancel ends a job that is queued or running. Cancelling it again is no error;
// one that has ended otherwise is fault.Conflict.
func (s *Service) Cancel(ctx context.Context, owner, id string) error {
	j, err := s.Get(ctx, owner, id)
	if err != nil {
		return err
	}
	if j.State == Cancelled {
		return nil
	}
	now := s.Now()
	if err := s.Store.Cancel(ctx, id, now, now.Add(s.Config.Retention)); !errors.Is(err, ErrEnded) {
		return err
	}
	if j, err = s.Get(ctx, owner, id); err != nil || j.State == Cancelled {
		return err
	}
	return fault.New(fault.Conflict, "The job is %s and can't be cancelled.", j.State)
}

// Result returns a job that is done and its result, in gzip's format. For any
// other job it returns fault.Conflict.
func (s *Service) Result(ctx context.Context, owner, id string) (Job, io.Reader, error) {
	j, err := s.Get(ctx, owner, id)
	if err != nil {
		return Job{}, nil, err
	}
	if j.State != Done {
		f := fault.New(fault.Conflict, "There is no result: the job is %s.", j.State)
		if !j.State.Ended() {
			f.RetryAfter = time.Second
		}
		return Job{}, nil, f
	}
	return j, s.Results.Open(ctx, j), nil
}
