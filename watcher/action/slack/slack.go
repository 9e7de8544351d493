// Package slack is the slack action and its channel: Elastic's keys, delivered
// by Slack's incoming webhooks through the outbox.
// https://www.elastic.co/guide/en/elasticsearch/reference/8.19/actions-slack.html
package slack

import (
	"context"
	"fmt"

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
}

// Deps are what the action needs.
type Deps struct {
	Renderer mustache.Renderer
	Config   Config
	Router   Router
}

type action struct {
	deps    Deps
	account string
	message message
	proxy   *httpcall.Proxy
}

// Parser returns the parser of slack actions.
func Parser(deps Deps) watcher.ParseAction {
	return func(path string, body any) (watcher.Action, error) {
		in := fields.Read(path, fmt.Sprintf("failed to parse [slack] action [%s]", fields.ActionID(path)), body)
		a := &action{deps: deps}
		a.account, _ = in.String("account")
		if _, found := deps.Config.account(a.account); !found {
			in.Fail("account", "no account found for name: [%s]", a.account)
		}
		if v, ok := in.Value(proxyKey); ok {
			proxy, err := httpcall.ParseProxy(in.Path(proxyKey), v)
			in.Keep(err)
			a.proxy = proxy
		}
		v, ok := in.Value("message")
		if !ok {
			in.Fail("message", "missing required [message] field")
		} else {
			m, err := parseMessage(in.Path("message"), v)
			in.Keep(err)
			a.message = m
		}
		if err := in.Done(); err != nil {
			return nil, err
		}
		return a, nil
	}
}

// Execute posts the message to each of its receivers, or says why not: a
// watch's policy may hold it back. The record shows the first attempts; a
// failure that may pass is tried again by the outbox.
func (a *action) Execute(ctx context.Context, run watcher.Run) watcher.ActionResult {
	m, err := a.message.render(ctx, a.deps.Renderer, run, a.deps.Config.Defaults)
	if err != nil {
		return watcher.ActionResult{Status: watcher.Failure, Err: err}
	}
	if run.Simulate {
		return watcher.ActionResult{Status: watcher.Simulated, Detail: document.NewObject(document.Pair{Key: "message", Value: m.record(true)})}
	}
	account, found := a.deps.Config.account(a.account)
	if !found {
		return watcher.ActionResult{Status: watcher.Failure, Err: fmt.Errorf("no account found for name: [%s]", a.account)}
	}
	receivers := m.to
	if len(receivers) == 0 {
		receivers = []string{""}
	}
	sent := []any{}
	failed := 0
	for _, to := range receivers {
		record, ok := a.send(ctx, run, m, account, to)
		if !ok {
			failed++
		}
		sent = append(sent, record)
	}
	shown := account
	if shown == "" {
		shown = DefaultAccount
	}
	result := watcher.ActionResult{Status: watcher.Success, Detail: document.NewObject(
		document.Pair{Key: "account", Value: shown}, document.Pair{Key: "sent_messages", Value: sent})}
	switch {
	case failed == len(receivers):
		result.Status = watcher.Failure
	case failed > 0:
		result.Status = watcher.PartialFailure
	}
	return result
}

func (a *action) send(ctx context.Context, run watcher.Run, m *rendered, account, to string) (record *document.Object, ok bool) {
	summary := m.text
	outcome, err := a.deps.Router.Notify(ctx, alerting.Notification{
		Run: run, Channel: Name, Account: account, To: to, Summary: summary,
		Body: func(p alerting.Page) (*document.Object, error) {
			o := m.body(to, p.Links)
			if a.proxy != nil {
				o.Set(proxyKey, a.proxy.Value())
			}
			return o, nil
		},
	})
	d := outcome.Delivery
	ok = !outcome.Sent() || d.Duplicate || d.State == outbox.Sent || d.State == outbox.Pending && d.Response == nil && d.Err == nil
	if err != nil && d.State != outbox.Sent {
		ok = false
	}
	record = document.NewObject(document.Pair{Key: "status", Value: map[bool]string{true: "success", false: "failure"}[ok]})
	switch {
	case ok && outcome.Reason != "" && outcome.Reason != alert.Fired:
		record.Set("not_sent", string(outcome.Reason))
	case !ok && d.Response != nil:
		record.Set("response", d.Response.Record())
	case !ok:
		cause := d.Err
		if cause == nil {
			cause = err
		}
		record.Set("error", document.NewObject(
			document.Pair{Key: "type", Value: "exception"}, document.Pair{Key: "reason", Value: cause.Error()}))
	}
	if !ok && d.State == outbox.Pending {
		record.Set("reason", "it is kept and will be sent again")
	}
	if to != "" {
		record.Set("to", to)
	}
	return record.Set("message", m.record(false)), ok
}

// Body is the action as Elastic shows it.
func (a *action) Body() *document.Object {
	o := document.NewObject()
	if a.account != "" {
		o.Set("account", a.account)
	}
	if a.proxy != nil {
		o.Set(proxyKey, a.proxy.Value())
	}
	return o.Set("message", a.message.value())
}

// SecretPaths is empty: webhooks stand in settings.
func (a *action) SecretPaths() []string { return nil }
