// Package datemath resolves Elasticsearch's date math: now-5m/d,
// 2015-05-05||+1d.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/common-options.html#date-math
package datemath

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Resolve returns the moment that an expression means, in UTC and in whole
// milliseconds: a date (2015-05-05T14:00:00+01:00, or any beginning of one, or
// milliseconds since 1970), a date and what is to be done to it behind ||, or now
// and what is to be done to it. Dates without a zone are UTC. A rounding goes
// down; weeks begin on Monday; a month later than the 31st is the month's last
// day. Errors are in Elasticsearch's words.
func Resolve(expr string, now time.Time) (time.Time, error) {
	math, ok := strings.CutPrefix(expr, "now")
	if ok {
		return apply(now.UTC().Truncate(time.Millisecond), math)
	}
	date, math, ok := strings.Cut(expr, "||")
	t, err := parseDate(date)
	if err != nil || !ok {
		return t, err
	}
	return apply(t, math)
}

// Embedded returns the date math of a compared value of the form <{now-5m}>, as
// Elastic's compare conditions take it, and whether the value has that form.
func Embedded(value string) (expr string, ok bool) {
	expr, ok = strings.CutPrefix(value, "<{")
	if !ok {
		return "", false
	}
	expr, ok = strings.CutSuffix(expr, "}>")
	if !ok || expr == "" {
		return "", false
	}
	return expr, true
}

// maxYear keeps sums far from what a time can hold.
const maxYear = 200_000_000

// apply does a list of +1d, -2h and /M to a time.
func apply(t time.Time, math string) (time.Time, error) {
	rest := math
	for rest != "" {
		operator := rest[0]
		if !strings.ContainsRune("+-/", rune(operator)) {
			return time.Time{}, fmt.Errorf("operator not supported for date math [%s]", math)
		}
		rest = rest[1:]
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == len(rest) {
			return time.Time{}, fmt.Errorf("truncated date math [%s]", math)
		}
		n := int64(1)
		if digits > 0 {
			var err error
			if n, err = strconv.ParseInt(rest[:digits], 10, 32); err != nil {
				return time.Time{}, fmt.Errorf("number [%s] is too large for date math [%s]", rest[:digits], math)
			}
		}
		unit := rest[digits]
		rest = rest[digits+1:]
		switch operator {
		case '/':
			if n != 1 {
				return time.Time{}, fmt.Errorf("rounding `/` can only be used on single unit types [%s]", math)
			}
			rounded, ok := round(t, unit)
			if !ok {
				return time.Time{}, unsupported(unit, math)
			}
			t = rounded
			continue
		case '-':
			n = -n
		}
		moved, ok := add(t, n, unit)
		if !ok {
			return time.Time{}, unsupported(unit, math)
		}
		if y := moved.Year(); y > maxYear || y < -maxYear {
			return time.Time{}, fmt.Errorf("date math [%s] leaves the range of dates", math)
		}
		t = moved
	}
	return t, nil
}

func unsupported(unit byte, math string) error {
	return fmt.Errorf("unit [%c] not supported for date math [%s]", unit, math)
}

func round(t time.Time, unit byte) (time.Time, bool) {
	y, m, d := t.Date()
	switch unit {
	case 'y':
		return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC), true
	case 'M':
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), true
	case 'w':
		return time.Date(y, m, d-(int(t.Weekday())+6)%7, 0, 0, 0, 0, time.UTC), true
	case 'd':
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC), true
	case 'h', 'H':
		return time.Date(y, m, d, t.Hour(), 0, 0, 0, time.UTC), true
	case 'm':
		return time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, time.UTC), true
	case 's':
		return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.UTC), true
	default:
		return time.Time{}, false
	}
}

func add(t time.Time, n int64, unit byte) (time.Time, bool) {
	switch unit {
	case 'y':
		return addMonths(t, 12*n), true
	case 'M':
		return addMonths(t, n), true
	case 'w':
		return addSeconds(t, n*7*24*3600), true
	case 'd':
		return addSeconds(t, n*24*3600), true
	case 'h', 'H':
		return addSeconds(t, n*3600), true
	case 'm':
		return addSeconds(t, n*60), true
	case 's':
		return addSeconds(t, n), true
	default:
		return time.Time{}, false
	}
}

// addSeconds is Add beyond the 292 years of a time.Duration.
func addSeconds(t time.Time, n int64) time.Time {
	return time.Unix(t.Unix()+n, int64(t.Nanosecond())).UTC()
}

// addMonths stays within the month that it comes to: a month after January 31
// is the last day of February.
func addMonths(t time.Time, n int64) time.Time {
	y, m, d := t.Date()
	first := time.Date(y, m+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(d, last)-1)
}

// layouts are what strict_date_optional_time takes, without fractions, which Go
// reads after any seconds.
//
//nolint:gochecknoglobals // a table that is only read
var layouts = []string{
	"2006", "2006-01", "2006-01-02", "2006-01-02T15", "2006-01-02T15:04", "2006-01-02T15:04:05",
	"2006-01-02T15Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00",
	"2006-01-02T15Z0700", "2006-01-02T15:04Z0700", "2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04Z07", "2006-01-02T15:04:05Z07",
}

// parseDate reads strict_date_optional_time||epoch_millis.
func parseDate(text string) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Millisecond), nil
		}
	}
	if millis, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) > 4 {
		if t := time.UnixMilli(millis).UTC(); t.Year() < maxYear && t.Year() > -maxYear {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("failed to parse date field [%s] with format [strict_date_optional_time||epoch_millis]", text)
}
