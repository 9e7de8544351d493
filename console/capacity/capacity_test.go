package capacity

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pharos/console/page"
	"pharos/console/pagetest"
	"pharos/console/series"
	"pharos/elastic"
)

func grid() series.Grid {
	return series.NewGrid(page.Span{From: time.Unix(0, 0), To: time.Unix(1200, 0)}, 20, time.Minute)
}

// rising is a line of the grid that begins at a value and grows by step.
func rising(from, step float64) []*float64 {
	line := grid().Unknown()
	for i := range line {
		line[i] = page.Value(from + step*float64(i))
	}
	return line
}

func TestResources(t *testing.T) {
	t.Parallel()
	now := time.Unix(1200, 0)
	lines := map[string][]series.Line{
		"system.filesystem.used.bytes":      {{Keys: []string{"vm", "/"}, Values: rising(100, 10)}}, // 290 at the end
		"system.filesystem.available":       {{Keys: []string{"vm", "/"}, Values: rising(900, -10)}},
		"system.cpu.total.norm.pct":         {{Keys: []string{"vm"}, Values: rising(0.95, 0)}},
		"redis.info.memory.used.value":      {{Keys: []string{"redis"}, Values: rising(5, 0)}},
		"redis.info.memory.max.value":       {{Keys: []string{"redis"}, Values: rising(0, 0)}}, // no limit is set
		"redis.info.clients.connected":      {{Keys: []string{"redis"}, Values: rising(7, 0)}},
		"system.memory.actual.used.bytes":   {{Keys: []string{"other"}, Values: grid().Unknown()}},
		own + "mongodb_connections_current": {{Values: rising(1, 0)}}, // is in the other stream
	}
	all := resources(grid(), hostStream, lines, now)
	fullestFirst(all)
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, ", "); got != "processor, disk space, Redis clients, Redis memory" {
		t.Fatal(got)
	}
	if all[0].State()["State"] != "bad" || all[1].State()["State"] != "ok" || all[2].State()["Word"] != "limit not measured" {
		t.Errorf("%v %v %v", all[0].State(), all[1].State(), all[2].State())
	}
	disk := all[1]
	if *disk.Limit != 290+710 || disk.Of != "vm /" || disk.Peak != 290 || *disk.Share() != 0.29 {
		t.Errorf("%+v", disk)
	}
	// 10 a minute, 710 to go from the last measurement at 19 min.
	if at := time.Unix((19+71)*60, 0); disk.Forecast.State != "fills" || disk.Forecast.At.Sub(at).Abs() > time.Second {
		t.Errorf("%+v, want %s", disk.Forecast, at)
	}
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	all := processes(grid(), map[string][]series.Line{
		"memory": {{Keys: []string{"api-1"}, Values: rising(10, 0)}, {Keys: []string{"feed-1"}, Values: rising(20, 1)}},
		"cpu":    {{Keys: []string{"api-1"}, Values: rising(100, 30)}},
	})
	if len(all) != 2 || all[0].Name != "feed-1" || *all[0].PeakMemory != 39 || all[0].Cores != nil || *all[1].Cores != 0.5 || all[1].Goroutines != nil {
		t.Errorf("%+v", all)
	}
}

func TestGrowth(t *testing.T) {
	t.Parallel()
	all := growth(map[string]elastic.Size{"small": {Bytes: 10, Documents: 0}, "large": {Bytes: 1000, Documents: 100}}, map[string]float64{"large": 50},
		page.Span{From: time.Unix(0, 0), To: time.Unix(12*3600, 0)})
	if len(all) != 2 || all[0].Name != "large" || *all[0].PerDay != 1000 || all[1].PerDay != nil {
		t.Errorf("%+v", all)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	const at = `{"key":1795262340000,"v":{"value":0.5}}` // 11:59
	c := pagetest.New(t)
	c.Search = func(target string, body map[string]any) (int, string) {
		switch {
		case strings.HasPrefix(body["call"].(string), "_stats"):
			return http.StatusForbidden, `{"error":{"type":"security_exception","reason":"action [indices:monitor/stats] is unauthorized"},"status":403}`
		case target == hostStream && body["aggs"].(map[string]any)["cpu"] != nil:
			return 0, `{"aggregations":{"cpu":{"lines":{"buckets":[{"key":"<vm>","over":{"buckets":[` + at + `]}}]}}}}`
		case target == hostStream:
			return 0, `{"aggregations":{"system.cpu.total.norm.pct":{"lines":{"buckets":[{"key":"<vm>","over":{"buckets":[` + at + `]}}]}},
				"redis.info.clients.connected":{"lines":{"buckets":[{"key":"redis","over":{"buckets":[` + at + `]}}]}}}}`
		}
		return 0, `{"aggregations":{"memory":{"lines":{"buckets":[{"key":"api-1","over":{"buckets":[` + at + `]}}]}},
			"shop_bus_lag_messages":{"lines":{"buckets":[{"key":"ingest","over":{"buckets":[` + at + `]}}]}}}}`
	}
	c.Add(Page())
	status, body := c.Get("/capacity")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{"&lt;vm&gt;", "50 %", "too little measured", "1 whose limit is not measured", "api-1", "bus, lag of ingest", "Your role may not read this.", "index privilege monitor"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	var v View
	c.JSON("/capacity.json", &v)
	if len(v.Resources.Data) != 2 || v.Streams.Trouble == nil || v.Streams.Trouble.Kind != "forbidden" {
		t.Errorf("%+v", v)
	}
}
