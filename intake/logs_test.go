package intake_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pharos/intake"
	"pharos/internal/env"
)

const (
	logKey    = "a-key-of-the-tests-0001"
	hashedKey = "a-key-of-the-tests-0002"
)

func logSettings() intake.Config {
	cfg := settings()
	sum := sha256.Sum256([]byte(hashedKey))
	cfg.APIKey, cfg.APIKeys = logKey, env.Secret("billing=sha256:"+hex.EncodeToString(sum[:])+",shop=a-key-of-the-tests-0003")
	return cfg
}

// lines is what POST /logs answered.
type lines struct {
	reply
	Refused int
	Errors  []struct {
		Line          int
		Field, Reason string
	}
	Type, Detail string
}

func (s *system) logLines(t testing.TB, body io.Reader, headers ...string) lines {
	t.Helper()
	r := lines{reply: s.send(t, http.MethodPost, "/logs", body, append([]string{"Authorization", "ApiKey " + logKey, "Content-Type", "application/x-ndjson"}, headers...)...)}
	if err := json.Unmarshal([]byte(r.body), &r); err != nil {
		t.Fatalf("answered %d %s: %v", r.status, r.body, err)
	}
	return r
}

func TestLogs(t *testing.T) {
	s := start(t, logSettings())
	at := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano)
	r := s.logLines(t, strings.NewReader(fmt.Sprintf(`{"@timestamp":%q,"message":"paid","service.name":"billing","service":{"version":"1.2"},"log.level":"info","labels":{"shop":"7"},"http.request.id":"abc","cloud.region":"moon"}`, at)+
		"\r\n\n"+`{"service":{"name":"billing"}}`))
	if r.status != http.StatusAccepted || r.Accepted != 2 || r.Refused != 0 || len(r.Errors) != 0 {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	docs := s.es.wait(t, 2)
	first, _ := json.Marshal(docs[0].Document)
	want := fmt.Sprintf(`{"@timestamp":%q,"cloud":{"region":"moon"},"data_stream":{"dataset":"external","namespace":"default","type":"logs"},"ecs":{"version":"8.11.0"},"http":{"request":{"id":"abc"}},"labels":{"sender":"default","shop":"7"},"log":{"level":"info"},"message":"paid","service":{"environment":"test","name":"billing","version":"1.2"}}`, at)
	if string(first) != want {
		t.Errorf("document\n%s\nwant\n%s", first, want)
	}
	for _, d := range docs {
		if d.Action != "create" || d.Index != "logs-external-default" {
			t.Errorf("%s into %s", d.Action, d.Index)
		}
		at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(d.Document["@timestamp"]))
		if err != nil || time.Since(at) > 2*time.Minute {
			t.Errorf("@timestamp %v", d.Document["@timestamp"])
		}
	}
	if n := s.metric(t, "pharos_intake_log_lines_total", "sender", "default", "outcome", "accepted"); n != 2 {
		t.Errorf("%v lines counted", n)
	}
}

func TestLogsAreRefusedLineByLine(t *testing.T) {
	s := start(t, logSettings())
	old, ahead := time.Now().Add(-73*time.Hour).Format(time.RFC3339), time.Now().Add(6*time.Minute).Format(time.RFC3339)
	deep := strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)
	var many strings.Builder
	for i := range 201 {
		fmt.Fprintf(&many, `"f%d":1,`, i)
	}
	for _, c := range []struct{ line, field, reason string }{
		{`{"message":"x"}`, "service.name", "is missing"},
		{`{"service.name":" "}`, "service.name", "is missing"},
		{`{"service.name":7}`, "service.name", "must be a string"},
		{`{"service":"api"}`, "service.name", "must be a string within objects"},
		{`{"service.name":"` + strings.Repeat("x", 257) + `"}`, "service.name", "may have at most 256 bytes"},
		{`{"service.name":"x","message":{"a":1}}`, "message", "must be a string"},
		{`{"service.name":"x","@timestamp":"` + old + `"}`, "@timestamp", "is older than 72h0m0s"},
		{`{"service.name":"x","@timestamp":"` + ahead + `"}`, "@timestamp", "is more than 5m0s ahead"},
		{`{"service.name":"x","@timestamp":1767600000}`, "@timestamp", "must be a time as in RFC 3339: 2026-01-05T02:00:00.000Z"},
		{`{"service.name":"x","@metadata":{"index":"evil"}}`, "@metadata", "is not a sender's to set"},
		{`{"service.name":"x","@metadata.pipeline":"evil"}`, "@metadata", "is not a sender's to set"},
		{`{"service.name":"x","_index":"evil"}`, "_index", "is not a sender's to set"},
		{`{"service.name":"x","_id":"1"}`, "_id", "is not a sender's to set"},
		{`{"service.name":"x","data_stream":{"dataset":"evil"}}`, "data_stream", "is not a sender's to set"},
		{`{"service.name":"x","data_stream.dataset":"evil"}`, "data_stream", "is not a sender's to set"},
		{`{"service.name":"x","pharos.malformed":1}`, "pharos", "is not a sender's to set"},
		{`{"service.name":"x","labels":{"sender":"somebody else"}}`, "labels.sender", "is not a sender's to set"},
		{`{"service.name":"x","labels":"a"}`, "labels", "must be an object"},
		{`{"service.name":"x","service":{"name":"y"}}`, "service.name", "is there twice"},
		{`{"service.name":"x","http":1,"http.request.id":"y"}`, "http.request.id", "is within something that is no object"},
		{`{"service.name":"x","a.b":1,"a":{"b":{"c":1}}}`, "a.b", "is there twice"},
		{`{"service.name":"x","a..b":1}`, "a..b", "is no usable name"},
		{`{"service.name":"x","":1}`, "", "is no usable name"},
		{`{"service.name":"x","a b":1}`, "a b", "is no usable name"},
		{`{"service.name":"x","a":[{"b c":1}]}`, "a.b c", "is no usable name"},
		{`{"service.name":"x","a":` + deep + `}`, "a.a.a.a.a.a.a.a.a.a.a.a", "is nested deeper than 12"},
		{`{"service.name":"x","a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, "a", "is nested deeper than 12"},
		{`{` + many.String() + `"service.name":"x"}`, "", "has more than 200 values"},
		{`{"service.name":"x","message":"` + strings.Repeat("x", 70000) + `"}`, "", "is longer than 65536 bytes"},
		{`["service.name"]`, "", "is no JSON object"},
		{`null`, "", "is no JSON object"},
		{`{"service.name":"x"`, "", "is no JSON object"},
		{`{"service.name":"x"}{}`, "", "has more than one JSON value"},
		{`hello`, "", "is no JSON object"},
	} {
		r := s.logLines(t, strings.NewReader(`{"service.name":"good"}`+"\n\n"+c.line+"\n"+`{"service.name":"good"}`+"\n"))
		if r.status != http.StatusBadRequest || r.Accepted != 2 || r.Refused != 1 || len(r.Errors) != 1 {
			t.Errorf("%.80s: answered %d %s", c.line, r.status, r.body)
			continue
		}
		if e := r.Errors[0]; e.Line != 3 || e.Field != c.field || e.Reason != c.reason {
			t.Errorf("%.80s: %+v", c.line, e)
		}
	}
	for _, d := range s.es.wait(t, 2*34) {
		if d.Index != "logs-external-default" || d.Document["service"].(map[string]any)["name"] != "good" {
			t.Errorf("%s: %v", d.Index, d.Document)
		}
	}
	many.Reset()
	for range 150 {
		many.WriteString("{}\n")
	}
	if r := s.logLines(t, strings.NewReader(many.String())); r.Refused != 150 || len(r.Errors) != 100 || r.Accepted != 0 {
		t.Errorf("answered %d %d %d", r.Refused, len(r.Errors), r.Accepted)
	}
}

func TestLogsByWhoKnowsAKey(t *testing.T) {
	s := start(t, logSettings())
	for header, want := range map[string]string{
		"ApiKey " + logKey:                 "default",
		"Bearer " + logKey:                 "default",
		"apikey " + hashedKey:              "billing",
		"Bearer a-key-of-the-tests-0003":   "shop",
		"":                                 "/problems/unauthenticated",
		logKey:                             "/problems/unauthenticated",
		"Basic " + logKey:                  "/problems/unauthenticated",
		"ApiKey ":                          "/problems/unauthenticated",
		"ApiKey " + logKey + "x":           "/problems/invalid-api-key",
		"Bearer " + token:                  "/problems/invalid-api-key", // the agents' is for agents
		"ApiKey sha256:" + hashedKey:       "/problems/invalid-api-key",
		"ApiKey " + logKey[:len(logKey)-1]: "/problems/invalid-api-key",
	} {
		before := len(s.es.documents())
		r := s.logLines(t, strings.NewReader(`{"service.name":"x"}`), "Authorization", header)
		if strings.HasPrefix(want, "/") {
			if r.status != http.StatusUnauthorized || r.Type != want || r.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%q: answered %d %s", header, r.status, r.body)
			}
			continue
		}
		docs := s.es.wait(t, before+1)
		if sender := docs[before].Document["labels"].(map[string]any)["sender"]; r.status != http.StatusAccepted || sender != want {
			t.Errorf("%q: answered %d, sender %v", header, r.status, sender)
		}
	}
	for _, line := range s.logs.All() {
		text, _ := json.Marshal(line.ContextMap())
		for _, key := range []string{logKey, hashedKey} {
			if bytes.Contains(text, []byte(key)) {
				t.Errorf("the log has a key: %s", text)
			}
		}
	}
	without := start(t, settings())
	if r := without.logLines(t, strings.NewReader(`{"service.name":"x"}`)); r.status != http.StatusUnauthorized {
		t.Errorf("without keys: answered %d %s", r.status, r.body)
	}
}

func TestLogsBodies(t *testing.T) {
	cfg := logSettings()
	cfg.LogsMaxRequestSize = 128 << 10
	s := start(t, cfg)
	line := []byte(`{"service.name":"x"}` + "\n")
	var zipped, deflated, bomb bytes.Buffer
	for _, w := range []io.WriteCloser{gzip.NewWriter(&zipped), zlib.NewWriter(&deflated)} {
		_, _ = w.Write(line)
		_ = w.Close()
	}
	w := gzip.NewWriter(&bomb)
	for range 100 {
		_, _ = w.Write(bytes.Repeat([]byte(" "), 64<<10))
	}
	_ = w.Close()
	for name, c := range map[string]struct {
		body    []byte
		headers []string
		status  int
	}{
		"gzip":             {zipped.Bytes(), []string{"Content-Encoding", "gzip"}, http.StatusAccepted},
		"deflate":          {deflated.Bytes(), []string{"Content-Encoding", "deflate"}, http.StatusAccepted},
		"no type":          {line, []string{"Content-Type", ""}, http.StatusAccepted},
		"one object":       {line, []string{"Content-Type", "application/json; charset=utf-8"}, http.StatusAccepted},
		"a bomb":           {bomb.Bytes(), []string{"Content-Encoding", "gzip"}, http.StatusRequestEntityTooLarge},
		"too long":         {bytes.Repeat(line, 7000), nil, http.StatusRequestEntityTooLarge},
		"not gzip":         {line, []string{"Content-Encoding", "gzip"}, http.StatusBadRequest},
		"cut":              {zipped.Bytes()[:20], []string{"Content-Encoding", "gzip"}, http.StatusBadRequest},
		"another encoding": {line, []string{"Content-Encoding", "br"}, http.StatusBadRequest},
		"another type":     {line, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		"empty":            {nil, nil, http.StatusBadRequest},
		"no lines":         {[]byte("\n\n"), nil, http.StatusBadRequest},
	} {
		if r := s.logLines(t, bytes.NewReader(c.body), c.headers...); r.status != c.status || r.status != http.StatusAccepted && r.Type == "" {
			t.Errorf("%s: answered %d %s", name, r.status, r.body)
		}
	}
	s.es.wait(t, 4)
}

func TestLogsRateLimit(t *testing.T) {
	cfg := logSettings()
	cfg.LogsRate, cfg.LogsRateBurst = 1, 10
	s := start(t, cfg)
	send := func(n int, key string) lines {
		return s.logLines(t, strings.NewReader(strings.Repeat(`{"service.name":"x"}`+"\n", n)), "Authorization", "ApiKey "+key)
	}
	if r := send(11, logKey); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("more than may ever come at once: answered %d %s", r.status, r.body)
	}
	if r := send(8, logKey); r.status != http.StatusAccepted {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	r := send(8, logKey)
	if wait := r.header.Get("Retry-After"); r.status != http.StatusTooManyRequests || wait != "6" && wait != "5" {
		t.Errorf("answered %d, Retry-After %q: %s", r.status, wait, r.body)
	}
	if r := send(8, hashedKey); r.status != http.StatusAccepted {
		t.Errorf("another key: answered %d %s", r.status, r.body)
	}
	s.es.wait(t, 16)
}

// A full queue takes a request whole or not at all, and says when to come back.
func TestLogsBackpressure(t *testing.T) {
	cfg := logSettings()
	cfg.QueueBytes, cfg.FlushBytes, cfg.BulkRequests, cfg.QueueWait = 64<<10, 4<<10, 1, 50*time.Millisecond
	s := start(t, cfg)
	s.es.set(func() {
		s.es.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
	})
	line := `{"service.name":"x","message":"` + strings.Repeat("y", 1000) + "\"}\n"
	accepted := 0
	var full lines
	for range 100 {
		if full = s.logLines(t, strings.NewReader(strings.Repeat(line, 10))); full.status != http.StatusAccepted {
			break
		}
		accepted += 10
	}
	if full.status != http.StatusServiceUnavailable || full.Type != "/problems/overloaded" || full.header.Get("Retry-After") != "5" || !strings.Contains(full.Detail, "queue is full") {
		t.Errorf("answered %d %v %s", full.status, full.header, full.body)
	}
	s.es.set(func() { s.es.refuse = nil })
	s.es.wait(t, accepted)
}

// What Elasticsearch refuses after all is counted and logged.
func TestLogsThatElasticsearchRefuses(t *testing.T) {
	s := start(t, logSettings())
	s.es.set(func() {
		s.es.judge = func(d document) verdict {
			if d.Document["message"] == "bad" {
				return verdict{http.StatusBadRequest, "document_parsing_exception", "no"}
			}
			return verdict{status: http.StatusCreated}
		}
	})
	s.logLines(t, strings.NewReader(`{"service.name":"x","message":"bad"}`+"\n"+`{"service.name":"x","message":"good"}`))
	s.es.wait(t, 1)
	eventually(t, func() bool { return s.metric(t, "pharos_intake_documents_failed_total") == 1 })
	eventually(t, func() bool { return s.logs.FilterMessage("1 documents were lost").Len() == 1 })
}

func TestKeySettings(t *testing.T) {
	for _, bad := range []string{"x", "Name=0123456789abcdef", "a=short", "a=0123456789abcdef,a=0123456789abcdeg", "a=sha256:00", "=0123456789abcdef", "default=0123456789abcdef"} {
		cfg := logSettings()
		cfg.APIKeys = env.Secret(bad)
		if err := cfg.Validate(); err == nil || strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for name, change := range map[string]func(*intake.Config){
		"LOGS_MAX_LINE_SIZE":    func(c *intake.Config) { c.LogsMaxLineSize = 1 },
		"LOGS_MAX_REQUEST_SIZE": func(c *intake.Config) { c.LogsMaxRequestSize = 1 },
		"LOGS_RATE_LIMIT":       func(c *intake.Config) { c.LogsRate = 0 },
		"LOGS_RATE_BURST":       func(c *intake.Config) { c.LogsRateBurst = 100_000 },
		"LOGS_MAX_AGE":          func(c *intake.Config) { c.LogsMaxAge = 0 },
		"OTLP_MAX_REQUEST_SIZE": func(c *intake.Config) { c.OTLPMaxRequestSize = 0 },
	} {
		cfg := logSettings()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
