package traces

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/internal/fault"
)

const (
	maxEvents = 5000 // of one trace
	maxRows   = 500  // drawn, unless all are asked for
	maxLines  = 100  // of one span's log
	maxFolds  = 200
)

var (
	traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)
	eventID = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// Trace is what the page of one trace shows.
type Trace struct {
	ID string `json:"id"`
	// Total is how many events the trace has, errors among them; no more than
	// maxEvents of them are read.
	Total   int64     `json:"total"`
	Cut     bool      `json:"cut"`
	Start   time.Time `json:"start"`
	Length  int64     `json:"duration_us"` // from the first beginning to the last end
	Spans   int       `json:"spans"`
	Failed  int       `json:"failed"`
	Errors  int       `json:"errors"`
	Orphans int       `json:"orphans"`
	Root    *Node     `json:"-"`
	// Path is how long the root's critical path spent in each layer.
	Path     []Share           `json:"critical_path"`
	Services []Share           `json:"self_time"`
	Rows     []TraceRow        `json:"events"`
	Lost     []Captured        `json:"errors_without_event,omitempty"`
	Lines    page.Panel[Lines] `json:"lines"`

	// What the address asks for.
	OnlyErrors bool   `json:"-"`
	All        bool   `json:"-"` // rows, however many
	LinesOf    string `json:"-"`
	More       int    `json:"-"` // rows that are not drawn
	Ticks      []Tick `json:"-"`
}

// Share is the part of a time that something took.
type Share struct {
	Name  string  `json:"name"`
	US    int64   `json:"us"`
	Share float64 `json:"share"` // of all
}

// Words is the time in words.
func (s Share) Words() string { return page.Seconds(float64(s.US) / 1e6) }

// Tick is a mark of the time axis.
type Tick struct {
	X    float64
	Text string
	End  bool
}

// TraceRow is an event as it is drawn. X, W and Critical's are in thousandths of
// the trace's length.
type TraceRow struct {
	*Node
	Offset   int64  `json:"offset_us"` // from the trace's beginning
	X        int    `json:"-"`
	W        int    `json:"-"`
	Path     []Bar  `json:"-"` // its parts of the critical path
	Folded   bool   `json:"-"`
	FoldLink string `json:"-"` // what fold would be with this row's changed
	Indent   int    `json:"-"`
}

// Bar is a part of a row.
type Bar struct{ X, W int }

// Lines are the log lines of an event.
type Lines struct {
	Of    string `json:"of,omitempty"`
	Total int64  `json:"total"`
	Items []Line `json:"items"`
	// Around says that the lines name no span of their own: they are those of the
	// span's transaction while it ran.
	Around bool `json:"around"`
}

// Line is one log line.
type Line struct {
	At      time.Time `json:"at"`
	Level   string    `json:"level"`
	Service string    `json:"service"`
	Message string    `json:"message"`
	Error   string    `json:"error,omitempty"`
}

func (t Traces) trace(r *page.Request) (any, error) {
	id := r.Param("id")
	if !traceID.MatchString(id) {
		return nil, fault.Field(fault.InvalidParameter, "id", "A trace's id has 32 digits from 0 to f.")
	}
	fold := map[string]bool{}
	for _, f := range strings.Split(r.Query("fold"), ",") {
		if f == "" {
			continue
		}
		if !eventID.MatchString(f) || len(fold) == maxFolds {
			return nil, fault.Field(fault.InvalidParameter, "fold", "fold must be up to %d spans' ids with commas in between.", maxFolds)
		}
		fold[f] = true
	}
	linesOf := r.Query("lines")
	if linesOf != "" && !eventID.MatchString(linesOf) {
		return nil, fault.Field(fault.InvalidParameter, "lines", "lines must be a span's id: 16 digits from 0 to f.")
	}
	q := queries{r.Elasticsearch, r.Span}
	v, events, err := q.trace(r.Ctx(), id)
	if err != nil {
		return nil, err
	}
	if v.Total == 0 {
		return nil, fault.New(fault.NotFound, "There is no trace %s. It may not have arrived yet, which takes some seconds, or be older than traces are kept.", id)
	}
	v.OnlyErrors, v.All, v.LinesOf = r.Query("errors") == "1", r.Query("rows") == "all", linesOf
	v.draw(build(events), fold, r.WantsJSON())
	if linesOf != "" {
		p := r.Panels()
		page.Load(p, &v.Lines, func(ctx context.Context) (Lines, error) { return q.lines(ctx, id, v.find(linesOf, events)) })
		p.Wait()
	}
	return v, nil
}

func (v *Trace) find(id string, events []Event) Event {
	i := slices.IndexFunc(events, func(e Event) bool { return e.ID == id })
	if i < 0 {
		return Event{ID: id, Kind: transaction, Transaction: id}
	}
	return events[i]
}

// trace reads the events of a trace and the errors that were captured in them.
func (q queries) trace(ctx context.Context, id string) (*Trace, []Event, error) {
	res, err := q.es.Search(ctx, eventStream+","+errorStream, object{
		"size": maxEvents, "query": object{"term": object{"trace.id": id}}, "_source": sources(),
		"sort": []object{{"@timestamp": object{"order": "asc"}}, {"timestamp.us": object{"order": "asc", "unmapped_type": "long"}}},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read trace %s: %w", id, err)
	}
	v := &Trace{ID: id, Total: res.Total, Cut: res.Total > maxEvents}
	var events []Event
	caught := map[string][]Captured{}
	for _, h := range res.Hits {
		d, err := decodeDocument(h)
		if err != nil {
			return nil, nil, fmt.Errorf("read trace %s: %w", id, err)
		}
		if d.Processor.Event == "error" {
			c := d.captured()
			caught[c.Parent] = append(caught[c.Parent], c)
			v.Errors++
			continue
		}
		events = append(events, d.event())
	}
	for i := range events {
		events[i].Errors = caught[events[i].ID]
		delete(caught, events[i].ID)
	}
	for _, errors := range caught {
		v.Lost = append(v.Lost, errors...)
	}
	slices.SortFunc(v.Lost, func(a, b Captured) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return v, events, nil
}

// draw fills in what is drawn: rows with their places, and where the time went.
func (v *Trace) draw(roots []*Node, fold map[string]bool, all bool) {
	if len(roots) == 0 {
		return
	}
	first, last := roots[0].Start, int64(0)
	each(roots, func(n *Node) {
		last = max(last, n.End())
		v.Spans++
		if n.Failed() {
			v.Failed++
		}
		if n.Orphan {
			v.Orphans++
		}
	})
	v.Start, v.Length = time.UnixMicro(first), last-first
	v.Root = roots[0]
	if i := slices.IndexFunc(roots, func(n *Node) bool { return !n.Orphan }); i >= 0 {
		v.Root = roots[i]
	}
	place := func(from, to int64) Bar {
		x := int(1000 * (from - first) / max(v.Length, 1))
		return Bar{min(x, 997), max(3, int(1000*(to-from)/max(v.Length, 1)))}
	}
	parts, path := map[*Node][]Bar{}, map[string]int64{}
	for _, s := range criticalPath(v.Root) {
		parts[s.Node] = append(parts[s.Node], place(s.From, s.To))
		path[s.Node.Layer()] += s.To - s.From
	}
	self := map[string]int64{}
	each(roots, func(n *Node) { self[n.Layer()] += n.Self })
	v.Path, v.Services = shares(path), shares(self)

	keep := func(*Node) bool { return true }
	if v.OnlyErrors {
		marked := troubled(roots)
		keep = func(n *Node) bool { return marked[n] }
	}
	rows := flatten(roots, fold, keep)
	if !v.All && !all && len(rows) > maxRows {
		v.More = len(rows) - maxRows
		rows = rows[:maxRows]
	}
	for _, n := range rows {
		bar := place(n.Start, n.End())
		v.Rows = append(v.Rows, TraceRow{
			Node: n, Offset: n.Start - first, X: bar.X, W: min(bar.W, 1000-bar.X), Path: parts[n],
			Folded: fold[n.ID], FoldLink: toggled(fold, n.ID), Indent: min(n.Depth, 16),
		})
	}
	for i := range 5 {
		v.Ticks = append(v.Ticks, Tick{float64(i) * 25, page.Seconds(float64(v.Length) * float64(i) / 4e6), i == 4})
	}
}

func each(nodes []*Node, do func(*Node)) {
	for _, n := range nodes {
		do(n)
		each(n.Children, do)
	}
}

func shares(times map[string]int64) []Share {
	var all []Share
	total := int64(0)
	for name, us := range times {
		all = append(all, Share{Name: name, US: us})
		total += us
	}
	for i := range all {
		all[i].Share = float64(all[i].US) / float64(max(total, 1))
	}
	slices.SortFunc(all, func(a, b Share) int { return cmp.Or(cmp.Compare(b.US, a.US), cmp.Compare(a.Name, b.Name)) })
	return all
}

// toggled is the parameter fold with an id put in or taken out.
func toggled(fold map[string]bool, id string) string {
	var ids []string
	for f := range fold {
		if f != id {
			ids = append(ids, f)
		}
	}
	if !fold[id] {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return strings.Join(ids, ",")
}

// lines reads the log lines of an event: those that name it, or, of a span whose
// lines name their transaction alone, those of that while the span ran.
func (q queries) lines(ctx context.Context, trace string, e Event) (Lines, error) {
	own := object{"term": object{"span.id": e.ID}}
	if e.Kind == transaction {
		own = object{"term": object{"transaction.id": e.ID}}
	}
	lines, err := q.linesBy(ctx, trace, own)
	if err != nil || lines.Total > 0 || e.Kind == transaction {
		lines.Of = e.ID
		return lines, err
	}
	lines, err = q.linesBy(ctx, trace, object{"term": object{"transaction.id": e.Transaction}}, object{"range": object{"@timestamp": object{
		"gte": e.Start / 1000, "lte": e.End()/1000 + 1, "format": "epoch_millis",
	}}})
	lines.Of, lines.Around = e.ID, true
	return lines, err
}

func (q queries) linesBy(ctx context.Context, trace string, filters ...object) (Lines, error) {
	res, err := q.es.Search(ctx, "logs-pharos-default", object{
		"size": maxLines, "query": object{"bool": object{"filter": append(filters, object{"term": object{"trace.id": trace}})}},
		"sort":    []object{{"@timestamp": object{"order": "asc"}}, {"log.offset": object{"order": "asc", "unmapped_type": "long"}}},
		"_source": []string{"@timestamp", "log.level", "service.name", "message", "error.message"},
	})
	if err != nil {
		return Lines{}, fmt.Errorf("read the log of a span: %w", err)
	}
	lines := Lines{Total: res.Total}
	for _, h := range res.Hits {
		var d struct {
			At  time.Time `json:"@timestamp"`
			Log struct {
				Level string `json:"level"`
			} `json:"log"`
			Service name   `json:"service"`
			Message string `json:"message"`
			Error   struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal(h.Source, &d); err != nil {
			return Lines{}, fmt.Errorf("decode log line %s: %w", h.ID, err)
		}
		lines.Items = append(lines.Items, Line{d.At, d.Log.Level, d.Service.Name, d.Message, d.Error.Message})
	}
	return lines, nil
}

// What the template asks of a row.

// SelfWords is the self time in words.
func (n *Node) SelfWords() string { return page.Seconds(float64(n.Self) / 1e6) }

// Words is the duration in words.
func (e Event) Words() string { return page.Seconds(float64(e.Duration) / 1e6) }

// OffsetWords is when the event began, after the trace did.
func (r TraceRow) OffsetWords() string { return page.Seconds(float64(r.Offset) / 1e6) }

// CriticalWords is the time on the critical path in words.
func (n *Node) CriticalWords() string { return page.Seconds(float64(n.Critical) / 1e6) }

// Words is the length of the trace in words.
func (v *Trace) Words() string { return page.Seconds(float64(v.Length) / 1e6) }

// LogFrom and LogTo are around the trace: the clocks of processes differ.
func (v *Trace) LogFrom() time.Time { return v.Start.Add(-time.Minute) }

// LogTo is LogFrom's other end.
func (v *Trace) LogTo() time.Time {
	return v.Start.Add(time.Duration(v.Length)*time.Microsecond + time.Minute)
}

// Is reports whether the of an event are asked for.
func (v *Trace) Is(id string) bool { return v.LinesOf == id }

// Open reports whether a row shows all of it at once.
func (v *Trace) Open(r TraceRow) bool { return v.LinesOf == r.ID || len(r.Errors) > 0 && v.OnlyErrors }
