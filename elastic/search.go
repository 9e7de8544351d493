package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// SearchResult is the answer to a [Client.Search].
type SearchResult struct {
	// Total is the exact number of documents that matched.
	Total int64
	// Hits are the documents that the body's size asked for.
	Hits []Hit
	// Aggregations holds the answer of each aggregation by its name.
	Aggregations map[string]json.RawMessage
}

// Hit is one document that matched.
type Hit struct {
	Index  string          `json:"_index"`
	ID     string          `json:"_id"`
	Source json.RawMessage `json:"_source"`
	Sort   []any           `json:"sort"`
}

// Search runs the search request body, anything that encodes to Elasticsearch's
// query language, on target: one index or stream, or patterns with commas in
// between. One that does not exist yet holds nothing; one that the account may
// not read is an error, but what it may not read of a pattern is left out.
// An answer that a failed shard or a timeout made partial is an error, too,
// never a smaller number.
func (c *Client) Search(ctx context.Context, target string, body any) (*SearchResult, error) {
	var answer struct {
		TimedOut bool `json:"timed_out"`
		Shards   struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
		Hits struct {
			Total struct {
				Value int64 `json:"value"`
			} `json:"total"`
			Hits []Hit `json:"hits"`
		} `json:"hits"`
		Aggregations map[string]json.RawMessage `json:"aggregations"`
	}
	// ignore_unavailable would do for a missing stream, but also hides one that
	// the account may not read.
	path := "/" + url.PathEscape(target) + "/_search?allow_partial_search_results=false&track_total_hits=true"
	err := c.call(ctx, http.MethodPost, path, body, &answer)
	var refused *Error
	switch {
	case errors.As(err, &refused) && refused.Type == "index_not_found_exception" && !strings.Contains(target, ","):
		return &SearchResult{}, nil
	case err != nil:
		return nil, fmt.Errorf("search %s: %w", target, err)
	case answer.TimedOut || answer.Shards.Failed > 0:
		return nil, fmt.Errorf("search %s: the answer is partial: %d shards failed, timed out: %t", target, answer.Shards.Failed, answer.TimedOut)
	}
	return &SearchResult{Total: answer.Hits.Total.Value, Hits: answer.Hits.Hits, Aggregations: answer.Aggregations}, nil
}
