// Package sqlstore keeps in MySQL (or MariaDB) what each user asked for.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"

	"pharos/feed"
	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/internal/mysqlconn"
	"pharos/internal/obs"
	"pharos/internal/resilience"
)

// Config is how to reach MySQL.
type Config struct {
	Addr     string     `env:"MYSQL_ADDR,required,notEmpty"` // host:port
	User     string     `env:"MYSQL_USER" envDefault:"pharos"`
	Database string     `env:"MYSQL_DATABASE" envDefault:"pharos"`
	Password env.Secret `env:"MYSQL_PASSWORD,required,notEmpty"`
	MaxConns int        `env:"MYSQL_MAX_CONNS" envDefault:"10"`
}

// Store implements feed.RequestStore. Its methods may be called from any
// goroutine.
type Store struct {
	db     *sql.DB
	guard  *resilience.Guard
	tracer *apm.Tracer
	cfg    Config
}

// Open returns a Store without waiting for the server. Close it.
func Open(cfg Config, tel *obs.Telemetry, metrics *resilience.Metrics) (*Store, error) {
	db, err := mysqlconn.Open(mysqlconn.Config(cfg))
	if err != nil {
		return nil, err
	}
	return &Store{
		db: db, tracer: tel.Tracer, cfg: cfg,
		guard: resilience.NewGuard("mysql", cfg.Addr, resilience.Defaults(), isAway, metrics, tel.Log),
	}, nil
}

// isAway tells a MySQL that does not answer from one that does.
func isAway(err error) bool {
	var answer *mysql.MySQLError
	return !errors.As(err, &answer)
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
	return mysqlconn.Migrate(ctx, s.db, migrations, "goose_db_version")
}

const insertRequests = "INSERT IGNORE INTO requests " +
	"(id, user_id, request_id, trace_id, method, path, status, returned, source, duration_us, at) VALUES "

const maxPath = 512

// Insert implements feed.RequestStore: all requests by one statement. Each
// request's trace gets a span for it, although its own answer did not wait.
func (s *Store) Insert(ctx context.Context, rs []feed.Request) error {
	if len(rs) == 0 {
		return nil
	}
	args := make([]any, 0, len(rs)*11)
	for _, r := range rs {
		path := r.Path
		if len(path) > maxPath {
			path = strings.ToValidUTF8(path[:maxPath], "")
		}
		args = append(args, r.ID, r.UserID, r.RequestID, r.TraceID, r.Method, path, r.Status, r.Returned,
			string(r.Source), int64(r.DurationMS*1000), r.At.UTC())
	}
	values := strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?,?,?,?,?,?),", len(rs)), ",")
	start := time.Now()
	err := s.guard.Do(ctx, func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, insertRequests+values, args...)
		return err
	})
	s.trace(rs, start, time.Since(start), err)
	if err != nil {
		return fmt.Errorf("insert requests: %w", err)
	}
	return nil
}

func (s *Store) trace(rs []feed.Request, start time.Time, took time.Duration, err error) {
	for _, r := range rs {
		parent, parseErr := apmhttp.ParseTraceparentHeader(r.TraceParent)
		if parseErr != nil {
			continue
		}
		span := s.tracer.StartSpan("INSERT INTO requests", "db.mysql.query", parent.Span, apm.SpanOptions{
			Parent: parent, Start: start, ExitSpan: true,
		})
		span.Duration = took
		span.Outcome = "success"
		if err != nil {
			span.Outcome = "failure"
		}
		span.Context.SetDatabase(apm.DatabaseSpanContext{
			Instance: s.cfg.Database, User: s.cfg.User, Type: "sql", Statement: insertRequests + "(…)",
		})
		span.Context.SetServiceTarget(apm.ServiceTargetSpanContext{Type: "mysql", Name: s.cfg.Database})
		span.Context.SetLabel("batch_size", len(rs))
		span.End()
	}
}

// ByUser implements feed.RequestStore.
func (s *Store) ByUser(ctx context.Context, userID, before string, limit int) (rs []feed.Request, err error) {
	err = s.guard.Do(ctx, func(ctx context.Context) error {
		rs, err = s.byUser(ctx, userID, before, limit)
		return err
	})
	if err != nil && (errors.Is(err, resilience.ErrRejected) || isAway(err) && ctx.Err() == nil) {
		f := fault.New(fault.Unavailable, "The tracked requests can't be reached at present.")
		f.RetryAfter = 2 * time.Second
		return nil, fmt.Errorf("%w: %w", f, err)
	}
	return rs, err
}

func (s *Store) byUser(ctx context.Context, userID, before string, limit int) (rs []feed.Request, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, user_id, request_id, trace_id, method, path, status, returned, source, duration_us, at "+
		"FROM requests WHERE user_id = ? AND (? = '' OR id < ?) ORDER BY id DESC LIMIT ?", userID, before, before, limit)
	if err != nil {
		return nil, fmt.Errorf("select requests: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			r  feed.Request
			us int64
		)
		if err := rows.Scan(&r.ID, &r.UserID, &r.RequestID, &r.TraceID, &r.Method, &r.Path, &r.Status, &r.Returned, &r.Source, &us, &r.At); err != nil {
			return nil, fmt.Errorf("read requests: %w", err)
		}
		r.DurationMS = float64(us) / 1000
		rs = append(rs, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return rs, nil
}
