package schedule

import (
	"slices"
	"strconv"
	"strings"

	"pharos/watcher/document"
)

func parseWeekday(path string, v any) (int, error) {
	return parseNamed(path, v, "day of week", []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"})
}

func parseMonth(path string, v any) (int, error) {
	if text, ok := v.(string); ok {
		switch strings.ToLower(text) {
		case "first":
			return 1, nil
		case "last":
			return 12, nil
		}
	}
	return parseNamed(path, v, "month", []string{
		"january", "february", "march", "april", "may", "june",
		"july", "august", "september", "october", "november", "december",
	})
}

// parseNamed reads a number from 1, a name, or a name's first three letters.
func parseNamed(path string, v any, what string, names []string) (int, error) {
	switch v := v.(type) {
	case int64, float64:
		n, _ := number(v)
		if n < 1 || n > int64(len(names)) {
			return 0, document.Errorf(path, "unknown %s number [%d]", what, n)
		}
		return int(n), nil
	case string:
		for i, name := range names {
			if text := strings.ToLower(v); text == name || text == name[:3] || text == strconv.Itoa(i+1) {
				return i + 1, nil
			}
		}
		return 0, document.Errorf(path, "unknown %s [%s]", what, v)
	default:
		return 0, document.Errorf(path, "invalid %s value. expected a string or a number value, but found [%s]", what, document.Token(v))
	}
}

// lastOfMonth stands for the last day among days of a month.
const lastOfMonth = 32

func parseMonthday(path string, v any) (int, error) {
	if text, ok := v.(string); ok {
		switch strings.ToLower(text) {
		case "last_day":
			return lastOfMonth, nil
		case "first_day":
			return 1, nil
		}
	}
	n, ok := number(v)
	switch {
	case !ok:
		return 0, document.Errorf(path, "invalid month day value [%s]", document.String(v))
	case n < 1 || n > lastOfMonth:
		return 0, document.Errorf(path, "invalid month day [%d]", n)
	}
	return int(n), nil
}

func monthdays(days []int) string {
	return strings.ReplaceAll(join(days), strconv.Itoa(lastOfMonth), "L")
}

func distinct(list []int) []int {
	list = slices.Sorted(slices.Values(list))
	return slices.Compact(list)
}

// short are the names of days or months, in their order.
func short(list []int, names []string) []any {
	var out []any
	for _, n := range distinct(list) {
		out = append(out, names[n-1])
	}
	return out
}

func numbers(list []int) []any {
	out := make([]any, len(list))
	for i, n := range list {
		out[i] = int64(n)
	}
	return out
}

func values(times []dayTimes) []any {
	out := make([]any, len(times))
	for i, t := range times {
		out[i] = t.value()
	}
	return out
}

func join(list []int) string { return joinAny(numbers(list)) }

func joinAny(list []any) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = document.String(v)
	}
	return strings.Join(texts, ",")
}
