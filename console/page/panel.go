package page

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"pharos/elastic"
	"pharos/internal/fault"
)

// Trouble is why a part of a page, or all of it, can't be shown.
type Trouble struct {
	// Kind is forbidden, timeout, unavailable, invalid or internal.
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// Panel is a part of a page that is asked for by itself, so that the rest is
// there when it fails.
type Panel[T any] struct {
	Data    T        `json:"data"`
	Trouble *Trouble `json:"trouble,omitempty"`
}

// Panels asks for the panels of a page beside each other. Wait ends it.
type Panels struct {
	req   *Request
	group sync.WaitGroup
}

// Panels begins the panels of a page.
func (r *Request) Panels() *Panels { return &Panels{req: r} }

// Load asks for a panel. What fails is logged, and said in the panel.
func Load[T any](p *Panels, into *Panel[T], ask func(context.Context) (T, error)) {
	p.group.Go(func() {
		data, err := ask(p.req.Request.Context())
		if err != nil {
			into.Trouble = p.req.trouble(err)
			return
		}
		into.Data = data
	})
}

// Wait waits for all panels.
func (p *Panels) Wait() { p.group.Wait() }

// ended reports whether an error says that the reader's key is good no longer:
// it was withdrawn, or ended before the session.
func ended(err error) bool {
	var refused *elastic.Error
	return errors.As(err, &refused) && refused.Status == http.StatusUnauthorized ||
		errors.Is(err, elastic.ErrUnauthenticated) || fault.Is(err, fault.Unauthenticated)
}

// Trouble says to the reader what an error means, for what is no panel.
func (r *Request) Trouble(err error) *Trouble { return r.trouble(err) }

// trouble says to the reader what an error means. What is no fault of the
// reader's is logged.
func (r *Request) trouble(err error) *Trouble {
	var refused *elastic.Error
	var known *fault.Error
	switch {
	case ended(err):
		r.mu.Lock()
		r.ended = true
		r.mu.Unlock()
		return &Trouble{"forbidden", "Your session has ended. Sign in again."}
	case errors.As(err, &known):
		kind := "invalid"
		switch {
		case known.Code == fault.Forbidden:
			kind = "forbidden"
		case known.Status() >= http.StatusInternalServerError:
			kind = "unavailable"
			r.fail(err)
		}
		return &Trouble{kind, known.Detail}
	case errors.As(err, &refused) && refused.Status == http.StatusForbidden:
		return &Trouble{"forbidden", "Your role may not read this."}
	case errors.Is(err, context.DeadlineExceeded):
		r.fail(err)
		return &Trouble{"timeout", "Elasticsearch did not answer in time. A shorter time range asks less of it."}
	case errors.Is(err, context.Canceled):
		return &Trouble{"timeout", "The reader left."}
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest:
		r.fail(err)
		return &Trouble{"internal", "Elasticsearch refused the question. The console's log says why."}
	}
	r.fail(err)
	return &Trouble{"unavailable", "Elasticsearch does not answer. The status page still shows its last known state."}
}
