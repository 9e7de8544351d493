package index_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pharos/watcher"
	"pharos/watcher/action/index"
	"pharos/watcher/document"
)

// elasticsearch answers what it is told and keeps what it was asked.
type elasticsearch struct {
	status             int
	answer             string
	err                error
	method, path, body string
}

func (e *elasticsearch) Do(_ context.Context, method, path string, body []byte) (int, []byte, error) {
	e.method, e.path, e.body = method, path, string(body)
	return e.status, []byte(e.answer), e.err
}

func parse(t *testing.T, es *elasticsearch, body string) (watcher.Action, error) {
	t.Helper()
	v, err := document.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return index.Parser(index.Deps{Elasticsearch: es})("actions.a.index", v)
}

const (
	created   = `{"_index":"i","_id":"1","_version":1,"result":"created"}`
	asCreated = `{"response":{"created":true,"result":"created","id":"1","version":1,"index":"i"}}`
)

func TestExecute(t *testing.T) {
	for name, c := range map[string]struct {
		action, payload string
		es              elasticsearch
		status          watcher.ActionStatus
		detail, reason  string
		request         string
	}{
		"one": {`{"index":"i"}`, `{"a":1}`, elasticsearch{status: 201, answer: created}, watcher.Success, asCreated, "", `POST /i/_doc {"a":1}`},
		"with everything": {
			`{"index":"<i-{now/d}>","doc_id":"a/b","op_type":"create","execution_time_field":"at","timeout":"5s","refresh":"wait_for"}`, `{"a":1}`,
			elasticsearch{status: 201, answer: created}, watcher.Success, asCreated, "",
			`PUT /%3Ci-%7Bnow%2Fd%7D%3E/_doc/a%2Fb?op_type=create&refresh=wait_for&timeout=5000ms {"a":1,"at":"2026-01-02T03:04:05.000Z"}`,
		},
		"names in the payload": {`{}`, `{"_index":"i","_id":7,"a":1}`, elasticsearch{status: 201, answer: created}, watcher.Success, asCreated, "", `PUT /i/_doc/7 {"a":1}`},
		"_doc":                 {`{"index":"i"}`, `{"_doc":{"a":1},"b":2}`, elasticsearch{status: 201, answer: created}, watcher.Success, asCreated, "", `POST /i/_doc {"a":1}`},
		"refused": {
			`{"index":"i"}`, `{"a":1}`, elasticsearch{status: 400, answer: `{"error":{"root_cause":[],"type":"mapper_parsing_exception","reason":"no"},"status":400}`},
			watcher.Failure, "", "no", `POST /i/_doc {"a":1}`,
		},
		"away":     {`{"index":"i"}`, `{"a":1}`, elasticsearch{err: errors.New("away")}, watcher.Failure, "", "away", `POST /i/_doc {"a":1}`},
		"no index": {`{}`, `{"a":1}`, elasticsearch{}, watcher.Failure, "", "Validation Failed: 1: index is missing;", ""},
		"two names": {
			`{"index":"i"}`, `{"_index":"j"}`, elasticsearch{}, watcher.Failure, "",
			"could not execute action [a] of watch [w]. [ctx.payload._index] or [ctx.payload._doc._index] were set together with action [index] field. Only set one of them", "",
		},
		"bulk": {
			`{"index":"i"}`, `{"_doc":[{"a":1},{"a":2,"_id":"x"}]}`,
			elasticsearch{status: 200, answer: `{"items":[{"index":` + created + `},{"index":{"_index":"i","_id":"x","status":400,"error":{"type":"t","reason":"r"}}}]}`},
			watcher.PartialFailure,
			`{"response":[{"created":true,"result":"created","id":"1","version":1,"index":"i"},{"failed":true,"message":"t: r","id":"x","index":"i"}]}`, "",
			"POST /_bulk {\"index\":{\"_index\":\"i\"}}\n{\"a\":1}\n{\"index\":{\"_index\":\"i\",\"_id\":\"x\"}}\n{\"a\":2}\n",
		},
		"bulk, all refused": {
			`{"index":"i","op_type":"create"}`, `{"_doc":[{"a":1}]}`,
			elasticsearch{status: 200, answer: `{"items":[{"create":{"_index":"i","_id":"x","status":400,"error":{"type":"t","reason":"r"}}}]}`},
			watcher.Failure, `{"response":[{"failed":true,"message":"t: r","id":"x","index":"i"}]}`, "",
			"POST /_bulk {\"create\":{\"_index\":\"i\"}}\n{\"a\":1}\n",
		},
		"bulk with doc_id": {
			`{"index":"i","doc_id":"x"}`, `{"_doc":[{"a":1}]}`, elasticsearch{}, watcher.Failure, "",
			"could not execute action [a] of watch [w]. [doc_id] cannot be used with bulk [_doc] indexing", "",
		},
		"_doc is a number": {
			`{"index":"i"}`, `{"_doc":1}`, elasticsearch{}, watcher.Failure, "",
			"could not execute action [a] of watch [w]. failed to index payload data.[_data] field must either hold a Map or an List/Array of Maps", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := parse(t, &c.es, c.action)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := document.ParseObject([]byte(c.payload))
			if err != nil {
				t.Fatal(err)
			}
			r := a.Execute(t.Context(), watcher.Run{WatchID: "w", ActionID: "a", Payload: payload, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
			detail, reason := "", ""
			if r.Detail != nil {
				detail = text(t, r.Detail)
			}
			if r.Err != nil {
				reason = r.Err.Error()
			}
			if r.Status != c.status || detail != c.detail || reason != c.reason {
				t.Errorf("got  %s %s %q\nwant %s %s %q", r.Status, detail, reason, c.status, c.detail, c.reason)
			}
			if request := c.es.method + " " + c.es.path + " " + c.es.body; c.request != "" && request != c.request || c.request == "" && c.es.method != "" {
				t.Errorf("asked\n%s\nwant\n%s", request, c.request)
			}
			if text(t, payload) != c.payload {
				t.Errorf("the payload was changed: %s", text(t, payload))
			}
		})
	}
}

func text(t *testing.T, o *document.Object) string {
	t.Helper()
	b, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSimulate(t *testing.T) {
	es := &elasticsearch{}
	a, err := parse(t, es, `{"index":"i","doc_id":"x","refresh":true}`)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := document.ParseObject([]byte(`{"a":1}`))
	r := a.Execute(t.Context(), watcher.Run{Payload: payload, Simulate: true})
	if want := `{"request":{"index":"i","doc_id":"x","refresh":"true","source":{"a":1}}}`; r.Status != watcher.Simulated || text(t, r.Detail) != want || es.method != "" {
		t.Errorf("%s %s, asked %q", r.Status, text(t, r.Detail), es.method)
	}
	if want := `{"index":"i","doc_id":"x","refresh":"true"}`; text(t, a.Body()) != want {
		t.Errorf("body %s", text(t, a.Body()))
	}
}

func TestRefused(t *testing.T) {
	for in, want := range map[string]string{
		`{"x":"y"}`:                           `could not parse [index] action [a]. unexpected string field [x] (at actions.a.index.x)`,
		`{"index":"i","op_type":"update"}`:    `could not parse [index] action [a]. op_type value for field [op_type] must be [index] or [create] (at actions.a.index.op_type)`,
		`{"index":"i","op_type":"x"}`:         `could not parse [index] action [a]. failed to parse op_type value for field [op_type] (at actions.a.index.op_type)`,
		`{"refresh":"now"}`:                   `could not parse [index] action [a]. Unknown value for refresh: [now]. (at actions.a.index.refresh)`,
		`{"dynamic_name_timezone":"Nowhere"}`: `could not parse [index] action [a]. failed to parse [dynamic_name_timezone]. must be a string value (e.g. 'UTC' or '+01:00') (at actions.a.index.dynamic_name_timezone)`,
	} {
		if _, err := parse(t, nil, in); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}
