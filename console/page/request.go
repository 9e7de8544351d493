package page

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/console/session"
	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// Request is one reader's request for a page.
type Request struct {
	*gin.Context
	Reader session.Reader
	// Elasticsearch acts with the reader's own rights.
	Elasticsearch *elastic.Client
	Span          Span
	Zone          *time.Location
	Now           time.Time

	site   *Site
	page   string
	json   bool
	parent context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	ended  bool // a panel was told so of the reader's session
}

// WantsJSON reports whether a program reads the answer.
func (r *Request) WantsJSON() bool { return r.json }

// Ctx is the request's context: it ends when the reader leaves or waits too long.
func (r *Request) Ctx() context.Context { return r.Request.Context() }

func (r *Request) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	httpserver.LogFault(r.Context, err)
}

// Link is an address of the console that keeps the page's span, with pairs of
// further parameters; empty values are left out.
func (r *Request) Link(path string, pairs ...string) (string, error) {
	return r.Span.Link(path, pairs...)
}

// Here is the address of this page with pairs of parameters changed; an empty
// value leaves one out.
func (r *Request) Here(pairs ...string) (string, error) {
	return link(strings.TrimSuffix(r.Request.URL.Path, ".json"), r.Request.URL.Query(), pairs)
}

// Param is a named part of the path, as ":id" is one of "/traces/:id".
func (r *Request) Param(name string) string {
	return strings.TrimSuffix(r.Context.Param(name), ".json")
}

// Parameters are those of the address.
func (r *Request) Parameters() url.Values { return r.Request.URL.Query() }

// Path is the address without parameters.
func (r *Request) Path() string { return r.Request.URL.Path }

// JSONLink is where a program gets what this page shows.
func (r *Request) JSONLink() (string, error) {
	path := r.Request.URL.Path
	if path == "/" {
		path = "/overview"
	}
	return link(path+".json", r.Request.URL.Query(), nil)
}

// Param64 reads a whole number from the address, between limits; otherwise if it
// is not there.
func (r *Request) Param64(name string, otherwise, least, most int64) (int64, error) {
	text := r.Query(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, fault.Field(fault.InvalidParameter, name, "%s must be a whole number from %d to %d.", name, least, most)
	}
	return n, nil
}

// Clock is a time of day in the reader's zone, to the second.
func (r *Request) Clock(t time.Time) string { return t.In(r.Zone).Format(time.TimeOnly) }

// Date is a time in the reader's zone.
func (r *Request) Date(t time.Time) string { return t.In(r.Zone).Format("2 Jan 2006 15:04:05") }

// ZoneName is what the reader's times are in, as in "CET (UTC+1)".
func (r *Request) ZoneName() string {
	name, offset := r.Now.In(r.Zone).Zone()
	if offset == 0 {
		return "UTC"
	}
	text := "UTC" + r.Now.In(r.Zone).Format("-07:00")
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return text
	}
	return name + " (" + text + ")"
}

// Ago is how long before the page was made a time was.
func (r *Request) Ago(t time.Time) string {
	d := r.Now.Sub(t)
	switch {
	case d < -time.Second:
		return "in " + Duration(-d.Round(time.Second))
	case d < time.Second:
		return "now"
	}
	return Duration(d.Round(time.Second)) + " ago"
}
