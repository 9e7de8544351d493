// Package funcmetrics measures functions: how long each call took, how many
// calls there were, and how many failed.
//
// A [Recorder] takes calls without making them wait and pushes them on a list
// in Redis, a [Saver] moves the list into MySQL, and a [Reader] answers from
// both. A record is counted once, wherever it is on its way.
//
//	func (s *Service) Timeline(ctx context.Context, user string) (page Page, err error) {
//		defer s.metrics.Track("feed.Timeline")(&err)
//		…
//	}
package funcmetrics

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
)

// MaxName is how many bytes of a function's name are kept.
const MaxName = 128

// Record is one call of a function.
type Record struct {
	ID       string  `json:"id"` // UUID
	FuncName string  `json:"func_name"`
	Seconds  float64 `json:"execution_time"`
	Failed   bool    `json:"error_occurred"` // it returned an error or panicked
	At       int64   `json:"created_at"`     // when it returned, in Unix seconds
}

// A DATETIME of MySQL goes to the end of the year 9999.
const maxAt = 253402300800

// Validate returns why a record that was read from elsewhere can't be saved,
// or nil.
func (r Record) Validate() error {
	if id, err := uuid.Parse(r.ID); err != nil || id.String() != r.ID {
		return errors.New("id is not a UUID in lower case")
	}
	switch {
	case r.FuncName == "" || len(r.FuncName) > MaxName:
		return fmt.Errorf("func_name must have 1 to %d bytes", MaxName)
	case math.IsNaN(r.Seconds) || math.IsInf(r.Seconds, 0) || r.Seconds < 0:
		return errors.New("execution_time must be 0 or more")
	case r.At < 0 || r.At >= maxAt:
		return errors.New("created_at must be Unix seconds")
	}
	return nil
}

// Range is a time from From up to but not including To, in Unix seconds.
type Range struct{ From, To int64 }

// Always is the range that every record is in.
func Always() Range { return Range{0, math.MaxInt64} }

// RangeOf is the range between two moments. created_at counts whole seconds,
// so that a fraction excludes the second that it lies in from the beginning,
// and includes it at the end. Nothing was recorded before 1970.
func RangeOf(from, to time.Time) Range { return Range{ceilUnix(from), ceilUnix(to)} }

func ceilUnix(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return max(0, s)
}

// Has reports whether a call that returned at the given second is in range.
func (r Range) Has(at int64) bool { return r.From <= at && at < r.To }

const hour = int64(time.Hour / time.Second)

// Hours cuts r into whole hours, counted since 1970 and [first, last), and
// what is left at its edges.
func (r Range) Hours() (first, last int64, edges []Range) {
	first, last = r.From/hour, r.To/hour
	if r.From%hour > 0 {
		first++
	}
	if first >= last {
		return 0, 0, []Range{r}
	}
	if r.From < first*hour {
		edges = append(edges, Range{r.From, first * hour})
	}
	if last*hour < r.To && r.To != math.MaxInt64 {
		edges = append(edges, Range{last * hour, r.To})
	}
	return first, last, edges
}
