package page

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// NoData is written where nothing is known: never 0 or 100 %.
const NoData = "no data"

// significant writes x with three significant digits, and no fewer digits than
// stand before the point.
func significant(x float64) string {
	if x == 0 {
		return "0"
	}
	before := int(math.Floor(math.Log10(math.Abs(x)))) + 1
	after := max(0, 3-max(before, 1))
	if before < 1 {
		after = min(2-before+1, 6)
	}
	text := strconv.FormatFloat(x, 'f', after, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func scaled(x, step float64, units []string) string {
	i := 0
	for ; math.Abs(x) >= step*0.9995 && i < len(units)-1; i++ {
		x /= step
	}
	if units[i] == "" {
		return significant(x)
	}
	return significant(x) + "\u00a0" + units[i]
}

// Count writes a number of things: 999, 1.3 k, 42 M.
func Count(x float64) string { return scaled(x, 1000, []string{"", "k", "M", "G", "T"}) }

// Rate writes a number per second.
func Rate(x float64) string {
	text := Count(x)
	if strings.Contains(text, "\u00a0") {
		return text + "/s"
	}
	return text + "\u00a0/s"
}

// Bytes writes an amount of data in decimal units.
func Bytes(x float64) string { return scaled(x, 1000, []string{"B", "kB", "MB", "GB", "TB", "PB"}) }

// Seconds writes a time that something took: 312 ms, 1.24 s, 4 min, 3 h, 2 d.
func Seconds(x float64) string {
	switch abs := math.Abs(x); {
	case x == 0:
		return "0\u00a0s"
	case abs < 1e-3:
		return significant(x*1e6) + "\u00a0µs"
	case abs < 0.9995:
		return significant(x*1e3) + "\u00a0ms"
	case abs < 120:
		return significant(x) + "\u00a0s"
	case abs < 3600:
		return significant(x/60) + "\u00a0min"
	case abs < 48*3600:
		return significant(x/3600) + "\u00a0h"
	}
	return significant(x/86400) + "\u00a0d"
}

// Duration is Seconds of a Go duration.
func Duration(d time.Duration) string { return Seconds(d.Seconds()) }

// Percent writes a share (1 is all): 12.5 %.
func Percent(share float64) string { return significant(share*100) + "\u00a0%" }

// Availability writes a share near 1 with as many nines as decide: 99.95 %. What
// is not all is never rounded up to 100 %.
func Availability(share float64) string {
	if share >= 1 {
		return "100\u00a0%"
	}
	// Two digits of what is bad, and at least two after the point.
	after := 2
	if bad := 1 - share; bad < 0.1 {
		after = min(max(2, int(math.Ceil(-math.Log10(bad)))-1), 11)
	}
	// Cut, not rounded, so that 99.999 never looks like 100.
	scale := math.Pow(10, float64(after))
	text := strconv.FormatFloat(math.Floor(share*100*scale+1e-6)/scale, 'f', after, 64)
	for len(text)-strings.Index(text, ".")-1 > 2 && strings.HasSuffix(text, "0") {
		text = strings.TrimSuffix(text, "0")
	}
	return text + "\u00a0%"
}
