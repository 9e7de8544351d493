// Package pagerduty is the pagerduty action and its channel: Elastic's keys,
// delivered by PagerDuty's Events API v2 through the outbox.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/actions-pagerduty.html
package pagerduty

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pharos/watcher"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/document"
	"pharos/watcher/fields"
	"pharos/watcher/httpcall"
	"pharos/watcher/mustache"
	"pharos/watcher/outbox"
)

// Router decides about notifications and sends them; alerting.Service is one.
type Router interface {
	Notify(ctx context.Context, n alerting.Notification) (alerting.Outcome, error)
	Prepare(n alerting.Notification) (alerting.Page, error)
}

// Deps are what the action needs.
type Deps struct {
	Renderer mustache.Renderer
	Config   Config
	Router   Router
}

type action struct {
	deps          Deps
	account       string
	description   *mustache.Template
	templates     map[string]*mustache.Template // incident_key, client, client_url, event_type
	attachPayload *bool
	proxy         *httpcall.Proxy
	contexts      []linkOrImage
	hasContexts   bool
}

const about = "could not parse pager duty event template"

// Parser returns the parser of pagerduty actions.
func Parser(deps Deps) watcher.ParseAction {
	return func(path string, body any) (watcher.Action, error) {
		in := fields.Read(path, about, body)
		a := &action{deps: deps, templates: map[string]*mustache.Template{}, description: in.Template("description")}
		for _, key := range []string{"incident_key", "client", "client_url", "event_type"} {
			if t := in.Template(key); t != nil {
				a.templates[key] = t
			}
		}
		a.account, _ = in.String("account")
		if _, found := deps.Config.account(a.account, ""); !found {
			in.Fail("account", "no account found for name: [%s]", a.account)
		}
		if attach, ok := in.Bool("attach_payload"); ok {
			a.attachPayload = &attach
		}
		if v, ok := in.Value(proxyKey); ok {
			proxy, err := httpcall.ParseProxy(in.Path(proxyKey), v)
			in.Keep(err)
			a.proxy = proxy
		}
		a.parseContexts(in)
		if !in.Has("description") {
			in.Fail("description", "missing required [description] setting")
		}
		if err := in.Done(); err != nil {
			return nil, err
		}
		return a, nil
	}
}

// parseContexts reads contexts, which was context before 6.0.
func (a *action) parseContexts(in *fields.Reader) {
	for _, key := range []string{"context", "contexts"} {
		v, ok := in.Value(key)
		if !ok {
			continue
		}
		list, ok := v.([]any)
		if !ok {
			in.Fail(key, "failed to parse field [%s], expected an array but found %s instead", key, document.Kind(v))
			return
		}
		a.hasContexts, a.contexts = true, nil
		for i, v := range list {
			c, err := parseContext(document.Index(in.Path(key), i), v)
			in.Keep(err)
			a.contexts = append(a.contexts, c)
		}
	}
}

// linkOrImage is one context.
type linkOrImage struct {
	kind      string
	templates map[string]*mustache.Template
	order     []string
}

func parseContext(path string, v any) (linkOrImage, error) {
	in := fields.Read(path, "could not parse trigger incident event context", v)
	c := linkOrImage{templates: map[string]*mustache.Template{}}
	kind, ok := in.String("type")
	if !ok {
		in.Fail("type", "missing required field [type]")
	}
	required := ""
	switch c.kind = strings.ToLower(kind); c.kind {
	case "link":
		required, c.order = "href", []string{"href", "text"}
	case "image":
		required, c.order = "src", []string{"src", "href", "alt"}
	default:
		in.Fail("type", "unknown context type [%s]", kind)
	}
	for _, key := range []string{"href", "text", "src", "alt"} {
		t := in.Template(key)
		if t == nil {
			continue
		}
		c.templates[key] = t
		if !slices.Contains(c.order, key) {
			in.Fail(key, "unexpected field [%s] for [%s] context", key, c.kind)
		}
	}
	if required != "" && !in.Has(required) {
		in.Fail(required, "missing required field [%s] for [%s] context", required, c.kind)
	}
	return c, in.Done()
}

func (c linkOrImage) value() *document.Object {
	o := document.NewObject(document.Pair{Key: "type", Value: c.kind})
	for _, key := range c.order {
		if t := c.templates[key]; t != nil {
			o.Set(key, t.Value())
		}
	}
	return o
}

func (c linkOrImage) render(ctx context.Context, renderer mustache.Renderer, model *document.Object) (*document.Object, error) {
	o := document.NewObject(document.Pair{Key: "type", Value: c.kind})
	for _, key := range c.order {
		if t := c.templates[key]; t != nil {
			text, err := renderer.Render(ctx, t, model)
			if err != nil {
				return nil, err
			}
			o.Set(key, text)
		}
	}
	return o, nil
}

// Execute sends the event, or says why not: a watch's policy may hold it back.
// The record shows the first attempt; a failure that may pass is tried again by
// the outbox, which the reason says.
func (a *action) Execute(ctx context.Context, run watcher.Run) watcher.ActionResult {
	e, err := a.render(ctx, run)
	if err != nil {
		return watcher.ActionResult{Status: watcher.Failure, Err: err}
	}
	n := alerting.Notification{
		Run: run, Channel: Name, Account: a.account, Kind: e.eventType, Summary: e.description,
		Body: func(p alerting.Page) (*document.Object, error) { return e.body(run, p) },
	}
	if e.key != nil {
		n.Key = *e.key
	}
	page, err := a.deps.Router.Prepare(n)
	if err != nil {
		return watcher.ActionResult{Status: watcher.Failure, Err: err}
	}
	account, found := a.deps.Config.account(a.account, page.Service)
	if !found {
		return watcher.ActionResult{Status: watcher.Failure, Err: fmt.Errorf("no account found for name: [%s]", a.account)}
	}
	n.Account = account
	event := e.record(page.Key)
	if run.Simulate {
		return watcher.ActionResult{Status: watcher.Simulated, Detail: document.NewObject(document.Pair{Key: "event", Value: event})}
	}
	switch e.eventType {
	case "trigger", "acknowledge", "resolve":
	default:
		return failure(event, fmt.Sprintf("event_type [%s] is not one of trigger, acknowledge, resolve", e.eventType), nil)
	}
	outcome, err := a.deps.Router.Notify(ctx, n)
	if err != nil && outcome.Delivery.State == "" {
		return watcher.ActionResult{Status: watcher.Failure, Err: err}
	}
	return result(event, outcome)
}

func result(event *document.Object, o alerting.Outcome) watcher.ActionResult {
	d := o.Delivery
	reason := ""
	switch {
	case !o.Sent() || d.Duplicate || d.State == outbox.Sent:
	case d.Err != nil:
		reason = d.Err.Error()
	case d.Response != nil:
		reason = refusal(d.Response)
	}
	if reason != "" {
		if d.State == outbox.Pending {
			reason += "; it is kept and will be sent again"
		}
		return failure(event, reason, d.Response)
	}
	detail := document.NewObject(document.Pair{Key: "sent_event", Value: document.NewObject(document.Pair{Key: "event", Value: event})})
	if o.Reason != "" && o.Reason != alert.Fired {
		detail.Set("not_sent", string(o.Reason))
	}
	return watcher.ActionResult{Status: watcher.Success, Detail: detail}
}

func failure(event *document.Object, reason string, response *httpcall.Response) watcher.ActionResult {
	sent := document.NewObject(document.Pair{Key: "event", Value: event}, document.Pair{Key: "reason", Value: reason})
	if response != nil {
		sent.Set("response", response.Record())
	}
	return watcher.ActionResult{
		Status: watcher.Failure, Reason: reason,
		Detail: document.NewObject(document.Pair{Key: "sent_event", Value: sent}),
	}
}

// refusal is why PagerDuty did not take an event, from its answer or its status.
func refusal(response *httpcall.Response) string {
	body, err := document.ParseObject(response.Body)
	if err == nil {
		text, _ := document.At(body, "message").(string)
		if list, ok := document.At(body, "errors").([]any); ok && len(list) > 0 {
			text += ":"
			for _, e := range list {
				text += " " + document.String(e) + "."
			}
		}
		if text != "" {
			return text
		}
	}
	switch response.Status {
	case http.StatusBadRequest:
		return "Bad Request"
	case http.StatusUnauthorized:
		return "Unauthorized. The account service api key is invalid."
	case http.StatusForbidden:
		return "Forbidden. The account doesn't have permission to send this trigger."
	case http.StatusRequestTimeout:
		return "Request Timeout. The request took too long to process."
	case http.StatusTooManyRequests:
		return "Too many requests"
	case http.StatusInternalServerError:
		return "PagerDuty Server Error. Internal error occurred while processing request."
	}
	return fmt.Sprintf("PagerDuty answered %d", response.Status)
}

// Body is the action as Elastic shows it.
func (a *action) Body() *document.Object {
	o := document.NewObject(document.Pair{Key: "description", Value: a.description.Value()})
	for _, key := range []string{"incident_key", "client", "client_url", "event_type"} {
		if t := a.templates[key]; t != nil {
			o.Set(key, t.Value())
		}
	}
	if a.attachPayload != nil {
		o.Set("attach_payload", *a.attachPayload)
	}
	if a.account != "" {
		o.Set("account", a.account)
	}
	if a.proxy != nil {
		o.Set(proxyKey, a.proxy.Value())
	}
	if a.hasContexts {
		list := []any{}
		for _, c := range a.contexts {
			list = append(list, c.value())
		}
		o.Set("contexts", list)
	}
	return o
}

// SecretPaths is empty: routing keys stand in settings.
func (a *action) SecretPaths() []string { return nil }
