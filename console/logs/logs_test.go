package logs

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/console/kql"
	"pharos/console/page"
	"pharos/elastic"
	"pharos/internal/fault"
)

func hit(source string) elastic.Hit {
	return elastic.Hit{Index: "logs-x", ID: "1", Source: json.RawMessage(source)}
}

func TestLinesOfManyShapes(t *testing.T) {
	for source, want := range map[string]line{
		`{"@timestamp":"2026-11-20T12:00:00.5Z","message":"hi","log.level":"info","service":{"name":"api"}}`: {Message: "hi", Level: "info", Service: "api", At: time.Date(2026, 11, 20, 12, 0, 0, 5e8, time.UTC)},
		`{"error":{"exception":[{"message":"boom"}]},"message":""}`:                                          {Message: "boom", Level: "error"},
		`{"error":{"message":"why"},"log":{"level":"warn"}}`:                                                 {Message: "why", Level: "warn"},
		`{"error.log.message":"a","error.message":"b"}`:                                                      {Message: "a", Level: "error"},
		`{"@timestamp":"nonsense","trace":{"id":["x","y"]}}`:                                                 {Trace: "x, y"},
		`{}`: {},
	} {
		got, err := readLine(hit(source), []string{})
		want.ID, want.Index = "1", "logs-x"
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", source, got, err)
		}
	}
	l, err := readLine(hit(`{"a":{"b.c":[1,true,{"d":2}],"n":null},"big":12345678901234567890,"e":{}}`), nil)
	if err != nil || !reflect.DeepEqual(l.Values, map[string][]string{"a.b.c": {"1", "true"}, "a.b.c.d": {"2"}, "big": {"12345678901234567890"}}) {
		t.Errorf("%v, %v", l.Values, err)
	}
	deep := strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500)
	if l, err := readLine(hit(deep), nil); err != nil || len(l.Values) != 1 {
		t.Errorf("%d fields, %v", len(l.Values), err)
	}
	wide := map[string]int{}
	for i := range 3 * maxFields {
		wide[strings.Repeat("x", i%50)+string(rune('a'+i%26))+time.Duration(i).String()] = i
	}
	body, err := json.Marshal(wide)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := readLine(hit(string(body)), nil); err != nil || len(l.Values) != maxFields {
		t.Errorf("%d fields, %v", len(l.Values), err)
	}
	if _, err := readLine(hit(`[]`), nil); err == nil {
		t.Error("a list is no document")
	}
}

func TestHostileTextIsMadeVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ünïcode 漢字\n\tx": "plain, ünïcode 漢字\n\tx",
		"\x1b[31mred\x1b[0m":     "␛[31mred␛[0m",
		"a\x00b\x7f\r":           "a␀b␡␍",
		"\u202egpj.exe":          "⟨U+202E⟩gpj.exe",
		"zero\u200bwidth\ufeff":  "zero⟨U+200B⟩width⟨U+FEFF⟩",
		"\u0085\u2028":           "⟨U+0085⟩⟨U+2028⟩",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got, was := cut("日本語", 2); got != "日本" || !was {
		t.Error(got, was)
	}
	if got, was := cut("日本", 2); got != "日本" || was {
		t.Error(got, was)
	}
}

func TestHighlight(t *testing.T) {
	marks := []kql.Mark{{Field: "", Text: "conn"}, {Field: "message", Text: "Connection refused"}, {Field: "other", Text: "by"}}
	want := []segment{{"A ", false}, {"connection REFUSED", true}, {" by ", false}, {"conn", true}, {"2", false}}
	if got := highlight("A connection REFUSED by conn2", "message", marks); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	var text strings.Builder
	for _, s := range highlight(strings.Repeat("conn ", 5000), "message", marks) {
		text.WriteString(s.Text)
	}
	if text.String() != strings.Repeat("conn ", 5000) {
		t.Error("a text changes when it is marked")
	}
}

func TestSpreadsheetsCalculateNothing(t *testing.T) {
	for cell, want := range map[string]string{"=1+1": "'=1+1", "@x": "'@x", "-5": "-5", "-x": "'-x", "+1": "'+1", "a=b": "a=b", "": "", "\tx": "'\tx"} {
		if got := harmless(cell); got != want {
			t.Errorf("%q: %q", cell, got)
		}
	}
}

func FuzzCursor(f *testing.F) {
	good, err := cursor{At: 5, IDs: []string{"a"}, PIT: "x", Sort: []int64{5, 6}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Add("e30")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"t":1,"p":"x","s":[1]}`)))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := decodeCursor(text)
		if err != nil {
			if f := fault.From(err); f.Field != "cursor" || f.Code != fault.InvalidCursor {
				t.Fatal(err)
			}
			return
		}
		if c.PIT != "" && len(c.Sort) != 2 || len(c.IDs) > maxPage {
			t.Fatalf("%+v", c)
		}
	})
}

func TestRefs(t *testing.T) {
	if index, id, ok := parseRef(line{Index: ".ds-logs-a", ID: "x/y z"}.Ref()); index != ".ds-logs-a" || id != "x/y z" || !ok {
		t.Error(index, id, ok)
	}
	for _, ref := range []string{"", "a", "a/", "/b", strings.Repeat("a", 2000) + "/b"} {
		if _, _, ok := parseRef(ref); ok {
			t.Errorf("%.20q names a line", ref)
		}
	}
}

func TestKindsOfFields(t *testing.T) {
	for want, types := range map[kql.Kind][]string{
		kql.Text: {"match_only_text", "text"}, kql.Number: {"double", "long"}, kql.Date: {"date"}, kql.Keyword: {"keyword", "long"}, kql.IP: {"ip"}, kql.Boolean: {"boolean"},
	} {
		if got := kind(types); got != want {
			t.Errorf("%v: %s", types, got)
		}
	}
}

// ask is a reader's request for an address.
func ask(address string) *page.Request {
	c := &gin.Context{Request: httptest.NewRequest("GET", address, nil)}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	return &page.Request{Context: c, Zone: time.UTC, Now: now, Span: page.Span{From: now.Add(-time.Hour), To: now}}
}

func TestRequests(t *testing.T) {
	for address, field := range map[string]string{
		"/logs": "", "/logs?q=a:b&order=oldest&columns=a,b,%20a&size=5&by=service.name&line=x/y&around=20": "",
		"/logs?q=(": "q", "/logs?order=up": "order", "/logs?by=message": "by", "/logs?columns=*": "columns", "/logs?columns=1,2,3,4,5,6,7,8,9,10,11,12,13": "columns",
		"/logs?size=0": "size", "/logs?size=501": "size", "/logs?around=-1": "around", "/logs?cursor=x": "cursor", "/logs?around=x": "around",
	} {
		_, err := read(ask(address))
		if (err != nil) != (field != "") || err != nil && fault.From(err).Field != field {
			t.Errorf("%s: %v", address, err)
		}
	}
	req, err := read(ask("/logs?columns=a,%20b,a&q=x"))
	if err != nil || strings.Join(req.columns, " ") != "a b" || req.query.String() != "x" {
		t.Errorf("%+v, %v", req, err)
	}
}

// TestRowsAreNoPageOfTheirOwn writes lines that would like to be HTML.
func TestRowsAreNoPageOfTheirOwn(t *testing.T) {
	w, err := newWriter()
	if err != nil {
		t.Fatal(err)
	}
	const evil = `<script>alert(1)</script>" onmouseover="x` + "\x1b[2J\u202e"
	r := ask("/logs?q=alert&columns=url.path&cursor=e30")
	r.Reader.Rights.Traces = true
	req, err := read(r)
	if err != nil {
		t.Fatal(err)
	}
	l := line{
		ID: "1", Index: "i", Level: evil, Service: evil, Message: evil + strings.Repeat("m", 1<<20), Trace: "../" + evil,
		Values: map[string][]string{"message": {evil + strings.Repeat("m", 1<<20)}, "url.path": {evil}, evil: {evil}},
	}
	d := w.detail(r, req, l)
	rows, err := w.rows(r, req, []line{l}, d, l.Ref())
	if err != nil {
		t.Fatal(err)
	}
	html := string(rows)
	for _, bad := range []string{"<script", `" onmouseover="`, "\x1b", "\u202e", "cursor=e30", "/traces/../"} {
		if strings.Contains(html, bad) {
			t.Errorf("the rows hold %q", bad)
		}
	}
	for _, good := range []string{"<mark>alert</mark>", "… cut", "1.05 MB in all", "whole=1", "detail-row", `class="anchor"`, "/traces/..%2F"} {
		if !strings.Contains(html, strings.ReplaceAll(good, " MB", "\u00a0MB")) && !strings.Contains(html, good) {
			t.Errorf("the rows lack %q", good)
		}
	}
	if len(html) > 100_000 {
		t.Errorf("the rows have %d bytes", len(html))
	}
	req.whole = true
	rows, err = w.rows(r, req, []line{l}, w.detail(r, req, l), "")
	if err != nil || len(rows) < 1<<20 {
		t.Errorf("all of it has %d bytes, %v", len(rows), err)
	}
}

func TestHistogram(t *testing.T) {
	from := time.Date(2026, 11, 20, 12, 0, 30, 0, time.UTC)
	sc := scope{query: &kql.Query{}, from: from, to: from.Add(3 * time.Minute)}
	h, err := readHistogram(json.RawMessage(`{"buckets":[
		{"key":1763640000000,"doc_count":5,"by":{"buckets":[{"key":"info","doc_count":3},{"key":"error","doc_count":1}]}},
		{"key":1795176060000,"doc_count":2,"by":{"buckets":[{"key":"warn","doc_count":2}]}}]}`), "log.level", time.Minute, sc)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Times) != 4 || h.Times[0] != from.Add(-30*time.Second).Unix() {
		t.Errorf("times %v", h.Times)
	}
	values := []string{}
	for _, p := range h.Parts {
		values = append(values, p.Value)
	}
	if got := strings.Join(values, " "); got != "warn" {
		t.Errorf("parts %s", got) // the first bucket is of another year
	}
	many := histogram{Times: []int64{1}}
	for i := range 12 {
		many.Parts = append(many.Parts, part{string(rune('a' + i)), []int64{1}})
	}
	if few := fewer(many); len(few.Parts) != maxParts || few.Parts[maxParts-1].Value != rest || few.Parts[maxParts-1].Counts[0] != 6 {
		t.Errorf("%+v", few.Parts)
	}
}

func TestFacetsLeadInAndOut(t *testing.T) {
	f, err := readFacet(json.RawMessage(`{"sum_other_doc_count":3,"buckets":[{"key":"api","doc_count":4},{"key":"a b","doc_count":2}]}`), "Service", "service.name")
	if err != nil {
		t.Fatal(err)
	}
	r := ask("/logs?q=x+and+service.name:api&line=a/b&cursor=e30")
	req, err := read(r)
	if err != nil {
		t.Fatal(err)
	}
	values := facets(r, req, []facet{f})[0].Values
	if v := values[0]; !v.On || v.Off != "/logs?q=x" || v.Exclude != "/logs?q=x+and+not+service.name%3Aapi" || v.Share != 1 {
		t.Errorf("%+v", v)
	}
	if v := values[1]; v.On || v.Only != "/logs?q=x+and+service.name%3Aapi+and+service.name%3A%22a+b%22" || v.Share != 0.5 {
		t.Errorf("%+v", v)
	}
	f, err = readFacet(json.RawMessage(`{"buckets":[{"key":"4xx","from":400,"to":500,"doc_count":1},{"key":"5xx","from":500,"to":600,"doc_count":0}]}`), "Status", statusField)
	if err != nil || len(f.Values) != 1 || f.Values[0].Clause != "(http.response.status_code >= 400 and http.response.status_code < 500)" {
		t.Errorf("%+v, %v", f, err)
	}
}

// A file that is not whole must not look whole.
func TestAnExportThatBreaks(t *testing.T) {
	gin.SetMode(gin.TestMode)
	r := gin.New()
	r.GET("/", func(c *gin.Context) {
		c.String(http.StatusOK, "the first line\n")
		c.Writer.Flush()
		if err := broken(&page.Request{Context: c}, errors.New("Elasticsearch is away")); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(r)
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, err := io.ReadAll(resp.Body); err == nil || string(text) != "the first line\n" {
		t.Errorf("%q, %v", text, err)
	}
}
