package main

import (
	"context"

	"pharos/watcher/scheduler"
	"pharos/watcher/watcherhttp"
)

// service shows a scheduler as Elastic's API does.
type service struct{ *scheduler.Scheduler }

// Stats implements watcherhttp.Service.
func (s service) Stats(ctx context.Context) (watcherhttp.Stats, error) {
	all, err := s.Scheduler.Stats(ctx)
	if err != nil {
		return watcherhttp.Stats{}, err
	}
	stats := watcherhttp.Stats{ClusterName: all.ClusterName, ManuallyStopped: all.Stopped}
	for _, r := range all.Reports {
		stats.Nodes = append(stats.Nodes, watcherhttp.NodeStats{
			ID: r.Node, State: state(r, all.Stopped), WatchCount: r.Watches, QueueSize: int64(len(r.Queued)), MaxSize: r.Most,
			Current: executions(r.Current, "started"), Queued: executions(r.Queued, ""),
		})
	}
	return stats, nil
}

// state is a process's state in Elastic's words. Processes hear of a stop or a
// start some seconds later than it was said.
func state(r scheduler.Report, stopped bool) string {
	switch {
	case stopped && len(r.Current) > 0:
		return "stopping"
	case stopped:
		return "stopped"
	case !r.Started:
		return "starting"
	}
	return "started"
}

// executions has no record ids and no phases but the first: the engine makes the
// id when it starts, and tells of neither.
func executions(list []scheduler.Running, phase string) []watcherhttp.Running {
	shown := make([]watcherhttp.Running, 0, len(list))
	for _, r := range list {
		at := r.StartedTime
		if at.IsZero() {
			at = r.TriggeredTime
		}
		shown = append(shown, watcherhttp.Running{WatchID: r.WatchID, TriggeredTime: r.TriggeredTime, ExecutionTime: at, Phase: phase})
	}
	return shown
}
