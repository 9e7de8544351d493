// Package mongostore keeps jobs and their results in MongoDB.
package mongostore

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/readpref"

	"pharos/internal/env"
	"pharos/internal/mongoconn"
)

// Config is how to reach MongoDB.
type Config struct {
	// URI names the servers, the database and the replica set, without a
	// password: mongodb://host:port/database?replicaSet=rs0
	URI      string     `env:"MONGODB_URI,required,notEmpty"`
	User     string     `env:"MONGODB_USER" envDefault:"pharos"`
	Password env.Secret `env:"MONGODB_PASSWORD,required,notEmpty"`
	MaxPool  uint64     `env:"JOBS_MONGODB_MAX_POOL" envDefault:"10"`
}

// Store implements jobs.Store and jobs.Results. Its methods may be called from
// any goroutine.
type Store struct {
	client        *mongo.Client
	pool          *mongoconn.Pool
	jobs, results *mongo.Collection
}

// Open returns a Store without waiting for the servers. Close it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	db, pool, err := mongoconn.Connect(ctx, mongoconn.Config(cfg), options.Client().SetMonitor(mongoconn.Monitor()))
	if err != nil {
		return nil, err
	}
	return &Store{client: db.Client(), pool: pool, jobs: db.Collection("jobs"), results: db.Collection("job_results")}, nil
}

// RegisterMetrics registers what the pool of connections holds.
func (s *Store) RegisterMetrics(reg prometheus.Registerer) { s.pool.RegisterMetrics(reg) }

// RegisterServerMetrics registers how many connections MongoDB itself has.
func (s *Store) RegisterServerMetrics(reg prometheus.Registerer) {
	mongoconn.RegisterServerMetrics(reg, s.jobs.Database())
}

// Close ends the connections.
func (s *Store) Close(ctx context.Context) error { return s.client.Disconnect(ctx) }

// Ping reports whether the primary answers.
func (s *Store) Ping(ctx context.Context) error { return s.client.Ping(ctx, readpref.Primary()) }

// EnsureIndexes makes the indexes that the queries need; those that are there
// stay as they are. MongoDB removes what has expired by itself, about once a
// minute.
func (s *Store) EnsureIndexes(ctx context.Context) error {
	expire := func() mongo.IndexModel {
		return mongo.IndexModel{Keys: bson.D{{Key: "expires_at", Value: 1}}, Options: options.Index().SetExpireAfterSeconds(0)}
	}
	for _, ix := range []struct {
		coll  *mongo.Collection
		model mongo.IndexModel
	}{
		{s.jobs, mongo.IndexModel{Keys: bson.D{{Key: "key", Value: 1}}, Options: options.Index().SetUnique(true).SetSparse(true)}},
		{s.jobs, mongo.IndexModel{Keys: bson.D{{Key: "owner", Value: 1}, {Key: "state", Value: 1}}}},
		{s.jobs, mongo.IndexModel{Keys: bson.D{{Key: "state", Value: 1}, {Key: "touched_at", Value: 1}}}},
		{s.jobs, mongo.IndexModel{Keys: bson.D{{Key: "guest", Value: 1}}, Options: options.Index().SetSparse(true)}},
		{s.jobs, expire()},
		{s.results, expire()},
	} {
		if _, err := ix.coll.Indexes().CreateOne(ctx, ix.model); err != nil {
			return fmt.Errorf("make index on %s: %w", ix.coll.Name(), err)
		}
	}
	return nil
}

// Drop removes the store's collections; for tests.
func (s *Store) Drop(ctx context.Context) error {
	return errors.Join(s.jobs.Drop(ctx), s.results.Drop(ctx))
}
