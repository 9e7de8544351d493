package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConsoleObjectives reads the objectives as a manager.
func TestConsoleObjectives(t *testing.T) {
	open(t)
	b := newBrowser(t, 1400, 1000)
	b.signIn("viewer", "/slos")
	// The first whole minute is counted after it has ended.
	eventually(t, 4*arrival, "an objective that is counted", func() string {
		b.open("/slos/system-uptime")
		if text := b.text("main"); strings.Contains(text, "no data") {
			return text
		}
		return ""
	})
	b.do(chromedp.WaitVisible("#budget canvas", chromedp.ByQuery), chromedp.WaitVisible("#burn canvas", chromedp.ByQuery))
	b.pictures("objective")
	b.open("/slos")
	b.pictures("slos")
	if text := b.text("main"); !strings.Contains(text, "99.99 %") || !strings.Contains(text, "Availability") {
		t.Errorf("objectives: %s", text)
	}
}
