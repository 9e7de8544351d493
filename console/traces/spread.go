package traces

import (
	"math"
	"time"

	"pharos/console/page"
)

// edges are the durations, in µs, between which transactions are counted: steps
// of 1, 2, 5 from 1 ms to 10 s. What is shorter or longer has a row of its own.
func edges() []int64 {
	return []int64{1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7}
}

// ranges are the same for a range aggregation.
func ranges() []object {
	all := []object{{"to": edges()[0]}}
	for i, from := range edges() {
		r := object{"from": from}
		if i+1 < len(edges()) {
			r["to"] = edges()[i+1]
		}
		all = append(all, r)
	}
	return all
}

// Spread is how many transactions took how long when: durations over time.
type Spread struct {
	Cells []Cell `json:"cells"`
	Rows  []Row  `json:"-"`
	// Width and Height are of the picture, in its own units.
	Width, Height int `json:"-"`
}

// Cell is one step of time and one of duration. X, Y, W and H are where it is
// drawn.
type Cell struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Least  float64   `json:"least_seconds"`
	Most   float64   `json:"most_seconds,omitempty"` // 0: no end
	Count  int64     `json:"count"`
	Failed int64     `json:"failed"`
	// Shade is from 1 for few to 5 for many.
	Shade int     `json:"-"`
	X     float64 `json:"-"`
	Y     int     `json:"-"`
	W     float64 `json:"-"`
	// Bad is how much of the cell's height is failures.
	Bad int `json:"-"`
}

// Row is a line of the picture.
type Row struct {
	Name string
	Y    int
}

const (
	spreadWidth = 1000
	rowHeight   = 12
)

// Min and Max are the cell's durations as the form takes them.
func (c Cell) Min() string { return time.Duration(c.Least * 1e9).String() }

// Max is the upper end; empty: none.
func (c Cell) Max() string {
	if c.Most == 0 {
		return ""
	}
	return time.Duration(c.Most * 1e9).String()
}

// Height is how high every cell is.
func (c Cell) Height() int { return rowHeight - 1 }

// BadY is where the mark of failures begins.
func (c Cell) BadY() int { return c.Y + c.Height() - c.Bad }

// spread counts by time and duration, without the rows above and below all that
// there is.
func spread(s page.Span, step time.Duration, buckets []bucket) Spread {
	low, high, most := math.MaxInt, -1, int64(0)
	for _, b := range buckets {
		for i, c := range b.Spread.Buckets {
			if c.DocCount > 0 {
				low, high, most = min(low, i), max(high, i), max(most, c.DocCount)
			}
		}
	}
	if high < 0 {
		return Spread{}
	}
	steps := edges()
	out := Spread{Width: spreadWidth, Height: (high - low + 1) * rowHeight}
	for i := high; i >= low; i-- {
		name := "up to " + page.Seconds(float64(steps[0])/1e6)
		if i > 0 {
			name = "from " + page.Seconds(float64(steps[i-1])/1e6)
		}
		out.Rows = append(out.Rows, Row{name, (high - i) * rowHeight})
	}
	perSecond := spreadWidth / s.Length().Seconds()
	for _, b := range buckets {
		from := time.UnixMilli(int64(b.Key))
		to := from.Add(step)
		if from.Before(s.From) {
			from = s.From
		}
		if to.After(s.To) {
			to = s.To
		}
		for i, c := range b.Spread.Buckets {
			if c.DocCount == 0 {
				continue
			}
			cell := Cell{From: from, To: to, Count: c.DocCount, X: round(from.Sub(s.From).Seconds() * perSecond), Y: (high - i) * rowHeight, W: round(max(2, to.Sub(from).Seconds()*perSecond-1))}
			if i > 0 {
				cell.Least = float64(steps[i-1]) / 1e6
			}
			if i < len(steps) {
				cell.Most = float64(steps[i]) / 1e6
			}
			if i < len(b.Failed.Spread.Buckets) {
				cell.Failed = b.Failed.Spread.Buckets[i].DocCount
			}
			cell.Shade = shade(c.DocCount, most)
			if cell.Failed > 0 {
				cell.Bad = max(4, int(math.Round(float64(cell.Height())*float64(cell.Failed)/float64(cell.Count))))
			}
			out.Cells = append(out.Cells, cell)
		}
	}
	return out
}

// shade is from 1 to 5 by the logarithm of a count.
func shade(n, most int64) int {
	if most <= 1 {
		return 3
	}
	return 1 + int(math.Round(4*math.Log(float64(n))/math.Log(float64(most))))
}

func round(x float64) float64 { return math.Round(x*10) / 10 }
