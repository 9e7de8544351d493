package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/shop"
)

// EventsOptions are the parts of Events.
type EventsOptions struct {
	Bus     shop.Publisher
	Dedupe  shop.Dedupe
	Limits  shop.Limits
	Metrics *shop.PublisherMetrics
	Now     func() time.Time
}

// Events takes the shop's events.
type Events struct{ opts EventsOptions }

// NewEvents returns the handler of POST /v1/events. Who may call it is decided
// before it.
func NewEvents(opts EventsOptions) *Events { return &Events{opts} }

const (
	eventsBodyLimit = MaxAnyBody
	eventsRetry     = 5 * time.Second
)

// The answers for an event.
const (
	eventAccepted  = "accepted"
	eventDuplicate = "duplicate"
	eventInvalid   = "invalid"
)

type eventResult struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

type eventResults struct {
	Items []eventResult `json:"items"`
}

// Post answers POST /v1/events: one CloudEvent or a batch, 202 with a result
// for each in the order in which they came.
func (e *Events) Post(c *gin.Context) {
	body, err := readEvents(c)
	if err != nil {
		httpserver.Problem(c, err)
		return
	}
	now := e.opts.Now()
	parsed, err := shop.ParseBody(body, e.opts.Limits, now)
	switch {
	case errors.Is(err, shop.ErrTooMany):
		httpserver.Problem(c, fault.New(fault.LimitExceeded, "A batch may have at most %d events.", shop.MaxBatch))
		return
	case err != nil:
		httpserver.Problem(c, fault.New(fault.MalformedBody, "The body must be a CloudEvent in JSON, or an array of them."))
		return
	}
	results, fresh := e.sort(c, parsed)
	if err := e.publish(c, fresh, now); err != nil {
		e.opts.Metrics.Refused("unavailable", len(fresh))
		f := fault.New(fault.Unavailable, "The events can't be taken now. None of them was answered for: send the request again.")
		f.RetryAfter = eventsRetry
		httpserver.Problem(c, errors.Join(f, err))
		return
	}
	for _, ev := range fresh {
		e.opts.Metrics.Published(ev.Type)
	}
	c.JSON(http.StatusAccepted, eventResults{results})
}

func readEvents(c *gin.Context) ([]byte, error) {
	mt, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	switch {
	case err != nil:
	case mt == "application/cloudevents+json", mt == "application/cloudevents-batch+json", mt == "application/json":
		body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, eventsBodyLimit))
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, fault.New(fault.BodyTooLarge, "The body may have at most %d bytes.", tooLarge.Limit)
		}
		if err != nil {
			return nil, errors.Join(fault.New(fault.MalformedBody, "The body could not be read."), err)
		}
		return body, nil
	}
	return nil, fault.New(fault.UnsupportedMedia, "The body must be application/cloudevents+json, application/cloudevents-batch+json or application/json.")
}

// sort tells which events are to be published, and answers for the others.
func (e *Events) sort(c *gin.Context, parsed []shop.Parsed) ([]eventResult, []shop.Event) {
	keys := make([]string, 0, len(parsed))
	for _, p := range parsed {
		if p.Err == nil {
			keys = append(keys, p.Event.Key())
		}
	}
	known := map[string]bool{}
	seen, err := e.opts.Dedupe.Seen(c.Request.Context(), keys)
	if err != nil { // the effect is once without it, too
		httpserver.LogFault(c, fmt.Errorf("duplicates are not recognized: %w", err))
	}
	for i := range seen {
		known[keys[i]] = seen[i]
	}
	results := make([]eventResult, len(parsed))
	var fresh []shop.Event
	for i, p := range parsed {
		r := eventResult{ID: p.Event.ID, Status: eventAccepted}
		switch {
		case p.Err != nil:
			r.Status, r.Detail = eventInvalid, p.Err.Error()
			e.opts.Metrics.Refused(eventInvalid, 1)
		case known[p.Event.Key()]:
			r.Status, r.Detail = eventDuplicate, "an event of this source and id was accepted before"
			e.opts.Metrics.Refused(eventDuplicate, 1)
		default:
			known[p.Event.Key()] = true // within the batch, too
			fresh = append(fresh, p.Event)
		}
		results[i] = r
	}
	return results, fresh
}

// publish puts the events on the bus and then remembers them.
func (e *Events) publish(c *gin.Context, events []shop.Event, now time.Time) error {
	if len(events) == 0 {
		return nil
	}
	ctx := c.Request.Context()
	parent := shop.TraceParent(ctx)
	messages := make([]shop.Message, len(events))
	keys := make([]string, len(events))
	for i, ev := range events {
		messages[i] = shop.Message{Key: ev.Visitor(), Value: ev.Raw, TraceParent: parent, PublishedAt: now}
		keys[i] = ev.Key()
	}
	if err := e.opts.Bus.Publish(ctx, messages); err != nil {
		return fmt.Errorf("publish %d events: %w", len(events), err)
	}
	if err := e.opts.Dedupe.Remember(ctx, keys); err != nil {
		httpserver.LogFault(c, fmt.Errorf("duplicates of this request will not be recognized: %w", err))
	}
	return nil
}
