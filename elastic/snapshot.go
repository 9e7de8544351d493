package elastic

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Snapshot is what a repository holds of a moment. The repository shares what
// does not change among its snapshots.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/snapshot-restore.html
type Snapshot struct {
	Name string `json:"snapshot"`
	UUID string `json:"uuid"`
	// State is SUCCESS, IN_PROGRESS, PARTIAL or FAILED.
	State       string   `json:"state"`
	Version     string   `json:"version"` // of the Elasticsearch that made it
	Indices     []string `json:"indices"` // those behind data streams included
	DataStreams []string `json:"data_streams"`
	Shards      struct {
		Total      int `json:"total"`
		Failed     int `json:"failed"`
		Successful int `json:"successful"`
	} `json:"shards"`
}

// Version is the version of Elasticsearch.
func (c *Client) Version(ctx context.Context) (string, error) {
	var answer struct {
		Version struct {
			Number string `json:"number"`
		} `json:"version"`
	}
	if err := c.call(ctx, http.MethodGet, "/", nil, &answer); err != nil {
		return "", fmt.Errorf("read Elasticsearch's version: %w", err)
	}
	return answer.Version.Number, nil
}

// PutRepository registers a folder, which must be below Elasticsearch's path.repo,
// as a repository of snapshots, and has it checked by all nodes.
func (c *Client) PutRepository(ctx context.Context, name, folder string) error {
	body := map[string]any{"type": "fs", "settings": map[string]any{"location": folder, "compress": true}}
	if err := c.call(ctx, http.MethodPut, "/_snapshot/"+url.PathEscape(name), body, nil); err != nil {
		return fmt.Errorf("register snapshot repository %s: %w", name, err)
	}
	return nil
}

// Open lists the data streams and the indices of their own, but for hidden ones
// and Elasticsearch's own.
func (c *Client) Open(ctx context.Context) ([]string, error) {
	streams, indices, err := c.members(ctx, url.PathEscape("*"))
	if err != nil {
		return nil, fmt.Errorf("list indices: %w", err)
	}
	names := indices
	for _, s := range streams {
		names = append(names, s.Name)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, ".") })
	slices.Sort(names)
	return names, nil
}

// pollEvery is how often what takes its time is looked at.
const pollEvery = 500 * time.Millisecond

// TakeSnapshot takes a snapshot of the named data streams and indices and waits
// for its end. Elasticsearch's own indices, users and templates are not in it:
// Setup makes them.
func (c *Client) TakeSnapshot(ctx context.Context, repository, name string, indices []string) (Snapshot, error) {
	path := "/_snapshot/" + url.PathEscape(repository) + "/" + url.PathEscape(name)
	body := map[string]any{
		"indices": indices, "include_global_state": false, "feature_states": []string{"none"}, "metadata": map[string]any{"managed_by": manager},
	}
	if err := c.call(ctx, http.MethodPut, path, body, nil); err != nil {
		return Snapshot{}, fmt.Errorf("take snapshot %s: %w", name, err)
	}
	for {
		s, err := c.Snapshot(ctx, repository, name)
		switch {
		case err != nil:
			return Snapshot{}, err
		case s.State == "SUCCESS" && s.Shards.Failed == 0:
			return s, nil
		case s.State != "IN_PROGRESS" && s.State != "STARTED":
			return s, fmt.Errorf("snapshot %s ended as %s: %d of %d shards failed", name, s.State, s.Shards.Failed, s.Shards.Total)
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return Snapshot{}, fmt.Errorf("wait for snapshot %s: %w", name, err)
		}
	}
}

// Snapshot reads about one.
func (c *Client) Snapshot(ctx context.Context, repository, name string) (Snapshot, error) {
	var answer struct {
		Snapshots []Snapshot `json:"snapshots"`
	}
	if err := c.call(ctx, http.MethodGet, "/_snapshot/"+url.PathEscape(repository)+"/"+url.PathEscape(name), nil, &answer); err != nil {
		return Snapshot{}, fmt.Errorf("read snapshot %s: %w", name, err)
	}
	if len(answer.Snapshots) != 1 {
		return Snapshot{}, fmt.Errorf("read snapshot %s: %d answers", name, len(answer.Snapshots))
	}
	return answer.Snapshots[0], nil
}

// DeleteSnapshot removes one, and what only it holds. One that is gone is no error.
func (c *Client) DeleteSnapshot(ctx context.Context, repository, name string) error {
	err := c.call(ctx, http.MethodDelete, "/_snapshot/"+url.PathEscape(repository)+"/"+url.PathEscape(name), nil, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("delete snapshot %s: %w", name, err)
	}
	return nil
}

// RestoreSnapshot brings back the named data streams and indices of a snapshot,
// none of which may be there, and waits until all of it can be read. Elasticsearch
// checks its own checksums of all that it reads.
func (c *Client) RestoreSnapshot(ctx context.Context, repository, name string, indices []string) error {
	path := "/_snapshot/" + url.PathEscape(repository) + "/" + url.PathEscape(name) + "/_restore"
	body := map[string]any{"indices": indices, "include_global_state": false, "feature_states": []string{"none"}}
	if err := c.call(ctx, http.MethodPost, path, body, nil); err != nil {
		return fmt.Errorf("restore snapshot %s: %w", name, err)
	}
	// Not the cluster's health: while a primary waits to be restored that is yellow.
	for {
		var shards []struct {
			Index  string `json:"index"`
			PriRep string `json:"prirep"`
			State  string `json:"state"`
		}
		if err := c.call(ctx, http.MethodGet, "/_cat/shards?format=json&h=index,prirep,state", nil, &shards); err != nil {
			return fmt.Errorf("wait for snapshot %s to be restored: %w", name, err)
		}
		waiting := 0
		for _, s := range shards {
			if s.PriRep == "p" && s.State != "STARTED" {
				waiting++
			}
		}
		if waiting == 0 && len(shards) >= len(indices) {
			return nil
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return fmt.Errorf("snapshot %s is not restored yet, %d shards are missing: %w", name, waiting, err)
		}
	}
}
