package vulnscan

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func report(t *testing.T) Scan {
	t.Helper()
	f, err := os.Open("testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each vulnerability is told once, as near as it comes.
func TestRead(t *testing.T) {
	t.Parallel()
	s := report(t)
	want := []Finding{
		{"GO-2024-2687", []string{"CVE-2023-45288", "GHSA-4v7x-pqxf-cx7m"}, "HTTP/2 CONTINUATION flood in net/http", "golang.org/x/net", "v0.20.0", "v0.23.0", Called, "golang.org/x/net/http2.*Framer.ReadFrame"},
		{"GO-2021-0113", []string{"CVE-2021-38561"}, "Out-of-bounds read in golang.org/x/text/language", "golang.org/x/text", "v0.3.5", "", Required, ""},
	}
	if !reflect.DeepEqual(s.Findings, want) || s.Reached() != 1 {
		t.Errorf("%+v", s.Findings)
	}
	if s.Scanner != "govulncheck v1.1.4" || s.Database != "https://vuln.go.dev" || s.Go != "go1.26.8" || s.Modified.IsZero() {
		t.Errorf("%+v", s)
	}
}

func TestHalfAReportIsNone(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile("testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"nothing": "", "no report": `{"findings":[]}`, "words": "govulncheck: no such host", "cut": string(whole[:len(whole)-20])} {
		if s, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	run := Run{"run-1", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), "v1", "test"}
	all := Documents(run, report(t))
	if len(all) != 3 {
		t.Fatalf("%d documents", len(all))
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"message":"Dependencies were searched for known vulnerabilities: 2 found, 1 of them called"`, `"id":["GO-2024-2687","CVE-2023-45288"]`, `"report_id":"run-1"`,
		`"@timestamp":"2026-11-21T12:00:00.000Z"`, `"package":{"name":"golang.org/x/net","type":"go","version":"v0.20.0"}`, `"fixed_version":"v0.23.0"`, `"category":["called"]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	event := func(d map[string]any, name string) any { e, _ := d["event"].(map[string]any); return e[name] }
	if none := NotRun(run, "no such host"); event(none, "outcome") != "failure" || event(none, "action") != event(all[0], "action") || !strings.Contains(none["message"].(string), "NOT searched") {
		t.Errorf("%v", none)
	}
}
