package mongostore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/x/mongo/driver/connstring"

	"pharos/internal/env"
	"pharos/internal/mongoconn"
)

// SetupConfig is what Setup needs beside Config.
type SetupConfig struct {
	Config
	RootUser     string     `env:"MONGODB_ROOT_USER" envDefault:"root"`
	RootPassword env.Secret `env:"MONGODB_ROOT_PASSWORD,required,notEmpty"`
	// NewRootPassword, if it is not empty, becomes the root user's, or is it already.
	NewRootPassword env.Secret `env:"MONGODB_NEW_ROOT_PASSWORD"`
}

// Codes of MongoDB's own errors,
// https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
const (
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
	codeAlreadyInitialized   = 23
	codeNotYetInitialized    = 94
	codeRoleExists           = 51002
	codeUserExists           = 51003
)

// Setup makes a one-server replica set, the root user where there is none yet
// (by the localhost exception, so from the server's own machine; the official
// image makes it itself), and the account of the service, which may read and
// write its own database, ask for the server's status, and nothing else. It may be run again at any time; a
// changed password of the service's account is set anew. MongoDB must answer
// within ctx.
func Setup(ctx context.Context, cfg SetupConfig) error {
	cs, err := connstring.ParseAndValidate(cfg.URI)
	if err != nil {
		return fmt.Errorf("MONGODB_URI: %w", err)
	}
	database, err := mongoconn.Database(cfg.URI)
	if err != nil {
		return err
	}
	root := options.Credential{AuthSource: "admin", Username: cfg.RootUser, Password: cfg.RootPassword.Reveal()}
	host := cs.Hosts[0]

	admin, err := connectDirect(ctx, host, &root)
	if hasCode(err, codeAuthenticationFailed) && cfg.NewRootPassword != "" {
		root.Password = cfg.NewRootPassword.Reveal()
		admin, err = connectDirect(ctx, host, &root)
	}
	if hasCode(err, codeAuthenticationFailed) {
		if err := makeRoot(ctx, host, cs.ReplicaSet, root); err != nil {
			return err
		}
		admin, err = connectDirect(ctx, host, &root)
	}
	if err != nil {
		return fmt.Errorf("sign in to MongoDB as %s: %w", cfg.RootUser, err)
	}
	defer func() { _ = admin.Disconnect(context.WithoutCancel(ctx)) }()

	if err := initiate(ctx, admin, cs.ReplicaSet, host); err != nil {
		return err
	}
	if cfg.NewRootPassword != "" {
		err := admin.Database("admin").RunCommand(ctx, bson.D{{Key: "updateUser", Value: root.Username}, {Key: "pwd", Value: cfg.NewRootPassword.Reveal()}}).Err()
		if err != nil {
			return fmt.Errorf("change the password of MongoDB's %s: %w", root.Username, err)
		}
	}
	return makeAccount(ctx, admin.Database(database), cfg.Config)
}

// makeRoot makes the first user, without signing in: MongoDB allows that from
// its own machine as long as there is no user.
func makeRoot(ctx context.Context, host, replicaSet string, root options.Credential) error {
	client, err := connectDirect(ctx, host, nil)
	if err != nil {
		return fmt.Errorf("connect to MongoDB: %w", err)
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	if err := initiate(ctx, client, replicaSet, host); err != nil {
		return err
	}
	err = client.Database("admin").RunCommand(ctx, bson.D{
		{Key: "createUser", Value: root.Username}, {Key: "pwd", Value: root.Password},
		{Key: "roles", Value: bson.A{"root"}},
	}).Err()
	if hasCode(err, codeUnauthorized) {
		return errors.New("MONGODB_ROOT_PASSWORD is not the one that MongoDB's root user was made with")
	}
	if err != nil {
		return fmt.Errorf("make MongoDB's root user: %w", err)
	}
	return nil
}

// initiate makes the replica set and waits until the server is its primary.
func initiate(ctx context.Context, client *mongo.Client, replicaSet, host string) error {
	if replicaSet != "" {
		err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "replSetInitiate", Value: bson.D{
			{Key: "_id", Value: replicaSet},
			{Key: "members", Value: bson.A{bson.D{{Key: "_id", Value: 0}, {Key: "host", Value: host}}}},
		}}}).Err()
		// Unauthorized: users exist, so the set was made by an earlier run.
		if err != nil && !hasCode(err, codeAlreadyInitialized) && !hasCode(err, codeUnauthorized) {
			return fmt.Errorf("make replica set %s: %w", replicaSet, err)
		}
	}
	for {
		var hello struct {
			Primary bool `bson:"isWritablePrimary"`
		}
		err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
		if err == nil && hello.Primary {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("MongoDB did not become primary in time"), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// statusRole lets an account ask how many connections the server has. MongoDB's
// own role for that, clusterMonitor, lets it read other users' operations, too.
const statusRole = "pharosServerStatus"

func makeAccount(ctx context.Context, db *mongo.Database, cfg Config) error {
	admin := db.Client().Database("admin")
	role := func(command string) error {
		return admin.RunCommand(ctx, bson.D{
			{Key: command, Value: statusRole}, {Key: "roles", Value: bson.A{}},
			{Key: "privileges", Value: bson.A{bson.D{
				{Key: "resource", Value: bson.D{{Key: "cluster", Value: true}}}, {Key: "actions", Value: bson.A{"serverStatus"}},
			}}},
		}).Err()
	}
	err := role("createRole")
	if hasCode(err, codeRoleExists) {
		err = role("updateRole")
	}
	if err != nil {
		return fmt.Errorf("make MongoDB role %s: %w", statusRole, err)
	}
	account := func(command string) error {
		return db.RunCommand(ctx, bson.D{
			{Key: command, Value: cfg.User}, {Key: "pwd", Value: cfg.Password.Reveal()},
			{Key: "roles", Value: bson.A{
				bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: db.Name()}},
				bson.D{{Key: "role", Value: statusRole}, {Key: "db", Value: admin.Name()}},
			}},
		}).Err()
	}
	err = account("createUser")
	if hasCode(err, codeUserExists) {
		err = account("updateUser")
	}
	if err != nil {
		return fmt.Errorf("make MongoDB account %s: %w", cfg.User, err)
	}
	return nil
}

// connectDirect connects to the one server, retrying until ctx ends while it
// does not listen yet.
func connectDirect(ctx context.Context, host string, auth *options.Credential) (*mongo.Client, error) {
	opts := options.Client().ApplyURI("mongodb://" + host).SetDirect(true).SetServerSelectionTimeout(mongoconn.SelectionTimeout)
	if auth != nil {
		opts.SetAuth(*auth)
	}
	for {
		client, err := mongo.Connect(ctx, opts)
		if err != nil {
			return nil, err
		}
		if err = client.Ping(ctx, nil); err == nil || hasCode(err, codeNotYetInitialized) {
			return client, nil
		}
		_ = client.Disconnect(context.WithoutCancel(ctx))
		if hasCode(err, codeAuthenticationFailed) || ctx.Err() != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// hasCode reports whether err is MongoDB's error with the code. The driver
// gives a failed sign-in during the handshake as text only.
func hasCode(err error, code int) bool {
	var se mongo.ServerError
	if errors.As(err, &se) && se.HasErrorCode(code) {
		return true
	}
	return err != nil && code == codeAuthenticationFailed && strings.Contains(err.Error(), "AuthenticationFailed")
}
