package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// press clicks an element and waits for one of the page that it leads to.
func (b *browser) press(xpath, selector string) {
	b.t.Helper()
	b.follow(chromedp.Click(xpath, chromedp.BySearch), selector)
}

// at is the address of the page, without the console's own.
func (b *browser) at() string {
	b.t.Helper()
	var at string
	b.do(chromedp.Location(&at))
	return strings.TrimPrefix(at, b.base)
}

// parameter is one of the address.
func (b *browser) parameter(name string) string {
	b.t.Helper()
	u, err := url.Parse(b.at())
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Query().Get(name)
}

// plain is what an element shows, with spaces that break.
func (b *browser) plain(selector string) string {
	b.t.Helper()
	return strings.ReplaceAll(b.text(selector), "\u00a0", " ")
}

// TestConsoleNumberToSpan goes the whole way of one question: a number of the
// overview, the lines it was counted from, what was around one of them, its
// trace, and the log of a span.
func TestConsoleNumberToSpan(t *testing.T) {
	s := open(t)
	c := newClient(s)
	var last answer
	for range 4 {
		last = c.want(t, http.StatusOK, "GET", "/tasks/ackermann?m=2&n=2", "")
	}
	b := newBrowser(t, 1400, 1000)
	b.signIn("support", "/")
	const number = `//section[@id="p-traffic"]//tr[td[1]//a[text()="/tasks/ackermann"]]/td[2]//a`
	eventually(t, arrival, "the route's number on the overview, and the last request's lines", func() string {
		b.open("/?from=now-6h")
		var there bool
		b.js(`[...document.querySelectorAll("#p-traffic td a")].some(e => e.textContent === "/tasks/ackermann")`, &there)
		found := s.search(t, "logs-nginx.access-default", term("trace.id", last.traceID()))
		if !there || len(found) == 0 {
			return b.text("#p-traffic") + s.tail("filebeat/*")
		}
		return ""
	})
	var said string
	b.do(chromedp.AttributeValue("("+number+")[1]", "title", &said, nil, chromedp.BySearch))
	b.press("("+number+")[1]", "#rows tr[data-row]")
	if q := b.parameter("q"); !strings.Contains(q, `http.route:"/tasks/ackermann"`) || !strings.Contains(q, "not labels.probe:true") {
		t.Errorf("the number leads to %s", q)
	}
	// The lines are those that were counted, and what came since.
	b.do(chromedp.WaitVisible("#p-summary h2", chromedp.ByQuery))
	var counted, lines int
	b.js(`Number(document.querySelector("#p-summary h2").title)`, &lines)
	if _, err := fmt.Sscan(said, &counted); err != nil || counted < 4 || lines < counted {
		t.Errorf("%d lines behind the number %q: %v", lines, said, err)
	}
	b.shot("lines")

	// The line of the last request is among them.
	b.open("/logs?from=now-6h&q=" + url.QueryEscape("trace.id:"+last.traceID()+" and data_stream.dataset:nginx.access"))
	b.do(chromedp.Click("#rows a[data-open]", chromedp.ByQuery), chromedp.WaitVisible(".detail", chromedp.ByQuery))
	b.press(`//div[@class="detail"]//a[text()="Surrounding lines"]`, "#rows .anchor")
	b.press(`//a[text()="All lines around it"]`, "#rows .anchor")
	b.shot("around")
	eventually(t, arrival, "the trace of the line", func() string {
		if found := s.search(t, "traces-apm-default", all(term("trace.id", last.traceID()), term("processor.event", "transaction"))); len(found) == 0 {
			return s.tail("pharos/intake.log")
		}
		return ""
	})
	var open bool
	b.js(`document.querySelector("#rows .anchor + .detail-row") !== null`, &open)
	if !open {
		b.do(chromedp.Click("#rows .anchor a[data-open]", chromedp.ByQuery))
	}
	b.do(chromedp.WaitVisible("#rows .anchor + .detail-row .detail", chromedp.ByQuery))
	b.press(`//tr[contains(@class, "anchor")]/following-sibling::tr[1]//a[text()="Trace"]`, ".waterfall")
	if text := b.plain(".waterfall"); !strings.Contains(text, "GET /tasks/ackermann") {
		t.Errorf("the trace is of %s", text)
	}
	trace := b.at()
	eventually(t, arrival, "the span's log", func() string {
		b.open(trace)
		b.do(chromedp.Click(".wf-row summary", chromedp.ByQuery))
		b.press(`(//div[@class="wf-body"]//a[text()="Its log lines"])[1]`, "details[open] .wf-body")
		if text := b.text("details[open] .wf-body"); !strings.Contains(text, "GET /tasks/ackermann 200") {
			return text
		}
		return ""
	})
	b.shot("span")
}

// TestConsolePaths goes the way of who reads each of these pages.
func TestConsolePaths(t *testing.T) {
	s := open(t)
	product := sell(t, s) // it is counted when its minute has ended: the shop comes last
	for _, path := range []struct {
		name string
		walk func(*testing.T, *stack)
	}{
		{"functions", functionsPath}, {"capacity", capacityPath}, {"security", securityPath}, {"incidents", incidentsPath},
		{"shop", func(t *testing.T, s *stack) { shopPath(t, s, product) }},
	} {
		t.Run(path.name, func(t *testing.T) { path.walk(t, s) })
	}
}

// functionsPath narrows the functions down to one, sorts them, and goes from the
// jobs to their log.
func functionsPath(t *testing.T, s *stack) {
	c := newClient(s)
	u := c.signUp(t, "functions")
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...)
	c.want(t, http.StatusAccepted, "POST", "/v1/jobs", `{"task":"factorial","arguments":{"n":20000}}`, u.auth()...)
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/functions")
	eventually(t, arrival, "the functions that were called", func() string {
		b.open("/functions")
		if text := b.text("#p-functions"); !strings.Contains(text, "feed.SignIn") || !strings.Contains(text, "jobs.factorial") {
			return text
		}
		return ""
	})
	b.press(`//*[@id="p-functions"]//a[text()="feed.SignIn"]`, `tr[aria-current="true"]`)
	if row, chart := b.text(`tr[aria-current="true"]`), b.text("#calls figcaption"); !strings.Contains(row, "feed.SignIn") || !strings.Contains(chart, "feed.SignIn") {
		t.Errorf("of one function: %s, %s", row, chart)
	}
	b.press(`//*[@id="p-functions"]//th/a[text()="Errors"]`, `th[aria-sort="descending"]`)
	if head := b.text("th[aria-sort]"); head != "Errors" || b.parameter("name") != "feed.SignIn" {
		t.Errorf("sorted by %s, at %s", head, b.at())
	}
	b.press(`//a[text()="Charts of those called most"]`, "#p-functions")
	if b.parameter("name") != "" {
		t.Errorf("all again: %s", b.at())
	}
	b.press(`//a[text()="Log lines of jobs that ended"]`, "#p-lines")
	jobs := b.at()
	eventually(t, arrival, "the job's line", func() string {
		b.open(jobs)
		if text := b.text("#p-lines"); !strings.Contains(text, "jobs") || strings.Contains(text, "No line of this time") {
			return text
		}
		return ""
	})
}

// capacityPath picks another time, looks at what has no limit, and drags over a
// chart.
func capacityPath(t *testing.T, _ *stack) {
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/capacity")
	eventually(t, 2*arrival, "the host and the processes", func() string {
		b.open("/capacity")
		text := b.plain("#p-resources") + b.plain("#p-processes") + b.plain("#p-hosts")
		for _, want := range []string{"processor", "disk space", "api-1", "Network"} {
			if !strings.Contains(text, want) {
				return "no " + want + " in " + text
			}
		}
		return ""
	})
	b.do(chromedp.Click(".pick summary", chromedp.ByQuery))
	b.press(`//div[@class="pick-panel"]//a[text()="15 min"]`, "#p-resources tbody tr")
	if from, said := b.parameter("from"), b.plain(".pick summary"); from != "now-15m" || !strings.Contains(said, "last 15 min") {
		t.Errorf("from %s, %s", from, said)
	}
	b.do(chromedp.Click("#unbounded summary", chromedp.ByQuery), chromedp.WaitVisible("#unbounded tbody tr", chromedp.ByQuery))
	b.do(chromedp.WaitVisible("#p-hosts canvas", chromedp.ByQuery))
	b.drag("#p-hosts .u-over", 0.25, 0.75)
	from, err := time.Parse(time.RFC3339, b.parameter("from"))
	to, err2 := time.Parse(time.RFC3339, b.parameter("to"))
	if err != nil || err2 != nil || to.Sub(from) < 6*time.Minute || to.Sub(from) > 9*time.Minute {
		t.Errorf("half of 15 min is from %s to %s (%v, %v)", from, to, err, err2)
	}
}

// drag draws the mouse over the part of an element's width, which leads to
// another page.
func (b *browser) drag(selector string, from, to float64) {
	b.t.Helper()
	var box struct{ X, Y, W float64 }
	b.js(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(); return {x: r.x, y: r.y + r.height / 2, w: r.width} })()`, selector), &box)
	left, right := box.X+from*box.W, box.X+to*box.W
	b.follow(chromedp.Tasks{
		chromedp.MouseEvent("mouseMoved", left, box.Y),
		chromedp.MouseEvent("mousePressed", left, box.Y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
		chromedp.MouseEvent("mouseMoved", (left+right)/2, box.Y, chromedp.ButtonLeft),
		chromedp.MouseEvent("mouseMoved", right, box.Y, chromedp.ButtonLeft),
		chromedp.MouseEvent("mouseReleased", right, box.Y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
	}, "h1")
}

// securityPath guesses a password and looks around as a scanner does, and follows
// each number to its lines.
func securityPath(t *testing.T, s *stack) {
	c := newClient(s)
	handle := "guessed_" + random(t)
	for n := range 5 {
		c.want(t, http.StatusUnauthorized, "POST", "/v1/sessions", fmt.Sprintf(`{"handle":%q,"password":"guess %d"}`, handle, n), "User-Agent", handle)
	}
	scanner := func(path string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", s.NginxPort, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", "sqlmap/1.8 "+handle)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	scanner("/wp-login.php")
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/security")
	eventually(t, arrival, "the guesses and the scanner", func() string {
		if failed, refused := s.search(t, "logs-pharos-default", term("user.name", handle)), s.search(t, "logs-nginx.access-default", term("user_agent.original", handle)); len(failed) < 5 || len(refused) < 5 {
			return fmt.Sprintf("%d failures, %d refusals%s", len(failed), len(refused), s.tail("filebeat/*"))
		}
		b.open("/security")
		text := b.text("main")
		for _, want := range []string{handle, "WordPress", "sqlmap", "/v1/sessions"} {
			if !strings.Contains(text, want) {
				return "no " + want + " in " + text + s.tail("filebeat/*")
			}
		}
		return ""
	})
	page := b.at()
	var said int
	b.js(`Number(document.querySelector('#p-refused .figure b').title)`, &said)
	b.press(`(//*[@id="p-refused"]//a[contains(@class, "figure")])[1]`, "#rows tr[data-row]")
	b.do(chromedp.WaitVisible("#p-summary h2", chromedp.ByQuery))
	var lines int
	b.js(`Number(document.querySelector("#p-summary h2").title)`, &lines)
	if q := b.parameter("q"); !strings.Contains(q, "http.response.status_code:401") || lines < said || said < 5 {
		t.Errorf("%s: %d lines behind %d", q, lines, said)
	}
	b.open(page)
	b.press(fmt.Sprintf(`//*[@id="p-signins"]//a[text()=%q]`, handle), "#rows tr[data-row]")
	var rows int
	b.js(`document.querySelectorAll("#rows > tr[data-row]").length`, &rows)
	if rows != 5 {
		t.Errorf("%d lines of five guesses: %s", rows, b.text("#rows"))
	}
	b.open(page)
	b.press(`//*[@id="p-agents"]//a[text()="sqlmap"]`, "#rows tr[data-row]")
	if text := b.text("#rows"); !strings.Contains(text, "404") {
		t.Errorf("the scanner's lines: %s", text)
	}
}

// record has the watcher remember a change, as who is on call.
func record(t *testing.T, change string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:"+os.Getenv("WATCHER_PORT")+"/v1/changes", strings.NewReader(change))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("oncall", os.Getenv("ONCALL_PASSWORD"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusCreated {
		answer, _ := io.ReadAll(resp.Body)
		t.Fatalf("record a change: %s %s", resp.Status, answer)
	}
}

// incidentsPath opens an incident by hand, finds it in the list, reads on, and
// closes it.
func incidentsPath(t *testing.T, _ *stack) {
	title, version := "Trouble "+random(t), "v-"+random(t)
	record(t, fmt.Sprintf(`{"kind":"deploy","service":"api","version":%q}`, version))
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/incidents")
	b.do(
		chromedp.Click("#open-form summary", chromedp.ByQuery), chromedp.WaitVisible("#open-title", chromedp.ByQuery),
		chromedp.SendKeys("#open-title", title, chromedp.ByQuery), chromedp.SendKeys("#open-text", "We look into it.", chromedp.ByQuery),
	)
	b.shot("form")
	b.follow(chromedp.Click("#open-form button.primary", chromedp.ByQuery), "#p-timeline")
	if text := b.text("main"); !strings.Contains(text, title) || !strings.Contains(text, "We look into it.") {
		t.Errorf("the incident: %s", text)
	}
	eventually(t, arrival, "the incident and the change in the lists", func() string {
		b.open("/incidents")
		if open, changes := b.text("#p-open"), b.text("#p-changes"); !strings.Contains(open, title) || !strings.Contains(changes, version) {
			return open + changes
		}
		return ""
	})
	// A time in which it was not yet recorded has no such change.
	b.open("/incidents?from=now-3h&to=now-2h")
	if text := b.text("#p-changes"); strings.Contains(text, version) {
		t.Errorf("changes of another time: %s", text)
	}
	b.open("/incidents")
	b.press(fmt.Sprintf(`//*[@id="p-open"]//a[text()=%q]`, title), "#p-timeline")
	incident := b.at()
	b.press(`//section[@aria-labelledby="look"]//a[text()="Requests that failed"]`, "#p-lines")
	if q := b.parameter("q"); !strings.Contains(q, "http.response.status_code >= 500") || b.parameter("from") == "" {
		t.Errorf("its lines are at %s", b.at())
	}
	b.open(incident)
	b.follow(chromedp.Submit("#close-text", chromedp.ByQuery), "#p-timeline")
	eventually(t, arrival, "the incident among the closed", func() string {
		b.open("/incidents")
		if open, closed := b.text("#p-open"), b.text("#p-closed"); strings.Contains(open, title) || !strings.Contains(closed, title) {
			return open + closed
		}
		return ""
	})
}

// sell sends the events of one sale, and returns what was sold.
func sell(t *testing.T, s *stack) string {
	t.Helper()
	c := newClient(s)
	u := c.signUp(t, "seller")
	product := "lamp-" + random(t)
	var batch []string
	for n, kind := range []string{"shop.view", "shop.cart", "shop.purchase"} {
		batch = append(batch, fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/e2e/%s","type":%q,"data":{"session_id":%q,"product_id":%q,"category":"lamps","country":"DE","price":"12.50","currency":"EUR","quantity":2,"amount":"25.00","order_id":%q}}`, n, product, kind, product, product, product))
	}
	c.want(t, http.StatusAccepted, "POST", "/v1/events", "["+strings.Join(batch, ",")+"]", append(u.auth(), "Content-Type", "application/cloudevents-batch+json")...)
	return product
}

// shopPath finds what was sold: the figures, the products, and the requests that
// brought the events.
func shopPath(t *testing.T, s *stack, product string) {
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/shop")
	eventually(t, 4*time.Minute, "the product's minute", func() string {
		// The parts of the page are asked for beside each other: what was written
		// between two answers is in one only.
		b.open("/shop")
		if products, sold := b.text("#p-products"), b.text("#p-sold"); !strings.Contains(products, product) || !strings.Contains(sold, "revenue, EUR") {
			return sold + products + s.tail("pharos/analytics.log")
		}
		return ""
	})
	row := `//*[@id="p-products"]//tr[td[1][text()="` + product + `"]]`
	var revenue string
	b.do(chromedp.Text(row+"/td[5]", &revenue, chromedp.BySearch))
	if got := strings.ReplaceAll(revenue, "\u00a0", " "); !strings.Contains(got, "25 EUR") {
		t.Errorf("the product earned %s", got)
	}
	if text := b.plain("#p-sold"); !strings.Contains(text, "orders") || !strings.Contains(text, "revenue, EUR") {
		t.Errorf("sold: %s", text)
	}
	b.do(chromedp.WaitVisible("#p-sold canvas", chromedp.ByQuery))
	b.shot("shop")
	b.do(chromedp.Click(".pick summary", chromedp.ByQuery))
	b.press(`//div[@class="pick-panel"]//a[text()="7 d"]`, "#p-sold")
	if b.parameter("from") != "now-7d" {
		t.Errorf("seven days: %s", b.at())
	}
	b.open("/shop")
	b.press(`//a[text()="Requests that brought events"]`, "#rows tr[data-row]")
	if text := b.text("#rows"); !strings.Contains(text, "POST /v1/events") {
		t.Errorf("the requests: %s", text)
	}
}
