package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ErrPointInTimeGone says that a point in time was kept for too short, or that
// Elasticsearch was started again.
var ErrPointInTimeGone = errors.New("the point in time is gone")

// OpenPointInTime keeps what target holds now as it is, for searches one after
// the other to agree on it, and returns its name. It ends once it was not used
// for as long as keep, or by ClosePointInTime.
func (c *Client) OpenPointInTime(ctx context.Context, target string, keep time.Duration) (string, error) {
	var answer struct {
		ID string `json:"id"`
	}
	path := "/" + url.PathEscape(target) + "/_pit?allow_partial_search_results=false&keep_alive=" + keepAlive(keep)
	if err := c.call(ctx, http.MethodPost, path, nil, &answer); err != nil {
		return "", fmt.Errorf("open point in time of %s: %w", target, err)
	}
	return answer.ID, nil
}

// ClosePointInTime frees what a point in time keeps. One that is gone already is
// no error.
func (c *Client) ClosePointInTime(ctx context.Context, id string) error {
	err := c.call(ctx, http.MethodDelete, "/_pit", map[string]string{"id": id}, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("close point in time: %w", err)
	}
	return nil
}

func keepAlive(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }
