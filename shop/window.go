package shop

import (
	"fmt"
	"time"
)

// Size is the length of a window.
type Size string

// The sizes of windows.
const (
	Minute Size = "1m"
	Hour   Size = "1h"
)

// Duration returns the size as a duration.
func (s Size) Duration() time.Duration {
	if s == Hour {
		return time.Hour
	}
	return time.Minute
}

// Window is a span of event time: from Start on, and before End. Windows of a
// size follow one another without gaps, from midnight UTC on.
type Window struct {
	Size  Size
	Start time.Time
}

// WindowOf returns the window of the size that the time lies in.
func WindowOf(size Size, at time.Time) Window {
	return Window{size, at.UTC().Truncate(size.Duration())}
}

// End returns the first moment after the window.
func (w Window) End() time.Time { return w.Start.Add(w.Size.Duration()) }

// String names the window: "1m.2026-01-31T12:34Z".
func (w Window) String() string {
	return fmt.Sprintf("%s.%s", w.Size, w.Start.UTC().Format("2006-01-02T15:04Z"))
}

// Watermark returns the time before which no more events are expected: delay
// before the newest event, whatever clocks and consumers do. Where nothing has
// come for a while and nothing waits on the bus (idle), it follows the clock, so
// that the last windows close, too.
//
// Events behind it are late: they count all the same, as a correction.
func Watermark(newest, now time.Time, delay time.Duration, idle bool) time.Time {
	if idle || newest.After(now) {
		newest = now
	}
	return newest.Add(-delay)
}
