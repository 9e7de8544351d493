package mongobackup_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/backup/mongobackup"
	"pharos/internal/mongoconn"
	"pharos/internal/teststack"
)

// TestExportAndImport exports the stack's database, which others write to, and
// brings two collections of the test's own back under other names.
func TestExportAndImport(t *testing.T) {
	db, err := mongobackup.Open(t.Context(), teststack.Config[mongobackup.Config](t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	if v, err := db.Version(t.Context()); err != nil || !strings.Contains(v, ".") {
		t.Errorf("version %q, %v", v, err)
	}
	id := "testbackup" + strings.ToLower(rand.Text()[:8])
	users, posts := id+"users", id+"posts"
	fill(t, users, 4)
	fill(t, posts, 2500) // more than a batch
	folder := filepath.Join(t.TempDir(), "mongodb")
	exported, err := db.Export(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	if exported[users] != 4 || exported[posts] != 2500 {
		t.Fatalf("exported %v", exported)
	}
	if again, err := db.Import(t.Context(), folder); err == nil {
		t.Errorf("a collection that is there was replaced: %v", again)
	}
	if _, err := db.Import(t.Context(), t.TempDir()); err == nil {
		t.Error("an empty folder was imported")
	}

	other := t.TempDir()
	want := map[string]int64{}
	for _, name := range []string{users, posts} {
		renamed := "again" + name
		want[renamed] = exported[name]
		t.Cleanup(func() { drop(t, renamed) })
		copyFile(t, filepath.Join(folder, name+".bson.gz"), filepath.Join(other, renamed+".bson.gz"))
		metadata := unzip(t, filepath.Join(folder, name+".metadata.json.gz"))
		for _, part := range []string{`"indexes"`, `"options"`, `"collectionName":"` + name + `"`, `"_id_"`, `"unique":true`} {
			if !strings.Contains(metadata, part) {
				t.Errorf("the metadata of %s lacks %s: %s", name, part, metadata)
			}
		}
		zip(t, filepath.Join(other, renamed+".metadata.json.gz"), metadata)
	}
	imported, err := db.Import(t.Context(), other)
	if err != nil || !maps.Equal(imported, want) {
		t.Fatalf("%v, %v, want %v", imported, err, want)
	}
	// Exported once more they are the same, documents and indexes.
	again := filepath.Join(t.TempDir(), "again")
	if _, err := db.Export(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	for renamed := range want {
		for _, end := range []string{".bson.gz", ".metadata.json.gz"} {
			name := strings.TrimPrefix(renamed, "again")
			before := strings.ReplaceAll(unzip(t, filepath.Join(folder, name+end)), `"collectionName":"`+name+`"`, "")
			after := strings.ReplaceAll(unzip(t, filepath.Join(again, renamed+end)), `"collectionName":"`+renamed+`"`, "")
			if before != after {
				t.Errorf("%s%s: %d bytes before, %d after", name, end, len(before), len(after))
			}
		}
	}

	// A file that was cut short is not taken for a smaller collection.
	broken := t.TempDir()
	t.Cleanup(func() { drop(t, id+"broken") })
	zip(t, filepath.Join(broken, id+"broken.metadata.json.gz"), `{"options":{},"indexes":[],"collectionName":"x","type":"collection"}`)
	text := unzip(t, filepath.Join(folder, users+".bson.gz"))
	zip(t, filepath.Join(broken, id+"broken.bson.gz"), text[:len(text)-3])
	if _, err := db.Import(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "ends early") {
		t.Errorf("a broken file: %v", err)
	}
}

// fill makes a collection of n documents with a unique index.
func fill(t *testing.T, name string, n int) {
	t.Helper()
	cfg := teststack.Config[mongobackup.Config](t)
	db, _, err := mongoconn.Connect(t.Context(), mongoconn.Config{URI: cfg.URI, User: cfg.User, Password: cfg.Password, MaxPool: 1}, options.Client())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Client().Disconnect(t.Context()) }()
	t.Cleanup(func() { drop(t, name) })
	index := mongo.IndexModel{Keys: bson.D{{Key: "handle", Value: 1}}, Options: options.Index().SetUnique(true)}
	if _, err := db.Collection(name).Indexes().CreateOne(t.Context(), index); err != nil {
		t.Fatal(err)
	}
	var documents []any
	for i := range n {
		documents = append(documents, bson.D{{Key: "handle", Value: fmt.Sprintf("ada %d 🚀", i)}, {Key: "at", Value: time.Now()}, {Key: "raw", Value: []byte{0, 1, 255}}})
	}
	if _, err := db.Collection(name).InsertMany(t.Context(), documents); err != nil {
		t.Fatal(err)
	}
}

// drop removes what the test has made, also after its end.
func drop(t *testing.T, name string) {
	t.Helper()
	cfg := teststack.Config[mongobackup.Config](t)
	ctx := context.WithoutCancel(t.Context())
	db, _, err := mongoconn.Connect(ctx, mongoconn.Config{URI: cfg.URI, User: cfg.User, Password: cfg.Password, MaxPool: 1}, options.Client())
	if err == nil {
		err = db.Collection(name).Drop(ctx)
	}
	if err != nil {
		t.Error(err)
		return
	}
	_ = db.Client().Disconnect(ctx)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unzip(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(zip); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func zip(t *testing.T, path, text string) {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
