package capacity

import (
	"math"
	"testing"
	"time"
)

func TestPredict(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	// points are one a minute.
	points := func(n int, value func(minute float64) float64) []Point {
		var all []Point
		for i := range n {
			all = append(all, Point{start.Add(time.Duration(i) * time.Minute), value(float64(i))})
		}
		return all
	}
	now := start.Add(time.Hour)
	for name, tc := range map[string]struct {
		points []Point
		state  string
		in     time.Duration // from now
		perDay float64
	}{
		"grows by 1 % a minute":  {points(61, func(m float64) float64 { return 0.1 + 0.01*m }), "fills", 30 * time.Minute, 14.4},
		"in the reach of 20 h":   {points(61, func(m float64) float64 { return 0.001 * m }), "fills", 940 * time.Minute, 1.44},
		"beyond the reach":       {points(61, func(m float64) float64 { return 0.0001 * m }), "far", 0, 0.144},
		"falls":                  {points(61, func(m float64) float64 { return 0.9 - 0.01*m }), "steady", 0, -14.4},
		"does not change":        {points(61, func(float64) float64 { return 0.5 }), "steady", 0, 0},
		"up and down":            {points(61, func(m float64) float64 { return 0.5 + 0.4*math.Sin(m) }), "none", 0, math.NaN()},
		"few points":             {points(9, func(m float64) float64 { return m }), "short", 0, 0},
		"a short time":           {points(15, func(m float64) float64 { return 0.01 * m }), "short", 0, 0},
		"nothing":                {nil, "short", 0, 0},
		"full":                   {points(61, func(m float64) float64 { return m / 60 }), "full", 0, 0},
		"the line is above it":   {append(points(60, func(m float64) float64 { return 0.02 * m }), Point{now, 0.99}), "fills", 0, math.NaN()},
		"full but for the noise": {points(61, func(m float64) float64 { return 0.1 + 0.01*m + 0.01*math.Sin(m) }), "fills", 30 * time.Minute, math.NaN()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := Predict(tc.points, 1, now)
			if f.State != tc.state {
				t.Fatalf("%+v", f)
			}
			if tc.state == "fills" {
				if off := f.At.Sub(now) - tc.in; off.Abs() > 2*time.Minute {
					t.Errorf("in %s", f.At.Sub(now))
				}
			}
			if !math.IsNaN(tc.perDay) && math.Abs(f.PerDay-tc.perDay) > 1e-9 {
				t.Errorf("%g a day", f.PerDay)
			}
		})
	}
}
