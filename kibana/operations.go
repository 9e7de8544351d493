package kibana

import "strings"

// What questions have in common, in KQL.
const (
	// requestsKQL is elastic.Traffic: what nginx logged, without probes. A test
	// holds the two together.
	requestsKQL = `not labels.probe : "true"`
	failedKQL   = `http.response.status_code >= 500 and http.response.status_code <= 599`
	refusedKQL  = `http.response.status_code >= 400 and http.response.status_code < 500`
	errorsKQL   = `(log.level : "error" or log.level : "fatal" or log.level : "panic" or log.level : "dpanic" or log.level : "crit" or log.level : "alert" or log.level : "emerg")`
)

// anyOf is a field with one of some values. It is spelled out, because
// Elasticsearch 8.19 takes no more than two values in one pair of brackets, while
// Kibana takes any number.
func anyOf(field string, values ...string) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = field + " : " + v
	}
	return "(" + strings.Join(all, " or ") + ")"
}

// Colours of Kibana's own palette.
const (
	red   = "#CC5642"
	green = "#209280"
	blue  = "#6092C0"
	amber = "#D6BF57"
	grey  = "#98A2B3"
)

func count(label string) Metric { return Metric{Label: label, Op: Count} }

func countOf(label, kql string) Metric { return Metric{Label: label, Op: Count, KQL: kql} }

func sum(label, field string) Metric { return Metric{Label: label, Op: Sum, Field: field} }

func average(label, field string) Metric { return Metric{Label: label, Op: Average, Field: field} }

func highest(label, field string) Metric { return Metric{Label: label, Op: Max, Field: field} }

func percentile(percent int, label, field string) Metric {
	return Metric{Label: label, Op: Percentile, Field: field, Percent: percent}
}

func unique(label, field string) Metric { return Metric{Label: label, Op: UniqueCount, Field: field} }

// rate is how fast a counter grows, in a second.
func rate(label, field string, format Format) Metric {
	return Metric{Label: label, Op: CounterRate, Field: field, Format: format}
}

func formula(label string, format Format, e Expr) Metric {
	return Metric{Label: label, Op: Formula, Format: format, Expr: e}
}

// part is the share of documents that match.
func part(label, kql string) Metric {
	return formula(label, Percent, Over(Of(countOf("", kql)), Of(count(""))))
}

func percentiles(field string) []Metric {
	return []Metric{percentile(50, "p50", field), percentile(95, "p95", field), percentile(99, "p99", field)}
}

// by breaks down, the largest of the first metric first.
func by(label, field string, size int) Terms { return Terms{Field: field, Label: label, Size: size} }

// by's own order by the alphabet, where the first metric can't rank.
func (b Terms) byName() Terms {
	b.OrderBy = -1
	return b
}

func (b Terms) typed(kind string) Terms {
	b.Type = kind
	return b
}

// navigation is the first panel of each dashboard.
func navigation(text string) Panel {
	var links []string
	for _, d := range []struct{ id, title string }{
		{"operations", "Operations"}, {"service-api", "Service: api"}, {"service-feed", "Service: feed"}, {"uptime", "Uptime"},
		{"slos", "SLOs"}, {"capacity", "Capacity"}, {"functions", "Functions and jobs"}, {"security", "Security"},
		{"business", "Business"}, {"support", "Support"},
	} {
		links = append(links, "["+d.title+"](#/view/"+objectID(d.id)+")")
	}
	return Panel{Title: "Where to look", Kind: Text, Wide: columns, Tall: 4, Text: strings.Join(links, " · ") + "\n\n" + text}
}

func everywhere(view string) []Control {
	return []Control{{"Region", "cloud.region", view}, {"Environment", "service.environment", view}}
}

func operations() Dashboard {
	p := func(p Panel) Panel {
		p.View, p.KQL = traffic, requestsKQL
		return p
	}
	availability := formula("Availability", Percent, Minus(Num(1), Over(Of(countOf("", failedKQL)), Of(count("")))))
	return Dashboard{
		ID: "operations", Title: "Operations", Since: "now-1h",
		About: "For who is on call: does the service answer, how fast, and where does it not? Requests as nginx saw them, without probes.",
		Controls: append(everywhere(traffic),
			Control{"Route", "http.route", traffic}, Control{"Instance", "service.node.name", traffic}),
		Panels: []Panel{
			navigation("Availability is (requests − 5xx) ÷ requests; probes of Heartbeat and health checks are no requests. Times are nginx's, from the first byte in to the last byte out."),
			p(Panel{Title: "Availability", About: "Share of requests that were answered without a fault of ours.", Kind: Number, Metrics: []Metric{availability}, Wide: 12, Tall: 6}),
			p(Panel{Title: "Requests", About: "Requests in the span.", Kind: Number, Metrics: []Metric{count("Requests")}, Wide: 12, Tall: 6}),
			p(Panel{Title: "95 of 100 are faster than", About: "95th percentile of the time to answer.", Kind: Number, Metrics: []Metric{percentile(95, "p95", "event.duration")}, Wide: 12, Tall: 6}),
			p(Panel{Title: "Refused", About: "Share of requests with a status from 400 to 499: mistakes of clients, sign-ins, limits.", Kind: Number, Metrics: []Metric{part("4xx", refusedKQL)}, Wide: 12, Tall: 6}),
			p(Panel{Title: "Availability over time", About: "The line is the objective, 99.9 %.", Kind: Line, Metrics: []Metric{availability}, Goals: []Goal{{"Objective", 0.999}}, Zoomed: true, Wide: 24, Tall: 11}),
			p(Panel{Title: "Throughput", About: "Requests a second.", Kind: Line, Metrics: []Metric{{Label: "Requests a second", Op: Count, EachSecond: true, Colour: blue}}, Wide: 24, Tall: 11}),
			p(Panel{Title: "Latency", About: "Percentiles of the time to answer.", Kind: Line, Metrics: percentiles("event.duration"), Wide: 24, Tall: 11}),
			p(Panel{Title: "Status codes", About: "Requests by the status of their answer.", Kind: Bar, Metrics: []Metric{count("Requests")}, By: []Terms{by("Status", "http.response.status_code", 10).typed("number")}, Wide: 24, Tall: 11}),
			p(Panel{Title: "Top routes", About: "The routes that are asked for most, and the share of 5xx among their answers. A click opens the service.", Kind: Table, Metrics: []Metric{count("Requests"), part("5xx", failedKQL), percentile(95, "p95", "event.duration")}, By: []Terms{by("Route", "http.route", 15)}, To: []string{"service-api"}, Wide: 24, Tall: 14}),
			p(Panel{Title: "Slowest routes", About: "The routes whose slow answers are slowest.", Kind: Table, Metrics: []Metric{percentile(95, "p95", "event.duration"), percentile(99, "p99", "event.duration"), count("Requests")}, By: []Terms{by("Route", "http.route", 15)}, To: []string{"service-api"}, Wide: 24, Tall: 14}),
			p(Panel{Title: "Upstream instances", About: "Whom nginx asked; several addresses in a row are attempts after a failure.", Kind: Table, Metrics: []Metric{count("Requests"), part("5xx", failedKQL), percentile(95, "p95 of the upstream", "nginx.upstream.duration")}, By: []Terms{by("Instance", "nginx.upstream.address", 15)}, Wide: 24, Tall: 12}),
			p(Panel{Title: "Regions", About: "Requests a second by region.", Kind: Area, Metrics: []Metric{{Label: "Requests a second", Op: Count, EachSecond: true}}, By: []Terms{by("Region", "cloud.region", 10)}, Wide: 24, Tall: 12}),
			{Title: "Error logs", About: "Lines of the level error and worse, of all processes and nginx.", Kind: Bar, View: logs, KQL: errorsKQL, Metrics: []Metric{count("Lines")}, By: []Terms{by("Service", "service.name", 10)}, To: []string{"support"}, Wide: 48, Tall: 10},
			{Title: "The newest errors", About: "A saved search: open it in Discover to go on.", Kind: Lines, Search: "errors", Wide: 48, Tall: 16},
		},
	}
}

// service is the dashboard of one of the two services: its own time and what it
// waits for.
func service(name string) Dashboard {
	own := `service.name : "` + name + `"`
	transactions := own + ` and processor.event : "transaction"`
	spans := own + ` and processor.event : "span"`
	breakdown := own + ` and metricset.name : "span_breakdown"`
	failure := `event.outcome : "failure"`
	hits, misses := Of(Metric{Op: CounterRate, Field: "redis.info.stats.keyspace.hits"}), Of(Metric{Op: CounterRate, Field: "redis.info.stats.keyspace.misses"})
	of := func(view, kql string, p Panel) Panel {
		p.View, p.KQL = view, kql
		return p
	}
	node := by("Instance", "service.node.name", 10)
	return Dashboard{
		ID: "service-" + name, Title: "Service: " + name, Since: "now-1h",
		About:    "For developers and who is on call: what " + name + " does, how long each layer takes (own code, Redis, MongoDB, MySQL, other services), and its instances.",
		Controls: append(everywhere(traces), Control{"Instance", "service.node.name", traces}),
		Panels: []Panel{
			navigation("Figures are the APM agent's. Time in a layer is the time that transactions spent in it and in nothing below it."),
			of(traces, transactions, Panel{Title: "Transactions", About: "Requests and messages that were worked on, as far as they were sampled.", Kind: Number, Metrics: []Metric{count("Transactions")}, Wide: 16, Tall: 6}),
			of(traces, transactions, Panel{Title: "Failed", About: "Share of transactions with the outcome failure.", Kind: Number, Metrics: []Metric{part("Failed", failure)}, Wide: 16, Tall: 6}),
			of(traces, transactions, Panel{Title: "95 of 100 are faster than", About: "95th percentile of a transaction's time.", Kind: Number, Metrics: []Metric{percentile(95, "p95", "transaction.duration.us")}, Wide: 16, Tall: 6}),
			of(traces, transactions, Panel{Title: "Throughput by instance", About: "Transactions a second.", Kind: Area, Metrics: []Metric{{Label: "Transactions a second", Op: Count, EachSecond: true}}, By: []Terms{node}, Wide: 24, Tall: 11}),
			of(traces, transactions, Panel{Title: "Latency", About: "Percentiles of a transaction's time.", Kind: Line, Metrics: percentiles("transaction.duration.us"), Wide: 24, Tall: 11}),
			of(layers, breakdown, Panel{Title: "Time in the stores", About: "Time spent in Redis, MongoDB, MySQL and calls of other services, added up.", Kind: Area, Metrics: []Metric{sum("Time", "span.self_time.sum.us")}, By: []Terms{by("Layer", "span.subtype", 10)}, Wide: 24, Tall: 11}),
			of(layers, breakdown, Panel{Title: "Own code and the rest", About: "Time by the kind of work: app is own code, db the stores, external other services.", Kind: Area, Metrics: []Metric{sum("Time", "span.self_time.sum.us")}, By: []Terms{by("Kind", "span.type", 10)}, Wide: 24, Tall: 11}),
			of(traces, spans, Panel{Title: "How long dependencies take", About: "Mean time of a call, as the caller saw it.", Kind: Line, Metrics: []Metric{average("Mean", "span.duration.us")}, By: []Terms{by("Dependency", "span.destination.service.resource", 10)}, Wide: 24, Tall: 11}),
			of(hosts, `service.name : "redis"`, Panel{Title: "Cache hit rate", About: "Share of the keys asked of Redis that were there, of all who use it.", Kind: Line, Metrics: []Metric{formula("Hits", Percent, Over(hits, Plus(hits, misses)))}, Zoomed: true, Wide: 24, Tall: 11}),
			of(traces, transactions, Panel{Title: "Transactions", About: "What is asked for, how slow and how often it fails.", Kind: Table, Metrics: []Metric{count("Number"), percentile(95, "p95", "transaction.duration.us"), part("Failed", failure)}, By: []Terms{by("Transaction", "transaction.name", 20)}, Wide: 24, Tall: 14}),
			of(traces, spans, Panel{Title: "Calls that take long", About: "Queries, commands and calls by the time of the slow ones.", Kind: Table, Metrics: []Metric{percentile(95, "p95", "span.duration.us"), count("Number"), part("Failed", failure)}, By: []Terms{by("Call", "span.name", 20)}, Wide: 24, Tall: 14}),
			of(processes, own, Panel{Title: "Processor", About: "Cores used.", Kind: Line, Metrics: []Metric{rate("Cores", ownMetrics+"process_cpu_seconds_total", Plain)}, By: []Terms{node.byName()}, Wide: 16, Tall: 10}),
			of(processes, own, Panel{Title: "Memory", About: "Resident memory.", Kind: Line, Metrics: []Metric{highest("Memory", ownMetrics+"process_resident_memory_bytes")}, By: []Terms{node}, Wide: 16, Tall: 10}),
			of(processes, own, Panel{Title: "Requests in flight", About: "The most that were worked on at once when it was measured.", Kind: Line, Metrics: []Metric{highest("In flight", ownMetrics+"http_server_requests_in_flight")}, By: []Terms{node}, Wide: 16, Tall: 10}),
			of(logs, own+" and "+errorsKQL, Panel{Title: "Errors", About: "Lines of the level error and worse.", Kind: Bar, Metrics: []Metric{count("Lines")}, By: []Terms{node}, To: []string{"support"}, Wide: 48, Tall: 10}),
		},
	}
}
