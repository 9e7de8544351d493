package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pharos/kibana/kibanaapi"
)

func stand(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(newRecorder(func(_ context.Context, user, password string) error {
		if user != "elastic" || password != "right" {
			return errors.New("401")
		}
		return nil
	}))
	t.Cleanup(server.Close)
	return server
}

func call(t *testing.T, server *httptest.Server, method, path, contentType, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("elastic", "right")
	req.Header.Set("kbn-xsrf", "true")
	req.Header.Set("Content-Type", contentType)
	if change != nil {
		change(req)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func form(t *testing.T, name, lines string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, lines); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

const (
	view      = `{"type":"index-pattern","id":"logs","attributes":{"title":"logs-*"},"references":[]}`
	dashboard = `{"type":"dashboard","id":"ops","attributes":{"title":"Ops","panelsJSON":"[]"},"references":[{"type":"index-pattern","id":"logs","name":"a"}]}`
)

func TestImport(t *testing.T) {
	for name, c := range map[string]struct {
		file, lines, path string
		status            int
		want              string
	}{
		"a view and a dashboard":    {"o.ndjson", view + "\n" + dashboard + "\n" + `{"exportedCount":2}`, "/api/saved_objects/_import", 200, `"successCount":2`},
		"a view that is not there":  {"o.ndjson", dashboard, "/api/saved_objects/_import", 200, `"type":"missing_references"`},
		"a kind that is not known":  {"o.ndjson", `{"type":"alert","id":"a","attributes":{}}`, "/api/saved_objects/_import", 200, `"type":"unsupported_type"`},
		"panels that are no JSON":   {"o.ndjson", `{"type":"dashboard","id":"a","attributes":{"panelsJSON":"["}}`, "/api/saved_objects/_import", 200, "panelsJSON is no JSON"},
		"references without a name": {"o.ndjson", view + "\n" + strings.Replace(dashboard, `,"name":"a"`, "", 1), "/api/saved_objects/_import", 200, "no name of its own"},
		"a line that is no JSON":    {"o.ndjson", "{", "/api/saved_objects/_import", 400, "line 1"},
		"an object without an id":   {"o.ndjson", `{"type":"lens","attributes":{}}`, "/api/saved_objects/_import", 400, "line 1: type, id or attributes"},
		"a file of another kind":    {"o.json", view, "/api/saved_objects/_import", 400, "Invalid file extension"},
		"a space that is not there": {"o.ndjson", view, "/s/none/api/saved_objects/_import", 404, "space/none"},
	} {
		t.Run(name, func(t *testing.T) {
			contentType, body := form(t, c.file, c.lines)
			if status, answer := call(t, stand(t), "POST", c.path, contentType, body, nil); status != c.status || !strings.Contains(answer, c.want) {
				t.Errorf("%d %s, want %d and %s", status, answer, c.status, c.want)
			}
		})
	}
}

func TestImportAgain(t *testing.T) {
	server := stand(t)
	contentType, body := form(t, "o.ndjson", view)
	for _, c := range []struct{ path, want string }{
		{"/api/saved_objects/_import", `"success":true`},
		{"/api/saved_objects/_import", `"type":"conflict"`},
		{"/api/saved_objects/_import?overwrite=true", `"overwrite":true`},
	} {
		if status, answer := call(t, server, "POST", c.path, contentType, body, nil); status != 200 || !strings.Contains(answer, c.want) {
			t.Errorf("%s: %d %s, want %s", c.path, status, answer, c.want)
		}
	}
	status, answer := call(t, server, "POST", "/api/saved_objects/_export", "application/json", `{"type":["index-pattern"]}`, nil)
	if status != 200 || !strings.Contains(answer, `"id":"logs"`) || !strings.Contains(answer, `"exportedCount":1`) {
		t.Errorf("export: %d %s", status, answer)
	}
}

func TestWhoMayCall(t *testing.T) {
	server := stand(t)
	if status, answer := call(t, server, "GET", "/api/status", "", "", func(r *http.Request) { r.Header.Del("Authorization") }); status != 200 || !strings.Contains(answer, `"level":"available"`) {
		t.Errorf("status: %d %s", status, answer)
	}
	if status, _ := call(t, server, "GET", "/api/spaces/space", "", "", func(r *http.Request) { r.SetBasicAuth("elastic", "wrong") }); status != 401 {
		t.Errorf("a wrong password: %d", status)
	}
	if status, answer := call(t, server, "POST", "/api/spaces/space", "application/json", `{"id":"a","name":"A"}`, func(r *http.Request) { r.Header.Del("kbn-xsrf") }); status != 400 || !strings.Contains(answer, "kbn-xsrf") {
		t.Errorf("without kbn-xsrf: %d %s", status, answer)
	}
}

func TestSpacesAndRules(t *testing.T) {
	server := stand(t)
	rule := `{"name":"r","rule_type_id":".es-query","consumer":"alerts","schedule":{"interval":"1m"},"params":{}}`
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/api/spaces/space/ops", "", 404},
		{"POST", "/api/spaces/space", `{"id":"ops","name":"Ops"}`, 200},
		{"POST", "/api/spaces/space", `{"id":"ops","name":"Ops"}`, 409},
		{"GET", "/api/spaces/space/ops", "", 200},
		{"PUT", "/s/ops/api/alerting/rule/one", rule, 404},
		{"POST", "/s/ops/api/alerting/rule/one", `{"name":"r"}`, 400},
		{"POST", "/s/ops/api/alerting/rule/one", rule, 200},
		{"POST", "/s/ops/api/alerting/rule/one", rule, 409},
		{"PUT", "/s/ops/api/alerting/rule/one", `{"name":"r","schedule":{"interval":"1m"},"params":{}}`, 200},
		{"GET", "/s/ops/api/alerting/rule/one", "", 200},
		{"GET", "/api/alerting/rule/one", "", 404},
	} {
		if status, answer := call(t, server, c.method, c.path, "application/json", c.body, nil); status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, answer, c.status)
		}
	}
}

// What the set-up of this repository sends is taken, at once and again.
func TestTakesWhatTheSetUpSends(t *testing.T) {
	server := stand(t)
	for range 2 {
		for _, space := range []string{"", "operations"} {
			summary, err := kibanaapi.Load(t.Context(), kibanaapi.Config{URL: server.URL, Password: "right"}, kibanaapi.Options{Space: space, Rules: true})
			if err != nil || len(summary.Failures) > 0 || summary.Imported < 20 || summary.Rules == 0 {
				t.Fatalf("%q: %v %+v", space, err, summary)
			}
		}
	}
	if _, err := kibanaapi.Load(t.Context(), kibanaapi.Config{URL: server.URL, Password: "wrong"}, kibanaapi.Options{}); err == nil {
		t.Error("a wrong password is taken")
	}
}
