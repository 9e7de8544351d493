package statuspage

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pharos/console/days"
	"pharos/elastic"
)

// fake answers each stream with what a test says.
type fake struct {
	incidents, windows []string
	status             string // of all monitors
	err                error
}

func (f *fake) Search(_ context.Context, target string, body any) (*elastic.SearchResult, error) {
	if f.err != nil {
		return nil, f.err
	}
	res := &elastic.SearchResult{Aggregations: map[string]json.RawMessage{}}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	hits := func(sources []string) {
		for _, s := range sources {
			res.Hits = append(res.Hits, elastic.Hit{Source: json.RawMessage(s)})
		}
	}
	switch {
	case target == "pharos-incidents":
		hits(f.incidents)
	case target == "pharos-silences":
		hits(f.windows)
	case target == "heartbeat-*" && strings.Contains(string(text), "percentiles"):
		res.Aggregations["times"] = json.RawMessage(`{"buckets":[{"key":1795258800000,"took":{"values":{"50.0":2500,"95.0":4000}}},{"key":1795260600000,"took":{"values":{"50.0":3500,"95.0":8000}}}]}`)
	case target == "heartbeat-*":
		var buckets []string
		for id := range up() {
			buckets = append(buckets, `{"key":"`+id+`","last":{"hits":{"hits":[{"_source":{"monitor":{"status":"`+f.status+`"}}},{"_source":{"monitor":{"status":"`+f.status+`"}}}]}}}`)
		}
		res.Aggregations["monitors"] = json.RawMessage(`{"buckets":[` + strings.Join(buckets, ",") + `]}`)
	case strings.Contains(string(text), "slo.component") && strings.Contains(string(text), "parts"):
		res.Aggregations["parts"] = json.RawMessage(`{"buckets":[{"key":"site","days":{"buckets":[{"key":1795219200000,"good":{"value":719},"total":{"value":720}}]}},{"key":"feed","days":{"buckets":[{"key":1795219200000,"good":{"value":720},"total":{"value":720}}]}}]}`)
	}
	return res, nil
}

// incident is one as the watcher keeps it, with all that nobody outside may know.
const stored = `{"kind":"incident","id":"abc","state":"open","title":"Degraded service","impact":"minor","status":"identified",
"components":["Feed","secret-host-7","feed-internal"],"summary":"SECRET summary","severity":"error","services":["secret-service"],"routes":["/v1/secret-route"],
"opened_by":"secret-person","started_at":"2026-11-21T10:00:00Z",
"alerts":[{"id":"secret-alert","service":"secret-service","summary":"SECRET alert on 10.1.2.3"}],"changes":[{"id":"1","service":"secret-service","version":"9.9.9-secret","text":"SECRET change"}],
"timeline":[
{"at":"2026-11-21T10:00:00Z","kind":"opened","status":"investigating","text":"We look into it.","public":true},
{"at":"2026-11-21T10:01:00Z","kind":"alert_fired","text":"secret-watch (secret-service): SECRET","public":false},
{"at":"2026-11-21T10:02:00Z","kind":"note","by":"secret-person","text":"SECRET note: restart secret-node-1","public":false},
{"at":"2026-11-21T10:03:00Z","kind":"update","by":"secret-person","status":"identified","text":"It is <b>found</b> & on 10.1.2.3:9200, [fe80::1]:80, 2001:db8:0:1::2, secrethost.internal:8111.\nIt goes on since 10:03:20.","public":true}]}`

const hidden = `{"kind":"incident","id":"def","state":"open","title":"SECRET observation","impact":"none","status":"investigating","started_at":"2026-11-21T10:00:00Z","timeline":[{"at":"2026-11-21T10:00:00Z","kind":"opened","text":"SECRET","public":true}]}`

const private = `{"kind":"incident","id":"ghi","state":"open","title":"SECRET title","impact":"major","status":"investigating","started_at":"2026-11-21T10:00:00Z","timeline":[{"at":"2026-11-21T10:00:00Z","kind":"opened","text":"SECRET","public":false}]}`

const window = `{"id":"secret-id","maintenance":true,"title":"Move to new machines","components":["feed","secret-service"],"comment":"SECRET comment","created_by":"secret-person","matchers":{"service":"secret-service"},"starts_at":"2026-11-22T01:00:00Z","ends_at":"2026-11-22T02:00:00Z"}`

const unannounced = `{"maintenance":true,"comment":"SECRET","matchers":{"service":"secret-service"},"starts_at":"2026-11-22T01:00:00Z","ends_at":"2026-11-22T02:00:00Z"}`

func newPage(t testing.TB, es Searcher, file string, now func() time.Time, log *zap.Logger) *Page {
	t.Helper()
	cfg := Config{Interval: 10 * time.Second, StateFile: file, URL: "https://www.example.org/status", Name: "Pharos"}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg, catalog(t), es, log, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ask(t *testing.T, p *Page, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	return w.Result(), w.Body.String()
}

var forms = []string{"/status", "/status.json", "/status.rss", "/status.atom", "/status/badge.svg"}

func TestNothingInternalIsPublic(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "status.json")
	p := newPage(t, &fake{incidents: []string{stored, hidden, private}, windows: []string{window, unannounced}, status: "down"}, file, func() time.Time { return noon }, zap.NewNop())
	if err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	internal := []string{"secret", "10.1.2.3", ":9200", "fe80", "2001:db8", "8111", "api-1", "feed-1", "redis", "mongodb", "mysql", "nginx", "heartbeat", "elasticsearch", "system-uptime", "/v1/"}
	check := func(name, text string) {
		t.Helper()
		for _, word := range internal {
			if strings.Contains(strings.ToLower(text), word) {
				t.Errorf("%s gives away %q", name, word)
			}
		}
	}
	for _, path := range forms {
		res, body := ask(t, p, path)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", path, res.StatusCode)
		}
		check(path, body)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	check("the file", string(text))

	_, html := ask(t, p, "/status")
	for _, want := range []string{"Website and API and Feed are down; Sign-in, Shop events and Background jobs have problems.", "Degraded service", "We look into it.", "It is &lt;b&gt;found&lt;/b&gt; &amp; on (an address), (an address), (an address), (an address).", "<p>It goes on since 10:03:20.</p>", "Move to new machines", "22 Nov 2026, 01:00 UTC", `datetime="2026-11-21T10:03:00Z"`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(html, "style=") || strings.Contains(html, "<style") || strings.Contains(html, "<script>") {
		t.Error("the page has inline style or script, which its policy forbids")
	}
}

func TestFeedsCanBeRead(t *testing.T) {
	p := newPage(t, &fake{incidents: []string{stored}, windows: []string{window}, status: "up"}, "", func() time.Time { return noon }, zap.NewNop())
	if err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	type atomText struct {
		Text string `xml:",chardata"`
		Type string `xml:"type,attr"`
	}
	var atom struct {
		XMLName xml.Name  `xml:"http://www.w3.org/2005/Atom feed"`
		ID      string    `xml:"id"`
		Title   string    `xml:"title"`
		Updated time.Time `xml:"updated"`
		Entries []struct {
			ID      string    `xml:"id"`
			Title   string    `xml:"title"`
			Updated time.Time `xml:"updated"`
			Summary atomText  `xml:"summary"`
			Link    struct {
				Href string `xml:"href,attr"`
			} `xml:"link"`
		} `xml:"entry"`
	}
	res, body := ask(t, p, "/status.atom")
	if err := xml.Unmarshal([]byte(body), &atom); err != nil || res.Header.Get("Content-Type") != "application/atom+xml; charset=utf-8" {
		t.Fatalf("%v %v", err, res.Header)
	}
	if atom.ID != "https://www.example.org/status" || atom.Title != "Pharos status" || len(atom.Entries) != 3 || !atom.Updated.Equal(atom.Entries[0].Updated) {
		t.Fatalf("%+v", atom)
	}
	ids := map[string]bool{}
	for _, e := range atom.Entries {
		if ids[e.ID] || e.Updated.IsZero() || !strings.HasPrefix(e.Link.Href, "https://www.example.org/status#") || e.Summary.Type != "html" {
			t.Errorf("%+v", e)
		}
		ids[e.ID] = true
	}
	if e := atom.Entries[1]; e.Title != "Degraded service: identified" || !strings.HasPrefix(e.Summary.Text, "It is &lt;b&gt;found") || !e.Updated.Equal(time.Date(2026, 11, 21, 10, 3, 0, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
	var rss struct {
		Version string `xml:"version,attr"`
		Items   []struct {
			Title   string `xml:"title"`
			GUID    string `xml:"guid"`
			PubDate string `xml:"pubDate"`
		} `xml:"channel>item"`
	}
	_, body = ask(t, p, "/status.rss")
	if err := xml.Unmarshal([]byte(body), &rss); err != nil || rss.Version != "2.0" || len(rss.Items) != 3 || rss.Items[0].Title != "Maintenance: Move to new machines" {
		t.Fatalf("%v %+v", err, rss)
	}
	for _, i := range rss.Items {
		if _, err := time.Parse(time.RFC1123Z, i.PubDate); err != nil || i.GUID == "" {
			t.Errorf("%+v %v", i, err)
		}
	}
	var badge struct {
		XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		Title   string   `xml:"title"`
	}
	_, body = ask(t, p, "/status/badge.svg")
	if err := xml.Unmarshal([]byte(body), &badge); err != nil || badge.Title != "Pharos: problems" {
		t.Errorf("%v %+v", err, badge)
	}
}

func TestLastKnownStateWhileElasticsearchIsAway(t *testing.T) {
	es, now := &fake{status: "up"}, noon
	core, logged := observer.New(zap.InfoLevel)
	file := filepath.Join(t.TempDir(), "status.json")
	clock := func() time.Time { return now }
	p := newPage(t, es, file, clock, zap.New(core))
	_, html := ask(t, p, "/status")
	if !strings.Contains(html, "there is no earlier state to show") {
		t.Errorf("before the first state: %s", html)
	}
	if err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, html = ask(t, p, "/status"); !strings.Contains(html, "Everything operates normally.") || strings.Contains(html, "does not answer") || !strings.Contains(html, `As of <time datetime="2026-11-21T12:00:00Z">21 Nov 2026, 12:00 UTC</time>.`) {
		t.Errorf("%s", html)
	}
	es.err, now = errors.New("away"), now.Add(20*time.Second)
	if err := p.read(t.Context()); err == nil {
		t.Error("no error")
	}
	if _, html = ask(t, p, "/status"); strings.Contains(html, "does not answer") {
		t.Error("stale after 20 s")
	}
	now = noon.Add(12*time.Minute + time.Second)
	_ = p.read(t.Context())
	old := "As of <time datetime=\"2026-11-21T12:00:00Z\">21 Nov 2026, 12:00 UTC</time>, 12 minutes ago; our monitoring does not answer."
	if _, html = ask(t, p, "/status"); !strings.Contains(html, old) || !strings.Contains(html, "When we last knew: Everything operates normally.") {
		t.Errorf("%s", html)
	}
	var d Document
	_, body := ask(t, p, "/status.json")
	if err := json.Unmarshal([]byte(body), &d); err != nil || !d.Stale || d.AgeMinutes != 12 || d.State != days.Operational {
		t.Errorf("%v %+v", err, d)
	}

	// A new process has the state from the file, and says how old it is.
	p = newPage(t, es, file, clock, zap.New(core))
	if _, html = ask(t, p, "/status"); !strings.Contains(html, old) {
		t.Errorf("after a restart: %s", html)
	}
	es.err = nil
	if err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, html = ask(t, p, "/status"); strings.Contains(html, "does not answer") {
		t.Error("still stale")
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	newPage(t, es, file, clock, zap.New(core))
	if n := logged.FilterMessageSnippet("can't be read").Len(); n != 1 {
		t.Errorf("%d lines on a broken file", n)
	}
}

func TestHowLongAnIncidentWas(t *testing.T) {
	for d, want := range map[time.Duration]string{
		20 * time.Second: "less than a minute", 59 * time.Minute: "59 min", 2 * time.Hour: "2 h", 125 * time.Minute: "2 h 5 min", 169 * time.Hour: "7 d 1 h",
	} {
		if got := lasted(noon, noon.Add(d)); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func TestRunLogsAnOutageOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zap.InfoLevel)
		es := &fake{status: "up", err: errors.New("away")}
		p := newPage(t, es, "", time.Now, zap.New(core))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		es.err = nil
		time.Sleep(20 * time.Second)
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if all := logged.All(); len(all) != 2 || all[0].Level != zap.WarnLevel || all[1].Message != "the status page is up to date again" {
			t.Errorf("%+v", all)
		}
	})
}

func TestAnswersAreMadeOnceAndKept(t *testing.T) {
	now := noon
	p := newPage(t, &fake{status: "up"}, "", func() time.Time { return now }, zap.NewNop())
	if err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := p.shown.Load()
	now = now.Add(20 * time.Second)
	if err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.shown.Load() != first {
		t.Error("what did not change was made again")
	}
	now = now.Add(20 * time.Second)
	if err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.shown.Load() == first {
		t.Error("a new minute is not shown")
	}
	for _, path := range forms {
		res, plain := ask(t, p, path)
		if res.Header.Get("Cache-Control") != "public, max-age=10" || res.Header.Get("Vary") != "Accept-Encoding" || res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %v", path, res.Header)
		}
		zipped, body := ask(t, p, path, "Accept-Encoding", "br;q=1.0, gzip;q=0.8")
		r, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != plain || zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Etag") == res.Header.Get("Etag") {
			t.Errorf("%s: %v %v", path, err, zipped.Header)
		}
		if refused, text := ask(t, p, path, "Accept-Encoding", "gzip;q=0"); text != plain || refused.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: gzip to who refuses it", path)
		}
		same, text := ask(t, p, path, "If-None-Match", `"x", W/`+res.Header.Get("Etag"))
		if same.StatusCode != http.StatusNotModified || text != "" || same.Header.Get("Etag") != res.Header.Get("Etag") {
			t.Errorf("%s: %d %v", path, same.StatusCode, same.Header)
		}
	}
	for _, path := range []string{"/status/", "/statuses", "/", "/status.xml"} {
		if res, _ := ask(t, p, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

// A crowd's requests over real connections on loopback, kept alive.
func BenchmarkCachedPage(b *testing.B) {
	p := newPage(b, &fake{status: "up"}, "", func() time.Time { return noon }, zap.NewNop())
	if err := p.read(b.Context()); err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: p.Handler(http.NotFoundHandler()), ReadHeaderTimeout: time.Second}
	go func() { _ = s.Serve(l) }()
	defer func() { _ = s.Close() }()
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		// Go's own client would be most of what is measured.
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		for pb.Next() {
			if _, err := io.WriteString(c, "GET /status HTTP/1.1\r\nHost: www.example.org\r\nAccept-Encoding: gzip\r\n\r\n"); err != nil {
				b.Error(err)
				return
			}
			length := -1
			for {
				line, err := in.ReadSlice('\n')
				if err != nil {
					b.Error(err)
					return
				}
				if len(line) == 2 {
					break
				}
				if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
					length, _ = strconv.Atoi(string(bytes.TrimSpace(n)))
				}
			}
			if n, err := in.Discard(length); err != nil || n < 1000 {
				b.Error(n, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// The handler alone.
func BenchmarkHandler(b *testing.B) {
	p := newPage(b, &fake{status: "up"}, "", func() time.Time { return noon }, zap.NewNop())
	if err := p.read(b.Context()); err != nil {
		b.Fatal(err)
	}
	h := p.Handler(http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, "/status", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
