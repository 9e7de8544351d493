package watcherhttp

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/document"
)

// writes is how often a change of a status is tried again when something else
// changed the watch in between.
const writes = 5

// change applies a change to the stored status of a watch and returns it as it
// then is. It writes nothing if the change says that nothing changed.
func (a *api) change(ctx context.Context, id string, apply func(*watcher.Status) bool) (watcher.Status, error) {
	for try := 1; ; try++ {
		stored, err := a.Store.Get(ctx, id)
		if err != nil {
			return watcher.Status{}, err
		}
		status := stored.Status.Clone()
		status.Version = stored.Version
		if !apply(&status) {
			return status, nil
		}
		stored, err = a.Store.UpdateStatus(ctx, id, status, watcher.Precondition{SeqNo: &stored.SeqNo, PrimaryTerm: &stored.PrimaryTerm})
		if fault.Is(err, fault.Conflict) && try < writes {
			continue
		}
		status.Version = stored.Version
		return status, err
	}
}

// ack acknowledges the actions of a watch, all or those that the path names.
func (a *api) ack(c *gin.Context, _ string) (reply, error) {
	id := c.Param("id")
	var actions []string
	if named := c.Param("actions"); named != "" {
		actions = strings.Split(named, ",")
	}
	for _, action := range actions {
		if action == "" || strings.ContainsAny(action, " \t\n") {
			return reply{}, invalid("action id [" + action + "] contains whitespace")
		}
	}
	now := a.Now()
	status, err := a.change(c.Request.Context(), id, func(s *watcher.Status) bool { return s.Acknowledge(now, actions...) })
	switch {
	case fault.Is(err, fault.NotFound):
		return reply{}, missing(id)
	case err != nil:
		return reply{}, fmt.Errorf("acknowledge watch [%s]: %w", id, err)
	}
	return ok(pair("status", status.Document()))
}

func (a *api) activate(c *gin.Context, _ string) (reply, error)   { return a.setActive(c, true) }
func (a *api) deactivate(c *gin.Context, _ string) (reply, error) { return a.setActive(c, false) }

func (a *api) setActive(c *gin.Context, active bool) (reply, error) {
	id := c.Param("id")
	now := a.Now()
	status, err := a.change(c.Request.Context(), id, func(s *watcher.Status) bool { return s.SetActive(active, now) })
	switch {
	case fault.Is(err, fault.NotFound):
		return reply{}, document.NewError(http.StatusNotFound, "document_missing_exception", "["+id+"]: document missing")
	case err != nil:
		return reply{}, fmt.Errorf("change watch [%s]: %w", id, err)
	}
	return ok(pair("status", status.Document()))
}

func (a *api) start(c *gin.Context, _ string) (reply, error) {
	if err := a.Service.Start(c.Request.Context()); err != nil {
		return reply{}, fmt.Errorf("start watcher: %w", err)
	}
	return ok(pair("acknowledged", true))
}

func (a *api) stop(c *gin.Context, _ string) (reply, error) {
	if err := a.Service.Stop(c.Request.Context()); err != nil {
		return reply{}, fmt.Errorf("stop watcher: %w", err)
	}
	return ok(pair("acknowledged", true))
}

// stats tells how the processes do. Metrics that it does not know are passed
// over, as Elastic's passes them over; pending_watches is the old name of
// queued_watches.
func (a *api) stats(c *gin.Context, _ string) (reply, error) {
	if _, err := flag(c, "emit_stacktraces", false); err != nil {
		return reply{}, err
	}
	metrics := map[string]bool{}
	for metric := range strings.SplitSeq(c.Param("metric")+","+c.Query("metric"), ",") {
		metrics[metric] = true
	}
	stats, err := a.Service.Stats(c.Request.Context())
	if err != nil {
		return reply{}, fmt.Errorf("read stats: %w", err)
	}
	nodes := []any{}
	for _, n := range stats.Nodes {
		node := document.NewObject(pair("node_id", n.ID), pair("watcher_state", n.State), pair("watch_count", n.WatchCount),
			pair("execution_thread_pool", document.NewObject(pair("queue_size", n.QueueSize), pair("max_size", n.MaxSize))))
		if metrics["_all"] || metrics["current_watches"] {
			node.Set("current_watches", running(n.Current))
		}
		if metrics["_all"] || metrics["queued_watches"] || metrics["pending_watches"] {
			node.Set("queued_watches", running(n.Queued))
		}
		nodes = append(nodes, node)
	}
	total := int64(len(nodes))
	return ok(pair("_nodes", document.NewObject(pair("total", total), pair("successful", total), pair("failed", int64(0)))),
		pair("cluster_name", stats.ClusterName), pair("manually_stopped", stats.ManuallyStopped), pair("stats", nodes))
}

func running(list []Running) []any {
	shown := []any{}
	for _, r := range list {
		o := document.NewObject(pair("watch_id", r.WatchID), pair("watch_record_id", r.RecordID),
			pair("triggered_time", r.TriggeredTime), pair("execution_time", r.ExecutionTime))
		if r.Phase != "" {
			o.Set("execution_phase", r.Phase)
		}
		shown = append(shown, o)
	}
	return shown
}
