package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"pharos/console/page"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/look"
)

// askTimeout bounds the streams that answer at once.
const askTimeout = 15 * time.Second

// lineFragment is one open line, for the page's script to put under its row.
func (l *Logs) lineFragment(r *page.Request) error {
	ctx, cancel := context.WithTimeout(r.Ctx(), askTimeout)
	defer cancel()
	req, err := read(r)
	if err != nil {
		return err
	}
	line, _, err := newStore(r.Elasticsearch).get(ctx, r.Query("ref"))
	if err != nil {
		return err
	}
	look.SetHeaders(r.Writer.Header())
	r.Header("Cache-Control", "private, no-store")
	r.Header("Content-Type", "text/html; charset=utf-8")
	r.Status(http.StatusOK)
	return l.rows.template.ExecuteTemplate(r.Writer, "detail", l.rows.detail(r, req, line))
}

// lineJSON is one line's document as it was indexed.
func (l *Logs) lineJSON(r *page.Request) error {
	ctx, cancel := context.WithTimeout(r.Ctx(), askTimeout)
	defer cancel()
	line, source, err := newStore(r.Elasticsearch).get(ctx, r.Query("ref"))
	if err != nil {
		return err
	}
	r.Header("Cache-Control", "private, no-store")
	r.JSON(http.StatusOK, map[string]any{"_index": line.Index, "_id": line.ID, "_source": source})
	return nil
}

// fieldsJSON lists the fields that can be searched, for suggestions.
func (l *Logs) fieldsJSON(r *page.Request) error {
	ctx, cancel := context.WithTimeout(r.Ctx(), askTimeout)
	defer cancel()
	fields, err := newStore(r.Elasticsearch).fields(ctx)
	if err != nil {
		return err
	}
	r.Header("Cache-Control", "private, max-age=300")
	r.JSON(http.StatusOK, map[string]any{"fields": fields})
	return nil
}

// endless takes the server's time limits off an answer; each write gets one of its
// own by extend.
func endless(r *page.Request) (*http.ResponseController, error) {
	c := http.NewResponseController(r.Writer)
	// The limit for reading would end the request's context, though all was read.
	if err := errors.Join(c.SetReadDeadline(time.Time{}), extend(c)); err != nil {
		return nil, fmt.Errorf("begin stream: %w", err)
	}
	return c, nil
}

// patience is how long a reader may take for what was written at once.
const patience = 30 * time.Second

func extend(c *http.ResponseController) error { return c.SetWriteDeadline(time.Now().Add(patience)) }

func (l *Logs) exportNDJSON(r *page.Request) error {
	return l.export(r, "ndjson", "application/x-ndjson", func(request) (encoder, error) { return ndjson{r.Writer}, nil })
}

func (l *Logs) exportCSV(r *page.Request) error {
	return l.export(r, "csv", "text/csv; charset=utf-8", func(req request) (encoder, error) {
		columns := []string{"@timestamp", "log.level", "service.name", "message", "trace.id"}
		for _, name := range req.columns {
			if !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
		return newTable(r.Writer, columns)
	})
}

// Headers of an export. The trailer comes after the last line; without it the file
// is not whole.
const (
	totalHeader   = "X-Total-Count"
	writtenHeader = "X-Exported-Count"
)

// export answers with all lines as a file.
func (l *Logs) export(r *page.Request, format, contentType string, encode func(request) (encoder, error)) error {
	req, err := read(r)
	if err != nil {
		return err
	}
	e, err := newStore(r.Elasticsearch).export(r.Ctx(), req.scope, req.oldest)
	if err != nil {
		return err
	}
	defer func() {
		if err := e.close(r.Ctx()); err != nil {
			httpserver.LogFault(r.Context, err)
		}
	}()
	control, err := endless(r)
	if err != nil {
		return err
	}
	h := r.Writer.Header()
	look.SetHeaders(h)
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="logs-%s.%s"`, r.Now.UTC().Format("20060102T150405Z"), format))
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set(totalHeader, strconv.FormatInt(e.Total, 10))
	h.Set("Trailer", writtenHeader)
	r.Status(http.StatusOK)
	out, err := encode(req)
	if err != nil {
		return err
	}
	written := int64(0)
	for {
		hits, err := e.next(r.Ctx())
		if err != nil {
			return broken(r, err)
		}
		if len(hits) == 0 {
			break
		}
		for _, hit := range hits {
			if err := out.write(hit); err != nil {
				return broken(r, err)
			}
			written++
		}
		if err := errors.Join(out.flush(), control.Flush(), extend(control)); err != nil {
			return broken(r, err)
		}
		select {
		case <-l.stop:
			return broken(r, errors.New("the console stops"))
		default:
		}
	}
	if err := out.flush(); err != nil {
		return broken(r, err)
	}
	h.Set(writtenHeader, strconv.FormatInt(written, 10))
	return nil
}

// broken ends an answer that has begun so that its reader sees that it is not
// whole: by closing its connection.
func broken(r *page.Request, err error) error {
	// With no time left to write, the answer can't be ended properly.
	_ = http.NewResponseController(r.Writer).SetWriteDeadline(time.Unix(1, 0))
	if r.Ctx().Err() != nil {
		return nil // the reader left
	}
	httpserver.LogFault(r.Context, fmt.Errorf("export: %w", err))
	return nil
}

// tail answers with the lines that come in, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): lines has rows
// of the page, skipped the number of lines that were too many, trouble and well
// what became of Elasticsearch. Each event's id is the place to go on from.
func (l *Logs) tail(r *page.Request) error {
	select {
	case l.tails <- struct{}{}:
		defer func() { <-l.tails }()
	default:
		return &fault.Error{Code: fault.Overloaded, Detail: "Too many live tails are open. Close one, or load again by hand.", RetryAfter: 30 * time.Second}
	}
	req, err := read(r)
	if err != nil {
		return err
	}
	place, fresh := r.GetHeader("Last-Event-ID"), false
	if place == "" {
		place, fresh = r.Query("since"), true
	}
	var since time.Time
	if millis, err := strconv.ParseInt(place, 10, 64); err == nil && millis > 0 {
		// A place of long ago would be millions of lines.
		since = later(time.UnixMilli(millis), r.Now.Add(-time.Hour))
	}
	s := newStore(r.Elasticsearch)
	t, err := s.follow(r.Ctx(), req.scope, since, req.columns)
	if err != nil {
		return err
	}
	control, err := endless(r)
	if err != nil {
		return err
	}
	h := r.Writer.Header()
	look.SetHeaders(h)
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	r.Status(http.StatusOK)
	if _, err := fmt.Fprint(r.Writer, "retry: 2000\n\n"); err != nil {
		return nil // the reader left
	}
	return l.follow(r, req, t, events{r, control, t}, fresh)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// follow passes on what a tail finds until its reader leaves. What the first poll
// skips is nothing that a fresh page's list doesn't have.
func (l *Logs) follow(r *page.Request, req request, t *tail, out events, fresh bool) error {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	ill, quiet := false, 0
	for {
		ctx, cancel := context.WithTimeout(r.Ctx(), askTimeout)
		n, err := t.poll(ctx)
		cancel()
		if r.Ctx().Err() != nil {
			return nil
		}
		switch {
		case err != nil && !ill:
			ill = true
			err = out.send("trouble", map[string]string{"text": r.Trouble(err).Text})
		case err != nil:
			err = out.comment()
		default:
			var rows template.HTML
			if ill {
				err = out.send("well", map[string]string{})
			}
			ill = false
			if err == nil && len(n.Lines) > 0 {
				if rows, err = l.rows.rows(r, req, n.Lines, nil, ""); err != nil {
					return err
				}
				err = out.send("lines", map[string]any{"rows": string(rows), "count": len(n.Lines)})
				quiet = 0
			}
			if err == nil && n.Skipped > 0 && !fresh {
				err = out.send("skipped", map[string]any{"count": n.Skipped, "at_least": n.AtLeast})
			}
			fresh = false
			if quiet++; err == nil && quiet%10 == 0 {
				err = out.comment() // keeps what is between from closing the connection
			}
		}
		if err != nil {
			return nil // the reader left, or takes too long
		}
		select {
		case <-r.Ctx().Done():
			return nil
		case <-l.stop:
			return nil
		case <-tick.C:
		}
	}
}

// events writes server-sent events.
type events struct {
	r       *page.Request
	control *http.ResponseController
	tail    *tail
}

func (e events) send(event string, data any) error {
	text, err := json.Marshal(data) // has no line breaks
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return e.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.tail.since.UnixMilli(), event, text))
}

func (e events) comment() error { return e.write(":\n\n") }

func (e events) write(text string) error {
	if err := extend(e.control); err != nil {
		return err
	}
	if _, err := e.r.Writer.WriteString(text); err != nil {
		return err
	}
	return e.control.Flush()
}
