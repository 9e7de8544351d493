// Package backup is what a backup consists of: a folder with the exports of MySQL
// and MongoDB, and a manifest that names them with their checksums and the
// snapshot of Elasticsearch that belongs to them.
package backup

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Manifest is manifest.json, the last file to be written.
type Manifest struct {
	Name   string    `json:"name"`
	MadeAt time.Time `json:"made_at"`
	Pharos string    `json:"pharos"` // the version that made it

	Elasticsearch Elasticsearch `json:"elasticsearch"`
	MySQL         MySQL         `json:"mysql"`
	MongoDB       MongoDB       `json:"mongodb"`
	Files         []File        `json:"files"`
}

// Elasticsearch is the snapshot in the repository beside the backups.
type Elasticsearch struct {
	Version  string   `json:"version"`
	Snapshot string   `json:"snapshot"`
	UUID     string   `json:"uuid"`
	Names    []string `json:"names"` // data streams and indices of their own
}

// MySQL is the dump.
type MySQL struct {
	Version string `json:"version"`
}

// MongoDB is the export.
type MongoDB struct {
	Version     string           `json:"version"`
	Collections map[string]int64 `json:"collections"` // documents by name
}

// File is one file of a backup.
type File struct {
	Path   string `json:"path"` // below the backup's folder, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

const (
	manifestFile = "manifest.json"
	partial      = ".partial"
	nameFormat   = "2006-01-02t15-04-05z" // lower case: Elasticsearch's snapshots have the same name
)

var nameForm = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}t\d{2}-\d{2}-\d{2}z$`)

// NameAt is the name of the backup that is begun at a moment.
func NameAt(at time.Time) string { return at.UTC().Format(nameFormat) }

// Begin makes the folder of a new backup below root, which is not one until End.
func Begin(root, name string) (folder string, err error) {
	folder = filepath.Join(root, name+partial)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make the backup's folder: %w", err)
	}
	return folder, nil
}

// End sums the files up, writes the manifest, and gives the backup its name.
func End(root string, m Manifest) (Manifest, error) {
	folder := filepath.Join(root, m.Name+partial)
	m.Files = nil
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		at, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		f, err := sum(path)
		f.Path = filepath.ToSlash(at)
		m.Files = append(m.Files, f)
		return err
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("sum the backup up: %w", err)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return Manifest{}, fmt.Errorf("encode manifest: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, manifestFile), append(text, '\n'), 0o600); err != nil {
		return Manifest{}, fmt.Errorf("write manifest: %w", err)
	}
	if err := os.Rename(folder, filepath.Join(root, m.Name)); err != nil {
		return Manifest{}, fmt.Errorf("name the backup: %w", err)
	}
	return m, nil
}

func sum(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return File{Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// ErrNone says that there is no backup.
var ErrNone = errors.New("there is no backup")

// List returns the backups below root, the latest first.
func List(root string) ([]Manifest, error) {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	var all []Manifest
	for _, e := range entries {
		if !e.IsDir() || !nameForm.MatchString(e.Name()) {
			continue
		}
		m, err := Read(root, e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Manifest) int { return cmp.Compare(b.Name, a.Name) })
	return all, nil
}

// Read reads a backup's manifest; an empty name is the latest.
func Read(root, name string) (Manifest, error) {
	if name == "" {
		all, err := List(root)
		if err != nil {
			return Manifest{}, err
		}
		if len(all) == 0 {
			return Manifest{}, fmt.Errorf("%w in %s", ErrNone, root)
		}
		return all[0], nil
	}
	if !nameForm.MatchString(name) {
		return Manifest{}, fmt.Errorf("%q is no backup's name: they look like %s", name, nameFormat)
	}
	text, err := os.ReadFile(filepath.Join(root, name, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%w %s in %s", ErrNone, name, root)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("read backup %s: %w", name, err)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("read backup %s: %w", name, err)
	}
	if m.Name != name {
		return Manifest{}, fmt.Errorf("backup %s: its manifest is that of %q", name, m.Name)
	}
	return m, nil
}

// Check compares every file with its checksum. The error names all that are
// missing or changed.
func (m Manifest) Check(root string) error {
	var errs []error
	for _, want := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(want.Path)) {
			errs = append(errs, fmt.Errorf("%s: lies outside", want.Path))
			continue
		}
		got, err := sum(filepath.Join(root, m.Name, filepath.FromSlash(want.Path)))
		switch {
		case err != nil:
			errs = append(errs, err)
		case got.SHA256 != want.SHA256:
			errs = append(errs, fmt.Errorf("%s: has changed since the backup: %d bytes, %d then", want.Path, got.Bytes, want.Bytes))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("backup %s is not whole: %w", m.Name, err)
	}
	return nil
}

// Bytes is the size of the files; the snapshot is not in it.
func (m Manifest) Bytes() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// Beyond are the backups that go when only the latest keep ones are kept.
func Beyond(all []Manifest, keep int) []Manifest {
	if len(all) <= keep {
		return nil
	}
	return all[keep:]
}

// Remove removes a backup's folder.
func Remove(root, name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("%q is no backup's name", name)
	}
	if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
		return fmt.Errorf("remove backup %s: %w", name, err)
	}
	return nil
}

// Newer reports whether version a is of a later major or minor release than b:
// what a later server wrote, an earlier one can't be trusted to read.
func Newer(a, b string) bool {
	return slices.Compare(release(a), release(b)) > 0
}

func release(version string) []int {
	var numbers []int
	for part := range strings.SplitSeq(version, ".") {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n, err := strconv.Atoi(part[:end])
		if err != nil || len(numbers) == 2 {
			break
		}
		numbers = append(numbers, n)
	}
	return numbers
}
