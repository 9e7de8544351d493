package kibana

import "pharos/elastic"

// DataView is what Kibana calls a set of streams.
type DataView struct {
	ID      string // of the saved object, without "pharos-"
	Name    string
	Streams string // the pattern
	// Formats are how fields are written, by name.
	Formats map[string]FieldFormat
	// Runtime are fields that Elasticsearch makes of others when it reads, by name.
	Runtime map[string]Runtime
}

// Runtime is a keyword field that is a copy of another.
type Runtime struct{ Of string }

// FieldFormat is a field formatter of Kibana and its parameters.
// https://www.elastic.co/guide/en/kibana/8.19/managing-data-views.html#managing-fields
type FieldFormat struct {
	ID     string         `json:"id"`
	Params map[string]any `json:"params"`
}

// The data views' ids.
const (
	traffic   = "traffic"
	logs      = "logs"
	traces    = "traces"
	layers    = "apm-metrics"
	monitors  = "uptime"
	hosts     = "hosts"
	processes = "processes"
	shop      = "shop"
	budgets   = "slos"
)

// DefaultConsole is where the console is, as make up and Docker publish it, in the
// committed objects.
const DefaultConsole = "http://127.0.0.1:8090"

// consoleTrace is a second trace.id, because a field has one link only: the first
// opens Kibana's own page.
const consoleTrace = "trace.console"

func duration(unit string) FieldFormat {
	return FieldFormat{"duration", map[string]any{
		"inputFormat": unit, "outputFormat": "humanizePrecise", "outputPrecision": 1,
		"useShortSuffix": true, "includeSpaceWithSuffix": true, "showSuffix": true,
	}}
}

func bytes() FieldFormat { return FieldFormat{"bytes", map[string]any{"pattern": "0,0.[0]b"}} }

func share() FieldFormat { return FieldFormat{"percent", map[string]any{"pattern": "0,0.[00]%"}} }

// link writes a value as a link. A template that begins without a slash is
// relative to Kibana's /app/, also within a space: so says the URL formatter of
// elastic/kibana (src/plugins/field_formats/common/converters/url.ts).
func link(template string) FieldFormat {
	return FieldFormat{"url", map[string]any{
		"type": "a", "urlTemplate": template, "labelTemplate": "{{rawValue}}", "openLinkInCurrentTab": false,
	}}
}

// requests are the formats and fields of what belongs to a request.
func requests(more map[string]FieldFormat) (map[string]FieldFormat, map[string]Runtime) {
	formats := map[string]FieldFormat{
		"event.duration":           duration("nanoseconds"),
		"http.request.bytes":       bytes(),
		"http.response.bytes":      bytes(),
		"http.response.body.bytes": bytes(),
		"trace.id":                 link("apm/link-to/trace/{{value}}"),
		consoleTrace:               link(DefaultConsole + "/traces/{{value}}"),
		// A status is no quantity: 1,000 separators would be wrong.
		"http.response.status_code": {"string", map[string]any{}},
	}
	for name, f := range more {
		formats[name] = f
	}
	return formats, map[string]Runtime{consoleTrace: {Of: "trace.id"}}
}

// DataViews are all of them.
func DataViews() []DataView {
	views := []DataView{
		{ID: traffic, Name: "Pharos: traffic", Streams: elastic.TrafficStream},
		{ID: logs, Name: "Pharos: logs", Streams: "logs-*"},
		{ID: traces, Name: "Pharos: traces", Streams: "traces-apm*"},
		{ID: layers, Name: "Pharos: APM metrics", Streams: "metrics-apm*", Formats: map[string]FieldFormat{
			"span.self_time.sum.us": duration("microseconds"),
		}},
		{ID: monitors, Name: "Pharos: uptime", Streams: "heartbeat-*", Formats: map[string]FieldFormat{
			"monitor.duration.us": duration("microseconds"),
		}},
		{ID: hosts, Name: "Pharos: hosts and servers", Streams: "metricbeat-*", Formats: map[string]FieldFormat{
			"system.cpu.total.norm.pct":       share(),
			"system.memory.actual.used.pct":   share(),
			"system.filesystem.used.pct":      share(),
			"system.filesystem.used.bytes":    bytes(),
			"system.filesystem.available":     bytes(),
			"system.memory.actual.used.bytes": bytes(),
			"system.memory.total":             bytes(),
			"system.diskio.read.bytes":        bytes(),
			"system.diskio.write.bytes":       bytes(),
			"system.network.in.bytes":         bytes(),
			"system.network.out.bytes":        bytes(),
			"redis.info.memory.used.value":    bytes(),
		}},
		{ID: processes, Name: "Pharos: processes", Streams: "metrics-pharos-*", Formats: map[string]FieldFormat{
			ownMetrics + "process_resident_memory_bytes":   bytes(),
			ownMetrics + "go_memstats_heap_alloc_bytes":    bytes(),
			ownMetrics + "shop_bus_oldest_message_seconds": duration("seconds"),
			ownMetrics + "shop_bus_waiting_seconds":        duration("seconds"),
			ownMetrics + "jobs_oldest_seconds":             duration("seconds"),
		}},
		{ID: shop, Name: "Pharos: shop", Streams: "metrics-shop.analytics-*"},
		{ID: budgets, Name: "Pharos: objectives by the minute", Streams: "metrics-slo-*"},
	}
	for i, v := range views {
		switch v.ID {
		case traffic, logs:
			views[i].Formats, views[i].Runtime = requests(map[string]FieldFormat{"nginx.upstream.duration": duration("nanoseconds")})
		case traces:
			views[i].Formats, views[i].Runtime = requests(map[string]FieldFormat{
				"transaction.duration.us": duration("microseconds"), "span.duration.us": duration("microseconds"),
			})
		}
	}
	return views
}

// View finds a data view; false where there is none.
func View(id string) (DataView, bool) {
	for _, v := range DataViews() {
		if v.ID == id {
			return v, true
		}
	}
	return DataView{}, false
}

// runtime is the form that both Kibana and a search take.
func (v DataView) runtime() map[string]any {
	all := map[string]any{}
	for name, r := range v.Runtime {
		// A stream of somebody else's may not have the field.
		source := "if (doc.containsKey('" + r.Of + "') && doc['" + r.Of + "'].size() != 0) { emit(doc['" + r.Of + "'].value) }"
		all[name] = map[string]any{"type": "keyword", "script": map[string]any{"source": source}}
	}
	return all
}
