package accesslog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"pharos/elastic"
)

// Store takes documents; elastic.Client is one.
type Store interface {
	Create(ctx context.Context, target string, documents []elastic.Document) (elastic.CreateResult, error)
}

// Import says what to import, and how.
type Import struct {
	Origin Origin
	Stream string        // where the documents go
	Shift  time.Duration // added to every line's time
	// Progress, if not nil, is called after each batch.
	Progress func(Report)
}

// Report counts lines. Availability can be had from Total and Bad before
// Elasticsearch has made the documents searchable.
type Report struct {
	Lines     int         `json:"lines"`
	Total     int         `json:"requests"` // lines that were read
	Bad       int         `json:"bad"`      // of these with a status from 500 to 599
	Created   int         `json:"created"`
	Present   int         `json:"present"` // imported before
	Malformed int         `json:"malformed"`
	Problems  []Problem   `json:"problems"` // the first maxProblems of them
	From      time.Time   `json:"from"`     // times of the oldest and the newest request, shifted
	To        time.Time   `json:"to"`
	Statuses  map[int]int `json:"statuses"`
}

// Problem is a line that could not be imported.
type Problem struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

const (
	batchSize   = 1000
	maxProblems = 20
	maxLine     = 256 << 10
)

// Run imports all lines of in. Malformed lines are counted and reported, and
// the rest goes on. An error ends it: what was created by then stays, and
// running it again goes on from there without doubling anything.
func (im Import) Run(ctx context.Context, in io.Reader, to Store) (Report, error) {
	report := Report{Statuses: map[int]int{}, Problems: []Problem{}}
	parser := NewParser()
	var batch []elastic.Document
	var numbers []int // the batch's line numbers
	flush := func() error {
		result, err := to.Create(ctx, im.Stream, batch)
		if err != nil {
			return fmt.Errorf("import up to line %d: %w", report.Lines, err)
		}
		report.Created += result.Created
		report.Present += result.Present
		for _, r := range result.Refused {
			report.problem(numbers[r.Position], "refused by Elasticsearch: "+r.Reason)
		}
		batch, numbers = batch[:0], numbers[:0]
		if im.Progress != nil {
			im.Progress(report)
		}
		return nil
	}
	err := eachLine(in, func(text string, tooLong bool) error {
		report.Lines++
		if tooLong {
			report.problem(report.Lines, fmt.Sprintf("longer than %d KiB", maxLine>>10))
			return nil
		}
		line, err := parser.Parse(text)
		if err != nil {
			report.problem(report.Lines, err.Error())
			return nil
		}
		body, err := line.Document(im.Origin, im.Shift)
		if err != nil {
			return fmt.Errorf("line %d: %w", report.Lines, err)
		}
		report.count(line, im.Shift)
		batch = append(batch, elastic.Document{ID: ID(im.Origin.File, report.Lines, text), Body: body})
		numbers = append(numbers, report.Lines)
		if len(batch) == batchSize {
			return flush()
		}
		return nil
	})
	if err != nil {
		return report, err
	}
	return report, flush()
}

func (r *Report) problem(line int, reason string) {
	r.Malformed++
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, Problem{line, reason})
	}
}

func (r *Report) count(l Line, shift time.Duration) {
	r.Total++
	r.Statuses[l.Status]++
	if l.Status >= 500 && l.Status <= 599 {
		r.Bad++
	}
	at := l.At.Add(shift)
	if r.From.IsZero() || at.Before(r.From) {
		r.From = at
	}
	if at.After(r.To) {
		r.To = at
	}
}

// Newest returns the time of the newest request of in, for a shift to now. It
// is an error if no line can be read.
func Newest(in io.Reader) (time.Time, error) {
	var newest time.Time
	parser := NewParser()
	err := eachLine(in, func(text string, _ bool) error {
		if line, err := parser.Parse(text); err == nil && line.At.After(newest) {
			newest = line.At
		}
		return nil
	})
	if err == nil && newest.IsZero() {
		err = errors.New("no line is of the combined log format")
	}
	return newest, err
}

// eachLine calls do for each line without its end; of one that is too long
// nothing is kept but the fact. Empty lines are left out.
func eachLine(in io.Reader, do func(text string, tooLong bool) error) error {
	r := bufio.NewReaderSize(in, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			line = nil
			_, err = r.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read: %w", err)
		}
		if text := bytes.TrimRight(line, "\r\n"); len(text) > 0 || tooLong {
			if err := do(string(text), tooLong); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}
