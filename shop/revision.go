package shop

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Figures are what is known of a group within a window.
type Figures struct {
	Counts
	Visitors int64
	Funnel   Funnel // of the total only
}

func (f Figures) minus(o Figures) Figures {
	return Figures{f.Plus(o.Counts, -1), f.Visitors - o.Visitors, f.Funnel.minus(o.Funnel)}
}

func (f Figures) isZero() bool {
	return f.IsZero() && f.Visitors == 0 && f.Funnel == Funnel{}
}

// Ledger is what was written of a window so far: the sum of all its documents.
type Ledger struct {
	Revision int
	Figures  map[Group]Figures
}

// Document is what Elasticsearch gets: one group of one window.
type Document struct {
	// ID is made from region, window, group and revision alone.
	ID   string
	Body json.RawMessage
}

// WindowStore keeps documents for good. Elasticsearch does, in the data stream
// metrics-shop.analytics-default.
type WindowStore interface {
	// Create writes the documents that are not there yet. One whose ID is there
	// stays as it is, and counts as written. It returns why documents were
	// refused for good, by ID; an error means that the store is away.
	Create(ctx context.Context, documents []Document) (refused map[string]string, err error)
}

// RevisionOptions say how documents are made.
type RevisionOptions struct {
	// Top is how many categories, countries and products of a window are
	// written: those with the most events.
	Top int
	// Fields stand in every document, as cloud.region.
	Fields map[string]string
}

// Revise compares what is known of a window now with what was written of it.
// It returns the documents that make up the difference, and the ledger after
// them.
//
// A data stream takes new documents only. So a window's first revision is its
// figures, and each later one is what late events changed, negative numbers
// included. Every number of a window is therefore the sum over its documents,
// unique visitors too; nothing is ever rewritten, and IDs need no update.
func Revise(w Window, now map[Group]Figures, before Ledger, opts RevisionOptions) ([]Document, Ledger, error) {
	after := Ledger{Revision: before.Revision + 1, Figures: maps.Clone(before.Figures)}
	if after.Figures == nil {
		after.Figures = map[Group]Figures{}
	}
	var docs []Document
	for _, g := range selected(now, before, opts.Top) {
		change := now[g].minus(before.Figures[g])
		if change.isZero() {
			continue
		}
		doc, err := document(w, g, change, after.Revision, opts.Fields)
		if err != nil {
			return nil, before, err
		}
		docs = append(docs, doc)
		after.Figures[g] = now[g]
	}
	if len(docs) == 0 {
		return nil, before, nil
	}
	return docs, after, nil
}

// selected returns the groups that are written: what was written before, and
// the top of each dimension.
func selected(now map[Group]Figures, before Ledger, top int) []Group {
	ranked := slices.SortedFunc(maps.Keys(now), func(a, b Group) int {
		return cmp.Or(
			cmp.Compare(a.Dimension, b.Dimension),
			cmp.Compare(now[b].Events, now[a].Events),
			cmp.Compare(a.Value, b.Value),
		)
	})
	taken := map[Dimension]int{}
	var out []Group
	for _, g := range ranked {
		_, written := before.Figures[g]
		if taken[g.Dimension]++; written || taken[g.Dimension] <= top {
			out = append(out, g)
		}
	}
	return out
}

// document encodes a change with flat names: the template maps names as leaves.
func document(w Window, g Group, f Figures, revision int, fields map[string]string) (Document, error) {
	const stamp = "2006-01-02T15:04:05.000Z"
	body := map[string]any{
		"@timestamp":            w.Start.UTC().Format(stamp),
		"event.dataset":         "shop.analytics",
		"event.kind":            "metric",
		"shop.window.size":      string(w.Size),
		"shop.window.end":       w.End().UTC().Format(stamp),
		"shop.dimension":        string(g.Dimension),
		"shop.revision":         revision,
		"shop.events":           f.Events,
		"shop.views":            f.Views,
		"shop.actions":          f.Actions,
		"shop.carts":            f.Carts,
		"shop.purchases":        f.Purchases,
		"shop.late":             f.Late,
		"shop.visitors":         f.Visitors,
		"shop.funnel.viewed":    f.Funnel.Viewed,
		"shop.funnel.carted":    f.Funnel.Carted,
		"shop.funnel.purchased": f.Funnel.Purchased,
	}
	if g.Dimension != Total {
		body["shop."+string(g.Dimension)] = g.Value
		// Only the total has them.
		delete(body, "shop.funnel.viewed")
		delete(body, "shop.funnel.carted")
		delete(body, "shop.funnel.purchased")
	}
	if g.Dimension == ByProduct {
		delete(body, "shop.visitors")
	}
	for currency, minor := range f.Revenue {
		body["shop.revenue_minor."+currency] = minor
	}
	for name, value := range fields {
		body[name] = value
	}
	text, err := json.Marshal(body)
	if err != nil {
		return Document{}, fmt.Errorf("encode %s: %w", w, err)
	}
	return Document{ID: fmt.Sprintf("%s.%s.%s.%s.r%d", fields["cloud.region"], w, g.Dimension, g.Value, revision), Body: text}, nil
}

// Applied tells what became of a batch.
type Applied struct {
	New, Again, Late int
	// Newest is the time of the newest event ever applied.
	Newest time.Time
}
