package page

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"pharos/internal/fault"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestSpans(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"":                                    "2026-11-21T11:00:00Z 2026-11-21T12:00:00Z",
		"from=now-7d":                         "2026-11-14T12:00:00Z 2026-11-21T12:00:00Z",
		"from=now-2w&to=now-1w":               "2026-11-07T12:00:00Z 2026-11-14T12:00:00Z",
		"from=2026-11-20T10:00&to=2026-11-21": "2026-11-20T09:00:00Z 2026-11-20T23:00:00Z",
		"from=2026-11-20T10:00:00.5Z":         "2026-11-20T10:00:00.5Z 2026-11-21T12:00:00Z",
	} {
		q, _ := url.ParseQuery(query)
		s, err := parseSpan(q, berlin, noon)
		if got := s.From.UTC().Format(time.RFC3339Nano) + " " + s.To.UTC().Format(time.RFC3339Nano); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", query, got, err, want)
		}
	}
	for query, field := range map[string]string{
		"from=yesterday": "from", "to=now%2B1h": "to", "from=now&to=now-1h": "from", "from=now-99999d": "from", "from=now-401d": "from",
		"from=" + strings.Repeat("9", 1000): "from", "from=1970-01-01": "from", "refresh=1ms": "refresh", "refresh=x": "refresh",
		"from=now-1h%27%22%3Cscript%3E": "from",
	} {
		q, _ := url.ParseQuery(query)
		if _, err := parseSpan(q, berlin, noon); !fault.Is(err, fault.InvalidParameter) || fault.From(err).Field != field {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestBuckets(t *testing.T) {
	for length, want := range map[time.Duration]time.Duration{
		15 * time.Minute: 10 * time.Second, time.Hour: 30 * time.Second, 24 * time.Hour: 30 * time.Minute, 30 * 24 * time.Hour: 6 * time.Hour, 400 * 24 * time.Hour: 7 * 24 * time.Hour,
	} {
		s := Span{From: noon.Add(-length), To: noon}
		if got := s.Bucket(120); got != want {
			t.Errorf("%s: %s, want %s", length, got, want)
		}
	}
}

func TestLinksKeepTheSpan(t *testing.T) {
	q, _ := url.ParseQuery("from=now-6h&to=now&refresh=10s&other=1")
	s, err := parseSpan(q, time.UTC, noon)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Link("/logs", "q", `a:"b&c"`, "empty", ""); err != nil || got != "/logs?from=now-6h&q=a%3A%22b%26c%22&refresh=10s" {
		t.Errorf("%s %v", got, err)
	}
	if _, err := s.Link("/logs", "q"); err == nil {
		t.Error("half a pair was taken")
	}
	if got, _ := (Span{FromText: "now-1h", ToText: "now"}).Link("/logs"); got != "/logs" {
		t.Errorf("defaults are in %s", got)
	}
}
