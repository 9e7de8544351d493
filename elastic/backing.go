package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Backing is an index, and the data stream that it stands behind.
type Backing struct {
	Name      string
	Stream    string // empty: an index of its own
	Made      time.Time
	Bytes     int64 // copies included
	Documents int64
}

// Backings lists the indices that the patterns match and those behind the data
// streams that they match; of a stream in the order in which they were begun, so
// that its last one is written to. It needs the index privileges
// view_index_metadata and monitor.
func (c *Client) Backings(ctx context.Context, patterns []string) ([]Backing, error) {
	target := url.PathEscape(strings.Join(patterns, ","))
	streams, indices, err := c.members(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("list indices of %s: %w", strings.Join(patterns, ","), err)
	}
	if len(streams)+len(indices) == 0 {
		return nil, nil
	}
	made, err := c.made(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("ages of %s: %w", strings.Join(patterns, ","), err)
	}
	sizes, err := c.indexSizes(ctx, target)
	if err != nil {
		return nil, err
	}
	var all []Backing
	for _, name := range indices {
		all = append(all, Backing{Name: name})
	}
	for _, s := range streams {
		for _, name := range s.Indices {
			all = append(all, Backing{Name: name, Stream: s.Name})
		}
	}
	for i, b := range all {
		size := sizes[b.Name]
		all[i].Made, all[i].Bytes, all[i].Documents = made[b.Name], int64(size.Bytes), int64(size.Documents)
	}
	// What has come or gone in between is for the next look.
	return slices.DeleteFunc(all, func(b Backing) bool { return b.Made.IsZero() }), nil
}

type streamMembers struct {
	Name    string      `json:"name"`
	Indices stringsOrIt `json:"backing_indices"`
}

// stringsOrIt is a list that Elasticsearch writes without brackets if it has one
// item.
type stringsOrIt []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *stringsOrIt) UnmarshalJSON(text []byte) error {
	var one string
	if err := json.Unmarshal(text, &one); err == nil {
		*s = stringsOrIt{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(s))
}

func (c *Client) members(ctx context.Context, target string) (streams []streamMembers, indices []string, err error) {
	var answer struct {
		Indices []struct {
			Name       string `json:"name"`
			DataStream string `json:"data_stream"`
		} `json:"indices"`
		DataStreams []streamMembers `json:"data_streams"`
	}
	// A list in the path may hold names that are not there.
	path := "/_resolve/index/" + target + "?expand_wildcards=open,hidden"
	err = c.call(ctx, http.MethodGet, path, nil, &answer)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, i := range answer.Indices {
		if i.DataStream == "" {
			indices = append(indices, i.Name)
		}
	}
	return answer.DataStreams, indices, nil
}

// made tells when each index was made.
func (c *Client) made(ctx context.Context, target string) (map[string]time.Time, error) {
	var answer map[string]struct {
		Settings map[string]string `json:"settings"`
	}
	const setting = "index.creation_date"
	path := "/" + target + "/_settings/" + setting + "?flat_settings=true&ignore_unavailable=true&expand_wildcards=open,hidden"
	if err := c.call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return nil, err
	}
	times := map[string]time.Time{}
	for index, a := range answer {
		millis, err := strconv.ParseInt(a.Settings[setting], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", setting, index, err)
		}
		times[index] = time.UnixMilli(millis).UTC()
	}
	return times, nil
}

// RollOver begins a new index behind a data stream if the one that is written to
// holds a document and is at least so old or so large (bytes of its primary
// shard; 0: whatever), and reports whether it did. Asked twice, it begins one.
// With neither age nor size it begins one in any case. It needs the privilege
// indices:admin/rollover.
func (c *Client) RollOver(ctx context.Context, stream string, age time.Duration, bytes int64) (bool, error) {
	var answer struct {
		RolledOver bool `json:"rolled_over"`
	}
	conditions := map[string]any{}
	if age > 0 || bytes > 0 {
		conditions["min_docs"] = 1
	}
	if age > 0 {
		conditions["max_age"] = fmt.Sprintf("%ds", int64(age.Seconds()))
	}
	if bytes > 0 {
		conditions["max_primary_shard_size"] = fmt.Sprintf("%db", bytes)
	}
	path := "/" + url.PathEscape(stream) + "/_rollover"
	if err := c.call(ctx, http.MethodPost, path, map[string]any{"conditions": conditions}, &answer); err != nil {
		return false, fmt.Errorf("roll %s over: %w", stream, err)
	}
	return answer.RolledOver, nil
}

// DeleteIndex removes one index by its whole name. One that is gone already is no
// error; the one that a data stream writes to is refused by Elasticsearch. It
// needs the privilege indices:admin/delete.
func (c *Client) DeleteIndex(ctx context.Context, name string) error {
	if name == "" || strings.ContainsAny(name, "*?,") {
		return fmt.Errorf("delete index %q: it is not the name of one index", name)
	}
	err := c.call(ctx, http.MethodDelete, "/"+url.PathEscape(name), nil, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("delete index %s: %w", name, err)
	}
	return nil
}

// DeleteDocuments removes the documents of one index that the query matches and
// nobody has changed meanwhile, and returns how many. An index that is not there
// has none.
func (c *Client) DeleteDocuments(ctx context.Context, index string, query any) (int64, error) {
	var answer struct {
		Deleted  int64             `json:"deleted"`
		Failures []json.RawMessage `json:"failures"`
	}
	path := "/" + url.PathEscape(index) + "/_delete_by_query?conflicts=proceed"
	err := c.call(ctx, http.MethodPost, path, map[string]any{"query": query}, &answer)
	switch {
	case isStatus(err, http.StatusNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("delete documents of %s: %w", index, err)
	case len(answer.Failures) > 0:
		return answer.Deleted, fmt.Errorf("delete documents of %s: %d failed, the first: %s", index, len(answer.Failures), cut(string(answer.Failures[0])))
	}
	return answer.Deleted, nil
}

// Lifecycles returns how long Elasticsearch itself keeps the data of each data
// stream that the patterns match; 0 is without end, and a stream that it does not
// manage is not in it. known is false where this Elasticsearch has no data stream
// lifecycle, which the native one lacks.
// https://www.elastic.co/docs/api/doc/elasticsearch/v8/operation/operation-indices-get-data-lifecycle
func (c *Client) Lifecycles(ctx context.Context, patterns []string) (ages map[string]string, known bool, err error) {
	var answer struct {
		DataStreams []struct {
			Name      string `json:"name"`
			Lifecycle *struct {
				Enabled   *bool  `json:"enabled"`
				Retention string `json:"data_retention"`
			} `json:"lifecycle"`
		} `json:"data_streams"`
	}
	err = c.call(ctx, http.MethodGet, "/_data_stream/"+url.PathEscape(strings.Join(patterns, ","))+"/_lifecycle", nil, &answer)
	var refused *Error
	switch {
	// "no handler found", or a path that it reads as another of its own.
	case errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusMethodNotAllowed):
		return nil, false, nil
	case isStatus(err, http.StatusNotFound):
		return nil, true, nil
	case err != nil:
		return nil, false, fmt.Errorf("read the lifecycles of data streams: %w", err)
	}
	ages = map[string]string{}
	for _, d := range answer.DataStreams {
		if d.Lifecycle != nil && (d.Lifecycle.Enabled == nil || *d.Lifecycle.Enabled) {
			ages[d.Name] = d.Lifecycle.Retention
		}
	}
	return ages, true, nil
}

// SetLifecycle lets Elasticsearch begin new indices behind a data stream and
// remove those that are older than age (such as 30d; empty: none). It needs the
// privilege manage_data_stream_lifecycle.
func (c *Client) SetLifecycle(ctx context.Context, stream, age string) error {
	body := map[string]any{}
	if age != "" {
		body["data_retention"] = age
	}
	if err := c.call(ctx, http.MethodPut, "/_data_stream/"+url.PathEscape(stream)+"/_lifecycle", body, nil); err != nil {
		return fmt.Errorf("set the lifecycle of data stream %s: %w", stream, err)
	}
	return nil
}
