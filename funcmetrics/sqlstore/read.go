package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pharos/funcmetrics"
)

// Read implements funcmetrics.History. Whole hours come from the sums, so that
// a long time costs little, and the rest from the records. One transaction
// gives all of it from one snapshot.
func (s *Store) Read(ctx context.Context, name string, in funcmetrics.Range, ids []string) (out funcmetrics.Saved, err error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return out, fmt.Errorf("select function metrics: %w", err)
	}
	defer func() {
		if endErr := tx.Rollback(); !errors.Is(endErr, sql.ErrTxDone) {
			err = errors.Join(err, endErr)
		}
	}()
	out.Functions = map[string]*funcmetrics.Summary{}
	if err := s.read(ctx, tx, name, in, out.Functions); err != nil {
		return out, fmt.Errorf("select function metrics: %w", err)
	}
	if out.IDs, err = savedIDs(ctx, tx, ids); err != nil {
		return out, fmt.Errorf("select function metrics: %w", err)
	}
	return out, nil
}

func (s *Store) read(ctx context.Context, tx *sql.Tx, name string, in funcmetrics.Range, into map[string]*funcmetrics.Summary) error {
	if name != "" {
		var known bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM metrics_hourly WHERE func_name = ?)", name).Scan(&known); err != nil {
			return err
		}
		if !known {
			return nil
		}
		into[name] = &funcmetrics.Summary{}
	}
	first, last, edges := in.Hours()
	if first < last {
		// hour is an INT; a range without an end is beyond it.
		err := add(ctx, tx, into, "SELECT func_name, bucket, SUM(calls), SUM(errors), SUM(total_time) FROM metrics_hourly "+
			"WHERE hour >= ? AND hour < ? AND (? = '' OR func_name = ?) GROUP BY func_name, bucket",
			min(first, math.MaxInt32), min(last, math.MaxInt32), name, name)
		if err != nil {
			return err
		}
	}
	for _, e := range edges {
		err := add(ctx, tx, into, "SELECT func_name, CEIL(LN(GREATEST(execution_time, ?)) / ?) AS bucket, COUNT(*), SUM(error_occurred), SUM(execution_time) FROM metrics "+
			"WHERE created_at >= ? AND created_at < ? AND (? = '' OR func_name = ?) GROUP BY func_name, bucket",
			funcmetrics.MinSeconds, funcmetrics.LnGamma, datetime(e.From), datetime(e.To), name, name)
		if err != nil {
			return err
		}
	}
	return nil
}

// datetime is the moment as MySQL has it, the last one that it can have for
// any later.
func datetime(unix int64) time.Time {
	latest := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	if unix > latest.Unix() {
		return latest
	}
	return time.Unix(unix, 0).UTC()
}

func add(ctx context.Context, tx *sql.Tx, into map[string]*funcmetrics.Summary, query string, args ...any) (err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			name          string
			bucket        int
			calls, failed int64
			seconds       float64
		)
		if err := rows.Scan(&name, &bucket, &calls, &failed, &seconds); err != nil {
			return err
		}
		if into[name] == nil {
			into[name] = &funcmetrics.Summary{}
		}
		into[name].AddBucket(bucket, calls, failed, seconds)
	}
	return rows.Err()
}

// lookupSize is how many ids one statement asks for.
const lookupSize = 1000

// savedIDs returns which of the ids the table metrics has.
func savedIDs(ctx context.Context, tx *sql.Tx, ids []string) (map[string]bool, error) {
	found := map[string]bool{}
	for chunk := range slices.Chunk(ids, lookupSize) {
		if err := lookUp(ctx, tx, chunk, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func lookUp(ctx context.Context, tx *sql.Tx, ids []string, found map[string]bool) (err error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	rows, err := tx.QueryContext(ctx, "SELECT id FROM metrics WHERE id IN ("+manyArgs("?", len(ids))+")", args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		found[id] = true
	}
	return rows.Err()
}
