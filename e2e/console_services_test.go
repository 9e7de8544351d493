package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConsoleServices sees the real calls on the map, and goes from it to a
// service and one of its instances.
func TestConsoleServices(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "grace")
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...)
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/services")
	eventually(t, arrival, "the calls from nginx to the stores", func() string {
		b.open("/services")
		var calls string
		b.js(`[...document.querySelectorAll("#p-map tbody tr")].map(r => r.cells[0].textContent + ">" + r.cells[1].textContent).join(" ")`, &calls)
		for _, want := range []string{"clients>nginx", "nginx>api", "api>feed", "api>redis", "feed>mongodb", "feed>redis"} {
			if !strings.Contains(calls, want) {
				return "no " + want + " in " + calls
			}
		}
		return ""
	})
	b.pictures("services")
	b.do(chromedp.Click(`.map a[href="/services/feed"] rect`, chromedp.ByQuery), chromedp.WaitVisible("#p-traffic .figure", chromedp.ByQuery))
	if text := b.text("#p-traffic"); !strings.Contains(text, "GET /v1/feed") {
		t.Errorf("feed's requests: %s", text)
	}
	eventually(t, arrival, "the layers and resources of feed", func() string {
		b.open("/services/feed")
		if text := b.text("#p-layers"); !strings.Contains(text, "mongodb") || !strings.Contains(text, "own code") {
			return text
		}
		if text := b.text("#p-resources"); !strings.Contains(text, "Memory") {
			return text
		}
		return ""
	})
	b.pictures("service")
	b.do(chromedp.Click("#p-instances tbody a", chromedp.ByQuery), chromedp.WaitVisible(`a[aria-current="true"]`, chromedp.ByQuery))
	for _, name := range []string{"mongodb", "nginx", "bus"} {
		b.open("/services/" + name)
		// Not by words: errors of other tests are listed here.
		var troubles string
		b.js(`[...document.querySelectorAll(".trouble")].map(e => e.textContent).join(" ")`, &troubles)
		if troubles != "" {
			t.Errorf("%s: %s", name, troubles)
		}
	}
	b.open("/services/nothing-here")
	if text := b.text("#p-traffic"); !strings.Contains(text, "Nothing in this time") {
		t.Errorf("an unknown name: %s", text)
	}
}
