package nginx_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// line is a parsed line of the access log: dotted ECS names.
type line map[string]any

var (
	stamp  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	hex32  = regexp.MustCompile(`^[0-9a-f]{32}$`)
	always = map[string]any{
		"ecs.version": "8.11.0", "service.name": "nginx", "service.environment": "test",
		"service.node.name": "nginx-1", "cloud.region": "here", "event.dataset": "nginx.access",
		"event.kind": "event", "source.ip": "127.0.0.1", "client.ip": "127.0.0.1", "url.scheme": "http",
	}
	numbers = []string{
		"event.duration", "http.request.bytes", "http.response.bytes", "http.response.body.bytes",
		"http.response.status_code", "nginx.connection.id", "nginx.upstream.duration",
	}
	arrays = []string{"event.category", "event.type"}
)

// parse checks a line against the rules of ecs-logging and of our fields: valid
// UTF-8 and JSON, each name once, @timestamp, log.level and message first in
// this order, and the type that the index templates have.
func parse(t *testing.T, text []byte) line {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("not UTF-8: %q", text)
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatalf("not JSON: %v: %q", err, text)
	}
	names := keys(t, text)
	if len(names) != len(l) {
		t.Errorf("a name stands twice in %s", text)
	}
	if got := fmt.Sprint(names[:4]); got != "[@timestamp log.level message ecs.version]" {
		t.Errorf("first names %v", got)
	}
	if s, _ := l["@timestamp"].(string); !stamp.MatchString(s) {
		t.Errorf("@timestamp %q", s)
	} else if at, err := time.Parse(time.RFC3339, s); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("@timestamp %q is not now", s)
	}
	for name, want := range always {
		if l[name] != want {
			t.Errorf("%s = %v, want %v", name, l[name], want)
		}
	}
	for _, name := range numbers {
		switch v := l[name].(type) {
		case float64:
		case nil:
			if _, there := l[name]; !there {
				t.Errorf("no %s", name)
			}
		default:
			t.Errorf("%s is a %T", name, v)
		}
	}
	for _, name := range arrays {
		if _, ok := l[name].([]any); !ok {
			t.Errorf("%s is a %T", name, l[name])
		}
	}
	if _, ok := l["labels.probe"].(bool); !ok {
		t.Errorf("labels.probe is a %T", l["labels.probe"])
	}
	if id, _ := l["http.request.id"].(string); !hex32.MatchString(id) {
		t.Errorf("http.request.id %q", id)
	}
	return l
}

// keys lists the root names in the order in which they are written.
func keys(t *testing.T, text []byte) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	var names []string
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprint(name))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func TestAccessLogHasWhatTheRequestWas(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	res, _ := get(t, f.url("/v1/feed?limit=3"), "User-Agent", "tester/1", "Referer", "http://from.example/page?token=x")
	l := parse(t, f.lines(t, 1)[0])
	for name, want := range map[string]any{
		"log.level": "info", "message": "GET /v1/feed 200", "event.outcome": "success",
		"trace.id": traceID, "http.request.id": res.Header.Get("X-Request-Id"), "http.version": "1.1",
		"http.route": "/v1/feed", "http.request.method": "GET", "http.request.referrer": "http://from.example/page",
		"http.response.status_code": 200.0, "http.response.body.bytes": 15.0,
		"url.domain": "127.0.0.1", "url.path": "/v1/feed", "url.query": "limit=3", "url.original": "/v1/feed?limit=3",
		"user_agent.original": "tester/1", "labels.probe": false, "nginx.upstream.status": "200",
	} {
		if l[name] != want {
			t.Errorf("%s = %v, want %v", name, l[name], want)
		}
	}
	if up, _ := l["nginx.upstream.address"].(string); !strings.HasPrefix(up, "127.0.0.1:") {
		t.Errorf("nginx.upstream.address %q", up)
	}
}

func TestDurationIsInNanoseconds(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, slow(1050*time.Millisecond))}})
	get(t, f.url("/"))
	l := parse(t, f.lines(t, 1)[0])
	for _, name := range []string{"event.duration", "nginx.upstream.duration"} {
		if ns, _ := l[name].(float64); ns < 1.05e9 || ns > 3e9 {
			t.Errorf("%s = %v, want 1.05e9 and little more", name, l[name])
		}
	}
}

// What anyone can send must neither break a line nor count as our failure.
func TestEveryRequestLeavesOneValidLine(t *testing.T) {
	t.Parallel()
	const varies = 0 // with nginx's version
	const end = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	header := func(h string) string { return "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + h + "\r\n\r\n" }
	long := strings.Repeat("a", 9000)
	cases := []struct {
		name, request string
		status        float64
		want          line
	}{
		{"quotes and backslashes", `GET /"\a\u0000'?b="` + end, 200, line{"url.path": `/"\a\u0000'`, "url.query": `b="`}},
		{"encoded line feed", "GET /v1/feed%0a%0d" + end, 200, line{"url.path": "/v1/feed%0a%0d", "http.route": "other"}},
		{"encoded bytes that are no UTF-8", "GET /%ff%fe?%c3%28" + end, 200, line{"url.path": "/%ff%fe"}},
		{"UTF-8 as it is", "GET /v1/follows/жук?ё=1" + end, 200, line{"url.path": "/v1/follows/жук", "http.route": "/v1/follows/:handle"}},
		{"bytes that are no UTF-8", "GET /caf\xe9/x?q=\xff" + end, 200, line{"url.original": "/caf\ufffd"}},
		{"UTF-8 of a surrogate", "GET /\xed\xa0\x80" + end, 200, line{"url.path": "/\ufffd"}},
		{"overlong UTF-8", "GET /\xc0\xaf" + end, 200, line{"url.path": "/\ufffd"}},
		{"fields that tell themselves apart", header("User-Agent: \xd0\xb6 \xff\r\nReferer: http://ok/\xd0\xb6"), 200, line{"user_agent.original": "\ufffd", "http.request.referrer": "http://ok/\ufffd", "url.path": "/"}},
		{"control characters", header("User-Agent: \x01\x1b[31m\t\x7f"), 400, line{"user_agent.original": "\x01\x1b[31m\t\x7f"}},
		{"JSON in a header", header(`User-Agent: ","@metadata":{"index":"evil"},"x":"`), 200, line{"user_agent.original": `","@metadata":{"index":"evil"},"x":"`}},
		{"a NUL in the path", "GET /\x00" + end, 400, line{"url.path": "", "http.route": "other"}},
		{"TLS on the plain port", "\x16\x03\x01\x02\x00\x01\x00\xff\xfe\r\n", 400, line{"message": "(unreadable request) 400"}},
		{"an unknown version", "GET /v1/feed HTTP/9.9\r\nHost: x\r\n\r\n", 400, nil},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, nil},
		{"an unknown transfer coding", "GET /v1/feed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: foo\r\n\r\n", 400, line{"http.route": "/v1/feed", "log.level": "info"}},
		{"HTTP/0.9", "GET /v1/feed\r\n", 200, line{"http.version": "", "url.domain": "pharos"}},
		{"HTTP/1.0 without a host", "GET /v1/feed HTTP/1.0\r\n\r\n", 200, line{"http.version": "1.0", "url.domain": "pharos"}},
		{"a host that is no name", "GET / HTTP/1.1\r\nHost: \xff\"\r\nConnection: close\r\n\r\n", varies, nil},
		{"no host", "GET /v1/feed HTTP/1.1\r\nConnection: close\r\n\r\n", 400, line{"http.route": "/v1/feed", "http.request.method": "GET"}},
		{"two hosts", "PUT /v1/feed HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, line{"http.route": "/v1/feed", "http.request.method": "PUT"}},
		{"a method in lower case", "get / HTTP/1.1\r\nHost: x\r\n\r\n", 400, line{"http.request.method": ""}},
		{"TRACE", "TRACE /v1/feed" + end, 405, line{"http.request.method": "TRACE"}},
		{"CONNECT", "CONNECT x:443" + end, varies, nil},
		{"a whole URL", "GET http://abs.example/v1/feed?x=1" + end, 200, line{"url.path": "/v1/feed", "url.domain": "abs.example"}},
		{"a huge URI", "GET /" + long + end, 414, line{"url.path": "", "http.route": "other"}},
		{"a huge header", header("X: " + long), 431, line{"url.path": "/"}},
		{"an impossible length", header("Content-Length: -1"), 400, nil},
		{"our own page", "GET /-/problem?x" + end, 404, line{"url.path": "/-/problem", "http.route": "other"}},
		{"half a request", "GET /v1/feed HTTP/1.1\r\nHost: x\r\n", 400, line{"http.route": "/v1/feed"}},
		{"a token", "GET /v1/feed?limit=3&access_token=s3cret&x=1" + end, 200, line{"url.query": "limit=3&access_token=***", "url.original": "/v1/feed?limit=3&access_token=***"}},
		{"a password", "GET /?Password=s3cret" + end, 200, line{"url.query": "Password=***"}},
		{"an API key", "GET /?api-key=s3cret" + end, 200, line{"url.query": "api-key=***"}},
		{"no secret", "GET /?author=a&tokyo=b" + end, 200, line{"url.query": "author=a&tokyo=b"}},
		{"secrets in headers", header("Authorization: Bearer s3cret\r\nCookie: s3cret\r\nX-Api-Key: s3cret\r\nReferer: http://a/?token=s3cret"), 200, line{"http.request.referrer": "http://a/"}},
	}
	f := start(t, settings{servers: []string{api(t, answers)}})
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			raw(t, f.addr, c.request)
			text := f.lines(t, i+1)[i]
			l := parse(t, text)
			if got, _ := l["http.response.status_code"].(float64); got >= 500 || (c.status != varies && got != c.status) {
				t.Errorf("status %v, want %v", l["http.response.status_code"], c.status)
			}
			for name, want := range c.want {
				if l[name] != want {
					t.Errorf("%s = %q, want %q", name, l[name], want)
				}
			}
			if bytes.Contains(text, []byte("s3cret")) {
				t.Errorf("a secret in %s", text)
			}
		})
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	f := start(t, settings{servers: []string{api(t, answers)}})
	const heartbeat = "Elastic-Heartbeat/8.19.13 (linux; amd64; 0; 2026-01-01 00:00:00 +0000 UTC)"
	for i, c := range []struct {
		path, agent string
		probe       bool
	}{
		{"/healthz", "anyone", true},
		{"/healthz", heartbeat, true},
		{"/", heartbeat, true}, // from this machine
		{"/", "Mozilla Elastic-Heartbeat/8", false},
		{"/HEALTHZ", "anyone", false},
		{"/healthz%0a", "anyone", false},
		{"/v1/feed?/healthz|", "|127.0.0.1|Elastic-Heartbeat/8", false},
	} {
		get(t, f.url(c.path), "User-Agent", c.agent)
		if got := parse(t, f.lines(t, i+1)[i])["labels.probe"]; got != c.probe {
			t.Errorf("%s by %q: labels.probe %v, want %v", c.path, c.agent, got, c.probe)
		}
	}
}

// A client that is not on this machine cannot hide its requests from
// availability. The addresses of the map's middle part cannot be had in a
// test, so its pattern is tried as it stands.
func TestHeartbeatIsBelievedFromLoopbackOnly(t *testing.T) {
	t.Parallel()
	pattern := mapBlock(t, `"$server_name|$route|$remote_addr|$http_user_agent"`)[3].pattern
	for source, want := range map[string]bool{
		"pharos|/v1/feed|127.0.0.1|Elastic-Heartbeat/8.19": true,
		"pharos|/v1/feed|::1|Elastic-Heartbeat/8.19":       true,
		"pharos|/v1/feed|172.18.0.1|Elastic-Heartbeat/8":   false,
		"pharos|/v1/feed|10.0.0.1|Elastic-Heartbeat/8":     false,
		"pharos|/|8.8.8.8||127.0.0.1|Elastic-Heartbeat/8":  false,
	} {
		if pattern.MatchString(source) != want {
			t.Errorf("%s: %v, want %v", source, !want, want)
		}
	}
}
