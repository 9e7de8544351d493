// Package schedule says when watches are due: Elastic's schedule triggers
// (interval, cron, hourly, daily, weekly, monthly, yearly). It is pure: the same
// question has the same answer.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/trigger-schedule.html
package schedule

import (
	"fmt"
	"strings"
	"time"

	"pharos/watcher/document"
)

// Schedule is one schedule trigger, parsed.
type Schedule interface {
	// Next is the first time after a moment at which the watch is due; zero if
	// there is none. It is in UTC, in whole milliseconds, and later than after.
	Next(after time.Time) time.Time
	// Value is the schedule as Elastic's GET shows it: lists where one value was
	// written, names of days and months short and in capitals.
	Value() any
}

// Parse makes a schedule of what stands in a watch under trigger.schedule, e.g.
// {"interval": "5m"} or {"timezone": "Europe/Berlin", "daily": {"at": "noon"}}.
// path is where that object stands; every error is a *document.PathError.
func Parse(path string, v any) (Schedule, error) {
	o, ok := v.(*document.Object)
	if !ok {
		return nil, document.Errorf(path, "could not parse schedule. expected an object with a schedule type field, but found [%s]", document.Token(v))
	}
	kind, zone := "", (*time.Location)(nil)
	for key, value := range o.All() {
		switch {
		case strings.EqualFold(key, "timezone"):
			var err error
			if zone, err = parseZone(document.Join(path, key), value); err != nil {
				return nil, err
			}
		case kind != "":
			return nil, document.Errorf(document.Join(path, key), "could not parse schedule. a schedule has one type, but found [%s] and [%s]", kind, key)
		default:
			kind = key
		}
	}
	if kind == "" {
		return nil, document.Errorf(path, "could not parse schedule. expected a schedule type field, but no fields were found")
	}
	value, _ := o.Get(kind)
	at := document.Join(path, kind)
	if kind == "interval" {
		if zone != nil {
			return nil, document.Errorf(document.Join(path, "timezone"), "could not parse schedule. a timezone is not supported for [interval] schedules")
		}
		return parseInterval(at, value)
	}
	parse, ok := cronnables[kind]
	if !ok {
		return nil, document.Errorf(at, "could not parse schedule. unknown schedule type [%s]", kind)
	}
	s, err := parse(at, value)
	if err != nil {
		return nil, err
	}
	s.kind, s.zone = kind, zone
	return s, nil
}

// cronnables are the types of schedule that come down to cron expressions.
//
//nolint:gochecknoglobals // a table that is only read
var cronnables = map[string]func(path string, v any) (*cronnable, error){
	"cron":    parseCrons,
	"hourly":  parseHourly,
	"daily":   parseDaily,
	"weekly":  parseWeekly,
	"monthly": parseMonthly,
	"yearly":  parseYearly,
}

// cronnable is a schedule that is due when any of its cron expressions is.
type cronnable struct {
	kind  string
	value any
	crons []*cron
	zone  *time.Location // nil: UTC
}

func (s *cronnable) Next(after time.Time) time.Time {
	var first time.Time
	for _, c := range s.crons {
		next := c.nextIn(s.zone, after)
		if !next.IsZero() && (first.IsZero() || next.Before(first)) {
			first = next
		}
	}
	return first
}

func (s *cronnable) Value() any {
	o := document.NewObject(document.Pair{Key: s.kind, Value: document.Clone(s.value)})
	if s.zone != nil {
		o.Set("timezone", s.zone.String())
	}
	return o
}

// From counts a schedule from the moment at which its watch was activated (in
// Elastic: at which the node began to watch it), which matters for an interval
// only: it is due at start + n × interval, n ≥ 1. The interval that Parse returns
// counts from 1970-01-01T00:00:00Z.
func From(s Schedule, start time.Time) Schedule {
	if i, ok := s.(*interval); ok {
		return &interval{every: i.every, text: i.text, start: start.UTC().Truncate(time.Millisecond)}
	}
	return s
}

// interval is due at start + n × every.
type interval struct {
	every time.Duration
	text  string
	start time.Time
}

func (i *interval) Next(after time.Time) time.Time {
	if after.Before(i.start) {
		return i.start.Add(i.every)
	}
	// In milliseconds, because a time.Duration holds 292 years only.
	every := i.every.Milliseconds()
	gone := after.UnixMilli() - i.start.UnixMilli()
	return time.UnixMilli(i.start.UnixMilli() + (gone/every+1)*every).UTC()
}

func (i *interval) Value() any {
	return document.NewObject(document.Pair{Key: "interval", Value: i.text})
}

// units are tried in this order by how a text ends.
//
//nolint:gochecknoglobals // a table that is only read
var units = []struct {
	suffix, name string
	length       time.Duration
}{
	{"s", "seconds", time.Second},
	{"m", "minutes", time.Minute},
	{"h", "hours", time.Hour},
	{"d", "days", 24 * time.Hour},
	{"w", "week", 7 * 24 * time.Hour},
}

// longestInterval keeps sums of times far from overflow.
const longestInterval = 100 * 365 * 24 * time.Hour

func parseInterval(path string, v any) (Schedule, error) {
	var n int64
	unit := units[0]
	switch v := v.(type) {
	case int64:
		n = v
	case float64:
		n = int64(v)
	case string:
		found := false
		for _, u := range units {
			number, ok := strings.CutSuffix(v, u.suffix)
			if !ok {
				continue
			}
			// Elastic cuts at the unit's first letter: of 5mms stays 5mm.
			number, _, _ = strings.Cut(number, u.suffix)
			parsed, ok := javaInt(number, 64)
			if !ok {
				return nil, document.Errorf(path, "could not parse schedule: could not parse [interval] schedule. could not parse [%s] as a [%s] duration", number, u.name)
			}
			n, unit, found = parsed, u, true
			break
		}
		if !found {
			return nil, document.Errorf(path, "could not parse schedule: could not parse [interval] schedule. unrecognized interval format [%s]", v)
		}
	default:
		return nil, document.Errorf(path, "could not parse [interval] schedule. expected either a numeric value (seconds) or a string value representing time value (e.g. '5s'), but found [%s]", document.Token(v))
	}
	text := fmt.Sprintf("%d%s", n, unit.suffix)
	if n < 1 {
		return nil, document.Errorf(path, "could not parse schedule: interval can't be lower than 1000 ms, but [%s] was specified", text)
	}
	if n > int64(longestInterval/unit.length) {
		return nil, document.Errorf(path, "could not parse schedule: interval can't be longer than 100 years, but [%s] was specified", text)
	}
	return &interval{every: time.Duration(n) * unit.length, text: text, start: time.Unix(0, 0).UTC()}, nil
}
