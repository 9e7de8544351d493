package main

import (
	"context"

	"pharos/elastic"
	"pharos/shop"
)

// windows implements shop.WindowStore with a data stream.
type windows struct{ es *elastic.Client }

const stream = "metrics-shop.analytics-default"

// Create implements shop.WindowStore.
func (w *windows) Create(ctx context.Context, documents []shop.Document) (map[string]string, error) {
	bulk := make([]elastic.Document, len(documents))
	for i, d := range documents {
		bulk[i] = elastic.Document{ID: d.ID, Body: d.Body}
	}
	result, err := w.es.Create(ctx, stream, bulk)
	if err != nil {
		return nil, err
	}
	refused := map[string]string{}
	for _, r := range result.Refused {
		refused[documents[r.Position].ID] = r.Reason
	}
	return refused, nil
}
