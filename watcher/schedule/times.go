package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pharos/watcher/document"
)

// dayTimes are times of a day: every hour with every minute.
type dayTimes struct {
	name          string // as written: noon, 17:05; empty if hours and minutes were
	hours, minute []int
}

func (d dayTimes) value() any {
	if d.name != "" {
		return d.name
	}
	return document.NewObject(document.Pair{Key: "hour", Value: numbers(d.hours)}, document.Pair{Key: "minute", Value: numbers(d.minute)})
}

// clock is the beginning of a cron expression.
func (d dayTimes) clock() string { return "0 " + join(d.minute) + " " + join(d.hours) }

//nolint:gochecknoglobals // only read
var (
	midnight = dayTimes{name: "midnight", hours: []int{0}, minute: []int{0}}
	// zeroHour is midnight where no time is written; it shows as hour and minute.
	zeroHour = dayTimes{hours: []int{0}, minute: []int{0}}
)

func parseHourly(path string, v any) (*cronnable, error) {
	o, err := object(path, "hourly", v, "minute")
	if err != nil {
		return nil, err
	}
	minutes := []int{0}
	if value, ok := o.Get("minute"); ok {
		if minutes, err = parseList(document.Join(path, "minute"), value, parseMinute); err != nil {
			return nil, inside(path, "could not parse [hourly] schedule. invalid value for [minute]", err)
		}
	}
	return fromExpressions(path, document.NewObject(document.Pair{Key: "minute", Value: numbers(minutes)}),
		"0 "+join(minutes)+" * * * ?")
}

func parseDaily(path string, v any) (*cronnable, error) {
	o, err := object(path, "daily", v, "at")
	if err != nil {
		return nil, err
	}
	times := []dayTimes{midnight}
	if value, ok := o.Get("at"); ok {
		if times, err = parseList(document.Join(path, "at"), value, parseDayTimes); err != nil {
			return nil, inside(path, fmt.Sprintf("could not parse [daily] schedule. invalid time value for field [at] - [%s]", document.Token(value)), err)
		}
	}
	crons := make([]string, len(times))
	for i, t := range times {
		crons[i] = t.clock() + " * * ?"
	}
	return fromExpressions(path, document.NewObject(document.Pair{Key: "at", Value: values(times)}), crons...)
}

func parseWeekly(path string, v any) (*cronnable, error) {
	return parsePeriods(path, "weekly", v, func(path string, o *document.Object) (any, string, []dayTimes, error) {
		days, err := listAt(path, o, []int{2}, parseWeekday, "on", "day")
		if err != nil {
			return nil, "", nil, err
		}
		times, err := listAt(path, o, []dayTimes{zeroHour}, parseDayTimes, "at", "time")
		if err != nil {
			return nil, "", nil, err
		}
		names := short(days, dayNames)
		return document.NewObject(document.Pair{Key: "on", Value: names}, document.Pair{Key: "at", Value: values(times)}),
			"? * " + joinAny(names), times, nil
	}, "on", "day", "at", "time")
}

func parseMonthly(path string, v any) (*cronnable, error) {
	return parsePeriods(path, "monthly", v, func(path string, o *document.Object) (any, string, []dayTimes, error) {
		days, err := listAt(path, o, []int{1}, parseMonthday, "on", "day")
		if err != nil {
			return nil, "", nil, err
		}
		times, err := listAt(path, o, []dayTimes{zeroHour}, parseDayTimes, "at", "time")
		if err != nil {
			return nil, "", nil, err
		}
		days = distinct(days)
		return document.NewObject(document.Pair{Key: "on", Value: numbers(days)}, document.Pair{Key: "at", Value: values(times)}),
			monthdays(days) + " * ?", times, nil
	}, "on", "day", "at", "time")
}

func parseYearly(path string, v any) (*cronnable, error) {
	return parsePeriods(path, "yearly", v, func(path string, o *document.Object) (any, string, []dayTimes, error) {
		months, err := listAt(path, o, []int{1}, parseMonth, "in", "month")
		if err != nil {
			return nil, "", nil, err
		}
		days, err := listAt(path, o, []int{1}, parseMonthday, "on", "day")
		if err != nil {
			return nil, "", nil, err
		}
		times, err := listAt(path, o, []dayTimes{zeroHour}, parseDayTimes, "at", "time")
		if err != nil {
			return nil, "", nil, err
		}
		days = distinct(days)
		names := short(months, monthNames)
		value := document.NewObject(document.Pair{Key: "in", Value: names},
			document.Pair{Key: "on", Value: numbers(days)}, document.Pair{Key: "at", Value: values(times)})
		return value, monthdays(days) + " " + joinAny(names) + " ?", times, nil
	}, "in", "month", "on", "day", "at", "time")
}

// period is how Elastic's errors name the times of a type of schedule.
//
//nolint:gochecknoglobals // a table that is only read
var period = map[string]string{"weekly": "weekly", "monthly": "month", "yearly": "year"}

// parsePeriods reads an object or a list of objects; parse gives one object's
// value, its days as the end of a cron expression, and its times.
func parsePeriods(path, kind string, v any, parse func(path string, o *document.Object) (any, string, []dayTimes, error), keys ...string) (*cronnable, error) {
	list, isList := v.([]any)
	if _, isObject := v.(*document.Object); !isList && !isObject {
		return nil, document.Errorf(path, "could not parse [%s] schedule. expected either an object or an array of objects representing %s times, but found [%s] instead", kind, period[kind], document.Token(v))
	}
	if !isList {
		list = []any{v}
	} else if len(list) == 0 {
		list = []any{document.NewObject()}
	}
	var shown []any
	var crons []string
	for i, e := range list {
		at := path
		if isList {
			at = document.Index(path, i)
		}
		o, err := object(at, kind, e, keys...)
		if err != nil {
			return nil, err
		}
		value, days, times, err := parse(at, o)
		if err != nil {
			return nil, inside(at, fmt.Sprintf("could not parse [%s] schedule. invalid %s times", kind, period[kind]), err)
		}
		shown = append(shown, value)
		for _, t := range times {
			crons = append(crons, t.clock()+" "+days)
		}
	}
	return fromExpressions(path, shown, crons...)
}

func fromExpressions(path string, value any, expressions ...string) (*cronnable, error) {
	s := &cronnable{value: value}
	for _, e := range expressions {
		c, err := parseCron(e)
		if err != nil {
			return nil, &document.PathError{Path: path, Reason: "could not parse schedule", Err: err}
		}
		s.crons = append(s.crons, c)
	}
	return s, nil
}

// object is v as an object that has no other keys than these.
func object(path, kind string, v any, keys ...string) (*document.Object, error) {
	o, ok := v.(*document.Object)
	if !ok {
		return nil, document.Errorf(path, "could not parse [%s] schedule. expected an object, but found [%s]", kind, document.Token(v))
	}
	for _, key := range o.Keys() {
		if !slices.Contains(keys, key) {
			return nil, document.Errorf(document.Join(path, key), "could not parse [%s] schedule. unexpected field [%s]", kind, key)
		}
	}
	return o, nil
}

// inside keeps the place of an error and says around it what was being read.
func inside(path, reason string, err error) error {
	at := path
	var inner *document.PathError
	if errors.As(err, &inner) {
		at = inner.Path
		err = &document.PathError{Reason: inner.Reason, Err: inner.Err}
	}
	return &document.PathError{Path: at, Reason: reason, Err: err}
}

// listAt reads the list under the first of two names of a key.
func listAt[T any](path string, o *document.Object, without []T, parse func(path string, v any) (T, error), names ...string) ([]T, error) {
	for _, name := range names {
		v, ok := o.Get(name)
		if !ok {
			continue
		}
		list, err := parseList(document.Join(path, name), v, parse)
		if err != nil || len(list) > 0 {
			return list, err
		}
	}
	return without, nil
}

// parseList reads a value or a list of values.
func parseList[T any](path string, v any, parse func(path string, v any) (T, error)) ([]T, error) {
	list, ok := v.([]any)
	if !ok {
		t, err := parse(path, v)
		if err != nil {
			return nil, err
		}
		return []T{t}, nil
	}
	parsed := make([]T, 0, len(list))
	for i, e := range list {
		t, err := parse(document.Index(path, i), e)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, t)
	}
	return parsed, nil
}

func parseDayTimes(path string, v any) (dayTimes, error) {
	switch v := v.(type) {
	case string:
		return parseClock(path, v)
	case *document.Object:
		d := zeroHour
		for key, value := range v.All() {
			var err error
			switch key {
			case "hour":
				d.hours, err = parseList(document.Join(path, key), value, parseHour)
			case "minute":
				d.minute, err = parseList(document.Join(path, key), value, parseMinute)
			default:
				err = document.Errorf(document.Join(path, key), "could not parse time. unexpected field [%s]", key)
			}
			if err != nil {
				return dayTimes{}, err
			}
		}
		if len(d.hours) == 0 {
			d.hours = zeroHour.hours
		}
		if len(d.minute) == 0 {
			d.minute = zeroHour.minute
		}
		return d, nil
	default:
		return dayTimes{}, document.Errorf(path, "could not parse time. expected string/number value or an object, but found [%s]", document.Token(v))
	}
}

func parseClock(path, text string) (dayTimes, error) {
	switch text {
	case "midnight":
		return midnight, nil
	case "noon":
		return dayTimes{name: "noon", hours: []int{12}, minute: []int{0}}, nil
	}
	h, m, ok := strings.Cut(text, ":")
	if !ok || len(h) < 1 || len(h) > 2 || len(m) != 2 {
		return dayTimes{}, document.Errorf(path, "could not parse time [%s]. time format must be in the form of hh:mm", text)
	}
	hours, err := parseHour(path, h)
	if err != nil {
		return dayTimes{}, inside(path, fmt.Sprintf("could not parse time [%s]", text), err)
	}
	minutes, err := parseMinute(path, m)
	if err != nil {
		return dayTimes{}, inside(path, fmt.Sprintf("could not parse time [%s]", text), err)
	}
	return dayTimes{name: text, hours: []int{hours}, minute: []int{minutes}}, nil
}

func parseHour(path string, v any) (int, error)   { return parseWithin(path, v, "hour", 23) }
func parseMinute(path string, v any) (int, error) { return parseWithin(path, v, "minute", 59) }

func parseWithin(path string, v any, what string, most int64) (int, error) {
	n, ok := number(v)
	switch {
	case !ok:
		return 0, document.Errorf(path, "invalid time %s value [%s]. expected string/number value", what, document.String(v))
	case n < 0 || n > most:
		return 0, document.Errorf(path, "invalid time %s value [%d] (possible values may be between 0 and %d incl.)", what, n, most)
	}
	return int(n), nil
}

// number is a number or a string of one. As Elastic does it, a fraction is cut.
func number(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), true
	case string:
		return javaInt(v, 32)
	default:
		return 0, false
	}
}
