package mongostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/jobs"
)

// document is a job as it is kept. Its key is unset when the job has failed or
// was cancelled, so that the user may make it again.
type document struct {
	ID          string       `bson:"_id"`
	Key         string       `bson:"key,omitempty"`
	Owner       string       `bson:"owner"`
	Guest       bool         `bson:"guest,omitempty"`
	Task        string       `bson:"task"`
	N           int64        `bson:"n"`
	State       jobs.State   `bson:"state"`
	Progress    float64      `bson:"progress"`
	Doing       string       `bson:"doing"`
	Detail      string       `bson:"detail,omitempty"`
	CreatedAt   time.Time    `bson:"created_at"`
	StartedAt   time.Time    `bson:"started_at,omitempty"`
	FinishedAt  time.Time    `bson:"finished_at,omitempty"`
	ExpiresAt   time.Time    `bson:"expires_at,omitempty"`
	TouchedAt   time.Time    `bson:"touched_at"`
	Attempt     int          `bson:"attempt"`
	Value       jobs.Excerpt `bson:"value,omitempty"`
	Sum         jobs.Excerpt `bson:"sum,omitempty"`
	Bytes       int64        `bson:"bytes"`
	Chunks      int          `bson:"chunks"`
	TraceParent string       `bson:"traceparent,omitempty"`
}

func (d document) job() jobs.Job {
	return jobs.Job{
		ID: d.ID, Owner: d.Owner, Guest: d.Guest, Spec: jobs.Spec{Task: d.Task, N: uint64(d.N)}, State: d.State,
		Progress: d.Progress, Doing: d.Doing, Detail: d.Detail,
		CreatedAt: d.CreatedAt, StartedAt: d.StartedAt, FinishedAt: d.FinishedAt, ExpiresAt: d.ExpiresAt,
		Attempt: d.Attempt, Result: jobs.Result{Value: d.Value, Sum: d.Sum, Bytes: d.Bytes, Chunks: d.Chunks}, TraceParent: d.TraceParent,
	}
}

func active() bson.M { return bson.M{"$in": bson.A{jobs.Queued, jobs.Running}} }

// Insert implements jobs.Store.
func (s *Store) Insert(ctx context.Context, j jobs.Job) error {
	d := document{
		ID: j.ID, Key: j.Key(), Owner: j.Owner, Guest: j.Guest, Task: j.Task, N: int64(j.N), State: j.State,
		CreatedAt: j.CreatedAt, TouchedAt: j.CreatedAt, TraceParent: j.TraceParent,
	}
	// What has expired may still be there for a minute.
	if _, err := s.jobs.DeleteOne(ctx, bson.M{"key": d.Key, "expires_at": bson.M{"$lte": j.CreatedAt}}); err != nil {
		return fmt.Errorf("insert job: %w", err)
	}
	_, err := s.jobs.InsertOne(ctx, d)
	if mongo.IsDuplicateKeyError(err) {
		return jobs.ErrExists
	}
	if err != nil {
		return fmt.Errorf("insert job: %w", err)
	}
	return nil
}

// ByKey implements jobs.Store.
func (s *Store) ByKey(ctx context.Context, key string) (jobs.Job, error) {
	return s.find(ctx, bson.M{"key": key})
}

// Get implements jobs.Store.
func (s *Store) Get(ctx context.Context, id string) (jobs.Job, error) {
	return s.find(ctx, bson.M{"_id": id})
}

func (s *Store) find(ctx context.Context, filter bson.M) (jobs.Job, error) {
	var d document
	err := s.jobs.FindOne(ctx, filter).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return jobs.Job{}, jobs.ErrNone
	}
	if err != nil {
		return jobs.Job{}, fmt.Errorf("find job: %w", err)
	}
	return d.job(), nil
}

// Count implements jobs.Store.
func (s *Store) Count(ctx context.Context, owner string) (running, all int, err error) {
	n, err := s.jobs.CountDocuments(ctx, bson.M{"owner": owner})
	if err != nil {
		return 0, 0, fmt.Errorf("count jobs: %w", err)
	}
	m, err := s.jobs.CountDocuments(ctx, bson.M{"owner": owner, "state": active()})
	if err != nil {
		return 0, 0, fmt.Errorf("count jobs: %w", err)
	}
	return int(m), int(n), nil
}

// CountGuests implements jobs.Store.
func (s *Store) CountGuests(ctx context.Context) (int, error) {
	n, err := s.jobs.CountDocuments(ctx, bson.M{"guest": true})
	if err != nil {
		return 0, fmt.Errorf("count jobs of guests: %w", err)
	}
	return int(n), nil
}

// Start implements jobs.Store.
func (s *Store) Start(ctx context.Context, id string, now time.Time) (jobs.Job, error) {
	var d document
	err := s.jobs.FindOneAndUpdate(ctx, bson.M{"_id": id, "state": active()}, bson.M{
		"$set": bson.M{"state": jobs.Running, "started_at": now, "touched_at": now, "progress": 0.0, "doing": "starting"},
		"$inc": bson.M{"attempt": 1},
	}, options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return jobs.Job{}, jobs.ErrEnded
	}
	if err != nil {
		return jobs.Job{}, fmt.Errorf("start job: %w", err)
	}
	return d.job(), nil
}

// Touch implements jobs.Store.
func (s *Store) Touch(ctx context.Context, id string, attempt int, progress float64, doing string, now time.Time) error {
	return s.update(ctx, bson.M{"_id": id, "state": jobs.Running, "attempt": attempt},
		bson.M{"$set": bson.M{"progress": progress, "doing": doing, "touched_at": now}})
}

// Finish implements jobs.Store.
func (s *Store) Finish(ctx context.Context, j jobs.Job) error {
	set := bson.M{
		"state": j.State, "detail": j.Detail, "doing": "", "finished_at": j.FinishedAt, "expires_at": j.ExpiresAt,
		"value": j.Result.Value, "sum": j.Result.Sum, "bytes": j.Result.Bytes, "chunks": j.Result.Chunks,
	}
	change := bson.M{"$set": set}
	if j.State == jobs.Done {
		set["progress"] = 1.0
	} else {
		change["$unset"] = bson.M{"key": ""}
	}
	return s.update(ctx, bson.M{"_id": j.ID, "state": jobs.Running, "attempt": j.Attempt}, change)
}

// Cancel implements jobs.Store.
func (s *Store) Cancel(ctx context.Context, id string, now, expires time.Time) error {
	return s.update(ctx, bson.M{"_id": id, "state": active()}, bson.M{
		"$set":   bson.M{"state": jobs.Cancelled, "doing": "", "finished_at": now, "expires_at": expires},
		"$unset": bson.M{"key": ""},
	})
}

func (s *Store) update(ctx context.Context, filter, change bson.M) error {
	result, err := s.jobs.UpdateOne(ctx, filter, change)
	if err != nil {
		return fmt.Errorf("update job: %w", err)
	}
	if result.MatchedCount == 0 {
		return jobs.ErrEnded
	}
	return nil
}

// Stale implements jobs.Store.
func (s *Store) Stale(ctx context.Context, queuedBefore, runningBefore time.Time, limit int) ([]jobs.Job, error) {
	cursor, err := s.jobs.Find(ctx, bson.M{"$or": bson.A{
		bson.M{"state": jobs.Queued, "touched_at": bson.M{"$lt": queuedBefore}},
		bson.M{"state": jobs.Running, "touched_at": bson.M{"$lt": runningBefore}},
	}}, options.Find().SetSort(bson.M{"touched_at": 1}).SetLimit(int64(limit)))
	if err != nil {
		return nil, fmt.Errorf("find lost jobs: %w", err)
	}
	var ds []document
	if err := cursor.All(ctx, &ds); err != nil {
		return nil, fmt.Errorf("find lost jobs: %w", err)
	}
	out := make([]jobs.Job, len(ds))
	for i, d := range ds {
		out[i] = d.job()
	}
	return out, nil
}
