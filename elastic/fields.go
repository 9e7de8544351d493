package elastic

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// Fields returns the names of the mapped fields of target that a pattern as in
// "shop.revenue_minor.*" stands for, sorted. A target that does not exist yet has
// none.
func (c *Client) Fields(ctx context.Context, target, pattern string) ([]string, error) {
	var answer struct {
		Fields map[string]any `json:"fields"`
	}
	path := "/" + url.PathEscape(target) + "/_field_caps?fields=" + url.QueryEscape(pattern)
	err := c.call(ctx, http.MethodGet, path, nil, &answer)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fields %s of %s: %w", pattern, target, err)
	}
	return slices.Sorted(maps.Keys(answer.Fields)), nil
}
