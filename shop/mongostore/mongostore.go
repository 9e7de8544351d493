// Package mongostore keeps the shop's raw events, and the state of its
// analytics, in MongoDB.
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
	"go.mongodb.org/mongo-driver/mongo/readconcern"
	"go.mongodb.org/mongo-driver/mongo/readpref"

	"pharos/internal/env"
	"pharos/internal/mongoconn"
	"pharos/shop"
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

// Client is a connection that stores share.
type Client struct {
	client *mongo.Client
	db     *mongo.Database
	pool   *mongoconn.Pool
}

// Open returns a Client without waiting for the servers. Close it.
//
// It makes no spans: a batch belongs to many traces, and shop.Worker tells each
// of them.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	db, pool, err := mongoconn.Connect(ctx, mongoconn.Config(cfg), options.Client().SetReadConcern(readconcern.Majority()))
	if err != nil {
		return nil, err
	}
	return &Client{db.Client(), db, pool}, nil
}

// RegisterMetrics registers what the pool of connections holds.
func (c *Client) RegisterMetrics(reg prometheus.Registerer) { c.pool.RegisterMetrics(reg) }

// Close ends the connections.
func (c *Client) Close(ctx context.Context) error { return c.client.Disconnect(ctx) }

// Ping reports whether the primary answers.
func (c *Client) Ping(ctx context.Context) error { return c.client.Ping(ctx, readpref.Primary()) }

// Drop removes every collection; for tests.
func (c *Client) Drop(ctx context.Context) error {
	names, err := c.db.ListCollectionNames(ctx, bson.D{})
	for _, name := range names {
		err = errors.Join(err, c.db.Collection(name).Drop(ctx))
	}
	return err
}

// Codes of MongoDB's own errors,
// https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
const (
	codeIndexOptionsConflict = 85
	codeDuplicateKey         = 11000
)

// isFaulty reports whether MongoDB refused a document for what it is: bad
// value, type mismatch, names, validation, size. Everything else (no primary, a
// full disk, no right) is not the document's fault, and passes.
func isFaulty(code int) bool {
	switch code {
	case 2, 9, 14, 52, 55, 56, 57, 121, 10334, 17280:
		return true
	}
	return false
}

// blame marks an error that the documents themselves are at fault for.
func blame(err error) error {
	var bulk mongo.BulkWriteException
	if errors.As(err, &bulk) {
		for _, w := range bulk.WriteErrors {
			if isFaulty(w.Code) {
				return fmt.Errorf("%w: %w", shop.ErrFaulty, err)
			}
		}
	}
	var command mongo.CommandError
	if errors.As(err, &command) && isFaulty(int(command.Code)) {
		return fmt.Errorf("%w: %w", shop.ErrFaulty, err)
	}
	return err
}

// ensureIndex makes an index that is not there yet.
func ensureIndex(ctx context.Context, coll *mongo.Collection, keys bson.D) error {
	if _, err := coll.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys}); err != nil {
		return fmt.Errorf("make index on %s: %w", coll.Name(), err)
	}
	return nil
}

// ensureExpiry makes documents go when the time in their field is ttl ago. An
// index with another time is made anew.
func ensureExpiry(ctx context.Context, coll *mongo.Collection, field string, ttl time.Duration) error {
	name := field + "_expiry"
	model := mongo.IndexModel{
		Keys: bson.D{{Key: field, Value: 1}}, Options: options.Index().SetName(name).SetExpireAfterSeconds(int32(ttl / time.Second)),
	}
	_, err := coll.Indexes().CreateOne(ctx, model)
	var se mongo.ServerError
	if errors.As(err, &se) && se.HasErrorCode(codeIndexOptionsConflict) {
		// collMod would change it in place, but the service's account may not.
		if _, err = coll.Indexes().DropOne(ctx, name); err == nil {
			_, err = coll.Indexes().CreateOne(ctx, model)
		}
	}
	if err != nil {
		return fmt.Errorf("make %s expire: %w", coll.Name(), err)
	}
	return nil
}

// Find decodes a whole collection into the slice that out points to; for tests.
func (c *Client) Find(ctx context.Context, collection string, out any) error {
	cursor, err := c.db.Collection(collection).Find(ctx, bson.D{})
	if err != nil {
		return err
	}
	return cursor.All(ctx, out)
}
