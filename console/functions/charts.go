package functions

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"pharos/console/operatorapi"
	"pharos/console/page"
)

const (
	// points is how many parts of the span are asked for, each a call to the API.
	points = 12
	atOnce = 3
	// drawn is how many functions have a line.
	drawn = 6
)

// Charts are functions over time.
type Charts struct {
	Calls  page.Chart `json:"calls"`
	Errors page.Chart `json:"errors"`
	Took   page.Chart `json:"took"`
}

// part is what was measured in a part of the span.
type part struct {
	from, to  time.Time
	functions []operatorapi.Function
}

// charts asks for parts of the span of equal length: the API answers for any
// time, but not over time.
func (f Functions) charts(ctx context.Context, span page.Span, name string) (Charts, error) {
	parts := cut(span)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range parts {
		group.Go(func() error {
			var err error
			parts[i].functions, err = f.API.Functions(ctx, parts[i].from, parts[i].to)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Charts{}, fmt.Errorf("read functions over time: %w", err)
	}
	return draw(span, parts, name), nil
}

// cut cuts a span into parts of whole seconds.
func cut(span page.Span) []part {
	from := span.From.Truncate(time.Second)
	length := max(time.Second, (span.To.Sub(from) / points).Truncate(time.Second))
	var parts []part
	for at := from; at.Before(span.To) && len(parts) < points; at = at.Add(length) {
		end := at.Add(length)
		if len(parts) == points-1 && end.Before(span.To) {
			end = span.To.Truncate(time.Second)
		}
		parts = append(parts, part{from: at, to: end})
	}
	return parts
}

// draw makes charts of one function, or of those called most.
func draw(span page.Span, parts []part, name string) Charts {
	title := func(what string) string {
		if name != "" {
			return what + ", " + name
		}
		return what
	}
	c := Charts{
		Calls:  page.NewChart("calls", title("Calls a second"), page.PerSecond, span),
		Errors: page.NewChart("errors", title("Errors a second"), page.PerSecond, span),
		Took:   page.NewChart("took", title("p95 of a call"), page.Sec, span),
	}
	for _, chart := range []*page.Chart{&c.Calls, &c.Errors, &c.Took} {
		for _, p := range parts {
			chart.Times = append(chart.Times, p.from.Unix())
		}
	}
	if name != "" {
		c.Took.Title = title("Time of a call")
		c.Calls.Series = []page.Series{{Name: "calls", Colour: page.Colour("requests"), Values: line(parts, name, calls)}}
		c.Errors.Series = []page.Series{{Name: "errors", Colour: page.Colour("errors"), Values: line(parts, name, failures)}}
		for _, l := range []struct {
			name string
			of   func(operatorapi.Function) *float64
		}{
			{"mean", func(f operatorapi.Function) *float64 { return f.Average }},
			{"p50", func(f operatorapi.Function) *float64 { return f.P50 }},
			{"p95", p95},
			{"p99", func(f operatorapi.Function) *float64 { return f.P99 }},
		} {
			c.Took.Series = append(c.Took.Series, page.Series{Name: l.name, Colour: page.Colour(l.name), Values: line(parts, name, func(f operatorapi.Function, _ float64) *float64 { return l.of(f) })})
		}
		return c
	}
	colours := []string{"c-blue", "c-vermilion", "c-green", "c-purple", "c-orange", "c-sky"}
	for i, n := range most(parts, func(f operatorapi.Function) int64 { return f.Calls }) {
		c.Calls.Series = append(c.Calls.Series, page.Series{Name: n, Colour: colours[i], Values: line(parts, n, calls)})
		c.Took.Series = append(c.Took.Series, page.Series{Name: n, Colour: colours[i], Values: line(parts, n, func(f operatorapi.Function, _ float64) *float64 { return p95(f) })})
	}
	for i, n := range most(parts, func(f operatorapi.Function) int64 { return f.Errors }) {
		c.Errors.Series = append(c.Errors.Series, page.Series{Name: n, Colour: colours[i], Values: line(parts, n, failures)})
	}
	return c
}

func calls(f operatorapi.Function, seconds float64) *float64 {
	return page.Value(float64(f.Calls) / seconds)
}

func failures(f operatorapi.Function, seconds float64) *float64 {
	return page.Value(float64(f.Errors) / seconds)
}

func p95(f operatorapi.Function) *float64 { return f.P95 }

// line is a function's number in each part: where it was not called there were no
// calls, but no time of a call is known.
func line(parts []part, name string, of func(f operatorapi.Function, seconds float64) *float64) []*float64 {
	values := make([]*float64, len(parts))
	for i, p := range parts {
		f := operatorapi.Function{Name: name}
		if j := slices.IndexFunc(p.functions, func(f operatorapi.Function) bool { return f.Name == name }); j >= 0 {
			f = p.functions[j]
		}
		values[i] = of(f, p.to.Sub(p.from).Seconds())
	}
	return values
}

// most are the names of the functions that have the most of something, sorted;
// those that have none are left out.
func most(parts []part, of func(operatorapi.Function) int64) []string {
	sum := map[string]int64{}
	var names []string
	for _, p := range parts {
		for _, f := range p.functions {
			if _, ok := sum[f.Name]; !ok {
				names = append(names, f.Name)
			}
			sum[f.Name] += of(f)
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return sum[n] == 0 })
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int { return int(sum[b] - sum[a]) })
	names = names[:min(drawn, len(names))]
	slices.Sort(names)
	return names
}
