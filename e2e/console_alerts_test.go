package e2e

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"pharos/watcher/receivertest"
)

// TestConsoleAlerts goes the way of who is on call: an alert, its incident, what
// the public reads, the watch run and replayed, a silence, and the end of it.
func TestConsoleAlerts(t *testing.T) {
	open(t)
	receivertest.ListenSlack(t, hostOf(t, accountOf(t, "SLACK_WEBHOOK_URLS")))
	id := "console-" + strings.ToLower(random(t))
	admin := watcherClient(t, "http://127.0.0.1:"+os.Getenv("WATCHER_PORT"), "elastic", os.Getenv("ELASTIC_PASSWORD"))
	r, err := admin.Watcher.PutWatch(id, strings.NewReader(`{
		"metadata":{"name":"Seven","pharos":{"resolve":true,"severity":"error","service":"`+id+`"}},
		"trigger":{"schedule":{"interval":"2s"}},"input":{"simple":{"n":7}},"condition":{"always":{}},"throttle_period":"1h",
		"actions":{"tell":{"slack":{"account":"e2e","message":{"text":"Seven is {{ctx.payload.n}}."}}}}}`))
	decoded(t, r, err, http.StatusCreated)
	t.Cleanup(func() {
		if r, err := admin.Watcher.DeleteWatch(id, admin.Watcher.DeleteWatch.WithContext(context.WithoutCancel(t.Context()))); err == nil {
			_ = r.Body.Close()
		}
	})
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/alerts")
	says := func(part, text string) chromedp.Action {
		return chromedp.WaitVisible(`//*[@id="`+part+`"][contains(., "`+text+`")]`, chromedp.BySearch)
	}
	press := func(selector string) chromedp.Action { return chromedp.Click(selector, chromedp.ByQuery) }
	eventually(t, arrival, "the alert", func() string {
		b.open("/alerts?watch=" + id)
		if text := b.text("#p-open"); !strings.Contains(text, "Seven is 7.") {
			return text
		}
		return ""
	})
	b.pictures("alerts")

	b.do(press("#p-open td.what a"), says("p-facts", "somebody was told"), press(`form[action$="/ack"] button`), chromedp.WaitVisible(`form[action$="/unack"]`, chromedp.ByQuery))
	var at string
	b.do(chromedp.Location(&at))
	at = strings.TrimPrefix(at, b.base)
	eventually(t, arrival, "the alert's incident", func() string {
		b.open(at)
		if text := b.text("main"); !strings.Contains(text, "Its incident") {
			return text
		}
		return ""
	})
	b.do(press(`main a[href^="/incidents/"]`), says("p-timeline", "alert fired"))
	var incident string
	b.do(chromedp.Location(&incident))
	incident = strings.TrimPrefix(incident, b.base)
	b.do(
		chromedp.SendKeys("#note-text", "Seven is too many.", chromedp.ByQuery), chromedp.Submit("#note-text", chromedp.ByQuery), says("p-timeline", "Seven is too many."),
		chromedp.SendKeys("#update-text", "We work on it.", chromedp.ByQuery), chromedp.Submit("#update-text", chromedp.ByQuery), says("p-timeline", "We work on it."),
	)
	var public string
	b.js(`[...document.querySelectorAll("#p-timeline tr.is-public .said")].map(e => e.innerText).join("|")`, &public)
	if !strings.Contains(public, "We work on it.") || strings.Contains(public, "too many") {
		t.Errorf("public is %q", public)
	}
	b.pictures("incident")

	b.open("/watches/" + id)
	b.do(press("main button.primary"), says("ran-panel", "Seven is 7."))
	// A watch that names an account can't be replayed: what is replayed has none.
	b.open("/watches/availability-5m")
	b.do(
		chromedp.SetValue(`input[name="from"]`, "now-1h", chromedp.ByQuery),
		chromedp.SetValue(`select[name="step"]`, "5m0s", chromedp.ByQuery), chromedp.Submit(`input[name="from"]`, chromedp.ByQuery),
		chromedp.WaitVisible("#replayed", chromedp.ByQuery), chromedp.WaitVisible("#replay canvas", chromedp.ByQuery),
	)
	b.shot("replay")

	b.open("/alerts?watch=" + id)
	b.do(
		chromedp.SendKeys("#s-comment", "It is known.", chromedp.ByQuery), chromedp.Submit("#s-comment", chromedp.ByQuery), says("p-silences", "It is known."),
		press(`#p-silences form[action$="/end"] button`),
		chromedp.WaitNotPresent(`//*[@id="p-silences"][contains(., "It is known.")]`, chromedp.BySearch),
	)

	b.open("/watches/" + id)
	b.do(press(`form[action$="/deactivate"] button`), chromedp.WaitVisible(`form[action$="/activate"]`, chromedp.ByQuery))
	b.open(at)
	b.do(press(`form[action$="/resolve"] button`), says("p-facts", "Resolved"))
	eventually(t, arrival, "the incident's end", func() string {
		b.open(incident)
		if text := b.text("main"); !strings.Contains(text, "closed") {
			return text
		}
		return ""
	})
}
