// Package mongobackup exports a MongoDB database to files and brings it back. The
// files are those of mongodump --gzip, so that mongorestore reads them, too:
// https://www.mongodb.com/docs/database-tools/mongodump/
package mongobackup

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/internal/env"
	"pharos/internal/mongoconn"
)

// Config are the settings: the account of the services, which owns the data.
type Config struct {
	URI      string     `env:"MONGODB_URI,required,notEmpty"`
	User     string     `env:"MONGODB_USER,required,notEmpty"`
	Password env.Secret `env:"MONGODB_PASSWORD,required,notEmpty"`
}

// Database is one database of a replica set.
type Database struct{ db *mongo.Database }

// Open returns the database of the settings. Close it.
func Open(ctx context.Context, cfg Config) (*Database, error) {
	db, _, err := mongoconn.Connect(ctx, mongoconn.Config{URI: cfg.URI, User: cfg.User, Password: cfg.Password, MaxPool: 4}, options.Client())
	if err != nil {
		return nil, err
	}
	return &Database{db}, nil
}

// Close ends the connections.
func (d *Database) Close(ctx context.Context) error { return d.db.Client().Disconnect(ctx) }

// Version is the server's.
func (d *Database) Version(ctx context.Context) (string, error) {
	var info struct {
		Version string `bson:"version"`
	}
	if err := d.db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return "", fmt.Errorf("read MongoDB's version: %w", err)
	}
	return info.Version, nil
}

// metadata is a collection's file NAME.metadata.json, in MongoDB's extended JSON.
type metadata struct {
	Options bson.D   `bson:"options"`
	Indexes []bson.D `bson:"indexes"`
	Name    string   `bson:"collectionName"`
	Type    string   `bson:"type"`
}

// collections lists all but views and the server's own.
func (d *Database) collections(ctx context.Context) ([]*mongo.CollectionSpecification, error) {
	all, err := d.db.ListCollectionSpecifications(ctx, bson.D{{Key: "type", Value: "collection"}})
	if err != nil {
		return nil, fmt.Errorf("list collections: %w", err)
	}
	all = slices.DeleteFunc(all, func(c *mongo.CollectionSpecification) bool { return strings.HasPrefix(c.Name, "system.") })
	slices.SortFunc(all, func(a, b *mongo.CollectionSpecification) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Documents counts those of each collection that has any.
func (d *Database) Documents(ctx context.Context) (map[string]int64, error) {
	all, err := d.collections(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, c := range all {
		n, err := d.db.Collection(c.Name).CountDocuments(ctx, bson.D{})
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", c.Name, err)
		}
		if n > 0 {
			counts[c.Name] = n
		}
	}
	return counts, nil
}

// Export writes all collections, with their indexes, into folder, and returns how
// many documents each has. All are read as of one moment (a snapshot session, read
// concern "snapshot"), which the server can look back at for five minutes by
// default (minSnapshotHistoryWindowInSeconds): a longer export fails, and says so.
func (d *Database) Export(ctx context.Context, folder string) (map[string]int64, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("export MongoDB: %w", err)
	}
	all, err := d.collections(ctx)
	if err != nil {
		return nil, fmt.Errorf("export MongoDB: %w", err)
	}
	session, err := d.db.Client().StartSession(options.Session().SetSnapshot(true))
	if err != nil {
		return nil, fmt.Errorf("export MongoDB: %w", err)
	}
	defer session.EndSession(ctx)
	counts := map[string]int64{}
	err = mongo.WithSession(ctx, session, func(ctx mongo.SessionContext) error {
		for _, c := range all {
			n, err := d.exportDocuments(ctx, c.Name, folder)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			counts[c.Name] = n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("export MongoDB: %w", err)
	}
	for _, c := range all {
		if err := d.exportMetadata(ctx, c, folder); err != nil {
			return nil, fmt.Errorf("export MongoDB: indexes of %s: %w", c.Name, err)
		}
	}
	return counts, nil
}

func (d *Database) exportDocuments(ctx context.Context, name, folder string) (int64, error) {
	cursor, err := d.db.Collection(name).Find(ctx, bson.D{})
	if err != nil {
		return 0, err
	}
	defer func() { _ = cursor.Close(ctx) }()
	var n int64
	err = writeFile(filepath.Join(folder, name+".bson.gz"), func(w io.Writer) error {
		for ; cursor.Next(ctx); n++ {
			if _, err := w.Write(cursor.Current); err != nil {
				return err
			}
		}
		return cursor.Err()
	})
	return n, err
}

func (d *Database) exportMetadata(ctx context.Context, c *mongo.CollectionSpecification, folder string) error {
	m := metadata{Name: c.Name, Type: "collection", Options: bson.D{}, Indexes: []bson.D{}}
	if len(c.Options) > 0 {
		if err := bson.Unmarshal(c.Options, &m.Options); err != nil {
			return err
		}
	}
	cursor, err := d.db.Collection(c.Name).Indexes().List(ctx)
	if err != nil {
		return err
	}
	if err := cursor.All(ctx, &m.Indexes); err != nil {
		return err
	}
	text, err := bson.MarshalExtJSON(m, true, false)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(folder, c.Name+".metadata.json.gz"), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// writeFile makes a compressed file of what fill writes.
func writeFile(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	zip := gzip.NewWriter(f)
	buffered := bufio.NewWriterSize(zip, 1<<20)
	return errors.Join(fill(buffered), buffered.Flush(), zip.Close(), f.Sync(), f.Close())
}

// Import brings the collections of a folder back and returns how many documents
// each has. They must not be there: nothing is replaced.
func (d *Database) Import(ctx context.Context, folder string) (map[string]int64, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.metadata.json.gz"))
	if err != nil {
		return nil, fmt.Errorf("import MongoDB: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("import MongoDB: %s holds no collections", folder)
	}
	counts := map[string]int64{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".metadata.json.gz")
		if counts[name], err = d.importCollection(ctx, name, folder); err != nil {
			return nil, fmt.Errorf("import MongoDB: %s: %w", name, err)
		}
	}
	return counts, nil
}

func (d *Database) importCollection(ctx context.Context, name, folder string) (int64, error) {
	var m metadata
	err := readFile(filepath.Join(folder, name+".metadata.json.gz"), func(r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return bson.UnmarshalExtJSON(text, true, &m)
	})
	if err != nil {
		return 0, err
	}
	create := append(bson.D{{Key: "create", Value: name}}, m.Options...)
	if err := d.db.RunCommand(ctx, create).Err(); err != nil {
		return 0, fmt.Errorf("make it: %w", err)
	}
	n, err := d.importDocuments(ctx, name, folder)
	if err != nil {
		return n, err
	}
	// After the documents: one pass over them instead of one for each.
	indexes := bson.A{}
	for _, index := range m.Indexes {
		index = slices.DeleteFunc(index, func(e bson.E) bool { return e.Key == "ns" || e.Key == "v" })
		if !slices.ContainsFunc(index, func(e bson.E) bool { return e.Key == "name" && e.Value == "_id_" }) {
			indexes = append(indexes, index)
		}
	}
	if len(indexes) > 0 {
		if err := d.db.RunCommand(ctx, bson.D{{Key: "createIndexes", Value: name}, {Key: "indexes", Value: indexes}}).Err(); err != nil {
			return n, fmt.Errorf("make its indexes: %w", err)
		}
	}
	return n, nil
}

// A batch is inserted when it has reached either of these; the server takes
// 100,000 documents and 48 MB at once.
const (
	batchDocuments = 1000
	batchBytes     = 8 << 20
	// largest is the server's limit of a document, with room for its envelope.
	largest = 17 << 20
)

func (d *Database) importDocuments(ctx context.Context, name, folder string) (int64, error) {
	var n int64
	err := readFile(filepath.Join(folder, name+".bson.gz"), func(r io.Reader) error {
		var batch []any
		size := 0
		insert := func() error {
			if len(batch) == 0 {
				return nil
			}
			_, err := d.db.Collection(name).InsertMany(ctx, batch)
			n += int64(len(batch))
			batch, size = nil, 0
			return err
		}
		for {
			document, err := next(r)
			if errors.Is(err, io.EOF) {
				return insert()
			}
			if err != nil {
				return fmt.Errorf("document %d: %w", n+int64(len(batch))+1, err)
			}
			batch = append(batch, document)
			size += len(document)
			if len(batch) >= batchDocuments || size >= batchBytes {
				if err := insert(); err != nil {
					return err
				}
			}
		}
	})
	return n, err
}

// next reads a document; io.EOF after the last.
func next(r io.Reader) (bson.Raw, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.LittleEndian.Uint32(head[:]))
	if size < 5 || size > largest {
		return nil, fmt.Errorf("its size is %d bytes", size)
	}
	document := make(bson.Raw, size)
	copy(document, head[:])
	if _, err := io.ReadFull(r, document[4:]); err != nil {
		return nil, fmt.Errorf("it ends early: %w", io.ErrUnexpectedEOF)
	}
	return document, document.Validate()
}

func readFile(path string, use func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	zip, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return err
	}
	return errors.Join(use(zip), zip.Close())
}
