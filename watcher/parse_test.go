package watcher_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pharos/watcher"
	"pharos/watcher/document"
)

// TestErrorsNameThePlace: the reasons are those of Elastic's parsers (see the
// differential suite in watcherhttp); the paths are ours.
func TestErrorsNameThePlace(t *testing.T) {
	e := newEngine(t, noElasticsearch{})
	for rest, want := range map[string]string{
		`"foo":1`: "could not parse watch [w]. unexpected field [foo] (at foo)",
		`"input":{"search":{"request":{"indices":["a"],"boddy":{}}}}`:                         "could not parse [search] input for watch [w]. failed to parse [request]: could not read search request. unexpected field [boddy] (at input.search.request.boddy)",
		`"input":{"search":{"request":{"indices":["a",1]}}}`:                                  "could not parse [search] input for watch [w]. failed to parse [request]: could not read search request. expected string values in [indices] field, but instead found [VALUE_NUMBER] (at input.search.request.indices[1])",
		`"input":{"search":{"request":{"indices_options":{"expand_wildcards":"some"}}}}`:      "could not parse [search] input for watch [w]. failed to parse [request]: could not read indices options. unknown value [some] for [expand_wildcards] field (at input.search.request.indices_options.expand_wildcards)",
		`"input":{"chain":{"inputs":[{"a":{"simple":{}}},{"b":{"http":{}}}]}}`:                "could not parse [http] input for watch [w]. missing require [request] field (at input.chain.inputs[1].b.http)",
		`"input":{"simple":{},"none":{}}`:                                                     "could not parse input for watch [w]. unexpected second input type [none] (at input.none)",
		`"condition":{"compare":{"ctx.payload.a":{"gt":1},"ctx.payload.b":{"gt":1}}}`:         "could not parse [compare] condition for watch [w]. expected one field indicating the compared path, but found 2 (at condition.compare)",
		`"condition":{"array_compare":{"ctx.payload.a":{"path":"x"}}}`:                        "could not parse [array_compare] condition for watch [w]. expected a field indicating the comparison operator (at condition.array_compare.ctx.payload.a)",
		`"condition":{"script":{"source":"true","pramas":{}}}`:                                "[script] unknown field [pramas] (at condition.script.pramas)",
		`"transform":{"chain":[{"script":"return 1"},{"foo":{}}]}`:                            "could not parse transform for watch [w], unknown transform type [foo] (at transform.chain[1].foo)",
		`"throttle_period":"soon"`:                                                            "could not parse watch [w]. failed to parse time value for field [throttle_period]: failed to parse time unit (at throttle_period)",
		`"metadata":[]`:                                                                       "could not parse watch [w]. expected an object for [metadata] but found [START_ARRAY] (at metadata)",
		`"actions":{"page":{"logging":{"text":"x"},"foreach":1}}`:                             "could not parse action [w/page]. expected a string for [foreach] but found [VALUE_NUMBER] instead (at actions.page.foreach)",
		`"actions":{"page":{"logging":{"text":"x"},"max_iterations":-1}}`:                     "could not parse action [w/page]. expected a whole number for [max_iterations] but found [-1] (at actions.page.max_iterations)",
		`"actions":{"page":{"logging":{"text":"x"},"webhook":{"host":"a","port":1}}}`:         "could not parse action [w/page]. unexpected second action type [webhook] (at actions.page.webhook)",
		`"actions":{"page":{"foo":{}}}`:                                                       "could not parse action [w/page]. unknown action type [foo] (at actions.page.foo)",
		`"actions":{"page":{"jira":{}}}`:                                                      "could not parse action [w/page]. the action type [jira] is left out here: no tickets are made; use [webhook] to call Jira's REST API (at actions.page.jira)",
		`"actions":{"page":{"condition":{"compare":{"a":{"gt":[]}}},"logging":{"text":"x"}}}`: "could not parse [compare] condition for watch [w]. compared value for [a] with operation [gt] must either be a numeric, string, boolean or null value, but found [START_ARRAY] instead (at actions.page.condition.compare.a.gt)",
		`"input":{"http":{"request":{"host":"a","port":1},"response_content_type":"xml"}}`:    "unknown http content type [xml] (at input.http.response_content_type)",
		`"trigger":{}`: "line 1, column 53: Duplicate field 'trigger' (at trigger) (at trigger)",
	} {
		_, err := e.Load("w", []byte(`{"trigger":{"schedule":{"interval":"10m"}},`+rest+`}`))
		var place *document.PathError
		if !errors.As(err, &place) || strings.TrimPrefix(err.Error(), "could not parse watch [w]: ") != want {
			t.Errorf("%s\ngot  %v\nwant %s", rest, err, want)
		}
	}
}

// whole has every part of the format that needs no account.
const whole = `{"trigger":{"schedule":{"weekly":[{"on":["mon","fri"],"at":"09:00"}]}},
	"input":{"chain":{"inputs":[{"s":{"simple":{"a":[1,2.5,null,{"b":true}]}}},
		{"q":{"search":{"request":{"indices":["a","<b-{now/d}>"],"search_type":"dfs_query_then_fetch","rest_total_hits_as_int":false,"indices_options":{"expand_wildcards":"open,hidden","ignore_unavailable":false},"body":{"size":0}},"extract":["hits.total"],"timeout":"10s"}}},
		{"h":{"http":{"request":{"scheme":"https","host":"h","port":443,"method":"post","path":"/p","params":{"a":"b"},"headers":{"X":"y"},"auth":{"basic":{"username":"u","password":"p"}},"body":"{{ctx.watch_id}}","connection_timeout":"5s","read_timeout":"1m"},"response_content_type":"yaml","extract":["x"]}}}]}},
	"condition":{"array_compare":{"ctx.payload.s.a":{"path":"","gte":{"value":"{{ctx.metadata.x}}","quantifier":"all"}}}},
	"transform":{"chain":[{"script":{"id":"stored","params":{"p":1}}},{"search":{"request":{"template":{"id":"t","params":{"q":1}}}}}]},
	"throttle_period":"90s","metadata":{"z":1,"a":{"pharos":[]}},
	"actions":{"one":{"throttle_period":"0s","condition":{"script":"return ctx.payload.n > 1"},"transform":{"script":"return 1"},"foreach":"ctx.payload.l","max_iterations":7,"logging":{"text":"x","level":"warn","category":"c"}},
		"two":{"condition":{"compare":{"ctx.payload.d":{"lt":"<{now-5m}>"}}},"webhook":{"url":"https://h:1/p?q=1"}}}}`

func TestSourceParsesAgain(t *testing.T) {
	e := newEngine(t, noElasticsearch{})
	w, err := e.Load("w", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	first, err := document.Marshal(w.Source())
	if err != nil {
		t.Fatal(err)
	}
	again, err := e.Load("w", first)
	if err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	if second, _ := document.Marshal(again.Source()); string(second) != string(first) {
		t.Errorf("first  %s\nsecond %s", first, second)
	}
	for _, part := range []string{
		`"request":{"search_type":"dfs_query_then_fetch","indices":["a","<b-{now/d}>"],"rest_total_hits_as_int":false,"body":{"size":0},"indices_options":{"expand_wildcards":["open","hidden"],"ignore_unavailable":false,"allow_no_indices":true,"ignore_throttled":false}}`,
		`"extract":["hits.total"],"timeout_in_millis":10000`, `{"id":"stored","params":{"p":1}}`, `"throttle_period_in_millis":90000`,
		`"foreach":"ctx.payload.l","max_iterations":7,"logging":`, `"one":{"throttle_period_in_millis":0,`,
	} {
		if !strings.Contains(string(first), part) {
			t.Errorf("%s lacks %s", first, part)
		}
	}
	if got := strings.Join(w.SecretPaths(), " "); got != "input.chain.inputs.2.h.http.request.auth.basic.password" {
		t.Errorf("secrets: %s", got)
	}
	if got := w.ActionIDs(); len(got) != 2 || got[0] != "one" {
		t.Errorf("actions: %v", got)
	}
	if next := w.Next(start); !next.Equal(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("next: %v", next)
	}
}

func TestStatusReadsBack(t *testing.T) {
	s := watcher.NewStatus(true, start, []string{"b", "a"})
	s.LastChecked, s.ExecutionState, s.Version = start.Add(time.Second), watcher.Executed, 7
	a := s.Action("a")
	a.LastExecution = &watcher.LastExecution{At: start, Successful: true}
	a.LastSuccess, a.Ack = a.LastExecution, watcher.Ackable
	s.Action("b").LastExecution = &watcher.LastExecution{At: start, Reason: "why"}
	s.Action("b").LastThrottle, s.Action("b").LastThrottledWhy = start, "too soon"
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back watcher.Status
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(back); string(again) != string(data) {
		t.Errorf("%s\nreads back as\n%s", data, again)
	}
	if !back.Acknowledge(start, "a") || back.Acknowledge(start, "a") || back.Action("a").Ack != watcher.Acked || back.Action("b").Ack != watcher.Awaits {
		t.Errorf("acknowledged: %+v", back.Actions)
	}
	kept := back.Keep(start.Add(time.Hour), []string{"a", "c"})
	if len(kept.Actions) != 2 || kept.Action("a").Ack != watcher.Acked || kept.Action("c").Ack != watcher.Awaits || kept.Action("b") != nil {
		t.Errorf("kept: %+v", kept.Actions)
	}
	clone := back.Clone()
	clone.Action("a").Ack = watcher.Awaits
	if back.Action("a").Ack != watcher.Acked {
		t.Error("a change of the copy reached the original")
	}
	if err := json.Unmarshal([]byte(`{"state":{"active":true,"timestamp":"soon"}}`), &back); err == nil {
		t.Error("a wrong date is taken")
	}
}

// FuzzParse: nothing sent as a watch makes the parser fail other than by an error
// with a place, and what parses can be written and parses again to the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"trigger":{"schedule":{"cron":"0 0 * * * ?"}},"condition":{"never":{}},"actions":{"a":{"logging":{"text":{"source":"x"}}}}}`))
	f.Add([]byte(`{"trigger":{"schedule":{"interval":"1s"}},"transform":{},"input":{"none":{}},"status":{}}`))
	e := newEngine(f, noElasticsearch{})
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := e.Load("w", data)
		if err != nil {
			var place *document.PathError
			if !errors.As(err, &place) {
				t.Fatalf("%v names no place", err)
			}
			document.ErrorObject(err)
			return
		}
		first, err := document.Marshal(w.Source())
		if err != nil {
			t.Fatal(err)
		}
		again, err := e.Load("w", first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, _ := document.Marshal(again.Source()); string(second) != string(first) {
			t.Fatalf("%s reads back as %s", first, second)
		}
		watcher.Redact(w.Source(), w.SecretPaths())
	})
}
