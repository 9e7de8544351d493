package slos

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pharos/console/kql"
	"pharos/console/page"
	"pharos/internal/fault"
	"pharos/slo"
	"pharos/slo/rollup"
)

// ObjectiveView is the page of one objective, or of one of its parts.
type ObjectiveView struct {
	About
	Part     string               `json:"part,omitempty"` // a group or a component; empty: the whole
	Standing page.Panel[Standing] `json:"standing"`
	Burn     page.Panel[Rates]    `json:"burn"`
	Causes   page.Panel[[]Cause]  `json:"causes"`
	// Bad is the search for the log lines of what was bad; empty where it is not
	// counted from log lines, or the reader may not read those.
	Bad     string  `json:"bad_query,omitempty"`
	Watches []Watch `json:"watches"`
	Runbook string  `json:"runbook,omitempty"`
	// RunbookURL is where the runbook is, if that is known.
	RunbookURL string `json:"runbook_url,omitempty"`
}

// PageTitle names the page.
func (v *ObjectiveView) PageTitle() string {
	if v.Part == "" {
		return v.Title
	}
	return v.Title + ": " + v.Part
}

// Standing is how the objective stands and came to it.
type Standing struct {
	Figures
	Since  time.Time  `json:"since"` // the oldest minute that is counted
	Parts  []Figures  `json:"parts,omitempty"`
	Budget page.Chart `json:"budget_chart"`
	Hours  []Hour     `json:"worst_hours"`
}

// Hour is one in which budget was spent.
type Hour struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Bad   float64   `json:"bad"`
	Total float64   `json:"total"`
	Share float64   `json:"budget_share"` // of the window's budget
}

// Rates is how fast the budget was spent.
type Rates struct {
	Chart page.Chart `json:"chart"`
}

// Cause is a value of a field among what was bad, and the search for it.
type Cause struct {
	rollup.Cause
	Query string `json:"query"`
}

// Watch is one that tells somebody when the budget burns at a factor over both
// windows.
type Watch struct {
	ID     string  `json:"id"`
	Factor float64 `json:"factor"`
	Long   string  `json:"long"`
	Short  string  `json:"short"`
	Page   bool    `json:"page"` // else a ticket
}

func (s SLOs) one(r *page.Request) (any, error) {
	at := slices.IndexFunc(s.Objectives, func(o slo.Objective) bool { return o.Name == r.Param("name") })
	if at < 0 {
		return nil, fault.New(fault.NotFound, "There is no objective of this name.")
	}
	o := s.Objectives[at]
	v := &ObjectiveView{About: about(o), Part: r.Query("part"), Runbook: o.Runbook, Watches: []Watch{}}
	if v.Part != "" && v.GroupBy == "" {
		return nil, fault.Field(fault.InvalidParameter, "part", "This objective has no parts.")
	}
	if strings.Contains(o.Runbook, "://") {
		v.RunbookURL = o.Runbook
	} else if o.Runbook != "" && s.Runbooks != "" {
		v.RunbookURL = strings.TrimRight(s.Runbooks, "/") + "/" + o.Runbook
	}
	if !o.Silent {
		for _, b := range slo.Burns() {
			v.Watches = append(v.Watches, Watch{"slo-" + o.Name + "-" + b.Name, b.Factor, length(b.Long), length(b.Short), b.Page})
		}
	}
	if r.Reader.Rights.Logs {
		v.Bad = badQuery(o, v.Part)
	}
	reader := s.reader(r)
	p := r.Panels()
	page.Load(p, &v.Standing, func(ctx context.Context) (Standing, error) { return standing(ctx, reader, o, v.Part, r.Now) })
	page.Load(p, &v.Burn, func(ctx context.Context) (Rates, error) { return rates(ctx, reader, o, v.Part, r.Span) })
	if v.Bad != "" && v.Part == "" {
		page.Load(p, &v.Causes, func(ctx context.Context) ([]Cause, error) {
			found, err := reader.Causes(ctx, o, r.Now.Add(-o.Window), r.Now)
			var causes []Cause
			for _, c := range found {
				causes = append(causes, Cause{c, v.Bad + " and " + kql.Is(c.Field, c.Value)})
			}
			return causes, err
		})
	}
	p.Wait()
	if v.Standing.Trouble != nil && v.Standing.Trouble.Kind == "invalid" {
		return nil, fault.Field(fault.InvalidParameter, "part", "This objective has no such part.")
	}
	return v, nil
}

func standing(ctx context.Context, reader rollup.Reader, o slo.Objective, part string, now time.Time) (Standing, error) {
	all, err := reader.Standing(ctx, o, true)
	if err != nil {
		return Standing{}, err
	}
	at := slices.IndexFunc(all, func(s rollup.Standing) bool { return s.Group+s.Component == part })
	if at < 0 {
		return Standing{}, fault.Field(fault.InvalidParameter, "part", "This objective has no such part.")
	}
	s := Standing{Figures: figures(all[at], now), Since: all[at].Since}
	if part == "" {
		for _, one := range all[1:] {
			s.Parts = append(s.Parts, figures(one, now))
		}
		slices.SortStableFunc(s.Parts, func(a, b Figures) int { return cmp.Compare(a.left(), b.left()) })
	}
	begin := now.Truncate(time.Minute).Add(-o.Window)
	step := min(max(page.Span{From: later(begin, s.Since), To: now}.Bucket(mostPoints), time.Minute), time.Hour)
	points, err := reader.Points(ctx, o, part, begin, now, step)
	if err != nil {
		return Standing{}, err
	}
	s.Budget = burnDown(all[at], points, step, now)
	s.Hours = worst(points, s.Allowed())
	return s, nil
}

// left orders by what is left; parts without data come last.
func (f Figures) left() float64 {
	if f.BudgetLeft == nil {
		return 2
	}
	return *f.BudgetLeft
}

// ahead is the part of the window for which a forecast is drawn.
const ahead = 6

// burnDown draws what was left of the window's budget after each step, and how
// it goes on at the rate of the last six hours.
func burnDown(s rollup.Standing, points []rollup.Point, step time.Duration, now time.Time) page.Chart {
	o := s.Objective
	begin := later(now.Add(-o.Window), s.Since)
	horizon := now.Add(max(now.Sub(begin)/ahead, time.Hour))
	c := page.Chart{ID: "budget", Title: "Budget left", Unit: page.Share, From: begin.Unix(), To: horizon.Unix()}
	left := page.Series{Name: "left", Colour: "c-blue"}
	forecast := page.Series{Name: "at the rate of the last 6 h", Colour: "c-blue", Dashed: true}
	add := func(at time.Time, l, f *float64) {
		c.Times = append(c.Times, at.Unix())
		left.Values, forecast.Values = append(left.Values, l), append(forecast.Values, f)
	}
	allowed := s.Window.Total * o.Budget()
	bad := 0.0
	if allowed > 0 && len(points) > 0 {
		add(begin, page.Value(1), nil)
	}
	for _, p := range points {
		bad += p.Count.Bad()
		end := p.At.Add(step)
		if allowed > 0 && end.Before(now) {
			add(end, page.Value(1-bad/allowed), nil)
		}
	}
	if allowed > 0 {
		remains := s.Window.BudgetLeft(o)
		recent, over := s.Last[1], slo.Burns()[1].Long
		add(now, &remains, &remains)
		if recent.Bad() > 0 && remains > 0 {
			perSecond := recent.Bad() / allowed / over.Seconds()
			to := horizon
			if spent := now.Add(time.Duration(remains / perSecond * float64(time.Second))); remains/perSecond < horizon.Sub(now).Seconds() {
				to = spent
			}
			add(to, nil, page.Value(max(0, remains-perSecond*to.Sub(now).Seconds())))
		}
	}
	c.Series = []page.Series{left}
	if len(forecast.Values) > 0 && forecast.Values[len(forecast.Values)-1] != nil && left.Values[len(left.Values)-1] == nil {
		c.Series = append(c.Series, forecast)
	}
	return c
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

const worstHours = 10

// worst are the hours that spent most, the worst first.
func worst(points []rollup.Point, allowed float64) []Hour {
	hours := []Hour{}
	for _, p := range points {
		from := p.At.Truncate(time.Hour)
		if last := len(hours) - 1; last >= 0 && hours[last].From.Equal(from) {
			hours[last].Bad += p.Count.Bad()
			hours[last].Total += p.Count.Total
			continue
		}
		hours = append(hours, Hour{From: from, To: from.Add(time.Hour), Bad: p.Count.Bad(), Total: p.Count.Total})
	}
	hours = slices.DeleteFunc(hours, func(h Hour) bool { return h.Bad <= 0 })
	for i := range hours {
		if allowed > 0 {
			hours[i].Share = hours[i].Bad / allowed
		}
	}
	slices.SortStableFunc(hours, func(a, b Hour) int { return cmp.Or(cmp.Compare(b.Bad, a.Bad), b.From.Compare(a.From)) })
	return hours[:min(len(hours), worstHours)]
}

// mostPoints bounds the points of a chart of rates.
const mostPoints = 240

// rates draws the burn rate over each rule's long window, as it was at each
// point of the span, beside the rule's threshold.
func rates(ctx context.Context, reader rollup.Reader, o slo.Objective, part string, span page.Span) (Rates, error) {
	from := later(span.From, span.To.Add(-o.Window)).Truncate(time.Minute)
	drawn := page.Span{From: from, To: span.To}
	step := min(max(drawn.Bucket(mostPoints), time.Minute), time.Hour)
	rules := slo.Burns()
	longest := slices.MaxFunc(rules, func(a, b slo.Burn) int { return cmp.Compare(a.Long, b.Long) }).Long
	points, err := reader.Points(ctx, o, part, from.Add(-longest), span.To, step)
	if err != nil {
		return Rates{}, err
	}
	c := page.NewChart("burn", "Burn rate", page.Times, drawn)
	for at := from.Truncate(step).Add(step); !at.After(span.To); at = at.Add(step) {
		c.Times = append(c.Times, at.Unix())
	}
	colours := []string{"c-vermilion", "c-orange", "c-blue"}
	for i, b := range rules {
		c.Series = append(c.Series, page.Series{Name: length(b.Long), Colour: colours[i%len(colours)], Values: trailing(points, o, b.Long, c.Times)})
	}
	for i, b := range rules {
		limit := page.Series{Name: fmt.Sprintf("limit %g ×", b.Factor), Colour: c.Series[i].Colour, Dashed: true}
		for range c.Times {
			limit.Values = append(limit.Values, page.Value(b.Factor))
		}
		c.Series = append(c.Series, limit)
	}
	if !slices.ContainsFunc(c.Series[:len(rules)], func(s page.Series) bool {
		return slices.ContainsFunc(s.Values, func(v *float64) bool { return v != nil })
	}) {
		c.Series = c.Series[:len(rules)] // no data is said; limits alone are none
	}
	return Rates{c}, nil
}

// trailing is the burn rate over the window that ends at each time; nil where it
// holds no data. points and times rise.
func trailing(points []rollup.Point, o slo.Objective, window time.Duration, times []int64) []*float64 {
	values := make([]*float64, 0, len(times))
	var sum slo.Count
	first, next := 0, 0
	for _, at := range times {
		for ; next < len(points) && points[next].At.Unix() < at; next++ {
			sum = sum.Add(points[next].Count)
		}
		for ; first < next && points[first].At.Unix() < at-int64(window.Seconds()); first++ {
			gone := points[first].Count
			sum = sum.Add(slo.Count{Good: -gone.Good, Total: -gone.Total})
		}
		if first == next {
			sum = slo.Count{} // without what floats leave over
			values = append(values, nil)
			continue
		}
		if sum.NoData() {
			values = append(values, nil)
			continue
		}
		values = append(values, page.Value(max(0, sum.BurnRate(o))))
	}
	return values
}
