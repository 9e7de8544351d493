package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConsoleTraces goes the way of who has a request's id: find it, open its
// trace, look at a store's statement, fold what is of no interest, read a span's
// log and go on to all lines.
func TestConsoleTraces(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "ada")
	a := c.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...)
	b := newBrowser(t, 1400, 1000)
	b.signIn("support", "/traces")
	eventually(t, arrival, "the request among the transactions", func() string {
		b.open("/traces?id=" + a.requestID())
		if text := b.text("#p-list"); !strings.Contains(text, "GET /v1/feed") {
			return text
		}
		return ""
	})
	b.do(chromedp.Click(`#p-list tbody a[href^="/traces/"]`, chromedp.ByQuery), chromedp.WaitVisible(".waterfall", chromedp.ByQuery))
	eventually(t, arrival, "the whole trace", func() string {
		b.open("/traces/" + a.traceID())
		text := b.text(".waterfall")
		for _, want := range []string{"api GET /v1/feed", "feed GET /v1/feed", "follows.find"} {
			if !strings.Contains(strings.ReplaceAll(text, "\u00a0", " "), want) {
				return "no " + want + " in " + text
			}
		}
		return ""
	})
	var marks, folds int
	b.js(`document.querySelectorAll(".wf-bar .critical").length`, &marks)
	b.js(`document.querySelectorAll("a.fold").length`, &folds)
	if marks == 0 || folds < 3 {
		t.Errorf("%d marks of the critical path, %d rows that fold", marks, folds)
	}
	b.js(`(() => { const rows = [...document.querySelectorAll(".wf-row summary")]; rows.find(r => r.innerText.includes("follows.find")).click(); return 0 })()`, nil)
	b.do(chromedp.WaitVisible("details[open] .statement", chromedp.ByQuery))
	if text := b.text("details[open] .statement"); !strings.Contains(text, "follows") {
		t.Errorf("the statement is %s", text)
	}
	b.pictures("trace")

	var lines string
	b.js(`document.querySelector('.wf-body a[href*="lines="]').getAttribute("href")`, &lines)
	eventually(t, arrival, "the log lines of the first transaction", func() string {
		b.open(lines)
		if text := b.text("details[open] .wf-body"); !strings.Contains(text, "GET /v1/feed 200") {
			return text + s.tail("filebeat/*")
		}
		return ""
	})
	b.open("/traces/" + a.traceID())
	b.do(chromedp.Click("a.fold", chromedp.ByQuery), chromedp.WaitVisible(`a.fold[aria-label^="Unfold"]`, chromedp.ByQuery))
	var rows int
	b.js(`document.querySelectorAll(".wf-row").length`, &rows)
	if rows != 1 {
		t.Errorf("%d rows where the root is folded", rows)
	}
	b.do(chromedp.Click(`a[href^="/logs?q=trace.id"]`, chromedp.ByQuery), chromedp.WaitVisible("#rows tr[data-row]", chromedp.ByQuery))
	if text := b.text("#rows"); !strings.Contains(text, "GET /v1/feed 200") {
		t.Errorf("all lines of the trace: %s", text)
	}

	for path, want := range map[string]string{
		"/traces/0123456789abcdef0123456789abcdef": "There is no trace",
		"/traces/%3Cscript%3E":                     "32 digits",
		"/traces?min=soon":                         "must be a duration",
	} {
		b.open(path)
		if text := b.text("main"); !strings.Contains(text, want) {
			t.Errorf("%s: %s", path, text)
		}
	}
	b.forgive() // the browser complains of 400 and 404
	b.open("/traces/compare")
	b.pictures("compare")
	b.open("/traces")
	b.pictures("traces")
}
