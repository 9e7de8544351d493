package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Document is one document to be added to a data stream or an index.
type Document struct {
	// ID makes adding it again harmless; empty lets Elasticsearch choose one.
	ID   string
	Body json.RawMessage // one JSON object
}

// CreateResult counts what became of the documents of a [Client.Create].
type CreateResult struct {
	Created int
	Present int // were there before, by their id
	Refused []RefusedDocument
	// Index is the one that took the last created document: of a data stream, that
	// which it writes to. Empty if none was created.
	Index string
}

// RefusedDocument is one that Elasticsearch will never take as it is.
type RefusedDocument struct {
	Position int // among the documents given
	ID       string
	Reason   string // "type: reason"
}

// Create adds documents to target, a data stream or an index, by one bulk call,
// and never replaces one. Those that can't be stored as they are (status 400)
// are in the result; anything else that keeps one from being stored is an error:
// then some may have been added, and all may be given again if they have ids.
func (c *Client) Create(ctx context.Context, target string, documents []Document) (CreateResult, error) {
	if len(documents) == 0 {
		return CreateResult{}, nil
	}
	body, err := bulkBody(documents)
	if err != nil {
		return CreateResult{}, fmt.Errorf("add to %s: %w", target, err)
	}
	var answer struct {
		Items []struct {
			Create struct {
				ID     string `json:"_id"`
				Index  string `json:"_index"`
				Status int    `json:"status"`
				Error  cause  `json:"error"`
			} `json:"create"`
		} `json:"items"`
	}
	if err := c.call(ctx, http.MethodPost, "/"+url.PathEscape(target)+"/_bulk", body, &answer); err != nil {
		return CreateResult{}, fmt.Errorf("add to %s: %w", target, err)
	}
	if len(answer.Items) != len(documents) {
		return CreateResult{}, fmt.Errorf("add to %s: %d answers to %d documents", target, len(answer.Items), len(documents))
	}
	var result CreateResult
	for i, item := range answer.Items {
		switch at := item.Create; {
		case at.Status/100 == 2:
			result.Created++
			result.Index = at.Index
		case at.Status == http.StatusConflict:
			result.Present++
		case at.Status == http.StatusBadRequest:
			result.Refused = append(result.Refused, RefusedDocument{Position: i, ID: at.ID, Reason: cut(at.Error.Type + ": " + at.Error.Reason)})
		default: // no room, no right, no shard: for all of them, and not for good
			return result, fmt.Errorf("add to %s: document %d: status %d %s: %s", target, i, at.Status, at.Error.Type, cut(at.Error.Reason))
		}
	}
	return result, nil
}

// bulkBody returns a newline-delimited body. It is JSON to newRequest, which is
// what Elasticsearch accepts for it, too.
func bulkBody(documents []Document) (json.RawMessage, error) {
	var body bytes.Buffer
	for i, d := range documents {
		action := struct {
			Create struct {
				ID string `json:"_id,omitempty"`
			} `json:"create"`
		}{}
		action.Create.ID = d.ID
		line, err := json.Marshal(action)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", i, err)
		}
		body.Write(line)
		body.WriteByte('\n')
		// A line break inside would end the document.
		if err := json.Compact(&body, d.Body); err != nil {
			return nil, fmt.Errorf("document %d: %w", i, err)
		}
		body.WriteByte('\n')
	}
	return body.Bytes(), nil
}
