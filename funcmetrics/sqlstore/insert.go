package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"

	"pharos/funcmetrics"
)

// errChanged says that another saver has saved some of the same records in
// between.
var errChanged = errors.New("records were saved by another saver meanwhile")

// Codes of MySQL, https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
const (
	codeLockWaitTimeout = 1205
	codeDeadlock        = 1213
	// MariaDB's: a row has changed since the transaction's snapshot.
	codeRecordChanged = 1020
)

const insertTries = 5

// Insert implements funcmetrics.Store: the records and their sums by one
// transaction. Records that are there already leave the sums as they are.
func (s *Store) Insert(ctx context.Context, rs []funcmetrics.Record) error {
	rs = unique(rs)
	for try := 1; ; try++ {
		err := s.insert(ctx, rs)
		if err == nil {
			return nil
		}
		if try == insertTries || !again(err) {
			return fmt.Errorf("insert function metrics: %w", err)
		}
	}
}

func again(err error) bool {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number == codeLockWaitTimeout || e.Number == codeDeadlock || e.Number == codeRecordChanged
	}
	return errors.Is(err, errChanged)
}

func (s *Store) insert(ctx context.Context, rs []funcmetrics.Record) (err error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the reason to roll back is the error that counts
		}
	}()
	saved, err := savedIDs(ctx, tx, ids(rs))
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(slices.Clone(rs), func(r funcmetrics.Record) bool { return saved[r.ID] })
	if len(fresh) == 0 {
		return tx.Commit()
	}
	args := make([]any, 0, len(fresh)*5)
	for _, r := range fresh {
		args = append(args, r.ID, r.FuncName, r.Seconds, r.Failed, time.Unix(r.At, 0).UTC())
	}
	result, err := tx.ExecContext(ctx, "INSERT INTO metrics (id, func_name, execution_time, error_occurred, created_at) VALUES "+
		manyArgs("(?,?,?,?,?)", len(fresh))+" ON DUPLICATE KEY UPDATE id = metrics.id", args...)
	if err != nil {
		return err
	}
	// A duplicate changes nothing and is not counted here. If there is one, the
	// records that are new are others than those looked for above.
	if n, err := result.RowsAffected(); err != nil {
		return err
	} else if n != int64(len(fresh)) {
		return errChanged
	}
	if err := addHours(ctx, tx, fresh); err != nil {
		return err
	}
	return tx.Commit()
}

type hourKey struct {
	name   string
	hour   int64
	bucket int
}

// addHours adds records to the sums. Rows are locked in the order of their
// keys, so that savers rarely deadlock.
func addHours(ctx context.Context, tx *sql.Tx, rs []funcmetrics.Record) error {
	sums := map[hourKey]*funcmetrics.Summary{}
	var keys []hourKey
	for _, r := range rs {
		k := hourKey{r.FuncName, r.At / 3600, funcmetrics.Bucket(r.Seconds)}
		if sums[k] == nil {
			sums[k] = &funcmetrics.Summary{}
			keys = append(keys, k)
		}
		sums[k].Add(r)
	}
	slices.SortFunc(keys, func(a, b hourKey) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.hour, b.hour), cmp.Compare(a.bucket, b.bucket))
	})
	args := make([]any, 0, len(keys)*6)
	for _, k := range keys {
		args = append(args, k.name, k.hour, k.bucket, sums[k].Calls, sums[k].Errors, sums[k].Seconds)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO metrics_hourly (func_name, hour, bucket, calls, errors, total_time) VALUES "+
		manyArgs("(?,?,?,?,?,?)", len(keys))+
		" ON DUPLICATE KEY UPDATE calls = calls + VALUES(calls), errors = errors + VALUES(errors), total_time = total_time + VALUES(total_time)", args...)
	return err
}

// Forget implements funcmetrics.Archive.
func (s *Store) Forget(ctx context.Context, before int64, limit int) (int, error) {
	result, err := s.db.ExecContext(ctx, "DELETE FROM metrics WHERE created_at < ? ORDER BY created_at LIMIT ?", datetime(before), limit)
	if err != nil {
		return 0, fmt.Errorf("delete function metrics: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// unique leaves the first record of each id: a list may hold one twice.
func unique(rs []funcmetrics.Record) []funcmetrics.Record {
	seen := make(map[string]bool, len(rs))
	return slices.DeleteFunc(slices.Clone(rs), func(r funcmetrics.Record) bool {
		if seen[r.ID] {
			return true
		}
		seen[r.ID] = true
		return false
	})
}

func ids(rs []funcmetrics.Record) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = r.ID
	}
	return out
}
