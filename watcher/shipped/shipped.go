// Package shipped keeps the watches that come with Pharos up to date, and leaves
// those alone that people have changed.
package shipped

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
)

// Config are the settings.
type Config struct {
	// Dir holds the watches, ID.json each; empty: none come as files.
	Dir string `env:"WATCHES_DIR"`
}

// Store keeps watches and the hash of the file that each came from.
type Store interface {
	// Shipped returns a watch and its file's hash, empty if people wrote or
	// changed it; fault.NotFound.
	Shipped(ctx context.Context, id string) (watcher.Stored, string, error)
	// PutShipped writes a watch unless it has changed since it was read (nil: was
	// not there); fault.Conflict.
	PutShipped(ctx context.Context, id string, source *document.Object, status watcher.Status, hash string, was *watcher.Stored) (watcher.Stored, error)
}

// File is a watch that ships.
type File struct {
	ID   string
	Text []byte // the watch, as PUT takes it
}

// Files reads the watches of a folder: ID.json each.
func Files(dir fs.FS) ([]File, error) {
	names, err := fs.Glob(dir, "*.json")
	if err != nil {
		return nil, fmt.Errorf("list watches: %w", err)
	}
	files := make([]File, 0, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("read watch: %w", err)
		}
		files = append(files, File{strings.TrimSuffix(name, ".json"), text})
	}
	return files, nil
}

// Loader loads watches. All fields are needed.
type Loader struct {
	Files  []File
	Engine *watcher.Engine
	Store  Store
	Now    func() time.Time
}

// Summary counts what Load did.
type Summary struct{ Added, Updated, Unchanged, Kept int }

// Load writes each watch that is not there, and each that has changed as a file
// but not in Elasticsearch; its status stays. Watches that people have put
// themselves are kept. A file that is wrong is in the error, with its id, and
// does not keep the others from being loaded.
func (l *Loader) Load(ctx context.Context) (Summary, error) {
	var sum Summary
	var errs []error
	for _, f := range l.Files {
		if err := l.load(ctx, f.ID, f.Text, &sum); err != nil {
			errs = append(errs, fmt.Errorf("load watch %s: %w", f.ID, err))
		}
	}
	return sum, errors.Join(errs...)
}

func (l *Loader) load(ctx context.Context, id string, text []byte, sum *Summary) error {
	sha := sha256.Sum256(text)
	hash := hex.EncodeToString(sha[:])
	stored, was, err := l.Store.Shipped(ctx, id)
	known := err == nil
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	case known && was == hash:
		sum.Unchanged++
		return nil
	case known && was == "":
		sum.Kept++
		return nil
	}
	w, err := l.Engine.Parse(ctx, id, text)
	if err != nil {
		return err
	}
	status, replaced, count := watcher.NewStatus(true, l.Now(), w.ActionIDs()), (*watcher.Stored)(nil), &sum.Added
	if known {
		status, replaced, count = stored.Status.Keep(l.Now(), w.ActionIDs()), &stored, &sum.Updated
	}
	_, err = l.Store.PutShipped(ctx, id, w.Source(), status, hash, replaced)
	if fault.Is(err, fault.Conflict) { // another process did it, or somebody was faster
		sum.Kept++
		return nil
	}
	if err == nil {
		*count++
	}
	return err
}
