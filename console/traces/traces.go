// Package traces is the console's pages about traces: the list of transactions,
// the waterfall of one trace, and what failing requests have that healthy ones
// have not.
package traces

import (
	"embed"

	"pharos/console/page"
	"pharos/console/session"
)

//go:embed *.html
var files embed.FS

// Traces is the pages.
type Traces struct{}

// Pages describes the pages for a site.
func (t Traces) Pages() []page.Page {
	may := func(r session.Rights) bool { return r.Traces }
	return []page.Page{
		{Section: "Signals", Name: "traces", Title: "Traces", Path: "/traces", Need: may, Files: files, View: t.list},
		{Section: "Signals", Name: "compare", Title: "Failing and healthy requests", Path: "/traces/compare", Need: may, Files: files, Hidden: true, View: t.compare},
		{Section: "Signals", Name: "trace", Title: "Trace", Path: "/traces/:id", Need: may, Files: files, Hidden: true, View: t.trace},
	}
}
