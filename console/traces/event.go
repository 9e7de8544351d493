package traces

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"pharos/elastic"
)

// The kinds of events in a trace, as processor.event names them.
const (
	transaction = "transaction"
	span        = "span"
)

// Event is a transaction or a span.
type Event struct {
	ID     string `json:"id"`
	Parent string `json:"parent_id,omitempty"`
	// Transaction is the id of the transaction that the event is or belongs to.
	Transaction string `json:"transaction_id"`
	Trace       string `json:"trace_id"`
	Kind        string `json:"kind"` // transaction or span
	Service     string `json:"service"`
	Instance    string `json:"instance"`
	Version     string `json:"version,omitempty"`
	Region      string `json:"region,omitempty"`
	Name        string `json:"name"`
	Type        string `json:"type"`
	Subtype     string `json:"subtype,omitempty"`
	Resource    string `json:"resource,omitempty"` // what a span called
	Outcome     string `json:"outcome"`
	Status      int    `json:"status,omitempty"` // of HTTP
	Result      string `json:"result,omitempty"`
	Route       string `json:"route,omitempty"`
	User        string `json:"user_id,omitempty"`
	Request     string `json:"request_id,omitempty"`
	Address     string `json:"address,omitempty"` // a URL
	Agent       string `json:"user_agent,omitempty"`
	// Start is in µs since 1970, Duration in µs.
	Start    int64 `json:"start_us"`
	Duration int64 `json:"duration_us"`
	// Statement is what was asked of a database.
	Statement string `json:"statement,omitempty"`
	Rows      *int64 `json:"rows_affected,omitempty"`
	// Together is how many like spans the agent put into this one; 0: it is one.
	Together int64 `json:"together,omitempty"`
	// Dropped is how many spans of a transaction were not kept.
	Dropped int64          `json:"spans_dropped,omitempty"`
	Labels  map[string]any `json:"labels,omitempty"`
	Errors  []Captured     `json:"errors,omitempty"`
}

// End is when the event ended, in µs since 1970.
func (e Event) End() int64 { return e.Start + e.Duration }

// Failed reports whether the event ended in a fault of ours: by its outcome, or
// by a status from 500.
func (e Event) Failed() bool { return e.Outcome == "failure" || e.Status >= 500 }

// At is when the event began.
func (e Event) At() time.Time { return time.UnixMicro(e.Start) }

// Layer is what the event's time is coloured by: its service, or the store that
// it called.
func (e Event) Layer() string {
	if e.Kind == span && e.Type == "db" && e.Subtype != "" {
		return e.Subtype
	}
	return e.Service
}

// ShortUser is the end of the user's id: such ids begin with a time.
func (e Event) ShortUser() string { return "…" + e.User[max(0, len(e.User)-8):] }

// Captured is an error that an agent caught.
type Captured struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Type    string    `json:"type,omitempty"`
	Message string    `json:"message"`
	Culprit string    `json:"culprit,omitempty"`
	Handled *bool     `json:"handled,omitempty"`
	Stack   []Frame   `json:"stack,omitempty"`
	Service string    `json:"service"`
	Parent  string    `json:"parent_id,omitempty"`
	Trace   string    `json:"trace_id,omitempty"`
	Causes  []string  `json:"causes,omitempty"` // what it was wrapped around
}

// Unhandled reports whether nothing caught the error, as far as the agent knows.
func (c Captured) Unhandled() bool { return c.Handled != nil && !*c.Handled }

// Frame is one line of a stack.
type Frame struct {
	Function string `json:"function"`
	Module   string `json:"module"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Library  bool   `json:"library,omitempty"`
}

// sources are the fields of the documents that are read; the stacks of spans are
// not, which are most of a document.
func sources() []string {
	return []string{
		"@timestamp", "timestamp", "processor", "parent", "trace", "transaction", "service.name", "service.node", "service.version", "cloud.region",
		"span.id", "span.name", "span.type", "span.subtype", "span.duration", "span.db", "span.composite", "span.destination",
		"event.outcome", "http.route", "http.request.id", "http.request.method", "http.response.status_code", "url.full", "url.original", "url.path", "user.id", "user_agent.original",
		"labels", "numeric_labels", "error", "message",
	}
}

type name struct {
	Name string `json:"name"`
}

type id struct {
	ID string `json:"id"`
}

type microseconds struct {
	US int64 `json:"us"`
}

type frame struct {
	Function string `json:"function"`
	Module   string `json:"module"`
	Filename string `json:"filename"`
	Library  bool   `json:"library_frame"`
	Line     struct {
		Number int `json:"number"`
	} `json:"line"`
}

type exception struct {
	Type       string  `json:"type"`
	Module     string  `json:"module"`
	Message    string  `json:"message"`
	Handled    *bool   `json:"handled"`
	Stacktrace []frame `json:"stacktrace"`
}

// document is an event as APM Server and our intake write it.
// https://www.elastic.co/docs/solutions/observability/apm/apm-data-types
type document struct {
	Time      time.Time    `json:"@timestamp"`
	Timestamp microseconds `json:"timestamp"`
	Processor struct {
		Event string `json:"event"`
	} `json:"processor"`
	Parent      id `json:"parent"`
	Trace       id `json:"trace"`
	Transaction struct {
		ID        string       `json:"id"`
		Name      string       `json:"name"`
		Type      string       `json:"type"`
		Result    string       `json:"result"`
		Duration  microseconds `json:"duration"`
		SpanCount struct {
			Dropped int64 `json:"dropped"`
		} `json:"span_count"`
	} `json:"transaction"`
	Service struct {
		Name    string `json:"name"`
		Node    name   `json:"node"`
		Version string `json:"version"`
	} `json:"service"`
	Cloud struct {
		Region string `json:"region"`
	} `json:"cloud"`
	Span struct {
		ID       string       `json:"id"`
		Name     string       `json:"name"`
		Type     string       `json:"type"`
		Subtype  string       `json:"subtype"`
		Duration microseconds `json:"duration"`
		DB       struct {
			Statement string `json:"statement"`
			Rows      *int64 `json:"rows_affected"`
		} `json:"db"`
		Composite struct {
			Count int64 `json:"count"`
		} `json:"composite"`
		Destination struct {
			Service struct {
				Resource string `json:"resource"`
			} `json:"service"`
		} `json:"destination"`
	} `json:"span"`
	Event struct {
		Outcome string `json:"outcome"`
	} `json:"event"`
	HTTP struct {
		Route   string `json:"route"`
		Request struct {
			ID     string `json:"id"`
			Method string `json:"method"`
		} `json:"request"`
		Response struct {
			Status int `json:"status_code"`
		} `json:"response"`
	} `json:"http"`
	URL struct {
		Full     string `json:"full"`
		Original string `json:"original"`
	} `json:"url"`
	User      id `json:"user"`
	UserAgent struct {
		Original string `json:"original"`
	} `json:"user_agent"`
	Labels  map[string]any `json:"labels"`
	Numbers map[string]any `json:"numeric_labels"`
	Message string         `json:"message"`
	Error   struct {
		ID        string      `json:"id"`
		Culprit   string      `json:"culprit"`
		Exception []exception `json:"exception"`
		Log       struct {
			Message    string  `json:"message"`
			Stacktrace []frame `json:"stacktrace"`
		} `json:"log"`
	} `json:"error"`
}

func decodeDocument(h elastic.Hit) (document, error) {
	var d document
	if err := json.Unmarshal(h.Source, &d); err != nil {
		return d, fmt.Errorf("decode event %s: %w", h.ID, err)
	}
	return d, nil
}

// start is in µs since 1970; documents of other origins have milliseconds alone.
func (d document) start() int64 {
	if d.Timestamp.US != 0 {
		return d.Timestamp.US
	}
	return d.Time.UnixMicro()
}

// event reads a transaction or a span.
func (d document) event() Event {
	e := Event{
		ID: d.Transaction.ID, Parent: d.Parent.ID, Transaction: d.Transaction.ID, Trace: d.Trace.ID, Kind: d.Processor.Event,
		Service: d.Service.Name, Instance: d.Service.Node.Name, Version: d.Service.Version, Region: d.Cloud.Region,
		Name: d.Transaction.Name, Type: d.Transaction.Type, Outcome: d.Event.Outcome, Status: d.HTTP.Response.Status, Result: d.Transaction.Result,
		Route: d.HTTP.Route, User: d.User.ID, Request: d.HTTP.Request.ID, Address: d.URL.Full, Agent: d.UserAgent.Original,
		Start: d.start(), Duration: d.Transaction.Duration.US, Dropped: d.Transaction.SpanCount.Dropped, Labels: map[string]any{},
	}
	if e.Kind == span {
		e.ID, e.Name, e.Type, e.Subtype, e.Duration = d.Span.ID, d.Span.Name, d.Span.Type, d.Span.Subtype, d.Span.Duration.US
		e.Resource, e.Statement, e.Rows, e.Together = d.Span.Destination.Service.Resource, d.Span.DB.Statement, d.Span.DB.Rows, d.Span.Composite.Count
		e.Address = d.URL.Original
	}
	for _, labels := range []map[string]any{d.Labels, d.Numbers} {
		for k, v := range labels {
			if k != "region" && k != "request_id" { // are cloud.region and http.request.id
				e.Labels[k] = v
			}
		}
	}
	return e
}

// captured reads an error.
func (d document) captured() Captured {
	c := Captured{ID: d.Error.ID, At: time.UnixMicro(d.start()), Culprit: d.Error.Culprit, Service: d.Service.Name, Parent: d.Parent.ID, Trace: d.Trace.ID, Message: d.Message}
	stack := d.Error.Log.Stacktrace
	for i, x := range d.Error.Exception {
		if i == 0 {
			c.Type, c.Handled, stack = strings.TrimPrefix(x.Module+"."+x.Type, "."), x.Handled, x.Stacktrace
			if x.Message != "" {
				c.Message = x.Message
			}
			continue
		}
		c.Causes = append(c.Causes, strings.TrimPrefix(x.Module+"."+x.Type, ".")+": "+x.Message)
	}
	if c.Message == "" {
		c.Message = d.Error.Log.Message
	}
	for _, f := range stack {
		c.Stack = append(c.Stack, Frame{f.Function, f.Module, f.Filename, f.Line.Number, f.Library})
	}
	return c
}
