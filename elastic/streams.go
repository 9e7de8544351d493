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

// updateStreams gives the write index of each existing stream the mapping that
// a new one would get. Templates only serve new indices.
func (s *setup) updateStreams(ctx context.Context, template object) error {
	var t struct {
		Patterns   []string  `json:"index_patterns"`
		DataStream *struct{} `json:"data_stream"`
	}
	if err := json.Unmarshal(template.body, &t); err != nil {
		return fmt.Errorf("index template %s: %w", template.name, err)
	}
	streams, indices, err := s.resolve(ctx, t.Patterns)
	if err != nil {
		return fmt.Errorf("find streams of index template %s: %w", template.name, err)
	}
	if t.DataStream == nil { // our own state: plain indices, updated the same way
		streams, indices = indices, nil
	}
	for _, name := range indices {
		s.note(Change{Kind: "index", Name: name, Action: Kept, Note: "it is an index of its own and stands in the way of a data stream, " +
			"because something was written before the setup; reindex it under another name or delete it"})
	}
	if len(streams) == 0 {
		return nil
	}
	mapping, err := s.composed(ctx, template.name)
	if err != nil {
		return fmt.Errorf("compose index template %s: %w", template.name, err)
	}
	for _, name := range streams {
		c, err := s.updateMapping(ctx, name, mapping, t.DataStream != nil)
		if err != nil {
			return err
		}
		s.note(c)
	}
	return nil
}

// resolve lists the data streams and the plain indices that the patterns
// match. (The data stream API is missing in the native Elasticsearch.)
func (s *setup) resolve(ctx context.Context, patterns []string) (streams, indices []string, err error) {
	var answer struct {
		Indices []struct {
			Name       string `json:"name"`
			DataStream string `json:"data_stream"`
		} `json:"indices"`
		DataStreams []struct {
			Name string `json:"name"`
		} `json:"data_streams"`
	}
	path := "/_resolve/index/" + url.PathEscape(strings.Join(patterns, ","))
	err = s.client.call(ctx, http.MethodGet, path, nil, &answer)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil, nil // a pattern without * names an index that is not there yet
	}
	if err != nil {
		return nil, nil, err
	}
	for _, d := range answer.DataStreams {
		streams = append(streams, d.Name)
	}
	for _, i := range answer.Indices {
		if i.DataStream == "" {
			indices = append(indices, i.Name)
		}
	}
	return streams, indices, nil
}

// composed returns the mapping that a template and its components make.
func (s *setup) composed(ctx context.Context, template string) (map[string]json.RawMessage, error) {
	var answer struct {
		Template struct {
			Mappings map[string]json.RawMessage `json:"mappings"`
		} `json:"template"`
	}
	if err := s.client.call(ctx, http.MethodPost, "/_index_template/_simulate/"+template, nil, &answer); err != nil {
		return nil, err
	}
	delete(answer.Template.Mappings, "_data_stream_timestamp") // is not ours to set
	return answer.Template.Mappings, nil
}

// updateMapping gives a stream's write index the mapping, or, where that can't be
// done in place and it is a data stream, begins a new index with it. What was
// written before stays as it is and is searched together with the new.
func (s *setup) updateMapping(ctx context.Context, stream string, mapping map[string]json.RawMessage, mayRollOver bool) (Change, error) {
	change := Change{Kind: "data stream", Name: stream, Action: Unchanged}
	path := "/" + url.PathEscape(stream) + "/_mapping"
	var before, after json.RawMessage
	if err := s.client.call(ctx, http.MethodGet, path, nil, &before); err != nil {
		return change, fmt.Errorf("get mapping of data stream %s: %w", stream, err)
	}
	err := s.client.call(ctx, http.MethodPut, path+"?write_index_only=true", mapping, nil)
	var refused *Error
	if errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Type == "mapper_exception") {
		if !mayRollOver {
			change.Action = Kept
			change.Note = fmt.Sprintf("its mapping can't be changed in place (%s); docs/backup.md tells how to reindex it", refused.Reason)
			return change, nil
		}
		if _, err := s.client.RollOver(ctx, stream, 0, 0); err != nil {
			return change, fmt.Errorf("its mapping can't be changed in place (%s): %w", refused.Reason, err)
		}
		change.Action = RolledOver
		change.Note = fmt.Sprintf("a new index has the new mapping, which can't be had in place (%s)", refused.Reason)
		return change, nil
	}
	if err != nil {
		return change, fmt.Errorf("put mapping of data stream %s: %w", stream, err)
	}
	if err := s.client.call(ctx, http.MethodGet, path, nil, &after); err != nil {
		return change, fmt.Errorf("get mapping of data stream %s: %w", stream, err)
	}
	if !same(before, after) {
		change.Action = Updated
	}
	return change, nil
}
