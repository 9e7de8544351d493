package page

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit says what the numbers of a chart are, and so how they are written.
type Unit string

// The units of charts.
const (
	Counts    Unit = "count"
	PerSecond Unit = "rate"
	Sec       Unit = "seconds"
	Share     Unit = "share" // 1 is all
	ByteUnit  Unit = "bytes"
	Money     Unit = "money"
	Times     Unit = "times" // how often as much as it should be
)

// Write writes a number with the unit.
func (u Unit) Write(x float64) string {
	switch u {
	case PerSecond:
		return Rate(x)
	case Sec:
		return Seconds(x)
	case Share:
		return Percent(x)
	case ByteUnit:
		return Bytes(x)
	case Times:
		return Count(x) + "\u00a0×"
	}
	return Count(x)
}

// Chart is one picture over time. It is drawn as plain SVG, and by a script where
// there is one; a table of the same numbers goes with it.
type Chart struct {
	ID    string `json:"id"` // of the element; unique on its page
	Title string `json:"title"`
	Unit  Unit   `json:"unit"`
	// Times are the points' beginnings, Unix time in seconds, rising.
	Times  []int64  `json:"times"`
	Series []Series `json:"series"`
	// Objective is drawn as a line across; nil: none.
	Objective *float64 `json:"objective,omitempty"`
	// Stacked draws bars upon each other, for counts of parts.
	Stacked bool `json:"stacked,omitempty"`
	// Log scales y by powers of ten, and says so.
	Log bool `json:"log,omitempty"`
	// From and To are the edges of the time axis, so that charts of a page agree.
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Series is one line of a chart. A nil value is a gap: nothing is known.
type Series struct {
	Name   string     `json:"name"`
	Colour string     `json:"colour"` // of Colour
	Dashed bool       `json:"dashed,omitempty"`
	Values []*float64 `json:"values"`
}

// NewChart returns a chart over a page's span.
func NewChart(id, title string, unit Unit, s Span) Chart {
	return Chart{ID: id, Title: title, Unit: unit, From: s.From.Unix(), To: s.To.Unix()}
}

// Value is a number that is known.
func Value(x float64) *float64 { return &x }

// palette is Okabe and Ito's, by the names of the custom properties that give it
// for both schemes.
func palette() []string {
	return []string{"c-blue", "c-vermilion", "c-green", "c-purple", "c-orange", "c-sky", "c-olive", "c-grey"}
}

// fixed colours: the same thing has the same colour on every page.
func fixed() map[string]string {
	return map[string]string{
		"2xx": "c-green", "3xx": "c-sky", "4xx": "c-orange", "5xx": "c-vermilion",
		"p50": "c-sky", "p95": "c-blue", "p99": "c-purple", "mean": "c-olive",
		"nginx": "c-grey", "api": "c-blue", "feed": "c-green", "redis": "c-vermilion", "mongodb": "c-olive", "mysql": "c-orange",
		"ingest": "c-sky", "analytics": "c-purple", "jobs": "c-orange", "watcher": "c-olive", "console": "c-sky",
		"debug": "c-grey", "info": "c-sky", "warn": "c-orange", "error": "c-vermilion",
		"requests": "c-blue", "errors": "c-vermilion", "revenue": "c-green", "orders": "c-blue", "bad": "c-vermilion", "good": "c-green",
	}
}

// Colour is the palette's colour of a thing by its name.
func Colour(name string) string {
	if c, ok := fixed()[name]; ok {
		return c
	}
	sum := 0
	for _, b := range []byte(name) {
		sum = (sum*31 + int(b)) & 0xffff
	}
	return palette()[sum%len(palette())]
}

// Empty reports whether nothing at all is known.
func (c Chart) Empty() bool {
	for _, s := range c.Series {
		for _, v := range s.Values {
			if v != nil {
				return false
			}
		}
	}
	return true
}

// Data is the chart for the script.
func (c Chart) Data() (template.JS, error) {
	text, err := json.Marshal(c) // escapes <, > and &
	return template.JS(text), err
}

// Row is a line of the chart's table.
type Row struct {
	At     time.Time
	Values []string
}

// Rows are the chart's numbers in words.
func (c Chart) Rows() []Row {
	rows := make([]Row, 0, len(c.Times))
	for i, at := range c.Times {
		row := Row{At: time.Unix(at, 0)}
		for _, s := range c.Series {
			text := NoData
			if i < len(s.Values) && s.Values[i] != nil {
				text = c.Unit.Write(*s.Values[i])
			}
			row.Values = append(row.Values, text)
		}
		rows = append(rows, row)
	}
	return rows
}

// SVG draws the chart without a script.
func (c Chart) SVG() template.HTML {
	const width, height = 600.0, 120.0
	top, bottom := 0.0, 0.0
	if c.Objective != nil {
		top = *c.Objective
	}
	stack := make([]float64, len(c.Times))
	for _, s := range c.Series {
		for i, v := range s.Values {
			if v == nil || i >= len(stack) {
				continue
			}
			stack[i] += *v
			if c.Stacked {
				top = math.Max(top, stack[i])
			} else {
				top, bottom = math.Max(top, *v), math.Min(bottom, *v)
			}
		}
	}
	if top == bottom {
		top = 1
	}
	x := func(at int64) float64 { return width * float64(at-c.From) / math.Max(1, float64(c.To-c.From)) }
	y := func(v float64) float64 { return height * (top - v) / (top - bottom) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plain" viewBox="0 0 %g %g" preserveAspectRatio="none" role="img" aria-label="%s">`, width, height, template.HTMLEscapeString(c.Title))
	below := make([]float64, len(c.Times))
	for _, s := range c.Series {
		var path strings.Builder
		pen := false
		for i, v := range s.Values {
			if v == nil || i >= len(c.Times) {
				pen = false
				continue
			}
			if c.Stacked {
				next := c.To
				if i+1 < len(c.Times) {
					next = c.Times[i+1]
				}
				if *v > 0 {
					fmt.Fprintf(&path, "M%.1f %.1fH%.1fV%.1fH%.1fZ", x(c.Times[i]), y(below[i]), x(next)-0.5, y(below[i]+*v), x(c.Times[i]))
				}
				below[i] += *v
				continue
			}
			if pen {
				path.WriteByte('L')
			} else {
				path.WriteByte('M')
			}
			pen = true
			fmt.Fprintf(&path, "%.1f %.1f", x(c.Times[i]), y(*v))
		}
		class := "line"
		if c.Stacked {
			class = "bar"
		}
		if s.Dashed {
			class += " dashed"
		}
		fmt.Fprintf(&b, `<path class="%s %s" d="%s"/>`, class, s.Colour, path.String())
	}
	if c.Objective != nil {
		fmt.Fprintf(&b, `<path class="line objective" d="M0 %.1fH%g"/>`, y(*c.Objective), width)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // numbers, and names that are escaped
}

// Bar draws a share (1 is all) as a bar of the palette's colour.
func Bar(colour string, share float64) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg class="bar-of" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="%s" width="%.2f" height="8"/></svg>`,
		template.HTMLEscapeString(colour), 100*math.Max(0, math.Min(1, share))))
}

// Spark draws values as a line of the size of a word; nil is a gap.
func Spark(colour string, values []*float64) template.HTML {
	top := 0.0
	for _, v := range values {
		if v != nil {
			top = math.Max(top, *v)
		}
	}
	if top == 0 {
		top = 1
	}
	var path strings.Builder
	pen := false
	for i, v := range values {
		if v == nil {
			pen = false
			continue
		}
		if pen {
			path.WriteByte('L')
		} else {
			path.WriteByte('M')
		}
		pen = true
		path.WriteString(strconv.FormatFloat(80*float64(i)/math.Max(1, float64(len(values)-1)), 'f', 1, 64) + " " +
			strconv.FormatFloat(18-16**v/top, 'f', 1, 64))
	}
	return template.HTML(`<svg class="spark" viewBox="0 0 80 20" aria-hidden="true"><path class="line ` + template.HTMLEscapeString(colour) + `" d="` + path.String() + `"/></svg>`)
}
