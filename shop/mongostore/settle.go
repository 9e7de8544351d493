package mongostore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/shop"
)

// change is a document of shop_changes.
type change struct {
	Size  shop.Size `bson:"size"`
	Start time.Time `bson:"start"`
}

// Due implements shop.AnalyticsState.
func (a *Analytics) Due(ctx context.Context, watermark, changed time.Time, limit int) ([]shop.Window, error) {
	found, err := all[change](ctx, a.changes, bson.D{
		{Key: "end", Value: bson.D{{Key: "$lte", Value: watermark}}},
		{Key: "since", Value: bson.D{{Key: "$lte", Value: changed}}},
	}, options.Find().SetSort(bson.D{{Key: "end", Value: 1}}).SetLimit(int64(limit)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", a.changes.Name(), err)
	}
	out := make([]shop.Window, len(found))
	for i, c := range found {
		out[i] = shop.Window{Size: c.Size, Start: c.Start.UTC()}
	}
	return out, nil
}

// ledger is a document of shop_ledgers.
type ledger struct {
	Window   string    `bson:"_id"`
	Start    time.Time `bson:"start"`
	Revision int       `bson:"revision"`
	Figures  []figures `bson:"figures"`
}

type figures struct {
	Group    shop.Group   `bson:"group"`
	Counts   shop.Counts  `bson:"counts"`
	Visitors int64        `bson:"visitors"`
	Funnel   *shop.Funnel `bson:"funnel,omitempty"`
}

// waiting is a document of shop_outbox.
type waiting struct {
	ID   string    `bson:"_id"`
	Body string    `bson:"body"`
	At   time.Time `bson:"at"`
}

// Settle implements shop.AnalyticsState.
func (a *Analytics) Settle(ctx context.Context, w shop.Window,
	revise func(now map[shop.Group]shop.Figures, before shop.Ledger) ([]shop.Document, shop.Ledger, error),
) (n int, err error) {
	err = a.transactions.run(ctx, func(ctx mongo.SessionContext) error {
		n = 0
		deleted, err := a.changes.DeleteOne(ctx, bson.D{{Key: "_id", Value: w.String()}})
		if err != nil || deleted.DeletedCount == 0 { // another process has settled it
			return err
		}
		now, err := a.figures(ctx, w)
		if err != nil {
			return err
		}
		before, err := a.ledger(ctx, w)
		if err != nil {
			return err
		}
		docs, after, err := revise(now, before)
		if err != nil || len(docs) == 0 {
			return err
		}
		n = len(docs)
		if err := a.keep(ctx, w, after); err != nil {
			return err
		}
		at := time.Now().UTC()
		out := make([]any, len(docs))
		for i, d := range docs {
			out[i] = waiting{d.ID, string(d.Body), at}
		}
		_, err = a.outbox.InsertMany(ctx, out)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("settle: %w", err)
	}
	return n, nil
}

// figures adds up the minutes of a window.
func (a *Analytics) figures(ctx context.Context, w shop.Window) (map[shop.Group]shop.Figures, error) {
	within := bson.D{{Key: "start", Value: bson.D{{Key: "$gte", Value: w.Start}, {Key: "$lt", Value: w.End()}}}}
	cursor, err := a.minutes.Find(ctx, within)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cursor.Close(ctx) }()
	out := map[shop.Group]shop.Figures{}
	visitors := map[shop.Group]*shop.Visitors{}
	for cursor.Next(ctx) {
		var m minute
		if err := cursor.Decode(&m); err != nil {
			return nil, fmt.Errorf("decode minute: %w", err)
		}
		g := shop.Group{Dimension: m.Dimension, Value: m.Value}
		out[g] = shop.Figures{Counts: out[g].Plus(m.counts(), 1)}
		v, err := m.visitors()
		if err != nil {
			return nil, err
		}
		if visitors[g] == nil {
			visitors[g] = v
		} else if err := visitors[g].Merge(v); err != nil {
			return nil, fmt.Errorf("merge visitors: %w", err)
		}
	}
	if err := cursor.Err(); err != nil {
		return nil, err
	}
	funnel, err := a.funnel(ctx, within)
	if err != nil {
		return nil, err
	}
	for g, f := range out {
		f.Visitors = visitors[g].Estimate()
		if g.Dimension == shop.Total {
			f.Funnel = funnel
		}
		out[g] = f
	}
	return out, nil
}

// funnel counts the sessions of a window.
func (a *Analytics) funnel(ctx context.Context, within bson.D) (shop.Funnel, error) {
	highest := func(field string) bson.D { return bson.D{{Key: "$max", Value: "$" + field}} }
	cursor, err := a.sessions.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: within}},
		{{Key: "$group", Value: bson.D{
			{Key: "_id", Value: "$session"},
			{Key: "viewed", Value: highest("viewed")}, {Key: "carted", Value: highest("carted")}, {Key: "purchased", Value: highest("purchased")},
		}}},
		{{Key: "$group", Value: bson.D{
			{Key: "_id", Value: bson.D{{Key: "viewed", Value: "$viewed"}, {Key: "carted", Value: "$carted"}, {Key: "purchased", Value: "$purchased"}}},
			{Key: "sessions", Value: bson.D{{Key: "$sum", Value: 1}}},
		}}},
	}, options.Aggregate().SetAllowDiskUse(true))
	if err != nil {
		return shop.Funnel{}, fmt.Errorf("count sessions: %w", err)
	}
	var rows []struct {
		Stage    shop.Stage `bson:"_id"`
		Sessions int64      `bson:"sessions"`
	}
	if err := cursor.All(ctx, &rows); err != nil {
		return shop.Funnel{}, fmt.Errorf("count sessions: %w", err)
	}
	var f shop.Funnel
	for _, r := range rows {
		f.Count(r.Stage, r.Sessions)
	}
	return f, nil
}

func (a *Analytics) ledger(ctx context.Context, w shop.Window) (shop.Ledger, error) {
	var doc ledger
	err := a.ledgers.FindOne(ctx, bson.D{{Key: "_id", Value: w.String()}}).Decode(&doc)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return shop.Ledger{}, fmt.Errorf("read ledger: %w", err)
	}
	out := shop.Ledger{Revision: doc.Revision, Figures: make(map[shop.Group]shop.Figures, len(doc.Figures))}
	for _, f := range doc.Figures {
		kept := shop.Figures{Counts: f.Counts, Visitors: f.Visitors}
		if f.Funnel != nil {
			kept.Funnel = *f.Funnel
		}
		out.Figures[f.Group] = kept
	}
	return out, nil
}

func (a *Analytics) keep(ctx context.Context, w shop.Window, l shop.Ledger) error {
	doc := ledger{Window: w.String(), Start: w.Start, Revision: l.Revision}
	for g, f := range l.Figures {
		kept := figures{Group: g, Counts: f.Counts, Visitors: f.Visitors}
		if g.Dimension == shop.Total {
			kept.Funnel = &f.Funnel
		}
		doc.Figures = append(doc.Figures, kept)
	}
	_, err := a.ledgers.ReplaceOne(ctx, bson.D{{Key: "_id", Value: w.String()}}, doc, options.Replace().SetUpsert(true))
	if err != nil {
		return fmt.Errorf("keep ledger: %w", err)
	}
	return nil
}

// Outbox implements shop.AnalyticsState.
func (a *Analytics) Outbox(ctx context.Context, limit int) ([]shop.Document, error) {
	found, err := all[waiting](ctx, a.outbox, bson.D{}, options.Find().SetSort(bson.D{{Key: "at", Value: 1}}).SetLimit(int64(limit)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", a.outbox.Name(), err)
	}
	out := make([]shop.Document, len(found))
	for i, d := range found {
		out[i] = shop.Document{ID: d.ID, Body: json.RawMessage(d.Body)}
	}
	return out, nil
}

// Sent implements shop.AnalyticsState.
func (a *Analytics) Sent(ctx context.Context, documents []shop.Document, refused map[string]string) error {
	ids := make([]string, len(documents))
	var kept []mongo.WriteModel
	for i, d := range documents {
		ids[i] = d.ID
		if why, bad := refused[d.ID]; bad {
			kept = append(kept, upsert(d.ID, bson.D{{Key: "$set", Value: bson.D{
				{Key: "body", Value: string(d.Body)}, {Key: "reason", Value: why}, {Key: "at", Value: time.Now().UTC()},
			}}}))
		}
	}
	if len(kept) > 0 {
		if _, err := a.refused.BulkWrite(ctx, kept); err != nil {
			return fmt.Errorf("keep refused documents: %w", err)
		}
	}
	if _, err := a.outbox.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}); err != nil {
		return fmt.Errorf("empty %s: %w", a.outbox.Name(), err)
	}
	return nil
}
