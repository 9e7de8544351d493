package painless_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/internal/teststack"
	"pharos/watcher/document"
	"pharos/watcher/painless"
)

func realElasticsearch(t *testing.T) *elastic.Client {
	t.Helper()
	client, err := elastic.New(teststack.Config[elastic.SetupConfig](t).Client())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func object(t *testing.T, text string) *document.Object {
	t.Helper()
	o, err := document.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func model(t *testing.T) *document.Object {
	at := time.Date(2026, 11, 21, 9, 0, 0, 123e6, time.UTC)
	return object(t, `{"metadata":{"m":1},"watch_id":"w","payload":{"n":5,"hits":{"total":2,"hits":[{"_id":"b","_source":{"tags":["x","y"]}},{"_id":"a","_source":{"tags":[]}}]}}}`).
		Set("trigger", document.NewObject(document.Pair{Key: "scheduled_time", Value: at.Add(-time.Minute)}, document.Pair{Key: "triggered_time", Value: at})).
		Set("vars", object(t, `{"v":1}`).Set("since", at)).Set("execution_time", at)
}

func TestRunOnElasticsearch(t *testing.T) {
	r := painless.NewRunner(realElasticsearch(t), time.Now)
	for _, c := range []struct {
		source, params string
		returns        painless.Returns
		want           string // Java's print of the value
	}{
		{"ctx.payload.n > 4", "{}", painless.Boolean, "true"},
		{"return params.limit < ctx.payload.n", `{"limit":5}`, painless.Boolean, "false"},
		{"if (ctx.payload.n > 10) { return true }", "{}", painless.Boolean, "false"},
		{"if (ctx.payload.n > 10) { return 1 }", "{}", painless.Object, "null"},
		{"def x = 5 // the end", "{}", painless.Object, "null"},
		{"ctx.payload.n", "{}", painless.Object, "5"},
		{"return ['a': ctx.payload.n / 2.0]", "{}", painless.Object, "{a=2.5}"},
		{"def names = []; for (h in ctx.payload.hits.hits) { for (t in h._source.tags) { names.add(h._id + t) } } return ['names': names]", "{}", painless.Object, "{names=[bx, by]}"},
		{"ctx.payload.hits.hits.stream().map(h -> h._id).sorted().collect(Collectors.toList())", "{}", painless.Object, "[a, b]"},
		{"def f(def x) { x + 1 } int g(int y) { return y * 2 } return f(g(params.n))", `{"n":2}`, painless.Object, "5"},
		{"ctx.execution_time.minusMinutes(1).isEqual(ctx.trigger.scheduled_time) && ctx.vars.since.getHour() == 9", "{}", painless.Boolean, "true"},
		{"return ctx.execution_time", "{}", painless.Object, "2026-11-21T09:00:00.123Z"},
		{"return ['at': [ctx.trigger.triggered_time]]", "{}", painless.Object, "{at=[2026-11-21T09:00:00.123Z]}"},
		{"return params.ctx.payload.n", "{}", painless.Object, "5"},
	} {
		s := &painless.Script{Source: c.source, Params: object(t, c.params)}
		p := painless.NewProgram(s, c.returns)
		if err := r.Compile(t.Context(), p); err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		out, err := r.Run(t.Context(), p, model(t))
		if got := document.String(out.Value); err != nil || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.source, got, err, c.want)
		}
		if out.Changed || document.String(out.Vars) != "{v=1, since=2026-11-21T09:00:00.123Z}" && document.String(out.Vars) != "{since=2026-11-21T09:00:00.123Z, v=1}" {
			t.Errorf("%s: payload changed %v, vars %s", c.source, out.Changed, document.String(out.Vars))
		}
	}
}

func TestChangesComeBack(t *testing.T) {
	r := painless.NewRunner(realElasticsearch(t), time.Now)
	p := painless.NewProgram(&painless.Script{
		Source: "ctx.vars.n = ctx.payload.remove('n'); ctx.payload.hits.at = ctx.execution_time; ctx.vars.l = [ctx.execution_time]; return true"}, painless.Boolean)
	out, err := r.Run(t.Context(), p, model(t))
	if err != nil {
		t.Fatal(err)
	}
	at, isTime := document.At(out.Payload, "hits.at").(time.Time)
	if !out.Changed || document.At(out.Payload, "n") != nil || !isTime || at.Nanosecond() != 123e6 {
		t.Errorf("payload: %s", document.String(out.Payload))
	}
	if _, isTime := document.At(out.Vars, "l.0").(time.Time); !isTime || document.At(out.Vars, "n") != int64(5) || document.At(out.Vars, "v") != int64(1) {
		t.Errorf("vars: %s", document.String(out.Vars))
	}
}

func TestErrorsAreTheScriptsOwn(t *testing.T) {
	r := painless.NewRunner(realElasticsearch(t), time.Now)
	long := "/* " + strings.Repeat("long ", 60) + "*/ ctx.payload.x.y"
	for _, c := range []struct {
		source  string
		returns painless.Returns
		compile bool
		kind    string
		stack   string
		cause   string
	}{
		{"ctx.payload.x.y", painless.Object, false, "script_exception", "ctx.payload.x.y|             ^---- HERE", "cannot access method/field [y] from a null def reference"},
		{"def a = 1; return ctx.payload.x.y; ", painless.Object, false, "script_exception", "return ctx.payload.x.y; |                    ^---- HERE", "cannot access method/field [y] from a null def reference"},
		{"return ctx.payload.n", painless.Boolean, false, "script_exception", "return ctx.payload.n|                  ^---- HERE", "annot cast"},
		{"return 5", painless.Boolean, true, "script_exception", "return 5|       ^---- HERE", "Cannot cast from [int] to [boolean]."},
		{"foo bar", painless.Boolean, true, "script_exception", "foo bar|    ^---- HERE", "invalid declaration: cannot resolve type [foo]"},
		{"def f(def x) { x.y } return f(null)", painless.Object, false, "script_exception", "x.y } | ^---- HERE", "cannot access method/field [y] from a null def reference"},
		{"def something = 'which is long'; foo bar; def other = 'which is long, too'", painless.Object, true, "script_exception",
			"... g = 'which is long'; foo bar; def other = 'which i ...|                             ^---- HERE", "invalid declaration: cannot resolve type [foo]"},
		{"return ctx.payload.hits.hits.iterator()", painless.Object, false, "illegal_argument_exception", "", ""},
		{"throw new Exception('boo')", painless.Object, false, "script_exception", "throw new Exception('boo')|      ^---- HERE", "boo"},
		{long, painless.Object, false, "script_exception", strings.Replace(long, "/* "+strings.Repeat("long ", 60)+"*/ ", "", 1) + "|             ^---- HERE", "cannot access method/field [y] from a null def reference"},
	} {
		p := painless.NewProgram(&painless.Script{Source: c.source}, c.returns)
		compiled := r.Compile(t.Context(), p)
		_, err := r.Run(t.Context(), p, model(t))
		var e *document.Error
		if (compiled != nil) != c.compile || !errors.As(err, &e) {
			t.Errorf("%s: compiled %v, run %v", c.source, compiled, err)
			continue
		}
		lines, _ := document.At(e.Object, "script_stack").([]any)
		var stack []string
		for _, l := range lines[max(0, len(lines)-2):] {
			stack = append(stack, l.(string))
		}
		if got := strings.Join(stack, "|"); e.Type() != c.kind || got != c.stack || !strings.Contains(e.Cause(), c.cause) {
			t.Errorf("%s:\ngot  %s %q %q\nwant %s %q %q", c.source, e.Type(), got, e.Cause(), c.kind, c.stack, c.cause)
		}
		if script, _ := document.At(e.Object, "script").(string); c.kind == "script_exception" && len(c.source) <= 256 && script != c.source {
			t.Errorf("%s is called %s", c.source, script)
		}
	}
}

func TestStoredScripts(t *testing.T) {
	es := realElasticsearch(t)
	now := time.Now()
	r := painless.NewRunner(es, func() time.Time { return now })
	put := func(source string) {
		t.Helper()
		body, _ := document.Marshal(object(t, `{"script":{"lang":"painless"}}`).Set("script", object(t, `{"lang":"painless"}`).Set("source", source)))
		if status, answer, err := es.Do(t.Context(), http.MethodPut, "/_scripts/test-painless-stored", body); err != nil || status != 200 {
			t.Fatalf("%v %s", err, answer)
		}
	}
	put("return ctx.payload.n + params.more")
	defer func() {
		_, _, err := es.Do(t.Context(), http.MethodDelete, "/_scripts/test-painless-stored", nil)
		if err != nil {
			t.Error(err)
		}
	}()
	p := painless.NewProgram(&painless.Script{ID: "test-painless-stored", Params: object(t, `{"more":2}`)}, painless.Object)
	check := func(want string) {
		t.Helper()
		if out, err := r.Run(t.Context(), p, model(t)); err != nil || document.String(out.Value) != want {
			t.Errorf("got %s, %v, want %s", document.String(out.Value), err, want)
		}
	}
	check("7")
	put("return ctx.payload.n * params.more")
	check("7")
	now = now.Add(time.Minute)
	check("10")
	put("return 'third'")
	r.Forget()
	check("third")
	err := r.Compile(t.Context(), painless.NewProgram(&painless.Script{ID: "test-painless-none"}, painless.Object))
	var e *document.Error
	if !errors.As(err, &e) || e.Status != 404 || e.Type() != "resource_not_found_exception" || e.Error() != "unable to find script [test-painless-none] in cluster state" {
		t.Errorf("a script that is not there: %v", err)
	}
}
