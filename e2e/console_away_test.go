package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"pharos/internal/faultproxy"
)

// consolePaths are the console's pages, of the menu and below it.
func consolePaths() []string {
	return []string{
		"/", "/uptime", "/uptime/site", "/alerts", "/watches/availability-5m", "/incidents", "/logs", "/traces", "/traces/compare",
		"/services", "/services/feed", "/slos", "/slos/availability", "/shop", "/functions", "/capacity", "/security", "/support?handle=ada",
	}
}

// ownConsole starts a console of the test's own, with a browser for it.
func (s *stack) ownConsole(t *testing.T, settings ...string) *browser {
	t.Helper()
	base, _ := s.own(t, "console", append([]string{
		"ELASTICSEARCH_USER=console", "ELASTICSEARCH_PASSWORD=" + os.Getenv("CONSOLE_PASSWORD"), "CONSOLE_URL=",
		"WATCHER_URL=http://127.0.0.1:" + os.Getenv("WATCHER_PORT"), "API_URLS=http://127.0.0.1:" + os.Getenv("API_1_PORT"),
		"OBJECTIVES_DIR=" + filepath.Join("..", "objectives"), "STATUS_STATE_FILE=" + filepath.Join(t.TempDir(), "status.json"),
	}, settings...)...)
	return newBrowserAt(t, base, 1400, 1000)
}

// insides are what no reader must be shown of what went wrong.
func insides() []string {
	return []string{"goroutine ", "panic", ".go:", "dial tcp", "EOF", "context deadline", "runtime error", "127.0.0.1:", "_search"}
}

// TestConsoleWithoutElasticsearch reads every page while Elasticsearch is slow,
// then away, and the watcher and the API with it: each says so by itself, in
// words, and all is well again by itself.
func TestConsoleWithoutElasticsearch(t *testing.T) {
	s := open(t)
	address, err := url.Parse(os.Getenv("ELASTICSEARCH_URL"))
	if err != nil {
		t.Fatal(err)
	}
	elasticsearch := faultproxy.New(t, address.Host)
	b := s.ownConsole(t, "ELASTICSEARCH_URL=http://"+elasticsearch.Addr, "WATCHER_URL=http://127.0.0.1:1", "API_URLS=http://127.0.0.1:1", "CONSOLE_TIMEOUT=2s")
	b.signIn("oncall", "/")
	b.open("/status")
	known := b.text("main")

	check := func(path string, words ...string) {
		t.Helper()
		b.open(path)
		text := strings.ReplaceAll(b.text("main"), "\u00a0", " ")
		said := false
		for _, w := range words {
			said = said || strings.Contains(text, w)
		}
		if !said {
			t.Errorf("%s does not say what is wrong: %s", path, text)
		}
		for _, inside := range insides() {
			if strings.Contains(text, inside) {
				t.Errorf("%s shows %q: %s", path, inside, text)
			}
		}
	}
	elasticsearch.Break(t, faultproxy.Silence())
	for _, path := range []string{"/", "/logs", "/traces", "/slos"} {
		check(path, "did not answer in time")
	}
	b.shot("slow")
	elasticsearch.Heal(t)
	elasticsearch.Break(t, faultproxy.Down())
	for _, path := range consolePaths() {
		check(path, "does not answer", "did not answer")
	}
	for _, name := range []string{"logs", "alerts", ""} {
		b.open("/" + name)
		b.accessible()
		b.shot("away-" + name)
	}
	// The public's page goes on with what it knew.
	b.open("/status")
	if text := b.text("main"); !strings.Contains(known, "Website and API") || !strings.Contains(text, "Website and API") {
		t.Errorf("the status page: %s", text)
	}
	b.shot("away-status")

	elasticsearch.Heal(t)
	eventually(t, arrival, "the pages are back", func() string {
		b.open("/logs")
		if text := b.text("main"); strings.Contains(text, "does not answer") || strings.Contains(text, "did not answer") {
			return text
		}
		return ""
	})
	b.forgiveAnswers()
}

// TestConsoleSessionEnds loses its session in two ways: the cookie is gone, and
// the key is withdrawn. The page asks to sign in, and comes back to where the
// reader was.
func TestConsoleSessionEnds(t *testing.T) {
	s := open(t)
	b := s.ownConsole(t)
	const place = "/logs?columns=client.ip&from=now-6h&q=service.name%3Anginx"
	b.signIn("support", place)
	b.do(chromedp.WaitVisible("#p-lines", chromedp.ByQuery))
	back := func(how string) {
		t.Helper()
		b.do(chromedp.WaitVisible("#password", chromedp.ByQuery))
		if title := b.text("h1"); title != "Sign in" {
			t.Errorf("%s: the page is %q", how, title)
		}
		if how == "the cookie is gone" {
			b.shot("ended")
		}
		b.do(
			chromedp.SendKeys("#user", "support", chromedp.ByQuery), chromedp.SendKeys("#password", os.Getenv("SUPPORT_PASSWORD"), chromedp.ByQuery),
			chromedp.Submit("#password", chromedp.ByQuery), chromedp.WaitVisible("#p-lines", chromedp.ByQuery),
		)
		var at string
		b.do(chromedp.Location(&at))
		if at != b.base+place {
			t.Errorf("%s: back at %s", how, at)
		}
	}
	b.do(network.ClearBrowserCookies(), chromedp.Reload())
	back("the cookie is gone")

	withdraw := func() {
		t.Helper()
		status, answer, err := s.es.Do(t.Context(), "DELETE", "/_security/api_key", []byte(`{"name":"pharos console, support"}`))
		if err != nil || status != 200 || !strings.Contains(string(answer), `"error_count":0`) {
			t.Fatalf("withdraw keys: %d %s %v", status, answer, err)
		}
	}
	withdraw()
	b.do(chromedp.Reload())
	back("the key is withdrawn")

	// A page that loads itself again says so, and keeps what it shows.
	b.open(place + "&refresh=5s")
	withdraw()
	b.do(chromedp.WaitVisible(".stale a", chromedp.ByQuery))
	if text := b.text(".stale"); !strings.Contains(text, "your session has ended") {
		t.Errorf("the page that loads itself again says %s", text)
	}
	b.do(chromedp.Click(".stale a", chromedp.ByQuery), chromedp.WaitVisible("#password", chromedp.ByQuery))
	b.forgiveAnswers()
}
