package pagerduty_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"pharos/internal/env"
	"pharos/watcher"
	"pharos/watcher/action/pagerduty"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
	"pharos/watcher/receivertest"
)

const key = "0123456789abcdef0123456789abcdef"

// router sends at once, for the page that it is told.
type router struct {
	t        *testing.T
	channel  *pagerduty.Channel
	page     alerting.Page
	outcome  *alerting.Outcome // answered instead of sending
	accounts []string
}

func (r *router) Prepare(n alerting.Notification) (alerting.Page, error) {
	p := r.page
	if p.Key = n.Key; p.Key == "" {
		p.Key = n.Run.WatchID
	}
	return p, nil
}

func (r *router) Notify(ctx context.Context, n alerting.Notification) (alerting.Outcome, error) {
	r.accounts = append(r.accounts, n.Account)
	if r.outcome != nil {
		return *r.outcome, nil
	}
	page, _ := r.Prepare(n)
	body, err := n.Body(page)
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := document.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := r.channel.Send(ctx, outbox.Message{Account: n.Account, Body: text})
	d := outbox.Delivery{State: outbox.Sent, Response: response, Err: err}
	if err != nil || response.Status >= 300 {
		d.State = outbox.Failed
	}
	return alerting.Outcome{Delivery: d}, nil
}

func setUp(t *testing.T) (*receivertest.PagerDuty, *router, watcher.ParseAction) {
	t.Helper()
	receiver := receivertest.NewPagerDuty(t, key)
	client := httpcall.NewTrustedClient(httpcall.Config{MaxResponse: 1 << 20, ConnectTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second})
	t.Cleanup(client.Close)
	cfg := pagerduty.Config{RoutingKey: key, RoutingKeys: map[string]env.Secret{"api": key}, URL: receiver.URL}
	r := &router{t: t, channel: &pagerduty.Channel{Config: cfg, Client: client}}
	return receiver, r, pagerduty.Parser(pagerduty.Deps{Config: cfg, Router: r})
}

func parse(t *testing.T, parser watcher.ParseAction, text string) watcher.Action {
	t.Helper()
	v, err := document.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := parser("actions.page.pagerduty", v)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func run(t *testing.T) watcher.Run {
	t.Helper()
	model, err := document.ParseObject([]byte(`{"ctx":{"watch_id":"w","payload":{"n":5,"href":"https://x.example/"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return watcher.Run{ID: "w_1", WatchID: "w", ActionID: "page", Model: model, Payload: document.At(model, "ctx.payload")}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := document.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const full = `{"description":"{{ctx.payload.n}} failed","incident_key":"k-{{ctx.watch_id}}","client":"c","client_url":"https://c.example/","event_type":"trigger",` +
	`"attach_payload":true,"account":"api","contexts":[{"type":"link","href":"{{ctx.payload.href}}","text":"t"},{"type":"image","src":"https://i.example/x.png","alt":"a"}]}`

func TestSentByElasticsKeys(t *testing.T) {
	receiver, _, parser := setUp(t)
	a := parse(t, parser, full)
	if got := text(t, a.Body()); got != full {
		t.Errorf("body\ngot  %s\nwant %s", got, full)
	}
	r := a.Execute(t.Context(), run(t))
	want := `{"sent_event":{"event":{"description":"5 failed","incident_key":"k-w","client":"c","client_url":"https://c.example/","account":"api","attach_payload":true,` +
		`"contexts":[{"type":"link","href":"https://x.example/","text":"t"},{"type":"image","src":"https://i.example/x.png","alt":"a"}]}}}`
	if got := text(t, r.Detail); r.Status != watcher.Success || got != want {
		t.Errorf("%s\ngot  %s\nwant %s", r.Status, got, want)
	}
	if len(receiver.Broken()) > 0 || len(receiver.Events()) != 1 {
		t.Fatalf("%d events, rules broken: %v", len(receiver.Events()), receiver.Broken())
	}
	e := receiver.Events()[0]
	if e.DedupKey != "k-w" || e.Payload["summary"] != "5 failed" || e.Payload["severity"] != "critical" || e.Payload["source"] != "w" ||
		e.Payload["custom_details"] == nil || len(e.Links) != 1 || len(e.Images) != 1 || e.Client != "c" {
		t.Errorf("%+v", e)
	}
}

func TestThePageOfAPolicy(t *testing.T) {
	receiver, r, parser := setUp(t)
	r.page = alerting.Page{Severity: alert.Warning, Service: "api", Group: "/v1", Links: []alert.Link{{Href: "https://runbook.example/", Text: "Runbook"}}}
	a := parse(t, parser, `{"description":"`+strings.Repeat("ü", 2000)+`","attach_payload":true}`)
	big := run(t)
	big.Payload = document.NewObject(document.Pair{Key: "x", Value: strings.Repeat("x", 600<<10)})
	if result := a.Execute(t.Context(), big); result.Status != watcher.Success {
		t.Fatalf("%s %s, rules broken: %v", result.Status, result.Reason, receiver.Broken())
	}
	e := receiver.Events()[0]
	if e.Payload["severity"] != "warning" || e.Payload["component"] != "api" || len(e.Links) != 1 || len([]rune(e.Payload["summary"].(string))) != 1024 {
		t.Errorf("%.300v", e)
	}
	if r.accounts[0] != "api" {
		t.Errorf("sent by account %q, want the service's", r.accounts[0])
	}
}

func TestOutcomes(t *testing.T) {
	const event = `"event":{"description":"d","incident_key":"w","attach_payload":false}`
	for name, c := range map[string]struct {
		action  string
		outcome *alerting.Outcome
		fail    int
		status  watcher.ActionStatus
		detail  string
		reason  string
	}{
		"held back by a policy": {`{"description":"d"}`, &alerting.Outcome{Reason: alert.Silenced}, 0, watcher.Success, `{"sent_event":{` + event + `},"not_sent":"silenced"}`, ""},
		"kept for later": {
			`{"description":"d"}`, &alerting.Outcome{Delivery: outbox.Delivery{State: outbox.Pending, Err: errors.New("connection refused")}}, 0, watcher.Failure,
			`{"sent_event":{` + event + `,"reason":"connection refused; it is kept and will be sent again"}}`, "connection refused; it is kept and will be sent again",
		},
		"refused with a reason": {
			`{"description":"d"}`, &alerting.Outcome{Delivery: outbox.Delivery{State: outbox.Failed, Response: &httpcall.Response{
				Status: 400, Body: []byte(`{"status":"invalid event","message":"Event object is invalid","errors":["a","b"]}`)}}}, 0, watcher.Failure,
			`{"sent_event":{` + event + `,"reason":"Event object is invalid: a. b.","response":{"status":400,"body":"{\"status\":\"invalid event\",\"message\":\"Event object is invalid\",\"errors\":[\"a\",\"b\"]}"}}}`,
			"Event object is invalid: a. b.",
		},
		"refused without one": {`{"description":"d"}`, nil, 403, watcher.Failure, "", "Forbidden. The account doesn't have permission to send this trigger."},
		"an unknown type": {
			`{"description":"d","event_type":"{{ctx.watch_id}}"}`, nil, 0, watcher.Failure,
			`{"sent_event":{` + event + `,"reason":"event_type [w] is not one of trigger, acknowledge, resolve"}}`, "event_type [w] is not one of trigger, acknowledge, resolve",
		},
	} {
		t.Run(name, func(t *testing.T) {
			receiver, r, parser := setUp(t)
			r.outcome = c.outcome
			if c.fail > 0 {
				receiver.Fail(1, c.fail)
			}
			result := parse(t, parser, c.action).Execute(t.Context(), run(t))
			if got := text(t, result.Detail); result.Status != c.status || result.Reason != c.reason || c.detail != "" && got != c.detail {
				t.Errorf("%s %q\n%s\nwant %s %q\n%s", result.Status, result.Reason, got, c.status, c.reason, c.detail)
			}
		})
	}
}

func TestSimulated(t *testing.T) {
	receiver, _, parser := setUp(t)
	r := run(t)
	r.Simulate = true
	result := parse(t, parser, `{"description":"d"}`).Execute(t.Context(), r)
	if got := text(t, result.Detail); result.Status != watcher.Simulated || got != `{"event":{"description":"d","incident_key":"w","attach_payload":false}}` || receiver.Attempts() > 0 {
		t.Errorf("%s %s, %d attempts", result.Status, got, receiver.Attempts())
	}
}

func TestWithoutAnAccountItIsLogged(t *testing.T) {
	logged := 0
	c := &pagerduty.Channel{Log: func(context.Context, outbox.Message) { logged++ }}
	response, err := c.Send(t.Context(), outbox.Message{Body: []byte(`{}`)})
	if err != nil || response.Status != http.StatusAccepted || logged != 1 {
		t.Errorf("%+v, %v, logged %d", response, err, logged)
	}
	v, _ := document.Parse([]byte(`{"description":"d"}`))
	if _, err := pagerduty.Parser(pagerduty.Deps{})("a", v); err != nil {
		t.Errorf("a watch that names no account: %v", err)
	}
}

func TestRefused(t *testing.T) {
	_, _, parser := setUp(t)
	for in, want := range map[string]string{
		`{}`:                                               `could not parse pager duty event template. missing required [description] setting (at p.description)`,
		`{"description":"d","x":1}`:                        `could not parse pager duty event template. unexpected numeric field [x] (at p.x)`,
		`{"description":"d","account":"nobody"}`:           `could not parse pager duty event template. no account found for name: [nobody] (at p.account)`,
		`{"description":"d","attach_payload":1}`:           `could not parse pager duty event template. failed to parse field [attach_payload], expected a boolean value but found a number instead (at p.attach_payload)`,
		`{"description":"d","contexts":[{"href":"x"}]}`:    `could not parse trigger incident event context. missing required field [type] (at p.contexts[0].type)`,
		`{"description":"d","contexts":[{"type":"link"}]}`: `could not parse trigger incident event context. missing required field [href] for [link] context (at p.contexts[0].href)`,
		`{"description":"d","contexts":[{"type":"link","href":"x","src":"y"}]}`: `could not parse trigger incident event context. unexpected field [src] for [link] context (at p.contexts[0].src)`,
		`{"description":"d","contexts":[{"type":"video","href":"x"}]}`:          `could not parse trigger incident event context. unknown context type [video] (at p.contexts[0].type)`,
	} {
		v, _ := document.Parse([]byte(in))
		if _, err := parser("p", v); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}
