package replay_test

import (
	"strings"
	"testing"

	"pharos/watcher/document"
	"pharos/watcher/replay"
)

func object(t *testing.T, text string) *document.Object {
	t.Helper()
	o, err := document.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func searching(body string) string {
	return `{"input":{"chain":{"inputs":[{"one":{"search":{"request":{"indices":["a","b-*"],"body":` + body + `}}}}]}}}`
}

func TestRewrite(t *testing.T) {
	const end = "{{ctx.trigger.scheduled_time}}"
	for body, want := range map[string]string{
		`{"query":{"range":{"@timestamp":{"gte":"now-5m"}}}}`:                                     `{"query":{"range":{"@timestamp":{"gte":"` + end + `||-5m","lt":"` + end + `"}}}}`,
		`{"query":{"range":{"@timestamp":{"gte":"now-1h/h","lte":"now"}}}}`:                       `{"query":{"range":{"@timestamp":{"gte":"` + end + `||-1h/h","lte":"` + end + `"}}}}`,
		`{"query":{"bool":{"filter":[{"range":{"t":{"from":"` + end + `||-30s"}}}]}}}`:            `{"query":{"bool":{"filter":[{"range":{"t":{"from":"` + end + `||-30s","lt":"` + end + `"}}}]}}}`,
		`{"query":{"range":{"t":{"gte":"now/d","lt":"now"}}},"aggs":{"a":{"term":{"b":"nowt"}}}}`: `{"query":{"range":{"t":{"gte":"` + end + `||/d","lt":"` + end + `"}}},"aggs":{"a":{"term":{"b":"nowt"}}}}`,
	} {
		past, err := replay.Rewrite(object(t, searching(body)), func(index string) string { return "x-" + index })
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		request := document.At(past.Source, "input.chain.inputs.0.one.search.request").(*document.Object)
		got, err := document.Marshal(document.At(request, "body"))
		if err != nil || string(got) != want {
			t.Errorf("%s\ngot  %s, %v\nwant %s", body, got, err, want)
		}
		if indices := document.String(document.At(request, "indices")); indices != "[x-a, x-b-*]" || strings.Join(past.Indices, " ") != "a b-*" {
			t.Errorf("indices %s of %v", indices, past.Indices)
		}
		if len(past.Changes) == 0 || !strings.HasPrefix(past.Changes[0], "input.chain.inputs[0].one.search.request.body.query.") {
			t.Errorf("changes %v", past.Changes)
		}
	}
}

func TestRewriteRefuses(t *testing.T) {
	for source, want := range map[string]string{
		searching(`{"query":{"match_all":{}}}`):                                                             "input.chain.inputs[0].one.search.request.body",
		searching(`{"query":{"range":{"@timestamp":{"gte":"2026-11-21"}}}}`):                                "no range of time",
		`{"input":{"search":{"request":{"indices":["a"],"template":{"id":"t"}}}}}`:                          "input.search.request.template",
		`{"input":{"search":{"request":{"body":{}}}}}`:                                                      "input.search.request.indices",
		`{"input":{"http":{"request":{"host":"h","port":80}}}}`:                                             "input.http",
		`{"input":{"none":{}},"transform":{"search":{"request":{"indices":["a"],"body":{"size":0}}}}}`:      "transform.search.request.body",
		`{"actions":{"x":{"transform":{"search":{"request":{"indices":"a,b"}}},"logging":{"text":"now"}}}}`: "actions.x.transform.search.request.body",
	} {
		if _, err := replay.Rewrite(object(t, source), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", source, err, want)
		}
	}
}
