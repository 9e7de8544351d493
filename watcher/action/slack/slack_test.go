package slack_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pharos/internal/env"
	"pharos/watcher"
	"pharos/watcher/action/slack"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
	"pharos/watcher/receivertest"
)

// router sends at once, for the page that it is told.
type router struct {
	t       *testing.T
	channel *slack.Channel
	page    alerting.Page
	outcome map[string]alerting.Outcome // by receiver, answered instead of sending
}

func (r *router) Notify(ctx context.Context, n alerting.Notification) (alerting.Outcome, error) {
	if o, ok := r.outcome[n.To]; ok {
		return o, nil
	}
	body, err := n.Body(r.page)
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

func setUp(t *testing.T) (*receivertest.Slack, *router, watcher.ParseAction) {
	t.Helper()
	receiver := receivertest.NewSlack(t)
	client := httpcall.NewTrustedClient(httpcall.Config{MaxResponse: 1 << 20, ConnectTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second})
	t.Cleanup(client.Close)
	cfg := slack.Config{URL: env.Secret(receiver.URL), URLs: map[string]env.Secret{"ops": env.Secret(receiver.URL)}}
	r := &router{t: t, channel: &slack.Channel{Config: cfg, Client: client}}
	return receiver, r, slack.Parser(slack.Deps{Config: cfg, Router: r})
}

func parse(t *testing.T, parser watcher.ParseAction, text string) watcher.Action {
	t.Helper()
	v, err := document.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := parser("actions.chat.slack", v)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func run(t *testing.T) watcher.Run {
	t.Helper()
	model, err := document.ParseObject([]byte(`{"ctx":{"watch_id":"w","payload":{"n":5,"list":[{"k":"a"},{"k":"b"}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return watcher.Run{ID: "w_1", WatchID: "w", ActionID: "chat", Model: model, Payload: document.At(model, "ctx.payload")}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := document.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const full = `{"account":"ops","message":{"from":"f","to":["#a","@b"],"text":"{{ctx.payload.n}} bad","icon":":fire:",` +
	`"attachments":[{"fallback":"fb","color":"danger","author_name":"an","author_link":"https://a.example/","title":"ti","text":"te",` +
	`"fields":[{"title":"ft","value":"{{ctx.payload.n}}","short":true}],"mrkdwn_in":["text"],"actions":[{"url":"https://u.example/","type":"button","text":"b"}]}],` +
	`"dynamic_attachments":{"list_path":"ctx.payload.list","attachment_template":{"title":"{{k}}"}}}}`

func TestSentByElasticsKeys(t *testing.T) {
	receiver, _, parser := setUp(t)
	a := parse(t, parser, full)
	if got := text(t, a.Body()); got != full {
		t.Errorf("body\ngot  %s\nwant %s", got, full)
	}
	r := a.Execute(t.Context(), run(t))
	const message = `"message":{"from":"f","icon":":fire:","text":"5 bad","attachments":[{"fallback":"fb","color":"danger","author_name":"an","author_link":"https://a.example/",` +
		`"title":"ti","text":"te","fields":[{"title":"ft","value":"5","short":true}],"mrkdwn_in":["text"],"actions":[{"url":"https://u.example/","type":"button","text":"b"}]},{"title":"a"},{"title":"b"}]}`
	want := `{"account":"ops","sent_messages":[{"status":"success","to":"#a",` + message + `},{"status":"success","to":"@b",` + message + `}]}`
	if got := text(t, r.Detail); r.Status != watcher.Success || got != want {
		t.Errorf("%s\ngot  %s\nwant %s", r.Status, got, want)
	}
	m := receiver.Messages()
	if len(receiver.Broken()) > 0 || len(m) != 2 {
		t.Fatalf("%d messages, rules broken: %v", len(m), receiver.Broken())
	}
	if m[1]["channel"] != "@b" || m[1]["username"] != "f" || m[1]["icon_emoji"] != ":fire:" || m[1]["text"] != "5 bad" || len(m[1]["attachments"].([]any)) != 3 {
		t.Errorf("%v", m[1])
	}
}

func TestLinksOfAPage(t *testing.T) {
	receiver, r, parser := setUp(t)
	r.page.Links = []alert.Link{{Href: "https://r.example/?a=1&b=2", Text: "Runbook"}, {Href: "https://c.example/", Text: "Console"}}
	a := parse(t, parser, `{"message":{"text":"x"}}`)
	if result := a.Execute(t.Context(), run(t)); result.Status != watcher.Success || len(receiver.Broken()) > 0 {
		t.Fatalf("%s, rules broken: %v", result.Status, receiver.Broken())
	}
	attachment := receiver.Messages()[0]["attachments"].([]any)[0].(map[string]any)
	if want := "<https://r.example/?a=1&amp;b=2|Runbook> · <https://c.example/|Console>"; attachment["text"] != want {
		t.Errorf("%v, want %s", attachment["text"], want)
	}
}

func TestOutcomes(t *testing.T) {
	_, r, parser := setUp(t)
	a := parse(t, parser, `{"message":{"to":["#a","#b","#c"],"text":"x"}}`)
	failed := alerting.Outcome{Delivery: outbox.Delivery{State: outbox.Failed, Response: &httpcall.Response{Status: 404, Body: []byte("no_service")}}}
	r.outcome = map[string]alerting.Outcome{
		"#a": failed, "#b": {Reason: alert.StillFiring}, "#c": {Delivery: outbox.Delivery{State: outbox.Pending, Err: errors.New("reset")}},
	}
	result := a.Execute(t.Context(), run(t))
	const message = `"message":{"from":"w","text":"x"}`
	want := `{"account":"default","sent_messages":[{"status":"failure","response":{"status":404,"body":"no_service"},"to":"#a",` + message + `},` +
		`{"status":"success","not_sent":"still_firing","to":"#b",` + message + `},` +
		`{"status":"failure","error":{"type":"exception","reason":"reset"},"reason":"it is kept and will be sent again","to":"#c",` + message + `}]}`
	if got := text(t, result.Detail); result.Status != watcher.PartialFailure || got != want {
		t.Errorf("%s\ngot  %s\nwant %s", result.Status, got, want)
	}
	r.outcome = map[string]alerting.Outcome{"#a": failed, "#b": failed, "#c": failed}
	if result := a.Execute(t.Context(), run(t)); result.Status != watcher.Failure {
		t.Errorf("all failed: %s", result.Status)
	}
}

func TestSimulatedAndWrongLists(t *testing.T) {
	receiver, _, parser := setUp(t)
	r := run(t)
	r.Simulate = true
	result := parse(t, parser, `{"message":{"to":"#a","text":"x"}}`).Execute(t.Context(), r)
	if got := text(t, result.Detail); result.Status != watcher.Simulated || got != `{"message":{"from":"w","to":["#a"],"text":"x"}}` || receiver.Attempts() > 0 {
		t.Errorf("%s %s", result.Status, got)
	}
	for in, want := range map[string]string{
		`{"message":{"dynamic_attachments":{"list_path":"ctx.payload.n","attachment_template":{}}}}`: "dynamic attachment could not be resolved. expected context [ctx.payload.n] to be a list, but found [5] instead",
		`{"message":{}}`: "Both text and attachments cannot be null.",
	} {
		result := parse(t, parser, in).Execute(t.Context(), run(t))
		if result.Status != watcher.Failure || result.Err == nil || result.Err.Error() != want {
			t.Errorf("%s: %s %v", in, result.Status, result.Err)
		}
	}
}

func TestRefused(t *testing.T) {
	_, _, parser := setUp(t)
	for in, want := range map[string]string{
		`{}`: `failed to parse [slack] action [chat]. missing required [message] field (at actions.chat.slack.message)`,
		`{"message":{"text":"x"},"account":"no"}`:                                       `failed to parse [slack] action [chat]. no account found for name: [no] (at actions.chat.slack.account)`,
		`{"message":{"text":"x","colour":"red"}}`:                                       `could not parse slack message. unexpected string field [colour] (at actions.chat.slack.message.colour)`,
		`{"message":{"attachments":[{"x":"y"}]}}`:                                       `could not parse message attachment. unexpected string field [x] (at actions.chat.slack.message.attachments[0].x)`,
		`{"message":{"attachments":{"fields":[{"title":"x"}]}}}`:                        `could not parse message attachment field. missing required [value] field (at actions.chat.slack.message.attachments.fields[0].value)`,
		`{"message":{"dynamic_attachments":{"list_path":"x"}}}`:                         `could not parse dynamic attachments. missing required field [attachment_template] (at actions.chat.slack.message.dynamic_attachments.attachment_template)`,
		`{"message":{"dynamic_attachments":{"attachment_template":{"title":"{{x}}"}}}}`: `could not parse dynamic attachments. missing required field [list_path] (at actions.chat.slack.message.dynamic_attachments.list_path)`,
	} {
		v, _ := document.Parse([]byte(in))
		if _, err := parser("actions.chat.slack", v); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", in, err, want)
		}
	}
}
