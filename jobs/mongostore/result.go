package mongostore

import (
	"context"
	"fmt"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/bson"

	"pharos/jobs"
)

// chunkSize keeps a document far below MongoDB's limit of 16 MB, and what a
// reader holds in memory small.
const chunkSize = 512 << 10

// chunk is a part of a result. Each expires by itself, so that one that was
// never finished goes, too: what GridFS, whose chunks have no expiry, would
// need a sweeper for.
type chunk struct {
	ID        string    `bson:"_id"`
	Data      []byte    `bson:"data"`
	ExpiresAt time.Time `bson:"expires_at"`
}

func chunkID(job string, attempt, n int) string { return fmt.Sprintf("%s/%d/%06d", job, attempt, n) }

// Create implements jobs.Results.
func (s *Store) Create(ctx context.Context, id string, attempt int, expires time.Time) jobs.ResultWriter {
	return &writer{store: s, ctx: ctx, id: id, attempt: attempt, expires: expires, buffer: make([]byte, 0, chunkSize)}
}

type writer struct {
	store   *Store
	ctx     context.Context // io.Writer has no way to pass it
	id      string
	attempt int
	expires time.Time
	buffer  []byte
	bytes   int64
	chunks  int
}

// Write implements io.Writer.
func (w *writer) Write(b []byte) (int, error) {
	written := 0
	for len(b) > 0 {
		n := min(len(b), chunkSize-len(w.buffer))
		w.buffer = append(w.buffer, b[:n]...)
		b, written = b[n:], written+n
		if len(w.buffer) == chunkSize {
			if err := w.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// Close implements io.Closer.
func (w *writer) Close() error { return w.flush() }

// Written implements jobs.ResultWriter.
func (w *writer) Written() (int64, int) { return w.bytes, w.chunks }

func (w *writer) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	if _, err := w.store.results.InsertOne(w.ctx, chunk{chunkID(w.id, w.attempt, w.chunks), w.buffer, w.expires}); err != nil {
		return fmt.Errorf("insert result: %w", err)
	}
	w.bytes += int64(len(w.buffer))
	w.chunks++
	w.buffer = w.buffer[:0]
	return nil
}

// Open implements jobs.Results.
func (s *Store) Open(ctx context.Context, j jobs.Job) io.Reader {
	return &reader{store: s, ctx: ctx, job: j}
}

type reader struct {
	store *Store
	ctx   context.Context // io.Reader has no way to pass it
	job   jobs.Job
	next  int
	rest  []byte
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.next == r.job.Result.Chunks {
			return 0, io.EOF
		}
		var c chunk
		id := chunkID(r.job.ID, r.job.Attempt, r.next)
		if err := r.store.results.FindOne(r.ctx, bson.M{"_id": id}).Decode(&c); err != nil {
			return 0, fmt.Errorf("read result: %w", err)
		}
		r.rest = c.Data
		r.next++
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
