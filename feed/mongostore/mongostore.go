// Package mongostore keeps users, sessions, API keys, posts and follows in
// MongoDB.
package mongostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/readpref"
	"go.uber.org/zap"

	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/internal/mongoconn"
	"pharos/internal/resilience"
)

// Config is how to reach MongoDB.
type Config struct {
	// URI names the servers, the database and the replica set, without a
	// password: mongodb://host:port/database?replicaSet=rs0
	URI      string     `env:"MONGODB_URI,required,notEmpty"`
	User     string     `env:"MONGODB_USER" envDefault:"pharos"`
	Password env.Secret `env:"MONGODB_PASSWORD,required,notEmpty"`
	MaxPool  uint64     `env:"MONGODB_MAX_POOL" envDefault:"50"`
}

// Store implements feed.Store. Its methods may be called from any goroutine.
type Store struct {
	client                                *mongo.Client
	pool                                  *mongoconn.Pool
	guard                                 *resilience.Guard
	users, sessions, keys, posts, follows *mongo.Collection
}

// Open returns a Store without waiting for the servers. Close it.
func Open(ctx context.Context, cfg Config, metrics *resilience.Metrics, log *zap.Logger) (*Store, error) {
	db, pool, err := mongoconn.Connect(ctx, mongoconn.Config(cfg), options.Client().SetMonitor(mongoconn.Monitor()))
	if err != nil {
		return nil, err
	}
	return &Store{
		client: db.Client(), pool: pool, guard: resilience.NewGuard("mongodb", "primary", resilience.Defaults(), isAway, metrics, log),
		users: db.Collection("users"), sessions: db.Collection("sessions"), keys: db.Collection("api_keys"),
		posts: db.Collection("posts"), follows: db.Collection("follows"),
	}, nil
}

// do makes a call to MongoDB. When that is away, or was not even asked, the
// error is fault.Unavailable.
func (s *Store) do(ctx context.Context, doing string, call func(context.Context) error) error {
	err := s.guard.Do(ctx, call)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, resilience.ErrRejected), isAway(err) && ctx.Err() == nil:
		f := fault.New(fault.Unavailable, "Users and posts can't be reached at present.")
		f.RetryAfter = 2 * time.Second
		return fmt.Errorf("%s: %w: %w", doing, f, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// isAway tells a MongoDB that does not answer from one that does.
func isAway(err error) bool { return mongo.IsNetworkError(err) || mongo.IsTimeout(err) }

// RegisterMetrics registers what the pool of connections holds.
func (s *Store) RegisterMetrics(reg prometheus.Registerer) { s.pool.RegisterMetrics(reg) }

// Close ends the connections.
func (s *Store) Close(ctx context.Context) error { return s.client.Disconnect(ctx) }

// Ping reports whether the primary answers.
func (s *Store) Ping(ctx context.Context) error { return s.client.Ping(ctx, readpref.Primary()) }

// EnsureIndexes makes the indexes that the queries need; those that are there
// stay as they are.
func (s *Store) EnsureIndexes(ctx context.Context) error {
	for _, ix := range []struct {
		coll  *mongo.Collection
		model mongo.IndexModel
	}{
		{s.users, mongo.IndexModel{Keys: bson.D{{Key: "handle", Value: 1}}, Options: options.Index().SetUnique(true)}},
		{s.sessions, mongo.IndexModel{Keys: bson.D{{Key: "expires_at", Value: 1}}, Options: options.Index().SetExpireAfterSeconds(0)}},
		{s.keys, mongo.IndexModel{
			Keys:    bson.D{{Key: "user_id", Value: 1}, {Key: "name", Value: 1}},
			Options: options.Index().SetUnique(true),
		}},
		{s.posts, mongo.IndexModel{Keys: bson.D{{Key: "author_id", Value: 1}, {Key: "_id", Value: -1}}}},
		{s.posts, mongo.IndexModel{
			Keys: bson.D{{Key: "author_id", Value: 1}, {Key: "effect", Value: 1}},
			Options: options.Index().SetUnique(true).SetPartialFilterExpression(
				bson.D{{Key: "effect", Value: bson.D{{Key: "$exists", Value: true}}}}),
		}},
		{s.follows, mongo.IndexModel{
			Keys:    bson.D{{Key: "follower_id", Value: 1}, {Key: "followee_id", Value: 1}},
			Options: options.Index().SetUnique(true),
		}},
		{s.follows, mongo.IndexModel{Keys: bson.D{{Key: "followee_id", Value: 1}}}},
	} {
		if _, err := ix.coll.Indexes().CreateOne(ctx, ix.model); err != nil {
			return fmt.Errorf("make index on %s: %w", ix.coll.Name(), err)
		}
	}
	return nil
}

// Drop removes the store's collections; for tests.
func (s *Store) Drop(ctx context.Context) error {
	return errors.Join(s.users.Drop(ctx), s.sessions.Drop(ctx), s.posts.Drop(ctx), s.follows.Drop(ctx))
}
