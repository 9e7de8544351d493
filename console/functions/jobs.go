package functions

import (
	"context"
	"maps"
	"slices"

	"pharos/console/page"
	"pharos/console/series"
	"pharos/elastic"
)

const (
	metricsStream = "metrics-pharos-default"
	metric        = "prometheus.metrics."
)

// Queue is how the jobs stand, by what the jobs processes measure. What is nil
// is not known.
type Queue struct {
	Waiting *float64 `json:"waiting"`
	Running *float64 `json:"running"`
	Oldest  *float64 `json:"oldest_seconds"`
	// Ended are the jobs of the span by outcome: done, failed, cancelled.
	Ended  []Outcome  `json:"ended"`
	Depth  page.Chart `json:"depth"`
	Age    page.Chart `json:"age"`
	Hourly page.Chart `json:"hourly"`
}

// Outcome is how many jobs ended in one way.
type Outcome struct {
	Name  string  `json:"outcome"`
	Count float64 `json:"count"`
}

func queue(ctx context.Context, es *elastic.Client, span page.Span) (Queue, error) {
	g := series.NewGrid(span, 120, series.Measured)
	node := []string{"service.node.name"}
	lines, err := g.Read(ctx, es, metricsStream,
		// Each jobs process measures the same queue.
		series.Metric{Name: "waiting", Field: metric + "jobs_queued", How: "max"},
		series.Metric{Name: "running", Field: metric + "jobs_running", How: "max"},
		series.Metric{Name: "oldest", Field: metric + "jobs_oldest_seconds", How: "max"},
		series.Metric{Name: "seen", Field: metric + "jobs_queued", How: "max", By: node},
		series.Metric{
			Name: "ended", Field: metric + "jobs_latency_seconds_count", How: "max",
			By: []string{"service.node.name", "prometheus.labels.outcome", "prometheus.labels.task"},
		},
	)
	if err != nil {
		return Queue{}, err
	}
	return newQueue(g, lines), nil
}

func newQueue(g series.Grid, lines map[string][]series.Line) Queue {
	first := func(name string) []*float64 {
		if len(lines[name]) == 0 {
			return g.Unknown()
		}
		return lines[name][0].Values
	}
	waiting, running, oldest := first("waiting"), first("running"), first("oldest")
	q := Queue{Waiting: series.Last(waiting), Running: series.Last(running), Oldest: series.Last(oldest)}
	q.Depth = g.Chart("depth", "Jobs that wait and run", page.Counts)
	q.Depth.Series = []page.Series{{Name: "waiting", Colour: "c-orange", Values: waiting}, {Name: "running", Colour: "c-blue", Values: running}}
	q.Age = g.Chart("age", "How long the first has waited", page.Sec)
	q.Age.Series = []page.Series{{Name: "oldest", Colour: "c-purple", Values: oldest}}
	q.Hourly = g.Chart("hourly", "Jobs ended, an hour", page.Counts)

	seen := map[string][]*float64{}
	for _, l := range lines["seen"] {
		seen[l.Keys[0]] = l.Values
	}
	ended := map[string][]*float64{}
	for _, l := range lines["ended"] {
		node, outcome := l.Keys[0], l.Keys[1]
		if seen[node] == nil {
			seen[node] = l.Values
		}
		ended[outcome] = series.Sum(ended[outcome], series.Increments(l.Values, seen[node]))
	}
	for _, outcome := range slices.Sorted(maps.Keys(ended)) {
		count := 0.0
		hourly := g.Unknown()
		for i, n := range ended[outcome] {
			if n == nil {
				continue
			}
			count += *n
			hourly[i] = page.Value(*n * 3600 / g.Step.Seconds())
		}
		if g.Open() {
			hourly[len(hourly)-1] = nil
		}
		q.Ended = append(q.Ended, Outcome{outcome, count})
		q.Hourly.Series = append(q.Hourly.Series, page.Series{Name: outcome, Colour: outcomeColour(outcome), Values: hourly})
	}
	return q
}

func outcomeColour(outcome string) string {
	switch outcome {
	case "done":
		return page.Colour("good")
	case "failed":
		return page.Colour("bad")
	}
	return "c-grey"
}
