// Package capacity is the page of what the hosts, the processes and the stores
// have and use, and when it runs out.
package capacity

import (
	"context"
	"embed"
	"math"
	"slices"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/console/series"
	"pharos/console/session"
	"pharos/elastic"
)

//go:embed capacity.html
var files embed.FS

// View is what the page shows.
type View struct {
	Resources page.Panel[[]Resource] `json:"resources"`
	Hosts     page.Panel[Hosts]      `json:"hosts"`
	Processes page.Panel[[]Process]  `json:"processes"`
	Queues    page.Panel[Queues]     `json:"queues"`
	Streams   page.Panel[[]Stream]   `json:"streams"`
}

// Hosts are the machines over time.
type Hosts struct {
	Processor page.Chart `json:"processor"`
	Memory    page.Chart `json:"memory"`
	Load      page.Chart `json:"load"`
	Disk      page.Chart `json:"disk"`
	Network   page.Chart `json:"network"`
}

// Process is one of ours, as it is now; nil is not known.
type Process struct {
	Name       string     `json:"name"`
	Cores      *float64   `json:"cores"` // used, in the mean of the last whole step
	Peak       *float64   `json:"peak_cores"`
	Memory     *float64   `json:"memory_bytes"`
	PeakMemory *float64   `json:"peak_memory_bytes"`
	Goroutines *float64   `json:"goroutines"`
	CPU        []*float64 `json:"-"`
	RSS        []*float64 `json:"-"`
}

// Bounded are the resources with a measured limit.
func (v *View) Bounded() []Resource { return v.only(true) }

// Unbounded are those without one.
func (v *View) Unbounded() []Resource { return v.only(false) }

func (v *View) only(bounded bool) []Resource {
	var some []Resource
	for _, r := range v.Resources.Data {
		if (r.Limit != nil) == bounded {
			some = append(some, r)
		}
	}
	return some
}

// Queues are what waits.
type Queues struct {
	Lag  page.Chart `json:"lag"`
	Age  page.Chart `json:"age"`
	Rows []Queue    `json:"queues"`
}

// Queue is something that waits for its turn.
type Queue struct {
	Name   string     `json:"name"`
	Now    float64    `json:"now"`
	Peak   float64    `json:"peak"`
	Values []*float64 `json:"-"`
}

// Page describes the page for a site.
func Page() page.Page {
	return page.Page{
		Section: "Platform", Name: "capacity", Title: "Capacity", Path: "/capacity", Files: files, View: view,
		Need: func(r session.Rights) bool { return r.Metrics },
	}
}

func view(r *page.Request) (any, error) {
	v := &View{}
	q := queries{r.Elasticsearch, series.NewGrid(r.Span, 120, series.Measured), r.Now}
	p := r.Panels()
	page.Load(p, &v.Resources, q.resources)
	page.Load(p, &v.Hosts, q.hosts)
	page.Load(p, &v.Processes, q.processes)
	page.Load(p, &v.Queues, q.queues)
	page.Load(p, &v.Streams, q.streams)
	p.Wait()
	return v, nil
}

type queries struct {
	es   *elastic.Client
	grid series.Grid
	now  time.Time
}

func (q queries) resources(ctx context.Context) ([]Resource, error) {
	var all []Resource
	for _, stream := range []string{hostStream, ownStream} {
		lines, err := q.grid.Read(ctx, q.es, stream, metrics(stream)...)
		if err != nil {
			return nil, err
		}
		all = append(all, resources(q.grid, stream, lines, q.now)...)
	}
	fullestFirst(all)
	return all, nil
}

func (q queries) hosts(ctx context.Context) (Hosts, error) {
	host := []string{"host.name"}
	// A container sees an interface and a disk of its own; loopback is no network.
	network, disk := []string{"host.name", "system.network.name"}, []string{"host.name", "system.diskio.name"}
	lines, err := q.grid.Read(ctx, q.es, hostStream,
		series.Metric{Name: "cpu", Field: "system.cpu.total.norm.pct", How: "avg", By: host},
		series.Metric{Name: "memory", Field: "system.memory.actual.used.pct", How: "avg", By: host},
		series.Metric{Name: "load", Field: "system.load.norm.5", How: "avg", By: host},
		series.Metric{Name: "read", Field: "system.diskio.read.bytes", How: "max", By: disk},
		series.Metric{Name: "written", Field: "system.diskio.write.bytes", How: "max", By: disk},
		series.Metric{Name: "in", Field: "system.network.in.bytes", How: "max", By: network},
		series.Metric{Name: "out", Field: "system.network.out.bytes", How: "max", By: network},
	)
	if err != nil {
		return Hosts{}, err
	}
	h := Hosts{
		Processor: q.grid.Chart("processor", "Processor, all cores", page.Share),
		Memory:    q.grid.Chart("memory", "Memory, without caches", page.Share),
		Load:      q.grid.Chart("load", "Load for each core, 5 min", page.Counts),
		Disk:      q.grid.Chart("disk", "Disk, bytes a second", page.ByteUnit),
		Network:   q.grid.Chart("network", "Network without loopback, bytes a second", page.ByteUnit),
	}
	h.Load.Objective = page.Value(1)
	for name, chart := range map[string]*page.Chart{"cpu": &h.Processor, "memory": &h.Memory, "load": &h.Load} {
		for _, l := range lines[name] {
			chart.Series = append(chart.Series, page.Series{Name: l.Name(), Colour: page.Colour(l.Name()), Values: l.Values})
		}
	}
	for _, c := range []struct {
		chart        *page.Chart
		name, colour string
	}{{&h.Disk, "read", "c-blue"}, {&h.Disk, "written", "c-orange"}, {&h.Network, "in", "c-blue"}, {&h.Network, "out", "c-orange"}} {
		var sum []*float64
		for _, l := range lines[c.name] {
			if l.Keys[1] != "lo" && l.Keys[1] != "" {
				sum = series.Sum(sum, q.grid.Rates(l.Values))
			}
		}
		if sum != nil {
			c.chart.Series = append(c.chart.Series, page.Series{Name: c.name, Colour: c.colour, Values: sum})
		}
	}
	return h, nil
}

func (q queries) processes(ctx context.Context) ([]Process, error) {
	node := []string{"service.node.name"}
	lines, err := q.grid.Read(ctx, q.es, ownStream,
		series.Metric{Name: "cpu", Field: own + "process_cpu_seconds_total", How: "max", By: node},
		series.Metric{Name: "memory", Field: own + "process_resident_memory_bytes", How: "max", By: node},
		series.Metric{Name: "goroutines", Field: own + "go_goroutines", How: "max", By: node},
	)
	if err != nil {
		return nil, err
	}
	return processes(q.grid, lines), nil
}

func processes(g series.Grid, lines map[string][]series.Line) []Process {
	by := func(name string) map[string][]*float64 {
		all := map[string][]*float64{}
		for _, l := range lines[name] {
			all[l.Name()] = l.Values
		}
		return all
	}
	cpu, goroutines := by("cpu"), by("goroutines")
	var all []Process
	for _, l := range lines["memory"] {
		p := Process{Name: l.Name(), RSS: l.Values, CPU: g.Rates(cpu[l.Name()])}
		p.Memory, p.PeakMemory = series.Last(p.RSS), series.Peak(p.RSS)
		p.Cores, p.Peak = series.Last(p.CPU), series.Peak(p.CPU)
		p.Goroutines = series.Last(goroutines[l.Name()])
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b Process) int {
		switch x, y := known(a.Memory), known(b.Memory); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

func known(v *float64) float64 {
	if v == nil {
		return math.Inf(-1)
	}
	return *v
}

// queued are the depths of what waits, by the metric that measures them.
func queued() []struct{ name, metric, by string } {
	return []struct{ name, metric, by string }{
		{"bus, lag of", "shop_bus_lag_messages", "prometheus.labels.group"},
		{"bus, pending of", "shop_bus_pending_messages", "prometheus.labels.group"},
		{"bus, dead letters of", "shop_bus_dead_letters", "prometheus.labels.group"},
		{"jobs that wait", "jobs_queued", ""},
		{"tracked requests in memory of", "feed_requests_queued", "service.node.name"},
		{"tracked requests in Redis", "feed_requests_overflowed", ""},
		{"function metrics in memory of", "funcmetrics_buffered", "service.node.name"},
		{"function metrics in Redis", "funcmetrics_listed", ""},
		{"watches that are due", "watcher_queue", "service.node.name"},
	}
}

func (q queries) queues(ctx context.Context) (Queues, error) {
	var ask []series.Metric
	for _, m := range queued() {
		metric := series.Metric{Name: m.metric, Field: own + m.metric, How: "max"}
		if m.by != "" {
			metric.By = []string{m.by}
		}
		ask = append(ask, metric)
	}
	ask = append(ask, series.Metric{Name: "age", Field: own + "shop_bus_oldest_message_seconds", How: "max", By: []string{"prometheus.labels.group"}})
	lines, err := q.grid.Read(ctx, q.es, ownStream, ask...)
	if err != nil {
		return Queues{}, err
	}
	all := Queues{
		Lag: q.grid.Chart("lag", "Messages on the bus that a group has not done", page.Counts),
		Age: q.grid.Chart("age", "Age of the oldest message that the bus keeps", page.Sec),
	}
	for metric, chart := range map[string]*page.Chart{"shop_bus_lag_messages": &all.Lag, "age": &all.Age} {
		for _, l := range lines[metric] {
			chart.Series = append(chart.Series, page.Series{Name: l.Name(), Colour: page.Colour(l.Name()), Values: l.Values})
		}
	}
	for _, m := range queued() {
		for _, l := range lines[m.metric] {
			last := series.Last(l.Values)
			if last == nil {
				continue
			}
			all.Rows = append(all.Rows, Queue{strings.TrimSpace(m.name + " " + l.Name()), *last, *series.Peak(l.Values), l.Values})
		}
	}
	return all, nil
}
