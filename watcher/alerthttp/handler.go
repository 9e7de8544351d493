// Package alerthttp is the watcher's own HTTP API, below /v1: what people do with
// alerts, silences, incidents, changes, watches' past and saved views. Answers are
// JSON, errors problem+json.
package alerthttp

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/incident"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/watcher"
	"pharos/watcher/alerting"
	"pharos/watcher/esstore"
	"pharos/watcher/viewstore"
)

// Privilege is what a call needs.
type Privilege string

// Whoever has Operate has all others, whoever has ReadAlerts has ReadIncidents,
// and SignedIn is everybody with an account.
const (
	SignedIn      Privilege = "an account"
	ReadIncidents Privilege = "incident:read" // and maintenance windows and changes
	ReadAlerts    Privilege = "alert:read"    // and silences
	ReadWatches   Privilege = "monitor_watcher"
	Operate       Privilege = "watch:operate"
)

// Caller is who calls.
type Caller struct {
	User string
	May  map[Privilege]bool
}

// Authorizer knows who may do what.
type Authorizer interface {
	// Authorize returns for whom a request's Authorization header stands (Basic,
	// ApiKey or Bearer; empty: none was sent). fault.Unauthenticated if it stands
	// for nobody, fault.Forbidden if that caller lacks the privilege.
	Authorize(ctx context.Context, authorization string, need Privilege) (Caller, error)
}

// Watches reads watches and their executions; esstore.Store does.
type Watches interface {
	Get(ctx context.Context, id string) (watcher.Stored, error) // fault.NotFound
	Executions(ctx context.Context, id string, limit int) ([]esstore.Execution, error)
}

// Views keeps saved views; viewstore.Store does.
type Views interface {
	List(ctx context.Context, page, person string) ([]viewstore.View, error)
	Find(ctx context.Context, page, name, person string) (viewstore.View, error) // fault.NotFound
	Save(ctx context.Context, v viewstore.View) error
	Delete(ctx context.Context, page, name, person string) error // fault.NotFound
}

// Config is what the API is made of. All of it is needed.
type Config struct {
	Authorizer Authorizer
	Alerts     *alerting.Service
	Incidents  *incident.Service
	Watches    Watches
	Views      Views
	// As is Elasticsearch with the rights of whom an Authorization header stands
	// for, for the searches of a replay; its scripts run with the watcher's.
	As    func(authorization string) watcher.Elasticsearch
	Now   func() time.Time
	NewID func() string
}

type api struct {
	Config
	replays chan struct{} // a token for each replay that goes on
}

// handler returns a status and what is answered as JSON; nil: nothing.
type handler func(c *gin.Context, by Caller) (status int, answer any, err error)

// Register adds the calls to a router.
func Register(r *gin.Engine, cfg Config) {
	a := &api{Config: cfg, replays: make(chan struct{}, mostReplays)}
	v1 := r.Group("/v1")
	for _, call := range []struct {
		method, path string
		need         Privilege
		params       string
		handle       handler
	}{
		{"GET", "/alerts", ReadAlerts, "state watch service from to limit", a.listAlerts},
		{"GET", "/alerts/:id", ReadAlerts, "", a.getAlert},
		{"POST", "/alerts/:id/ack", Operate, "", a.say(cfg.Alerts.Acknowledge)},
		{"POST", "/alerts/:id/unack", Operate, "", a.say(cfg.Alerts.Unacknowledge)},
		{"POST", "/alerts/:id/resolve", Operate, "", a.say(cfg.Alerts.Resolve)},

		{"GET", "/silences", ReadIncidents, "state after limit", a.listSilences},
		{"POST", "/silences", Operate, "", a.addSilence},
		{"DELETE", "/silences/:id", Operate, "", a.endSilence},

		{"GET", "/incidents", ReadIncidents, "state after limit", a.listIncidents},
		{"POST", "/incidents", Operate, "", a.declare},
		{"GET", "/incidents/:id", ReadIncidents, "", a.getIncident},
		{"POST", "/incidents/:id/notes", Operate, "", a.note},
		{"POST", "/incidents/:id/updates", Operate, "", a.update},
		{"POST", "/incidents/:id/close", Operate, "", a.close},

		{"GET", "/changes", ReadIncidents, "from to limit", a.listChanges},
		{"POST", "/changes", Operate, "", a.addChange},

		{"GET", "/watches/:id/history", ReadWatches, "limit", a.history},
		{"POST", "/watches/:id/replay", Operate, "", a.replay},

		{"GET", "/views/:page", SignedIn, "", a.listViews},
		{"GET", "/views/:page/:name", SignedIn, "", a.getView},
		{"PUT", "/views/:page/:name", SignedIn, "", a.putView},
		{"DELETE", "/views/:page/:name", SignedIn, "", a.deleteView},
	} {
		v1.Handle(call.method, call.path, a.handle(call.need, strings.Fields(call.params), call.handle))
	}
}

const maxBody = 256 << 10

// handle is what every call has in common: who calls, what it may name, how it is
// answered.
func (a *api) handle(need Privilege, params []string, do handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		by, err := a.Authorizer.Authorize(c.Request.Context(), c.GetHeader("Authorization"), need)
		if err != nil {
			httpserver.Problem(c, err)
			return
		}
		httpserver.SetUser(c, by.User)
		for name := range c.Request.URL.Query() {
			if !slices.Contains(params, name) {
				httpserver.Problem(c, fault.Field(fault.InvalidParameter, name, "There is no parameter of this name here."))
				return
			}
		}
		status, answer, err := do(c, by)
		if err != nil {
			httpserver.Problem(c, err)
			return
		}
		c.Header("Cache-Control", "no-store")
		if answer == nil {
			c.Status(status)
			return
		}
		c.JSON(status, answer)
	}
}

// items is a list as it is answered. Next is what the parameter after takes for
// the page after this one; empty: this is the last.
type items[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

func list[T any](all []T, err error) (int, any, error) {
	if all == nil {
		all = []T{}
	}
	return http.StatusOK, items[T]{Items: all}, err
}

// paged is list of a page of at most limit, made of one more where there is one.
func paged[T any](all []T, limit int, id func(T) string, err error) (int, any, error) {
	if len(all) <= limit {
		return list(all, err)
	}
	all = all[:limit]
	return http.StatusOK, items[T]{all, id(all[limit-1])}, err
}

func decode(c *gin.Context, into any) error { return httpserver.DecodeJSON(c, into, maxBody) }

const (
	usualLimit = 100
	mostLimit  = 1000
)

func limitOf(c *gin.Context) (int, error) {
	text := c.Query("limit")
	if text == "" {
		return usualLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostLimit {
		return 0, fault.Field(fault.InvalidParameter, "limit", "It must be a whole number from 1 to %d.", mostLimit)
	}
	return n, nil
}

// timeOf reads an RFC 3339 time; an empty text is the zero time.
func timeOf(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fault.Field(fault.InvalidParameter, field, "It must be a time as 2026-01-02T15:04:05Z.")
	}
	return at.UTC(), nil
}

// window reads the parameters from and to.
func window(c *gin.Context) (from, to time.Time, err error) {
	if from, err = timeOf("from", c.Query("from")); err != nil {
		return from, to, err
	}
	to, err = timeOf("to", c.Query("to"))
	return from, to, err
}
