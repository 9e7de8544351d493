package intake

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/elastic/apm-data/model/modelpb"
	"github.com/gin-gonic/gin"

	"pharos/internal/httpserver"
	"pharos/internal/obs"
)

// FuzzEvents posts any bytes in any encoding. The intake must answer as agents
// expect, and whatever it makes of them must be whole documents for streams
// whose names Elasticsearch allows.
func FuzzEvents(f *testing.F) {
	golden, err := os.ReadFile("testdata/events.ndjson")
	if err != nil {
		f.Fatal(err)
	}
	const metadata = `{"metadata":{"service":{"name":"api","agent":{"name":"go","version":"2.7.1"}}}}` + "\n"
	for _, seed := range []string{
		string(golden), metadata, "", "\n\n", "{", `{"metadata":{}}`, metadata + `{"log":{"message":"x"}}`,
		metadata + `{"transaction":{"id":"1","trace_id":"t","type":"request","duration":1,"span_count":{"started":0}}}`,
		`{"m":{"se":{"n":"web","a":{"n":"rum-js","ve":"5"}}}}` + "\n" + `{"x":{"id":"1","tid":"2","t":"page-load","d":1,"yc":{"sd":0}}}`,
		metadata + `{"metricset":{"samples":{"a.b":{"values":[1,2],"counts":[1,2],"type":"histogram"}}}}`,
		metadata + `{"error":{"id":"1","exception":{"message":"x","cause":[{"message":"y"}],"code":12.5}}}`,
	} {
		var zipped, deflated bytes.Buffer
		for _, w := range []io.WriteCloser{gzip.NewWriter(&zipped), zlib.NewWriter(&deflated)} {
			_, _ = io.WriteString(w, seed)
			_ = w.Close()
		}
		f.Add([]byte(seed), uint8(0))
		f.Add(zipped.Bytes(), uint8(1))
		f.Add(deflated.Bytes(), uint8(2))
	}
	tel, err := obs.Discard("intake")
	if err != nil {
		f.Fatal(err)
	}
	tel.Tracer.SetRecording(false)
	in, err := New(tel, transport(func(*http.Request) (*http.Response, error) { return nil, io.EOF }), Config{
		SecretToken: "x", MaxEventSize: 300 << 10, MaxRequestSize: 8 << 20, MaxStreams: 1, QueueBytes: 1 << 20, QueueWait: time.Second, FlushBytes: 1 << 20, FlushInterval: time.Second, BulkRequests: 1,
		LogsMaxRequestSize: 1 << 20, LogsMaxLineSize: 64 << 10, LogsRate: 1e9, LogsRateBurst: 10_000, LogsMaxAge: 72 * time.Hour, OTLPMaxRequestSize: 1 << 20,
	})
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = in.Close(f.Context()) }()
	gin.SetMode(gin.ReleaseMode)
	router := httpserver.NewRouter(tel, httpserver.RouterOptions{Draining: func() bool { return false }})
	in.Routes(router)

	name := regexp.MustCompile(`^(traces|logs|metrics)-apm[a-z0-9_.]*-default$`)
	f.Fuzz(func(t *testing.T, body []byte, encoding uint8) {
		// What would be queued is looked at instead: a queue that works in the
		// background would make the coverage differ from run to run.
		in.batch = newBatch(tel.Service, in.metrics, modelpb.ProcessBatchFunc(func(_ context.Context, b *modelpb.Batch) error {
			for _, d := range in.queue.encode(*b) {
				if !name.MatchString(d.index) {
					t.Errorf("index %q", d.index)
				}
				if !json.Valid(d.json) || bytes.ContainsRune(d.json, '\n') {
					t.Errorf("document %q", d.json)
				}
			}
			return nil
		}))
		r := httptest.NewRequest(http.MethodPost, "/intake/v2/events?verbose", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("Content-Encoding", []string{"", "gzip", "deflate"}[encoding%3])
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		if w.Code != http.StatusAccepted && w.Code != http.StatusBadRequest {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
		var answer struct{ Accepted *int }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Accepted == nil {
			t.Errorf("answered %s: %v", w.Body, err)
		}
	})
}

// FuzzLogs posts any bytes as log lines. Each line is accepted or refused by its
// number, and what is accepted names no stream but its own, as whole JSON.
func FuzzLogs(f *testing.F) {
	for _, seed := range []string{
		`{"service.name":"x"}`, `{"service":{"name":"x"},"@timestamp":"2026-01-05T02:00:00Z","labels":{"a":1}}`, "{}\n\n{}", "", "\n", "null", `{"service.name":"x","a":[[{"b":null}]]}`,
		`{"@metadata":{"index":"evil"},"service.name":"x"}`, `{"service.name":"x","data_stream.type":"metrics"}`, `{"service.name":"x","service":{"name":null}}`, `{"service.name":"x","_id":1}`, "\xff\xfe", `{"service.name":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	tel, err := obs.Discard("intake")
	if err != nil {
		f.Fatal(err)
	}
	in, err := New(tel, transport(func(*http.Request) (*http.Response, error) { return nil, io.EOF }), Config{
		SecretToken: "x", MaxEventSize: 300 << 10, MaxRequestSize: 8 << 20, MaxStreams: 1, QueueBytes: 1 << 20, QueueWait: time.Second, FlushBytes: 1 << 20, FlushInterval: time.Second, BulkRequests: 1,
		LogsMaxRequestSize: 1 << 20, LogsMaxLineSize: 64 << 10, LogsRate: 1e9, LogsRateBurst: 10_000, LogsMaxAge: 72 * time.Hour, OTLPMaxRequestSize: 1 << 20,
	})
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = in.Close(f.Context()) }()
	f.Fuzz(func(t *testing.T, body []byte) {
		docs, answer, lines := in.parseLogs(body, "tester")
		if answer.Accepted+answer.Refused != lines || len(docs) != answer.Accepted || len(answer.Errors) != min(answer.Refused, maxRefusals) {
			t.Errorf("%d lines, %d documents: %+v", lines, len(docs), answer)
		}
		for _, r := range answer.Errors {
			if r.Line < 1 || r.Line > bytes.Count(body, []byte("\n"))+1 || r.Reason == "" {
				t.Errorf("%+v", r)
			}
		}
		for _, d := range docs {
			var got map[string]any
			if err := json.Unmarshal(d.json, &got); err != nil || bytes.ContainsRune(d.json, '\n') || d.index != logsIndex {
				t.Fatalf("%s: %q: %v", d.index, d.json, err)
			}
			for name := range got {
				if name != "@timestamp" && (name == "" || name[0] == '@' || name[0] == '_') {
					t.Errorf("root key %q", name)
				}
			}
			stream, _ := json.Marshal(got["data_stream"])
			labels, _ := got["labels"].(map[string]any)
			if string(stream) != `{"dataset":"external","namespace":"default","type":"logs"}` || labels["sender"] != "tester" {
				t.Errorf("document %s", d.json)
			}
		}
	})
}
