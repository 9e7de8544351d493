package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// hostile would run, open a dialog, or break out of its place, if it were taken
// for anything but text.
const hostile = `"'><img src=x onerror="window.owned=1;alert(1)"><svg onload=alert(2)></svg><script>window.owned=1;alert(3)</script>{{.}}`

// TestConsoleHostileAddresses opens every page with addresses that mean harm:
// nothing runs, nothing of the inside is told, and nothing scrolls sideways on a
// phone.
func TestConsoleHostileAddresses(t *testing.T) {
	s := open(t)
	b := s.ownConsole(t)
	b.signIn("oncall", "/")
	b.do(emulation.SetDeviceMetricsOverride(390, 844, 1, true))
	long := strings.Repeat("x", 3000)
	var addresses []string
	for _, path := range consolePaths() {
		path, _, _ = strings.Cut(path, "?")
		q := url.Values{}
		for _, name := range []string{
			"q", "watch", "service", "handle", "name", "instance", "route", "id", "user", "line", "around", "cursor", "columns", "by", "sort", "act", "fold", "lines", "trace",
		} {
			q.Set(name, hostile)
		}
		addresses = append(addresses, path+"?"+q.Encode(), path+"?q="+long+"&service="+long+"&handle="+long+"&name="+long)
	}
	// The span of time is read in one place for all pages.
	addresses = append(addresses, "/logs?from="+url.QueryEscape(hostile), "/?from=-1&to=%00&refresh=%F0%28%8C%28")
	for _, below := range []string{"/alerts/", "/watches/", "/incidents/", "/traces/", "/services/", "/slos/", "/uptime/"} {
		addresses = append(addresses, below+url.PathEscape(hostile), below+"..%2f..%2fetc%2fpasswd", below+long)
	}
	addresses = append(addresses, "/sign-in?next="+url.QueryEscape("//evil.example/"+hostile), "/nothing-"+url.PathEscape(hostile))
	for _, address := range addresses {
		b.do(chromedp.Navigate(b.base+address), chromedp.WaitReady("body", chromedp.ByQuery))
		b.harmless(address[:min(len(address), 200)])
	}
	b.forgiveAnswers()
}

// harmless looks for what a hostile text would have done to the page.
func (b *browser) harmless(what string) {
	b.t.Helper()
	var found struct {
		Owned bool   `json:"owned"`
		Put   int    `json:"put"`
		Wider int    `json:"wider"`
		Text  string `json:"text"`
	}
	b.js(`({
		owned: window.owned !== undefined,
		put: document.querySelectorAll("img, svg[onload], script:not([src]):not([type='application/json'])").length,
		wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
		text: document.body.innerText,
	})`, &found)
	if found.Owned || found.Put > 0 {
		b.t.Errorf("%s: it ran: %t, elements put in: %d", what, found.Owned, found.Put)
	}
	if found.Wider > 0 {
		var culprits string
		b.js(widest, &culprits)
		b.shot("sideways")
		b.t.Errorf("%s: scrolls sideways by %d px: %s", what, found.Wider, culprits)
	}
	if strings.TrimSpace(found.Text) == "" {
		b.t.Errorf("%s: the page says nothing", what)
	}
	for _, inside := range []string{"goroutine ", "runtime error", ".go:", "_search", "x_content_parse_exception", "illegal_argument"} {
		if strings.Contains(found.Text, inside) {
			b.t.Errorf("%s: the page shows %q: %s", what, inside, found.Text)
		}
	}
	for _, secret := range []string{"CONSOLE_PASSWORD", "ELASTIC_PASSWORD", "OPERATOR_API_KEY", "CONSOLE_KEY"} {
		if strings.Contains(found.Text, os.Getenv(secret)) {
			b.t.Errorf("%s: the page shows %s", what, secret)
		}
	}
}

// TestConsoleHostileSignals reads log lines and a trace that are full of HTML,
// of a terminal's commands and of fields that are far too long.
func TestConsoleHostileSignals(t *testing.T) {
	s := open(t)
	mark, trace := "e2e-hostile-"+random(t), strings.Repeat(random(t), 4)[:32]
	huge := hostile + strings.Repeat("wide", 20_000)
	now := time.Now().UTC().Format(time.RFC3339Nano)
	document := func(stream string, fields query) {
		t.Helper()
		fields["@timestamp"] = now
		body, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		status, answer, err := s.es.Do(t.Context(), "POST", "/"+stream+"/_doc?refresh=true", body)
		if err != nil || status != 201 {
			t.Fatalf("index into %s: %d %s %v", stream, status, answer, err)
		}
	}
	for n, message := range []string{
		mark + " " + hostile, mark + " \x1b[31mred\x1b[0m\x1b]0;owned\x07\x00\u202e\u2066backwards", mark + " " + huge, mark + " line one\r\n<b>line two</b>\t\u2028",
	} {
		document("logs-pharos-default", query{
			"message": message, "log": query{"level": hostile}, "service": query{"name": "e2e"}, "trace": query{"id": trace},
			"user": query{"name": hostile}, "event": query{"action": fmt.Sprintf("hostile-%d", n)}, "error": query{"stack_trace": huge},
		})
	}
	document("traces-apm-default", query{
		"processor": query{"event": "transaction"}, "data_stream": query{"type": "traces", "dataset": "apm", "namespace": "default"},
		"trace": query{"id": trace}, "timestamp": query{"us": time.Now().UnixMicro()},
		"transaction": query{"id": trace[:16], "name": hostile, "type": "request", "duration": query{"us": 1000}, "result": hostile, "sampled": true},
		"service":     query{"name": "e2e"}, "event": query{"outcome": "failure"}, "labels": query{"hostile": hostile}, "user_agent": query{"original": huge[:2000]},
	})
	b := newBrowser(t, 390, 844)
	b.signIn("oncall", "/logs?from=now-15m&columns=user.name,log.level&q="+url.QueryEscape(mark))
	b.do(chromedp.WaitVisible("#rows tr[data-row]", chromedp.ByQuery))
	b.harmless("lines")
	b.shot("lines")
	var rows int
	b.js(`document.querySelectorAll("#rows > tr[data-row]").length`, &rows)
	if text := b.text("#rows"); rows != 4 || !strings.Contains(text, "<script>") || strings.ContainsAny(text, "\x00\x07\x1b") || strings.Contains(text, "\u202e") {
		t.Errorf("%d lines: %.3000q", rows, text)
	}
	for n := range 4 {
		b.js(fmt.Sprintf(`document.querySelectorAll("#rows > tr[data-row] a[data-open]")[%d].click()`, n), nil)
		b.do(chromedp.WaitVisible(fmt.Sprintf(`(//tr[@data-row])[%d]/following-sibling::*[1][@class="detail-row"]`, n+1), chromedp.BySearch))
	}
	b.harmless("open lines")
	b.shot("open-lines")
	b.open("/traces/" + trace)
	b.harmless("trace")
	b.shot("trace")
	b.open("/traces?service=e2e&from=now-15m")
	b.harmless("traces")
	if text := b.text("main"); !strings.Contains(text, "<script>") {
		t.Errorf("the trace is not in the list: %.2000s", text)
	}
}
