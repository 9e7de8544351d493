package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focus is where the keyboard is.
type focus struct {
	Tag     string `json:"tag"`
	ID      string `json:"id"`
	Text    string `json:"text"`
	Row     int    `json:"row"` // of the list that j and k go through; -1: none
	Visible bool   `json:"visible"`
}

// focused is the element that has the focus. It must be one, and seen to be.
func (b *browser) focused() focus {
	b.t.Helper()
	var f focus
	b.js(`(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		return {
			tag: e.tagName, id: e.id, text: (e.innerText || e.value || "").trim(),
			row: [...document.querySelectorAll("[data-row]")].findIndex(r => r === e || r.contains(e)),
			visible: e.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 && box.width > 0 && box.bottom > 0 && box.top < innerHeight,
		};
	})()`, &f)
	if !f.Visible {
		b.shot("no-focus")
		b.t.Errorf("the focus is not seen: %+v", f)
	}
	return f
}

// keys types. What a key writes is sent apart from the key, so that a page can't
// take it back as it can from a keyboard.
func (b *browser) keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// ready waits until the page's script has run, which knows the keys.
func (b *browser) ready() {
	b.t.Helper()
	b.do(chromedp.Poll(`document.readyState === "complete"`, nil))
}

// tabTo goes on by the tabulator until an element of this text has the focus.
func (b *browser) tabTo(text string, most int) {
	b.t.Helper()
	var way []string
	for range most {
		b.keys(kb.Tab)
		f := b.focused()
		if f.Text == text {
			return
		}
		way = append(way, f.Text)
	}
	b.t.Fatalf("%q has no focus after %s", text, strings.Join(way, ", "))
}

// TestConsoleByKeysAlone signs in, looks for a request, opens its line and its
// trace, and touches no mouse.
func TestConsoleByKeysAlone(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "keys")
	a := c.want(t, http.StatusOK, "GET", "/v1/feed", "", u.auth()...)
	b := newBrowser(t, 1400, 1000)
	b.do(emulation.SetFocusEmulationEnabled(true)) // a window that nobody looks at has no focus
	eventually(t, arrival, "the request's transaction", func() string {
		if found := s.search(t, "traces-apm-default", all(term("trace.id", a.traceID()), term("processor.event", "transaction"))); len(found) < 2 {
			return s.tail("pharos/intake.log")
		}
		return ""
	})
	eventually(t, arrival, "the request's log lines", func() string {
		if found := s.search(t, "logs-*", term("http.request.id", a.requestID())); len(found) < 3 {
			return s.tail("filebeat/*")
		}
		return ""
	})

	b.walkByKeys(a.requestID(), "GET /v1/feed")
}

// walkByKeys goes from the sign-in to the trace of a request, and touches no
// mouse.
func (b *browser) walkByKeys(requestID, name string) {
	t := b.t
	t.Helper()
	b.open("/")
	if f := b.focused(); f.ID != "user" {
		t.Errorf("the sign-in begins at %+v", f)
	}
	b.keys("support", kb.Tab)
	if f := b.focused(); f.ID != "password" {
		t.Errorf("after the name comes %+v", f)
	}
	b.keys(os.Getenv("SUPPORT_PASSWORD"))
	b.follow(chromedp.KeyEvent(kb.Enter), "#p-traffic")
	b.ready()

	b.keys(kb.Tab)
	if f := b.focused(); f.Text != "Skip to the content" {
		t.Errorf("the first stop of the overview is %+v", f)
	}
	b.shot("skip")
	b.keys("?")
	b.do(chromedp.WaitVisible("#keys[open]", chromedp.ByQuery))
	b.focused()
	b.keys(kb.Escape)
	b.do(chromedp.WaitNotVisible("#keys", chromedp.ByQuery))

	b.keys("g")
	b.follow(chromedp.KeyEvent("l"), "#q")
	b.ready()
	b.do(input.DispatchKeyEvent(input.KeyDown).WithKey("/").WithCode("Slash").WithText("/"), input.DispatchKeyEvent(input.KeyUp).WithKey("/").WithCode("Slash"))
	if f := b.focused(); f.ID != "q" || f.Text != "" {
		t.Errorf("/ leads to %+v", f)
	}
	b.keys("http.request.id:" + requestID)
	b.follow(chromedp.KeyEvent(kb.Enter), "#rows tr[data-row]")
	b.ready()
	for _, step := range []struct {
		key string
		row int
	}{{"j", 0}, {"j", 1}, {"k", 0}} {
		b.keys(step.key)
		if f := b.focused(); f.Row != step.row {
			t.Errorf("%s leads to %+v, not to row %d", step.key, f, step.row)
		}
	}
	b.keys(kb.Enter)
	b.do(chromedp.WaitVisible(".detail", chromedp.ByQuery))
	b.shot("line")
	b.tabTo("Trace", 5)
	b.follow(chromedp.KeyEvent(kb.Enter), ".waterfall")
	b.ready()
	b.keys("j")
	if f := b.focused(); f.Row != 0 || !strings.Contains(strings.ReplaceAll(f.Text, "\u00a0", " "), name) {
		t.Errorf("j leads to %+v", f)
	}
	b.keys(kb.Enter)
	b.do(chromedp.WaitVisible("details[open] .wf-facts", chromedp.ByQuery))
	b.shot("trace")
}
