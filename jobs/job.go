// Package jobs runs long tasks on a queue: those of package tasks with numbers
// beyond what an interactive request may take.
//
// A [Job] is kept by a [Store]; the queue only carries its id. The [Service] is
// what the API calls, a [Worker] runs jobs, and a [Sweeper] puts right what a
// crash or a lost queue left behind.
package jobs

import (
	"errors"
	"fmt"
	"time"
)

// State is where a job is in its life: queued → running → done or failed;
// cancelled from either of the first two.
type State string

// The states of a job.
const (
	Queued    State = "queued"
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Ended reports whether the state is a job's last.
func (s State) Ended() bool { return s == Done || s == Failed || s == Cancelled }

// Job is one long task of a user.
type Job struct {
	ID    string // UUID version 7
	Owner string // the user who made it, or GuestOwner
	// Guest is set for a job of nobody signed in: it waits for those of users.
	Guest bool
	Spec
	State State
	// Progress is the share of the work that is done, from 0 to 1, and Doing
	// says in words what the worker is at.
	Progress float64
	Doing    string
	// Detail says to the user why the job failed.
	Detail     string
	CreatedAt  time.Time
	StartedAt  time.Time // zero until it has started
	FinishedAt time.Time // zero until it has ended
	// ExpiresAt is when the job and its result are forgotten; zero until it has
	// ended.
	ExpiresAt time.Time
	Attempt   int // how often a worker has started it
	// Result is what there is to read of a job that is done.
	Result Result
	// TraceParent is the trace of the request that made the job (W3C Trace
	// Context).
	TraceParent string
}

// Result describes the result of a job.
type Result struct {
	Value, Sum Excerpt // Sum is empty for a task without one
	Bytes      int64   // as it is kept: compressed by gzip
	Chunks     int
}

// Excerpt is what there is to show of a number that is too long to show.
type Excerpt struct {
	Digits int `bson:"digits"`
	// First and Last are the number's first and last 50 digits; both are the
	// whole of it where it has no more.
	First string `bson:"first"`
	Last  string `bson:"last"`
}

// Key is the same for jobs of which a user has only one at a time.
func (j Job) Key() string { return fmt.Sprintf("%s/%s/%d", j.Owner, j.Task, j.N) }

// Expired reports whether the job is to be forgotten at the given moment.
func (j Job) Expired(now time.Time) bool { return !j.ExpiresAt.IsZero() && !now.Before(j.ExpiresAt) }

// Errors that a Store answers with.
var (
	// ErrNone says that there is no such job.
	ErrNone = errors.New("there is no such job")
	// ErrExists says that the job's key is taken.
	ErrExists = errors.New("there is a job with this key")
	// ErrEnded says that the job has ended, or that another worker has it now.
	ErrEnded = errors.New("the job has ended or is run by another worker")
)
