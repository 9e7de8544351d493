package elastic

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// snapshots takes one of a stream of the test's own, removes an index of its own,
// and brings that back. (A stream can't be removed in the native Elasticsearch:
// make test-backup restores whole systems.)
func (w *world) snapshots(t *testing.T) {
	repository, index, stream := w.name("backup"), w.name("scratch"), w.stream("logs-external")+"snap"
	folder := filepath.Join(os.Getenv("BACKUP_DIR"), "elasticsearch", repository)
	if err := w.client.PutRepository(t.Context(), repository, folder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.must(t, "DELETE", "/_snapshot/"+repository, nil, nil) })
	if err := w.client.PutRepository(t.Context(), repository+"x", "/tmp"); err == nil || !strings.Contains(err.Error(), "path.repo") {
		t.Errorf("a folder elsewhere: %v", err)
	}
	for range 3 {
		if err := w.index(t, index, map[string]any{"n": 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.index(t, stream, map[string]any{"@timestamp": noon}); err != nil {
		t.Fatal(err)
	}
	open, err := w.client.Open(t.Context())
	if err != nil || !slices.Contains(open, index) || !slices.Contains(open, stream) || slices.ContainsFunc(open, func(n string) bool { return strings.HasPrefix(n, ".") }) {
		t.Errorf("open: %v, %v", open, err)
	}
	taken, err := w.client.TakeSnapshot(t.Context(), repository, "one", []string{index, stream})
	if err != nil || taken.UUID == "" || !slices.Contains(taken.DataStreams, stream) || taken.Shards.Total != 2 {
		t.Fatalf("%+v, %v", taken, err)
	}
	if _, err := w.client.TakeSnapshot(t.Context(), repository, "two", []string{"not-there-" + w.id}); err == nil {
		t.Error("a snapshot of nothing is taken")
	}
	if err := w.client.RestoreSnapshot(t.Context(), repository, "one", []string{index}); err == nil {
		t.Error("an index that is there was replaced")
	}
	if err := w.client.DeleteIndex(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	if err := w.client.RestoreSnapshot(t.Context(), repository, "one", []string{index}); err != nil {
		t.Fatal(err)
	}
	if found, err := w.client.Search(t.Context(), index, Query{"size": 0}); err != nil || found.Total != 3 {
		t.Errorf("%+v, %v", found, err)
	}
	if err := w.client.DeleteSnapshot(t.Context(), repository, "one"); err != nil {
		t.Error(err)
	}
	if err := w.client.DeleteSnapshot(t.Context(), repository, "one"); err != nil {
		t.Errorf("once more: %v", err)
	}
	for _, name := range []string{"", "*", "a,b", "logs-*"} {
		if err := w.client.DeleteIndex(t.Context(), name); err == nil {
			t.Errorf("%q is deleted", name)
		}
	}
	w.must(t, "DELETE", "/"+index, nil, nil)
}
