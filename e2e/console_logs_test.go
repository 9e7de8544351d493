package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestConsoleLogs goes the way of who looks for a request: find it, open its line,
// see what was around it, watch for the next, save the search, take the lines
// along.
func TestConsoleLogs(t *testing.T) {
	s := open(t)
	c := newClient(s)
	// A client that would like to be HTML; only this test's requests have its name.
	agent := `<img src=x onerror=alert(1)> e2e-` + random(t)
	query := `user_agent.original:"` + agent + `"`
	list := "/logs?columns=user_agent.original&q=" + url.QueryEscape(query)
	request := func() { c.want(t, http.StatusOK, "GET", "/tasks/factorial?n=3", "", "User-Agent", agent) }
	for range 3 {
		request()
	}
	b := newBrowser(t, 1400, 1000)
	b.signIn("support", "/logs")
	count := func() int {
		var n int
		b.js(`document.querySelectorAll("#rows > tr[data-row]").length`, &n)
		return n
	}
	eventually(t, arrival, "the lines of three requests", func() string {
		b.open(list)
		if n := count(); n != 3 {
			return fmt.Sprintf("%d rows: %s%s", n, b.text("main"), s.tail("filebeat/*"))
		}
		return ""
	})
	var images int
	b.js(`document.querySelectorAll("#rows img").length`, &images)
	if text := b.text("#rows"); images != 0 || !strings.Contains(text, agent) || !strings.Contains(text, "GET /tasks/factorial 200") {
		t.Errorf("%d images in %s", images, text)
	}
	if text := b.text("#p-summary"); !strings.Contains(text, "3 lines") {
		t.Errorf("summary: %s", text)
	}
	b.do(chromedp.WaitVisible("#histogram canvas", chromedp.ByQuery))

	// By keys alone: the second line, open; what is there leads on.
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), chromedp.WaitVisible(".detail", chromedp.ByQuery))
	var at string
	b.do(chromedp.Location(&at))
	if !strings.Contains(at, "line=") {
		t.Errorf("an open line is not in the address: %s", at)
	}
	for _, want := range []string{"http.request.id", "trace.id", "service.name", "event.ingested"} {
		if text := b.text(".detail"); !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	b.open(strings.TrimPrefix(at, b.base)) // the same for whom the link is sent to
	b.do(chromedp.WaitVisible(".detail", chromedp.ByQuery))
	b.follow(chromedp.Click(`//div[@class="detail"]//a[text()="Surrounding lines"]`), "#rows .anchor")
	if n := count(); n != 3 {
		t.Errorf("%d lines around it with the filter kept", n)
	}
	b.follow(chromedp.Click(`//a[text()="All lines around it"]`), "#rows .anchor")
	if n := count(); n <= 3 {
		t.Errorf("%d lines around it without filters", n)
	}

	// A click on a facet adds its filter.
	b.open("/logs?from=now-15m")
	b.follow(chromedp.Click(`.facets a[title="Only nginx"]`, chromedp.ByQuery), ".facets .on")
	if b.js(`document.getElementById("q").value`, &at); at != "service.name:nginx" {
		t.Errorf("the facet made %s", at)
	}
	b.pictures("logs")

	// Live: a line comes in by itself, and waits while another is read.
	b.open(list + "&live=1")
	b.do(chromedp.WaitVisible(`//*[@id="live-state"][starts-with(text(),"Live.")]`))
	request()
	sent := time.Now()
	eventually(t, arrival, "the live line", func() string {
		if n := count(); n != 4 {
			return fmt.Sprintf("%d rows: %s", n, b.text("#p-lines"))
		}
		return ""
	})
	t.Logf("the line came after %s", time.Since(sent).Round(10*time.Millisecond))
	b.do(chromedp.Click(`#rows a[data-open]`, chromedp.ByQuery), chromedp.WaitVisible(".detail", chromedp.ByQuery))
	request()
	b.do(chromedp.WaitVisible("#live-waiting", chromedp.ByQuery))
	if n := count(); n != 4 {
		t.Errorf("%d rows while somebody reads", n)
	}
	b.do(chromedp.Click("#live-waiting", chromedp.ByQuery), chromedp.WaitNotVisible("#live-waiting", chromedp.ByQuery))
	if n := count(); n != 5 {
		t.Errorf("%d rows when all are shown", n)
	}

	// All of them as a file, announced and whole.
	var file string
	b.js(fmt.Sprintf(`fetch("/logs/export.ndjson?q=%s").then(async r => r.headers.get("X-Total-Count") + " " + (await r.text()).split("\n").filter(l => JSON.parse(l || "0")).length)`, url.QueryEscape(query)), &file)
	if file != "5 5" {
		t.Errorf("announced and exported: %s", file)
	}

	// A view is saved, opened and deleted.
	name := "e2e " + random(t)
	b.open(list + "&views=1")
	b.do(chromedp.SendKeys(`#views input[name="name"]`, name, chromedp.ByQuery))
	b.follow(chromedp.Submit(`#views input[name="name"]`, chromedp.ByQuery), "#views-link")
	eventually(t, arrival, "the saved view", func() string {
		b.open("/logs?views=1")
		if text := b.text("#views"); !strings.Contains(text, name) {
			return text
		}
		return ""
	})
	b.follow(chromedp.Click(fmt.Sprintf(`//a[text()=%q]`, name)), "#rows")
	if text := b.text("#p-lines thead"); !strings.Contains(text, "user_agent.original") {
		t.Errorf("the view opens as %s", text)
	}
	eventually(t, arrival, "the button that deletes the view", func() string {
		b.open("/logs?views=1")
		var there bool
		b.js(fmt.Sprintf(`document.querySelector('button[aria-label="Delete the view %s"]') !== null`, name), &there)
		if !there {
			return b.text("#views")
		}
		return ""
	})
	b.follow(chromedp.Click(fmt.Sprintf(`button[aria-label="Delete the view %s"]`, name), chromedp.ByQuery), "#views-link")
	eventually(t, arrival, "the view is gone", func() string {
		b.open("/logs?views=1")
		if text := b.text("#views"); strings.Contains(text, name) || strings.Contains(text, "did not answer") {
			return text
		}
		return ""
	})

	// What can't be read is told by its place; nobody is told what he may not know.
	b.open("/logs?q=" + url.QueryEscape(`message:(a or`))
	if text := b.text(".trouble"); !strings.Contains(text, "character 14") {
		t.Errorf("a query that breaks off: %s", text)
	}
	b.open("/logs?q=" + url.QueryEscape(`no.such:field`))
	if text := b.text("main"); !strings.Contains(text, "No log stream has a searchable field no.such") || !strings.Contains(text, "No line of this time matches") {
		t.Errorf("a field that is not there: %s", text)
	}
}

// follow does what leads to another page, and waits for an element of that one.
func (b *browser) follow(action chromedp.Action, selector string) {
	b.t.Helper()
	b.do(
		chromedp.Evaluate(`document.body.dataset.left = "yes"`, nil), action,
		chromedp.WaitReady("body:not([data-left])", chromedp.ByQuery), chromedp.WaitVisible(selector, chromedp.ByQuery),
	)
}

// TestConsoleLogsAreNotForAll asks as a manager.
func TestConsoleLogsAreNotForAll(t *testing.T) {
	open(t)
	b := newBrowser(t, 1400, 1000)
	b.signIn("viewer", "/")
	b.open("/logs")
	b.forgive() // of the 403
	if text := b.text("main"); !strings.Contains(text, "may not") {
		t.Errorf("a viewer reads %s", text)
	}
	if text := b.text(".menu"); strings.Contains(text, "Logs") {
		t.Errorf("a viewer is offered %s", text)
	}
}
