package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConsolePages opens each page that has no test of its own, as who is on
// call: it shows no trouble, and axe finds nothing serious.
func TestConsolePages(t *testing.T) {
	open(t)
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/")
	for _, name := range []string{"alerts", "incidents", "shop", "functions", "capacity", "security"} {
		b.open("/" + name)
		var troubles string
		b.js(`[...document.querySelectorAll(".trouble")].map(e => e.textContent).join(" ")`, &troubles)
		if troubles != "" {
			t.Errorf("%s: %s", name, troubles)
		}
		b.pictures(name)
	}
}

// TestConsoleSupport finds a user, suspends and reactivates: the public API goes
// by it.
func TestConsoleSupport(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "edsger")
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...)
	b := newBrowser(t, 1400, 1000)
	b.signIn("support", "/support")
	page := "/support?handle=" + u.Handle
	change := func(act string) {
		t.Helper()
		b.open(page + "&act=" + act)
		b.do(chromedp.SendKeys("#reason", "A test of "+act+".", chromedp.ByQuery))
		b.follow(chromedp.Submit("#reason", chromedp.ByQuery), "#p-account")
	}
	answers := func(status int) {
		t.Helper()
		eventually(t, arrival, "the public API goes by it", func() string {
			if got := c.do(t, "GET", "/v1/feed", "", u.auth()...); got.status != status {
				return string(got.body)
			}
			return ""
		})
	}
	b.open(page)
	if text := b.text("#p-account"); !strings.Contains(text, u.Handle) || !strings.Contains(text, "active") {
		t.Errorf("account: %s", text)
	}
	b.pictures("support")
	change("suspend")
	if text := b.text("#p-account"); !strings.Contains(text, "suspended") {
		t.Errorf("account: %s", text)
	}
	answers(http.StatusForbidden)
	change("reactivate")
	answers(http.StatusOK)
	eventually(t, arrival, "both changes in the log", func() string {
		b.open(page)
		if text := b.text("#p-changes"); !strings.Contains(text, "A test of suspend.") || !strings.Contains(text, "A test of reactivate.") {
			return text
		}
		return ""
	})
	b.open("/support?handle=nobody-" + strings.ToLower(random(t)))
	if text := b.text("main"); !strings.Contains(text, "Nobody has the handle") {
		t.Errorf("%s", text)
	}
}
