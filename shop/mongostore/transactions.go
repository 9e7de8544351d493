package mongostore

import (
	"context"
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/readconcern"
	"go.mongodb.org/mongo-driver/mongo/writeconcern"
)

// transactions runs transactions in sessions that are known by name.
//
// A transaction of a process that was killed stays open in MongoDB for a minute,
// and whoever wants to write the same documents has to wait for that. So the
// sessions are written down, and the process that comes back ends them.
type transactions struct {
	client    *mongo.Client
	processes *mongo.Collection
	name      string

	mu   sync.Mutex
	idle []mongo.Session
}

// maxSessions bounds what is written down: more are never open at once.
const maxSessions = 20

func newTransactions(c *Client, name string) *transactions {
	return &transactions{client: c.client, processes: c.db.Collection("shop_processes"), name: name}
}

// process is a document of shop_processes.
type process struct {
	Name     string     `bson:"_id"`
	Sessions []bson.Raw `bson:"sessions"`
}

// endLeft ends the sessions that are written down under this name.
func (t *transactions) endLeft(ctx context.Context) error {
	var p process
	filter := bson.D{{Key: "_id", Value: t.name}}
	err := t.processes.FindOneAndDelete(ctx, filter).Decode(&p)
	if err == mongo.ErrNoDocuments || (err == nil && len(p.Sessions) == 0) { //nolint:errorlint // the driver returns it as it is
		return nil
	}
	if err != nil {
		return fmt.Errorf("read sessions: %w", err)
	}
	// One may kill one's own without a right of its own.
	if err := t.client.Database("admin").RunCommand(ctx, bson.D{{Key: "killSessions", Value: p.Sessions}}).Err(); err != nil {
		return fmt.Errorf("end sessions that were left open: %w", err)
	}
	return nil
}

// session returns one that is written down.
func (t *transactions) session(ctx context.Context) (mongo.Session, error) {
	t.mu.Lock()
	if n := len(t.idle); n > 0 {
		s := t.idle[n-1]
		t.idle = t.idle[:n-1]
		t.mu.Unlock()
		return s, nil
	}
	t.mu.Unlock()
	s, err := t.client.StartSession()
	if err != nil {
		return nil, err
	}
	_, err = t.processes.UpdateByID(ctx, t.name, bson.D{{Key: "$push", Value: bson.D{{Key: "sessions", Value: bson.D{
		{Key: "$each", Value: bson.A{s.ID()}}, {Key: "$slice", Value: -maxSessions},
	}}}}}, options.Update().SetUpsert(true))
	if err != nil {
		s.EndSession(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("write down session: %w", err)
	}
	return s, nil
}

// run runs fn in a transaction, again where it met another's.
func (t *transactions) run(ctx context.Context, fn func(ctx mongo.SessionContext) error) error {
	s, err := t.session(ctx)
	if err != nil {
		return err
	}
	_, err = s.WithTransaction(ctx, func(ctx mongo.SessionContext) (any, error) { return nil, fn(ctx) },
		options.Transaction().SetReadConcern(readconcern.Snapshot()).SetWriteConcern(writeconcern.Majority()))
	if err != nil {
		// MongoDB may have ended it; another is cheap.
		s.EndSession(context.WithoutCancel(ctx))
		return err
	}
	t.mu.Lock()
	t.idle = append(t.idle, s)
	t.mu.Unlock()
	return nil
}
