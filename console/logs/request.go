package logs

import (
	"errors"
	"slices"
	"strings"

	"pharos/console/kql"
	"pharos/console/page"
	"pharos/internal/fault"
)

// request is what an address of the page asks for: its whole state.
type request struct {
	scope
	list
	by     string // the field that the histogram is cut by
	line   string // the line that is open, as line.Ref
	around int64  // lines on each side of it; 0: the list
	whole  bool   // values are not cut
	wait   bool   // for the summary, however long it takes
}

const (
	maxColumns  = 12
	maxAround   = 200
	startAround = 10
)

// read reads an address. A query that can't be read is a fault as well, and
// comes with the rest of the request.
func read(r *page.Request) (request, error) {
	req := request{line: r.Query("line"), by: r.Query("by"), whole: r.Query("whole") == "1", wait: r.Query("wait") == "1"}
	req.from, req.to, req.zone = r.Span.From, r.Span.To, r.Zone.String()
	req.query = &kql.Query{}
	req.after = r.Query("cursor")
	var errs []error
	switch r.Query("order") {
	case "", "newest":
	case "oldest":
		req.oldest = true
	default:
		errs = append(errs, fault.Field(fault.InvalidParameter, "order", "order must be newest or oldest."))
	}
	if req.by == "" {
		req.by = histogramBy()[0]
	} else if !slices.Contains(histogramBy(), req.by) {
		errs = append(errs, fault.Field(fault.InvalidParameter, "by", "by must be one of %s.", strings.Join(histogramBy(), ", ")))
	}
	for _, name := range strings.Split(r.Query("columns"), ",") {
		name = strings.TrimSpace(name)
		if name != "" && !slices.Contains(req.columns, name) {
			req.columns = append(req.columns, name)
		}
		if len(req.columns) > maxColumns || len(name) > 256 || strings.ContainsAny(name, "*\\") {
			errs = append(errs, fault.Field(fault.InvalidParameter, "columns", "columns must be at most %d names of fields, with commas in between.", maxColumns))
			req.columns = nil
			break
		}
	}
	if req.after != "" {
		_, err := decodeCursor(req.after)
		errs = append(errs, err)
	}
	size, err := r.Param64("size", defaultPage, 1, maxPage)
	errs = append(errs, err)
	req.size = int(size)
	req.around, err = r.Param64("around", 0, 0, maxAround)
	errs = append(errs, err)
	if req.line == "" {
		req.around = 0 // of nothing
	}
	if q, err := kql.Parse(r.Query("q")); err != nil {
		errs = append(errs, queryFault(err))
	} else {
		req.query = q
	}
	return req, errors.Join(errs...)
}
