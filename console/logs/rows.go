package logs

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pharos/console/kql"
	"pharos/console/page"
)

//go:embed logs.html rows.html
var files embed.FS

const (
	// maxMessage is how many characters of a message a row shows, maxCell how many
	// of another column, and maxValue how many of a field an open line does.
	maxMessage = 600
	maxCell    = 120
	maxValue   = 4000
)

// writer writes lines as rows of a table: those of the page, and later those of
// the live tail.
type writer struct {
	template *template.Template
}

func newWriter() (writer, error) {
	t, err := template.ParseFS(files, "rows.html")
	if err != nil {
		return writer{}, fmt.Errorf("parse rows: %w", err)
	}
	return writer{t}, nil
}

// row is a line as a row shows it.
type row struct {
	Ref, Link         string
	Millis            int64
	Date, Clock       string
	Level, LevelState string
	Service           string
	Message           []segment
	Cut               bool
	Cells             [][]segment
	Anchor            bool
	Width             int     // of the table, in cells
	Detail            *detail // of an open line
}

// rows writes lines as rows. open is the line that is open, if any.
func (w writer) rows(r *page.Request, req request, lines []line, open *detail, anchor string) (template.HTML, error) {
	var out bytes.Buffer
	marks := req.query.Marks()
	for _, l := range lines {
		v := row{
			Ref: l.Ref(), Link: address(r, "line", l.Ref()), Millis: l.At.UnixMilli(), Date: date(r, l.At), Clock: l.At.In(r.Zone).Format("15:04:05.000"),
			Level: clean(l.Level), LevelState: levelState(l.Level), Service: clean(l.Service), Anchor: l.Ref() == anchor, Width: 4 + len(req.columns),
		}
		if r.Span.Length() > 24*time.Hour {
			v.Clock = l.At.In(r.Zone).Format("2 Jan 15:04:05.000")
		}
		v.Level, _ = cut(v.Level, 12)
		v.Service, _ = cut(v.Service, 40)
		v.Message, v.Cut = cell(l.Message, "message", maxMessage, marks)
		for _, name := range req.columns {
			text, _ := cell(strings.Join(l.Values[name], ", "), name, maxCell, marks)
			v.Cells = append(v.Cells, text)
		}
		if open != nil && open.Ref == l.Ref() {
			v.Detail = open
		}
		if err := w.template.ExecuteTemplate(&out, "row", v); err != nil {
			return "", fmt.Errorf("write row: %w", err)
		}
	}
	return template.HTML(out.String()), nil // made by a template
}

func date(r *page.Request, t time.Time) string {
	return t.In(r.Zone).Format("Mon 2 Jan 2006 15:04:05.000 MST")
}

// cell is a value on one line.
func cell(text, field string, most int, marks []kql.Mark) ([]segment, bool) {
	short, wasCut := cut(text, most)
	short = strings.ReplaceAll(strings.TrimRight(short, "\n"), "\n", " ⏎ ")
	return highlight(clean(short), field, marks), wasCut
}

// levelState is what a level means to who is on call.
func levelState(level string) string {
	switch rank(strings.ToLower(level)) {
	case 0, 1:
		return "bad"
	case 2:
		return "warn"
	}
	return ""
}

// detail is a line with all its fields.
type detail struct {
	Ref, Date  string
	Trace      string // where its trace is
	Around     string // the lines around it
	Link, JSON string
	Whole      string // all of each value; empty where nothing is cut
	Fields     []field
	More       bool // there are fields that are not told apart
}

type field struct {
	Name   string
	Values []value
	Column string // the list with the field as a column, or without it
	Shown  bool   // as a column
	Exists string
}

type value struct {
	Text          []segment
	Cut           bool
	Length        string
	Only, Exclude string // empty where the value is too long to search for
}

// maxSearchable is up to which length values are indexed.
const maxSearchable = 1024

func (w writer) detail(r *page.Request, req request, l line) *detail {
	d := &detail{
		Ref: l.Ref(), Date: date(r, l.At), More: len(l.Values) >= maxFields, JSON: "/logs/line.json?" + url.Values{"ref": {l.Ref()}}.Encode(),
		Link: address(r, "line", l.Ref()), Around: address(r, "line", l.Ref(), "around", strconv.Itoa(startAround), "live", ""),
	}
	if l.Trace != "" && r.Reader.Rights.Traces {
		d.Trace = "/traces/" + url.PathEscape(l.Trace)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Values)) {
		columns := toggled(req.columns, name)
		f := field{
			Name: clean(name), Shown: len(columns) < len(req.columns), Column: address(r, "columns", strings.Join(columns, ","), "line", l.Ref()),
			Exists: address(r, "q", req.query.With(kql.Has(name))),
		}
		for _, text := range l.Values[name] {
			short, wasCut := text, false
			if !req.whole {
				short, wasCut = cut(text, maxValue)
			}
			v := value{Text: highlight(clean(short), name, req.query.Marks()), Cut: wasCut, Length: page.Bytes(float64(len(text)))}
			if wasCut {
				d.Whole = address(r, "line", l.Ref(), "whole", "1")
			}
			if len(text) <= maxSearchable {
				clause := kql.Is(name, text)
				v.Only = address(r, "q", req.query.With(clause))
				v.Exclude = address(r, "q", req.query.With(kql.Not(clause)))
			}
			f.Values = append(f.Values, v)
		}
		d.Fields = append(d.Fields, f)
	}
	return d
}

// toggled is a list with a name added, or taken out if it was there.
func toggled(list []string, name string) []string {
	if slices.Contains(list, name) {
		return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == name })
	}
	return append(slices.Clone(list), name)
}

// address is the page with the request's state, pairs of which are changed. What
// is open or turned to belongs to one list, and is left out unless it is given.
func address(r *page.Request, pairs ...string) string {
	q := url.Values{}
	for name, values := range r.Request.URL.Query() {
		switch name {
		case "line", "around", "whole", "cursor", "wait", "ref", "since", "views":
		default:
			q[name] = values
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return "/logs"
	}
	return "/logs?" + q.Encode()
}
