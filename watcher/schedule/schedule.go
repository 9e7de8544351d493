// Package schedule says when watches are due: Elastic's schedule triggers
// (interval, cron, hourly, daily, weekly, monthly, yearly). It is pure: the same
// question has the same answer.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/trigger-schedule.html
package schedule

import (
	"time"
)

// Schedule is one schedule trigger, parsed.
type Schedule interface {
	// Next is the first time after a moment at which the watch is due; zero if
	// there is none. It is in UTC and later than after.
	Next(after time.Time) time.Time
	// Value is the schedule as Elastic's GET shows it.
	Value() any
}

// Parse makes a schedule of what stands in a watch under trigger.schedule, e.g.
// {"interval": "5m"}. path is where that object stands; every error is a
// *document.PathError.
func Parse(path string, v any) (Schedule, error) {
	return nil, nil
}

// From counts a schedule from the moment at which its watch was activated, which
// matters for an interval only: it is due at start + n × interval. The interval
// that Parse returns counts from 1970-01-01T00:00:00Z.
func From(s Schedule, start time.Time) Schedule {
	return s
}
