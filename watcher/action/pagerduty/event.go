package pagerduty

import (
	"context"
	"strings"
	"unicode/utf8"

	"pharos/watcher"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/document"
)

// The limits of Events API v2.
// https://developer.pagerduty.com/docs/send-alert-event#parameters
const (
	maxSummary = 1024    // characters
	maxBody    = 512_000 // bytes; the rest of 512 KB is left to the routing key
)

// incident is an event, rendered: what Elastic's records show.
type incident struct {
	description, eventType string
	key, client, clientURL *string
	account                string
	attachPayload          bool
	contexts               []*document.Object // nil: none were given
	hasContexts            bool
	proxy                  *document.Object
}

func (a *action) render(ctx context.Context, run watcher.Run) (*incident, error) {
	e := &incident{account: a.account, attachPayload: a.attachPayload != nil && *a.attachPayload, eventType: "trigger"}
	if a.proxy != nil {
		e.proxy = a.proxy.Value()
	}
	var err error
	if e.description, err = a.deps.Renderer.Render(ctx, a.description, run.Model); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		template string
		into     **string
	}{{"incident_key", &e.key}, {"client", &e.client}, {"client_url", &e.clientURL}} {
		t := a.templates[f.template]
		if t == nil {
			continue
		}
		text, err := a.deps.Renderer.Render(ctx, t, run.Model)
		if err != nil {
			return nil, err
		}
		*f.into = &text
	}
	if t := a.templates["event_type"]; t != nil {
		text, err := a.deps.Renderer.Render(ctx, t, run.Model)
		if err != nil {
			return nil, err
		}
		if text != "" {
			e.eventType = text
		}
	}
	e.hasContexts = a.hasContexts
	for _, c := range a.contexts {
		rendered, err := c.render(ctx, a.deps.Renderer, run.Model)
		if err != nil {
			return nil, err
		}
		e.contexts = append(e.contexts, rendered)
	}
	return e, nil
}

// record is the event as Elastic's records show it.
func (e *incident) record(key string) *document.Object {
	o := document.NewObject(document.Pair{Key: "description", Value: e.description})
	o.Set("incident_key", key)
	if e.client != nil {
		o.Set("client", *e.client)
	}
	if e.clientURL != nil {
		o.Set("client_url", *e.clientURL)
	}
	if e.account != "" {
		o.Set("account", e.account)
	}
	if e.proxy != nil {
		o.Set(proxyKey, e.proxy)
	}
	o.Set("attach_payload", e.attachPayload)
	if e.hasContexts {
		list := []any{}
		for _, c := range e.contexts {
			list = append(list, c)
		}
		o.Set("contexts", list)
	}
	return o
}

// body is the event of Events API v2, without the routing key.
func (e *incident) body(run watcher.Run, page alerting.Page) (*document.Object, error) {
	o := document.NewObject(
		document.Pair{Key: "event_action", Value: e.eventType},
		document.Pair{Key: "dedup_key", Value: page.Key},
	)
	if e.proxy != nil {
		o.Set(proxyKey, e.proxy)
	}
	payload := document.NewObject(document.Pair{Key: "summary", Value: shorten(e.description)})
	details := document.NewObject()
	if e.attachPayload {
		details.Set("payload", run.Payload)
	}
	if page.Group != "" {
		details.Set("group", page.Group)
	}
	if details.Len() > 0 {
		payload.Set("custom_details", details)
	}
	severity := page.Severity
	if severity == "" {
		severity = alert.Critical
	}
	payload.Set("source", run.WatchID).Set("severity", string(severity))
	if page.Service != "" {
		payload.Set("component", page.Service)
		payload.Set("group", page.Service)
		payload.Set("class", run.WatchID)
	}
	o.Set("payload", payload)
	if e.client != nil {
		o.Set("client", *e.client)
	}
	if e.clientURL != nil {
		o.Set("client_url", *e.clientURL)
	}
	links, images := []any{}, []any{}
	for _, c := range e.contexts {
		kind, _ := c.Get("type")
		plain := c.Clone() // the API has a list for each kind instead
		plain.Delete("type")
		if kind == "image" {
			images = append(images, plain)
		} else {
			links = append(links, plain)
		}
	}
	for _, l := range page.Links {
		links = append(links, document.NewObject(
			document.Pair{Key: "href", Value: l.Href}, document.Pair{Key: "text", Value: l.Text}))
	}
	if len(links) > 0 {
		o.Set("links", links)
	}
	if len(images) > 0 {
		o.Set("images", images)
	}
	return fit(o, payload)
}

// fit leaves the payload out of an event that would be too large: PagerDuty
// refuses the whole event otherwise.
func fit(o, payload *document.Object) (*document.Object, error) {
	text, err := document.Marshal(o)
	if err != nil {
		return nil, err
	}
	const room = 4 << 10 // for the routing key
	if len(text) > maxBody-room {
		payload.Set("custom_details", document.NewObject(
			document.Pair{Key: "left_out", Value: "the payload, because it is larger than PagerDuty takes (512 KB)"}))
	}
	return o, nil
}

func shorten(text string) string {
	if strings.TrimSpace(text) == "" {
		return "(no description)"
	}
	if utf8.RuneCountInString(text) <= maxSummary {
		return text
	}
	return string([]rune(text)[:maxSummary-1]) + "…"
}
