// Package look is what all pages of Pharos share: the colours and type, the
// switch between the schemes, and the way in which a binary serves its assets.
package look

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

//go:embed files/*
var files embed.FS

// Policy is the Content-Security-Policy of every page: it may use nothing but
// what Pharos itself serves, and no inline script or style.
const Policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Assets are files that a page needs, under addresses that change with what is
// in them.
type Assets struct {
	base  string
	named map[string]asset
}

type asset struct {
	content     []byte
	zipped      []byte // by gzip, once for all who ask; nil: it would be no smaller
	contentType string
	hash        string
}

// NewAssets reads the shared files (tokens.css, theme.js, icon.svg) and those of
// own, to be served under base, as in "/static/". A name may be there once.
func NewAssets(base string, own ...fs.FS) (*Assets, error) {
	shared, err := fs.Sub(files, "files")
	if err != nil {
		return nil, fmt.Errorf("read shared assets: %w", err)
	}
	a := &Assets{base: base, named: map[string]asset{}}
	for _, from := range append([]fs.FS{shared}, own...) {
		if err := a.read(from); err != nil {
			return nil, fmt.Errorf("read assets: %w", err)
		}
	}
	return a, nil
}

func (a *Assets) read(from fs.FS) error {
	// The machine's own table of types is not to be relied on.
	types := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	return fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		contentType, ok := types[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no media type is known for it", name)
		}
		if _, twice := a.named[name]; twice {
			return fmt.Errorf("%s: there are two of that name", name)
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		zipped, err := zip(content)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a.named[name] = asset{content, zipped, contentType, hex.EncodeToString(sum[:8])}
		return nil
	})
}

func zip(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if b.Len() >= len(content) {
		return nil, nil
	}
	return b.Bytes(), nil
}

// URL is the address of a file; an error if there is none of that name.
func (a *Assets) URL(name string) (string, error) {
	f, ok := a.named[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return a.base + name + "?v=" + f.hash, nil
}

// Serve answers for the route base + "*filepath". An address with the hash of
// the content may be kept for ever. One with another hash comes from a page of
// another version during a rollout: it gets this version's content, to be asked
// for again.
func (a *Assets) Serve(c *gin.Context) {
	name := strings.TrimPrefix(c.Param("filepath"), "/")
	f, ok := a.named[name]
	if !ok {
		httpserver.Problem(c, fault.New(fault.NotFound, "There is no such file."))
		return
	}
	c.Header("Cache-Control", "no-cache")
	if c.Query("v") == f.hash {
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
	}
	c.Header("Content-Type", f.contentType)
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Vary", "Accept-Encoding")
	content, tag := f.content, f.hash
	if f.zipped != nil && httpserver.TakesGzip(c.Request.Header) {
		content, tag = f.zipped, f.hash+"-gzip"
		c.Header("Content-Encoding", "gzip")
	}
	c.Header("ETag", `"`+tag+`"`)
	http.ServeContent(c.Writer, c.Request, name, time.Time{}, bytes.NewReader(content))
}

// SetHeaders says what a browser may do with a page.
func SetHeaders(h http.Header) {
	h.Set("Content-Security-Policy", Policy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
}
