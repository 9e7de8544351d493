// Package bench measures what DESIGN's goals name, on real servers: `make
// bench` prints the table. docs/benchmarks.md says how.
//
// The two sides of a comparison take turns within one run, many times, so that
// what else the machine does counts for both. A figure is the median over the
// rounds; its spread is what the middle half of them lies in.
package bench

import (
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"text/tabwriter"

	"pharos/internal/teststack"
)

// figure is a line of the table.
type figure struct {
	what   string
	values []float64 // one for each round
	unit   string
	goal   goal
}

// goal is a bound that a figure must keep; its zero value is none.
type goal struct {
	atMost, atLeast float64
}

func (g goal) String() string {
	switch {
	case g.atMost > 0:
		return fmt.Sprintf("≤ %g", g.atMost)
	case g.atLeast > 0:
		return fmt.Sprintf("≥ %g", g.atLeast)
	}
	return "none"
}

// verdict says by how much a goal is met or missed.
func (g goal) verdict(v float64) string {
	switch {
	case g.atMost > 0 && v > g.atMost:
		return fmt.Sprintf("missed by %.0f %%", 100*(v/g.atMost-1))
	case g.atLeast > 0 && v < g.atLeast:
		return fmt.Sprintf("missed by %.0f %%", 100*(1-v/g.atLeast))
	case g == goal{}:
		return ""
	}
	return "met"
}

// TestTable prints the table. A goal that is missed does not fail it: the
// machine is not ours alone.
func TestTable(t *testing.T) {
	if os.Getenv("PHAROS_BENCH") == "" {
		t.Skip("SKIPPED: a benchmark; run `make bench`")
	}
	teststack.Need(t)
	var all []figure
	for _, measure := range []func(*testing.T) []figure{chain, timeline, events, functions, watches} {
		all = append(all, measure(t)...)
	}
	print(t, os.Stdout, all)
}

func print(t *testing.T, out io.Writer, figures []figure) {
	t.Helper()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "what\tmedian\tmiddle half\tgoal\t")
	for _, f := range figures {
		low, mid, high := quartiles(f.values)
		_, _ = fmt.Fprintf(w, "%s\t%.3g %s\t%.3g to %.3g\t%s\t%s\n", f.what, mid, f.unit, low, high, f.goal, f.goal.verdict(mid))
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
}

func quartiles(values []float64) (low, mid, high float64) {
	s := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 { return s[int(q*float64(len(s)-1)+.5)] }
	return at(.25), at(.5), at(.75)
}

// inTurn lets the sides take turns and returns what each measured, by round.
// Who is first changes from round to round. A first round is not counted.
func inTurn(rounds int, sides ...func() float64) [][]float64 {
	out := make([][]float64, len(sides))
	for round := range rounds + 1 {
		for i := range sides {
			side := (i + round) % len(sides)
			v := sides[side]()
			if round > 0 {
				out[side] = append(out[side], v)
			}
		}
	}
	return out
}

// pairs combines the values of the same round.
func pairs(a, b []float64, combine func(a, b float64) float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = combine(a[i], b[i])
	}
	return out
}

func minus(a, b float64) float64 { return a - b }
func over(a, b float64) float64  { return a / b }
