package traces

import (
	"encoding/json"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"pharos/console/page"
	"pharos/elastic"
	"pharos/internal/fault"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func TestParseFilterRefuses(t *testing.T) {
	for _, c := range []struct{ query, field string }{
		{"status=bad", "status"}, {"status=600", "status"}, {"status=5x", "status"}, {"min=abc", "min"}, {"max=-1s", "max"}, {"max=48h", "max"},
		{"min=2s&max=1s", "min"}, {"sort=oldest", "sort"}, {"q=a:(", "q"}, {"id=%3Cscript%3E", "id"}, {"id=" + strings.Repeat("a", 129), "id"},
		{"service=" + strings.Repeat("a", 257), "service"}, {"route=" + strings.Repeat("a", 257), "route"}, {"user=" + strings.Repeat("a", 257), "user"},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseFilter(q)
		if f := fault.From(err); err == nil || f.Code != fault.InvalidParameter || f.Field != c.field {
			t.Errorf("%s: the error is %v, want one that names %s", c.query, err, c.field)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "250": 250 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "20 ms": 20 * time.Millisecond, "0": 0} {
		if got, err := duration("min", text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestFilterElastic(t *testing.T) {
	span := page.Span{From: time.UnixMilli(1000), To: time.UnixMilli(2000)}
	for _, c := range []struct {
		query     string
		has, none []string
	}{
		{"", []string{`"must_not":{"exists":{"field":"parent.id"}}`, `"gte":1000`, `"lt":2000`, `{"term":{"processor.event":"transaction"}}`}, []string{"service.name"}},
		{"service=api&status=5xx", []string{`{"term":{"service.name":"api"}}`, `{"http.response.status_code":{"gte":"500","lte":"599"}}`}, []string{"parent.id"}},
		{"status=404", []string{`"gte":"404","lte":"404"`}, nil},
		{"status=failed", []string{`{"term":{"event.outcome":"failure"}}`}, []string{`"must_not":[`}},
		{"status=ok", []string{`"must_not":[{"bool"`}, nil},
		{"min=250ms&max=2s", []string{`"transaction.duration.us":{"gte":250000,"lte":2000000}`}, nil},
		{"id=abc", []string{`{"term":{"trace.id":"abc"}}`, `{"term":{"http.request.id":"abc"}}`}, []string{`"@timestamp"`, "parent.id"}},
		{"q=cloud.region:eu", []string{`cloud.region`}, []string{"parent.id"}},
		{"route=/v1/feed&user=u1", []string{`{"term":{"http.route":"/v1/feed"}}`, `{"term":{"transaction.name":"/v1/feed"}}`, `{"term":{"user.id":"u1"}}`}, nil},
	} {
		q, _ := url.ParseQuery(c.query)
		f, err := parseFilter(q)
		if err != nil {
			t.Fatal(err)
		}
		query, err := f.elastic(span)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(query)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range c.has {
			if !strings.Contains(string(text), part) {
				t.Errorf("%q: the query lacks %s: %s", c.query, part, text)
			}
		}
		for _, part := range c.none {
			if strings.Contains(string(text), part) {
				t.Errorf("%q: the query has %s: %s", c.query, part, text)
			}
		}
	}
}

func TestCursor(t *testing.T) {
	after, err := readCursor(writeCursor([]any{1.795265498276e12, "ee0499f5fe599af6"}))
	if err != nil || after[0] != int64(1795265498276) || after[1] != "ee0499f5fe599af6" {
		t.Errorf("the cursor came back as %v, %v", after, err)
	}
	for _, bad := range []string{"x", "W10", writeCursor([]any{"a", "b"}), writeCursor([]any{1.0, "<b>"}), writeCursor([]any{1.0})} {
		if _, err := readCursor(bad); !fault.Is(err, fault.InvalidCursor) {
			t.Errorf("cursor %q: the error is %v", bad, err)
		}
	}
}

func TestDifferences(t *testing.T) {
	fields := map[string]sides{
		"service.version": {"new": {9, 100}, "old": {1, 900}},
		"cloud.region":    {"eu": {5, 500}, "us": {5, 500}},
		"user.id":         {"u1": {0, 300}},
	}
	got := differences(fields, 10, 1000)
	if len(got) != 3 || got[0].Value != "new" || got[1].Value != "old" || got[2].Value != "u1" {
		t.Fatalf("differences are %+v", got)
	}
	if d := got[0]; d.ShareF != 0.9 || d.ShareH != 0.1 || d.Points() != "+80" {
		t.Errorf("new is %+v, %s points", d, d.Points())
	}
	if p := got[2].Points(); p != "-30" {
		t.Errorf("u1 is %s points", p)
	}
	if differences(fields, 0, 10) != nil || differences(fields, 10, 0) != nil {
		t.Error("one side alone was compared")
	}
	many := sides{}
	for i := range 100 {
		many[itoa(int64(i))] = [2]int64{10, 0}
	}
	if n := len(differences(map[string]sides{"user.id": many}, 10, 10)); n != maxDifferences {
		t.Errorf("%d differences, want %d", n, maxDifferences)
	}
}

func TestEventsAndErrors(t *testing.T) {
	read := func(name string) document {
		t.Helper()
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := decodeDocument(elastic.Hit{Source: text})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	e := read("span.json").event()
	if e.ID != "34c9a4e8fd2cb35f" || e.Parent != "4d20778ea8bfb19b" || e.Kind != span || e.Duration != 2635 || e.Start != 1795265498395288 ||
		e.Resource != "mongodb" || e.Layer() != "mongodb" || e.Statement != `{"insert":"users"}` || e.Instance != "feed-1" || e.Failed() {
		t.Errorf("the span is %+v", e)
	}
	c := read("error.json").captured()
	if c.Message != "write posts: no primary" || c.Type != "fmt.wrapError" || c.Unhandled() || len(c.Stack) != 1 || c.Stack[0].Line != 71 ||
		len(c.Causes) != 1 || c.Causes[0] != "errors.errorString: no primary" || c.Parent != "2602c4052297d190" {
		t.Errorf("the error is %+v", c)
	}
}

func TestDrawTrace(t *testing.T) {
	failed := ev("c", "gone", 40, 60)
	failed.Status = 503
	var v Trace
	v.draw(build([]Event{ev("a", "", 0, 100), ev("b", "a", 20, 70), failed}), map[string]bool{"a": true}, false)
	if v.Length != 100 || v.Spans != 3 || v.Failed != 1 || v.Orphans != 1 || v.Root.ID != "a" {
		t.Errorf("the trace is %+v", v)
	}
	if len(v.Rows) != 2 || !v.Rows[0].Folded || v.Rows[0].FoldLink != "" || v.Rows[1].X != 400 || v.Rows[1].W != 200 {
		t.Errorf("rows are %+v", v.Rows)
	}
	if v.Rows[1].FoldLink != "a,c" {
		t.Errorf("to fold c leads to %q", v.Rows[1].FoldLink)
	}
	var events []Event
	for i := range int64(maxRows + 10) {
		events = append(events, ev(itoa(i), "", i, i+1))
	}
	for all, want := range map[bool]int{false: maxRows, true: maxRows + 10} {
		var v Trace
		v.draw(build(events), nil, all)
		if len(v.Rows) != want || v.More != maxRows+10-want {
			t.Errorf("all %t: %d rows and %d more", all, len(v.Rows), v.More)
		}
	}
}

func TestSpread(t *testing.T) {
	s := page.Span{From: time.Unix(100, 0), To: time.Unix(200, 0)}
	b := bucket{Key: 100_000, Count: 12}
	b.Spread.Buckets = make([]counted, len(ranges()))
	b.Failed.Spread.Buckets = make([]counted, len(ranges()))
	b.Spread.Buckets[0].DocCount, b.Spread.Buckets[2].DocCount, b.Failed.Spread.Buckets[2].DocCount = 2, 10, 10
	got := spread(s, 10*time.Second, []bucket{b})
	if len(got.Cells) != 2 || len(got.Rows) != 3 || got.Rows[0].Name != "from 2\u00a0ms" || got.Rows[2].Name != "up to 1\u00a0ms" {
		t.Fatalf("the picture is %+v", got)
	}
	low, high := got.Cells[0], got.Cells[1]
	if low.Min() != "0s" || low.Max() != "1ms" || low.Failed != 0 || low.Bad != 0 || low.Y != 2*rowHeight {
		t.Errorf("the lower cell is %+v", low)
	}
	if high.Min() != "2ms" || high.Max() != "5ms" || high.Failed != 10 || high.Bad != high.Height() || high.Y != 0 || high.Shade != 5 {
		t.Errorf("the upper cell is %+v", high)
	}
	if spread(s, time.Second, nil).Cells != nil {
		t.Error("nothing has cells")
	}
}
