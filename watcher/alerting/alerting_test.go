package alerting_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pharos/internal/env"
	"pharos/watcher"
	"pharos/watcher/action/pagerduty"
	"pharos/watcher/action/slack"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
	"pharos/watcher/receivertest"
)

const routingKey = "0123456789abcdef0123456789abcdef"

// world is a service with real channels, receivers and a clock of its own.
type world struct {
	t         *testing.T
	store     *memory
	pagerduty *receivertest.PagerDuty
	slack     *receivertest.Slack
	service   *alerting.Service
	sender    *outbox.Sender
	now       time.Time
	runs      int
	acked     []string
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, store: newMemory(), pagerduty: receivertest.NewPagerDuty(t, routingKey), slack: receivertest.NewSlack(t),
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	client := httpcall.NewTrustedClient(httpcall.Config{MaxResponse: 1 << 20, ConnectTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second})
	t.Cleanup(client.Close)
	clock := func() time.Time { return w.now }
	pd := &pagerduty.Channel{Config: pagerduty.Config{RoutingKey: routingKey, URL: w.pagerduty.URL}, Client: client}
	chat := &slack.Channel{Config: slack.Config{URL: env.Secret(w.slack.URL)}, Client: client}
	w.sender = &outbox.Sender{
		Store: w.store, Channels: map[string]outbox.Channel{pagerduty.Name: pd, slack.Name: chat}, Now: clock, Random: func() float64 { return 0 },
		Config: outbox.Config{Interval: time.Second, AttemptTimeout: 5 * time.Second, GiveUp: time.Hour},
		Report: func(_ context.Context, err error) { t.Error(err) },
	}
	w.service = &alerting.Service{
		Store: w.store, Outbox: w.sender, Channels: map[string]alerting.Channel{pagerduty.Name: pd, slack.Name: chat}, Now: clock,
		Config: alerting.Config{GroupWindow: 5 * time.Minute, Links: alerting.Links{
			Console: "https://console.example", Kibana: "https://kibana.example/", Runbooks: "https://git.example/main",
		}},
		AckWatch: func(_ context.Context, watchID string, actions []string) error {
			w.acked = append(w.acked, watchID+":"+strings.Join(actions, ","))
			return nil
		},
	}
	t.Cleanup(func() {
		for _, rule := range append(w.pagerduty.Broken(), w.slack.Broken()...) {
			t.Errorf("a request broke a rule: %s", rule)
		}
	})
	return w
}

func object(t *testing.T, text string) *document.Object {
	t.Helper()
	o, err := document.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// met executes a watch whose condition is met: its pagerduty and slack actions
// run for each payload.
func (w *world) met(id, policy string, payloads ...string) []alert.Reason {
	w.t.Helper()
	w.runs++
	watch := &watcher.Watch{ID: id, Metadata: object(w.t, `{"pharos":`+policy+`}`)}
	execution := fmt.Sprintf("%s_%d", id, w.runs)
	var reasons []alert.Reason
	for i, p := range payloads {
		run := watcher.Run{ID: execution, WatchID: id, ActionID: "page", Item: i, Payload: object(w.t, p), Metadata: watch.Metadata, Now: w.now}
		o, err := w.service.Notify(w.t.Context(), alerting.Notification{
			Run: run, Channel: pagerduty.Name, Account: pagerduty.DefaultAccount, Kind: "trigger", Summary: id + " is bad",
			Body: func(p alerting.Page) (*document.Object, error) {
				links := []any{}
				for _, l := range p.Links {
					links = append(links, document.NewObject(document.Pair{Key: "href", Value: l.Href}, document.Pair{Key: "text", Value: l.Text}))
				}
				return document.NewObject(
					document.Pair{Key: "event_action", Value: "trigger"}, document.Pair{Key: "dedup_key", Value: p.Key},
					document.Pair{Key: "links", Value: links},
					document.Pair{Key: "payload", Value: document.NewObject(document.Pair{Key: "summary", Value: "s"},
						document.Pair{Key: "source", Value: id}, document.Pair{Key: "severity", Value: string(p.Severity)})},
				), nil
			},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		reasons = append(reasons, o.Reason)
		w.chat(run)
	}
	w.executed(watch, execution, watcher.Executed)
	return reasons
}

// chat runs the slack action of a run.
func (w *world) chat(run watcher.Run) {
	w.t.Helper()
	run.ActionID = "chat"
	_, err := w.service.Notify(w.t.Context(), alerting.Notification{
		Run: run, Channel: slack.Name, Account: slack.DefaultAccount, To: "#ops", Summary: run.WatchID + " is bad",
		Body: func(alerting.Page) (*document.Object, error) {
			return document.NewObject(document.Pair{Key: "channel", Value: "#ops"}, document.Pair{Key: "text", Value: run.WatchID + " is bad"}), nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// notMet executes a watch whose condition is not met.
func (w *world) notMet(id, policy string) {
	w.t.Helper()
	w.runs++
	w.executed(&watcher.Watch{ID: id, Metadata: object(w.t, `{"pharos":`+policy+`}`)}, fmt.Sprintf("%s_%d", id, w.runs), watcher.NotNeeded)
}

func (w *world) executed(watch *watcher.Watch, execution string, state watcher.State) {
	w.t.Helper()
	if err := w.service.Executed(w.t.Context(), watch, watcher.Record{ID: execution, WatchID: watch.ID, State: state}); err != nil {
		w.t.Fatal(err)
	}
	w.now = w.now.Add(10 * time.Second)
}

func TestPageAndResolve(t *testing.T) {
	w := newWorld(t)
	const policy = `{"resolve":true,"service":"api","severity":"error","runbook":"docs/runbooks/down.md","query":"http.response.status_code >= 500"}`
	for range 5 {
		w.met("down", policy, `{}`)
	}
	if i := w.pagerduty.Incident("down"); i.Pages != 1 || !i.Open || len(w.pagerduty.Events()) != 1 || len(w.slack.Messages()) != 1 {
		t.Fatalf("%+v after %d events and %d messages, want one page and one message", i, len(w.pagerduty.Events()), len(w.slack.Messages()))
	}
	var links []string
	for _, l := range w.pagerduty.Events()[0].Links {
		links = append(links, fmt.Sprint(l.(map[string]any)["href"]))
	}
	want := []string{
		"https://git.example/main/docs/runbooks/down.md",
		"https://console.example/alerts?from=2026-01-02T02%3A49%3A05Z&service=api&to=2026-01-02T03%3A05%3A05Z&watch=down",
		"https://kibana.example/app/discover#/?_g=%28time%3A%28from%3A%272026-01-02T02%3A49%3A05.000Z%27%2Cto%3A%272026-01-02T03%3A05%3A05.000Z%27%29%29" +
			"&_a=%28index%3A%27logs-%2A%27%2Cquery%3A%28language%3Akuery%2Cquery%3A%27http.response.status_code+%3E%3D+500%27%29%29",
	}
	if strings.Join(links, "\n") != strings.Join(want, "\n") {
		t.Errorf("links\n%s\nwant\n%s", strings.Join(links, "\n"), strings.Join(want, "\n"))
	}
	for range 3 {
		w.notMet("down", policy)
	}
	if i := w.pagerduty.Incident("down"); i.Open || len(w.pagerduty.Events()) != 2 {
		t.Errorf("%+v after %d events, want it resolved once", i, len(w.pagerduty.Events()))
	}
	messages := w.slack.Messages()
	if len(messages) != 2 || messages[1]["text"] != "Resolved after 50s: down is bad" || messages[1]["channel"] != "#ops" {
		t.Errorf("messages %v", messages)
	}
	w.met("down", policy, `{}`)
	if i := w.pagerduty.Incident("down"); i.Pages != 2 || !i.Open {
		t.Errorf("%+v, want a second page", i)
	}
}

func TestAFailedExecutionResolvesNothing(t *testing.T) {
	w := newWorld(t)
	const policy = `{"resolve":true}`
	w.met("down", policy, `{}`)
	for _, state := range []watcher.State{watcher.Failed, watcher.ThreadPoolFull, watcher.Throttled} {
		w.executed(&watcher.Watch{ID: "down", Metadata: object(t, `{"pharos":`+policy+`}`)}, "x", state)
	}
	if !w.pagerduty.Incident("down").Open {
		t.Error("it was resolved")
	}
}

func TestOneAlertForEachGroup(t *testing.T) {
	w := newWorld(t)
	const policy = `{"resolve":true,"group_by":"key"}`
	w.met("routes", policy, `{"key":"/a"}`, `{"key":"/b"}`)
	w.met("routes", policy, `{"key":"/b"}`, `{"key":"/c"}`)
	for key, open := range map[string]bool{"routes//a": false, "routes//b": true, "routes//c": true} {
		if i := w.pagerduty.Incident(key); i.Open != open || i.Pages != 1 {
			t.Errorf("%+v, want open %t", i, open)
		}
	}
}

func TestAMessageKeepsNobodyFromBeingPaged(t *testing.T) {
	w := newWorld(t)
	const policy = `{"resolve":true,"service":"api","severity":"critical"}`
	w.chat(watcher.Run{ID: "slow_1", WatchID: "slow", Payload: object(t, `{}`), Metadata: object(t, `{"pharos":`+policy+`}`), Now: w.now})
	if got := w.met("down", policy, `{}`)[0]; got != alert.Fired || w.pagerduty.Pages() != 1 {
		t.Errorf("%s, %d pages", got, w.pagerduty.Pages())
	}
}

func TestManyWatchesOfOneCauseShareAPage(t *testing.T) {
	w := newWorld(t)
	const policy = `{"resolve":true,"service":"api","severity":"error"}`
	watches := []string{"availability", "burst", "latency", "down"}
	for round := range 3 {
		for i, id := range watches {
			got := w.met(id, policy, `{}`)[0]
			want := alert.Grouped
			switch {
			case i == 0 && round == 0:
				want = alert.Fired
			case i == 0:
				want = alert.StillFiring
			}
			if got != want {
				t.Fatalf("%s, round %d: %s, want %s", id, round, got, want)
			}
		}
	}
	if w.pagerduty.Pages() != 1 || len(w.slack.Messages()) != 1 {
		t.Fatalf("%d pages, %d messages; want one", w.pagerduty.Pages(), len(w.slack.Messages()))
	}
	if got := w.met("worse", `{"resolve":true,"service":"api","severity":"critical"}`, `{}`)[0]; got != alert.Fired {
		t.Errorf("what is worse than the page: %s", got)
	}
	if got := w.met("other", `{"resolve":true,"service":"feed","severity":"error"}`, `{}`)[0]; got != alert.Fired {
		t.Errorf("another service: %s", got)
	}
	for i, id := range watches {
		w.notMet(id, policy)
		if open := w.pagerduty.Incident("availability").Open; open != (i < len(watches)-1) {
			t.Errorf("after %s cleared the page is open: %t", id, open)
		}
	}
	if !w.pagerduty.Incident("worse").Open || !w.pagerduty.Incident("other").Open {
		t.Error("pages of others were resolved")
	}
}

func TestSilenceMinimumAndHold(t *testing.T) {
	w := newWorld(t)
	err := w.service.Silence(t.Context(), alert.Silence{
		ID: "s", Matchers: alert.Matchers{WatchID: "quiet*"}, StartsAt: w.now, EndsAt: w.now.Add(15 * time.Second), CreatedBy: "ada",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []alert.Reason{alert.Silenced, alert.Silenced, alert.Fired, alert.StillFiring} {
		if got := w.met("quiet", `{"resolve":true}`, `{}`)[0]; got != want {
			t.Errorf("silenced: %s, want %s", got, want)
		}
	}
	if got := w.met("night", `{"minimum_events":20}`, `{"hits":{"total":1}}`)[0]; got != alert.TooFewEvents {
		t.Errorf("one failed request at night: %s", got)
	}
	const held = `{"resolve":true,"hold":"1m"}`
	for range 10 {
		w.met("flapping", held, `{}`)
		w.notMet("flapping", held)
	}
	if i := w.pagerduty.Incident("flapping"); i.Pages != 1 || !i.Open || len(w.pagerduty.Events()) != 2 {
		t.Errorf("flapping: %+v after %d events", i, len(w.pagerduty.Events()))
	}
	for range 7 {
		w.notMet("flapping", held)
	}
	if w.pagerduty.Incident("flapping").Open {
		t.Error("flapping: not resolved after it had been clear for the hold")
	}
	for name, s := range map[string]alert.Silence{
		"ends before it starts": {ID: "x", StartsAt: w.now, EndsAt: w.now, CreatedBy: "a", Matchers: alert.Matchers{Service: "s"}},
		"matches all":           {ID: "x", StartsAt: w.now, EndsAt: w.now.Add(time.Hour), CreatedBy: "a"},
		"nobody's":              {ID: "x", StartsAt: w.now, EndsAt: w.now.Add(time.Hour), Matchers: alert.Matchers{Service: "s"}},
	} {
		if err := w.service.Silence(t.Context(), s); err == nil {
			t.Errorf("a silence that %s was taken", name)
		}
	}
}

func TestAPageSurvivesItsReceiversOutage(t *testing.T) {
	w := newWorld(t)
	const policy = `{"resolve":true}`
	w.pagerduty.Fail(3, 500)
	w.met("down", policy, `{}`)
	w.notMet("down", policy)
	for range 10 {
		w.now = w.now.Add(time.Minute)
		if err := w.sender.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var actions []string
	for _, e := range w.pagerduty.Events() {
		actions = append(actions, e.EventAction)
	}
	if got := strings.Join(actions, " "); got != "trigger resolve" || w.pagerduty.Pages() != 1 {
		t.Errorf("events %q, %d pages", got, w.pagerduty.Pages())
	}
}

func TestAcknowledge(t *testing.T) {
	w := newWorld(t)
	const policy = `{"resolve":true,"service":"api"}`
	w.met("down", policy, `{}`)
	w.met("slow", policy, `{}`)
	begin := w.now
	hear := func(word alerting.Word, at time.Time, want int) {
		t.Helper()
		n, err := w.service.Heard(t.Context(), "down", word, "Ada", at)
		if err != nil || n != want {
			t.Errorf("%s at %s changed %d alerts (%v), want %d", word, at, n, err, want)
		}
	}
	hear(alerting.Ack, begin.Add(-time.Hour), 0) // before it began: a replay
	hear(alerting.Ack, begin, 2)                 // and the alert that shares the page
	hear(alerting.Ack, begin, 0)
	hear(alerting.Unack, begin.Add(2*time.Second), 2)
	hear(alerting.Ack, begin, 0) // a replay
	if got := strings.Join(w.acked, " "); got != "down:page,chat" {
		t.Errorf("watches acknowledged: %q", got)
	}
	a, err := w.service.Acknowledge(t.Context(), alert.NewID("down", ""), "grace")
	if err != nil || a.AcknowledgedBy != "grace" || !w.pagerduty.Incident("down").Acked {
		t.Errorf("%+v, %v, acknowledged there: %t", a, err, w.pagerduty.Incident("down").Acked)
	}
	if _, err := w.service.Acknowledge(t.Context(), a.ID, "grace"); err == nil {
		t.Error("acknowledged twice")
	}
	if got := w.met("down", policy, `{}`)[0]; got != alert.IsAcked {
		t.Errorf("still firing: %s", got)
	}
	hear(alerting.Done, w.now, 2)
	if got := w.met("down", policy, `{}`)[0]; got != alert.Fired {
		t.Errorf("resolved by hand, still firing: %s", got)
	}
}

func TestAPlainWatchIsSentAsElasticSendsIt(t *testing.T) {
	w := newWorld(t)
	for i := range 2 {
		o, err := w.service.Notify(t.Context(), alerting.Notification{
			Run:     watcher.Run{ID: fmt.Sprint("run", i), WatchID: "plain", ActionID: "chat", Now: w.now},
			Channel: slack.Name, Account: slack.DefaultAccount,
			Body: func(alerting.Page) (*document.Object, error) {
				return document.NewObject(document.Pair{Key: "text", Value: "hello"}), nil
			},
		})
		if err != nil || !o.Sent() || o.Delivery.State != outbox.Sent {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	if len(w.slack.Messages()) != 2 {
		t.Errorf("%d messages", len(w.slack.Messages()))
	}
}

func TestHealthyWatchesAskTheStoreSeldom(t *testing.T) {
	w := newWorld(t)
	at := w.now
	for i := range 1000 {
		w.notMet(fmt.Sprint("w", i), `{"resolve":true}`)
		w.now = at
	}
	if w.store.reads > 1 {
		t.Errorf("%d reads for 1,000 executions in a moment", w.store.reads)
	}
}
