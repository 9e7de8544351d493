package e2e

import (
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// mostBytes is what a page may weigh on the wire, with its script and style.
const mostBytes = 200_000

// TestConsoleWeight loads every page with an empty cache. How long the first
// picture takes is only told: that is the machine's, too.
func TestConsoleWeight(t *testing.T) {
	open(t)
	b := newBrowser(t, 1400, 1000)
	b.signIn("oncall", "/")
	var mu sync.Mutex
	sizes := map[network.RequestID]float64{}
	b.do(network.SetCacheDisabled(true))
	chromedp.ListenTarget(b.ctx, func(event any) {
		if e, ok := event.(*network.EventLoadingFinished); ok {
			mu.Lock()
			sizes[e.RequestID] = e.EncodedDataLength
			mu.Unlock()
		}
	})
	for _, path := range append(consolePaths(), "/status", "/sign-in") {
		mu.Lock()
		clear(sizes)
		mu.Unlock()
		b.open(path)
		var loaded struct {
			First float64 `json:"first"`
			Plain int     `json:"plain"`
		}
		// A picture, and all that the page asks for, is there.
		b.do(chromedp.Poll(`document.readyState === "complete" && performance.getEntriesByName("first-contentful-paint").length > 0`, nil))
		b.js(`({
			first: performance.getEntriesByName("first-contentful-paint")[0].startTime,
			plain: [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter(e => e.encodedBodySize > 2000 && e.encodedBodySize === e.decodedBodySize && !e.name.includes("/logs/tail")).length,
		})`, &loaded)
		mu.Lock()
		weight := 0.0
		for _, n := range sizes {
			weight += n
		}
		requests := len(sizes)
		mu.Unlock()
		t.Logf("%s: %.1f kB in %d answers, first picture after %.0f ms", path, weight/1000, requests, loaded.First)
		if weight > mostBytes || weight < 1000 {
			t.Errorf("%s weighs %.0f bytes", path, weight)
		}
		if loaded.Plain > 0 {
			t.Errorf("%s: %d answers are not compressed", path, loaded.Plain)
		}
	}
}
