package services

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"pharos/console/page"
)

// Resources is what a service or a server uses.
type Resources struct {
	Charts []page.Chart `json:"charts"`
}

// figure is one measured number.
type figure struct {
	key, title string
	unit       page.Unit
	field      string
	counter    bool // only grows: its growth a second is shown
	colour     string
}

const (
	processes = "metrics-pharos-default"
	servers   = "metricbeat-default"
)

// ofProcesses are the figures of our processes; docs/metrics.md lists them.
func ofProcesses() []figure {
	const m = "prometheus.metrics."
	return []figure{
		{"cpu", "Processor, of one core", page.Share, m + "process_cpu_seconds_total", true, ""},
		{"memory", "Memory", page.ByteUnit, m + "process_resident_memory_bytes", false, ""},
		{"goroutines", "Goroutines", page.Counts, m + "go_goroutines", false, ""},
		{"mongodb", "MongoDB connections in use", page.Counts, m + "mongodb_pool_connections_in_use", false, ""},
		{"mysql", "MySQL connections in use", page.Counts, m + "go_sql_in_use_connections", false, ""},
		{"redis", "Redis connections in use, of the busiest pool", page.Counts, m + "redis_pool_connections_in_use", false, ""},
		{"breaker", "Breakers open (1), or tried (0.5)", page.Counts, m + "pharos_dependency_breaker_open", false, ""},
	}
}

// ofServers are the figures of what our processes use.
func ofServers(name string) (stream string, filter object, figures []figure) {
	switch name {
	case nginx:
		return servers, object{"exists": object{"field": "nginx.stubstatus.active"}}, []figure{
			{"active", "Connections", page.Counts, "nginx.stubstatus.active", false, "c-grey"},
			{"requests", "Requests a second", page.PerSecond, "nginx.stubstatus.requests", true, "c-blue"},
		}
	case "redis":
		return servers, object{"term": object{"service.type": "redis"}}, []figure{
			{"clients", "Clients", page.Counts, "redis.info.clients.connected", false, "c-vermilion"},
			{"memory", "Memory", page.ByteUnit, "redis.info.memory.used.value", false, "c-blue"},
			{"commands", "Commands a second", page.PerSecond, "redis.info.stats.commands_processed", true, "c-green"},
		}
	case "mysql":
		return servers, object{"term": object{"service.type": "mysql"}}, []figure{
			{"threads", "Connections", page.Counts, "mysql.status.threads.connected", false, "c-orange"},
		}
	case "mongodb":
		return processes, object{"exists": object{"field": "prometheus.metrics.mongodb_connections_current"}}, []figure{
			{"connections", "Connections", page.Counts, "prometheus.metrics.mongodb_connections_current", false, "c-olive"},
			{"active", "Active connections", page.Counts, "prometheus.metrics.mongodb_connections_active", false, "c-blue"},
		}
	case bus:
		return processes, object{"exists": object{"field": "prometheus.metrics.shop_bus_lag_messages"}}, []figure{
			{"lag", "Messages not yet taken, of the slowest group", page.Counts, "prometheus.metrics.shop_bus_lag_messages", false, "c-purple"},
			{"oldest", "Age of the oldest message", page.Sec, "prometheus.metrics.shop_bus_oldest_message_seconds", false, "c-blue"},
		}
	}
	return "", nil, nil
}

// resources reads what is measured of a service, by instance, or of a server.
func (q queries) resources(ctx context.Context, name, instance string) (Resources, error) {
	stream, filter, figures := ofServers(name)
	if stream == "" {
		stream, figures = processes, ofProcesses()
		filters := []object{term("service.name", name)}
		if instance != "" {
			filters = append(filters, term("service.node.name", instance))
		}
		filter = all(filters...)
	}
	aggs := object{}
	for _, f := range figures {
		aggs[f.key] = object{"max": object{"field": f.field}}
	}
	step := max(q.span.Bucket(60), time.Minute)
	res, err := q.es.Search(ctx, stream, object{
		"size": 0, "query": all(filter, within(q.span)),
		"aggs": object{"over": object{"date_histogram": q.overTime(step), "aggs": object{
			"nodes": object{"terms": object{"field": "service.node.name", "size": 12, "order": object{"_key": "asc"}, "missing": name}, "aggs": aggs},
		}}},
	})
	if err != nil {
		return Resources{}, fmt.Errorf("read resources: %w", err)
	}
	var over struct {
		Buckets []struct {
			Key   float64 `json:"key"`
			Nodes struct {
				Buckets []map[string]json.RawMessage `json:"buckets"`
			} `json:"nodes"`
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"over": &over}); err != nil {
		return Resources{}, fmt.Errorf("read resources: %w", err)
	}
	var times []int64
	values := map[string]map[string][]*float64{} // by figure and instance
	for i, b := range over.Buckets {
		times = append(times, int64(b.Key/1000))
		for _, n := range b.Nodes.Buckets {
			if err := put(values, figures, n, i, len(over.Buckets)); err != nil {
				return Resources{}, fmt.Errorf("read resources: %w", err)
			}
		}
	}
	var r Resources
	for _, f := range figures {
		chart := page.NewChart("resource-"+f.key, f.title, f.unit, q.span)
		chart.Times = times
		for i, node := range slices.Sorted(maps.Keys(values[f.key])) {
			v := values[f.key][node]
			if f.counter {
				v = growth(times, v)
			}
			chart.Series = append(chart.Series, page.Series{Name: node, Colour: cmp.Or(f.colour, instanceColour(i)), Values: v})
		}
		if !chart.Empty() {
			r.Charts = append(r.Charts, chart)
		}
	}
	return r, nil
}

// put reads an instance's figures at one of so many times.
func put(values map[string]map[string][]*float64, figures []figure, bucket map[string]json.RawMessage, at, times int) error {
	var node string
	if err := json.Unmarshal(bucket["key"], &node); err != nil {
		return fmt.Errorf("decode instance: %w", err)
	}
	for _, f := range figures {
		var v struct{ Value *float64 }
		if err := json.Unmarshal(bucket[f.key], &v); err != nil {
			return fmt.Errorf("decode %s: %w", f.key, err)
		}
		if v.Value == nil {
			continue
		}
		if values[f.key] == nil {
			values[f.key] = map[string][]*float64{}
		}
		if values[f.key][node] == nil {
			values[f.key][node] = make([]*float64, times)
		}
		values[f.key][node][at] = v.Value
	}
	return nil
}

// growth makes a counter's growth a second of its values at times in seconds. A
// counter that fell began anew, so that growth is unknown.
func growth(times []int64, values []*float64) []*float64 {
	out := make([]*float64, len(values))
	last := -1
	for i, v := range values {
		if v == nil {
			continue
		}
		if last >= 0 && *v >= *values[last] {
			out[i] = page.Value((*v - *values[last]) / float64(times[i]-times[last]))
		}
		last = i
	}
	return out
}

func instanceColour(i int) string {
	colours := []string{"c-blue", "c-orange", "c-green", "c-purple", "c-sky", "c-olive", "c-vermilion", "c-grey"}
	return colours[i%len(colours)]
}

// Instance is one process of a service.
type Instance struct {
	Name     string    `json:"name"`
	Versions []string  `json:"versions"`
	Regions  []string  `json:"regions"`
	Calls    int64     `json:"calls"`
	Rate     float64   `json:"per_second"`
	Failed   int64     `json:"failed"`
	P95      *float64  `json:"p95_seconds"`
	Last     time.Time `json:"last_seen"`
}

// ErrorShare is the share that failed.
func (i Instance) ErrorShare() float64 { return float64(i.Failed) / float64(max(i.Calls, 1)) }

type moment struct {
	Value *float64 `json:"value"`
}

// time is a date that an aggregation found, in milliseconds since 1970.
func (m moment) time() time.Time {
	if m.Value == nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(*m.Value))
}

func (q queries) instances(ctx context.Context, service string) ([]Instance, error) {
	res, err := q.es.Search(ctx, eventStream, object{
		"size": 0, "query": all(term("processor.event", "transaction"), term("service.name", service), within(q.span)),
		"aggs": object{"nodes": object{"terms": object{"field": "service.node.name", "size": 100, "order": object{"_key": "asc"}}, "aggs": object{
			"failed": object{"filter": failing()}, "took": p95("transaction.duration.us"), "last": object{"max": object{"field": "@timestamp"}},
			"versions": object{"terms": object{"field": "service.version", "size": 5}}, "regions": object{"terms": object{"field": "cloud.region", "size": 5}},
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("read instances: %w", err)
	}
	var nodes struct {
		Buckets []struct {
			Key string `json:"key"`
			measured
			Last     moment `json:"last"`
			Versions named  `json:"versions"`
			Regions  named  `json:"regions"`
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"nodes": &nodes}); err != nil {
		return nil, fmt.Errorf("read instances: %w", err)
	}
	var found []Instance
	for _, b := range nodes.Buckets {
		found = append(found, Instance{b.Key, b.Versions.keys(), b.Regions.keys(), b.Count, q.rate(b.Count), b.Failed.Count, b.Took.at("95.0", 1e6), b.Last.time()})
	}
	return found, nil
}

// Version is a version that answered in the page's span.
type Version struct {
	Name      string    `json:"version"`
	First     time.Time `json:"first_seen"`
	Last      time.Time `json:"last_seen"`
	Count     int64     `json:"count"`
	Failed    int64     `json:"failed"`
	P95       *float64  `json:"p95_seconds"`
	Instances []string  `json:"instances"`
}

// ErrorShare is the share that failed.
func (v Version) ErrorShare() float64 { return float64(v.Failed) / float64(max(v.Count, 1)) }

// versions are in the order in which they were first seen, the newest first.
func (q queries) versions(ctx context.Context, of subject) ([]Version, error) {
	res, err := q.es.Search(ctx, of.stream, object{
		"size": 0, "query": of.query,
		"aggs": object{"versions": object{"terms": object{"field": "service.version", "size": 30}, "aggs": object{
			"first": object{"min": object{"field": "@timestamp"}}, "last": object{"max": object{"field": "@timestamp"}},
			"failed": object{"filter": of.failing}, "took": p95(of.duration), "nodes": object{"terms": object{"field": "service.node.name", "size": 20}},
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	var versions struct {
		Buckets []struct {
			Key string `json:"key"`
			measured
			First moment `json:"first"`
			Last  moment `json:"last"`
			Nodes named  `json:"nodes"`
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"versions": &versions}); err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	var found []Version
	for _, b := range versions.Buckets {
		found = append(found, Version{b.Key, b.First.time(), b.Last.time(), b.Count, b.Failed.Count, b.Took.at("95.0", of.units), b.Nodes.keys()})
	}
	slices.SortFunc(found, func(a, b Version) int { return cmp.Or(b.First.Compare(a.First), cmp.Compare(a.Name, b.Name)) })
	return found, nil
}
