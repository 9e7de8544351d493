package mongostore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/shop"
)

// Analytics implements shop.AnalyticsState. Its collections:
//
//	shop_counted   the keys of the events that were counted
//	shop_minutes   counts and visitors of each group within each minute
//	shop_sessions  how far each session came within each minute
//	shop_changes   the windows that changed since they were settled
//	shop_ledgers   what was written of each window
//	shop_outbox    the documents that wait to be written
//	shop_refused   documents that Elasticsearch refused
//	shop_progress  the time of the newest event
//	shop_processes the MongoDB sessions of each process
//
// Exactly once is made of two things: the key of an event is kept in the same
// transaction as what the event adds, and a ledger in the same as the documents
// that it accounts for.
type Analytics struct {
	counted, minutes, sessions, changes, ledgers, outbox, refused, progress *mongo.Collection

	ttl          time.Duration
	transactions *transactions
}

// NewAnalytics returns the state; what is older than ttl is removed. The name is
// the process's: one that comes back under its name takes up where it died at
// once.
func (c *Client) NewAnalytics(name string, ttl time.Duration) *Analytics {
	return &Analytics{
		ttl: ttl, transactions: newTransactions(c, name),
		counted: c.db.Collection("shop_counted"), minutes: c.db.Collection("shop_minutes"),
		sessions: c.db.Collection("shop_sessions"), changes: c.db.Collection("shop_changes"),
		ledgers: c.db.Collection("shop_ledgers"), outbox: c.db.Collection("shop_outbox"),
		refused: c.db.Collection("shop_refused"), progress: c.db.Collection("shop_progress"),
	}
}

// EnsureIndexes makes the collections and the indexes that are not there yet,
// and ends transactions that a process of this name left open when it died. A
// key is kept for as long again as the windows it could be counted in.
func (a *Analytics) EnsureIndexes(ctx context.Context) error {
	if err := a.transactions.endLeft(ctx); err != nil {
		return err
	}
	for _, x := range []struct {
		coll  *mongo.Collection
		field string
		ttl   time.Duration
	}{
		{a.counted, "at", 2 * a.ttl},
		// An hour is made from its minutes, also after a process was away for a day.
		{a.minutes, "start", a.ttl + 25*time.Hour},
		{a.sessions, "start", a.ttl + 25*time.Hour},
		{a.ledgers, "start", 2 * a.ttl},
		{a.refused, "at", 2 * a.ttl},
	} {
		if err := ensureExpiry(ctx, x.coll, x.field, x.ttl); err != nil {
			return err
		}
	}
	if err := ensureIndex(ctx, a.changes, bson.D{{Key: "end", Value: 1}}); err != nil {
		return err
	}
	return ensureIndex(ctx, a.outbox, bson.D{{Key: "at", Value: 1}})
}

const progressID = "newest"

type progress struct {
	ID string    `bson:"_id"`
	At time.Time `bson:"at"`
}

// Newest implements shop.AnalyticsState.
func (a *Analytics) Newest(ctx context.Context) (time.Time, error) {
	var p progress
	err := a.progress.FindOne(ctx, bson.D{{Key: "_id", Value: progressID}}).Decode(&p)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return time.Time{}, nil
	}
	return p.At.UTC(), err
}

// Apply implements shop.AnalyticsState.
func (a *Analytics) Apply(ctx context.Context, events []shop.Received, watermark time.Time) (applied shop.Applied, err error) {
	err = a.transactions.run(ctx, func(ctx mongo.SessionContext) error {
		fresh, err := a.uncounted(ctx, events)
		if err != nil {
			return err
		}
		applied = shop.Applied{New: len(fresh), Again: len(events) - len(fresh)}
		if len(fresh) == 0 {
			return nil
		}
		tally := shop.NewTally(fresh, watermark)
		for slot, c := range tally.Counts {
			if slot.Dimension == shop.Total {
				applied.Late += int(c.Late)
			}
		}
		applied.Newest = tally.Newest
		return a.add(ctx, tally)
	})
	if err != nil {
		return shop.Applied{}, fmt.Errorf("apply: %w", blame(err))
	}
	if applied.New > 0 {
		// Not part of the transaction, in which it would be one more document to
		// fight for. It is only ever behind, by the events of a crash.
		_, err = a.progress.UpdateByID(ctx, progressID, bson.D{{Key: "$max", Value: bson.D{{Key: "at", Value: applied.Newest}}}},
			options.Update().SetUpsert(true))
	}
	return applied, err
}

type counted struct {
	Key string    `bson:"_id"`
	At  time.Time `bson:"at"`
}

// uncounted returns the events that are not counted yet, each once, and keeps
// their keys.
func (a *Analytics) uncounted(ctx context.Context, events []shop.Received) ([]shop.Event, error) {
	keys := make([]string, len(events))
	for i, e := range events {
		keys[i] = e.Key()
	}
	known, err := all[counted](ctx, a.counted, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}})
	if err != nil {
		return nil, fmt.Errorf("find counted events: %w", err)
	}
	seen := make(map[string]bool, len(events))
	for _, k := range known {
		seen[k.Key] = true
	}
	now := time.Now().UTC()
	var fresh []shop.Event
	var docs []any
	for i, e := range events {
		if !seen[keys[i]] {
			seen[keys[i]] = true
			fresh = append(fresh, e.Event)
			docs = append(docs, counted{keys[i], now})
		}
	}
	if len(docs) == 0 {
		return nil, nil
	}
	if _, err := a.counted.InsertMany(ctx, docs); err != nil {
		return nil, fmt.Errorf("keep keys of events: %w", err)
	}
	return fresh, nil
}

// add adds a tally to the minutes and sessions, and lists the changed windows.
func (a *Analytics) add(ctx context.Context, t shop.Tally) error {
	visitors, err := a.visitors(ctx, t)
	if err != nil {
		return err
	}
	var minutes, sessions, changes []mongo.WriteModel
	for slot, c := range t.Counts {
		set := bson.D{}
		if v := visitors[slot]; v != nil {
			sketch, err := v.MarshalBinary()
			if err != nil {
				return fmt.Errorf("encode visitors: %w", err)
			}
			set = bson.D{{Key: "$set", Value: bson.D{{Key: "visitors", Value: sketch}}}}
		}
		minutes = append(minutes, upsert(slotID(slot), append(set,
			bson.E{Key: "$inc", Value: increments(c)},
			bson.E{Key: "$setOnInsert", Value: bson.D{
				{Key: "start", Value: slot.Minute}, {Key: "dimension", Value: slot.Dimension}, {Key: "value", Value: slot.Value},
			}},
		)))
	}
	for slot, stage := range t.Sessions {
		sessions = append(sessions, upsert(minuteID(slot.Minute)+"|"+slot.Session, bson.D{
			// $max: true is more than false, and stays.
			{Key: "$max", Value: bson.D{
				{Key: "viewed", Value: stage.Viewed}, {Key: "carted", Value: stage.Carted}, {Key: "purchased", Value: stage.Purchased},
			}},
			{Key: "$setOnInsert", Value: bson.D{{Key: "start", Value: slot.Minute}, {Key: "session", Value: slot.Session}}},
		}))
	}
	now := time.Now().UTC()
	for _, w := range t.Windows() {
		// It must be a write even where the window is listed already: only so
		// does it collide with a settlement that takes the window off the list
		// and has not seen these events.
		changes = append(changes, upsert(w.String(), bson.D{
			{Key: "$inc", Value: bson.D{{Key: "changes", Value: 1}}},
			{Key: "$setOnInsert", Value: bson.D{
				{Key: "size", Value: w.Size}, {Key: "start", Value: w.Start}, {Key: "end", Value: w.End()}, {Key: "since", Value: now},
			}},
		}))
	}
	for _, x := range []struct {
		coll   *mongo.Collection
		models []mongo.WriteModel
	}{{a.changes, changes}, {a.minutes, minutes}, {a.sessions, sessions}} {
		if _, err := x.coll.BulkWrite(ctx, x.models, options.BulkWrite().SetOrdered(false)); err != nil {
			return fmt.Errorf("write %s: %w", x.coll.Name(), err)
		}
	}
	return nil
}

// visitors merges the tally's visitors with those that are kept.
func (a *Analytics) visitors(ctx context.Context, t shop.Tally) (map[shop.Slot]*shop.Visitors, error) {
	byID := make(map[string]shop.Slot, len(t.Visitors))
	ids := make([]string, 0, len(t.Visitors))
	for slot := range t.Visitors {
		id := slotID(slot)
		byID[id], ids = slot, append(ids, id)
	}
	kept, err := all[minute](ctx, a.minutes, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}},
		options.Find().SetProjection(bson.D{{Key: "visitors", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("read visitors: %w", err)
	}
	out := make(map[shop.Slot]*shop.Visitors, len(t.Visitors))
	for slot, v := range t.Visitors {
		// The tally is used again where the transaction is.
		out[slot] = shop.NewVisitors()
		if err := out[slot].Merge(v); err != nil {
			return nil, err
		}
	}
	for _, k := range kept {
		v, err := k.visitors()
		if err != nil {
			return nil, err
		}
		if err := out[byID[k.ID]].Merge(v); err != nil {
			return nil, fmt.Errorf("merge visitors: %w", err)
		}
	}
	return out, nil
}

// minute is a document of shop_minutes.
type minute struct {
	ID        string           `bson:"_id"`
	Start     time.Time        `bson:"start"`
	Dimension shop.Dimension   `bson:"dimension"`
	Value     string           `bson:"value"`
	Events    int64            `bson:"events"`
	Views     int64            `bson:"views"`
	Actions   int64            `bson:"actions"`
	Carts     int64            `bson:"carts"`
	Purchases int64            `bson:"purchases"`
	Late      int64            `bson:"late"`
	Revenue   map[string]int64 `bson:"revenue"`
	Sketch    []byte           `bson:"visitors"`
}

func (m minute) counts() shop.Counts {
	return shop.Counts{
		Events: m.Events, Views: m.Views, Actions: m.Actions, Carts: m.Carts, Purchases: m.Purchases, Late: m.Late, Revenue: m.Revenue,
	}
}

func (m minute) visitors() (*shop.Visitors, error) {
	v := shop.NewVisitors()
	if len(m.Sketch) == 0 {
		return v, nil
	}
	if err := v.UnmarshalBinary(m.Sketch); err != nil {
		return nil, fmt.Errorf("decode visitors of %s: %w", m.ID, err)
	}
	return v, nil
}

func increments(c shop.Counts) bson.D {
	inc := bson.D{
		{Key: "events", Value: c.Events}, {Key: "views", Value: c.Views}, {Key: "actions", Value: c.Actions},
		{Key: "carts", Value: c.Carts}, {Key: "purchases", Value: c.Purchases}, {Key: "late", Value: c.Late},
	}
	for currency, minor := range c.Revenue {
		inc = append(inc, bson.E{Key: "revenue." + currency, Value: minor})
	}
	return inc
}

func minuteID(at time.Time) string { return strconv.FormatInt(at.Unix()/60, 10) }

func slotID(s shop.Slot) string {
	return minuteID(s.Minute) + "|" + string(s.Dimension) + "|" + s.Value
}

func upsert(id string, update bson.D) mongo.WriteModel {
	return mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: id}}).SetUpdate(update).SetUpsert(true)
}

// all reads what a query finds.
func all[T any](ctx context.Context, coll *mongo.Collection, filter any, opts ...*options.FindOptions) ([]T, error) {
	cursor, err := coll.Find(ctx, filter, opts...)
	if err != nil {
		return nil, err
	}
	var out []T
	err = cursor.All(ctx, &out)
	return out, err
}
