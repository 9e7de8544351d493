package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pharos/slo"
	"pharos/watcher/alert"
	watchdoc "pharos/watcher/document"
	"pharos/watcher/receivertest"
)

// pager is where the running watcher sends the pages of the service e2e, and the
// watch that sends them.
type pager struct {
	*stack
	url       string // of the watcher
	pagerDuty *receivertest.PagerDuty
	slack     *receivertest.Slack
	watch     slo.Watch
	key       string // the dedup_key
}

// accountOf is an account's value in a list of NAME=VALUE.
func accountOf(t *testing.T, setting string) string {
	t.Helper()
	value, ok := strings.CutPrefix(os.Getenv(setting), "e2e=")
	if !ok {
		t.Fatalf("%s has no account e2e", setting)
	}
	return value
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// availability is the shipped objective, for a service of the test's own.
func availability(t *testing.T, run string) slo.Objective {
	t.Helper()
	all, err := slo.Load(os.DirFS(".."), "objectives")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(o slo.Objective) bool { return o.Name == "availability" })
	if i < 0 {
		t.Fatal("no objective is called availability")
	}
	o := all[i]
	o.Name, o.Service, o.MinimumEvents = "e2e-"+run, "e2e", 5
	return o
}

// newPager starts the receivers and puts the fast burn-rate watch of
// availability with short windows: 20 s are also how long it must stay clear.
func newPager(t *testing.T, s *stack) *pager {
	t.Helper()
	run := strings.ToLower(random(t))
	p := &pager{
		stack: s, url: "http://127.0.0.1:" + os.Getenv("WATCHER_PORT"), key: "slo-e2e-" + run,
		pagerDuty: receivertest.ListenPagerDuty(t, hostOf(t, os.Getenv("PAGERDUTY_URL")), accountOf(t, "PAGERDUTY_ROUTING_KEYS")),
		slack:     receivertest.ListenSlack(t, hostOf(t, accountOf(t, "SLACK_WEBHOOK_URLS"))),
	}
	p.watch = slo.BurnWatch(availability(t, run), slo.Burn{
		Name: "fast", Factor: 14.4, Long: time.Minute, Short: 20 * time.Second, Page: true, Every: 2 * time.Second,
	})
	tell, ok := watchdoc.At(p.watch.Body, "actions.tell.slack").(*watchdoc.Object)
	if !ok {
		t.Fatal("the watch tells Slack nothing")
	}
	tell.Set("account", "e2e")
	body, err := watchdoc.Marshal(p.watch.Body)
	if err != nil {
		t.Fatal(err)
	}
	admin := watcherClient(t, p.url, "elastic", os.Getenv("ELASTIC_PASSWORD"))
	r, err := admin.Watcher.PutWatch(p.watch.ID, strings.NewReader(string(body)))
	decoded(t, r, err, http.StatusCreated)
	t.Cleanup(func() {
		if t.Failed() {
			p.print(t)
		}
		if r, err := admin.Watcher.DeleteWatch(p.watch.ID, admin.Watcher.DeleteWatch.WithContext(context.WithoutCancel(t.Context()))); err == nil {
			_ = r.Body.Close()
		}
	})
	return p
}

// documents are the watch's in an index, the latest first.
func (p *pager) documents(t *testing.T, index, newest string, filters ...query) []json.RawMessage {
	t.Helper()
	result, err := p.es.Search(context.WithoutCancel(t.Context()), index, query{
		"query": all(append(filters, term("watch_id", p.watch.ID))...), "size": 1000, "sort": []query{{newest: "desc"}},
	})
	if err != nil {
		t.Logf("search %s: %v", index, err)
		return nil
	}
	var found []json.RawMessage
	for _, h := range result.Hits {
		found = append(found, h.Source)
	}
	return found
}

// print shows what a failed test left behind.
func (p *pager) print(t *testing.T) {
	t.Helper()
	for what, found := range map[string][]json.RawMessage{
		"last record":            p.documents(t, "pharos-watch-history", "result.execution_time"),
		"last record that fired": p.documents(t, "pharos-watch-history", "result.execution_time", term("result.condition.met", true)),
		"alert":                  p.documents(t, "pharos-alerts", "started_at"),
	} {
		if len(found) > 0 {
			t.Logf("%s (of %d): %s", what, len(found), found[0])
		}
	}
	for _, e := range p.documents(t, "pharos-outbox", "order") {
		t.Logf("outbox: %s", e)
	}
	t.Logf("PagerDuty got %d requests, broken rules %q, events %+v", p.pagerDuty.Attempts(), p.pagerDuty.Broken(), p.pagerDuty.Events())
	t.Logf("Slack got %d requests, broken rules %q, messages %v%s", p.slack.Attempts(), p.slack.Broken(), p.slack.Messages(), p.tail("pharos/watcher.log"))
}

// command runs the operator's command and reads the JSON that it prints.
func (p *pager) command(t *testing.T, into any, arguments ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(p.State, "bin", "pharos"), append([]string{"--json"}, arguments...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Logf("pharos %v: %s", arguments, failed.Stderr)
		}
		t.Fatalf("pharos %v: %v", arguments, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("pharos %v: %v in %s", arguments, err, out)
	}
}

// alert is the watch's alert as `pharos alerts` prints it; a zero one if it is
// not there.
func (p *pager) alert(t *testing.T, arguments ...string) alert.Alert {
	t.Helper()
	var list []alert.Alert
	p.command(t, &list, append([]string{"alerts"}, arguments...)...)
	for _, a := range list {
		if a.WatchID == p.watch.ID {
			return a
		}
	}
	return alert.Alert{}
}

// counted is what `pharos slo` prints of the shipped availability.
func (p *pager) counted(t *testing.T) (bad, total float64) {
	t.Helper()
	var table struct {
		Items []struct {
			Name, Part string
			Bad, Total float64
		}
	}
	p.command(t, &table, "slo")
	for _, i := range table.Items {
		if i.Name == "availability" && i.Part == "" {
			return i.Bad, i.Total
		}
	}
	t.Fatal("pharos slo does not print availability")
	return 0, 0
}

// acknowledge does what PagerDuty does when somebody takes the incident.
func (p *pager) acknowledge(t *testing.T, by, secret string, status int) {
	t.Helper()
	body := fmt.Sprintf(`{"event":{"id":"e2e-%s","event_type":"incident.acknowledged","resource_type":"incident","occurred_at":%q,
		"agent":{"type":"user_reference","summary":%q},"data":{"id":"PGR0VU2","type":"incident","status":"acknowledged","incident_key":%q}}}`,
		random(t), time.Now().UTC().Truncate(time.Second).Format(time.RFC3339), by, p.key)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/webhooks/pagerduty", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Pagerduty-Signature", "v1="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != status {
		t.Fatalf("PagerDuty's webhook was answered %d instead of %d", resp.StatusCode, status)
	}
}

// checkPage holds the page against what the watch and the vendor say.
func (p *pager) checkPage(t *testing.T, e receivertest.Event) {
	t.Helper()
	if e.EventAction != "trigger" || e.Payload["severity"] != "critical" || e.Payload["source"] != p.watch.ID ||
		e.Payload["component"] != "e2e" || !strings.Contains(fmt.Sprint(e.Payload["summary"]), "Availability: the error budget burns") {
		t.Errorf("page %+v", e)
	}
	details, _ := e.Payload["custom_details"].(map[string]any)
	sums, _ := details["payload"].(map[string]any)
	bad, _ := sums["bad"].(float64)
	total, _ := sums["total"].(float64)
	burn, _ := sums["burn"].(float64)
	const budget = 0.001
	if bad < 1 || total < 5 || bad > total || burn < 14.4 || math.Abs(burn-bad/total/budget) > 0.06 {
		t.Errorf("arithmetic %v", sums)
	}
	links := map[any]string{}
	for _, l := range e.Links {
		link, _ := l.(map[string]any)
		links[link["text"]] = fmt.Sprint(link["href"])
	}
	for text, start := range map[string]string{
		"Runbook":         os.Getenv("RUNBOOK_URL") + "/slo-availability.md",
		"Console":         os.Getenv("CONSOLE_URL") + "/alerts?",
		"Kibana Discover": os.Getenv("KIBANA_URL") + "/app/discover#/?",
	} {
		if !strings.HasPrefix(links[text], start) {
			t.Errorf("link %s is %q, want %s…", text, links[text], start)
		}
	}
}

// TestOutagePagesAndResolves stops both feeds until somebody is paged, starts
// them, and waits for the end of the page. The receivers fail at first.
func TestOutagePagesAndResolves(t *testing.T) {
	s := open(t)
	p := newPager(t, s)
	c := newClient(s)
	author := c.signUp(t, "author")
	post := func() int {
		return c.do(t, "POST", "/v1/posts", `{"text":"is anybody there?"}`, author.auth()...).status
	}
	for range 10 {
		c.want(t, http.StatusOK, "GET", "/v1/feed", "", author.auth()...)
	}
	badBefore, _ := p.counted(t)
	events := func() []receivertest.Event {
		return slices.DeleteFunc(p.pagerDuty.Events(), func(e receivertest.Event) bool { return e.DedupKey != p.key })
	}
	if page := events(); len(page) > 0 {
		t.Fatalf("paged before the outage: %+v", page)
	}
	p.pagerDuty.Fail(2, http.StatusInternalServerError)
	p.slack.Fail(1, http.StatusServiceUnavailable)

	s.supervise(t, "stop", "feed-1", "feed-2")
	stopped := time.Now()
	func() {
		defer s.supervise(t, "start", "feed-1", "feed-2")
		eventually(t, 90*time.Second, "the page", func() string {
			status := post()
			if list := events(); len(list) == 0 || len(p.slack.Messages()) == 0 {
				return fmt.Sprintf("posts are answered %d, events %v, messages %v", status, list, p.slack.Messages())
			}
			return ""
		})
		t.Logf("paged %s after both feeds had stopped, at attempt %d", time.Since(stopped).Round(100*time.Millisecond), p.pagerDuty.Attempts())
		p.checkPage(t, events()[0])
		if a := p.alert(t); a.State != alert.Firing || a.Severity != alert.Critical || a.Service != "e2e" || a.Page != a.ID || len(a.Routes) != 2 {
			t.Errorf("pharos alerts: %+v", a)
		}
		eventually(t, 15*time.Second, "the record of it", func() string {
			fired := p.documents(t, "pharos-watch-history", "result.execution_time", term("result.condition.met", true), term("state", "executed"))
			if len(fired) == 0 {
				return "none"
			}
			return ""
		})
		p.acknowledge(t, "Ada Lovelace", "somebody else's secret", http.StatusUnauthorized)
		p.acknowledge(t, "Ada Lovelace", os.Getenv("PAGERDUTY_WEBHOOK_SECRETS"), http.StatusAccepted)
		eventually(t, 15*time.Second, "the acknowledgement", func() string {
			post()
			if a := p.alert(t); a.State != alert.Acknowledged || a.AcknowledgedBy != "Ada Lovelace" {
				return fmt.Sprintf("%+v", a)
			}
			return ""
		})
	}()

	started := time.Now()
	eventually(t, 3*time.Minute, "the resolve", func() string {
		status := c.do(t, "GET", "/v1/feed", "", author.auth()...).status
		if list := events(); len(list) < 2 || len(p.slack.Messages()) < 2 {
			return fmt.Sprintf("the feed answers %d, events %v, messages %v", status, list, p.slack.Messages())
		}
		return ""
	})
	t.Logf("resolved %s after both feeds were healthy", time.Since(started).Round(100*time.Millisecond))
	if a := p.alert(t); a.ID != "" {
		t.Errorf("still among the open alerts: %+v", a)
	}
	if a := p.alert(t, "--all"); a.State != alert.Resolved || a.Episode != 1 || a.ResolvedAt.IsZero() {
		t.Errorf("among all alerts: %+v", a)
	}

	executions := len(p.documents(t, "pharos-watch-history", "result.execution_time"))
	eventually(t, 30*time.Second, "three more executions", func() string {
		if n := len(p.documents(t, "pharos-watch-history", "result.execution_time")); n < executions+3 {
			return fmt.Sprintf("%d after %d", n, executions)
		}
		return ""
	})
	var actions []string
	for _, e := range events() {
		actions = append(actions, e.EventAction)
	}
	if i := p.pagerDuty.Incident(p.key); !slices.Equal(actions, []string{"trigger", "resolve"}) || i.Pages != 1 || i.Open {
		t.Errorf("events %v, incident %+v; want one trigger and its resolve", actions, i)
	}
	if said := p.slack.Messages(); len(said) != 2 || !strings.Contains(fmt.Sprint(said[1]), "Resolved after") {
		t.Errorf("Slack was told %v", said)
	}
	if broken := append(p.pagerDuty.Broken(), p.slack.Broken()...); len(broken) > 0 {
		t.Errorf("rules that were broken: %q", broken)
	}

	eventually(t, 100*time.Second, "pharos slo counts the outage", func() string {
		bad, total := p.counted(t)
		if c.bad == 0 || bad < badBefore+float64(c.bad) || total < float64(c.total) {
			return fmt.Sprintf("%v bad of %v; before %v; the test's own %d of %d", bad, total, badBefore, c.bad, c.total)
		}
		return ""
	})
}
