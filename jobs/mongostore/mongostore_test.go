package mongostore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	feedstore "pharos/feed/mongostore"
	"pharos/internal/teststack"
	"pharos/jobs"
	"pharos/jobs/mongostore"
)

// open returns a store in a database of its own, whose account is made as
// feed's is.
func open(t *testing.T) *mongostore.Store {
	cfg := teststack.Config[feedstore.SetupConfig](t)
	cfg.URI = strings.Replace(cfg.URI, "/pharos?", "/test_"+uuid.NewString()+"?", 1)
	if err := feedstore.Setup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s, err := mongostore.Open(t.Context(), mongostore.Config{URI: cfg.URI, User: cfg.User, Password: cfg.Password, MaxPool: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Drop(context.Background()), s.Close(context.Background())); err != nil {
			t.Log(err)
		}
	})
	for range 2 { // the second time they are there
		if err := s.EnsureIndexes(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func newJob() jobs.Job {
	return jobs.Job{
		ID: uuid.NewString(), Owner: uuid.NewString(), Spec: jobs.Spec{Task: jobs.Fibonacci, N: 7}, State: jobs.Queued,
		CreatedAt: now(), TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
}

func insert(t *testing.T, s *mongostore.Store, j jobs.Job) jobs.Job {
	t.Helper()
	if err := s.Insert(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j
}

func get(t *testing.T, s *mongostore.Store, id string) jobs.Job {
	t.Helper()
	j, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestLife(t *testing.T) {
	s, at := open(t), now()
	j := insert(t, s, newJob())
	if diff := cmp.Diff(j, get(t, s, j.ID)); diff != "" {
		t.Errorf("queued: %s", diff)
	}
	if byKey, err := s.ByKey(t.Context(), j.Key()); err != nil || byKey.ID != j.ID {
		t.Errorf("by key: %+v, %v", byKey, err)
	}
	if _, err := s.Get(t.Context(), uuid.NewString()); !errors.Is(err, jobs.ErrNone) {
		t.Errorf("unknown: %v", err)
	}
	first, err := s.Start(t.Context(), j.ID, at)
	if err != nil || first.State != jobs.Running || first.Attempt != 1 || !first.StartedAt.Equal(at) {
		t.Errorf("started: %+v, %v", first, err)
	}
	if err := s.Touch(t.Context(), j.ID, 1, 0.5, "computing", at); err != nil {
		t.Error(err)
	}
	if got := get(t, s, j.ID); got.Progress != 0.5 || got.Doing != "computing" {
		t.Errorf("touched: %+v", got)
	}
	// The first worker is taken for dead and a second one starts.
	second, err := s.Start(t.Context(), j.ID, at)
	if err != nil || second.Attempt != 2 {
		t.Errorf("started again: %+v, %v", second, err)
	}
	end := func(j jobs.Job, state jobs.State) error {
		j.State, j.FinishedAt, j.ExpiresAt, j.Result = state, at, at.Add(time.Hour), jobs.Result{Value: jobs.Excerpt{Digits: 2, First: "55", Last: "55"}, Bytes: 30, Chunks: 1}
		return s.Finish(t.Context(), j)
	}
	if err := errors.Join(s.Touch(t.Context(), j.ID, 1, 0.9, "", at)); !errors.Is(err, jobs.ErrEnded) {
		t.Errorf("the first worker goes on: %v", err)
	}
	if err := end(first, jobs.Failed); !errors.Is(err, jobs.ErrEnded) {
		t.Errorf("the first worker ends the job: %v", err)
	}
	if err := end(second, jobs.Done); err != nil {
		t.Error(err)
	}
	got := get(t, s, j.ID)
	if got.State != jobs.Done || got.Progress != 1 || got.Result != (jobs.Result{Value: jobs.Excerpt{Digits: 2, First: "55", Last: "55"}, Bytes: 30, Chunks: 1}) || !got.ExpiresAt.Equal(at.Add(time.Hour)) {
		t.Errorf("done: %+v", got)
	}
	if _, err := s.Start(t.Context(), j.ID, at); !errors.Is(err, jobs.ErrEnded) {
		t.Errorf("started after the end: %v", err)
	}
	if err := s.Cancel(t.Context(), j.ID, at, at); !errors.Is(err, jobs.ErrEnded) {
		t.Errorf("cancelled after the end: %v", err)
	}
}

func TestKeys(t *testing.T) {
	s := open(t)
	again := func(j jobs.Job) error { j.ID = uuid.NewString(); return s.Insert(t.Context(), j) }
	finish := func(j jobs.Job, state jobs.State, expires time.Time) {
		t.Helper()
		j, err := s.Start(t.Context(), j.ID, now())
		if err != nil {
			t.Fatal(err)
		}
		j.State, j.FinishedAt, j.ExpiresAt = state, now(), expires
		if err := s.Finish(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		end  func(jobs.Job)
		want error
	}{
		"queued": {func(jobs.Job) {}, jobs.ErrExists},
		"running": {func(j jobs.Job) {
			if _, err := s.Start(t.Context(), j.ID, now()); err != nil {
				t.Error(err)
			}
		}, jobs.ErrExists},
		"done":          {func(j jobs.Job) { finish(j, jobs.Done, now().Add(time.Hour)) }, jobs.ErrExists},
		"done, expired": {func(j jobs.Job) { finish(j, jobs.Done, j.CreatedAt) }, nil},
		"failed":        {func(j jobs.Job) { finish(j, jobs.Failed, now().Add(time.Hour)) }, nil},
		"cancelled": {func(j jobs.Job) {
			if err := s.Cancel(t.Context(), j.ID, now(), now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
		}, nil},
	} {
		j := insert(t, s, newJob())
		tt.end(j)
		if err := again(j); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestOneOfManyInserts(t *testing.T) {
	s, j := open(t), newJob()
	var (
		wg   sync.WaitGroup
		made atomic.Int32
	)
	for range 20 {
		wg.Go(func() {
			one := j
			one.ID = uuid.NewString()
			if err := s.Insert(t.Context(), one); err == nil {
				made.Add(1)
			} else if !errors.Is(err, jobs.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d jobs were made", made.Load())
	}
}

func TestCountAndStale(t *testing.T) {
	s, owner := open(t), uuid.NewString()
	add := func(n uint64, created time.Time) jobs.Job {
		j := newJob()
		j.Owner, j.N, j.CreatedAt = owner, n, created
		return insert(t, s, j)
	}
	long := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	old, oldRunning, cancelled := add(1, long), add(2, long.Add(time.Second)), add(3, long)
	add(4, now())
	if _, err := s.Start(t.Context(), oldRunning.ID, long.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(t.Context(), cancelled.ID, now(), now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if active, all, err := s.Count(t.Context(), owner); active != 3 || all != 4 || err != nil {
		t.Errorf("%d active of %d, %v", active, all, err)
	}
	mine := func(queued, running time.Time) (ids []string) {
		stale, err := s.Stale(t.Context(), queued, running, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range stale {
			if j.Owner == owner {
				ids = append(ids, j.ID)
			}
		}
		return ids
	}
	if got := mine(long.Add(time.Hour), long.Add(time.Hour)); !cmp.Equal(got, []string{old.ID, oldRunning.ID}) {
		t.Errorf("stale: %v", got)
	}
	if got := mine(long.Add(time.Hour), long); !cmp.Equal(got, []string{old.ID}) {
		t.Errorf("stale queued: %v", got)
	}
	// Not for the next tests to find.
	for _, j := range []jobs.Job{old, oldRunning} {
		if err := s.Cancel(t.Context(), j.ID, now(), now()); err != nil {
			t.Error(err)
		}
	}
}

func TestResults(t *testing.T) {
	s, rng := open(t), rand.NewChaCha8([32]byte{1})
	for _, size := range []int{0, 1, 512 << 10, 512<<10 + 1, 3_000_000} {
		want := make([]byte, size)
		_, _ = rng.Read(want)
		id := uuid.NewString()
		w := s.Create(t.Context(), id, 2, now().Add(time.Hour))
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(700_000))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		bytesWritten, chunks := w.Written()
		if bytesWritten != int64(size) {
			t.Errorf("%d: wrote %d bytes", size, bytesWritten)
		}
		j := jobs.Job{ID: id, Attempt: 2, Result: jobs.Result{Bytes: bytesWritten, Chunks: chunks}}
		if got, err := io.ReadAll(s.Open(t.Context(), j)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d: read %d bytes, %v", size, len(got), err)
		}
		j.Result.Chunks++
		if _, err := io.ReadAll(s.Open(t.Context(), j)); err == nil {
			t.Errorf("%d: a missing chunk is not noticed", size)
		}
	}
}
