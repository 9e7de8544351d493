// Package watcherhttp is the REST API of Elastic's Watcher over an engine and a
// store: its paths, bodies, answers and errors.
// https://www.elastic.co/docs/api/doc/elasticsearch/v8/group/endpoint-watcher
package watcherhttp

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/watcher"
)

// Privilege is what a call needs. Manage includes the others.
type Privilege string

// Reading watches and stats needs Monitor; acknowledging, activating,
// deactivating and simulating a watch as it is Operate; everything else Manage. The first and the last are named
// as Elasticsearch's cluster privileges.
const (
	Monitor Privilege = "monitor_watcher"
	Operate Privilege = "watch:operate"
	Manage  Privilege = "manage_watcher"
)

// Authorizer knows who may do what.
type Authorizer interface {
	// Authorize returns the name of the user that a request's Authorization
	// header stands for (Basic, ApiKey or Bearer; empty: none was sent).
	// fault.Unauthenticated if it stands for nobody, fault.Forbidden if that user
	// lacks the privilege.
	Authorize(ctx context.Context, authorization string, need Privilege) (user string, err error)
}

// Service is what runs watches by their schedules.
type Service interface {
	// Start and Stop begin and end the scheduled executions of all processes.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Stats(ctx context.Context) (Stats, error)
}

// Stats is what _watcher/stats tells.
type Stats struct {
	ClusterName     string
	ManuallyStopped bool // by _stop
	Nodes           []NodeStats
}

// NodeStats is what one process tells of itself.
type NodeStats struct {
	ID         string
	State      string // started, starting, stopping or stopped
	WatchCount int64  // the watches that it runs
	QueueSize  int64  // executions that wait
	MaxSize    int64  // the most that waited at once
	Current    []Running
	Queued     []Running
}

// Running is an execution that goes on or waits.
type Running struct {
	WatchID, RecordID            string
	TriggeredTime, ExecutionTime time.Time
	Phase                        string // input, condition, actions…; empty while it waits
}

// Config is what the API is made of. All of it is needed.
type Config struct {
	Engine     *watcher.Engine
	Store      watcher.Store
	Service    Service
	Settings   Settings
	Authorizer Authorizer
	// Executed is told of executions that are recorded, unless an action was only
	// simulated or skipped: that says nothing about alerts.
	Executed func(context.Context, *watcher.Watch, watcher.Record) error
	Node     string // this process, named in records
	Now      func() time.Time
}

type api struct{ Config }

// Register adds the calls to a router. It lets ids hold escaped slashes, and
// answers wrong methods and paths below _watcher as Elasticsearch does.
func Register(r *gin.Engine, cfg Config) {
	a := &api{cfg}
	r.UseRawPath = true
	r.UnescapePathValues = true
	r.NoRoute(a.noRoute)
	r.NoMethod(a.noMethod)
	// The second is where Elasticsearch 6 had it.
	for _, root := range []string{"/_watcher", "/_xpack/watcher"} {
		for _, call := range []struct {
			methods string
			path    string
			need    Privilege
			params  string
			handle  func(*gin.Context, string) (reply, error)
		}{
			{"PUT POST", "/watch/:id", Manage, "active version if_seq_no if_primary_term", a.put},
			{"GET", "/watch/:id", Monitor, "", a.get},
			{"DELETE", "/watch/:id", Manage, "", a.delete},
			{"PUT POST", "/watch/_execute", Manage, "debug", a.execute},
			{"PUT POST", "/watch/:id/_execute", Operate, "debug", a.execute},
			{"PUT POST", "/watch/:id/_ack", Operate, "", a.ack},
			{"PUT POST", "/watch/:id/_ack/:actions", Operate, "", a.ack},
			{"PUT POST", "/watch/:id/_activate", Operate, "", a.activate},
			{"PUT POST", "/watch/:id/_deactivate", Operate, "", a.deactivate},
			{"GET POST", "/_query/watches", Monitor, "", a.query},
			{"POST", "/_start", Manage, "", a.start},
			{"POST", "/_stop", Manage, "", a.stop},
			{"GET", "/settings", Manage, "", a.settings},
			{"PUT", "/settings", Manage, "", a.changeSettings},
			{"GET", "/stats", Monitor, "metric emit_stacktraces", a.stats},
			{"GET", "/stats/:metric", Monitor, "metric emit_stacktraces", a.stats},
		} {
			for _, method := range strings.Fields(call.methods) {
				r.Handle(method, root+call.path, a.handle(call.need, strings.Fields(call.params), call.handle))
			}
		}
	}
}

// maxBody bounds a request's body.
const maxBody = 10 << 20

// handle is what every call has in common: who calls, what it may name, how it is
// answered.
func (a *api) handle(need Privilege, params []string, do func(*gin.Context, string) (reply, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
		user, err := a.Authorizer.Authorize(c.Request.Context(), c.GetHeader("Authorization"), need)
		if err != nil {
			a.fail(c, err)
			return
		}
		httpserver.SetUser(c, user)
		if err := knownParams(c, params); err != nil {
			a.fail(c, err)
			return
		}
		answer, err := do(c, user)
		if err != nil {
			a.fail(c, err)
			return
		}
		write(c, answer.status, answer.body)
	}
}

func (a *api) ours(c *gin.Context) bool {
	path := c.Request.URL.Path
	return strings.HasPrefix(path, "/_watcher") || strings.HasPrefix(path, "/_xpack/watcher")
}

func (a *api) noRoute(c *gin.Context) {
	if !a.ours(c) {
		httpserver.Problem(c, fault.New(fault.NotFound, "Nothing is served at this path."))
		return
	}
	plain(c, http.StatusBadRequest, "no handler found for uri ["+c.Request.URL.Path+"] and method ["+c.Request.Method+"]")
}

func (a *api) noMethod(c *gin.Context) {
	if !a.ours(c) {
		httpserver.Problem(c, fault.New(fault.MethodNotAllowed, "This path does not take %s.", c.Request.Method))
		return
	}
	allowed := strings.Join(strings.Split(strings.ReplaceAll(c.Writer.Header().Get("Allow"), " ", ""), ","), ", ")
	plain(c, http.StatusMethodNotAllowed,
		"Incorrect HTTP method for uri ["+c.Request.URL.Path+"] and method ["+c.Request.Method+"], allowed: ["+allowed+"]")
}
