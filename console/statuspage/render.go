package statuspage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"pharos/console/days"
	"pharos/console/page"
	"pharos/internal/look"
)

//go:embed status.html assets
var files embed.FS

// The addresses that the page answers. AssetsPath is where its files are.
const (
	Path       = "/status"
	AssetsPath = "/status/assets/"
)

// representation is one form of the page, made once for all who ask.
type representation struct {
	plain, zipped       []byte
	contentType         []string
	etag, zippedETag    []string
	length, zippedBytes []string
}

// representations are the page in every form.
type representations struct {
	document []byte
	byPath   map[string]*representation
}

func (r *representations) same(d Document) bool {
	text, err := d.encode()
	return err == nil && bytes.Equal(text, r.document)
}

func render(t *template.Template, d Document) (*representations, error) {
	document, err := d.encode()
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	if err := t.ExecuteTemplate(&html, "status.html", d); err != nil {
		return nil, err
	}
	rss, atom, err := feedsOf(d)
	if err != nil {
		return nil, err
	}
	r := &representations{document: document, byPath: map[string]*representation{}}
	for path, form := range map[string]struct {
		contentType string
		text        []byte
	}{
		Path:                {"text/html; charset=utf-8", html.Bytes()},
		Path + ".json":      {"application/json; charset=utf-8", document},
		Path + ".rss":       {"application/rss+xml; charset=utf-8", []byte(rss)},
		Path + ".atom":      {"application/atom+xml; charset=utf-8", []byte(atom)},
		Path + "/badge.svg": {"image/svg+xml", badge(d)},
	} {
		if r.byPath[path], err = newRepresentation(form.contentType, form.text); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func newRepresentation(contentType string, text []byte) (*representation, error) {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text)
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:12])
	return &representation{
		plain: text, zipped: zipped.Bytes(), contentType: []string{contentType},
		etag: []string{`"` + hash + `"`}, zippedETag: []string{`"` + hash + `-gzip"`},
		length: []string{fmt.Sprint(len(text))}, zippedBytes: []string{fmt.Sprint(zipped.Len())},
	}, nil
}

func parse(assets *look.Assets) (*template.Template, error) {
	t, err := template.New("status").Funcs(template.FuncMap{
		"asset": assets.URL, "share": page.Availability, "seconds": page.Seconds,
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"when":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"hour":   func(t time.Time) string { return t.UTC().Format("15:04 UTC") },
		"day":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"lasted": lasted, "list": list, "lines": lines, "top": top, "chart": chart, "rows": rows, "word": capital, "date": date,
	}).ParseFS(files, "status.html")
	if err != nil {
		return nil, fmt.Errorf("parse the status page: %w", err)
	}
	return t, nil
}

// lasted is how long something took, to the minute.
func lasted(from, to time.Time) string {
	d := to.Sub(from).Round(time.Minute)
	switch h, m := int(d.Hours()), int(d.Minutes())%60; {
	case d < time.Minute:
		return "less than a minute"
	case h == 0:
		return fmt.Sprintf("%d min", m)
	case h >= 48:
		return fmt.Sprintf("%d d %d h", h/24, h%24)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	default:
		return fmt.Sprintf("%d h %d min", h, m)
	}
}

// date writes a day as it is read.
func date(day string) (string, error) {
	at, err := time.Parse(time.DateOnly, day)
	return at.Format("2 Jan 2006"), err
}

// capital begins a word with a capital letter.
func capital(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// lines are the paragraphs of a text.
func lines(text string) []string {
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// top is the highest of the answering times; 0: none is known.
func top(r Response) float64 {
	most := 0.0
	for _, values := range [][]*float64{r.P50, r.P95} {
		for _, v := range values {
			if v != nil {
				most = math.Max(most, *v)
			}
		}
	}
	return most
}

// chart draws the answering times over a plane of 720 by 120.
func chart(r Response) template.HTML {
	most := top(r)
	if most == 0 || len(r.Times) < 2 {
		return ""
	}
	var b strings.Builder
	for _, line := range []struct {
		class  string
		values []*float64
	}{{"p95", r.P95}, {"p50", r.P50}} {
		var path strings.Builder
		pen := false
		for n, v := range line.values {
			if v == nil {
				pen = false
				continue
			}
			x := 720 * float64(n) / float64(len(r.Times)-1)
			// A value between two gaps is a point, drawn as a short line.
			if alone := !pen && (n+1 == len(line.values) || line.values[n+1] == nil); alone {
				fmt.Fprintf(&path, "M%.1f %.1fh3", x-1.5, 118-114**v/most)
				continue
			}
			letter := "M"
			if pen {
				letter = "L"
			}
			pen = true
			fmt.Fprintf(&path, "%s%.1f %.1f", letter, x, 118-114**v/most)
		}
		fmt.Fprintf(&b, `<path class="%s" d="%s"/>`, line.class, path.String())
	}
	return template.HTML(b.String()) // numbers
}

// Row is a line of the chart's table.
type Row struct {
	At       time.Time
	P50, P95 string
}

func rows(r Response) []Row {
	var all []Row
	write := func(values []*float64, n int) string {
		if n >= len(values) || values[n] == nil {
			return page.NoData
		}
		return page.Seconds(*values[n])
	}
	for n, at := range r.Times {
		all = append(all, Row{time.Unix(at, 0).UTC(), write(r.P50, n), write(r.P95, n)})
	}
	return all
}

// badge is the state as a small picture for other pages.
func badge(d Document) []byte {
	word, colour := strings.ToLower(d.State.Word()), "#59616b"
	switch {
	case d.Stale:
		word = "not up to date"
	case d.State == days.Operational:
		colour = "#1a6e39"
	case d.State == days.Maintenance:
		colour = "#0a6375"
	case d.State == days.Degraded:
		colour = "#855700"
	case d.State == days.Outage:
		colour = "#b0241c"
	}
	name := d.Name
	left, right := 16+7*len([]rune(name)), 16+7*len(word)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="20" role="img" aria-label="%s: %s"><title>%s: %s</title>`,
		left+right, template.HTMLEscapeString(name), word, template.HTMLEscapeString(name), word)
	fmt.Fprintf(&b, `<rect width="%d" height="20" fill="#33383f"/><rect x="%d" width="%d" height="20" fill="%s"/>`, left, left, right, colour)
	fmt.Fprintf(&b, `<g fill="#fff" font-family="system-ui,-apple-system,Segoe UI,Liberation Sans,Arial,sans-serif" font-size="12" text-anchor="middle"><text x="%d" y="14">%s</text><text x="%d" y="14">%s</text></g></svg>`,
		left/2, template.HTMLEscapeString(name), left+right/2, word)
	return b.Bytes()
}
