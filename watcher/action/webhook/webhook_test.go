package webhook_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"pharos/watcher"
	"pharos/watcher/action/webhook"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
)

type client struct {
	response *httpcall.Response
	err      error
	calls    int
}

func (c *client) Do(context.Context, *httpcall.Call) (*httpcall.Response, error) {
	c.calls++
	return c.response, c.err
}

func TestWebhook(t *testing.T) {
	const request = `"request":{"host":"h","port":80,"scheme":"http","method":"post","path":"/w","auth":{"basic":{"username":"u","password":"::es_redacted::"}},"body":"5"}`
	for name, c := range map[string]struct {
		client   client
		simulate bool
		status   watcher.ActionStatus
		detail   string
		reason   string
	}{
		"taken":     {client{response: &httpcall.Response{Status: 204}}, false, watcher.Success, `{` + request + `,"response":{"status":204}}`, ""},
		"redirect":  {client{response: &httpcall.Response{Status: 302, Header: http.Header{"X.Y": {"a", "b"}}}}, false, watcher.Success, `{` + request + `,"response":{"status":302,"headers":{"x_y":["a","b"]}}}`, ""},
		"refused":   {client{response: &httpcall.Response{Status: 500, Body: []byte("no")}}, false, watcher.Failure, `{` + request + `,"response":{"status":500,"body":"no"}}`, "received [500] status code"},
		"away":      {client{err: errors.New("away")}, false, watcher.Failure, `null`, ""},
		"simulated": {client{}, true, watcher.Simulated, `{` + request + `}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := document.Parse([]byte(`{"method":"post","url":"http://h/w","auth":{"basic":{"username":"u","password":"p"}},"body":"{{ctx.payload.n}}"}`))
			a, err := webhook.Parser(webhook.Deps{Client: &c.client})("actions.a.webhook", v)
			if err != nil {
				t.Fatal(err)
			}
			model, _ := document.ParseObject([]byte(`{"ctx":{"payload":{"n":5}}}`))
			r := a.Execute(t.Context(), watcher.Run{Model: model, Simulate: c.simulate})
			got, _ := document.Marshal(r.Detail)
			if r.Status != c.status || string(got) != c.detail || r.Reason != c.reason || (r.Err != nil) != (c.client.err != nil) {
				t.Errorf("got  %s %s %q %v\nwant %s %s %q", r.Status, got, r.Reason, r.Err, c.status, c.detail, c.reason)
			}
			if c.simulate && c.client.calls > 0 {
				t.Error("a simulated action was sent")
			}
		})
	}
}
