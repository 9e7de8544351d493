package esstore_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/internal/fault"
	"pharos/internal/teststack"
	"pharos/watcher"
	"pharos/watcher/action/logging"
	"pharos/watcher/document"
	"pharos/watcher/esstore"
	"pharos/watcher/lease"
)

// asWatcher is a store with the rights that the watcher has.
func asWatcher(t *testing.T) (*elastic.Client, *esstore.Store, *esstore.History) {
	t.Helper()
	teststack.Need(t)
	es, err := elastic.New(elastic.Config{
		URLs: []string{os.Getenv("ELASTICSEARCH_URL")}, User: "watcher", Password: env.Secret(os.Getenv("WATCHER_PASSWORD")),
	})
	if err != nil {
		t.Fatal(err)
	}
	report := func(_ context.Context, err error) { t.Error(err) }
	history := esstore.NewHistory(es, esstore.HistoryConfig{Interval: time.Second, Buffer: 10 << 20}, report)
	return es, esstore.New(es, history), history
}

func object(t *testing.T, text string) *document.Object {
	t.Helper()
	o, err := document.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func number(n int64) *int64 { return &n }

func TestWatches(t *testing.T) {
	_, store, _ := asWatcher(t)
	ctx := t.Context()
	now := time.Now().UTC().Truncate(time.Millisecond)
	id := "test/" + rand.Text() + " ü"
	t.Cleanup(func() { _, _ = store.Delete(context.WithoutCancel(ctx), id) })
	if _, err := store.Get(ctx, id); !fault.Is(err, fault.NotFound) {
		t.Fatalf("absent: %v", err)
	}
	if _, err := store.UpdateStatus(ctx, id, watcher.Status{}, watcher.Precondition{}); !fault.Is(err, fault.NotFound) {
		t.Fatalf("status of an absent watch: %v", err)
	}
	const text = `{"trigger":{"schedule":{"interval":"1h"}},"z":1,"a":{"y":[1,2.5,null],"b":"::x"},"metadata":{"mark":"` + "M" + `","b":2}}`
	source := object(t, text)
	status := watcher.NewStatus(true, now, []string{"page", "log"})
	stored, created, err := store.Put(ctx, id, source, status, watcher.Precondition{})
	if err != nil || !created || stored.Version != 1 {
		t.Fatalf("put: %+v %t %v", stored, created, err)
	}
	got, err := store.Get(ctx, id)
	if err != nil || got.SeqNo != stored.SeqNo || got.Version != 1 {
		t.Fatalf("get: %+v %v", got, err)
	}
	if back, _ := document.Marshal(got.Source); string(back) != text {
		t.Errorf("source came back as %s", back)
	}
	a, _ := json.Marshal(status)
	if b, _ := json.Marshal(got.Status); string(a) != string(b) {
		t.Errorf("status came back as %s, was %s", b, a)
	}

	t.Run("compare and set", func(t *testing.T) {
		for name, cond := range map[string]watcher.Precondition{
			"seq_no": {SeqNo: number(got.SeqNo + 1), PrimaryTerm: number(got.PrimaryTerm)}, "version": {Version: number(7)},
		} {
			if _, _, err := store.Put(ctx, id, source, status, cond); !fault.Is(err, fault.Conflict) {
				t.Errorf("put by a wrong %s: %v", name, err)
			}
			if _, err := store.UpdateStatus(ctx, id, status, cond); !fault.Is(err, fault.Conflict) {
				t.Errorf("status by a wrong %s: %v", name, err)
			}
		}
		if _, err := store.Settle(ctx, id, status, got.SeqNo+1, got.PrimaryTerm); !fault.Is(err, fault.Conflict) {
			t.Errorf("settle by a wrong seq_no: %v", err)
		}
		if _, err := store.Settle(ctx, id+"x", status, got.SeqNo, got.PrimaryTerm); !fault.Is(err, fault.NotFound) {
			t.Errorf("settle an absent watch: %v", err)
		}
	})

	t.Run("status", func(t *testing.T) {
		next := status.Clone()
		next.LastChecked, next.ExecutionState = now.Add(time.Second), watcher.Executed
		next.Actions = next.Actions[:1]
		settled, err := store.Settle(ctx, id, next, got.SeqNo, got.PrimaryTerm)
		if err != nil || settled.Version != 2 {
			t.Fatalf("%+v %v", settled, err)
		}
		again, err := store.Get(ctx, id)
		if err != nil || !again.Status.LastChecked.Equal(next.LastChecked) || len(again.Status.Actions) != 1 || again.SeqNo != settled.SeqNo {
			t.Errorf("%+v %v", again, err)
		}
		off := again.Status.Clone()
		off.SetActive(false, now)
		if _, err := store.UpdateStatus(ctx, id, off, watcher.Precondition{SeqNo: &again.SeqNo, PrimaryTerm: &again.PrimaryTerm}); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("query", func(t *testing.T) {
		for query, want := range map[string]int{
			`{"query":{"bool":{"filter":[{"term":{"_id":"` + id + `"}},{"term":{"status.state.active":false}}]}}}`: 1,
			`{"query":{"bool":{"filter":[{"term":{"_id":"` + id + `"}},{"term":{"status.state.active":true}}]}}}`:  0,
			`{"query":{"bool":{"filter":[{"ids":{"values":["` + id + `"]}},{"match":{"metadata.mark":"m"}}]}}}`:    1,
			`{"query":{"ids":{"values":["` + id + `"]}},"sort":[{"metadata.b":"desc"}],"size":5}`:                  1,
			`{"query":{"ids":{"values":["` + id + `"]}},"from":1}`:                                                 0,
		} {
			total, found, err := store.Query(ctx, object(t, query))
			if err != nil || len(found) != want {
				t.Errorf("%s: %d found, %v", query, len(found), err)
			}
			if want == 1 && (total != 1 || found[0].ID != id || found[0].Status.Active) {
				t.Errorf("%s: %d %+v", query, total, found)
			}
		}
		var refused *document.Error
		if _, _, err := store.Query(ctx, object(t, `{"query":{"nonsense":{}}}`)); !asError(err, &refused) || refused.Status != 400 {
			t.Errorf("a wrong query: %v", err)
		}
		if _, found, err := store.Query(ctx, nil); err != nil || len(found) == 0 {
			t.Errorf("no query: %d %v", len(found), err)
		}
	})

	t.Run("metadata of another type", func(t *testing.T) {
		other := id + "-other"
		t.Cleanup(func() { _, _ = store.Delete(context.WithoutCancel(ctx), other) })
		if _, _, err := store.Put(ctx, other, object(t, `{"metadata":{"b":{"c":1}}}`), status, watcher.Precondition{}); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Get(ctx, other); err != nil || document.At(got.Source, "metadata.b.c") != int64(1) {
			t.Errorf("%+v %v", got, err)
		}
	})

	t.Run("list and load", func(t *testing.T) {
		list, err := store.List(ctx)
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		if _, ok := list[id]; !ok {
			t.Errorf("%s is not in %v", id, list)
		}
		loaded, err := store.Load(ctx, []string{id, "absent"}, func(err error) { t.Error(err) })
		if err != nil || len(loaded) != 1 || loaded[0].ID != id {
			t.Errorf("%+v %v", loaded, err)
		}
	})

	gone, err := store.Delete(ctx, id)
	if err != nil || gone.Version != 4 || gone.Source.Len() == 0 {
		t.Errorf("delete: %+v %v", gone, err)
	}
	if _, err := store.Delete(ctx, id); !fault.Is(err, fault.NotFound) {
		t.Errorf("delete again: %v", err)
	}
}

func asError(err error, into **document.Error) bool {
	e, ok := err.(*document.Error) //nolint:errorlint // the store passes it on
	*into = e
	return ok
}

func TestShipped(t *testing.T) {
	_, store, _ := asWatcher(t)
	ctx := t.Context()
	id := "test-shipped-" + rand.Text()
	t.Cleanup(func() { _, _ = store.Delete(context.WithoutCancel(ctx), id) })
	source, status := object(t, `{"a":1}`), watcher.NewStatus(true, time.Now(), nil)
	if _, err := store.PutShipped(ctx, id, source, status, "h1", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutShipped(ctx, id, source, status, "h1", nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	stored, hash, err := store.Shipped(ctx, id)
	if err != nil || hash != "h1" {
		t.Fatal(hash, err)
	}
	if _, err := store.Settle(ctx, id, status, stored.SeqNo, stored.PrimaryTerm); err != nil {
		t.Fatal(err)
	}
	if stored, hash, err = store.Shipped(ctx, id); err != nil || hash != "h1" {
		t.Errorf("an execution made it %q: %v", hash, err)
	}
	if _, _, err := store.Put(ctx, id, source, status, watcher.Precondition{}); err != nil {
		t.Fatal(err)
	}
	if _, hash, err = store.Shipped(ctx, id); err != nil || hash != "" {
		t.Errorf("changed by people, and still %q: %v", hash, err)
	}
	if _, err := store.PutShipped(ctx, id, source, status, "h2", &stored); !fault.Is(err, fault.Conflict) {
		t.Errorf("over what people put: %v", err)
	}
}

func TestHistory(t *testing.T) {
	es, store, history := asWatcher(t)
	ctx := t.Context()
	watch := "test-history-" + strings.ToLower(rand.Text())
	at := time.Now().UTC().Truncate(time.Millisecond)
	record := func(n string) watcher.Record {
		return watcher.NotExecuted(watch+"_"+n, watch, "node", watcher.AlreadyQueued, watcher.Trigger{TriggeredTime: at, ScheduledTime: at}, at, "why")
	}
	for _, n := range []string{"1", "2", "1"} { // the third is the first again
		if err := store.Record(ctx, record(n)); err != nil {
			t.Fatal(err)
		}
	}
	if n := history.Waiting(); n != 3 {
		t.Errorf("%d wait", n)
	}
	if err := history.Flush(ctx); err != nil || history.Waiting() != 0 {
		t.Fatal(err, history.Waiting())
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		status, answer, err := es.Do(ctx, http.MethodPost, "/pharos-watch-history/_search",
			[]byte(`{"query":{"bool":{"filter":[{"term":{"watch_id":"`+watch+`"}},{"range":{"trigger_event.triggered_time":{"gte":"now-1h"}}}]}}}`))
		if err != nil || status != http.StatusOK {
			t.Fatal(status, string(answer), err)
		}
		var found struct {
			Hits struct {
				Hits []struct {
					ID     string          `json:"_id"`
					Index  string          `json:"_index"`
					Source json.RawMessage `json:"_source"`
				} `json:"hits"`
			} `json:"hits"`
		}
		if err := json.Unmarshal(answer, &found); err != nil {
			t.Fatal(err)
		}
		if len(found.Hits.Hits) == 2 {
			if got := found.Hits.Hits[0].Index; got != "pharos-watch-history-"+at.Format("2006.01.02") {
				t.Errorf("index %s", got)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s", answer)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Leases are shared with the stack's own watcher: the test writes one under a
// name of its own.
func TestLeases(t *testing.T) {
	es, store, _ := asWatcher(t)
	ctx := t.Context()
	mine := lease.Lease{ID: "test-" + rand.Text(), Holder: "a", TTL: time.Second, Beat: 1, Report: json.RawMessage(`{"x":1}`)}
	t.Cleanup(func() {
		_, _, _ = es.Do(context.WithoutCancel(ctx), http.MethodDelete, "/pharos-leases/_doc/"+mine.ID, nil)
	})
	written, err := store.WriteLeases(ctx, []lease.Lease{mine, mine})
	if err != nil || written[0].Err != nil || !fault.Is(written[1].Err, fault.Conflict) {
		t.Fatalf("%+v %v", written, err)
	}
	all, err := store.Leases(ctx)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(l lease.Lease) bool { return l.ID == mine.ID })
	if i < 0 || all[i].Revision != written[0].Revision || all[i].Holder != "a" || all[i].TTL != time.Second || string(all[i].Report) != `{"x":1}` {
		t.Fatalf("%+v", all)
	}
	next := all[i]
	next.Beat++
	if written, err = store.WriteLeases(ctx, []lease.Lease{next}); err != nil || written[0].Err != nil {
		t.Fatalf("%+v %v", written, err)
	}
	if written, err = store.WriteLeases(ctx, []lease.Lease{next}); err != nil || !fault.Is(written[0].Err, fault.Conflict) {
		t.Fatalf("by the old revision: %+v %v", written, err)
	}
	if _, err := store.ClusterName(ctx); err != nil {
		t.Error(err)
	}
	if _, err := store.Stopped(ctx); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	es, store, _ := asWatcher(t)
	ctx := t.Context()
	const name = "index.number_of_replicas"
	// Makes sure that there is an index.
	id := "test/" + rand.Text()
	t.Cleanup(func() { _, _ = store.Delete(context.WithoutCancel(ctx), id) })
	if _, _, err := store.Put(ctx, id, object(t, `{}`), watcher.Status{}, watcher.Precondition{}); err != nil {
		t.Fatal(err)
	}
	before, err := store.Settings(ctx, name+",index.auto_expand_replicas")
	if err != nil || before["index.auto_expand_replicas"] != "0-1" || before[name] == nil || len(before) != 2 {
		t.Fatalf("%v, %v", before, err)
	}
	t.Cleanup(func() {
		if err := store.ChangeSettings(context.WithoutCancel(ctx), map[string]any{"index.auto_expand_replicas": "0-1"}); err != nil {
			t.Error(err)
		}
	})
	if err := store.ChangeSettings(ctx, map[string]any{"index.auto_expand_replicas": nil, name: 0}); err != nil {
		t.Fatal(err)
	}
	if after, err := store.Settings(ctx, name+",index.auto_expand_replicas"); err != nil || after[name] != "0" || len(after) != 1 {
		t.Errorf("%v, %v", after, err)
	}
	if status, _, err := es.Do(ctx, http.MethodPut, "/pharos-leases/_settings", []byte(`{"index.number_of_replicas":0}`)); err != nil || status != http.StatusForbidden {
		t.Errorf("of another index: %d, %v", status, err)
	}
}

func TestExecutions(t *testing.T) {
	es, store, history := asWatcher(t)
	ctx := t.Context()
	id := "test-executions-" + strings.ToLower(rand.Text())
	if list, err := store.Executions(ctx, id, 10); err != nil || len(list) != 0 {
		t.Fatalf("before there is one: %+v, %v", list, err)
	}
	engine := watcher.New(watcher.Config{
		Elasticsearch: es, DefaultThrottle: time.Second, Now: time.Now, NewID: rand.Text,
		Actions: map[string]watcher.ParseAction{"logging": logging.Parser(logging.Deps{Log: zap.NewNop()})},
	})
	w, err := engine.Parse(ctx, id, []byte(`{"trigger":{"schedule":{"interval":"1h"}},"input":{"simple":{"secret":"payload"}},
		"condition":{"compare":{"ctx.payload.secret":{"eq":"payload"}}},"actions":{"log":{"logging":{"text":"x"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Truncate(time.Millisecond)
	trigger := func(n int) watcher.Trigger {
		due := at.Add(time.Duration(n) * time.Second)
		return watcher.Trigger{TriggeredTime: due, ScheduledTime: due}
	}
	status := watcher.NewStatus(true, at, w.ActionIDs())
	first, status := engine.Execute(ctx, w, status, trigger(0), watcher.Options{Node: "n"})
	second, _ := engine.Execute(ctx, w, status, trigger(1), watcher.Options{Node: "n", User: "ada", ActionModes: map[string]watcher.Mode{"_all": watcher.Simulate}})
	third := watcher.NotExecuted(id+"_3", id, "n", watcher.AlreadyQueued, trigger(2), at, "it is queued")
	for _, r := range []watcher.Record{first, second, third} {
		if err := store.Record(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := history.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var list []esstore.Execution
	for deadline := time.Now().Add(20 * time.Second); len(list) < 3; time.Sleep(100 * time.Millisecond) {
		if list, err = store.Executions(ctx, id, 10); err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", list, err)
		}
	}
	if e := list[0]; e.ID != third.ID || e.State != string(watcher.AlreadyQueued) || e.Error != "it is queued" || e.Met != nil || !e.At.Equal(trigger(2).TriggeredTime) {
		t.Errorf("not executed: %+v", e)
	}
	if e := list[1]; e.User != "ada" || len(e.Actions) != 1 || e.Actions[0].Status != "throttled" && e.Actions[0].Status != "simulated" {
		t.Errorf("simulated: %+v", e)
	}
	if e := list[2]; e.ID != first.ID || e.State != "executed" || e.Met == nil || !*e.Met || e.Error != "" || e.Actions[0] != (esstore.ExecutionAction{ID: "log", Type: "logging", Status: "success"}) {
		t.Errorf("executed: %+v", e)
	}
	if list, err = store.Executions(ctx, id, 1); err != nil || len(list) != 1 {
		t.Errorf("limit: %+v, %v", list, err)
	}
}
