package logs

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"pharos/elastic"
)

// exportPage is how many lines one call of an export reads.
const exportPage = 1000

// export reads all lines of a scope, as they were when it began.
type export struct {
	store   store
	filters []elastic.Query
	oldest  bool
	pit     string
	after   []any
	// Total is how many lines there are.
	Total int64
}

// export begins one. It must be closed.
func (s store) export(ctx context.Context, sc scope, oldest bool) (*export, error) {
	q, err := s.ask(ctx, sc)
	if err != nil {
		return nil, err
	}
	pit, err := s.es.OpenPointInTime(ctx, s.target, keepPages)
	if err != nil {
		return nil, err
	}
	e := &export{store: s, filters: q.filters, oldest: oldest, pit: pit}
	page, err := s.es.Page(ctx, elastic.PageRequest{PointInTime: pit, Keep: keepPages, Body: elastic.Query{
		"size": 0, "track_total_hits": true, "query": all(q.filters...),
	}})
	if err != nil {
		return nil, refusedQuery(fmt.Errorf("count lines to export: %w", errors.Join(err, e.close(ctx))))
	}
	e.pit, e.Total = page.PointInTime, page.Total
	return e, nil
}

// next returns the next lines' documents; none when all were returned.
func (e *export) next(ctx context.Context) ([]elastic.Hit, error) {
	order := map[bool]string{true: "asc", false: "desc"}[e.oldest]
	body := elastic.Query{
		"track_total_hits": false, "query": all(e.filters...),
		"sort": []elastic.Query{{"@timestamp": elastic.Query{"order": order, "unmapped_type": "date", "numeric_type": "date"}}, {"_shard_doc": order}},
	}
	if e.after != nil {
		body["search_after"] = e.after
	}
	page, _, err := e.store.smaller(ctx, elastic.PageRequest{PointInTime: e.pit, Keep: keepPages, Body: body}, exportPage)
	if err != nil {
		return nil, fmt.Errorf("export lines: %w", err)
	}
	e.pit = page.PointInTime
	if len(page.Hits) > 0 {
		e.after = page.Hits[len(page.Hits)-1].Sort
	}
	return page.Hits, nil
}

// close frees what the export reads from.
func (e *export) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return e.store.es.ClosePointInTime(ctx, e.pit)
}

// encoder writes lines to a file of one format.
type encoder interface {
	write(hit elastic.Hit) error
	flush() error
}

// ndjson writes each line's document on a line of its own, as it was indexed.
type ndjson struct{ w io.Writer }

func (n ndjson) write(hit elastic.Hit) error {
	var compact bytes.Buffer // a line break inside would end the line
	if err := json.Compact(&compact, hit.Source); err != nil {
		return fmt.Errorf("export line %s: %w", hit.ID, err)
	}
	compact.WriteByte('\n')
	_, err := n.w.Write(compact.Bytes())
	return err
}

func (n ndjson) flush() error { return nil }

// table writes the columns of each line as CSV (RFC 4180).
type table struct {
	csv     *csv.Writer
	columns []string
}

func newTable(w io.Writer, columns []string) (*table, error) {
	t := &table{csv.NewWriter(w), columns}
	t.csv.UseCRLF = true
	return t, t.csv.Write(columns)
}

func (t *table) write(hit elastic.Hit) error {
	fields, err := flatten(hit.Source)
	if err != nil {
		return fmt.Errorf("export line %s: %w", hit.ID, err)
	}
	cells := make([]string, 0, len(t.columns))
	for _, name := range t.columns {
		cells = append(cells, harmless(strings.Join(fields[name], ", ")))
	}
	return t.csv.Write(cells)
}

func (t *table) flush() error {
	t.csv.Flush()
	return t.csv.Error()
}

// harmless keeps a spreadsheet from taking a cell for a formula.
// https://owasp.org/www-community/attacks/CSV_Injection
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) && !isNumber(cell) {
		return "'" + cell
	}
	return cell
}

func isNumber(cell string) bool {
	return json.Valid([]byte(cell)) // of the first characters above only a number's minus is JSON
}
