// Package mysqlconn opens connections to MySQL (or MariaDB) the way every store
// needs them, and brings tables to their version's state.
package mysqlconn

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	"go.elastic.co/apm/module/apmsql/v2"
	_ "go.elastic.co/apm/module/apmsql/v2/mysql" // registers the traced driver

	"pharos/internal/env"
)

// Config is how to reach MySQL. The stores have structs of the same fields,
// each with its own setting for the pool, and convert them.
type Config struct {
	Addr     string // host:port
	User     string
	Database string
	Password env.Secret
	MaxConns int
}

// The timeouts of the driver; a context's deadline cuts them shorter.
const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 10 * time.Second
)

// Open returns a pool whose queries make spans, without waiting for the server.
// Close it.
func Open(cfg Config) (*sql.DB, error) {
	if _, _, err := net.SplitHostPort(cfg.Addr); err != nil {
		return nil, fmt.Errorf("MYSQL_ADDR: %w", err)
	}
	dsn := mysql.NewConfig()
	dsn.Net, dsn.Addr, dsn.User, dsn.Passwd, dsn.DBName = "tcp", cfg.Addr, cfg.User, cfg.Password.Reveal(), cfg.Database
	dsn.Timeout, dsn.ReadTimeout, dsn.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	dsn.ParseTime, dsn.Loc = true, time.UTC
	// One round trip and one span a query instead of two.
	dsn.InterpolateParams = true
	dsn.Params = map[string]string{"charset": "utf8mb4"}
	db, err := apmsql.Open("mysql", dsn.FormatDSN())
	if err != nil {
		return nil, fmt.Errorf("open MySQL: %w", err)
	}
	db.SetMaxOpenConns(cfg.MaxConns)
	db.SetMaxIdleConns(cfg.MaxConns)
	db.SetConnMaxLifetime(30 * time.Minute)
	return db, nil
}

// migrationLock is one for all migrations of a database.
const migrationLock = "pharos-migrations"

// Migrate applies the goose migrations in the folder "migrations" of files that
// are not yet in versionTable, which no other store may use. Processes that
// start at the same time wait for one another.
func Migrate(ctx context.Context, db *sql.DB, files fs.FS, versionTable string) (err error) {
	dir, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	lock, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrate MySQL: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	var got sql.NullInt64
	if err := lock.QueryRowContext(ctx, "SELECT GET_LOCK(?, 30)", migrationLock).Scan(&got); err != nil {
		return fmt.Errorf("lock migrations: %w", err)
	}
	if got.Int64 != 1 {
		return errors.New("lock migrations: another process has held the lock for 30 s")
	}
	defer func() {
		_, unlockErr := lock.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK(?)", migrationLock)
		err = errors.Join(err, unlockErr)
	}()
	provider, err := goose.NewProvider(goose.DialectMySQL, db, dir, goose.WithTableName(versionTable))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate MySQL: %w", err)
	}
	return nil
}
