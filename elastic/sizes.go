package elastic

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
)

// Size is how much a stream or an index holds, copies included.
type Size struct {
	Bytes     float64 `json:"bytes"`
	Documents float64 `json:"documents"`
}

// backing is the name of an index behind a stream; they are numbered by the day of
// their making.
var backing = regexp.MustCompile(`^\.ds-(.+)-\d{4}\.\d{2}\.\d{2}-\d{6}$`)

// StreamOf is the stream that a backing index belongs to by its name; any other
// index is its own.
func StreamOf(index string) string {
	if m := backing.FindStringSubmatch(index); m != nil {
		return m[1]
	}
	return index
}

// Sizes returns how much the streams and indices of target (patterns with commas
// between) hold, by their names. It needs the index privilege monitor.
func (c *Client) Sizes(ctx context.Context, target string) (map[string]Size, error) {
	indices, err := c.indexSizes(ctx, url.PathEscape(target))
	if err != nil {
		return nil, err
	}
	sizes := map[string]Size{}
	for index, i := range indices {
		s := sizes[StreamOf(index)]
		s.Bytes += i.Bytes
		s.Documents += i.Documents
		sizes[StreamOf(index)] = s
	}
	return sizes, nil
}

// indexSizes is Sizes by index; target is escaped already.
func (c *Client) indexSizes(ctx context.Context, target string) (map[string]Size, error) {
	var answer struct {
		Indices map[string]struct {
			Total struct {
				Docs  struct{ Count float64 }
				Store struct {
					Bytes float64 `json:"size_in_bytes"`
				}
			}
		}
	}
	path := "/" + target + "/_stats/docs,store?filter_path=indices.*.total.docs.count,indices.*.total.store.size_in_bytes"
	if err := c.call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return nil, fmt.Errorf("sizes of %s: %w", target, err)
	}
	sizes := map[string]Size{}
	for index, i := range answer.Indices {
		sizes[index] = Size{Bytes: i.Total.Store.Bytes, Documents: i.Total.Docs.Count}
	}
	return sizes, nil
}
