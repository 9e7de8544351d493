package mongostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/shop"
)

// EventsConfig is the settings of Events.
type EventsConfig struct {
	// Retention is how long raw events are kept.
	Retention time.Duration `env:"SHOP_EVENTS_RETENTION" envDefault:"2160h"`
}

// Events implements shop.RawStore with the collection shop_events.
type Events struct {
	coll *mongo.Collection
	cfg  EventsConfig
}

// NewEvents returns the store.
func (c *Client) NewEvents(cfg EventsConfig) *Events {
	return &Events{c.db.Collection("shop_events"), cfg}
}

// EnsureIndexes makes the indexes that are not there yet.
func (e *Events) EnsureIndexes(ctx context.Context) error {
	if err := ensureExpiry(ctx, e.coll, "received_at", e.cfg.Retention); err != nil {
		return err
	}
	return ensureIndex(ctx, e.coll, bson.D{{Key: "type", Value: 1}, {Key: "time", Value: 1}})
}

// raw is a kept event. What it has in common with others stands beside the
// whole, so that it can be asked for.
type raw struct {
	Key        string    `bson:"_id"`
	Type       string    `bson:"type"`
	Time       time.Time `bson:"time"`
	ReceivedAt time.Time `bson:"received_at"`
	TraceID    string    `bson:"trace_id,omitempty"`
	Event      bson.D    `bson:"event"` // as it was sent, unknown fields and all
}

// Insert implements shop.RawStore. The unique _id makes it idempotent.
func (e *Events) Insert(ctx context.Context, events []shop.Received) (map[int]error, error) {
	failed := map[int]error{}
	documents := make([]any, 0, len(events))
	places := make([]int, 0, len(events)) // of documents in events
	for i, ev := range events {
		doc, err := document(ev)
		if err != nil {
			failed[i] = err
			continue
		}
		documents, places = append(documents, doc), append(places, i)
	}
	if len(documents) == 0 {
		return failed, nil
	}
	_, err := e.coll.InsertMany(ctx, documents, options.InsertMany().SetOrdered(false))
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) {
		if err != nil {
			return nil, fmt.Errorf("insert into %s: %w", e.coll.Name(), blame(err))
		}
		return failed, nil
	}
	if bulk.WriteConcernError != nil {
		return nil, fmt.Errorf("insert into %s: %w", e.coll.Name(), bulk.WriteConcernError)
	}
	for _, w := range bulk.WriteErrors {
		switch {
		case w.Code == codeDuplicateKey: // it is kept already
		case isFaulty(w.Code):
			failed[places[w.Index]] = w
		default:
			return nil, fmt.Errorf("insert into %s: %w", e.coll.Name(), w)
		}
	}
	return failed, nil
}

// document encodes an event by itself, so that one that can't be encoded takes
// no other down with it.
func document(ev shop.Received) (bson.Raw, error) {
	event, err := fromJSON(ev.Raw)
	if err != nil {
		return nil, fmt.Errorf("convert event: %w", err)
	}
	doc, err := bson.Marshal(raw{ev.Key(), ev.Type, ev.Time, ev.ReceivedAt, ev.TraceID, event})
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return doc, nil
}
