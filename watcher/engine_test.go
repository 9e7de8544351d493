package watcher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/internal/teststack"
	"pharos/watcher"
	"pharos/watcher/action/logging"
	"pharos/watcher/action/webhook"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/mustache"
)

// start is the time in all of these tests.
var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// noElasticsearch is for watches that need none.
type noElasticsearch struct{}

func (noElasticsearch) Do(_ context.Context, method, path string, _ []byte) (int, []byte, error) {
	return 0, nil, errors.New("nothing answers " + method + " " + path)
}

func realElasticsearch(t *testing.T) *elastic.Client {
	t.Helper()
	client, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func newEngine(t testing.TB, es watcher.Elasticsearch) *watcher.Engine {
	t.Helper()
	client := httpcall.NewClient(httpcall.Config{Allow: []string{"http://127.0.0.1:*"}, MaxResponse: 1 << 20, ConnectTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second})
	t.Cleanup(client.Close)
	r := mustache.Renderer{}
	return watcher.New(watcher.Config{
		Elasticsearch: es, Renderer: r, HTTP: client, DefaultThrottle: 5 * time.Second,
		Now: func() time.Time { return start }, NewID: func() string { return "uuid" },
		Actions: map[string]watcher.ParseAction{
			"logging": logging.Parser(logging.Deps{Renderer: r, Log: zap.NewNop()}),
			"webhook": webhook.Parser(webhook.Deps{Renderer: r, Client: client}),
		},
	})
}

func parse(t *testing.T, e *watcher.Engine, rest string) *watcher.Watch {
	t.Helper()
	w, err := e.Parse(t.Context(), "w", []byte(`{"trigger":{"schedule":{"interval":"10m"}},`+rest+`}`))
	if err != nil {
		t.Fatalf("%s: %v", rest, err)
	}
	return w
}

// run parses a watch and executes it once.
func run(t *testing.T, e *watcher.Engine, rest string, o watcher.Options) (*document.Object, watcher.Status) {
	t.Helper()
	w := parse(t, e, rest)
	r, status := e.Execute(t.Context(), w, watcher.NewStatus(true, start, w.ActionIDs()), watcher.Trigger{TriggeredTime: start, ScheduledTime: start}, o)
	return r.Document(), status
}

func show(o *document.Object, path string) string { return document.String(document.At(o, path)) }

func TestForeach(t *testing.T) {
	e := newEngine(t, noElasticsearch{})
	const input = `"input":{"simple":{"hits":[{"_id":"a"},{"_id":"b"},"c"],"empty":[],"one":{"x":1}}},`
	for _, c := range []struct{ action, want string }{
		{`"foreach":"ctx.payload.hits","logging":{"text":"{{ctx.payload._id}}{{ctx.payload._value}}"}`,
			"{id=l, type=logging, status=success, number_of_actions_executed=3, foreach=[{logging={logged_text=a}}, {logging={logged_text=b}}, {logging={logged_text=c}}], max_iterations=100}"},
		{`"foreach":"ctx.payload.hits","max_iterations":1,"logging":{"text":"{{ctx.payload._id}}"}`,
			"{id=l, type=logging, status=success, number_of_actions_executed=1, foreach=[{logging={logged_text=a}}], max_iterations=1}"},
		{`"foreach":"ctx.payload.none","logging":{"text":"x"}`,
			"{id=l, type=logging, status=failure, error={root_cause=[{type=exception, reason=specified foreach object was null: [ctx.payload.none]}], type=exception, reason=specified foreach object was null: [ctx.payload.none]}}"},
		{`"foreach":"ctx.payload.one","logging":{"text":"x"}`,
			"{id=l, type=logging, status=failure, error={root_cause=[{type=exception, reason=specified foreach object was not a an array/collection: [ctx.payload.one]}], type=exception, reason=specified foreach object was not a an array/collection: [ctx.payload.one]}}"},
		{`"foreach":"ctx.payload.empty","logging":{"text":"x"}`,
			"{id=l, type=logging, status=failure, error={root_cause=[{type=exception, reason=foreach object [ctx.payload.empty] was an empty list, could not run any action}], type=exception, reason=foreach object [ctx.payload.empty] was an empty list, could not run any action}}"},
	} {
		record, _ := run(t, e, input+`"actions":{"l":{`+c.action+`}}`, watcher.Options{})
		if got := show(record, "result.actions.0"); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.action, got, c.want)
		}
	}
}

func TestForeachPartlyFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(500)
		}
	}))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	record, status := run(t, newEngine(t, noElasticsearch{}), `"input":{"simple":{"l":["good","bad"]}},"actions":{"l":{"foreach":"ctx.payload.l",
		"webhook":{"host":"127.0.0.1","port":`+u.Port()+`,"path":"/{{ctx.payload._value}}"}}}`, watcher.Options{})
	if got := show(record, "result.actions.0.status"); got != "partial_failure" {
		t.Errorf("status %s: %s", got, document.String(record))
	}
	if a := status.Action("l"); a.LastExecution == nil || a.LastExecution.Successful || a.Ack != watcher.Awaits {
		t.Errorf("status %+v", a)
	}
}

func TestHTTPInput(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, body, _ := strings.Cut(r.URL.Query().Get("answer"), "|")
		w.Header()["Date"] = nil
		w.Header().Set("Content-Type", kind)
		if r.URL.Path == "/missing" {
			w.WriteHeader(404)
		}
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	for _, c := range []struct{ path, more, answer, want string }{
		{"/", ``, `application/json|{"b":1,"a":{"c":[1]}}`, "{b=1, a={c=[1]}"},
		{"/", `,"extract":["a.c"]`, `application/json|{"b":1,"a":{"c":[1],"d":2}}`, "{a={c=[1]}"},
		{"/missing", ``, `application/json|[1,2]`, "{data=[1, 2]"},
		{"/", ``, `text/plain|hello`, "{_value=hello"},
		{"/", ``, `text/plain|{"a":1}`, "{a=1"},
		{"/", `,"response_content_type":"text"`, `application/json|{"a":1}`, `{_value={"a":1}`},
		{"/", `,"response_content_type":"yaml"`, "x|b: 1\na: [x, 1.5, true, null, 2026-11-21]", "{b=1, a=[x, 1.5, true, null, 2026-11-21]"},
		{"/", ``, "text/plain|", "{"},
	} {
		headers := "_headers={content-length=[" // length differs
		answer, _ := document.Marshal(c.answer)
		record, _ := run(t, newEngine(t, noElasticsearch{}), `"input":{"http":{"request":{"host":"127.0.0.1","port":`+u.Port()+`,"path":"`+c.path+`","params":{"answer":`+string(answer)+`}}`+c.more+`}}`, watcher.Options{})
		got := show(record, "result.input.payload")
		status := map[string]string{"/": "200", "/missing": "404"}[c.path]
		if !strings.HasPrefix(got, c.want) || !strings.Contains(got, headers) || !strings.HasSuffix(got, "_status_code="+status+"}") ||
			show(record, "result.input.http.status_code") != status {
			t.Errorf("%s: %s", c.answer, document.String(record))
		}
	}
	record, _ := run(t, newEngine(t, noElasticsearch{}), `"input":{"http":{"request":{"host":"127.0.0.1","port":`+u.Port()+`,"params":{"answer":"application/json|{x"}}}}`, watcher.Options{})
	if show(record, "state") != "failed" || show(record, "messages") != "[failed to execute watch input]" || show(record, "result.input.error.type") != "parse_exception" {
		t.Errorf("bad JSON: %s", document.String(record))
	}
}

func TestScriptThatFailsStopsNothingElse(t *testing.T) {
	e := newEngine(t, realElasticsearch(t))
	record, status := run(t, e, `"input":{"simple":{"n":1}},"actions":{
		"a":{"condition":{"script":"ctx.payload.x.y"},"logging":{"text":"a"}},
		"b":{"transform":{"script":"throw new Exception('no')"},"logging":{"text":"b"}},
		"c":{"transform":{"script":"ctx.vars.c = 3; return ['n': ctx.payload.n + 1]"},"logging":{"text":"n={{ctx.payload.n}}"}},
		"d":{"logging":{"text":"n={{ctx.payload.n}} c={{ctx.vars.c}}"}}}`, watcher.Options{})
	for path, want := range map[string]string{
		"state": "executed", "result.actions.0.status": "condition_failed", "result.actions.0.reason": "condition failed. skipping: runtime error",
		"result.actions.1.status": "failure", "result.actions.1.reason": "Failed to transform payload", "result.actions.1.transform.error.type": "script_exception",
		"result.actions.1.transform.error.script_stack": "[throw new Exception('no'),       ^---- HERE]",
		"result.actions.2.logging.logged_text":          "n=2", "result.actions.3.logging.logged_text": "n=1 c=3",
	} {
		if got := show(record, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if a := status.Action("b"); a.LastExecution.Successful || a.LastExecution.Reason != "Failed to transform payload" {
		t.Errorf("b: %+v", a.LastExecution)
	}
}

// TestRecordGolden holds the whole shape of records: one document a watch.
func TestRecordGolden(t *testing.T) {
	es := realElasticsearch(t)
	for _, doc := range []string{`{"level":"error","host":"a"}`, `{"level":"error","host":"b"}`, `{"level":"info","host":"a"}`} {
		if status, answer, err := es.Do(t.Context(), "POST", "/test-watcher-engine/_doc?refresh=true", []byte(doc)); err != nil || status != 201 {
			t.Fatalf("%v %s", err, answer)
		}
	}
	t.Cleanup(func() {
		if _, _, err := es.Do(context.Background(), "DELETE", "/test-watcher-engine", nil); err != nil {
			t.Error(err)
		}
	})
	e := newEngine(t, es)
	volatile := regexp.MustCompile(`"took":\d+`)
	files, err := filepath.Glob("testdata/*.watch.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no watches in testdata", err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w, err := e.Parse(t.Context(), "w", source)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		r, _ := e.Execute(t.Context(), w, watcher.NewStatus(true, start, w.ActionIDs()),
			watcher.Trigger{TriggeredTime: start, ScheduledTime: start}, watcher.Options{User: "u", Node: "n", Debug: true})
		data, err := document.Marshal(r.Document())
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, volatile.ReplaceAll(data, []byte(`"took":0`)), "", "  "); err != nil {
			t.Fatal(err)
		}
		got := indented.String()
		golden := strings.TrimSuffix(file, ".watch.json") + ".record.json"
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, []byte(got+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSpace(string(want)), got); diff != "" {
			t.Errorf("%s (UPDATE_GOLDEN=1 writes it anew):\n%s", golden, diff)
		}
	}
}
