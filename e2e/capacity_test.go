package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// measured has its average asked for: what is there as something other than a
// number, or not at all, has none.
func (s *stack) measured(t *testing.T, stream string, q query, fields []string) map[string]*float64 {
	t.Helper()
	averages := query{}
	for _, f := range fields {
		averages[f] = query{"avg": query{"field": f}}
	}
	r, err := s.es.Search(t.Context(), stream, query{"size": 0, "query": q, "aggs": averages})
	if err != nil {
		t.Logf("search %s: %v", stream, err)
		return nil
	}
	figures := map[string]*float64{}
	for name, raw := range r.Aggregations {
		var v struct{ Value *float64 }
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		figures[name] = v.Value
	}
	return figures
}

// TestCapacitySignals expects the host's, the servers' and each process's
// figures, under the names that docs/metrics.md promises.
func TestCapacitySignals(t *testing.T) {
	s := open(t)
	newClient(s).signUp(t, "capacity") // so that every pool has been used

	expect := func(stream, what string, q query, fields ...string) {
		t.Helper()
		recent := query{"range": query{"@timestamp": query{"gte": "now-2m"}}}
		eventually(t, 90*time.Second, what, func() string {
			figures := s.measured(t, stream, all(q, recent), fields)
			for _, f := range fields {
				if figures[f] == nil {
					return fmt.Sprintf("%s has no number%s", f, s.tail("metricbeat/metricbeat*"))
				}
			}
			return ""
		})
	}
	host := all(query{"exists": query{"field": "host.name"}}, term("service.environment", "test"), query{"exists": query{"field": "cloud.region"}})
	for set, fields := range map[string][]string{
		"cpu":             {"system.cpu.total.norm.pct", "system.cpu.user.norm.pct", "system.cpu.cores"},
		"load":            {"system.load.1", "system.load.norm.5"},
		"memory":          {"system.memory.actual.used.pct", "system.memory.actual.used.bytes", "system.memory.total"},
		"filesystem":      {"system.filesystem.used.pct", "system.filesystem.available"},
		"diskio":          {"system.diskio.read.bytes", "system.diskio.write.bytes"},
		"network":         {"system.network.in.bytes", "system.network.out.bytes"},
		"process_summary": {"system.process.summary.total"},
	} {
		expect("metricbeat-*", "the host's "+set, all(host, term("metricset.name", set)), fields...)
	}
	server := func(name string) query { return all(host, term("service.name", name), term("service.node.name", name)) }
	expect("metricbeat-*", "nginx", server("nginx"), "nginx.stubstatus.active", "nginx.stubstatus.requests", "nginx.stubstatus.waiting")
	expect("metricbeat-*", "Redis", server("redis"), "redis.info.memory.used.value", "redis.info.clients.connected", "redis.info.stats.commands_processed")
	expect("metricbeat-*", "Redis' keys", server("redis"), "redis.keyspace.keys")
	expect("metricbeat-*", "MySQL", server("mysql"), "mysql.status.connections", "mysql.status.threads.connected", "mysql.status.command.insert")

	const m = "prometheus.metrics."
	runtime := []string{
		m + "go_goroutines", m + "go_memstats_heap_alloc_bytes", m + "process_cpu_seconds_total",
		m + "process_resident_memory_bytes", m + "process_open_fds", m + "go_gc_duration_seconds_sum",
	}
	mongodb := []string{m + "mongodb_pool_connections", m + "mongodb_pool_connections_in_use"}
	functions := []string{m + "funcmetrics_buffered", m + "funcmetrics_dropped_total"}
	mysql := []string{m + "go_sql_open_connections", m + "go_sql_wait_count_total"}
	redis := []string{m + "redis_pool_connections", m + "redis_pool_timeouts_total"}
	bus := []string{m + "shop_bus_lag_messages", m + "shop_events_processed_total", m + "shop_events_failed_total", m + "shop_event_latency_seconds_count", m + "shop_event_latency_seconds_bucket"}
	if s.Bus == "redis" {
		bus = append(append(bus, redis...), m+"shop_bus_pending_messages", m+"shop_bus_dead_letters")
	}
	for node, groups := range map[string][][]string{
		"api-1":     {runtime, mongodb, mysql, redis, functions, {m + "pharos_dependency_breaker_open", m + "shop_events_published_total", m + "shop_events_refused_total"}},
		"api-2":     {runtime},
		"feed-1":    {runtime, mongodb, mysql, redis, functions, {m + "pharos_dependency_breaker_open", m + "feed_requests_queued", m + "feed_requests_overflowed"}},
		"feed-2":    {runtime},
		"jobs":      {runtime, mongodb, mysql, redis, functions, {m + "jobs_queued", m + "jobs_running", m + "jobs_oldest_seconds", m + "funcmetrics_listed", m + "mongodb_connections_current", m + "mongodb_connections_available", m + "mongodb_connections_active"}},
		"ingest":    {runtime, mongodb, bus},
		"analytics": {runtime, mongodb, bus},
		"intake":    {runtime},
	} {
		var fields []string
		for _, g := range groups {
			fields = append(fields, g...)
		}
		expect("metrics-pharos-default", node, all(term("service.node.name", node), term("cloud.region", "local"), term("service.environment", "test")), fields...)
	}
	for _, group := range []string{"ingest", "analytics"} {
		expect("metrics-pharos-default", group+" by group", term("prometheus.labels.group", group), m+"shop_bus_lag_messages")
	}
}
