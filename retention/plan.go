package retention

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Index is one index behind a stream.
type Index struct {
	Name      string
	Made      time.Time
	Bytes     int64 // copies included
	Documents int64
}

// Stream is a data stream, or the daily indices of one name.
type Stream struct {
	Name    string
	Indices []Index // the oldest first; the last is written to
	// Managed is true where Elasticsearch itself begins new indices and removes
	// old ones by their age. Sizes are left to us.
	Managed bool
}

// Removal is an index that is to go.
type Removal struct {
	Index     string    `json:"index"`
	Bytes     int64     `json:"bytes"`
	Documents int64     `json:"documents"`
	Ended     time.Time `json:"ended"` // nothing was written to it since
	Why       string    `json:"why"`
}

// Standing is a stream and what is to be done with it.
type Standing struct {
	Stream    string    `json:"stream"`
	Family    string    `json:"family"`
	Limit     Limit     `json:"limit"`
	Bytes     int64     `json:"bytes"`
	Documents int64     `json:"documents"`
	Indices   int       `json:"indices"`
	Oldest    time.Time `json:"oldest"` // when its oldest index was made
	Managed   bool      `json:"managed"`
	// RollOver says why a new index is to be begun; empty: none.
	RollOver string    `json:"roll_over,omitempty"`
	Remove   []Removal `json:"remove"`
}

// FamilyOf is the family of a stream, the first that matches.
func FamilyOf(families []Family, stream string) (Family, bool) {
	for _, f := range families {
		if slices.ContainsFunc(f.Patterns, func(p string) bool { ok, err := path.Match(p, stream); return ok && err == nil }) {
			return f, true
		}
	}
	return Family{}, false
}

const (
	// largestIndex is where a new index is begun whatever the limit: Elastic's own
	// default of a data stream's lifecycle (max_primary_shard_size=50gb).
	largestIndex = 50 << 30
	// parts is into how many indices a limited stream is split, so that what is
	// removed at once is little.
	parts = 8
)

// period is after how long a new index is begun: by the rule of Elastic's data
// stream lifecycle (cluster.lifecycle.default.rollover, max_age=auto).
func period(age time.Duration) time.Duration {
	switch {
	case age == 0 || age > 90*day:
		return 30 * day
	case age > 14*day:
		return 7 * day
	case age > day:
		return day
	}
	return time.Hour
}

// largest is the size at which a new index is begun.
func largest(l Limit) int64 {
	if l.Size == 0 {
		return largestIndex
	}
	return min(l.Size/parts, largestIndex)
}

// Decide says how a stream stands and what is to be done with it. The index that
// is written to is never removed: one that is too old or too large is first
// closed by a new one. A document therefore goes between its limit's age and one
// period later: a period is an hour for an age of up to a day, a day up to 14
// days, a week up to 90, else 30 days.
func Decide(f Family, s Stream, now time.Time) Standing {
	st := Standing{
		Stream: s.Name, Family: f.Name, Limit: f.Limit, Indices: len(s.Indices), Managed: s.Managed, Remove: []Removal{},
	}
	for _, i := range s.Indices {
		st.Bytes += i.Bytes
		st.Documents += i.Documents
	}
	if len(s.Indices) == 0 {
		return st
	}
	st.Oldest = s.Indices[0].Made
	last := s.Indices[len(s.Indices)-1]
	left := st.Bytes
	for n, i := range s.Indices[:len(s.Indices)-1] {
		// One is written to until the next is made; a day's until the day is over.
		r := Removal{Index: i.Name, Bytes: i.Bytes, Documents: i.Documents, Ended: s.Indices[n+1].Made}
		if f.Daily {
			r.Ended = i.Made.Add(day)
		}
		switch {
		case !s.Managed && f.Limit.Age > 0 && now.Sub(r.Ended) > f.Limit.Age:
			r.Why = "older than " + Limit{Age: f.Limit.Age}.String()
		case f.Limit.Size > 0 && left > f.Limit.Size:
			r.Why = "the stream is larger than " + Limit{Size: f.Limit.Size}.String()
		default:
			continue
		}
		left -= i.Bytes
		st.Remove = append(st.Remove, r)
	}
	if !f.Daily && last.Documents > 0 {
		st.RollOver = whyRollOver(f.Limit, s.Managed, last, left, now)
	}
	return st
}

func whyRollOver(l Limit, managed bool, last Index, left int64, now time.Time) string {
	switch age := now.Sub(last.Made); {
	case !managed && age >= period(l.Age):
		return fmt.Sprintf("its index is %d hours old", age/time.Hour)
	case last.Bytes >= largest(l):
		return "its index is large"
	case l.Size > 0 && left > l.Size:
		return "the stream is too large, and nothing else is left to remove"
	}
	return ""
}

// DayOf is the day of a daily index by its name, and the name without it.
func DayOf(index string) (name string, at time.Time, ok bool) {
	cut := strings.LastIndexByte(index, '-')
	if cut < 0 {
		return "", time.Time{}, false
	}
	at, err := time.Parse("2006.01.02", index[cut+1:])
	return index[:cut], at, err == nil
}
