// Package support is the page on which support staff help one user: who it is,
// what that user asked for and got, what failed, and whether the user may act.
package support

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"

	"pharos/console/operatorapi"
	"pharos/console/page"
	"pharos/console/session"
	"pharos/elastic"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

//go:embed support.html
var files embed.FS

// API is what the page asks of the operator scope; operatorapi.Client is one.
type API interface {
	Account(ctx context.Context, handle string) (operatorapi.Account, error)
	Requests(ctx context.Context, id, cursor string, limit int) (operatorapi.Requests, error)
	Suspend(ctx context.Context, id string) error
	Reactivate(ctx context.Context, id string) error
}

// Support is the page.
type Support struct {
	API API
	// Log keeps who suspended whom, and why.
	Log *zap.Logger
}

// View is what the page shows.
type View struct {
	Handle string `json:"handle"`
	// Act is suspend or reactivate while the reader is asked to confirm it.
	Act        string                           `json:"-"`
	MaySuspend bool                             `json:"may_suspend"`
	Account    page.Panel[*operatorapi.Account] `json:"account"`
	Requests   page.Panel[operatorapi.Requests] `json:"requests"`
	Failures   page.Panel[Failures]             `json:"failures"`
	Changes    page.Panel[[]Change]             `json:"changes"`
}

// Failures are a user's requests of the span that failed, by api's log.
type Failures struct {
	Total int64  `json:"total"`
	Lines []Line `json:"lines"` // the newest of them
}

// Line is one of them.
type Line struct {
	At        time.Time `json:"at"`
	Route     string    `json:"route"`
	Method    string    `json:"method"`
	Status    int       `json:"status"`
	Seconds   float64   `json:"seconds"`
	Error     string    `json:"error"`
	RequestID string    `json:"request_id"`
	TraceID   string    `json:"trace_id"`
}

// Change is a suspension or its end, as the console logged it.
type Change struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"` // user-suspended or user-reactivated
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

const (
	path         = "/support"
	perPage      = 50
	maxHandle    = 64
	maxReason    = 500
	suspended    = "user-suspended"
	reactivated  = "user-reactivated"
	labelAccount = "labels.target_user_id"
)

// may says who sees the page.
func may(r session.Rights) bool { return r.Logs && r.Traces }

// Page describes the page for a site.
func (s Support) Page() page.Page {
	return page.Page{Section: "Platform", Name: "support", Title: "Support", Path: path, Need: may, Files: files, View: s.view}
}

// Actions registers what the page's forms do.
func (s Support) Actions(site *page.Site) {
	need := func(r session.Rights) bool { return may(r) && r.Support }
	site.Action(path+"/suspend", need, func(r *page.Request) (string, error) {
		return s.change(r, suspended, s.API.Suspend)
	})
	site.Action(path+"/reactivate", need, func(r *page.Request) (string, error) {
		return s.change(r, reactivated, s.API.Reactivate)
	})
}

func (s Support) view(r *page.Request) (any, error) {
	v := &View{Handle: strings.TrimSpace(r.Query("handle"))}
	if v.Handle == "" {
		return v, nil
	}
	if len(v.Handle) > maxHandle {
		return nil, fault.Field(fault.InvalidParameter, "handle", "A handle has at most %d characters.", maxHandle)
	}
	// The API is asked with the console's key: what counts is what the reader may
	// do now, not at sign-in.
	rights, err := session.Now(r.Ctx(), r.Elasticsearch, r.Reader)
	if err != nil {
		return nil, err
	}
	if !may(rights) {
		return nil, fault.New(fault.Forbidden, "Your role may not see this page.")
	}
	v.MaySuspend = rights.Support
	first := r.Panels()
	page.Load(first, &v.Account, func(ctx context.Context) (*operatorapi.Account, error) {
		a, err := s.API.Account(ctx, v.Handle)
		if fault.Is(err, fault.NotFound) {
			return nil, nil
		}
		return &a, err
	})
	first.Wait()
	account := v.Account.Data
	if account == nil {
		return v, nil
	}
	if act := r.Query("act"); v.MaySuspend && (act == "suspend" && account.SuspendedAt == nil || act == "reactivate" && account.SuspendedAt != nil) {
		v.Act = act
	}
	p := r.Panels()
	page.Load(p, &v.Requests, func(ctx context.Context) (operatorapi.Requests, error) {
		return s.API.Requests(ctx, account.ID, r.Query("cursor"), perPage)
	})
	page.Load(p, &v.Failures, func(ctx context.Context) (Failures, error) {
		return failures(ctx, r.Elasticsearch, r.Span, account.ID)
	})
	page.Load(p, &v.Changes, func(ctx context.Context) ([]Change, error) {
		return changes(ctx, r.Elasticsearch, account.ID)
	})
	p.Wait()
	return v, nil
}

// change suspends or reactivates the user that the form names, and logs who did
// it.
func (s Support) change(r *page.Request, action string, do func(context.Context, string) error) (string, error) {
	id, handle := r.PostForm("id"), r.PostForm("handle")
	reason, err := checkReason(r.PostForm("reason"))
	if err != nil {
		return "", err
	}
	rights, err := session.Now(r.Ctx(), r.Elasticsearch, r.Reader)
	if err != nil {
		return "", err
	}
	if !may(rights) || !rights.Support {
		return "", fault.New(fault.Forbidden, "Your role may not suspend users.")
	}
	account, err := s.API.Account(r.Ctx(), handle)
	if err != nil {
		return "", err
	}
	if account.ID != id {
		return "", fault.Field(fault.Conflict, "id", "The handle belongs to another user by now. Look the user up again.")
	}
	if err := do(r.Ctx(), id); err != nil {
		return "", err
	}
	s.Log.Info("support: "+strings.ReplaceAll(action, "-", " "), append(apmzap.TraceContext(r.Ctx()),
		zap.String("event.kind", "event"), zap.Strings("event.category", []string{"iam"}), zap.String("event.action", action),
		zap.String("event.outcome", "success"), zap.String("event.reason", reason), zap.String("user.id", r.Reader.User),
		zap.String(labelAccount, id), zap.String("labels.target_handle", account.Handle),
		zap.String("http.request.id", httpserver.RequestID(r.Context)),
	)...)
	return r.Link(path, "handle", account.Handle)
}

// checkReason returns the reason as it is logged.
func checkReason(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", fault.Field(fault.InvalidParameter, "reason", "Say why, for those who come after you.")
	case len(text) > maxReason:
		return "", fault.Field(fault.InvalidParameter, "reason", "The reason has more than %d bytes.", maxReason)
	case strings.ContainsFunc(text, unicode.IsControl):
		return "", fault.Field(fault.InvalidParameter, "reason", "The reason must be one line of plain text.")
	}
	return text, nil
}

const logStream = "logs-pharos-default"

// failed finds the requests of a user that api answered with 4xx or 5xx.
func failed(span page.Span, user string) elastic.Query {
	return elastic.Query{"bool": elastic.Query{"filter": []elastic.Query{
		{"term": elastic.Query{"service.name": "api"}},
		{"term": elastic.Query{"user.id": user}},
		{"range": elastic.Query{"http.response.status_code": elastic.Query{"gte": 400}}},
		{"range": elastic.Query{"@timestamp": elastic.Query{"gte": span.From.UTC().Format(time.RFC3339Nano), "lt": span.To.UTC().Format(time.RFC3339Nano)}}},
	}}}
}

func failures(ctx context.Context, es *elastic.Client, span page.Span, user string) (Failures, error) {
	res, err := es.Search(ctx, logStream, elastic.Query{
		"size": 25, "query": failed(span, user), "sort": []elastic.Query{{"@timestamp": "desc"}},
		"_source": []string{"@timestamp", "http", "event.duration", "error.message", "trace.id"},
	})
	if err != nil {
		return Failures{}, fmt.Errorf("read failures of a user: %w", err)
	}
	f := Failures{Total: res.Total}
	for _, h := range res.Hits {
		line, err := decodeLine(h.Source)
		if err != nil {
			return Failures{}, fmt.Errorf("read failures of a user: %w", err)
		}
		f.Lines = append(f.Lines, line)
	}
	return f, nil
}

func decodeLine(source json.RawMessage) (Line, error) {
	var d struct {
		At   time.Time `json:"@timestamp"`
		HTTP struct {
			Route    string
			Request  struct{ ID, Method string }
			Response struct {
				Status int `json:"status_code"`
			}
		}
		Event struct{ Duration float64 }
		Error struct{ Message string }
		Trace struct{ ID string }
	}
	if err := json.Unmarshal(source, &d); err != nil {
		return Line{}, fmt.Errorf("decode a log line: %w", err)
	}
	return Line{d.At, d.HTTP.Route, d.HTTP.Request.Method, d.HTTP.Response.Status, d.Event.Duration / 1e9, d.Error.Message, d.HTTP.Request.ID, d.Trace.ID}, nil
}

// changes are the newest suspensions and their ends, as long as the log is kept.
func changes(ctx context.Context, es *elastic.Client, user string) ([]Change, error) {
	res, err := es.Search(ctx, logStream, elastic.Query{
		"size": 10, "sort": []elastic.Query{{"@timestamp": "desc"}},
		"query": elastic.Query{"bool": elastic.Query{"filter": []elastic.Query{
			{"term": elastic.Query{"service.name": "console"}},
			{"terms": elastic.Query{"event.action": []string{suspended, reactivated}}},
			{"term": elastic.Query{labelAccount: user}},
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("read suspensions: %w", err)
	}
	var all []Change
	for _, h := range res.Hits {
		c, err := decodeChange(h.Source)
		if err != nil {
			return nil, fmt.Errorf("read suspensions: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}

func decodeChange(source json.RawMessage) (Change, error) {
	var d struct {
		At    time.Time `json:"@timestamp"`
		Event struct{ Action, Reason string }
		User  struct{ ID string }
	}
	if err := json.Unmarshal(source, &d); err != nil {
		return Change{}, fmt.Errorf("decode a log line: %w", err)
	}
	return Change{d.At, d.Event.Action, d.User.ID, d.Event.Reason}, nil
}
