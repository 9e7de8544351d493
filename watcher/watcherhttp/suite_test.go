package watcherhttp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/watcher/document"
)

// A case of the differential suite, in testdata/oracle/*.json: an object with a
// name, and either steps (method, path, body), or a watch and the rest of an
// _execute request for it. documents are indexed first; known tells, by places of
// the answers, why ours differs where it is meant to.

// TestSuiteAgainstOracle asks both engines the same and compares status and
// answer.
func TestSuiteAgainstOracle(t *testing.T) {
	theirs := oracle(t)
	es := realElasticsearch(t)
	files, err := filepath.Glob(filepath.Join("testdata", "oracle", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	total := 0
	for _, file := range files {
		cases := readList(t, file)
		total += len(cases)
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			ours := newStand(t, es, time.Now)
			indexed := map[string]bool{}
			for _, c := range cases {
				name, _ := document.At(c, "name").(string)
				indexDocuments(t, theirs, es, c, indexed)
				for i, step := range steps(c) {
					method, path, body := step.method, step.path, step.body
					wantStatus, want := call(t, theirs, method, path, body)
					status, got := ours.call(method, path, body)
					list := differences("", same(steady(want)), same(steady(got)))
					if status != wantStatus {
						list = append(list, fmt.Sprintf("status: Elastic's %d, ours %d", wantStatus, status))
					}
					if list = unknown(list, c); len(list) > 0 {
						t.Errorf("%s, step %d: %s %s\n  %s", name, i+1, method, path, strings.Join(list, "\n  "))
					}
				}
			}
		})
	}
	t.Logf("%d cases", total)
}

// TestTemplatesAgainstOracle renders the table of watcher/mustache by both.
func TestTemplatesAgainstOracle(t *testing.T) {
	theirs := oracle(t)
	ours := newStand(t, noElasticsearch{}, time.Now)
	file := filepath.Join("..", "mustache", "testdata", "templates.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	table, err := document.ParseObject(data)
	if err != nil {
		t.Fatal(err)
	}
	templates, _ := document.At(table, "templates").([]any)
	for _, c := range templates {
		if document.At(c, "error") != nil {
			continue // refused by ours when the watch is parsed, by Elastic's when it runs
		}
		body := marshal(t, document.NewObject(
			document.Pair{Key: "alternative_input", Value: document.At(table, "payload")},
			document.Pair{Key: "watch", Value: document.NewObject(
				document.Pair{Key: "trigger", Value: tenHours()},
				document.Pair{Key: "metadata", Value: document.At(table, "metadata")},
				document.Pair{Key: "actions", Value: document.NewObject(document.Pair{Key: "l", Value: document.NewObject(
					document.Pair{Key: "logging", Value: document.NewObject(document.Pair{Key: "text", Value: document.At(c, "template")})})})},
			)},
		))
		_, want := call(t, theirs, "POST", "/_watcher/watch/_execute", body)
		_, got := ours.call("POST", "/_watcher/watch/_execute", body)
		const text = "watch_record.result.actions.0.logging.logged_text"
		if a, b := document.At(want, text), document.At(got, text); a != b {
			t.Errorf("%s\nElastic's %v\nours      %v", document.At(c, "template"), a, b)
		}
	}
	t.Logf("%d templates", len(templates))
}

var elapsed = regexp.MustCompile(`\[\d+(?:\.\d+)?m?s\]$`)

// steady takes out of throttling reasons how long ago it was.
func steady(v any) any {
	switch v := v.(type) {
	case string:
		return elapsed.ReplaceAllString(v, "[ELAPSED]")
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = steady(e)
		}
		return list
	case *document.Object:
		o := document.NewObject()
		for key, e := range v.All() {
			o.Set(key, steady(e))
		}
		return o
	default:
		return v
	}
}

type step struct{ method, path, body string }

func steps(c any) []step {
	watch, short := document.At(c, "watch").(*document.Object)
	if short {
		body := document.NewObject()
		if execute, ok := document.At(c, "execute").(*document.Object); ok {
			body = execute.Clone()
		}
		watch = watch.Clone()
		if _, ok := watch.Get("trigger"); !ok {
			watch.Set("trigger", tenHours())
		}
		body.Set("watch", watch)
		data, err := document.Marshal(body)
		if err != nil {
			panic(err) // it was read from JSON
		}
		return []step{{"POST", "/_watcher/watch/_execute", string(data)}}
	}
	var list []step
	raw, _ := document.At(c, "steps").([]any)
	for _, s := range raw {
		var next step
		next.method, _ = document.At(s, "method").(string)
		next.path, _ = document.At(s, "path").(string)
		if body := document.At(s, "body"); body != nil {
			data, err := document.Marshal(body)
			if err != nil {
				panic(err) // it was read from JSON
			}
			next.body = string(data)
		}
		list = append(list, next)
	}
	return list
}

// tenHours is a trigger that does not come while the test runs.
func tenHours() *document.Object {
	return document.NewObject(document.Pair{Key: "schedule", Value: document.NewObject(document.Pair{Key: "interval", Value: "10h"})})
}

// unknown leaves out the differences that a case says are known.
func unknown(list []string, c any) []string {
	known, _ := document.At(c, "known").(*document.Object)
	var rest []string
	for _, d := range list {
		meant := false
		for place := range known.All() {
			meant = meant || strings.HasPrefix(d, place)
		}
		if !meant {
			rest = append(rest, d)
		}
	}
	return rest
}

func indexDocuments(t *testing.T, theirs string, es *elastic.Client, c any, indexed map[string]bool) {
	t.Helper()
	list, _ := document.At(c, "documents").([]any)
	for _, d := range list {
		path := fmt.Sprintf("/%s/_doc/%s?refresh=true", document.At(d, "index"), document.At(d, "id"))
		if indexed[path] {
			continue
		}
		indexed[path] = true
		body := marshal(t, document.At(d, "body"))
		if status, answer := call(t, theirs, "PUT", path, body); status >= 300 {
			t.Fatalf("index into Elastic's: %d %s", status, document.String(answer))
		}
		status, answer, err := es.Do(t.Context(), "PUT", path, []byte(body))
		if err != nil || status >= 300 {
			t.Fatalf("index into ours: %d %s %v", status, answer, err)
		}
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	data, err := document.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readList(t *testing.T, file string) []any {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v, err := document.Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	list, ok := v.([]any)
	if !ok {
		t.Fatalf("%s holds no list", file)
	}
	return list
}
