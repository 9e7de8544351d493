// Package sqlstore keeps function metrics in MySQL (or MariaDB): every record
// in the table metrics, and their sums by hour in metrics_hourly.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"

	"github.com/prometheus/client_golang/prometheus"

	"pharos/internal/env"
	"pharos/internal/mysqlconn"
)

// Config is how to reach MySQL.
type Config struct {
	Addr     string     `env:"MYSQL_ADDR,required,notEmpty"` // host:port
	User     string     `env:"MYSQL_USER" envDefault:"pharos"`
	Database string     `env:"MYSQL_DATABASE" envDefault:"pharos"`
	Password env.Secret `env:"MYSQL_PASSWORD,required,notEmpty"`
	MaxConns int        `env:"FUNCMETRICS_MYSQL_MAX_CONNS" envDefault:"4"`
}

// Store implements funcmetrics.Store and funcmetrics.History. Its methods may
// be called from any goroutine.
type Store struct{ db *sql.DB }

// Open returns a Store without waiting for the server. Close it.
func Open(cfg Config) (*Store, error) {
	db, err := mysqlconn.Open(mysqlconn.Config(cfg))
	if err != nil {
		return nil, err
	}
	return &Store{db: db}, nil
}

// RegisterMetrics registers what the pool of connections holds.
func (s *Store) RegisterMetrics(reg prometheus.Registerer) { mysqlconn.RegisterMetrics(reg, s.db) }

// Close ends the connections.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether the server answers.
func (s *Store) Ping(ctx context.Context) error { return s.db.PingContext(ctx) }

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the tables to this version's state. Processes that start at
// the same time wait for one another.
func (s *Store) Migrate(ctx context.Context) error {
	return mysqlconn.Migrate(ctx, s.db, migrations, "funcmetrics_goose_version")
}

// manyArgs is n groups of placeholders, with commas.
func manyArgs(group string, n int) string {
	out := make([]byte, 0, n*(len(group)+1))
	for i := range n {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, group...)
	}
	return string(out)
}
