// Package webhook is the webhook action: it sends a HTTP request.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/actions-webhook.html
package webhook

import (
	"context"
	"fmt"

	"pharos/watcher"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/mustache"
)

// Deps are what the action needs.
type Deps struct {
	Renderer mustache.Renderer
	Client   Client
}

// Client sends calls; httpcall.Client is one.
type Client interface {
	Do(ctx context.Context, call *httpcall.Call) (*httpcall.Response, error)
}

type action struct {
	deps    Deps
	request *httpcall.Request
}

// Parser returns the parser of webhook actions.
func Parser(deps Deps) watcher.ParseAction {
	return func(path string, body any) (watcher.Action, error) {
		request, err := httpcall.Parse(path, body)
		if err != nil {
			return nil, err
		}
		return &action{deps: deps, request: request}, nil
	}
}

// Execute sends the request; an answer of 400 and above is a failure.
func (a *action) Execute(ctx context.Context, run watcher.Run) watcher.ActionResult {
	call, err := a.request.Render(ctx, a.deps.Renderer, run.Model)
	if err != nil {
		return watcher.ActionResult{Status: watcher.Failure, Err: err}
	}
	detail := document.NewObject(document.Pair{Key: "request", Value: call.Record()})
	if run.Simulate {
		return watcher.ActionResult{Status: watcher.Simulated, Detail: detail}
	}
	response, err := a.deps.Client.Do(ctx, call)
	if err != nil {
		return watcher.ActionResult{Status: watcher.Failure, Err: err}
	}
	detail.Set("response", response.Record())
	const failing = 400
	if response.Status >= failing {
		return watcher.ActionResult{Status: watcher.Failure, Detail: detail, Reason: fmt.Sprintf("received [%d] status code", response.Status)}
	}
	return watcher.ActionResult{Status: watcher.Success, Detail: detail}
}

// Body is the action as Elastic shows it.
func (a *action) Body() *document.Object { return a.request.Value() }

// SecretPaths are the request's.
func (a *action) SecretPaths() []string { return a.request.SecretPaths() }
