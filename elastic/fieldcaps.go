package elastic

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// FieldTypes returns the types that fields have in target, each field's sorted by
// name: more than one where its indices disagree. Fields may be patterns; one that
// is mapped nowhere is left out, as are objects.
func (c *Client) FieldTypes(ctx context.Context, target string, fields ...string) (map[string][]string, error) {
	var answer struct {
		Fields map[string]map[string]any `json:"fields"`
	}
	path := "/" + url.PathEscape(target) + "/_field_caps?filters=-parent&ignore_unavailable=true&fields=" + url.QueryEscape(strings.Join(fields, ","))
	if err := c.call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		if isStatus(err, http.StatusNotFound) {
			return map[string][]string{}, nil
		}
		return nil, fmt.Errorf("ask for the fields of %s: %w", target, err)
	}
	types := make(map[string][]string, len(answer.Fields))
	for name, byType := range answer.Fields {
		if len(byType) > 0 {
			types[name] = slices.Sorted(maps.Keys(byType))
		}
	}
	return types, nil
}
