// Package index is the index action: it writes the payload into an index.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/actions-index.html
package index

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/fields"
)

// Deps are what the action needs.
type Deps struct {
	Elasticsearch watcher.Elasticsearch
}

type action struct {
	deps      Deps
	index     string
	docID     string
	opType    string
	timeField string
	timeout   *time.Duration
	zone      string
	refresh   string
}

// Parser returns the parser of index actions.
func Parser(deps Deps) watcher.ParseAction {
	return func(path string, body any) (watcher.Action, error) {
		in := fields.Read(path, fmt.Sprintf("could not parse [index] action [%s]", fields.ActionID(path)), body)
		a := &action{deps: deps}
		a.index, _ = in.String("index")
		a.docID, _ = in.String("doc_id")
		a.timeField, _ = in.String("execution_time_field")
		if op, ok := in.String("op_type"); ok {
			a.opType = op
			switch op {
			case "index", "create":
			case "update", "delete":
				in.Fail("op_type", "op_type value for field [op_type] must be [index] or [create]")
			default:
				in.Fail("op_type", "failed to parse op_type value for field [op_type]")
			}
		}
		if d, ok := in.Duration("timeout", "timeout_in_millis"); ok {
			a.timeout = &d
		}
		if zone, ok := in.String("dynamic_name_timezone"); ok {
			a.zone = zone
			if !validZone(zone) {
				in.Fail("dynamic_name_timezone", "failed to parse [dynamic_name_timezone]. must be a string value (e.g. 'UTC' or '+01:00')")
			}
		}
		if refresh, ok := in.Value("refresh"); ok {
			switch a.refresh = document.String(refresh); a.refresh {
			case "true", "false", "wait_for":
			default:
				in.Fail("refresh", "Unknown value for refresh: [%s].", a.refresh)
			}
		}
		if err := in.Done(); err != nil {
			return nil, err
		}
		return a, nil
	}
}

func validZone(zone string) bool {
	if _, err := time.LoadLocation(zone); err == nil && zone != "Local" {
		return true
	}
	for _, layout := range []string{"Z07:00", "Z0700", "Z07", "UTCZ07:00", "GMTZ07:00"} {
		if _, err := time.Parse(layout, zone); err == nil {
			return true
		}
	}
	return false
}

// Execute writes the payload as one document, or each of its _doc list by one
// bulk request.
func (a *action) Execute(ctx context.Context, run watcher.Run) watcher.ActionResult {
	if a.timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *a.timeout)
		defer cancel()
	}
	data, ok := run.Payload.(*document.Object)
	if !ok {
		return a.illegal(run)
	}
	doc, hasDoc := data.Get("_doc")
	if !hasDoc {
		return a.one(ctx, run, data)
	}
	switch doc := doc.(type) {
	case *document.Object:
		return a.one(ctx, run, doc)
	case []any:
		return a.bulk(ctx, run, doc)
	}
	return a.illegal(run)
}

func (a *action) illegal(run watcher.Run) watcher.ActionResult {
	return failure(fmt.Errorf("could not execute action [%s] of watch [%s]. failed to index payload data."+
		"[_data] field must either hold a Map or an List/Array of Maps", run.ActionID, run.WatchID))
}

func failure(err error) watcher.ActionResult {
	return watcher.ActionResult{Status: watcher.Failure, Err: err}
}

// target is where a document goes and what is written.
type target struct {
	index, id string
	source    *document.Object
}

// target takes _index and _id out of a document; each may be named there or in
// the action, not in both.
func (a *action) target(run watcher.Run, data *document.Object) (target, error) {
	to := target{source: data.Clone()}
	for _, f := range []struct {
		name, field, fixed string
		into               *string
	}{{"index", "_index", a.index, &to.index}, {"id", "_id", a.docID, &to.id}} {
		v, _ := to.source.Get(f.field)
		to.source.Delete(f.field)
		switch {
		case v == nil:
			*f.into = f.fixed
		case f.fixed != "":
			return to, fmt.Errorf("could not execute action [%s] of watch [%s]. [ctx.payload.%s] or [ctx.payload._doc.%s] were set together with action [%s] field. Only set one of them",
				run.ActionID, run.WatchID, f.field, f.field, f.name)
		default:
			*f.into = document.String(v)
		}
	}
	if a.timeField != "" {
		to.source.Set(a.timeField, run.Now.UTC().Format(document.TimeLayout))
	}
	return to, nil
}

func (a *action) one(ctx context.Context, run watcher.Run, data *document.Object) watcher.ActionResult {
	to, err := a.target(run, data)
	if err != nil {
		return failure(err)
	}
	if run.Simulate {
		request := document.NewObject(document.Pair{Key: "index", Value: text(to.index)})
		if to.id != "" {
			request.Set("doc_id", to.id)
		}
		if a.refresh != "" {
			request.Set("refresh", a.refresh)
		}
		request.Set("source", to.source)
		return watcher.ActionResult{Status: watcher.Simulated, Detail: document.NewObject(document.Pair{Key: "request", Value: request})}
	}
	if to.index == "" {
		return failure(invalid("index is missing"))
	}
	body, err := document.Marshal(to.source)
	if err != nil {
		return failure(err)
	}
	method, path := "POST", "/"+url.PathEscape(to.index)+"/_doc"
	if to.id != "" {
		method, path = "PUT", path+"/"+url.PathEscape(to.id)
	}
	answer, err := a.send(ctx, method, path, body, true)
	if err != nil {
		return failure(err)
	}
	return watcher.ActionResult{Status: watcher.Success, Detail: document.NewObject(document.Pair{Key: "response", Value: written(answer)})}
}

// text is a string, or null where it is empty.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func invalid(what string) error {
	return document.NewError(http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: "+what+";")
}

func (a *action) bulk(ctx context.Context, run watcher.Run, list []any) watcher.ActionResult {
	if a.docID != "" {
		return failure(fmt.Errorf("could not execute action [%s] of watch [%s]. [doc_id] cannot be used with bulk [_doc] indexing", run.ActionID, run.WatchID))
	}
	op := a.opType
	if op == "" {
		op = "index"
	}
	var lines []byte
	requests := []any{}
	for _, item := range list {
		data, ok := item.(*document.Object)
		if !ok {
			return a.illegal(run)
		}
		to, err := a.target(run, data)
		if err != nil {
			return failure(err)
		}
		if to.index == "" && !run.Simulate {
			return failure(invalid("index is missing"))
		}
		meta := document.NewObject(document.Pair{Key: "_index", Value: text(to.index)})
		if to.id != "" {
			meta.Set("_id", to.id)
		}
		for _, line := range []*document.Object{document.NewObject(document.Pair{Key: op, Value: meta}), to.source} {
			written, err := document.Marshal(line)
			if err != nil {
				return failure(err)
			}
			lines = append(append(lines, written...), '\n')
		}
		requests = append(requests, meta.Clone().Set("source", to.source))
	}
	if run.Simulate {
		return watcher.ActionResult{Status: watcher.Simulated, Detail: document.NewObject(document.Pair{Key: "request", Value: requests})}
	}
	if len(list) == 0 {
		return failure(invalid("no requests added"))
	}
	answer, err := a.send(ctx, "POST", "/_bulk", lines, false)
	if err != nil {
		return failure(err)
	}
	return bulkResult(answer, op)
}

func bulkResult(answer *document.Object, op string) watcher.ActionResult {
	items, _ := document.At(answer, "items").([]any)
	response := []any{}
	failed := 0
	for _, item := range items {
		result, _ := document.At(item, op).(*document.Object)
		if cause, ok := document.At(result, "error").(*document.Object); ok {
			failed++
			response = append(response, document.NewObject(
				document.Pair{Key: "failed", Value: true},
				document.Pair{Key: "message", Value: document.String(document.At(cause, "type")) + ": " + document.String(document.At(cause, "reason"))},
				document.Pair{Key: "id", Value: document.At(result, "_id")},
				document.Pair{Key: "index", Value: document.At(result, "_index")},
			))
			continue
		}
		response = append(response, written(result))
	}
	status, reason := watcher.Success, ""
	switch {
	case failed == 0:
	case failed == len(items):
		status, reason = watcher.Failure, fmt.Sprintf("all %d documents were refused", failed)
	default:
		status, reason = watcher.PartialFailure, fmt.Sprintf("%d of %d documents were refused", failed, len(items))
	}
	return watcher.ActionResult{Status: status, Reason: reason, Detail: document.NewObject(document.Pair{Key: "response", Value: response})}
}

// written is Elasticsearch's answer about one document as records show it.
func written(answer *document.Object) *document.Object {
	result := document.At(answer, "result")
	return document.NewObject(
		document.Pair{Key: "created", Value: result == "created"},
		document.Pair{Key: "result", Value: result},
		document.Pair{Key: "id", Value: document.At(answer, "_id")},
		document.Pair{Key: "version", Value: document.At(answer, "_version")},
		document.Pair{Key: "index", Value: document.At(answer, "_index")},
	)
}

func (a *action) send(ctx context.Context, method, path string, body []byte, single bool) (*document.Object, error) {
	query := url.Values{}
	if a.refresh != "" {
		query.Set("refresh", a.refresh)
	}
	if a.timeout != nil {
		query.Set("timeout", fmt.Sprintf("%dms", a.timeout.Milliseconds()))
	}
	if single && a.opType != "" {
		query.Set("op_type", a.opType)
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	status, answer, err := a.deps.Elasticsearch.Do(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if status >= http.StatusMultipleChoices {
		return nil, document.AnsweredError(status, answer)
	}
	object, err := document.ParseObject(answer)
	if err != nil {
		return nil, fmt.Errorf("read Elasticsearch's answer: %w", err)
	}
	return object, nil
}

// Body is the action as Elastic shows it.
func (a *action) Body() *document.Object {
	o := document.NewObject()
	for _, f := range []struct{ key, value string }{
		{"index", a.index}, {"doc_id", a.docID}, {"op_type", a.opType}, {"execution_time_field", a.timeField},
	} {
		if f.value != "" {
			o.Set(f.key, f.value)
		}
	}
	if a.timeout != nil {
		o.Set("timeout_in_millis", a.timeout.Milliseconds())
	}
	if a.zone != "" {
		o.Set("dynamic_name_timezone", a.zone)
	}
	if a.refresh != "" {
		o.Set("refresh", a.refresh)
	}
	return o
}

// SecretPaths is empty: an index action holds no secret.
func (a *action) SecretPaths() []string { return nil }
