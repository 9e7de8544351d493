// Package accesslog reads the combined log format of Apache and nginx and makes
// of each line the document that nginx's own ECS log would have made.
package accesslog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Line is one request of a combined log:
//
//	%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"
//
// https://httpd.apache.org/docs/2.4/logs.html#combined
type Line struct {
	Client    string // address or host name
	User      string // empty where the log has -
	At        time.Time
	Method    string // empty where the request could not be read
	Target    string // path and query as sent; the whole request line where it could not be read
	Protocol  string // HTTP version, as in 1.1
	Status    int
	Bytes     int64 // of the answer's body
	Referrer  string
	UserAgent string
}

// A quoted field ends at the first quote that no backslash escapes.
const quoted = `"((?:[^"\\]|\\.)*)"`

// The last field may lack its end: a log's writer cuts long lines.
const cutOff = `"((?:[^"\\]|\\.)*)"?`

const timeLayout = "02/Jan/2006:15:04:05 -0700"

// Parser parses lines. Make it by NewParser.
type Parser struct{ line *regexp.Regexp }

// NewParser returns a parser.
func NewParser() *Parser {
	return &Parser{regexp.MustCompile(`^(\S+) \S+ (.+?) \[([^\]]+)\] ` + quoted + ` (\d{3}) (\d+|-)(?: ` + quoted + ` ` + cutOff + `)?\s*$`)}
}

// Parse reads one line of the combined format, or of the common format, which
// lacks referrer and user agent. The error says which part can't be read.
func (p *Parser) Parse(text string) (Line, error) {
	m := p.line.FindStringSubmatch(text)
	if m == nil {
		return Line{}, fmt.Errorf("not a line of the combined log format")
	}
	at, err := time.Parse(timeLayout, m[3])
	if err != nil {
		return Line{}, fmt.Errorf("time [%s]: want the form [17/May/2015:10:05:03 +0000]", m[3])
	}
	status, err := strconv.Atoi(m[5])
	if err != nil || status < 100 {
		return Line{}, fmt.Errorf("status %s: want 100 to 999", m[5])
	}
	l := Line{
		Client: m[1], User: dash(m[2]), At: at.UTC(), Target: unescape(m[4]), Status: status,
		Referrer: dash(unescape(m[7])), UserAgent: dash(unescape(m[8])),
	}
	if m[6] != "-" {
		if l.Bytes, err = strconv.ParseInt(m[6], 10, 64); err != nil {
			return Line{}, fmt.Errorf("size %s: too large", m[6])
		}
	}
	if parts := strings.Split(l.Target, " "); len(parts) == 3 && strings.HasPrefix(parts[2], "HTTP/") {
		l.Method, l.Target, l.Protocol = parts[0], parts[1], strings.TrimPrefix(parts[2], "HTTP/")
	}
	return l, nil
}

func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// unescape undoes \" and \\. Other escapes of Apache and nginx (\xhh) stay as
// they are: they stand for bytes that are no text.
func unescape(s string) string {
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(s)
}

// Origin names what a line's document says of where it comes from. Empty parts
// are left out.
type Origin struct {
	Service     string // service.name, usually nginx
	Environment string
	Node        string
	Region      string
	File        string // log.file.path: the name given on the command line
}

// ID is the document's id: the same for the same line at the same place of a
// file of the same name, and of no other, so that importing a file again adds
// nothing. Equal lines are requests of their own; their number keeps them apart.
func ID(file string, number int, text string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", file, number, text))
	return hex.EncodeToString(sum[:20])
}

// Document is the line as nginx's ECS log has it, with the time moved by shift.
// What the format lacks is left out: duration, request id, route (which is
// "other": the paths are another site's).
func (l Line) Document(o Origin, shift time.Duration) (json.RawMessage, error) {
	d := map[string]any{
		"@timestamp":                l.At.Add(shift).UTC().Format("2006-01-02T15:04:05.000Z"),
		"ecs.version":               "8.11.0",
		"event.dataset":             "nginx.access",
		"event.kind":                "event",
		"event.category":            []string{"web"},
		"event.type":                []string{"access"},
		"http.route":                "other",
		"http.response.status_code": l.Status,
		"http.response.body.bytes":  l.Bytes,
		// One object: labels is a field of its own kind, not a path.
		"labels": map[string]any{"probe": false, "imported": true},
	}
	d["log.level"], d["event.outcome"] = "info", "success"
	if l.Status >= 500 {
		d["log.level"], d["event.outcome"] = "error", "failure"
	}
	path, query, _ := strings.Cut(l.Target, "?")
	d["message"] = fmt.Sprintf("%s %s %d", l.Method, path, l.Status)
	if l.Method == "" {
		d["message"] = fmt.Sprintf("(unreadable request) %d", l.Status)
		path, query = "", ""
	}
	if _, err := netip.ParseAddr(l.Client); err == nil {
		d["source.ip"], d["client.ip"] = l.Client, l.Client
	}
	for field, value := range map[string]string{
		"client.address": l.Client, "user.name": l.User, "url.original": l.Target, "url.path": path, "url.query": query,
		"http.version": l.Protocol, "http.request.method": l.Method, "http.request.referrer": l.Referrer,
		"user_agent.original": l.UserAgent, "service.name": o.Service, "service.environment": o.Environment,
		"service.node.name": o.Node, "cloud.region": o.Region, "log.file.path": o.File,
	} {
		if value != "" {
			d[field] = strings.ToValidUTF8(value, "�")
		}
	}
	return json.Marshal(d)
}
