package api

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/httpserver"
	"pharos/internal/look"
)

//go:embed pages/*.html static/*
var files embed.FS

// pages renders HTML and serves the assets that it needs.
type pages struct {
	assets    *look.Assets
	templates map[string]*template.Template
}

// newPages reads the templates and assets that are part of the binary.
func newPages() (*pages, error) {
	own, err := fs.Sub(files, "static")
	if err != nil {
		return nil, fmt.Errorf("read assets: %w", err)
	}
	assets, err := look.NewAssets("/static/", own)
	if err != nil {
		return nil, err
	}
	p := &pages{assets: assets, templates: map[string]*template.Template{}}
	for name, parts := range map[string][]string{
		"index":     {"layout", "index"},
		"fibonacci": {"layout", "task", "fibonacci"},
		"factorial": {"layout", "task", "factorial"},
		"ackermann": {"layout", "task", "ackermann"},
		"docs":      {"layout", "docs"},
		"problem":   {"layout", "problem"},
		"job":       {"layout", "job"},
	} {
		t := template.New(name).Funcs(template.FuncMap{"asset": assets.URL, "grouped": grouped, "words": words})
		for _, part := range parts {
			if _, err := t.ParseFS(files, "pages/"+part+".html"); err != nil {
				return nil, fmt.Errorf("parse page: %w", err)
			}
		}
		p.templates[name] = t
	}
	return p, nil
}

// render answers with the named page. It is made in memory first, so that one
// that fails becomes a problem and not half a page.
func (p *pages) render(c *gin.Context, status int, name string, view any) {
	var body bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&body, "layout", view); err != nil {
		httpserver.Problem(c, fmt.Errorf("render page %s: %w", name, err))
		return
	}
	look.SetHeaders(c.Writer.Header())
	c.Data(status, "text/html; charset=utf-8", body.Bytes())
}

// words writes a sentence in which what stands between backquotes is code.
func words(text string) template.HTML {
	var out strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		out.WriteString(part)
	}
	return template.HTML(out.String()) // every part is escaped above
}

// grouped writes a whole number with its thousands set off.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// seconds writes a duration with three significant digits and its unit.
func seconds(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d >= unit.size {
			// Four digits before the point would otherwise turn to an exponent.
			x := float64(d) / float64(unit.size)
			return strconv.FormatFloat(x, 'f', max(0, 2-len(strconv.Itoa(int(x)))+1), 64) + " " + unit.name
		}
	}
	return strconv.FormatInt(d.Nanoseconds(), 10) + " ns"
}
