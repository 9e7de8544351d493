package statuspage

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/httpserver"
	"pharos/internal/look"
)

// Paths are the routes that the page answers, as the front door's log names them.
func Paths() []string {
	return []string{Path, Path + ".json", Path + ".rss", Path + ".atom", Path + "/badge.svg", AssetsPath + "*filepath"}
}

// Routes registers the page's style and script, whose addresses browsers keep.
func (p *Page) Routes(r gin.IRoutes) { r.GET(AssetsPath+"*filepath", p.assets.Serve) }

// Handler answers the page's addresses from memory, before anything that is made
// for each request: no trace, no line in the log (the front door has one), so
// that a crowd costs nothing. All else is next's.
func (p *Page) Handler(next http.Handler) http.Handler {
	cache, vary := []string{"public, max-age=10"}, []string{"Accept-Encoding"}
	gzip, anyone := []string{"gzip"}, []string{"*"}
	headers := http.Header{}
	look.SetHeaders(headers)
	policy, referrer, sniff := headers["Content-Security-Policy"], headers["Referrer-Policy"], headers["X-Content-Type-Options"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, Path) || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		one, ok := p.shown.Load().byPath[r.URL.Path]
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h["Cache-Control"], h["Vary"] = cache, vary
		h["Content-Security-Policy"], h["Referrer-Policy"], h["X-Content-Type-Options"] = policy, referrer, sniff
		h["Access-Control-Allow-Origin"] = anyone // it is public, and holds nothing of who asks
		body, etag, length := one.plain, one.etag, one.length
		if httpserver.TakesGzip(r.Header) {
			body, etag, length = one.zipped, one.zippedETag, one.zippedBytes
			h["Content-Encoding"] = gzip
		}
		h["Etag"] = etag
		if matches(r.Header.Get("If-None-Match"), etag[0]) {
			delete(h, "Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h["Content-Type"], h["Content-Length"] = one.contentType, length
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodGet {
			_, _ = w.Write(body) // a reader that left is nobody's fault
		}
	})
}

// matches compares weakly, as RFC 9110 (section 13.1.2) asks: a proxy may have
// made the tag a weak one.
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
