package schedule

import (
	"slices"
	"sort"
	"time"
)

// nextIn is the first moment after another at which the clocks of a zone show a
// time that the expression means. As Elastic documents it: a time that the clocks
// skip comes later by what they skip (1:30 as 2:30), and of a time that they show
// twice the first counts.
func (c *cron) nextIn(zone *time.Location, after time.Time) time.Time {
	if zone == nil {
		return c.nextWall(after.UTC())
	}
	best := c.nextFrom(zone, after, wall(after, zone))
	start, _ := after.In(zone).ZoneBounds()
	if start.IsZero() {
		return best
	}
	// Shortly after the clocks went forward, times that they skipped are still
	// to come.
	before, now := offset(start.Add(-time.Second), zone), offset(start, zone)
	if gap := now - before; gap > 0 && after.Before(start.Add(gap)) {
		if late := c.nextFrom(zone, after, asWall(after, before)); !late.IsZero() && late.Before(best) {
			return late
		}
	}
	return best
}

// nextFrom goes from one time on the wall to the next until one is after the
// moment.
func (c *cron) nextFrom(zone *time.Location, after, on time.Time) time.Time {
	for {
		on = c.nextWall(on)
		if on.IsZero() {
			return on
		}
		t, gapEnd := moment(on, zone)
		if !t.After(after) {
			continue // the second of two showings
		}
		if !gapEnd.IsZero() {
			// A later time on the wall may come before a skipped one.
			if other, _ := moment(c.nextWall(gapEnd.Add(-time.Second)), zone); other.After(after) && other.Before(t) {
				return other
			}
		}
		return t
	}
}

// wall is what a zone's clocks show at a moment, as if it were UTC.
func wall(t time.Time, zone *time.Location) time.Time { return asWall(t, offset(t, zone)) }

func asWall(t time.Time, offset time.Duration) time.Time { return t.UTC().Add(offset) }

func offset(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}

// moment is when a zone's clocks show a time: the first time that they do. For a
// time that they skip it is as much later, and gapEnd is what they show after the
// gap.
func moment(on time.Time, zone *time.Location) (t, gapEnd time.Time) {
	// The two offsets that may hold are those half a day before and after, as
	// no zone changes twice within a day.
	earlier, later := offset(on.Add(-24*time.Hour), zone), offset(on.Add(24*time.Hour), zone)
	first, second := on.Add(-earlier), on.Add(-later)
	if second.Before(first) {
		first, second = second, first
	}
	for _, t := range []time.Time{first, second} {
		if wall(t, zone).Equal(on) {
			return t, time.Time{}
		}
	}
	// In a gap: the offset before it puts the time behind the change.
	t = on.Add(-earlier)
	start, _ := t.In(zone).ZoneBounds()
	return t, wall(start, zone)
}

// nextWall is the first time after another that the expression means, where a
// day has 24 hours; zero if there is none. It goes from the year down to the
// second and back up where a field has no value left.
func (c *cron) nextWall(after time.Time) time.Time {
	if after.IsZero() {
		return after
	}
	t := after.Truncate(time.Second).Add(time.Second)
	for t.Year() <= lastYear {
		y, ok := c.from(year, t.Year())
		if !ok {
			return time.Time{}
		}
		if y != t.Year() {
			t = date(y, 1, 1)
		}
		m, ok := c.from(month, int(t.Month()))
		if !ok {
			t = date(t.Year()+1, 1, 1)
			continue
		}
		if m != int(t.Month()) {
			t = date(t.Year(), m, 1)
		}
		d, ok := c.day(t)
		if !ok {
			t = date(t.Year(), int(t.Month())+1, 1)
			continue
		}
		if d != t.Day() {
			t = date(t.Year(), int(t.Month()), d)
		}
		clock, ok := c.clock(t)
		if ok {
			return date(t.Year(), int(t.Month()), d).Add(clock)
		}
		t = date(t.Year(), int(t.Month()), d+1)
	}
	return time.Time{}
}

func date(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

// from is a field's first value that is not below n.
func (c *cron) from(f field, n int) (int, bool) {
	set := c.sets[f]
	i := sort.SearchInts(set, n)
	if i == len(set) {
		return 0, false
	}
	return set[i], true
}

// clock is the first time of day, not before that of t, that the expression
// means.
func (c *cron) clock(t time.Time) (time.Duration, bool) {
	h, ok := c.from(hour, t.Hour())
	if !ok {
		return 0, false
	}
	firstMinute, firstSecond := c.sets[minute][0], c.sets[second][0]
	if h != t.Hour() {
		return clockTime(h, firstMinute, firstSecond), true
	}
	if m, ok := c.from(minute, t.Minute()); ok {
		if m != t.Minute() {
			return clockTime(h, m, firstSecond), true
		}
		if s, ok := c.from(second, t.Second()); ok {
			return clockTime(h, m, s), true
		}
		if m, ok = c.from(minute, t.Minute()+1); ok {
			return clockTime(h, m, firstSecond), true
		}
	}
	if h, ok = c.from(hour, t.Hour()+1); ok {
		return clockTime(h, firstMinute, firstSecond), true
	}
	return 0, false
}

func clockTime(h, m, s int) time.Duration {
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}

// day is the first day of t's month, not before that of t, that the expression
// means.
func (c *cron) day(t time.Time) (int, bool) {
	days := c.days(t.Year(), t.Month())
	i := slices.IndexFunc(days, func(d int) bool { return d >= t.Day() })
	if i < 0 {
		return 0, false
	}
	return days[i], true
}

// days are those of a month, in order. Where L, W or # ask for one day, only the
// first value of a list counts, as in Quartz.
func (c *cron) days(y int, m time.Month) []int {
	length := date(y, int(m)+1, 0).Day()
	first := int(date(y, int(m), 1).Weekday()) + 1 // Sunday is 1
	switch {
	case c.unsetWeekday && c.last:
		d := length - c.lastOffset
		if d < 1 {
			return nil
		}
		if c.nearestWeekday {
			d = nearestWeekday(y, m, d, length)
		}
		return []int{d}
	case c.unsetWeekday && c.nearestWeekday:
		d := c.sets[dayOfMonth][0]
		if d > length {
			return nil
		}
		return []int{nearestWeekday(y, m, d, length)}
	case c.unsetWeekday:
		end := sort.SearchInts(c.sets[dayOfMonth], length+1)
		return c.sets[dayOfMonth][:end]
	case c.lastWeekday:
		d := 1 + (c.sets[dayOfWeek][0]-first+7)%7
		return []int{d + (length-d)/7*7}
	case c.nthWeekday > 0:
		d := 1 + (c.sets[dayOfWeek][0]-first+7)%7 + (c.nthWeekday-1)*7
		if d > length {
			return nil
		}
		return []int{d}
	default:
		var days []int
		for d := 1; d <= length; d++ {
			if slices.Contains(c.sets[dayOfWeek], (first-1+d-1)%7+1) {
				days = append(days, d)
			}
		}
		return days
	}
}

// nearestWeekday is the day from Monday to Friday that is nearest to one, in the
// same month.
func nearestWeekday(y int, m time.Month, d, length int) int {
	switch date(y, int(m), d).Weekday() {
	case time.Saturday:
		if d == 1 {
			return 3
		}
		return d - 1
	case time.Sunday:
		if d == length {
			return d - 2
		}
		return d + 1
	default:
		return d
	}
}
