package logs

import (
	"context"
	"html/template"
	"strconv"
	"strings"
	"time"

	"pharos/console/kql"
	"pharos/console/page"
	"pharos/console/session"
	"pharos/console/watcherapi"
)

// summaryWait is how long a page waits for its histogram and facets once its lines
// are there. A script loads them later, or the reader by a link.
const summaryWait = 150 * time.Millisecond

// Logs is the page and its streams.
type Logs struct {
	rows    writer
	watcher *watcherapi.Client
	// stop ends the live tails: they would keep the process from stopping.
	stop <-chan struct{}
	// tails has a place for each live tail that there may be.
	tails chan struct{}
}

// maxTails is how many live tails one process keeps: each asks Elasticsearch twice
// a second.
const maxTails = 50

// New returns the page. Its live tails end with ctx; views are saved with the
// watcher.
func New(ctx context.Context, watcher *watcherapi.Client) (*Logs, error) {
	w, err := newWriter()
	if err != nil {
		return nil, err
	}
	return &Logs{rows: w, watcher: watcher, stop: ctx.Done(), tails: make(chan struct{}, maxTails)}, nil
}

func need(rights session.Rights) bool { return rights.Logs }

// Page describes the page for a site.
func (l *Logs) Page() page.Page {
	return page.Page{Section: "Signals", Name: "logs", Title: "Logs", Path: "/logs", Need: need, Files: files, View: l.view}
}

// AddTo registers what belongs to the page besides: its streams and its forms.
func (l *Logs) AddTo(site *page.Site) {
	site.Action("/logs/views", need, l.saveView)
	site.Action("/logs/views/delete", need, l.deleteView)
	site.Stream("/logs/line", need, l.lineFragment)
	site.Stream("/logs/line.json", need, l.lineJSON)
	site.Stream("/logs/fields.json", need, l.fieldsJSON)
	site.Stream("/logs/tail", need, l.tail)
	site.Stream("/logs/export.ndjson", need, l.exportNDJSON)
	site.Stream("/logs/export.csv", need, l.exportCSV)
}

// View is what the page shows.
type View struct {
	Query   string              `json:"query"`
	Lines   page.Panel[found]   `json:"lines,omitzero"`
	Summary page.Panel[summary] `json:"summary,omitzero"`
	// Around is the open line among its surrounding ones, instead of a list.
	Around *page.Panel[surroundings] `json:"around,omitempty"`
	Line   *page.Panel[line]         `json:"line,omitempty"`
	// Views is there where it was asked for.
	Views *page.Panel[[]SavedView] `json:"views,omitempty"`
	// Pending says that counting takes longer than the lines may wait for: the
	// summary comes with wait=1.
	Pending bool `json:"summary_pending,omitempty"`

	// What templates need besides.
	Frame     Frame `json:"-"`
	r         *page.Request
	Chart     page.Chart    `json:"-"`
	Rows      template.HTML `json:"-"`
	Apart     template.HTML `json:"-"` // the open line, where it is none of the rows
	Facets    []FacetView   `json:"-"`
	Estimated bool          `json:"-"`
}

// Frame is what the controls of the page are made of.
type Frame struct {
	Oldest  bool
	Columns []ColumnView
	By      string
	Bys     []string
	Line    string
	Around  int64
}

// ColumnView is a column that was added, and the page without it.
type ColumnView struct{ Name, Without string }

// FacetView is a facet with the pages that its values lead to.
type FacetView struct {
	facet
	Values []FacetLink
}

// FacetLink is a value of a facet. On says that the query needs it or its
// opposite, Off leads to the page where it doesn't.
type FacetLink struct {
	facetValue
	Share         float64 // of the largest
	Only, Exclude string
	On, Not       bool
	Off           string
}

func (l *Logs) view(r *page.Request) (any, error) {
	req, err := read(r)
	v := &View{Query: r.Query("q"), r: r}
	v.Frame = frame(r, req)
	s := newStore(r.Elasticsearch)
	if err == nil {
		var q question
		q, err = s.ask(r.Ctx(), req.scope)
		req.asked = &q
	}
	if err != nil {
		if r.WantsJSON() {
			return nil, err
		}
		// The reader's words stay in the search box.
		v.Lines.Trouble = r.Trouble(err)
		return v, nil
	}
	now := r.Panels()
	if r.Query("views") == "1" {
		v.Views = &page.Panel[[]SavedView]{}
		page.Load(now, v.Views, func(ctx context.Context) ([]SavedView, error) { return l.views(ctx, r) })
	}
	var open *page.Panel[line]
	if req.line != "" {
		open = &page.Panel[line]{}
		page.Load(now, open, func(ctx context.Context) (line, error) {
			l, _, err := s.get(ctx, req.line)
			return l, err
		})
	}
	if req.around == 0 {
		page.Load(now, &v.Lines, func(ctx context.Context) (found, error) { return s.search(ctx, req.scope, req.list) })
	}
	now.Wait()
	v.Line = open
	if req.around > 0 && open != nil && open.Trouble == nil {
		v.Around = &page.Panel[surroundings]{}
		around := r.Panels()
		page.Load(around, v.Around, func(ctx context.Context) (surroundings, error) {
			return s.around(ctx, req.scope, open.Data, int(req.around), req.columns)
		})
		around.Wait()
	}
	if req.around == 0 && v.Lines.Trouble == nil {
		l.summarize(r, req, s, v)
	}
	return v, l.show(r, req, v)
}

// summarize adds the summary, if it is there in time. It begins when the lines are
// there, since they are what the reader waits for.
func (l *Logs) summarize(r *page.Request, req request, s store, v *View) {
	counting, stop := context.WithCancel(r.Ctx())
	defer stop()
	if !req.wait {
		defer time.AfterFunc(summaryWait, stop).Stop()
	}
	panels := r.Panels()
	page.Load(panels, &v.Summary, func(context.Context) (summary, error) {
		return s.summarize(counting, req.scope, req.by, r.Span.Bucket(120))
	})
	panels.Wait()
	if v.Summary.Trouble != nil && counting.Err() != nil && r.Ctx().Err() == nil {
		v.Summary, v.Pending = page.Panel[summary]{}, true
	}
}

// show makes what the templates need of what was found.
func (l *Logs) show(r *page.Request, req request, v *View) error {
	var open *detail
	if v.Line != nil && v.Line.Trouble == nil {
		open = l.rows.detail(r, req, v.Line.Data)
	}
	lines := v.Lines.Data.Lines
	anchor := ""
	if v.Around != nil {
		a := v.Around.Data
		lines = append(append(append(lines, a.Before...), a.Same...), a.After...)
		anchor, open = req.line, nil // its neighbours are what is asked for
	}
	among := false
	for _, l := range lines {
		among = among || l.Ref() == req.line
	}
	var err error
	if v.Rows, err = l.rows.rows(r, req, lines, open, anchor); err != nil {
		return err
	}
	if open != nil && !among {
		if v.Apart, err = l.rows.rows(r, req, []line{v.Line.Data}, open, ""); err != nil {
			return err
		}
	}
	if !v.Pending && v.Summary.Trouble == nil && req.around == 0 {
		v.Estimated = v.Summary.Data.Sampled < 1
		v.Chart = chart(v.Summary.Data.Histogram, r.Span, v.Estimated)
		v.Facets = facets(r, req, v.Summary.Data.Facets)
	}
	return nil
}

func frame(r *page.Request, req request) Frame {
	f := Frame{Oldest: req.oldest, By: req.by, Bys: histogramBy(), Line: req.line, Around: req.around}
	for _, name := range req.columns {
		f.Columns = append(f.Columns, ColumnView{clean(name), address(r, "columns", strings.Join(toggled(req.columns, name), ","))})
	}
	return f
}

func chart(h histogram, span page.Span, estimated bool) page.Chart {
	title := "Lines in " + page.Duration(h.Interval)
	if estimated {
		title += ", estimated"
	}
	c := page.NewChart("histogram", title, page.Counts, span)
	c.Stacked = true
	c.Times = append(c.Times, h.Times...)
	for _, p := range h.Parts {
		series := page.Series{Name: clean(p.Value), Colour: colour(p.Value)}
		for _, n := range p.Counts {
			series.Values = append(series.Values, page.Value(float64(n)))
		}
		c.Series = append(c.Series, series)
	}
	return c
}

// colour gives the levels' many names the colours of the usual ones.
func colour(value string) string {
	switch rank(value) {
	case 0:
		return page.Colour("p99")
	case 1:
		return page.Colour("error")
	case 2:
		return page.Colour("warn")
	case 4:
		return page.Colour("debug")
	}
	return page.Colour(value)
}

func facets(r *page.Request, req request, all []facet) []FacetView {
	var views []FacetView
	for _, f := range all {
		view := FacetView{facet: f}
		var largest int64 = 1
		for _, value := range f.Values {
			largest = max(largest, value.Count)
		}
		for _, value := range f.Values {
			not := kql.Not(value.Clause)
			link := FacetLink{
				facetValue: value, Share: float64(value.Count) / float64(largest), On: req.query.Needs(value.Clause), Not: req.query.Needs(not),
				Only: address(r, "q", req.query.With(value.Clause)), Exclude: address(r, "q", req.query.With(not)),
			}
			link.Value = clean(link.Value)
			if link.On {
				link.Off = address(r, "q", req.query.Without(value.Clause))
			}
			view.Values = append(view.Values, link)
		}
		views = append(views, view)
	}
	return views
}

// Here is the page with pairs of its state changed.
func (v *View) Here(pairs ...string) string { return address(v.r, pairs...) }

// Saved is the page's state as a view keeps it.
func (v *View) Saved() string {
	_, query, _ := strings.Cut(address(v.r, "live", ""), "?")
	return query
}

// State is what a new search keeps of the page, as the parameters of a form.
func (v *View) State() map[string][]string {
	q := v.r.Request.URL.Query()
	for _, name := range []string{"q", "line", "around", "whole", "cursor", "wait", "views"} {
		q.Del(name)
	}
	return q
}

// Export is where all lines of the page's scope are had as a file of a format.
func (v *View) Export(format string) string {
	return "/logs/export." + format + strings.TrimPrefix(address(v.r), "/logs")
}

// Tail is where the lines that come in are had.
func (v *View) Tail() string {
	since := strconv.FormatInt(v.r.Now.UnixMilli(), 10)
	return "/logs/tail" + strings.TrimPrefix(address(v.r, "since", since), "/logs")
}

// More is the page with twice as many lines around the open one.
func (v *View) More() string {
	return address(v.r, "line", v.Frame.Line, "around", strconv.FormatInt(min(2*v.Frame.Around, maxAround), 10))
}

// Unfiltered is the page with all lines around the open one.
func (v *View) Unfiltered() string {
	return address(v.r, "q", "", "line", v.Frame.Line, "around", strconv.FormatInt(v.Frame.Around, 10))
}

// Width is how many columns the table has.
func (v *View) Width() int { return 4 + len(v.Frame.Columns) }
