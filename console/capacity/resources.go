package capacity

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"pharos/console/page"
	"pharos/console/series"
)

const (
	hostStream = "metricbeat-default"
	ownStream  = "metrics-pharos-default"
	own        = "prometheus.metrics."
)

// Resource is something of which there is only so much.
type Resource struct {
	Name string    `json:"name"`
	Of   string    `json:"of"` // whose: a host, a process, a server
	Unit page.Unit `json:"unit"`
	Used float64   `json:"used"`
	Peak float64   `json:"peak"` // of the span
	// Limit is nil where it is not measured.
	Limit    *float64   `json:"limit"`
	Forecast *Forecast  `json:"forecast"` // nil without a limit
	Values   []*float64 `json:"-"`
}

// Share is how much of the limit is used; nil without one.
func (r Resource) Share() *float64 {
	if r.Limit == nil {
		return nil
	}
	return page.Value(r.Used / *r.Limit)
}

// LimitText is the limit in words; "" without one.
func (r Resource) LimitText() string {
	if r.Limit == nil {
		return ""
	}
	return r.Unit.Write(*r.Limit)
}

// State is a word for the share.
func (r Resource) State() map[string]string {
	share := r.Share()
	switch {
	case share == nil:
		return map[string]string{"State": "unknown", "Word": "limit not measured"}
	case *share >= 0.9:
		return map[string]string{"State": "bad", "Word": "nearly full"}
	case *share >= 0.75:
		return map[string]string{"State": "warn", "Word": "filling"}
	}
	return map[string]string{"State": "ok", "Word": "room"}
}

// bounded is how a resource is read: what is used, and the limit by the same
// keys, where one is measured.
type bounded struct {
	name        string
	unit        page.Unit
	stream      string
	used, limit string
	// rest says that limit is what is left, so that the limit is both together.
	rest bool
	// share says that what is used is a share, so that the limit is 1.
	share bool
	by    []string
}

func allBounded() []bounded {
	node, host := []string{"service.node.name"}, []string{"host.name"}
	return []bounded{
		{name: "disk space", unit: page.ByteUnit, stream: hostStream, used: "system.filesystem.used.bytes", limit: "system.filesystem.available", rest: true, by: []string{"host.name", "system.filesystem.mount_point"}},
		{name: "memory", unit: page.ByteUnit, stream: hostStream, used: "system.memory.actual.used.bytes", limit: "system.memory.total", by: host},
		{name: "processor", unit: page.Share, stream: hostStream, used: "system.cpu.total.norm.pct", share: true, by: host},
		{name: "Redis memory", unit: page.ByteUnit, stream: hostStream, used: "redis.info.memory.used.value", limit: "redis.info.memory.max.value", by: node},
		{name: "Redis clients", unit: page.Counts, stream: hostStream, used: "redis.info.clients.connected", by: node},
		{name: "MySQL connections", unit: page.Counts, stream: hostStream, used: "mysql.status.threads.connected", by: node},
		{name: "nginx connections", unit: page.Counts, stream: hostStream, used: "nginx.stubstatus.active", by: node},
		{name: "MongoDB connections", unit: page.Counts, stream: ownStream, used: own + "mongodb_connections_current", limit: own + "mongodb_connections_available", rest: true},
		{name: "MySQL pool", unit: page.Counts, stream: ownStream, used: own + "go_sql_in_use_connections", limit: own + "go_sql_max_open_connections", by: node},
		{name: "MongoDB pool, in use", unit: page.Counts, stream: ownStream, used: own + "mongodb_pool_connections_in_use", by: node},
		{name: "Redis pool, in use", unit: page.Counts, stream: ownStream, used: own + "redis_pool_connections_in_use", by: []string{"service.node.name", "prometheus.labels.pool"}},
		{name: "open files", unit: page.Counts, stream: ownStream, used: own + "process_open_fds", limit: own + "process_max_fds", by: node},
		{name: "intake's queue", unit: page.ByteUnit, stream: ownStream, used: own + "pharos_intake_queue_bytes", limit: own + "pharos_intake_queue_limit_bytes", by: node},
	}
}

// metrics are the bounded resources' numbers of a stream. The processor is a mean:
// a peak of one measurement is no lack of it.
func metrics(stream string) []series.Metric {
	var all []series.Metric
	for _, b := range allBounded() {
		if b.stream != stream {
			continue
		}
		how := "max"
		if b.share {
			how = "avg"
		}
		all = append(all, series.Metric{Name: b.used, Field: b.used, How: how, By: b.by})
		if b.limit != "" {
			all = append(all, series.Metric{Name: b.limit, Field: b.limit, How: "min", By: b.by})
		}
	}
	return all
}

// resources makes them of what was read of a stream, the fullest first.
func resources(g series.Grid, stream string, lines map[string][]series.Line, now time.Time) []Resource {
	var all []Resource
	for _, b := range allBounded() {
		if b.stream != stream {
			continue
		}
		limits := map[string]float64{}
		for _, l := range lines[b.limit] {
			if v := series.Last(l.Values); v != nil {
				limits[l.Name()] = *v
			}
		}
		for _, l := range lines[b.used] {
			last, peak := series.Last(l.Values), series.Peak(l.Values)
			if last == nil {
				continue
			}
			r := Resource{Name: b.name, Of: strings.TrimSpace(l.Name()), Unit: b.unit, Used: *last, Peak: *peak, Values: l.Values}
			if limit, ok := limits[l.Name()]; ok {
				if b.rest {
					limit += *last
				}
				// 0 is Redis' word for no limit, and an unlimited number of files is
				// more than any.
				if limit > 0 && limit < 1e15 {
					r.Limit = &limit
				}
			}
			if b.share {
				r.Limit = page.Value(1)
			}
			if r.Limit != nil {
				f := Predict(points(g, l.Values), *r.Limit, now)
				r.Forecast = &f
			}
			all = append(all, r)
		}
	}
	return all
}

// fullestFirst sorts by the share that is used; what has no limit comes last.
func fullestFirst(all []Resource) {
	slices.SortStableFunc(all, func(a, b Resource) int {
		x, y := a.Share(), b.Share()
		switch {
		case x == nil && y == nil:
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Of, b.Of))
		case x == nil:
			return 1
		case y == nil:
			return -1
		}
		return cmp.Compare(*y, *x)
	})
}

func points(g series.Grid, values []*float64) []Point {
	var all []Point
	for i, v := range values {
		if v != nil {
			all = append(all, Point{time.Unix(g.Times[i], 0), *v})
		}
	}
	return all
}
