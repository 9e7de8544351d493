package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"pharos/shop"
)

// performer is what is needed of elastic.Client.
type performer interface {
	Perform(*http.Request) (*http.Response, error)
}

// windows implements shop.WindowStore with a data stream.
type windows struct{ es performer }

const (
	stream    = "metrics-shop.analytics-default"
	maxAnswer = 16 << 20
)

type bulkAnswer struct {
	Items []struct {
		Create struct {
			ID     string `json:"_id"`
			Status int    `json:"status"`
			Error  struct {
				Type   string `json:"type"`
				Reason string `json:"reason"`
			} `json:"error"`
		} `json:"create"`
	} `json:"items"`
}

// Create implements shop.WindowStore.
func (w *windows) Create(ctx context.Context, documents []shop.Document) (map[string]string, error) {
	var body bytes.Buffer
	for _, d := range documents {
		action, err := json.Marshal(map[string]any{"create": map[string]string{"_id": d.ID}})
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		body.Write(append(action, '\n'))
		body.Write(append(d.Body, '\n'))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/"+stream+"/_bulk", bytes.NewReader(body.Bytes()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := w.es.Perform(req)
	if err != nil {
		return nil, fmt.Errorf("bulk: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("bulk: read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("bulk: answered %s", resp.Status)
	}
	var answer bulkAnswer
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("bulk: decode answer: %w", err)
	}
	if len(answer.Items) != len(documents) {
		return nil, fmt.Errorf("bulk: %d answers to %d documents", len(answer.Items), len(documents))
	}
	refused := map[string]string{}
	for i, item := range answer.Items {
		switch c := item.Create; {
		case c.Status/100 == 2, c.Status == http.StatusConflict: // it is there
		case c.Status == http.StatusBadRequest:
			refused[documents[i].ID] = c.Error.Type + ": " + c.Error.Reason
		default: // no room, no right, no shard: for all of them, and not for good
			return nil, fmt.Errorf("bulk: document %s: status %d %s: %s", documents[i].ID, c.Status, c.Error.Type, c.Error.Reason)
		}
	}
	return refused, nil
}
