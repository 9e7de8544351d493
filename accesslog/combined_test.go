package accesslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"pharos/accesslog"
	"pharos/elastic"
	"pharos/internal/teststack"
)

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		line string
		want accesslog.Line
		err  string
	}{
		"combined": {
			line: `83.149.9.216 - frank [17/May/2015:12:05:03 +0200] "GET /a?b=c HTTP/1.1" 200 203023 "http://x/" "Mozilla/5.0 \"q\""`,
			want: accesslog.Line{
				Client: "83.149.9.216", User: "frank", At: time.Date(2015, 5, 17, 10, 5, 3, 0, time.UTC), Method: "GET", Target: "/a?b=c",
				Protocol: "1.1", Status: 200, Bytes: 203023, Referrer: "http://x/", UserAgent: `Mozilla/5.0 "q"`,
			},
		},
		"cut off": {
			line: `::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "Mozilla/5.0 (compatible; Goo`,
			want: accesslog.Line{
				Client: "::1", At: time.Date(2015, 5, 17, 10, 5, 3, 0, time.UTC), Method: "GET", Target: "/", Protocol: "1.1", Status: 200, Bytes: 1,
				UserAgent: "Mozilla/5.0 (compatible; Goo",
			},
		},
		"common": {
			line: `host.example - - [17/May/2015:10:05:03 +0000] "HEAD / HTTP/1.0" 304 -`,
			want: accesslog.Line{Client: "host.example", At: time.Date(2015, 5, 17, 10, 5, 3, 0, time.UTC), Method: "HEAD", Target: "/", Protocol: "1.0", Status: 304},
		},
		"no request": {
			line: `::1 - - [17/May/2015:10:05:03 +0000] "\x16\x03" 400 0 "-" "-"`,
			want: accesslog.Line{Client: "::1", At: time.Date(2015, 5, 17, 10, 5, 3, 0, time.UTC), Target: `\x16\x03`, Status: 400},
		},
		"prose":  {line: "hello", err: "not a line of the combined log format"},
		"time":   {line: `h - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1`, err: "time [17/Mai/2015:10:05:03 +0000]: want the form [17/May/2015:10:05:03 +0000]"},
		"status": {line: `h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 099 1`, err: "status 099: want 100 to 999"},
		"size":   {line: `h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 99999999999999999999`, err: "size 99999999999999999999: too large"},
	} {
		got, err := accesslog.NewParser().Parse(tt.line)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s: error %v, want %s", name, err, tt.err)
			}
			continue
		}
		if d := cmp.Diff(tt.want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
}

func TestDocument(t *testing.T) {
	line, err := accesslog.NewParser().Parse(`10.1.2.3 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 503 12 "-" "x"`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := line.Document(accesslog.Origin{Service: "nginx", Region: "here", File: "access.log"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"@timestamp":"2015-05-17T11:05:03.000Z","client.address":"10.1.2.3","client.ip":"10.1.2.3","cloud.region":"here",` +
		`"ecs.version":"8.11.0","event.category":["web"],"event.dataset":"nginx.access","event.kind":"event","event.outcome":"failure",` +
		`"event.type":["access"],"http.request.method":"GET","http.response.body.bytes":12,"http.response.status_code":503,"http.route":"other",` +
		`"http.version":"1.1","labels":{"imported":true,"probe":false},"log.file.path":"access.log","log.level":"error","message":"GET /a 503",` +
		`"service.name":"nginx","source.ip":"10.1.2.3","url.original":"/a?b=c","url.path":"/a","url.query":"b=c","user_agent.original":"x"}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}

// memory is a store that knows ids.
type memory struct {
	ids  map[string]bool
	fail error
}

func (m *memory) Create(_ context.Context, _ string, documents []elastic.Document) (r elastic.CreateResult, err error) {
	for _, d := range documents {
		if !json.Valid(d.Body) {
			return r, errors.New("not JSON")
		}
		if m.ids[d.ID] {
			r.Present++
			continue
		}
		m.ids[d.ID] = true
		r.Created++
	}
	return r, m.fail
}

func TestImportCountsEveryLine(t *testing.T) {
	const good = `h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1`
	log := strings.Join([]string{good, good, "", "bad", strings.Repeat("x", 300<<10), strings.Replace(good, " 200 ", " 500 ", 1)}, "\r\n")
	to := &memory{ids: map[string]bool{}}
	im := accesslog.Import{Stream: "s", Origin: accesslog.Origin{File: "f"}}
	got, err := im.Run(t.Context(), strings.NewReader(log), to)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2015, 5, 17, 10, 5, 3, 0, time.UTC)
	want := accesslog.Report{
		Lines: 5, Total: 3, Bad: 1, Created: 3, Malformed: 2, From: at, To: at, Statuses: map[int]int{200: 2, 500: 1},
		Problems: []accesslog.Problem{{Line: 3, Reason: "not a line of the combined log format"}, {Line: 4, Reason: "longer than 256 KiB"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	again, err := im.Run(t.Context(), strings.NewReader(log), to)
	if err != nil || again.Created != 0 || again.Present != 3 {
		t.Errorf("again: %+v, %v", again, err)
	}
	to.fail = errors.New("away")
	if _, err := im.Run(t.Context(), strings.NewReader(log), to); err == nil || !strings.Contains(err.Error(), "import up to line 5: away") {
		t.Errorf("store away: %v", err)
	}
}

// The known answer: 10,000 real lines, counted by the query that watches and
// objectives use.
func TestKnownAnswer(t *testing.T) {
	es, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "apache_logs"))
	if err != nil {
		t.Skipf("SKIPPED: needs the project's data, which a clone of its own does not have: %v", err)
	}
	// A region of its own keeps other runs' imports out of the count.
	region := "test-" + uuid.NewString()
	im := accesslog.Import{Stream: elastic.TrafficStream, Origin: accesslog.Origin{Service: "nginx", Region: region, File: region}}
	report, err := im.Run(t.Context(), bytes.NewReader(log), es)
	if err != nil || report.Created != 10000 || report.Malformed != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	again, err := im.Run(t.Context(), bytes.NewReader(log), es)
	if err != nil || again.Created != 0 || again.Present != 10000 {
		t.Fatalf("again: %+v, %v", again, err)
	}
	window := elastic.Window{From: time.Date(2015, 5, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2015, 6, 1, 0, 0, 0, 0, time.UTC)}
	filter := elastic.TrafficFilter{Region: region}
	var got elastic.Availability
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && got.Total < 10000; time.Sleep(200 * time.Millisecond) {
		if got, err = es.Availability(t.Context(), window, filter); err != nil {
			t.Fatal(err)
		}
	}
	if want := (elastic.Availability{Total: 10000, Bad: 3, Ratio: 0.9997}); got != want {
		t.Errorf("availability %+v, want %+v", got, want)
	}
	for status, want := range map[int]int64{404: 213, 304: 445, 301: 164} {
		res, err := es.Search(t.Context(), elastic.TrafficStream, elastic.Query{"size": 0, "query": elastic.Query{"bool": elastic.Query{"filter": []elastic.Query{
			elastic.Traffic(window, filter), {"term": elastic.Query{"http.response.status_code": status}},
		}}}})
		if err != nil || res.Total != want {
			t.Errorf("status %d: %v, %v; want %d", status, res, err, want)
		}
	}
}
