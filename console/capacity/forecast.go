package capacity

import (
	"math"
	"time"
)

// Forecast is when a line through what was measured meets a limit.
type Forecast struct {
	// State is short (too little was measured), none (no line fits), steady (it
	// does not grow), far (later than can be told from so short a time), fills or
	// full.
	State string `json:"state"`
	// At is when the line meets the limit, where it fills.
	At time.Time `json:"at,omitzero"`
	// PerDay is how much the line grows in a day, in the resource's unit.
	PerDay float64 `json:"per_day"`
	// Fit is r²: the share of the variance that the line explains.
	Fit float64 `json:"r2"`
}

// Point is one measurement.
type Point struct {
	At    time.Time
	Value float64
}

const (
	leastPoints = 10
	leastSpan   = 15 * time.Minute
	// goodFit is the least r² of a line that is called a trend.
	goodFit = 0.7
	// reach is how many times the measured time a forecast looks ahead.
	reach = 20
)

// Predict fits a straight line by least squares to points in the order of time,
// and says when it meets limit. It is plain on purpose: no season, no bend.
func Predict(points []Point, limit float64, now time.Time) Forecast {
	if len(points) < leastPoints || points[len(points)-1].At.Sub(points[0].At) < leastSpan {
		return Forecast{State: "short"}
	}
	if points[len(points)-1].Value >= limit {
		return Forecast{State: "full", At: now}
	}
	start := points[0].At
	slope, level, fit := line(points, start)
	f := Forecast{PerDay: slope * 86400, Fit: fit}
	switch {
	case fit < goodFit:
		f.State = "none"
	case slope <= 0:
		f.State = "steady"
	default:
		measured := points[len(points)-1].At.Sub(start)
		ahead := (limit-level)/slope - now.Sub(start).Seconds()
		switch {
		case ahead > measured.Seconds()*reach:
			f.State = "far"
		default:
			f.State = "fills"
			f.At = now.Add(time.Duration(math.Max(0, ahead) * float64(time.Second)))
		}
	}
	return f
}

// line returns the slope (a second), the level at start and r² of the line
// through the points. A level line fits what does not change.
func line(points []Point, start time.Time) (slope, level, fit float64) {
	n := float64(len(points))
	var meanX, meanY float64
	for _, p := range points {
		meanX += p.At.Sub(start).Seconds() / n
		meanY += p.Value / n
	}
	var xx, xy, yy float64
	for _, p := range points {
		dx, dy := p.At.Sub(start).Seconds()-meanX, p.Value-meanY
		xx, xy, yy = xx+dx*dx, xy+dx*dy, yy+dy*dy
	}
	if xx == 0 || yy <= 1e-18*n*meanY*meanY { // no more than rounding
		return 0, meanY, 1
	}
	slope = xy / xx
	return slope, meanY - slope*meanX, xy * xy / (xx * yy)
}
