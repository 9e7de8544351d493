package elastic

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"pharos/internal/env"
	"pharos/internal/teststack"
)

// world is a real Elasticsearch that was set up. Others may be using it: what
// the tests write is in streams and under names of their own, and the objects
// that they install are those that are there anyway.
type world struct {
	client *Client
	id     string // part of every name that the tests make
	// accounts has one for each role, under names of the tests' own.
	accounts map[string]Account
}

func TestRealElasticsearch(t *testing.T) {
	w := newWorld(t, teststack.Config[SetupConfig](t))
	t.Run("setup changes nothing the second time", w.setupTwice)
	t.Run("setup brings streams up to date", w.updatesStreams)
	t.Run("setup leaves what is not ours", w.leavesOthers)
	t.Run("setup corrects accounts", w.correctsAccounts)
	t.Run("documents", w.documents)
	t.Run("documents of an APM Server", w.apmServer)
	t.Run("fields of our own", w.ownFields)
	t.Run("guard", w.guard)
	t.Run("mappings don't explode", w.explosion)
	t.Run("metric names overlap", w.overlap)
	t.Run("snapshots", w.snapshots)
	t.Run("rights", w.rights)
	t.Run("rights in use", w.rightsInUse)
	t.Run("go-docappender writes as the intake", w.docappender)
	t.Run("availability", w.availability)
}

func newWorld(t *testing.T, cfg SetupConfig) *world {
	t.Helper()
	client, err := New(cfg.Client())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{client: client, id: strings.ToLower(rand.Text()[:8]), accounts: map[string]Account{}}
	summary, err := Setup(t.Context(), client, nil, Options{Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(summary)
	s := w.setup()
	for _, o := range ours(t, "roles") { // those of a stack run are tested, too
		if _, err := s.put(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range accounts() {
		if a.Role == "" {
			continue // Elasticsearch's own users may be in use
		}
		a.User, a.Password = w.name(a.User), env.Secret(rand.Text())
		w.addAccount(t, a)
		w.accounts[a.Role] = a
	}
	return w
}

func (w *world) setup() *setup { return &setup{client: w.client, progress: func(string) {}} }

// name makes a name that no one else uses.
func (w *world) name(s string) string { return "test-" + w.id + "-" + s }

// stream is a stream of the tests' own that a template of Pharos serves.
func (w *world) stream(dataset string) string { return dataset + "-test" + w.id }

func (w *world) addAccount(t *testing.T, a Account) {
	t.Helper()
	c, err := w.setup().account(t.Context(), a)
	if err != nil || c.Action != Created {
		t.Fatalf("account %s: %v, %v", a.User, c, err)
	}
	t.Cleanup(func() { w.must(t, http.MethodDelete, "/_security/user/"+a.User, nil, nil) })
}

// must calls as the superuser, in cleanups too, and ends the test on a failure.
func (w *world) must(t *testing.T, method, path string, in, out any) {
	t.Helper()
	if err := w.client.call(context.WithoutCancel(t.Context()), method, path, in, out); err != nil {
		t.Fatal(err)
	}
}

// index adds a document that can be searched at once.
func (w *world) index(t *testing.T, stream string, document any) error {
	t.Helper()
	return w.client.call(t.Context(), http.MethodPost, "/"+stream+"/_doc?refresh=true", document, nil)
}

func (w *world) setupTwice(t *testing.T) {
	summary, err := Setup(t.Context(), w.client, []Account{w.accounts["pharos_support"]}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range summary.Changes {
		// A stream that somebody writes to may learn fields at any moment.
		if c.Action != Unchanged && c.Kind != "data stream" && c.Kind != "index" {
			t.Error(c)
		}
	}
}

// updatesStreams sets up a template of its own in three versions.
func (w *world) updatesStreams(t *testing.T) {
	name := w.name("mapping")
	version := func(properties string) fstest.MapFS {
		m := oneFile(ourRole).(fstest.MapFS)
		delete(m, "roles/pharos_x.json")
		m["templates/"+name+".json"] = &fstest.MapFile{Data: []byte(`{"index_patterns":["` + name + `-*"],"priority":500,"data_stream":{},` +
			`"template":{"mappings":{"dynamic":false,"properties":{` + properties + `}}},"_meta":{"managed_by":"pharos"}}`)}
		return m
	}
	run := func(properties string, want ...Action) Summary {
		t.Helper()
		summary, err := setupFrom(t.Context(), version(properties), w.client, nil, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var got []Action
		for _, c := range summary.Changes {
			got = append(got, c.Action)
		}
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", summary.Changes, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v, want %v", summary.Changes, want)
			}
		}
		return summary
	}
	run(`"a":{"type":"keyword"}`, Created)
	if err := w.index(t, name+"-x", map[string]any{"@timestamp": noon, "a": "1", "b": 2}); err != nil {
		t.Fatal(err)
	}
	run(`"a":{"type":"keyword"}`, Unchanged, Unchanged)
	run(`"a":{"type":"keyword"},"b":{"type":"long"}`, Updated, Updated)
	if err := w.index(t, name+"-x", map[string]any{"@timestamp": noon, "b": 3}); err != nil {
		t.Fatal(err)
	}
	found, err := w.client.Search(t.Context(), name+"-x", Query{"query": Query{"term": Query{"b": 3}}})
	if err != nil || found.Total != 1 {
		t.Errorf("field b is not searched: %v, %v", found, err)
	}
	rolled := run(`"a":{"type":"long"}`, Updated, RolledOver)
	if note := rolled.Changes[1].Note; !strings.Contains(note, "mapper [a] cannot be changed") {
		t.Errorf("note is %q", note)
	}
	run(`"a":{"type":"long"}`, Unchanged, Unchanged)
	// Old and new are found together, each by its own mapping.
	if err := w.index(t, name+"-x", map[string]any{"@timestamp": noon, "a": 10}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int64{`{"match_all":{}}`: 3, `{"term":{"a":"1"}}`: 1, `{"range":{"a":{"gte":5,"lte":20}}}`: 1} {
		found, err := w.client.Search(t.Context(), name+"-x", Query{"query": json.RawMessage(query)})
		if err != nil || found.Total != want {
			t.Errorf("%s: %+v, %v, want %d", query, found, err, want)
		}
	}
	behind, err := w.client.Backings(t.Context(), []string{name + "-x"})
	if err != nil || len(behind) != 2 {
		t.Errorf("%+v, %v", behind, err)
	}

	w.must(t, http.MethodPut, "/_index_template/"+name+"-plain", json.RawMessage(`{"index_patterns":["`+name+`-plain"],"priority":600}`), nil)
	w.must(t, http.MethodPut, "/"+name+"-plain", nil, nil)
	told := run(`"a":{"type":"long"}`, Unchanged, Kept, Unchanged)
	if c := told.Changes[1]; c.Kind != "index" || c.Name != name+"-plain" {
		t.Errorf("got %v", c)
	}
	w.must(t, http.MethodDelete, "/"+name+"-plain", nil, nil)
	w.must(t, http.MethodDelete, "/_index_template/"+name+"-plain", nil, nil)
}

func (w *world) leavesOthers(t *testing.T) {
	for _, k := range kinds() {
		if k.folder == "scripts" {
			continue
		}
		body := map[string]string{
			"pipelines":  `{"processors":[]%s}`,
			"components": `{"template":{}%s}`,
			"templates":  `{"index_patterns":["` + w.name("other") + `"]%s}`,
			"roles":      `{"cluster":[]%s}`,
		}[k.folder]
		mark := `,"_meta":{"managed_by":"pharos"}`
		if k.folder == "roles" {
			mark = `,"metadata":{"managed_by":"pharos"}`
		}
		name := w.name("other")
		w.must(t, http.MethodPut, k.path+name, json.RawMessage(strings.Replace(body, "%s", "", 1)), nil)
		t.Cleanup(func() { w.must(t, http.MethodDelete, k.path+name, nil, nil) })
		o, err := loadObject(fstest.MapFS{k.folder + "/" + name + ".json": {Data: []byte(strings.Replace(body, "%s", mark, 1))}}, k, name+".json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.setup().put(t.Context(), o); err == nil || !strings.Contains(err.Error(), k.name+" "+name+" exists already") {
			t.Errorf("%s: got %v", k.name, err)
		}
	}
	user := w.name("other")
	w.must(t, http.MethodPut, "/_security/user/"+user, map[string]any{"password": rand.Text(), "roles": []string{}}, nil)
	t.Cleanup(func() { w.must(t, http.MethodDelete, "/_security/user/"+user, nil, nil) })
	a := Account{User: user, Role: "pharos_viewer", Variable: "VIEWER_PASSWORD", Password: "hunter2hunter2"}
	if _, err := w.setup().account(t.Context(), a); err == nil || !strings.Contains(err.Error(), "user "+user+" exists already") {
		t.Errorf("user: got %v", err)
	}
}

func (w *world) correctsAccounts(t *testing.T) {
	a := Account{User: w.name("someone"), Role: "pharos_viewer", About: "Someone", Variable: "SOME_PASSWORD", Password: env.Secret(rand.Text())}
	w.addAccount(t, a)
	step := func(what string, want Action) {
		t.Helper()
		c, err := w.setup().account(t.Context(), a)
		if err != nil || c.Action != want {
			t.Errorf("%s: %v, %v, want %s", what, c, err, want)
		}
	}
	step("nothing new", Unchanged)
	a.Password = env.Secret(rand.Text())
	step("new password", Updated)
	step("new password again", Unchanged)
	a.Role = "pharos_support"
	step("new role", Updated)
	if right, err := w.setup().signsIn(t.Context(), a); err != nil || !right {
		t.Errorf("the new role took the password: %t, %v", right, err)
	}
	w.must(t, http.MethodPut, "/_security/user/"+a.User+"/_disable", nil, nil)
	step("disabled by an operator", Kept)
	w.must(t, http.MethodPut, "/_security/user/"+a.User+"/_enable", nil, nil)
	a.Password = "short"
	if _, err := w.setup().account(t.Context(), a); err == nil || !strings.Contains(err.Error(), "SOME_PASSWORD") || strings.Contains(err.Error(), "short ") {
		t.Errorf("short password: got %v", err)
	}
}
