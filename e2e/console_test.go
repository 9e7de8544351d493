package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConsoleOverview reads the first page as those who may: its numbers are the
// requests' own.
func TestConsoleOverview(t *testing.T) {
	s := open(t)
	c := newClient(s)
	for range 5 {
		c.want(t, http.StatusOK, "GET", "/tasks/factorial?n=3", "")
	}
	b := newBrowser(t, 1400, 1000)
	b.open("/")
	if got := b.text("h1"); got != "Sign in" {
		t.Errorf("nobody sees %q", got)
	}
	b.signIn("oncall", "/")
	eventually(t, arrival, "the overview's throughput", func() string {
		b.open("/")
		if text := b.text("main"); !strings.Contains(text, "requests") || !strings.Contains(text, "/tasks/factorial") {
			return text + s.tail("filebeat/*")
		}
		return ""
	})
	if text := b.text("#p-availability"); !strings.Contains(text, "%") || !strings.Contains(text, "now (5 min)") {
		t.Errorf("availability: %s", text)
	}
	if text := b.text("#p-instances"); strings.Count(text, "up") < 5 {
		t.Errorf("instances: %s", text)
	}
	// Charts are drawn by the script, and each has its table.
	b.do(chromedp.WaitVisible("#requests canvas", chromedp.ByQuery), chromedp.WaitReady("#requests table tbody tr", chromedp.ByQuery))
	b.pictures("overview")

	// Keys: "?" tells of them, j goes to the first row.
	b.do(chromedp.KeyEvent("?"), chromedp.WaitVisible("#keys", chromedp.ByQuery), chromedp.KeyEvent("\x1b"))
	var focused string
	b.do(chromedp.KeyEvent("j"))
	b.js(`document.activeElement.closest("[data-row]") ? document.activeElement.tagName : "none"`, &focused)
	if focused != "A" {
		t.Errorf("j leads to %s", focused)
	}
}

// TestConsoleRights signs in as each role, and sees what it may.
func TestConsoleRights(t *testing.T) {
	open(t)
	b := newBrowser(t, 1400, 1000)
	b.signIn("viewer", "/")
	if text := b.text("#p-traffic"); !strings.Contains(text, "may not read") {
		t.Errorf("a viewer sees traffic: %s", text)
	}
	if text := b.text("#p-availability"); !strings.Contains(text, "24 h") || strings.Contains(text, "now (5 min)") {
		t.Errorf("a viewer's availability: %s", text)
	}
	// The sign-out ends the key, and the cookie with it.
	b.do(chromedp.Click(`form[action="/sign-out"] button[type=submit]`, chromedp.ByQuery), chromedp.WaitVisible("#password", chromedp.ByQuery))
	b.open("/")
	if got := b.text("h1"); got != "Sign in" {
		t.Errorf("after sign-out: %q", got)
	}
	b.do(
		chromedp.SendKeys("#user", "viewer", chromedp.ByQuery), chromedp.SendKeys("#password", "wrong", chromedp.ByQuery),
		chromedp.Submit("#password", chromedp.ByQuery), chromedp.WaitVisible(`[role="alert"]`, chromedp.ByQuery),
	)
	if text := b.text(`[role="alert"]`); !strings.Contains(text, "not right") {
		t.Errorf("wrong password: %s", text)
	}
	b.forgive() // the browser complains of the 401
}
