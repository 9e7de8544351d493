package capacity

import (
	"testing"

	"pharos/console/pagetest"
	"pharos/console/series"
)

// Documents as Metricbeat 7.17 writes them.
func TestOnTheStack(t *testing.T) {
	es, span := pagetest.Stack(t), pagetest.Quiet()
	const vm = `"host":{"name":"vm-test"}`
	pagetest.Index(t, es, hostStream, span,
		`{"@timestamp":"{0}",`+vm+`,"system":{"filesystem":{"mount_point":"/","used":{"bytes":100,"pct":0.1},"available":900}}}`,
		`{"@timestamp":"{5}",`+vm+`,"system":{"filesystem":{"mount_point":"/","used":{"bytes":300,"pct":0.3},"available":700}}}`,
		`{"@timestamp":"{5}",`+vm+`,"system":{"cpu":{"total":{"norm":{"pct":0.25}}}}}`,
		`{"@timestamp":"{0}",`+vm+`,"system":{"network":{"name":"eth0","in":{"bytes":1000},"out":{"bytes":0}}}}`,
		`{"@timestamp":"{1}",`+vm+`,"system":{"network":{"name":"eth0","in":{"bytes":7000},"out":{"bytes":60}}}}`,
		`{"@timestamp":"{1}",`+vm+`,"system":{"network":{"name":"lo","in":{"bytes":9000},"out":{"bytes":9000}}}}`,
	)
	const api = `"service":{"name":"api","node":{"name":"api-test"}}`
	pagetest.Index(t, es, ownStream, span,
		`{"@timestamp":"{0}",`+api+`,"prometheus":{"metrics":{"process_cpu_seconds_total":60,"process_resident_memory_bytes":1000,"go_goroutines":9,"process_open_fds":5,"process_max_fds":100}}}`,
		`{"@timestamp":"{2}",`+api+`,"prometheus":{"metrics":{"process_cpu_seconds_total":120,"process_resident_memory_bytes":2000,"go_goroutines":8,"process_open_fds":10,"process_max_fds":100}}}`,
		`{"@timestamp":"{2}",`+api+`,"prometheus":{"metrics":{"redis_pool_connections_in_use":3},"labels":{"pool":"bus"}}}`,
		`{"@timestamp":"{2}",`+api+`,"prometheus":{"metrics":{"shop_bus_lag_messages":4},"labels":{"group":"ingest"}}}`,
	)
	q := queries{es, series.NewGrid(span, 120, series.Measured), span.To}
	all, err := q.resources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Resource{}
	for _, r := range all {
		found[r.Name+" of "+r.Of] = r
	}
	if r := found["disk space of vm-test /"]; r.Limit == nil || *r.Limit != 1000 || r.Used != 300 {
		t.Errorf("disk %+v of %+v", r, found)
	}
	if r := found["open files of api-test"]; r.Limit == nil || *r.Limit != 100 || r.Peak != 10 {
		t.Errorf("files %+v", r)
	}
	if r := found["Redis pool, in use of api-test bus"]; r.Used != 3 || r.Limit != nil {
		t.Errorf("pool %+v", r)
	}
	hosts, err := q.hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := hosts.Network.Series; len(s) != 2 || s[0].Values[1] == nil || *s[0].Values[1] != 100 || *s[1].Values[1] != 1 {
		t.Errorf("network %+v", s)
	}
	processes, err := q.processes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(processes) != 1 || *processes[0].Cores != 0.5 || *processes[0].PeakMemory != 2000 || *processes[0].Goroutines != 8 {
		t.Errorf("%+v", processes)
	}
	queues, err := q.queues(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(queues.Rows) != 1 || queues.Rows[0].Name != "bus, lag of ingest" || queues.Rows[0].Now != 4 {
		t.Errorf("%+v", queues.Rows)
	}
	streams, err := q.streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	added := map[string]float64{}
	for _, s := range streams {
		added[s.Name] = s.Added
		if s.Name == ownStream && (s.Bytes <= 0 || s.Documents < 4 || s.PerDay == nil) {
			t.Errorf("%+v", s)
		}
	}
	if added[ownStream] != 4 || added[hostStream] != 6 {
		t.Errorf("added %v", added)
	}
}
