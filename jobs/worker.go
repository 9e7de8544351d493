package jobs

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"pharos/jobs/bigdec"
)

// Work is what a [Compute] is given.
type Work struct {
	N        uint64
	Progress func(share float64)
}

// Numbers is what a task has computed.
type Numbers struct {
	Value bigdec.Number
	Sum   *bigdec.Number // nil for a task without one
}

// Compute does a task. It calls Progress often, and returns the context's error
// soon after that has ended.
type Compute func(ctx context.Context, w Work) (Numbers, error)

// Tasks returns what computes each task.
func Tasks() map[string]Compute {
	return map[string]Compute{
		Fibonacci: func(ctx context.Context, w Work) (Numbers, error) {
			value, sum, err := bigdec.Fibonacci(ctx, w.N, w.Progress)
			return Numbers{value, &sum}, err
		},
		Factorial: func(ctx context.Context, w Work) (Numbers, error) {
			value, err := bigdec.Factorial(ctx, w.N, w.Progress)
			return Numbers{Value: value}, err
		},
	}
}

// Worker runs jobs.
type Worker struct {
	Store   Store
	Results Results
	Tasks   map[string]Compute
	Config  Config
	Now     func() time.Time
	// Ended is told of every job that this worker has ended.
	Ended func(ctx context.Context, j Job)
}

// The share of a job's progress that computing has; writing has the rest.
const computingShare = 0.8

// errTimeout is why a job's context ends that takes too long.
var errTimeout = errors.New("the job took too long")

// Run does the job of the given id to its end. A job that has ended already is
// left alone. Run returns an error where the job should be tried again, which
// it is not when this was its last attempt: then it has failed. When ctx ends
// the job stays as it is, for another worker.
func (w *Worker) Run(ctx context.Context, id string, last bool) error {
	j, err := w.Store.Start(ctx, id, w.Now())
	if errors.Is(err, ErrEnded) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start job: %w", err)
	}
	running, cancel := context.WithTimeoutCause(ctx, w.Config.Timeout, errTimeout)
	defer cancel()
	result, err := w.do(running, j)
	switch {
	case err == nil:
		return w.end(ctx, j, Done, "", result)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrEnded):
		return nil // it was cancelled, or another worker has it
	case errors.Is(context.Cause(running), errTimeout):
		return w.end(ctx, j, Failed, fmt.Sprintf("It was not done within %s.", w.Config.Timeout), Result{})
	case last:
		return errors.Join(err, w.end(ctx, j, Failed, "It could not be done, in spite of several attempts.", Result{}))
	}
	return err
}

func (w *Worker) end(ctx context.Context, j Job, state State, detail string, result Result) error {
	j.State, j.Detail, j.Result = state, detail, result
	j.FinishedAt = w.Now()
	j.ExpiresAt = j.FinishedAt.Add(w.Config.Retention)
	if err := w.Store.Finish(ctx, j); errors.Is(err, ErrEnded) {
		return nil
	} else if err != nil {
		return fmt.Errorf("finish job: %w", err)
	}
	w.Ended(ctx, j)
	return nil
}

// do computes and writes the result, while a second goroutine keeps the
// progress and looks whether the job still is to be done.
func (w *Worker) do(ctx context.Context, j Job) (Result, error) {
	compute, ok := w.Tasks[j.Task]
	if !ok {
		return Result{}, fmt.Errorf("there is no task %q", j.Task)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	state := &progress{doing: "computing"}
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(ctx, cancel, j, state) })
	defer watching.Wait()
	defer cancel(nil)

	numbers, err := compute(ctx, Work{j.N, func(share float64) { state.set(computingShare*share, "computing") }})
	if err == nil {
		state.set(computingShare, "writing")
		var result Result
		if result, err = w.write(ctx, j, numbers, state); err == nil {
			return result, nil
		}
	}
	if errors.Is(context.Cause(ctx), ErrEnded) {
		return Result{}, ErrEnded
	}
	return Result{}, fmt.Errorf("%s %s: %w", state.what(), j.Task, err)
}

func (w *Worker) watch(ctx context.Context, cancel context.CancelCauseFunc, j Job, state *progress) {
	tick := time.NewTicker(w.Config.Progress)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		share, doing := state.get()
		// A store that is away for a while does not stop the computation.
		if err := w.Store.Touch(ctx, j.ID, j.Attempt, share, doing, w.Now()); errors.Is(err, ErrEnded) {
			cancel(ErrEnded)
			return
		}
	}
}

// write keeps the result as the JSON that the interactive tasks answer with.
// Digits have no patterns: Huffman's coding alone makes them as small as gzip
// can, in a fraction of the time.
func (w *Worker) write(ctx context.Context, j Job, n Numbers, state *progress) (Result, error) {
	// It outlives the job, which expires as long after its own end.
	out := w.Results.Create(ctx, j.ID, j.Attempt, w.Now().Add(w.Config.Timeout+w.Config.Retention))
	zip, err := gzip.NewWriterLevel(out, gzip.HuffmanOnly)
	if err != nil {
		return Result{}, err
	}
	total := n.Value.Digits()
	if n.Sum != nil {
		total += n.Sum.Digits()
	}
	counted := &counter{to: zip, did: func(written int) {
		state.set(computingShare+(1-computingShare)*min(1, float64(written)/float64(total)), "writing")
	}}
	var result Result
	_, err = fmt.Fprintf(counted, `{"task":%q,"n":%d,"value":"`, j.Task, j.N)
	for _, write := range []func() error{
		func() error { return writeNumber(counted, n.Value, &result.Value) },
		func() error {
			if n.Sum == nil {
				return nil
			}
			if _, err := io.WriteString(counted, `","sum":"`); err != nil {
				return err
			}
			return writeNumber(counted, *n.Sum, &result.Sum)
		},
		func() error { _, err := io.WriteString(counted, "\"}\n"); return err },
		zip.Close,
		out.Close,
	} {
		if err != nil {
			return Result{}, err
		}
		err = write()
	}
	result.Bytes, result.Chunks = out.Written()
	return result, err
}

// writeNumber writes the number and notes its excerpt.
func writeNumber(to io.Writer, n bigdec.Number, e *Excerpt) error {
	ends := &ends{to: to}
	_, err := n.WriteTo(ends)
	*e = Excerpt{n.Digits(), string(ends.first), string(ends.last)}
	return err
}

const excerptDigits = 50

// ends keeps the first and the last of what is written.
type ends struct {
	to          io.Writer
	first, last []byte
}

// Write implements io.Writer.
func (e *ends) Write(b []byte) (int, error) {
	n, err := e.to.Write(b)
	b = b[:n]
	e.first = append(e.first, b[:min(n, excerptDigits-len(e.first))]...)
	e.last = append(e.last, b[max(0, n-excerptDigits):]...)
	e.last = append(e.last[:0], e.last[max(0, len(e.last)-excerptDigits):]...)
	return n, err
}

// progress is shared by who works and who keeps the progress.
type progress struct {
	mu    sync.Mutex
	share float64
	doing string
}

func (p *progress) set(share float64, doing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.share, p.doing = share, doing
}

func (p *progress) get() (float64, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.share, p.doing
}

func (p *progress) what() string { _, doing := p.get(); return doing }

// counter tells how much was written.
type counter struct {
	to      io.Writer
	written int
	did     func(written int)
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.written += n
	c.did(c.written)
	return n, err
}
