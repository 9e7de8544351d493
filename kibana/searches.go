package kibana

// Search is a saved search: lines that Discover opens with.
type Search struct {
	ID, Title, About string
	View             string
	KQL              string
	Columns          []string
}

// Searches are all of them, for support first.
func Searches() []Search {
	line := []string{"service.name", "log.level", "message"}
	request := []string{"http.request.method", "url.path", "http.response.status_code", "event.duration"}
	return []Search{
		{"all-lines", "Pharos: all lines", "Every log line. Choose a service, a level or an id on the left.", logs, "", append(line, "http.request.id", "trace.id", consoleTrace)},
		{"by-user", "Pharos: lines of a user", `Lines that belong to a signed-in user. Add the user's id: user.id : "…", or the handle: user.name : "…".`, logs, "user.id : * or user.name : *", append([]string{"user.id", "user.name"}, append(line, "trace.id")...)},
		{"by-request", "Pharos: lines of a request", `What all processes logged of a request. Add its id, from the answer's header X-Request-Id: http.request.id : "…".`, logs, "http.request.id : *", append([]string{"http.request.id"}, append(line, "trace.id")...)},
		{"by-trace", "Pharos: lines of a trace", `What all processes logged of a trace. Add its id, from the answer's header X-Trace-Id: trace.id : "…".`, logs, "trace.id : *", append([]string{"trace.id", consoleTrace}, line...)},
		{"errors", "Pharos: errors", "Lines of the level error and worse, the newest first.", logs, errorsKQL, append(line, "error.message", "trace.id")},
		{"slow-requests", "Pharos: slow requests", "Requests that took a second or more, without probes.", traffic, and(requestsKQL, "event.duration >= 1000000000"), append(request, "nginx.upstream.address", "trace.id", consoleTrace)},
	}
}
