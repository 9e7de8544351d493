package watcherhttp_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"

	"pharos/watcher/document"
)

const plainWatch = `{"trigger":{"schedule":{"interval":"10m"}},"input":{"simple":{"n":5}},"condition":{"compare":{"ctx.payload.n":{"gt":3}}},
	"throttle_period":"15m","metadata":{"team":"web"},"actions":{"log":{"logging":{"text":"n is 5"}},"other":{"throttle_period_in_millis":1000,"logging":{"text":"x"}}}}`

// ticking is a clock that the test moves.
type ticking struct{ at time.Time }

func (c *ticking) now() time.Time { return c.at }

func newClock() *ticking { return &ticking{time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)} }

func TestPutGetDelete(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	status, answer := s.call("PUT", "/_watcher/watch/w", plainWatch)
	s.expect(status, answer, 201, map[string]string{"_id": "w", "_version": "1", "_seq_no": "0", "_primary_term": "1", "created": "true"})
	status, answer = s.call("POST", "/_watcher/watch/w?active=false", plainWatch)
	s.expect(status, answer, 200, map[string]string{"_version": "2", "created": "false"})

	status, answer = s.call("GET", "/_watcher/watch/w", "")
	s.expect(status, answer, 200, map[string]string{
		"found": "true", "_id": "w", "_version": "2", "_seq_no": "1", "status.version": "2", "status.state.active": "false",
		"status.actions.log":              "{ack={timestamp=2026-11-21T09:00:00.000Z, state=awaits_successful_execution}}",
		"watch.throttle_period_in_millis": "900000", "watch.throttle_period": "-", "watch.metadata": "{team=web}",
		"watch.condition": "{compare={ctx.payload.n={gt=3}}}", "watch.actions.other": "{throttle_period_in_millis=1000, logging={level=info, text=x}}",
	})
	status, answer = s.call("PUT", "/_watcher/watch/w?if_seq_no=0&if_primary_term=1", plainWatch)
	s.expect(status, answer, 409, map[string]string{"error.type": "version_conflict_engine_exception",
		"error.reason": "[w]: version conflict, required seqNo [0], primary term [1]. current document has seqNo [1] and primary term [1]"})
	status, answer = s.call("PUT", "/_watcher/watch/w?version=7", plainWatch)
	s.expect(status, answer, 409, map[string]string{"error.reason": "[w]: version conflict, current version [2] is different than the one provided [7]"})
	status, answer = s.call("PUT", "/_watcher/watch/w?version=2", plainWatch)
	s.expect(status, answer, 200, map[string]string{"_version": "3"})

	status, answer = s.call("DELETE", "/_watcher/watch/w", "")
	s.expect(status, answer, 200, map[string]string{"_id": "w", "_version": "4", "found": "true"})
	status, answer = s.call("DELETE", "/_watcher/watch/w", "")
	s.expect(status, answer, 404, map[string]string{"_id": "w", "found": "false"})
	status, answer = s.call("GET", "/_watcher/watch/w", "")
	s.expect(status, answer, 404, map[string]string{"_id": "w", "found": "false", "error": "-"})
}

func TestRefusesRequests(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	s.call("PUT", "/_watcher/watch/w", plainWatch)
	for _, c := range []struct {
		method, path, body string
		status             int
		kind, reason       string
	}{
		{"PUT", "/_watcher/watch/a%20b", plainWatch, 400, "action_request_validation_exception", "Validation Failed: 1: watch id contains whitespace;"},
		{"PUT", "/_watcher/watch/w", "", 400, "parse_exception", "could not parse watch [w]. null token"},
		{"PUT", "/_watcher/watch/w?foo=1", plainWatch, 400, "illegal_argument_exception", "request [/_watcher/watch/w] contains unrecognized parameter: [foo]"},
		{"PUT", "/_watcher/watch/w?if_seq_no=1", plainWatch, 400, "action_request_validation_exception", "Validation Failed: 1: ifSeqNo is set, but primary term is [0];"},
		{"PUT", "/_watcher/watch/w?active=maybe", plainWatch, 400, "illegal_argument_exception", "Failed to parse value [maybe] as only [true] or [false] are allowed."},
		{"PUT", "/_watcher/watch/none?version=1", plainWatch, 404, "resource_not_found_exception", "Watch with id [none] does not exist"},
		{"POST", "/_watcher/watch/none/_execute", "", 404, "resource_not_found_exception", "Watch with id [none] does not exist"},
		{"POST", "/_watcher/watch/none/_ack", "", 404, "resource_not_found_exception", "Watch with id [none] does not exist"},
		{"POST", "/_watcher/watch/none/_activate", "", 404, "document_missing_exception", "[none]: document missing"},
		{"POST", "/_watcher/watch/_execute", "{}", 400, "action_request_validation_exception", "Validation Failed: 1: a watch execution request must either have a watch id or an inline watch source, but both are missing;"},
		{"POST", "/_watcher/watch/w/_execute", `{"watch":{}}`, 400, "action_request_validation_exception", "Validation Failed: 1: a watch execution request must either have a watch id or an inline watch source but not both;"},
		{"POST", "/_watcher/watch/_execute", `{"watch":{"trigger":{"schedule":{"interval":"1m"}}},"record_execution":true}`, 400, "action_request_validation_exception", "Validation Failed: 1: the execution of an inline watch cannot be recorded;"},
		{"POST", "/_watcher/watch/w/_execute", `{"debug":true}`, 400, "parse_exception", "could not parse watch execution request. unexpected boolean field [debug]"},
		{"POST", "/_watcher/watch/w/_execute", `{"foo":{}}`, 400, "parse_exception", "could not parse watch execution request. unexpected object field [foo]"},
		{"POST", "/_watcher/watch/w/_execute", `{"ignore_condition":"yes"}`, 400, "parse_exception", "could not parse watch execution request. unexpected token [VALUE_STRING]"},
		{"POST", "/_watcher/watch/w/_execute", `{"action_modes":{"log":"foo"}}`, 400, "parse_exception", "could not parse watch execution request"},
		{"POST", "/_watcher/watch/w/_execute", `{"trigger_data":{"scheduled_time":"foo"}}`, 400, "parse_exception", "failed to parse date field [foo] with format [strict_date_optional_time||epoch_millis]"},
		{"POST", "/_watcher/_query/watches", `{"foo":1}`, 400, "x_content_parse_exception", "[query_watches_request] unknown field [foo]"},
		{"POST", "/_watcher/_query/watches", `{"size":-1}`, 400, "illegal_argument_exception", "[size] parameter cannot be negative but was [-1]"},
		{"PUT", "/_watcher/watch/new", strings.Replace(plainWatch, `"n":5`, `"n":"::es_redacted::"`, 1), 400, "parse_exception", "could not parse watch [new]"},
	} {
		status, answer := s.call(c.method, c.path, c.body)
		if status != c.status || document.At(answer, "error.type") != c.kind || document.At(answer, "error.reason") != c.reason ||
			document.At(answer, "status") != int64(c.status) || document.At(answer, "error.root_cause.0.type") == nil {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, document.String(answer))
		}
	}
	status, answer := s.call("PATCH", "/_watcher/watch/w", "")
	s.expect(status, answer, 405, map[string]string{"status": "405"})
	if text, _ := document.At(answer, "error").(string); !strings.HasPrefix(text, "Incorrect HTTP method for uri [/_watcher/watch/w] and method [PATCH], allowed: [") {
		t.Errorf("wrong method: %s", text)
	}
	status, answer = s.call("GET", "/_watcher/nothing", "")
	s.expect(status, answer, 400, map[string]string{"error": "no handler found for uri [/_watcher/nothing] and method [GET]"})
}

func TestWhoMayCall(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	ask := func(method, path, user string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.server.URL+path, strings.NewReader(plainWatch))
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, "pw")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	for _, c := range []struct {
		method, path, user string
		status             int
	}{
		{"PUT", "/_watcher/watch/w", "", 401},
		{"PUT", "/_watcher/watch/w", "reader", 403},
		{"PUT", "/_watcher/watch/w", "admin", 201},
		{"GET", "/_watcher/watch/w", "reader", 200},
		{"GET", "/_watcher/stats", "reader", 200},
		{"POST", "/_watcher/watch/w/_ack", "reader", 403},
		{"POST", "/_watcher/_stop", "reader", 403},
	} {
		resp := ask(c.method, c.path, c.user)
		if resp.StatusCode != c.status || (c.status == 401) != (resp.Header.Get("WWW-Authenticate") != "") || resp.Header.Get("X-Elastic-Product") != "Elasticsearch" {
			t.Errorf("%s %s as %q: %d %v", c.method, c.path, c.user, resp.StatusCode, resp.Header)
		}
	}
}

// Who is on call may simulate a watch as it is; everything else that executes is
// for who may manage watches.
func TestWhoMayExecute(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	s.call("PUT", "/_watcher/watch/w", plainWatch)
	for body, status := range map[string]int{
		`{"action_modes":{"_all":"force_simulate"}}`:                                200,
		`{"action_modes":{"_all":"simulate","log":"skip"},"ignore_condition":true}`: 200,
		`{"action_modes":{"_all":"simulate","log":"execute"}}`:                      403,
		`{"action_modes":{"log":"simulate"}}`:                                       403,
		`{"action_modes":{"_all":"skip"}}`:                                          403,
		`{"action_modes":{"_all":"simulate"},"record_execution":true}`:              403,
		`{"action_modes":{"_all":"simulate"},"alternative_input":{"n":7}}`:          403,
		`{}`: 403,
		``:   403,
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.server.URL+"/_watcher/watch/w/_execute", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("oncall", "pw")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: %d, want %d", body, resp.StatusCode, status)
		}
	}
}

func TestExecuteRecordsAndThrottles(t *testing.T) {
	clock := newClock()
	s := newStand(t, noElasticsearch{}, clock.now)
	s.call("PUT", "/_watcher/watch/w", plainWatch)
	const run = `{"record_execution":true}`
	status, answer := s.call("POST", "/_watcher/watch/w/_execute", run)
	s.expect(status, answer, 200, map[string]string{
		"watch_record.state": "executed", "watch_record.user": "admin", "watch_record.node": "node-1", "watch_record.messages": "[]",
		"watch_record.trigger_event":            "{type=manual, triggered_time=2026-11-21T09:00:00.000Z, manual={schedule={scheduled_time=2026-11-21T09:00:00.000Z}}}",
		"watch_record.result.condition":         "{type=compare, status=success, met=true, compare={resolved_values={ctx.payload.n=5}}}",
		"watch_record.result.actions.0.status":  "success",
		"watch_record.status.actions.log.ack":   "{timestamp=2026-11-21T09:00:00.000Z, state=ackable}",
		"watch_record.status.execution_state":   "executed",
		"watch_record.status.last_checked":      "2026-11-21T09:00:00.000Z",
		"watch_record.status.version":           "1",
		"watch_record.input":                    "{simple={n=5}}",
		"watch_record.result.input":             "{type=simple, status=success, payload={n=5}}",
		"watch_record.metadata":                 "{team=web}",
		"watch_record.result.actions.0.logging": "{logged_text=n is 5}",
	})
	clock.at = clock.at.Add(2200 * time.Millisecond)
	status, answer = s.call("POST", "/_watcher/watch/w/_execute", run)
	s.expect(status, answer, 200, map[string]string{
		"watch_record.state":                   "throttled",
		"watch_record.result.actions.0":        "{id=log, type=logging, status=throttled, reason=throttling interval is set to [15m] but time elapsed since last execution is [2.2s]}",
		"watch_record.result.actions.1.status": "success",
	})
	status, answer = s.call("PUT", "/_watcher/watch/w/_ack/other,nothing", "")
	s.expect(status, answer, 200, map[string]string{"status.actions.other.ack.state": "acked", "status.actions.log.ack.state": "ackable"})
	clock.at = clock.at.Add(2 * time.Second)
	status, answer = s.call("POST", "/_watcher/watch/w/_execute", run)
	s.expect(status, answer, 200, map[string]string{
		"watch_record.state":            "acknowledged",
		"watch_record.result.actions.1": "{id=other, type=logging, status=acknowledged, reason=action [other] was acked at [2026-11-21T09:00:02.200Z]}",
	})
	status, answer = s.call("POST", "/_watcher/watch/w/_execute", `{"action_modes":{"_all":"force_simulate","log":"skip"}}`)
	s.expect(status, answer, 200, map[string]string{
		"watch_record.result.actions.0": "{id=log, type=logging, status=throttled, reason=manually skipped}",
		"watch_record.result.actions.1": "{id=other, type=logging, status=simulated, logging={logged_text=x}}",
	})
	if len(s.store.records) != 3 {
		t.Errorf("%d records are kept, want 3", len(s.store.records))
	}
	status, answer = s.call("POST", "/_watcher/watch/w/_execute", `{"record_execution":true,"alternative_input":{"n":1}}`)
	s.expect(status, answer, 200, map[string]string{"watch_record.state": "execution_not_needed", "watch_record.result.input.payload": "{n=1}", "watch_record.result.actions": "[]"})
	status, answer = s.call("GET", "/_watcher/watch/w", "")
	s.expect(status, answer, 200, map[string]string{"status.actions.other.ack.state": "awaits_successful_execution", "status.execution_state": "execution_not_needed", "status.version": "6"})
	status, answer = s.call("PUT", "/_watcher/watch/w/_ack", "")
	s.expect(status, answer, 200, map[string]string{"status.actions.other.ack.state": "awaits_successful_execution", "status.version": "6"})
}

func TestSecretsStayHidden(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	const watch = `{"trigger":{"schedule":{"interval":"10m"}},"input":{"chain":{"inputs":[{"a":{"http":{"request":{"host":"localhost","port":1,"auth":{"basic":{"username":"u","password":"s3cret"}}}}}}]}},
		"actions":{"a.b":{"webhook":{"host":"localhost","port":1,"auth":{"basic":{"username":"u","password":"s3cret"}}}}}}`
	redacted := strings.ReplaceAll(watch, "s3cret", "::es_redacted::")
	s.call("PUT", "/_watcher/watch/w", watch)
	status, answer := s.call("GET", "/_watcher/watch/w", "")
	if text := document.String(answer); status != 200 || strings.Contains(text, "s3cret") || strings.Count(text, "::es_redacted::") != 2 {
		t.Fatalf("%d %s", status, text)
	}
	status, answer = s.call("PUT", "/_watcher/watch/w", redacted)
	s.expect(status, answer, 400, map[string]string{"error.caused_by.reason": "found redacted password in field [password]"})
	status, answer = s.call("PUT", "/_watcher/watch/w?version=1", redacted)
	s.expect(status, answer, 200, map[string]string{"_version": "2"})
	if text := document.String(s.store.watches["w"].Source); strings.Count(text, "s3cret") != 2 {
		t.Errorf("the secrets are lost: %s", text)
	}
	status, answer = s.call("POST", "/_watcher/watch/w/_execute", "")
	if text := document.String(answer); status != 200 || strings.Contains(text, "s3cret") {
		t.Errorf("%d %s", status, text)
	}
	_, answer = s.call("GET", "/_watcher/_query/watches", "")
	if text := document.String(answer); strings.Contains(text, "s3cret") || document.At(answer, "count") != int64(1) {
		t.Errorf("%s", text)
	}
}

func TestFiltersAndIndents(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	s.call("PUT", "/_watcher/watch/x%2Fy", plainWatch)
	for query, want := range map[string]string{
		"filter_path=_id,watch.input":                  "{_id=x/y, watch={input={simple={n=5}}}}",
		"filter_path=watch.actions.*.logging.text":     "{watch={actions={log={logging={text=n is 5}}, other={logging={text=x}}}}}",
		"filter_path=**.state&pretty":                  "{status={state={active=true, timestamp=2026-11-21T09:00:00.000Z}, actions={log={ack={state=awaits_successful_execution}}, other={ack={state=awaits_successful_execution}}}}}",
		"filter_path=status,-status.actions,-**.state": "{status={version=1}}",
		"filter_path=nothing":                          "{}",
	} {
		if _, answer := s.call("GET", "/_watcher/watch/x%2Fy?"+query, ""); document.String(answer) != want {
			t.Errorf("%s: %s, want %s", query, document.String(answer), want)
		}
	}
}

// TestElasticsClient makes every call of Elastic's Go client.
func TestElasticsClient(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	es, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{s.server.URL}, Username: "admin", Password: "pw", DisableRetry: true})
	if err != nil {
		t.Fatal(err)
	}
	w := es.Watcher
	check := func(name string, want string) func(*esapi.Response, error) {
		return func(resp *esapi.Response, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			data, _ := io.ReadAll(resp.Body)
			if resp.IsError() || !strings.Contains(string(data), want) {
				t.Errorf("%s: %s %s", name, resp.Status(), data)
			}
		}
	}
	check("put", `"created":true`)(w.PutWatch("w", strings.NewReader(plainWatch), w.PutWatch.WithActive(true)))
	check("get", `"found":true`)(w.GetWatch("w"))
	check("execute", `"state":"executed"`)(w.ExecuteWatch(w.ExecuteWatch.WithWatchID("w"), w.ExecuteWatch.WithDebug(true)))
	check("execute inline", `"_inlined__`)(w.ExecuteWatch(w.ExecuteWatch.WithBody(strings.NewReader(`{"watch":` + plainWatch + `}`))))
	check("ack", `"status"`)(w.AckWatch("w"))
	check("ack one", `"status"`)(w.AckWatch("w", w.AckWatch.WithActionID("log")))
	check("deactivate", `"active":false`)(w.DeactivateWatch("w"))
	check("activate", `"active":true`)(w.ActivateWatch("w"))
	check("query", `"count":1`)(w.QueryWatches(w.QueryWatches.WithBody(strings.NewReader(`{"size":1}`))))
	check("stats", `"watcher_state":"started"`)(w.Stats())
	check("stats of all", `"current_watches":[]`)(w.Stats(w.Stats.WithMetric("_all"), w.Stats.WithEmitStacktraces(true)))
	check("stop", `"acknowledged":true`)(w.Stop())
	check("stats when stopped", `"manually_stopped":true`)(w.Stats())
	check("start", `"acknowledged":true`)(w.Start())
	check("delete", `"found":true`)(w.DeleteWatch("w"))
}

func TestRecordedExecutionsReachAlerts(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	s.call("PUT", "/_watcher/watch/w", plainWatch)
	for _, c := range []struct {
		body  string
		hears bool
	}{
		{`{}`, false},
		{`{"record_execution":true}`, true},
		{`{"record_execution":true,"alternative_input":{"n":1}}`, true},
		{`{"record_execution":true,"action_modes":{"_all":"force_execute"}}`, true},
		{`{"record_execution":true,"action_modes":{"_all":"simulate"}}`, false},
		{`{"record_execution":true,"action_modes":{"log":"skip"}}`, false},
	} {
		before := len(s.store.told)
		status, answer := s.call("POST", "/_watcher/watch/w/_execute", c.body)
		s.expect(status, answer, 200, nil)
		if heard := len(s.store.told) > before; heard != c.hears {
			t.Errorf("%s: heard of it: %t", c.body, heard)
		}
	}
}

func TestSettings(t *testing.T) {
	s := newStand(t, noElasticsearch{}, newClock().now)
	const path = "/_watcher/settings"
	status, answer := s.call("GET", path, "")
	s.expect(status, answer, 200, map[string]string{"index": "-"})
	status, answer = s.call("PUT", path, `{"index.number_of_replicas":1}`)
	s.expect(status, answer, 404, map[string]string{"error.reason": "no Watches found on which to modify settings"})

	s.store.indexed = map[string]any{
		"index.auto_expand_replicas": "0-1", "index.number_of_replicas": "0", "index.routing.allocation.include._tier_preference": "data_content",
	}
	status, answer = s.call("GET", path, "")
	s.expect(status, answer, 200, map[string]string{"index": "{auto_expand_replicas=0-1, number_of_replicas=0}"})
	status, answer = s.call("PUT", path, `{"index.auto_expand_replicas":"0-all","index":{"routing":{"allocation":{"include":{"zone":"a"}}}}}`)
	s.expect(status, answer, 200, map[string]string{"acknowledged": "true"})
	status, answer = s.call("GET", path, "")
	s.expect(status, answer, 200, map[string]string{"index.auto_expand_replicas": "0-all", "index.routing": "{allocation={include={zone=a}}}"})

	for body, reason := range map[string]string{
		`{}`: "no settings to update",
		`{"index":{"refresh_interval":"1s"},"index.number_of_replicas":1,"number_of_shards":1}`: "illegal settings: [index.refresh_interval, number_of_shards], these settings may not be configured.",
		`{"index.routing.allocation.include._tier_preference":"data_hot"}`:                      "illegal settings: [index.routing.allocation.include._tier_preference], these",
	} {
		status, answer = s.call("PUT", path, body)
		s.expect(status, answer, 400, map[string]string{"error.type": "action_request_validation_exception"})
		if got, _ := document.At(answer, "error.reason").(string); !strings.Contains(got, reason) {
			t.Errorf("%s: %s", body, got)
		}
	}
	if s.store.indexed["index.number_of_replicas"] != "0" {
		t.Error("a refused change was made")
	}
}
