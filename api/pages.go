package api

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

//go:embed pages/*.html static/*
var files embed.FS

// pagePolicy lets a page use nothing but what Pharos itself serves, and no
// inline script or style.
const pagePolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// pages renders HTML and serves the assets that it needs.
type pages struct {
	assets    map[string]asset
	templates map[string]*template.Template
}

type asset struct {
	content     []byte
	contentType string
	hash        string
}

// newPages reads the templates and assets that are part of the binary.
func newPages() (*pages, error) {
	p := &pages{assets: map[string]asset{}, templates: map[string]*template.Template{}}
	if err := p.readAssets(); err != nil {
		return nil, fmt.Errorf("read assets: %w", err)
	}
	for name, parts := range map[string][]string{
		"index":     {"layout", "index"},
		"fibonacci": {"layout", "task", "fibonacci"},
		"factorial": {"layout", "task", "factorial"},
		"ackermann": {"layout", "task", "ackermann"},
		"docs":      {"layout", "docs"},
		"problem":   {"layout", "problem"},
		"job":       {"layout", "job"},
	} {
		t := template.New(name).Funcs(template.FuncMap{"asset": p.assetURL, "grouped": grouped, "words": words})
		for _, part := range parts {
			if _, err := t.ParseFS(files, "pages/"+part+".html"); err != nil {
				return nil, fmt.Errorf("parse page: %w", err)
			}
		}
		p.templates[name] = t
	}
	return p, nil
}

func (p *pages) readAssets() error {
	// The machine's own table of types is not to be relied on.
	types := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	return fs.WalkDir(files, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		contentType, ok := types[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no media type is known for it", name)
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		p.assets[strings.TrimPrefix(name, "static/")] = asset{content, contentType, hex.EncodeToString(sum[:8])}
		return nil
	})
}

func (p *pages) assetURL(name string) (string, error) {
	a, ok := p.assets[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return "/static/" + name + "?v=" + a.hash, nil
}

// static serves /static/*filepath. An address with the hash of the content may
// be kept for ever. One with another hash comes from a page of another version
// during a rollout: it gets this version's content, to be asked for again.
func (p *pages) static(c *gin.Context) {
	name := strings.TrimPrefix(c.Param("filepath"), "/")
	a, ok := p.assets[name]
	if !ok {
		httpserver.Problem(c, fault.New(fault.NotFound, "There is no such file."))
		return
	}
	c.Header("Cache-Control", "no-cache")
	if c.Query("v") == a.hash {
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
	}
	c.Header("Content-Type", a.contentType)
	c.Header("ETag", `"`+a.hash+`"`)
	c.Header("X-Content-Type-Options", "nosniff")
	http.ServeContent(c.Writer, c.Request, name, time.Time{}, bytes.NewReader(a.content))
}

// render answers with the named page. It is made in memory first, so that one
// that fails becomes a problem and not half a page.
func (p *pages) render(c *gin.Context, status int, name string, view any) {
	var body bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&body, "layout", view); err != nil {
		httpserver.Problem(c, fmt.Errorf("render page %s: %w", name, err))
		return
	}
	c.Header("Content-Security-Policy", pagePolicy)
	c.Header("Referrer-Policy", "same-origin")
	c.Header("X-Content-Type-Options", "nosniff")
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
