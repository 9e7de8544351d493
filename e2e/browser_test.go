package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium that reads the console. At the end of its test
// it has complained of nothing, and asked no other host.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu         sync.Mutex
	complaints []string
}

// newBrowser starts a browser of the given size for the stack's console; it is
// signed in to nothing.
func newBrowser(t *testing.T, width, height int64) *browser {
	t.Helper()
	return newBrowserAt(t, "http://127.0.0.1:"+os.Getenv("CONSOLE_PORT"), width, height)
}

// newBrowserAt is newBrowser for another console.
func newBrowserAt(t *testing.T, base string, width, height int64) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // it may run as root here
		chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WindowSize(int(width), int(height)),
	)
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, close := chromedp.NewContext(allocator)
	b := &browser{t: t, ctx: ctx, base: base}
	t.Cleanup(func() {
		close()
		stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range b.complaints {
			t.Errorf("browser: %s", c)
		}
	})
	chromedp.ListenTarget(ctx, b.hear)
	b.do(network.Enable(), runtime.Enable(), log.Enable(), emulation.SetDeviceMetricsOverride(width, height, 1, width < 600))
	return b
}

func (b *browser) hear(event any) {
	complain := func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, fmt.Sprintf(format, args...))
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complain("exception: %s", e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError {
			complain("%s %s", e.Entry.Text, e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		complain("dialog: %s", e.Message)
		go func() { _ = chromedp.Run(b.ctx, page.HandleJavaScriptDialog(false)) }() // not from within a listener
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.base+"/") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:") {
			complain("asked another host: %s", u)
		}
	}
}

// forgive drops what the browser has complained of so far, for a test of an
// answer that is an error.
func (b *browser) forgive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = nil
}

// forgiveAnswers drops the complaints of answers that are errors, and nothing
// else.
func (b *browser) forgiveAnswers() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = slices.DeleteFunc(b.complaints, func(c string) bool {
		return strings.HasPrefix(c, "Failed to load resource: the server responded with a status of ")
	})
}

// do runs actions within a minute; it ends the test with the page's text if they
// fail.
func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	// The first action starts the browser, which must not end with a time limit.
	if chromedp.FromContext(b.ctx).Target == nil {
		if err := chromedp.Run(b.ctx); err != nil {
			b.t.Fatalf("start Chromium: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var at, text string
		look, done := context.WithTimeout(b.ctx, 5*time.Second)
		defer done()
		_ = chromedp.Run(look, chromedp.Location(&at), chromedp.Evaluate(`document.body ? document.body.innerText.slice(0, 3000) : ""`, &text))
		b.shot("failed")
		b.t.Fatalf("browser at %s: %v\n%s", at, err, text)
	}
}

// signIn signs in with the password of the environment and opens a page.
func (b *browser) signIn(user, next string) {
	b.t.Helper()
	b.do(
		chromedp.Navigate(b.base+"/sign-in?next="+url.QueryEscape(next)),
		chromedp.SendKeys("#user", user, chromedp.ByQuery),
		chromedp.SendKeys("#password", os.Getenv(strings.ToUpper(user)+"_PASSWORD"), chromedp.ByQuery),
		chromedp.Submit("#password", chromedp.ByQuery),
		chromedp.WaitVisible(".menu, .head", chromedp.ByQuery),
	)
}

// open opens a page of the console and waits for its heading.
func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitVisible("h1", chromedp.ByQuery))
}

// text is what an element shows.
func (b *browser) text(selector string) string {
	b.t.Helper()
	var s string
	b.do(chromedp.Text(selector, &s, chromedp.ByQuery))
	return s
}

// js is the value of an expression, as JSON.
func (b *browser) js(expression string, into any) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, into, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
}

// shot keeps a picture of the whole page among the test's artefacts (go test
// -artifacts).
func (b *browser) shot(name string) {
	b.t.Helper()
	var picture []byte
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.FullScreenshot(&picture, 100)); err != nil {
		b.t.Logf("picture %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), picture, 0o644); err != nil {
		b.t.Errorf("keep picture: %v", err)
	}
}

// scheme sets the reader's colour scheme, dark or light.
func (b *browser) scheme(name string) {
	b.t.Helper()
	b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
}

// accessible runs axe-core on the page: nothing serious may be found.
func (b *browser) accessible() {
	b.t.Helper()
	script, err := os.ReadFile(filepath.Join("..", "console", "assets", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		b.t.Fatalf("axe-core is not there (make build gets it): %v", err)
	}
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct{ Target []any }
	}
	var raw json.RawMessage
	b.js(string(script)+`;axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then(r => r.violations)`, &raw)
	if err := json.Unmarshal(raw, &found); err != nil {
		b.t.Fatalf("axe: %v in %s", err, raw)
	}
	for _, f := range found {
		if f.Impact == "serious" || f.Impact == "critical" {
			targets := []string{}
			for _, n := range f.Nodes[:min(len(f.Nodes), 5)] {
				targets = append(targets, fmt.Sprint(n.Target))
			}
			b.t.Errorf("axe: %s (%s): %s: %s", f.ID, f.Impact, f.Help, strings.Join(targets, " "))
		}
	}
}

// widest names the elements that reach beyond the page and lie in no part that
// scrolls by itself.
const widest = `[...document.querySelectorAll("main *")].filter(e => {
	for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) if (getComputedStyle(p).overflowX !== "visible") return false;
	return e.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
}).slice(0, 5).map(e => e.outerHTML.slice(0, 300)).join(" | ")`

// pictures looks at a page in both schemes, wide and on a phone, and asks axe of
// each.
func (b *browser) pictures(name string) {
	b.t.Helper()
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"wide", 1400, 1000}, {"phone", 390, 844}} {
		for _, scheme := range []string{"light", "dark"} {
			b.do(emulation.SetDeviceMetricsOverride(size.width, size.height, 1, size.width < 600))
			b.scheme(scheme)
			b.do(chromedp.Reload(), chromedp.WaitVisible("h1", chromedp.ByQuery))
			b.accessible()
			b.shot(name + "-" + size.name + "-" + scheme)
			var wider int
			b.js(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &wider)
			if wider > 0 {
				var culprits string
				b.js(widest, &culprits)
				b.t.Errorf("%s at %d px scrolls sideways by %d px: %s", name, size.width, wider, culprits)
			}
		}
	}
	b.do(emulation.SetDeviceMetricsOverride(1400, 1000, 1, false))
	b.scheme("light")
}
