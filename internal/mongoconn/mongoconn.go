// Package mongoconn opens connections to MongoDB the way every store needs
// them: settings, short timeouts, and writes that a majority has.
package mongoconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/event"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/x/mongo/driver/connstring"

	"pharos/internal/env"
)

// Config is how to reach MongoDB. The stores have structs of the same fields,
// each with its own setting for the pool, and convert them.
type Config struct {
	// URI names the servers, the database and the replica set, without a
	// password: mongodb://host:port/database?replicaSet=rs0
	URI      string
	User     string // whose account is in that database
	Password env.Secret
	MaxPool  uint64
}

// The timeouts of the driver. A request's own deadline is shorter.
const (
	ConnectTimeout   = 2 * time.Second
	SelectionTimeout = 2 * time.Second
)

// Database is the name of the database in a URI.
func Database(uri string) (string, error) {
	cs, err := connstring.ParseAndValidate(uri)
	if err != nil {
		return "", fmt.Errorf("MONGODB_URI: %w", err)
	}
	if cs.Database == "" {
		return "", errors.New("MONGODB_URI names no database")
	}
	return cs.Database, nil
}

// Connect returns the database of the URI without waiting for the servers, and
// the pool of its connections; more adds to the options. Disconnect its client.
func Connect(ctx context.Context, cfg Config, more *options.ClientOptions) (*mongo.Database, *Pool, error) {
	database, err := Database(cfg.URI)
	if err != nil {
		return nil, nil, err
	}
	pool := &Pool{}
	client, err := mongo.Connect(ctx, options.Client().ApplyURI(cfg.URI).
		SetAuth(options.Credential{AuthSource: database, Username: cfg.User, Password: cfg.Password.Reveal()}).
		SetConnectTimeout(ConnectTimeout).
		SetServerSelectionTimeout(SelectionTimeout).
		SetMaxPoolSize(cfg.MaxPool).
		SetPoolMonitor(&event.PoolMonitor{Event: pool.count}).
		SetWriteConcern(writeconcern.Majority()).
		SetRetryReads(true).SetRetryWrites(true), more)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to MongoDB: %w", err)
	}
	return client.Database(database), pool, nil
}
