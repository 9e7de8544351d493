package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

const (
	// maxRefusals is how many refused lines an answer names; it counts them all.
	maxRefusals = 100
	// comeBack is when a sender is asked to try again while the queue is full.
	comeBack = 5 * time.Second
)

// logsAnswer says what became of a request's lines.
type logsAnswer struct {
	Accepted int        `json:"accepted"`
	Refused  int        `json:"refused"`
	Errors   []*refusal `json:"errors,omitempty"` // the first maxRefusals
}

// logs is POST /logs: lines of ECS as NDJSON, by API key. A line is queued for
// logs-external-default or refused with its number, field and reason; the answer
// is 202 where all were queued and 400 where some were refused, the others being
// queued all the same. Any other status means that none was.
func (in *Intake) logs(c *gin.Context) {
	answer, err := in.takeLogs(c)
	if err != nil {
		closeAfter(c)
		httpserver.Problem(c, err)
		return
	}
	if answer.Refused == 0 {
		c.JSON(http.StatusAccepted, answer)
		return
	}
	httpserver.LogFault(c, fmt.Errorf("%d lines accepted, %d refused; the first: %w", answer.Accepted, answer.Refused, answer.Errors[0]))
	c.JSON(http.StatusBadRequest, answer)
}

func (in *Intake) takeLogs(c *gin.Context) (logsAnswer, error) {
	sender, err := in.keys.sender(c.GetHeader("Authorization"))
	if err != nil {
		return logsAnswer{}, err
	}
	if ct := c.GetHeader("Content-Type"); ct != "" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || !slices.Contains([]string{ndjson, "application/ndjson", "application/json"}, mt) {
			return logsAnswer{}, fault.New(fault.UnsupportedMedia, "The body must be %s.", ndjson)
		}
	}
	if err := in.rates.take(sender, 0, time.Now()); err != nil { // before anything is read
		return logsAnswer{}, err
	}
	if err := in.streams.Acquire(c.Request.Context(), 1); err != nil {
		return logsAnswer{}, overloaded(err)
	}
	defer in.streams.Release(1)
	text, err := in.readWhole(c, in.cfg.LogsMaxRequestSize)
	if err != nil {
		return logsAnswer{}, err
	}
	docs, answer, lines := in.parseLogs(text, sender)
	switch {
	case lines == 0:
		return logsAnswer{}, fault.New(fault.MalformedBody, "The body has no lines.")
	case lines > min(in.cfg.LogsRateBurst, in.queue.most()):
		return logsAnswer{}, fault.New(fault.BodyTooLarge, "A request may have at most %d lines.", min(in.cfg.LogsRateBurst, in.queue.most()))
	}
	if err := in.rates.take(sender, lines, time.Now()); err != nil {
		return logsAnswer{}, err
	}
	if err := in.queue.add(c.Request.Context(), docs); err != nil {
		return logsAnswer{}, overloaded(err)
	}
	in.metrics.lines.WithLabelValues(sender, "accepted").Add(float64(answer.Accepted))
	in.metrics.lines.WithLabelValues(sender, "refused").Add(float64(answer.Refused))
	return answer, nil
}

// parseLogs returns the documents of the lines, and how many lines there are.
func (in *Intake) parseLogs(text []byte, sender string) ([]*document, logsAnswer, int) {
	rules := lineRules{
		now: time.Now(), maxAge: in.cfg.LogsMaxAge, sender: sender, environment: in.service.Environment, region: in.service.Region,
	}
	var answer logsAnswer
	var bodies [][]byte
	number := 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		var body []byte
		var r *refusal
		if len(line) > in.cfg.LogsMaxLineSize {
			r = refuse("", "is longer than %d bytes", in.cfg.LogsMaxLineSize)
		} else {
			body, r = rules.parse(line)
		}
		if r == nil {
			bodies = append(bodies, body)
			continue
		}
		r.Line = number
		answer.Refused++
		if answer.Refused <= maxRefusals {
			answer.Errors = append(answer.Errors, r)
		}
	}
	answer.Accepted = len(bodies)
	docs := make([]*document, len(bodies))
	for i, body := range bodies {
		docs[i] = in.queue.newDocument(logsIndex, body, len(bodies))
	}
	return docs, answer, answer.Accepted + answer.Refused
}

// readWhole reads a request's body, decompressed. Its errors are faults.
func (in *Intake) readWhole(c *gin.Context, limit int64) ([]byte, error) {
	defer in.endReadingOnStop(c)()
	stream, err := newBody(c.Request, limit)
	if err == nil {
		var text []byte
		if text, err = io.ReadAll(stream); err == nil {
			return text, nil
		}
	}
	switch err = in.streamError(err); {
	case errors.Is(err, errBodyTooLarge):
		return nil, fmt.Errorf("%w: %w", fault.New(fault.BodyTooLarge, "The body may have at most %d bytes after decompression.", limit), err)
	case errors.Is(err, errStopping):
		return nil, overloaded(err)
	case errors.Is(err, errTimeout), errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("%w: %w", fault.New(fault.Timeout, "The body did not come in time."), err)
	}
	return nil, fmt.Errorf("%w: %w", fault.New(fault.MalformedBody, "The body could not be read: it must be plain, gzip or deflate as its Content-Encoding says."), err)
}

// overloaded is the fault for what there is no room for now.
func overloaded(err error) error {
	if errors.Is(err, context.Canceled) {
		return err // nobody is there any more
	}
	f := fault.New(fault.Overloaded, "There is no room now: %s. Nothing was taken; send it again.", roomless(err))
	f.RetryAfter = comeBack
	return fmt.Errorf("%w: %w", f, err)
}

func roomless(err error) string {
	for _, known := range []error{errQueueFull, errStopping, errBusy} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "try later"
}

// rates limits the lines of each key.
type rates struct {
	perSecond, burst int

	mu      sync.Mutex
	senders map[string]*rate.Limiter
}

// take counts lines of a sender; none only asks whether there is room for one. It
// returns a fault that says when there is room.
func (r *rates) take(sender string, lines int, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter := r.senders[sender] // senders are keys: few
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(r.perSecond), r.burst)
		r.senders[sender] = limiter
	}
	free := limiter.TokensAt(now)
	missing := float64(max(lines, 1)) - free
	if missing <= 0 && (lines == 0 || limiter.AllowN(now, lines)) {
		return nil
	}
	f := fault.New(fault.TooManyRequests, "A key may send %d lines a second, %d at once. Nothing was taken; send it again.", r.perSecond, r.burst)
	f.RetryAfter = max(time.Second, time.Duration(missing/float64(r.perSecond)*float64(time.Second)))
	return f
}
