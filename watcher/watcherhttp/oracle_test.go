package watcherhttp_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"pharos/internal/teststack"
	"pharos/watcher/document"
)

// The differential suite: what Elastic's own Watcher (6.8, dev/with-oracle)
// answers, and what ours does over Elasticsearch 8.19. What is known to differ is
// taken out of both answers by same, with the reason.

func oracle(t *testing.T) string {
	t.Helper()
	teststack.Need(t)
	url := os.Getenv("ORACLE_URL")
	if url == "" {
		t.Skip("SKIPPED: needs Elastic's own Watcher; run it under dev/with-oracle")
	}
	return url
}

var (
	stamp  = regexp.MustCompile(`20(?:2[6-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z`)
	uuids  = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	java17 = regexp.MustCompile(`^java\.base/`)
)

// same makes two answers comparable.
func same(v any) any {
	switch v := v.(type) {
	case string:
		return uuids.ReplaceAllString(stamp.ReplaceAllString(v, "TIME"), "UUID")
	case time.Time:
		return "TIME"
	case []any:
		list := []any{}
		for _, e := range v {
			if text, ok := e.(string); ok && (java17.MatchString(text) || strings.HasPrefix(text, "org.elasticsearch.")) {
				continue // Java's own frames above a script's
			}
			list = append(list, same(e))
		}
		return list
	case *document.Object:
		o := document.NewObject()
		for key, e := range v.All() {
			switch key {
			case "types", "rest_total_hits_as_int": // mapping types were of 6, the other is of 7
			case "path", "position", "line", "col": // ours in errors; newer than 6.8 in script errors
			case "stack_trace", "suppressed": // Java's
			case "execution_duration", "took", "node", "_shards", "_type", "max_score": // vary, or other versions of search
			case "user": // the oracle has no security
			case "root_cause": // repeats what follows
			case "_seq_no", "_version", "version", "index_uuid":
			default:
				o.Set(key, same(e))
			}
		}
		return o
	default:
		return v
	}
}

// differences lists where two values differ; the order of keys is Java's hash
// order on one side and says nothing.
func differences(path string, a, b any) []string {
	switch x := a.(type) {
	case *document.Object:
		y, ok := b.(*document.Object)
		if !ok {
			break
		}
		var list []string
		for key, v := range x.All() {
			other, there := y.Get(key)
			if !there {
				list = append(list, document.Join(path, key)+": missing in ours, Elastic's has "+document.String(v))
				continue
			}
			list = append(list, differences(document.Join(path, key), v, other)...)
		}
		for key, v := range y.All() {
			if _, there := x.Get(key); !there {
				list = append(list, document.Join(path, key)+": only ours has "+document.String(v))
			}
		}
		return list
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		var list []string
		for i := range x {
			list = append(list, differences(document.Index(path, i), x[i], y[i])...)
		}
		return list
	}
	if document.String(a) == document.String(b) {
		return nil
	}
	return []string{path + ": Elastic's " + document.String(a) + ", ours " + document.String(b)}
}

const every10m = `"trigger":{"schedule":{"interval":"10m"}}`

// TestWatchesAsElasticsStoresThem puts watches and reads them back; known is why
// ours differs, where it is meant to.
func TestWatchesAsElasticsStoresThem(t *testing.T) {
	theirs := oracle(t)
	ours := newStand(t, realElasticsearch(t), time.Now)
	for _, c := range []struct {
		watch string
		known string
	}{
		{watch: `{}`}, {watch: `{"trigger":{}}`}, {watch: `{"trigger":{"foo":{}}}`}, {watch: `{"trigger":{"schedule":{}}}`},
		{watch: `{` + every10m + `}`}, {watch: `{` + every10m + `,"foo":1}`}, {watch: `{` + every10m + `,"status":{}}`},
		{watch: `[1]`, known: "6.8 names the token after the bracket"},
		{watch: `{` + every10m + `,"input":5}`}, {watch: `{` + every10m + `,"input":{}}`}, {watch: `{` + every10m + `,"input":{"foo":{}}}`},
		{watch: `{` + every10m + `,"input":{"simple":5}}`}, {watch: `{` + every10m + `,"input":{"simple":{"a":[1,{"b":null}]}}}`},
		{watch: `{` + every10m + `,"input":{"simple":{},"none":{}}}`, known: "6.8 takes the last of two types; one is what the format has"},
		{watch: `{` + every10m + `,"input":{"search":{}}}`},
		{watch: `{` + every10m + `,"input":{"search":{"request":{"indices":[5]}}}}`},
		{watch: `{` + every10m + `,"input":{"search":{"request":{"search_type":"foo"}}}}`},
		{watch: `{` + every10m + `,"input":{"search":{"request":{"indices":"a,b","body":{"size":0,"query":{"match_all":{}}}},"extract":["hits.total"],"timeout":"10s"}}}`},
		{watch: `{` + every10m + `,"input":{"search":{"request":{"indices":["a"],"search_type":"dfs_query_then_fetch","template":{"id":"t","params":{"a":1}}}}}}`},
		{watch: `{` + every10m + `,"input":{"search":{"request":{"indices":["a"],"template":{"source":{"size":1},"params":{"a":1}}}}}}`},
		{watch: `{` + every10m + `,"input":{"search":{"request":{"indices":["a"]},"timeout":"x"}}}`},
		{watch: `{` + every10m + `,"input":{"chain":{"inputs":[{"a":{"simple":{"x":1}}},{"b":{"none":{}}}]}}}`},
		{watch: `{` + every10m + `,"input":{"chain":{"inputs":[{"a":{"foo":{}}}]}}}`},
		{watch: `{` + every10m + `,"input":{"http":{}}}`},
		{watch: `{` + every10m + `,"input":{"http":{"request":{"host":"a","port":80,"path":"/x","params":{"p":"{{ctx.watch_id}}"},"headers":{"H":"v"},"auth":{"basic":{"username":"u","password":"p"}}},"extract":["a"]}}}`},
		{watch: `{` + every10m + `,"input":{"http":{"request":{"url":"http://a/b"},"response_content_type":"foo"}}}`},
		{watch: `{` + every10m + `,"input":{"http":{"request":{"url":"http://a/b"},"response_content_type":"text","extract":["a"]}}}`},
		{watch: `{` + every10m + `,"condition":5}`}, {watch: `{` + every10m + `,"condition":{}}`}, {watch: `{` + every10m + `,"condition":{"foo":{}}}`},
		{watch: `{` + every10m + `,"condition":{"always":{"a":1}}}`}, {watch: `{` + every10m + `,"condition":{"never":{"a":1}}}`}, {watch: `{` + every10m + `,"condition":{"never":{}}}`},
		{watch: `{` + every10m + `,"condition":{"compare":5}}`}, {watch: `{` + every10m + `,"condition":{"compare":{"a":5}}}`}, {watch: `{` + every10m + `,"condition":{"compare":{"a":{}}}}`},
		{watch: `{` + every10m + `,"condition":{"compare":{"a":{"foo":1}}}}`}, {watch: `{` + every10m + `,"condition":{"compare":{"a":{"eq":1,"gt":2}}}}`},
		{watch: `{` + every10m + `,"condition":{"compare":{"a":{"gt":{}}}}}`}, {watch: `{` + every10m + `,"condition":{"compare":{"b":{"eq":[1,null]}}}}`},
		{watch: `{` + every10m + `,"condition":{"array_compare":5}}`}, {watch: `{` + every10m + `,"condition":{"array_compare":{"ctx.payload.a":{"path":"x","foo":{"value":1}}}}}`},
		{watch: `{` + every10m + `,"condition":{"array_compare":{"ctx.payload.a":{"path":"x","gt":5}}}}`}, {watch: `{` + every10m + `,"condition":{"array_compare":{"ctx.payload.a":{"path":"x","gt":{"value":5,"quantifier":"foo"}}}}}`},
		{watch: `{` + every10m + `,"condition":{"array_compare":{"ctx.payload.a":{"path":"x","gt":{"value":5,"foo":1}}}}}`}, {watch: `{` + every10m + `,"condition":{"array_compare":{"ctx.payload.a":{"gt":{"value":5}}}}}`},
		{watch: `{` + every10m + `,"condition":{"array_compare":{"ctx.payload.a":{"path":"x","gt":{"value":5,"quantifier":"all"}}}}}`},
		{watch: `{` + every10m + `,"condition":{"script":"return ctx.payload.a > 1"}}`}, {watch: `{` + every10m + `,"condition":{"script":{"source":"params.a == 1","params":{"a":1}}}}`},
		{watch: `{` + every10m + `,"condition":{"script":{}}}`}, {watch: `{` + every10m + `,"condition":{"script":{"id":"nope"}}}`}, {watch: `{` + every10m + `,"condition":{"script":{"source":"true","lang":"foo"}}}`},
		{watch: `{` + every10m + `,"condition":{"script":"return 5"}}`, known: "6.8 answers 500 to what does not compile, 8.19 400"},
		{watch: `{` + every10m + `,"transform":{}}`}, {watch: `{` + every10m + `,"transform":{"foo":{}}}`}, {watch: `{` + every10m + `,"transform":{"chain":{}}}`}, {watch: `{` + every10m + `,"transform":{"chain":[5]}}`},
		{watch: `{` + every10m + `,"transform":{"chain":[{"script":"return 1"},{"search":{"request":{"indices":["a"]},"timeout":"1m"}}]}}`}, {watch: `{` + every10m + `,"transform":{"search":{}}}`},
		{watch: `{` + every10m + `,"throttle_period":"x"}`}, {watch: `{` + every10m + `,"throttle_period":5}`}, {watch: `{` + every10m + `,"throttle_period":"90s"}`}, {watch: `{` + every10m + `,"throttle_period_in_millis":"5"}`},
		{watch: `{` + every10m + `,"throttle_period_in_millis":"x"}`},
		{watch: `{` + every10m + `,"metadata":{"z":1,"a":{"b":[]}}}`},
		{watch: `{` + every10m + `,"actions":5}`}, {watch: `{` + every10m + `,"actions":{"a b":{}}}`}, {watch: `{` + every10m + `,"actions":{"a":{}}}`}, {watch: `{` + every10m + `,"actions":{"a":{"foo":{}}}}`},
		{watch: `{` + every10m + `,"actions":{"a":{"logging":{}}}}`}, {watch: `{` + every10m + `,"actions":{"a":{"logging":{"text":"x"},"throttle_period":"x"}}}`},
		{watch: `{` + every10m + `,"actions":{"a":{"throttle_period":"1h","condition":{"never":{}},"transform":{"script":"return 1"},"logging":{"text":"x","level":"warn","category":"c"}}}}`},
		{watch: `{` + every10m + `,"actions":{"a":{"logging":{"text":"x"},"condition":{"foo":"x"}}}}`}, {watch: `{` + every10m + `,"actions":{"a":{"logging":{"text":"x"},"transform":{"foo":"x"}}}}`},
	} {
		call(t, theirs, "DELETE", "/_watcher/watch/w", "")
		ours.call("DELETE", "/_watcher/watch/w", "")
		for _, method := range []string{"PUT", "GET"} {
			body := c.watch
			if method == "GET" {
				body = ""
			}
			wantStatus, want := call(t, theirs, method, "/_watcher/watch/w", body)
			status, got := ours.call(method, "/_watcher/watch/w", body)
			list := differences("", same(want), same(got))
			if status != wantStatus {
				list = append(list, http.StatusText(status)+" is not "+http.StatusText(wantStatus))
			}
			if len(list) > 0 && c.known == "" {
				t.Errorf("%s %s\n  %s", method, c.watch, strings.Join(list, "\n  "))
			}
		}
	}
}

// TestExecutionsAsElastics executes inline watches; the body of the call is
// {"watch": …} with more added.
func TestExecutionsAsElastics(t *testing.T) {
	theirs := oracle(t)
	ours := newStand(t, realElasticsearch(t), time.Now)
	const (
		log    = `"actions":{"l":{"logging":{"text":"{{ctx.payload.n}} {{ctx.payload._value}} {{ctx.vars}}"}}}`
		none   = `"actions":{"l":{"logging":{"text":"x"}}}`
		simple = `"input":{"simple":{"n":5,"s":"7","f":1.5,"b":true,"d":"2015-05-05T00:00:00Z","l":[1,2,{"k":"v"}],"o":{"p":1},"nul":null,"arr":[{"k":1,"n":{"z":3}},{"k":5},{"x":1}],"e":[]}}`
	)
	compare := func(path, with string) string {
		return simple + `,"condition":{"compare":{"` + path + `":` + with + `}},` + none
	}
	array := func(path, with string) string {
		return simple + `,"condition":{"array_compare":{"` + path + `":` + with + `}},` + none
	}
	script := func(source string) string {
		return simple + `,"condition":{"script":"` + source + `"},` + log
	}
	transform := func(t string) string { return simple + `,"transform":` + t + `,` + log }
	for _, c := range []struct {
		watch, more string
		known       string
	}{
		{watch: none}, {watch: log},
		{watch: compare("ctx.payload.n", `{"eq":"5"}`)}, {watch: compare("ctx.payload.s", `{"eq":7}`)}, {watch: compare("ctx.payload.s", `{"gt":6.5}`)},
		{watch: compare("ctx.payload.n", `{"eq":5.0}`)}, {watch: compare("ctx.payload.s", `{"gt":"10"}`)}, {watch: compare("ctx.payload.b", `{"eq":"true"}`)},
		{watch: compare("ctx.payload.b", `{"eq":1}`)}, {watch: compare("ctx.payload.b", `{"gt":false}`)}, {watch: compare("ctx.payload.d", `{"lt":"<{now-5m}>"}`)},
		{watch: compare("ctx.payload.d", `{"gt":"<{now-5m}>"}`)}, {watch: compare("ctx.execution_time", `{"gt":"2015-05-05T00:00:00Z"}`)},
		{watch: compare("ctx.execution_time", `{"gt":"<{now-5m}>"}`), known: "6.8 does not know its own dates as dates"},
		{watch: compare("ctx.payload.nul", `{"eq":null}`)}, {watch: compare("ctx.payload.missing", `{"not_eq":null}`)}, {watch: compare("ctx.payload.missing", `{"gt":5}`)},
		{watch: compare("ctx.payload.n", `{"lt":null}`)}, {watch: compare("ctx.payload.n", `{"not_eq":"x"}`)}, {watch: compare("ctx.payload.n", `{"gt":"x"}`)},
		{watch: compare("ctx.payload.o", `{"eq":{"p":1}}`)}, {watch: compare("ctx.payload.l", `{"eq":[1,2,{"k":"v"}]}`)}, {watch: compare("ctx.payload.l.1", `{"eq":2}`)},
		{watch: compare("ctx.payload.n", `{"lte":"{{ctx.payload.f}}"}`)}, {watch: compare("payload.n", `{"eq":5}`)}, {watch: compare("ctx.watch_id", `{"eq":"_inlined_"}`)},
		{watch: compare("ctx.metadata.x", `{"eq":5}`)}, {watch: compare("ctx.payload.f", `{"gte":1}`)}, {watch: compare("ctx.payload.d", `{"gt":"<{foo}>"}`), known: "the cause is in Joda's words"},
		{watch: array("ctx.payload.arr", `{"path":"k","gt":{"value":3}}`)}, {watch: array("ctx.payload.arr", `{"path":"k","gt":{"value":0,"quantifier":"all"}}`)},
		{watch: array("ctx.payload.arr", `{"path":"n.z","eq":{"value":"3"}}`)}, {watch: array("ctx.payload.missing", `{"path":"k","gt":{"value":3}}`)},
		{watch: array("ctx.payload.n", `{"path":"k","gt":{"value":3}}`)}, {watch: array("ctx.payload.e", `{"path":"k","gt":{"value":3,"quantifier":"all"}}`)},
		{watch: array("ctx.payload.l", `{"path":"","gt":{"value":1}}`)}, {watch: array("ctx.payload.l", `{"gt":{"value":1}}`)},
		{watch: array("ctx.payload.arr", `{"path":"k","gte":{"value":"{{ctx.payload.n}}"}}`)}, {watch: array("ctx.payload.arr", `{"path":"k","not_eq":{"value":null}}`)}, {watch: array("ctx.payload.arr", `{"path":"k","not_eq":{"value":7,"quantifier":"all"}}`)},
		{watch: array("ctx.payload.arr", `{"path":"k","not_eq":{"value":1}}`)}, {watch: compare("ctx.payload.n", `{"not_eq":null}`)},
		{watch: script("ctx.payload.n > 4")}, {watch: script("return ctx.payload.n > 5")}, {watch: script("if (ctx.payload.n > 10) { return true }")},
		{watch: script("ctx.payload.x.y"), known: "8.19 has words of its own for null"}, {watch: script("ctx.vars.q = ['z':1]; ctx.payload.c = ctx.execution_time; return true"), known: "there the script also changes the watch that it is part of"},
		{watch: script("ctx.vars.x = 1; return true"), more: `?debug=true`},
		{watch: transform(`{"script":"return ['a':1]"}`)}, {watch: transform(`{"script":"return [1,2]"}`)}, {watch: transform(`{"script":"ctx.payload.n = 9"}`), known: "as above"},
		{watch: transform(`{"script":"null"}`)}, {watch: transform(`{"script":{"source":"ctx.vars.a = 1; return params.x","params":{"x":[1]}}}`)},
		{watch: transform(`{"chain":[{"script":"return ['a':1]"},{"script":"return ctx.payload.a + 1"}]}`)},
		{watch: transform(`{"chain":[{"script":"return ['a':1]"},{"script":"return ctx.payload.a / 0"},{"script":"return 5"}]}`)},
		{watch: transform(`{"script":"return ctx.payload.n / 0"}`)}, {watch: transform(`{"script":"throw new Exception('boo')"}`)},
		{watch: transform(`{}`)},
		{watch: simple + `,"condition":{"script":"ctx.vars.x = ctx.execution_time; return true"},"transform":{"script":"return ['same': ctx.vars.x.toInstant().toEpochMilli() == ctx.execution_time.toInstant().toEpochMilli()]"},` + log},
		{watch: `"condition":{"never":{}},` + log}, {watch: `"condition":{"never":{}},` + log, more: `"ignore_condition":true`},
		{watch: simple + "," + none, more: `"alternative_input":{"z":9}`}, {watch: simple + "," + none, more: `"action_modes":{"_all":"skip"}`},
		{watch: simple + "," + none, more: `"action_modes":{"l":"simulate"}`}, {watch: simple + "," + none, more: `"action_modes":{"l":"foo"}`},
		{watch: simple + "," + none, more: `"trigger_data":{"scheduled_time":"2015-05-05T20:58:02.443Z","triggered_time":"2015-05-05T20:58:03.443Z"}`},
		{watch: simple + "," + none, more: `"trigger_data":{"foo":1}`}, {watch: simple + "," + none, more: `"foo":{}`}, {watch: simple + "," + none, more: `"record_execution":true`},
		{watch: simple + `,"actions":{"l":{"condition":{"never":{}},"logging":{"text":""}},"m":{"condition":{"script":"ctx.payload.b.c"},"logging":{"text":""}},"n":{"transform":{"script":"ctx.payload.n / 0"},"logging":{"text":""}}}`},
		{watch: `"input":{"chain":{"inputs":[{"a":{"simple":{"x":1}}},{"b":{"simple":{"y":2}}}]}},` + log},
		{watch: `"input":{"chain":{"inputs":[{"a":{"http":{"request":{"host":"localhost","port":1}}}},{"b":{"simple":{"x":1}}}]}},"actions":{}`, known: "Java's words for a refused connection"},
		{watch: `"input":{"search":{"request":{"indices":["no-such"],"body":{"size":0,"query":{"range":{"at":{"gte":"{{ctx.trigger.scheduled_time}}||-{{ctx.metadata.window}}"}}}}},"extract":["hits.total"]}},"metadata":{"window":"5m"},` + log},
		{watch: `"input":{"search":{"request":{"indices":["no-such"],"template":{"source":"{\"size\":{{size}}}","params":{"size":0}}}}},` + log},
		{watch: `"input":{"search":{"request":{"indices":["no-such"],"indices_options":{"ignore_unavailable":false,"allow_no_indices":false}}}},` + log, known: "the shape of indices_options is that of 8, and so is the error"},
		{watch: `"input":{"search":{"request":{"indices":["no-such"],"template":{"id":"nope"}}}},` + log},
	} {
		path, body := "/_watcher/watch/_execute", `{"watch":{`+every10m+`,`+c.watch+`}`
		if strings.HasPrefix(c.more, "?") {
			path += c.more
		} else if c.more != "" {
			body += "," + c.more
		}
		wantStatus, want := call(t, theirs, "POST", path, body+"}")
		status, got := ours.call("POST", path, body+"}")
		list := differences("", same(want), same(got))
		if status != wantStatus {
			list = append(list, http.StatusText(status)+" is not "+http.StatusText(wantStatus))
		}
		switch {
		case len(list) > 0 && c.known == "":
			t.Errorf("%s}\n  %s", body, strings.Join(list, "\n  "))
		case len(list) == 0 && c.known != "":
			t.Errorf("%s} no longer differs: %s", body, c.known)
		}
	}
}
