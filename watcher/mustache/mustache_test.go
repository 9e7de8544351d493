package mustache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/mustache"
)

// oracle reads testdata/templates.json: templates, and what Elastic's own
// Watcher (6.8.23) rendered or said to them. The suite in watcher/oracletest asks
// it anew.
func oracle(t testing.TB) (model *document.Object, templates []any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "templates.json"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := document.ParseObject(data)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	ctx := document.NewObject(
		document.Pair{Key: "metadata", Value: document.At(o, "metadata")},
		document.Pair{Key: "watch_id", Value: "_inlined_"},
		document.Pair{Key: "payload", Value: document.At(o, "payload")},
		document.Pair{Key: "id", Value: "_inlined__1"},
		document.Pair{Key: "trigger", Value: document.NewObject(
			document.Pair{Key: "triggered_time", Value: at}, document.Pair{Key: "scheduled_time", Value: at})},
		document.Pair{Key: "vars", Value: document.NewObject()},
		document.Pair{Key: "execution_time", Value: at.Add(250 * time.Millisecond)},
	)
	templates, _ = document.At(o, "templates").([]any)
	return document.NewObject(document.Pair{Key: "ctx", Value: ctx}), templates
}

func render(t testing.TB, v any, model *document.Object) (string, error) {
	t.Helper()
	template, err := mustache.ParseTemplate("text", v)
	if err != nil {
		return "", err
	}
	return mustache.Renderer{}.Render(t.Context(), template, model)
}

func TestRendersAsElastic(t *testing.T) {
	model, templates := oracle(t)
	if len(templates) < 60 {
		t.Fatalf("only %d templates", len(templates))
	}
	for _, c := range templates {
		template, _ := document.At(c, "template").(string)
		got, err := render(t, template, model)
		if want, ok := document.At(c, "error").(string); ok {
			if err == nil || innermost(err) != want {
				t.Errorf("%q: got %q, error %v, want error %s", template, got, err, want)
			}
			continue
		}
		if want, _ := document.At(c, "want").(string); err != nil || got != want {
			t.Errorf("%q\ngot  %q %v\nwant %q", template, got, err, want)
		}
	}
}

// innermost is the reason at the bottom of an error.
func innermost(err error) string {
	var e *document.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	if cause := e.Cause(); cause != "" {
		return cause
	}
	return e.Error()
}

// TestDates has what 8.19 prints, where 6.8 always has milliseconds.
func TestDates(t *testing.T) {
	model, _ := oracle(t)
	for template, want := range map[string]string{
		"{{ctx.trigger.triggered_time}}":                                 "2026-11-21T09:00Z",
		"{{ctx.execution_time}}":                                         "2026-11-21T09:00:00.250Z",
		"{{ctx.trigger}}":                                                "{triggered_time=2026-11-21T09:00Z, scheduled_time=2026-11-21T09:00Z}",
		"{{#toJson}}ctx.trigger{{/toJson}}":                              `{"triggered_time":"2026-11-21T09:00:00.000Z","scheduled_time":"2026-11-21T09:00:00.000Z"}`,
		"{{ctx.execution_time.year}}{{ctx.payload.s.length}}":            "", // no reflection
		"{{#ctx.trigger}}{{scheduled_time}}{{watch_id}}{{/ctx.trigger}}": "2026-11-21T09:00Z",
	} {
		if got, err := render(t, template, model); err != nil || got != want {
			t.Errorf("%s\ngot  %s %v\nwant %s", template, got, err, want)
		}
	}
}

func TestParams(t *testing.T) {
	model, _ := oracle(t)
	v, err := document.Parse([]byte(`{"source":"{{p}} {{ctx.payload.s}}","params":{"p":"\"1\"","ctx":{"payload":{"s":"params"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	template, err := mustache.ParseTemplate("body", v)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustache.Renderer{}.Render(t.Context(), template, model)
	if want := `"1" it`; err != nil || got != want {
		t.Errorf("in an action: got %s %v, want %s", got, err, want)
	}
	got, err = mustache.Renderer{}.RenderSearch(t.Context(), template, model)
	if want := `\"1\" params`; err != nil || got != want {
		t.Errorf("in a search: got %s %v, want %s", got, err, want)
	}
}

func TestContentTypes(t *testing.T) {
	model, _ := oracle(t)
	for contentType, want := range map[string]string{
		"text/plain":                        `Al "q" <b>&`,
		"application/json":                  `Al \"q\" <b>&`,
		"application/x-www-form-urlencoded": "Al+%22q%22+%3Cb%3E%26",
		"text/foo":                          "",
	} {
		v := document.NewObject(document.Pair{Key: "source", Value: "{{ctx.payload.name}}"},
			document.Pair{Key: "options", Value: document.NewObject(document.Pair{Key: "content_type", Value: contentType})})
		template, err := mustache.ParseTemplate("body", v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := mustache.Renderer{}.RenderSearch(t.Context(), template, model)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %s %v, want %s", contentType, got, err, want)
		}
	}
}

func TestStored(t *testing.T) {
	model, _ := oracle(t)
	r := mustache.Renderer{Stored: func(_ context.Context, id string) (string, error) {
		if id != "known" {
			return "", errors.New("not there")
		}
		return "{{ctx.payload.name}} {{p}}", nil
	}}
	for in, want := range map[string]string{
		`{"id":"known","params":{"p":1}}`:     `Al \"q\" <b>& 1`,
		`{"stored":"known","params":{"p":1}}`: `Al \"q\" <b>& 1`,
		`{"id":"other"}`:                      "read stored script [other]: not there",
	} {
		v, err := document.Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		template, err := mustache.ParseTemplate("text", v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Render(t.Context(), template, model)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	template, err := mustache.ParseTemplate("text", document.NewObject(document.Pair{Key: "id", Value: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (mustache.Renderer{}).Render(t.Context(), template, model); err == nil || err.Error() != "unable to find script [x] in cluster state" {
		t.Errorf("without a store: %v", err)
	}
}

// TestValue has what Elastic's GET answers (asked of 6.8.23).
func TestValue(t *testing.T) {
	for in, want := range map[string]string{
		`"plain"`:               ``,
		`"__json__::{{a}}"`:     ``,
		`{"inline":"hi {{a}}"}`: `{"source":"hi {{a}}","lang":"mustache"}`,
		`{"source":"a","params":{"p":[1,{"b":null}]},"lang":"painless"}`: `{"source":"a","lang":"painless","params":{"p":[1,{"b":null}]}}`,
		`{"source":"a","options":{"content_type":"text/foo"}}`:           `{"source":"a","lang":"mustache","options":{"content_type":"text/foo"}}`,
		`{"source":{"a":"{{b}}"},"params":{}}`:                           `{"source":{"a":"{{b}}"},"lang":"mustache","options":{"content_type":"application/json; charset=UTF-8"}}`,
		`{"stored":"foo","params":{"a":1}}`:                              `{"id":"foo","params":{"a":1}}`,
	} {
		if want == "" {
			want = in
		}
		v, err := document.Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		template, err := mustache.ParseTemplate("text", v)
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		got, err := document.Marshal(template.Value())
		if err != nil || string(got) != want {
			t.Errorf("%s\ngot  %s %v\nwant %s", in, got, err, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`5`:                                  "a template must be a string or an object, but found a number (at text)",
		`null`:                               "found null (at text)",
		`{}`:                                 "must specify either [source] for an inline script or [id] for a stored script (at text)",
		`{"foo":"x"}`:                        "[script] unknown field [foo] (at text.foo)",
		`{"source":"a","id":"b"}`:            "must only use one of [source, id] when specifying a script (at text.id)",
		`{"source":5}`:                       "[script] source doesn't support values of type: a number (at text.source)",
		`{"source":null}`:                    "(at text.source)",
		`{"source":"a","params":5}`:          "(at text.params)",
		`{"source":"a","lang":5}`:            "(at text.lang)",
		`{"id":"a","lang":"mustache"}`:       "illegally specified <lang> for a stored script (at text.lang)",
		`{"id":"a","options":{}}`:            "field [options] cannot be specified using a stored script (at text.options)",
		`{"id":5}`:                           "(at text.id)",
		`{"source":"a","options":{"f":"x"}}`: "illegal compiler options [{f=x}] specified (at text.options.f)",
		`"a\n{{#b}}"`:                        "could not compile the mustache template: Failed to close 'b' tag at line 2 (at text)",
		`{"source":"a {{b"}`:                 "Improperly closed variable in query-template:1 (at text.source)",
		`"{{> part}}"`:                       "Template part not found: partials are not supported",
		`"{{<a}}{{/a}}"`:                     "Template a not found: partials are not supported",
	} {
		v, err := document.Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		_, err = mustache.ParseTemplate("text", v)
		var place *document.PathError
		if !errors.As(err, &place) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}

func TestBounds(t *testing.T) {
	list := make([]any, 1000)
	for i := range list {
		list[i] = strings.Repeat("x", 100)
	}
	model := document.NewObject(document.Pair{Key: "l", Value: list})
	for template, want := range map[string]string{
		"{{#l}}{{#l}}{{.}}{{/l}}{{/l}}":                               "Mustache script result size limit exceeded",
		"{{#url}}{{#l}}{{#l}}{{.}}{{/l}}{{/l}}{{/url}}":               "Mustache script result size limit exceeded",
		"{{#l}}{{#l}}{{#l}}{{#no}}{{/no}}{{/l}}{{/l}}{{/l}}":          "more than 1000000 steps",
		strings.Repeat("{{#l}}", 300) + strings.Repeat("{{/l}}", 300): "sections nested deeper than 200",
	} {
		if _, err := render(t, template, model); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %s", template, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	endless, err := mustache.ParseTemplate("text", "{{#l}}{{#l}}{{#no}}{{/no}}{{/l}}{{/l}}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (mustache.Renderer{}).Render(ctx, endless, model); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context's end: %v", err)
	}
}

func TestRenderValue(t *testing.T) {
	model, _ := oracle(t)
	v, err := document.Parse([]byte(`{"{{a}}":["{{ctx.payload.s}}",1,{"b":"{{ctx.payload.name}}"}],"c":"plain","d":null}`))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := mustache.Renderer{}.RenderValue(t.Context(), v, model)
	if err != nil {
		t.Fatal(err)
	}
	got, err := document.Marshal(rendered)
	if want := `{"{{a}}":["it",1,{"b":"Al \"q\" <b>&"}],"c":"plain","d":null}`; err != nil || string(got) != want {
		t.Errorf("got  %s %v\nwant %s", got, err, want)
	}
	if _, err := (mustache.Renderer{}).RenderValue(t.Context(), []any{"{{#a}}"}, model); err == nil {
		t.Error("a wrong template inside a value is no error")
	}
}

func FuzzTemplate(f *testing.F) {
	model, templates := oracle(f)
	for _, c := range templates {
		template, _ := document.At(c, "template").(string)
		f.Add(template)
	}
	f.Fuzz(func(t *testing.T, template string) {
		parsed, err := mustache.ParseTemplate("text", template)
		if err != nil {
			var place *document.PathError
			if !errors.As(err, &place) {
				t.Fatalf("%T has no place: %v", err, err)
			}
			return
		}
		for _, do := range []func(context.Context, *mustache.Template, *document.Object) (string, error){
			mustache.Renderer{}.Render, mustache.Renderer{}.RenderSearch,
		} {
			first, err := do(t.Context(), parsed, model)
			again, errAgain := do(t.Context(), parsed, model)
			if first != again || (err == nil) != (errAgain == nil) {
				t.Fatalf("renders differently: %q and %q", first, again)
			}
			if !strings.Contains(template, "{{") && !strings.HasPrefix(template, "__") && first != template {
				t.Fatalf("text without a tag became %q", first)
			}
		}
	})
}
