package kibana

const ownMetrics = "prometheus.metrics."

func uptime() Dashboard {
	p := func(p Panel) Panel {
		p.View = monitors
		return p
	}
	up := formula("Up", Percent, Over(Of(sum("", "summary.up")), Plus(Of(sum("", "summary.up")), Of(sum("", "summary.down")))))
	down := `monitor.status : "down"`
	monitor := by("Monitor", "monitor.name", 20)
	return Dashboard{
		ID: "uptime", Title: "Uptime", Since: "now-24h",
		About:    "For everyone: what Heartbeat sees from outside, of the site, each instance and each store.",
		Controls: append(everywhere(monitors), Control{"Monitor", "monitor.name", monitors}),
		Panels: []Panel{
			navigation("A check is one visit of a monitor, every 5 seconds."),
			p(Panel{Title: "Checks that were up", About: "Of all monitors together.", Kind: Number, Metrics: []Metric{up}, Wide: 16, Tall: 6}),
			p(Panel{Title: "Monitors that were down", About: "At any time in the span.", Kind: Number, Metrics: []Metric{{Label: "Monitors", Op: UniqueCount, Field: "monitor.id", KQL: down, Colour: red}}, Wide: 16, Tall: 6}),
			p(Panel{Title: "Failed checks", About: "Checks with the status down.", Kind: Number, Metrics: []Metric{{Label: "Failed checks", Op: Count, KQL: down, Colour: red}}, Wide: 16, Tall: 6}),
			p(Panel{Title: "Up over time", About: "Share of checks that were up.", Kind: Line, Metrics: []Metric{up}, By: []Terms{monitor.byName()}, Wide: 24, Tall: 12}),
			p(Panel{Title: "Failed checks over time", About: "By monitor.", Kind: Bar, Metrics: []Metric{countOf("Failed checks", down)}, By: []Terms{monitor}, To: []string{"operations"}, Wide: 24, Tall: 12}),
			p(Panel{Title: "How long a check takes", About: "Mean time, connecting included.", Kind: Line, Metrics: []Metric{average("Mean", "monitor.duration.us")}, By: []Terms{monitor}, Wide: 24, Tall: 12}),
			p(Panel{Title: "Monitors", About: "Each monitor in the span.", Kind: Table, Metrics: []Metric{count("Checks"), up, average("Mean time", "monitor.duration.us"), percentile(95, "p95", "monitor.duration.us")}, By: []Terms{monitor}, Wide: 24, Tall: 12}),
			p(Panel{Title: "Why checks failed", About: "By the kind of error.", Kind: Table, KQL: down, Metrics: []Metric{count("Failed checks")}, By: []Terms{monitor, by("Error", "error.type", 10)}, Wide: 24, Tall: 12}),
			p(Panel{Title: "Certificates", About: "When the certificate that a monitor was shown ends. Empty where nothing is asked by TLS.", Kind: Table, Metrics: []Metric{{Label: "Ends", Op: Min, Field: "tls.server.x509.not_after", Type: "date"}, count("Checks")}, By: []Terms{{Field: "monitor.name", Label: "Monitor", Size: 20, OrderBy: 1}}, KQL: "tls.server.x509.not_after : *", Wide: 24, Tall: 12}),
		},
	}
}

func capacity() Dashboard {
	host := func(p Panel) Panel {
		p.View = hosts
		return p
	}
	own := func(p Panel) Panel {
		p.View = processes
		return p
	}
	m := func(name string) string { return ownMetrics + name }
	share := func(label, used, limit string) Metric {
		return formula(label, Percent, Over(Of(highest("", used)), Of(highest("", limit))))
	}
	machine, instance := by("Host", "host.name", 10), by("Instance", "service.node.name", 20)
	return Dashboard{
		ID: "capacity", Title: "Capacity", Since: "now-6h",
		About:    "For operators and managers: what hosts, stores, pools and queues use, and which of them fills up.",
		Controls: everywhere(processes),
		Panels: []Panel{
			navigation("When a resource runs out is forecast by the console's page Capacity."),
			host(Panel{Title: "Processor", About: "Share of all cores.", Kind: Line, Metrics: []Metric{average("Processor", "system.cpu.total.norm.pct")}, By: []Terms{machine}, Wide: 16, Tall: 10}),
			host(Panel{Title: "Memory", About: "Share that is used, without caches.", Kind: Line, Metrics: []Metric{average("Memory", "system.memory.actual.used.pct")}, By: []Terms{machine}, Wide: 16, Tall: 10}),
			host(Panel{Title: "Load", About: "Processes that run or wait, for each core, in the mean of 5 minutes. More than 1 is a queue.", Kind: Line, Metrics: []Metric{average("Load", "system.load.norm.5")}, By: []Terms{machine}, Goals: []Goal{{"One for each core", 1}}, Wide: 16, Tall: 10}),
			host(Panel{Title: "Disks", About: "Share of each file system that is full.", Kind: Line, Metrics: []Metric{highest("Full", "system.filesystem.used.pct")}, By: []Terms{by("File system", "system.filesystem.mount_point", 10)}, Wide: 16, Tall: 10}),
			host(Panel{Title: "Disk reads", About: "Bytes a second, by disk.", Kind: Line, Metrics: []Metric{rate("Read", "system.diskio.read.bytes", Bytes)}, By: []Terms{by("Disk", "system.diskio.name", 10).byName()}, Wide: 16, Tall: 10}),
			host(Panel{Title: "Disk writes", About: "Bytes a second, by disk.", Kind: Line, Metrics: []Metric{rate("Written", "system.diskio.write.bytes", Bytes)}, By: []Terms{by("Disk", "system.diskio.name", 10).byName()}, Wide: 16, Tall: 10}),
			own(Panel{Title: "MongoDB's connections", About: "Of all clients of the server; the line is the objective.", Kind: Line, Metrics: []Metric{average("Connections", m("mongodb_connections_current"))}, Goals: []Goal{{"Objective", 100}}, Wide: 16, Tall: 10}),
			host(Panel{Title: "MySQL's and nginx's connections", About: "Open connections.", Kind: Line, Metrics: []Metric{highest("MySQL", "mysql.status.threads.connected"), highest("nginx", "nginx.stubstatus.active"), highest("Redis", "redis.info.clients.connected")}, Wide: 16, Tall: 10}),
			host(Panel{Title: "Redis' memory", About: "Used by its data.", Kind: Line, Metrics: []Metric{highest("Memory", "redis.info.memory.used.value")}, Wide: 16, Tall: 10}),
			own(Panel{Title: "Saturation of pools", About: "Share of a pool's connections to MySQL that are in use.", Kind: Line, Metrics: []Metric{share("In use", m("go_sql_in_use_connections"), m("go_sql_max_open_connections"))}, By: []Terms{instance.byName()}, Wide: 16, Tall: 10}),
			own(Panel{Title: "Open files", About: "Share of the files that a process may have open.", Kind: Line, Metrics: []Metric{share("Open", m("process_open_fds"), m("process_max_fds"))}, By: []Terms{instance.byName()}, Wide: 16, Tall: 10}),
			own(Panel{Title: "Breakers", About: "1 where calls of a dependency are rejected, 0.5 where it is tried again.", Kind: Line, Metrics: []Metric{highest("Open", m("pharos_dependency_breaker_open"))}, By: []Terms{by("Dependency", "prometheus.labels.dependency", 10)}, Wide: 16, Tall: 10}),
			own(Panel{Title: "Queue lag", About: "Messages on the bus that a group of consumers has not done.", Kind: Line, Metrics: []Metric{highest("Messages", m("shop_bus_lag_messages"))}, By: []Terms{by("Group", "prometheus.labels.group", 5)}, Wide: 24, Tall: 10}),
			own(Panel{Title: "Jobs that wait", About: "Of the whole queue.", Kind: Line, Metrics: []Metric{highest("Waiting", m("jobs_queued")), highest("Running", m("jobs_running"))}, Wide: 24, Tall: 10}),
			own(Panel{Title: "Processor by process", About: "Cores used.", Kind: Area, Metrics: []Metric{rate("Cores", m("process_cpu_seconds_total"), Plain)}, By: []Terms{instance.byName()}, Wide: 24, Tall: 10}),
			own(Panel{Title: "Memory by process", About: "Resident memory.", Kind: Line, Metrics: []Metric{highest("Memory", m("process_resident_memory_bytes"))}, By: []Terms{instance}, Wide: 24, Tall: 10}),
		},
	}
}

func security() Dashboard {
	scanner := anyOf("user_agent.original", "*sqlmap*", "*nikto*", "*nmap*", "*masscan*", "*nuclei*", "*wpscan*", "*gobuster*", "*dirbuster*", "*ffuf*", "*zgrab*", "*acunetix*", "*nessus*", "*openvas*")
	denied := anyOf("http.response.status_code", "401", "403", "429")
	missing := `http.route : "other" and http.response.status_code : 404`
	signIns := anyOf("event.action", `"sign-in-failed"`, `"sign-in-slowed"`)
	p := func(kql string, p Panel) Panel {
		p.View, p.KQL = traffic, and(requestsKQL, kql)
		return p
	}
	l := func(p Panel) Panel {
		p.View, p.KQL = logs, signIns
		return p
	}
	address := by("Address", "client.ip", 15).typed("ip")
	return Dashboard{
		ID: "security", Title: "Security", Since: "now-24h",
		About:    "For who is on call and for security: who was refused, who looks around, who guesses passwords.",
		Controls: append(everywhere(traffic), Control{"Address", "client.ip", traffic}),
		Panels: []Panel{
			navigation("401 is not signed in, 403 not allowed, 429 too many requests."),
			p("", Panel{Title: "Refused", About: "Answers 401, 403 and 429.", Kind: Number, Metrics: []Metric{countOf("Refused", denied)}, Wide: 12, Tall: 6}),
			p("", Panel{Title: "Addresses that were refused", About: "Different ones, about.", Kind: Number, Metrics: []Metric{{Label: "Addresses", Op: UniqueCount, Field: "client.ip", KQL: denied}}, Wide: 12, Tall: 6}),
			l(Panel{Title: "Failed sign-ins", About: "Wrong passwords, and attempts that came too soon after them.", Kind: Number, Metrics: []Metric{count("Failed sign-ins")}, Wide: 12, Tall: 6}),
			p("", Panel{Title: "Requests of scanners", About: "By programs that look for weaknesses, as they name themselves.", Kind: Number, Metrics: []Metric{{Label: "Requests", Op: Count, KQL: scanner, Colour: red}}, Wide: 12, Tall: 6}),
			p(denied, Panel{Title: "Refusals over time", About: "By status.", Kind: Bar, Metrics: []Metric{count("Refused")}, By: []Terms{by("Status", "http.response.status_code", 3).typed("number")}, Wide: 24, Tall: 11}),
			l(Panel{Title: "Failed sign-ins over time", About: "By what became of them.", Kind: Bar, Metrics: []Metric{count("Failed sign-ins")}, By: []Terms{by("What", "event.action", 3)}, Wide: 24, Tall: 11}),
			p(denied, Panel{Title: "Where they were refused", About: "By route and status.", Kind: Table, Metrics: []Metric{count("Refused"), unique("Addresses", "client.ip")}, By: []Terms{by("Route", "http.route", 15), by("Status", "http.response.status_code", 3).typed("number")}, Wide: 24, Tall: 13}),
			p("", Panel{Title: "Top addresses", About: "Who asks most, and how much of it fails.", Kind: Table, Metrics: []Metric{count("Requests"), part("4xx", refusedKQL), unique("Paths", "url.path")}, By: []Terms{address}, To: []string{"support"}, Wide: 24, Tall: 13}),
			p(missing, Panel{Title: "Who looks around", About: "Addresses that ask for paths that are not there.", Kind: Table, Metrics: []Metric{unique("Paths", "url.path"), count("Requests")}, By: []Terms{address}, Wide: 16, Tall: 13}),
			p(missing, Panel{Title: "What they look for", About: "Paths that are not there.", Kind: Table, Metrics: []Metric{count("Requests"), unique("Addresses", "client.ip")}, By: []Terms{by("Path", "url.path", 15)}, Wide: 16, Tall: 13}),
			p(scanner, Panel{Title: "Scanners", About: "By what they call themselves.", Kind: Table, Metrics: []Metric{count("Requests"), unique("Addresses", "client.ip")}, By: []Terms{by("Program", "user_agent.original", 15)}, Wide: 16, Tall: 13}),
			l(Panel{Title: "Guessing from one address", About: "Addresses with failed sign-ins, and how many handles they tried.", Kind: Table, Metrics: []Metric{count("Failed"), unique("Handles", "user.name")}, By: []Terms{address}, Wide: 24, Tall: 13}),
			l(Panel{Title: "Handles that are guessed at", About: "And from how many addresses.", Kind: Table, Metrics: []Metric{count("Failed"), unique("Addresses", "client.ip")}, By: []Terms{by("Handle", "user.name", 15)}, Wide: 24, Tall: 13}),
		},
	}
}

func functions() Dashboard {
	p := func(view, kql string, p Panel) Panel {
		p.View, p.KQL = view, kql
		return p
	}
	ended := `service.name : "jobs" and event.action : "job-ended"`
	tasks := `processor.event : "transaction" and ` + anyOf("transaction.name", "*tasks*", "*jobs*")
	code := `processor.event : "span" and span.type : "app"`
	failure := `event.outcome : "failure"`
	m := func(name string) string { return ownMetrics + name }
	return Dashboard{
		ID: "functions", Title: "Functions and jobs", Since: "now-6h",
		About:    "For developers: the mathematical tasks, the parts of our own code that are measured in traces, and the queue of long jobs.",
		Controls: everywhere(traces),
		Panels: []Panel{
			navigation("Calls, errors and times of each measured function are kept in MySQL: [the console's page Functions](" + DefaultConsole + "/functions) and `pharos functions` show them. Here is what traces, logs and metrics say of the same work."),
			p(traces, tasks, Panel{Title: "Tasks", About: "Requests for tasks and jobs by what was asked for.", Kind: Table, Metrics: []Metric{count("Calls"), part("Failed", failure), percentile(50, "p50", "transaction.duration.us"), percentile(95, "p95", "transaction.duration.us")}, By: []Terms{by("Task", "transaction.name", 20)}, Wide: 24, Tall: 13}),
			p(traces, code, Panel{Title: "Functions in traces", About: "Spans of own code.", Kind: Table, Metrics: []Metric{count("Calls"), part("Failed", failure), percentile(50, "p50", "span.duration.us"), percentile(95, "p95", "span.duration.us")}, By: []Terms{by("Function", "span.name", 20)}, Wide: 24, Tall: 13}),
			p(traces, code, Panel{Title: "Calls over time", About: "Calls a second.", Kind: Area, Metrics: []Metric{{Label: "Calls a second", Op: Count, EachSecond: true}}, By: []Terms{by("Function", "span.name", 10)}, Wide: 24, Tall: 11}),
			p(traces, code, Panel{Title: "Time of a call", About: "95th percentile.", Kind: Line, Metrics: []Metric{percentile(95, "p95", "span.duration.us")}, By: []Terms{by("Function", "span.name", 10)}, Wide: 24, Tall: 11}),
			p(logs, ended, Panel{Title: "Jobs that ended", About: "By outcome.", Kind: Bar, Metrics: []Metric{count("Jobs")}, By: []Terms{by("Outcome", "event.outcome", 5)}, Wide: 24, Tall: 11}),
			p(logs, ended, Panel{Title: "Time of a job", About: "From the request to the end; the objective is that 95 of 100 take less than 10 s.", Kind: Line, Metrics: percentiles("event.duration"), Wide: 24, Tall: 11}),
			p(processes, "", Panel{Title: "Queue", About: "Jobs that wait and run.", Kind: Line, Metrics: []Metric{highest("Waiting", m("jobs_queued")), highest("Running", m("jobs_running"))}, Wide: 24, Tall: 11}),
			p(processes, "", Panel{Title: "Measurements on their way", About: "Function metrics that wait in memory and in Redis for MySQL.", Kind: Line, Metrics: []Metric{highest("In memory", m("funcmetrics_buffered")), highest("In Redis", m("funcmetrics_listed"))}, Wide: 24, Tall: 11}),
		},
	}
}

func support() Dashboard {
	p := func(p Panel) Panel {
		p.View = logs
		return p
	}
	return Dashboard{
		ID: "support", Title: "Support", Since: "now-24h",
		About: "For support staff: what happened to a user, a request or a trace. Choose one above; all panels follow.",
		Controls: []Control{
			{"User", "user.id", logs}, {"Handle", "user.name", logs}, {"Request", "http.request.id", logs}, {"Trace", "trace.id", logs}, {"Service", "service.name", logs},
		},
		Panels: []Panel{
			navigation("The id of a request is in every answer (`X-Request-Id`), the id of its trace, too (`X-Trace-Id`). A click on a trace's id opens the trace; trace.console opens it in the console."),
			p(Panel{Title: "Lines", About: "Log lines by service.", Kind: Bar, Metrics: []Metric{count("Lines")}, By: []Terms{by("Service", "service.name", 10)}, Wide: 32, Tall: 10}),
			p(Panel{Title: "Errors", About: "Lines of the level error and worse.", Kind: Number, Metrics: []Metric{{Label: "Errors", Op: Count, KQL: errorsKQL, Colour: red}}, Wide: 16, Tall: 10}),
			{Title: "Requests", View: logs, KQL: `service.name : "api" and http.route : *`, About: "What was asked for and how api answered.", Kind: Table, Metrics: []Metric{count("Requests"), percentile(95, "p95", "event.duration")}, By: []Terms{by("Route", "http.route", 15), by("Status", "http.response.status_code", 10).typed("number")}, Wide: 48, Tall: 12},
			{Title: "All lines", About: "A saved search: open it in Discover to go on.", Kind: Lines, Search: "all-lines", Wide: 48, Tall: 24},
		},
	}
}
