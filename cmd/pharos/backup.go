package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"pharos/backup"
	"pharos/backup/mongobackup"
	"pharos/backup/sqlbackup"
	"pharos/elastic"
	"pharos/internal/env"
)

// backupCmd makes backups and tells of them.
type backupCmd struct {
	Now   backupNow   `cmd:"" default:"withargs" help:"Back Elasticsearch, MySQL and MongoDB up while they run (the default)."`
	List  backupList  `cmd:"" help:"Print the backups, the latest first."`
	Check backupCheck `cmd:"" help:"Compare a backup's files with their checksums. Needs no server."`
}

// folderConfig is where backups are.
type folderConfig struct {
	Dir  string `env:"BACKUP_DIR,required,notEmpty"`
	Keep int    `env:"BACKUP_KEEP" envDefault:"7"`
}

// Validate implements env.Validator.
func (c *folderConfig) Validate() error {
	switch {
	case !filepath.IsAbs(c.Dir):
		return errors.New("BACKUP_DIR must be an absolute path")
	case c.Keep < 1:
		return errors.New("BACKUP_KEEP must be at least 1")
	}
	return nil
}

// storesConfig is what a backup and a restore need.
type storesConfig struct {
	Folder  folderConfig
	Setup   elastic.SetupConfig
	MongoDB mongobackup.Config
	MySQL   sqlbackup.Config
}

// Validate implements env.Validator.
func (c *storesConfig) Validate() error { return c.Folder.Validate() }

const (
	repository = "pharos"
	// repositoryFolder, below BACKUP_DIR, is Elasticsearch's path.repo.
	repositoryFolder = "elasticsearch"
	mysqlFile        = "mysql.sql.gz"
	mongoFolder      = "mongodb"
)

// stores are what is backed up.
type stores struct {
	cfg   storesConfig
	es    *elastic.Client
	mongo *mongobackup.Database
}

func openStores(ctx context.Context) (*stores, error) {
	s := &stores{}
	if err := env.Parse(&s.cfg); err != nil {
		return nil, usageError{err}
	}
	var err error
	if s.es, err = elastic.New(s.cfg.Setup.Client()); err != nil {
		return nil, usageError{err}
	}
	if s.mongo, err = mongobackup.Open(ctx, s.cfg.MongoDB); err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

func (s *stores) close(ctx context.Context) { _ = s.mongo.Close(context.WithoutCancel(ctx)) }

// versions asks all three, so that one that is away is known before the work.
func (s *stores) versions(ctx context.Context) (m backup.Manifest, err error) {
	var errs [3]error
	m.Elasticsearch.Version, errs[0] = s.es.Version(ctx)
	m.MySQL.Version, errs[1] = s.cfg.MySQL.Version(ctx)
	m.MongoDB.Version, errs[2] = s.mongo.Version(ctx)
	return m, errors.Join(errs[:]...)
}

type backupNow struct{}

// Help implements kong.HelpProvider.
func (backupNow) Help() string {
	return "The backup is a folder below BACKUP_DIR, and a snapshot in the repository there. Each store is read as of one moment of its own. " +
		"The latest BACKUP_KEEP backups are kept. Not in it: .env, which is to be kept elsewhere, and Redis. docs/backup.md tells how to bring it back."
}

// Run implements the command.
func (backupNow) Run(ctx context.Context, c *cli) error {
	s, err := openStores(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	m, err := s.backUp(ctx)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := s.removeOld(ctx); err != nil {
		return fmt.Errorf("backup %s is made, but older ones can't be removed: %w", m.Name, err)
	}
	if c.JSON {
		return printJSON(m)
	}
	fmt.Fprintf(os.Stderr, "Backup %s in %s: %d streams and indices, %d collections, %s beside the snapshot.\n",
		m.Name, s.cfg.Folder.Dir, len(m.Elasticsearch.Names), len(m.MongoDB.Collections), sizeText(m.Bytes()))
	return nil
}

func progress(text string) { fmt.Fprintln(os.Stderr, text) }

func (s *stores) backUp(ctx context.Context) (backup.Manifest, error) {
	m, err := s.versions(ctx)
	if err != nil {
		return m, err
	}
	root := s.cfg.Folder.Dir
	m.MadeAt, m.Pharos = time.Now().UTC().Truncate(time.Second), version
	m.Name = backup.NameAt(m.MadeAt)
	folder, err := backup.Begin(root, m.Name)
	if err != nil {
		return m, err
	}
	defer func() { _ = os.RemoveAll(folder) }() // it has another name when all is well
	// MongoDB first: what refers to its users and posts is then read later.
	progress("MongoDB")
	if m.MongoDB.Collections, err = s.mongo.Export(ctx, filepath.Join(folder, mongoFolder)); err != nil {
		return m, err
	}
	progress("MySQL")
	if err := s.cfg.MySQL.Dump(ctx, filepath.Join(folder, mysqlFile)); err != nil {
		return m, err
	}
	progress("Elasticsearch")
	if err := s.es.PutRepository(ctx, repository, filepath.Join(root, repositoryFolder)); err != nil {
		return m, err
	}
	if m.Elasticsearch.Names, err = s.es.Open(ctx); err != nil {
		return m, err
	}
	snapshot, err := s.es.TakeSnapshot(ctx, repository, m.Name, m.Elasticsearch.Names)
	if err != nil {
		return m, err
	}
	m.Elasticsearch.Snapshot, m.Elasticsearch.UUID = snapshot.Name, snapshot.UUID
	return backup.End(root, m)
}

func (s *stores) removeOld(ctx context.Context) error {
	all, err := backup.List(s.cfg.Folder.Dir)
	if err != nil {
		return err
	}
	for _, old := range backup.Beyond(all, s.cfg.Folder.Keep) {
		if err := s.es.DeleteSnapshot(ctx, repository, old.Elasticsearch.Snapshot); err != nil {
			return err
		}
		if err := backup.Remove(s.cfg.Folder.Dir, old.Name); err != nil {
			return err
		}
	}
	return nil
}

type backupList struct{}

// Run implements the command.
func (backupList) Run(c *cli) error {
	var cfg folderConfig
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	all, err := backup.List(cfg.Dir)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(all)
	}
	if len(all) == 0 {
		fmt.Printf("There is no backup in %s.\n", cfg.Dir)
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "BACKUP\tMADE\tPHAROS\tSIZE\tELASTICSEARCH\tMYSQL\tMONGODB")
	for _, m := range all {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.MadeAt.Format(time.DateTime), m.Pharos, sizeText(m.Bytes()),
			m.Elasticsearch.Version, m.MySQL.Version, m.MongoDB.Version)
	}
	return w.Flush()
}

type backupCheck struct {
	Name string `arg:"" optional:"" help:"The backup; the latest if none is named."`
}

// Run implements the command.
func (b backupCheck) Run(c *cli) error {
	var cfg folderConfig
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	m, err := backup.Read(cfg.Dir, b.Name)
	if err != nil {
		return err
	}
	if err := m.Check(cfg.Dir); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(m)
	}
	fmt.Printf("Backup %s of %s is whole: %d files, %s.\n", m.Name, m.MadeAt.Format(time.RFC3339), len(m.Files), sizeText(m.Bytes()))
	return nil
}

// restoreCmd brings a backup back into empty stores.
type restoreCmd struct {
	Name       string `arg:"" optional:"" help:"The backup; the latest if none is named."`
	AnyVersion bool   `help:"Also into stores of an earlier version than those of the backup."`
}

// Help implements kong.HelpProvider.
func (restoreCmd) Help() string {
	return "Checks the backup's files first, and refuses stores that hold anything: make restore brings an existing system's data aside and calls this."
}

// Run implements the command.
func (r *restoreCmd) Run(ctx context.Context, c *cli) error {
	s, err := openStores(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	m, err := s.restore(ctx, r)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if c.JSON {
		return printJSON(m)
	}
	fmt.Fprintf(os.Stderr, "Restored %s of %s.\n", m.Name, m.MadeAt.Format(time.RFC3339))
	return nil
}

func (s *stores) restore(ctx context.Context, r *restoreCmd) (backup.Manifest, error) {
	root := s.cfg.Folder.Dir
	m, err := backup.Read(root, r.Name)
	if err != nil {
		return m, err
	}
	progress("Checking " + m.Name)
	if err := m.Check(root); err != nil {
		return m, err
	}
	here, err := s.versions(ctx)
	if err != nil {
		return m, err
	}
	if err := comparable(m, here); err != nil && !r.AnyVersion {
		return m, err
	}
	if err := s.es.PutRepository(ctx, repository, filepath.Join(root, repositoryFolder)); err != nil {
		return m, err
	}
	snapshot, err := s.es.Snapshot(ctx, repository, m.Elasticsearch.Snapshot)
	if err != nil {
		return m, err
	}
	if snapshot.UUID != m.Elasticsearch.UUID || snapshot.State != "SUCCESS" {
		return m, fmt.Errorf("snapshot %s is not the backup's: it is %s, with the id %s", snapshot.Name, snapshot.State, snapshot.UUID)
	}
	if err := s.empty(ctx); err != nil {
		return m, err
	}
	progress("MongoDB")
	counts, err := s.mongo.Import(ctx, filepath.Join(root, m.Name, mongoFolder))
	if err != nil {
		return m, err
	}
	if !maps.Equal(counts, m.MongoDB.Collections) {
		return m, fmt.Errorf("MongoDB has other numbers of documents than the backup: %v, %v in the backup", counts, m.MongoDB.Collections)
	}
	progress("MySQL")
	if err := s.cfg.MySQL.Load(ctx, filepath.Join(root, m.Name, mysqlFile)); err != nil {
		return m, err
	}
	progress("Elasticsearch")
	return m, s.es.RestoreSnapshot(ctx, repository, snapshot.Name, m.Elasticsearch.Names)
}

// comparable refuses a backup of later servers.
func comparable(m, here backup.Manifest) error {
	var errs []error
	for name, v := range map[string][2]string{
		"Elasticsearch": {m.Elasticsearch.Version, here.Elasticsearch.Version},
		"MySQL":         {m.MySQL.Version, here.MySQL.Version},
		"MongoDB":       {m.MongoDB.Version, here.MongoDB.Version},
	} {
		if backup.Newer(v[0], v[1]) {
			errs = append(errs, fmt.Errorf("the backup is of %s %s, this is %s", name, v[0], v[1]))
		}
	}
	return errors.Join(errs...)
}

// empty refuses stores that hold anything.
func (s *stores) empty(ctx context.Context) error {
	var holds []string
	names, err := s.es.Open(ctx)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		holds = append(holds, fmt.Sprintf("Elasticsearch (%d streams and indices, %s among them)", len(names), names[0]))
	}
	documents, err := s.mongo.Documents(ctx)
	if err != nil {
		return err
	}
	rows, err := s.cfg.MySQL.Tables(ctx)
	if err != nil {
		return err
	}
	for store, counts := range map[string]map[string]int64{"MongoDB": documents, "MySQL": rows} {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			holds = append(holds, fmt.Sprintf("%s (%d in %s)", store, counts[name], name))
		}
	}
	if len(holds) > 0 {
		slices.Sort(holds)
		return fmt.Errorf("nothing was changed: there is data already in %s", strings.Join(holds, ", "))
	}
	return nil
}
