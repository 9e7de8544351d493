package schedule

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// field is a field of a cron expression, in their order.
type field int

const (
	second field = iota
	minute
	hour
	dayOfMonth
	month
	dayOfWeek
	year
)

// limits are the values that a field may take. Years have no upper one: a range
// without an end goes to lastYear.
//
//nolint:gochecknoglobals // a table that is only read
var limits = [...]struct {
	min, max int
	message  string
}{
	second:     {0, 59, "Minute and Second values must be between 0 and 59"},
	minute:     {0, 59, "Minute and Second values must be between 0 and 59"},
	hour:       {0, 23, "Hour values must be between 0 and 23"},
	dayOfMonth: {1, 31, "Day of month values must be between 1 and 31"},
	month:      {1, 12, "Month values must be between 1 and 12"},
	dayOfWeek:  {1, 7, "Day-of-Week values must be between 1 and 7"},
	year:       {1970, lastYear, "Year values must be between 1970 and 2199"},
}

// lastYear is Quartz's last. Elasticsearch's is 100 years from its start; this
// package reads no clock.
const lastYear = 2199

// cron is an expression of Quartz, as Elasticsearch's fork of it understands it
// (org.elasticsearch.xpack.core.scheduler.Cron): seconds, minutes, hours, day of
// month, month, day of week and, if wanted, year.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/trigger-schedule.html#schedule-cron
type cron struct {
	expression string // in capitals, as Elastic shows it
	sets       [7][]int

	unsetDay, unsetWeekday bool // "?"

	last           bool // L in day of month
	lastOffset     int  // 3 of L-3
	nearestWeekday bool // W
	lastWeekday    bool // 6L in day of week
	nthWeekday     int  // 2 of 6#2
}

// complaint is an error in Elastic's words, which have capitals and full stops.
func complaint(format string, args ...any) error {
	return fmt.Errorf(format, args...)
}

func parseCron(expression string) (*cron, error) {
	c := &cron{expression: strings.ToUpper(expression)}
	if err := c.parse(); err != nil {
		return nil, refused(expression, err)
	}
	return c, nil
}

func (c *cron) parse() error {
	tokens := strings.FieldsFunc(c.expression, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(tokens) < 6 {
		return complaint("unexpected end of expression at pos [%d].", len(c.expression))
	}
	if len(tokens) == 6 {
		tokens = append(tokens, "*")
	}
	// What follows a year is not looked at.
	for f, token := range tokens[:7] {
		if err := c.parseField(field(f), token); err != nil {
			return err
		}
	}
	if c.unsetDay == c.unsetWeekday {
		// Quartz leaves open what both would mean.
		return complaint("support for specifying both a day-of-week AND a day-of-month parameter is not implemented.")
	}
	for f := range c.sets {
		slices.Sort(c.sets[f])
		c.sets[f] = slices.Compact(c.sets[f])
		free := field(f) == dayOfMonth && (c.unsetDay || c.last) || field(f) == dayOfWeek && c.unsetWeekday
		if len(c.sets[f]) == 0 && !free {
			return complaint("field %d has no value", f+1)
		}
	}
	return nil
}

func (c *cron) parseField(f field, token string) error {
	list := strings.Contains(token, ",")
	switch {
	case f == dayOfMonth && list && strings.Contains(token, "L"):
		return complaint("support for specifying 'L' and 'LW' with other days of the month is not implemented")
	case f == dayOfWeek && list && strings.Contains(token, "L"):
		return complaint("support for specifying 'L' with other days of the week is not implemented")
	case f == dayOfWeek && strings.Count(token, "#") > 1:
		return complaint(`support for specifying multiple "nth" days is not implemented.`)
	}
	for value := range strings.SplitSeq(token, ",") {
		if value == "" {
			continue
		}
		if err := c.parseValue(f, value); err != nil {
			return err
		}
	}
	return nil
}

// lastDay is what begins with a letter in a day of month and is no name.
var lastDay = regexp.MustCompile(`^L(-[0-9]*)?W?$`)

func (c *cron) parseValue(f field, v string) error {
	switch first := v[0]; {
	case first == '?':
		return c.parseUnset(f, v)
	case first == '*' || first == '/':
		return c.parseAll(f, v)
	case first == 'L' && (v == "L" || lastDay.MatchString(v)):
		return c.parseLast(f, v)
	case first >= 'A' && first <= 'Z':
		return c.parseName(f, v)
	case isDigit(first):
		return c.parseNumber(f, v)
	default:
		return complaint("Unexpected character [%c] at pos [0] ", first)
	}
}

func (c *cron) parseUnset(f field, v string) error {
	switch {
	case len(v) > 2:
		return complaint("illegal character [%c] after '?' at pos [1]", v[1])
	case f == dayOfMonth:
		c.unsetDay = true
	case f == dayOfWeek && c.unsetDay:
		return complaint("'?' can only be specified for Day-of-Month -OR- Day-of-Week. at pos [1]")
	case f == dayOfWeek:
		c.unsetWeekday = true
	default:
		return complaint("'?' can only be specified for Day-of-Month or Day-of-Week. at pos [1]")
	}
	return nil
}

// parseAll reads *, */n and /n.
func (c *cron) parseAll(f field, v string) error {
	step, ok := strings.CutPrefix(strings.TrimPrefix(v, "*"), "/")
	if !ok {
		return c.add(f, limits[f].min, limits[f].max, 1)
	}
	if step == "" {
		return complaint("'/' must be followed by an integer. at pos [0]")
	}
	n, ok := javaInt(step, 32)
	if !ok {
		return complaint("For input string: %q", step)
	}
	most := [...]int64{second: 59, minute: 59, hour: 23, dayOfMonth: 31, month: 12, dayOfWeek: 7, year: lastYear}[f]
	if n > most {
		return complaint("increment [%d] > %d at pos [1]", n, most)
	}
	return c.add(f, limits[f].min, limits[f].max, max(int(n), 1))
}

// parseLast reads L, LW, L-3 and L-3W.
func (c *cron) parseLast(f field, v string) error {
	switch f {
	case dayOfWeek:
		if v != "L" {
			return complaint("illegal characters [%s] at pos [0]", v)
		}
		return c.add(f, 7, 7, 1)
	case dayOfMonth:
	default:
		return complaint("'L' option is not valid here. at pos [%d]", 0)
	}
	c.last = true
	rest := v[1:]
	if digits, ok := strings.CutPrefix(rest, "-"); ok {
		digits, rest = leadingDigits(digits)
		if digits == "" && rest == "" {
			return complaint("an offset must follow 'L-' at pos [2]")
		}
		n, ok := javaInt("0"+digits, 32)
		if !ok || n > 30 {
			return complaint("offset from last day must be <= 30 at pos [2]")
		}
		c.lastOffset = int(n)
	}
	c.nearestWeekday = c.nearestWeekday || rest == "W"
	return nil
}

// parseName reads MON, MON-FRI, MON#2, MONL and JAN, JAN-MAR. What follows is
// not looked at, as in Quartz: MONDAY is MON.
func (c *cron) parseName(f field, v string) error {
	names, title := monthNames, "Month"
	switch f {
	case month:
	case dayOfWeek:
		names, title = dayNames, "Day-of-Week"
	default:
		return complaint("illegal characters [%s] at pos [0] '", v[:min(3, len(v))])
	}
	number := func(at int) (int, error) {
		name := v[at:min(at+3, len(v))]
		n := slices.Index(names, name) + 1
		if n == 0 {
			return 0, complaint("invalid %s value [%s] at pos [%d]", title, name, at)
		}
		return n, nil
	}
	n, err := number(0)
	if err != nil {
		return err
	}
	rest := v[3:]
	switch {
	case strings.HasPrefix(rest, "-"):
		end, err := number(4)
		if err != nil {
			return err
		}
		return c.add(f, n, end, 1)
	case f == dayOfWeek && strings.HasPrefix(rest, "#"):
		if err := c.parseNth(rest[1:]); err != nil {
			return err
		}
	case f == dayOfWeek && strings.HasPrefix(rest, "L"):
		c.lastWeekday = true
	}
	return c.add(f, n, n, 1)
}

func (c *cron) parseNth(text string) error {
	n, ok := javaInt(text, 32)
	if !ok || n < 1 || n > 5 {
		return complaint("a numeric value between 1 and 5 must follow the '#' option at pos [4]")
	}
	c.nthWeekday = int(n)
	return nil
}

// parseNumber reads 5, 5-7, 5-7/2, 5/2 and, where they may stand, 5L, 5W and 5#2.
func (c *cron) parseNumber(f field, v string) error {
	digits, rest := leadingDigits(v)
	parsed, ok := javaInt(digits, 32)
	if !ok {
		return complaint("For input string: %q", digits)
	}
	n := int(parsed)
	if rest == "" {
		return c.add(f, n, n, 1)
	}
	at := len(digits)
	switch rest[0] {
	case 'L':
		if f != dayOfWeek {
			return complaint("'L' option is not valid here. at pos [%d]", at)
		}
		c.lastWeekday = true
		return c.add(f, n, n, 1)
	case 'W':
		if f != dayOfMonth {
			return complaint("'W' option is not valid here. at pos [%d]", at)
		}
		if n > 31 {
			return complaint("the 'W' option does not make sense with values larger than 31 (max number of days in a month) at pos [%d]", at)
		}
		c.nearestWeekday = true
		return c.add(f, n, n, 1)
	case '#':
		if f != dayOfWeek {
			return complaint("'#' option is not valid here. at pos [%d]", at)
		}
		if err := c.parseNth(rest[1:]); err != nil {
			return err
		}
		return c.add(f, n, n, 1)
	case '-':
		return c.parseRange(f, n, rest[1:])
	case '/':
		step, after := leadingDigits(rest[1:])
		if step == "" || len(step) == 1 && after != "" {
			return complaint("Unexpected character after '/' at pos [%d]", at+1)
		}
		by, ok := javaInt(step, 32)
		if !ok {
			return complaint("For input string: %q", step)
		}
		if by == 0 {
			return c.add(f, n, n, 1)
		}
		return c.add(f, n, limits[f].max, int(by))
	default:
		return c.add(f, n, n, 1)
	}
}

func (c *cron) parseRange(f field, from int, v string) error {
	digits, rest := leadingDigits(v)
	end, ok := javaInt(digits, 32)
	if !ok {
		return complaint("For input string: %q", v)
	}
	if !strings.HasPrefix(rest, "/") {
		return c.add(f, from, int(end), 1)
	}
	step, _ := leadingDigits(rest[1:])
	by, ok := javaInt(step, 32)
	if !ok {
		return complaint("For input string: %q", rest[1:])
	}
	if by == 0 {
		return c.add(f, from, from, 1)
	}
	return c.add(f, from, int(end), int(by))
}

// add puts from, from+step, … to end into a field's set. A range whose end is
// below its start goes over the field's end: 22-2 are the hours 22 to 2.
func (c *cron) add(f field, from, end, step int) error {
	l := limits[f]
	if f == year {
		if end < from {
			return complaint("Start year must be less than stop year")
		}
		// A year outside is never reached and needs no place in the set.
		from += max(0, (l.min-from+step-1)/step) * step
		end = min(end, l.max)
	} else if from < l.min || from > l.max || end < 0 || end > l.max {
		return complaint("%s", l.message)
	}
	size := l.max - l.min + 1
	if end < from && f != year {
		end += size
	}
	for i := from; i <= end; i += step {
		n := i
		if n > l.max {
			n -= size
		}
		c.sets[f] = append(c.sets[f], n)
	}
	if f == year && len(c.sets[f]) == 0 {
		// In the past, or too far away: it is never due, which is no error.
		c.sets[f] = []int{0}
	}
	return nil
}

//nolint:gochecknoglobals // tables that are only read
var (
	monthNames = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	dayNames   = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func leadingDigits(s string) (digits, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// javaInt reads a whole number as Java's parseInt and parseLong do.
func javaInt(s string, bits int) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, bits)
	return n, err == nil
}
