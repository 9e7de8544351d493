package elastic

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares got with a file of testdata.
func golden(t *testing.T, file string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(want) {
		t.Errorf("%s differs; got:\n%s", path, text)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestTrafficQuery(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	golden(t, "traffic.golden.json", map[string]Query{
		"all":             Traffic(Window{}, TrafficFilter{}),
		"last 5 minutes":  Traffic(Last(5*time.Minute, noon.Add(123456789).In(berlin)), TrafficFilter{}),
		"since":           Traffic(Window{From: noon}, TrafficFilter{}),
		"route in region": Traffic(Window{From: noon, To: noon.Add(time.Hour)}, TrafficFilter{Route: "/v1/follows/:handle", Region: "local", Service: "nginx"}),
	})
}

func TestAvailability(t *testing.T) {
	for name, tt := range map[string]struct {
		total, bad int64
		want       Availability
	}{
		"no traffic is no data": {0, 0, Availability{NoData: true}},
		"all well":              {10, 0, Availability{Total: 10, Ratio: 1}},
		"some bad":              {8, 2, Availability{Total: 8, Bad: 2, Ratio: 0.75}},
		"all bad is not nodata": {3, 3, Availability{Total: 3, Bad: 3}},
	} {
		if got := availability(tt.total, tt.bad); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestSearchRefusesPartialAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		answer string
		want   string // of the error; empty for none
	}{
		"whole":         {200, `{"hits":{"total":{"value":3}},"aggregations":{"bad":{"doc_count":1}}}`, ""},
		"no stream yet": {404, `{"error":{"type":"index_not_found_exception","reason":"no such index"}}`, ""},
		"timed out":     {200, `{"timed_out":true,"hits":{"total":{"value":3}}}`, "partial"},
		"failed shard":  {200, `{"_shards":{"failed":1},"hits":{"total":{"value":3}}}`, "partial"},
		"refused":       {403, `{"error":{"type":"security_exception","reason":"no"}}`, "403 security_exception: no"},
		"no JSON":       {200, `<html>`, "decode"},
	} {
		t.Run(name, func(t *testing.T) {
			c := server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/"+TrafficStream+"/_search" {
					t.Errorf("asked %s", r.URL)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.answer)
			})
			_, err := c.Availability(t.Context(), Window{}, TrafficFilter{})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
