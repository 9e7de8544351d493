package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// PageRequest is a search for one page of a longer list, or for figures about it.
type PageRequest struct {
	// Target is one index or stream, or a pattern; unused with a point in time.
	Target string
	// PointInTime is what OpenPointInTime or the page before returned, if any; it
	// is kept for Keep longer.
	PointInTime string
	Keep        time.Duration
	// Body is the rest of the search request. Its track_total_hits decides whether
	// there is a Total.
	Body Query
}

// Page is the answer to a [Client.Page].
type Page struct {
	// Total is how many documents match, as far as they were counted; AtLeast says
	// that counting stopped there. Both are zero without track_total_hits.
	Total        int64
	AtLeast      bool
	Hits         []Hit
	Aggregations map[string]json.RawMessage
	// PointInTime names it from now on.
	PointInTime string
}

// Page is Search for those who read a list page by page, and so don't want it
// counted each time. What does not exist yet holds nothing. An answer that is not
// whole is an error: ErrPointInTimeGone, or context.DeadlineExceeded where the
// body's timeout was too short.
func (c *Client) Page(ctx context.Context, r PageRequest) (*Page, error) {
	var answer struct {
		PIT      string `json:"pit_id"`
		TimedOut bool   `json:"timed_out"`
		Shards   struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
		Hits struct {
			Total struct {
				Value    int64  `json:"value"`
				Relation string `json:"relation"`
			} `json:"total"`
			Hits []Hit `json:"hits"`
		} `json:"hits"`
		Aggregations map[string]json.RawMessage `json:"aggregations"`
	}
	path, body := "/"+url.PathEscape(r.Target)+"/_search", Query{}
	for k, v := range r.Body {
		body[k] = v
	}
	if r.PointInTime != "" {
		path = "/_search"
		body["pit"] = Query{"id": r.PointInTime, "keep_alive": keepAlive(r.Keep)}
	}
	err := c.call(ctx, http.MethodPost, path+"?allow_partial_search_results=false", body, &answer)
	var refused *Error
	switch {
	case errors.As(err, &refused) && refused.Type == "index_not_found_exception" && r.PointInTime == "":
		return &Page{}, nil
	case errors.As(err, &refused) && r.PointInTime != "" && (refused.Status == http.StatusNotFound || strings.Contains(refused.Reason, "No search context found")):
		return nil, fmt.Errorf("search page: %w: %w", ErrPointInTimeGone, err)
	case err != nil:
		return nil, fmt.Errorf("search page: %w", err)
	case answer.TimedOut:
		return nil, fmt.Errorf("search page: Elasticsearch stopped at the timeout: %w", context.DeadlineExceeded)
	case answer.Shards.Failed > 0:
		return nil, fmt.Errorf("search page: the answer is partial: %d shards failed", answer.Shards.Failed)
	}
	return &Page{
		Total: answer.Hits.Total.Value, AtLeast: answer.Hits.Total.Relation == "gte",
		Hits: answer.Hits.Hits, Aggregations: answer.Aggregations, PointInTime: answer.PIT,
	}, nil
}
