package intake_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestGolden compares what reaches Elasticsearch for a fixed stream with
// testdata/events.golden.json. UPDATE_GOLDEN=1 writes that file anew.
func TestGolden(t *testing.T) {
	stream, err := os.ReadFile("testdata/events.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, settings())
	if r := s.post(t, bytes.NewReader(stream)); r.status != 202 || r.body != "" {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	got, err := json.MarshalIndent(s.es.wait(t, 6), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), "secret") {
		t.Error("a secret reaches Elasticsearch")
	}
	const golden = "testdata/events.golden.json"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	// apm-data keeps the samples of a metric set in a map: their order is any.
	samples := cmpopts.SortSlices(func(a, b any) bool { return sample(a) < sample(b) })
	if diff := cmp.Diff(decode(t, want), decode(t, got), samples); diff != "" {
		t.Errorf("documents differ from %s (-want +got):\n%s", golden, diff)
	}
	for _, params := range s.es.params {
		if !strings.Contains(params, "require_data_stream=true") {
			t.Errorf("bulk parameters %s", params)
		}
	}
}

// sample is the name of a metric set's sample, empty for anything else: what has
// no names keeps its order.
func sample(v any) string {
	if m, ok := v.(map[string]any); ok && m["value"] != nil {
		name, _ := m["name"].(string)
		return name
	}
	return ""
}

func decode(t *testing.T, content []byte) (docs []document) {
	t.Helper()
	if err := json.Unmarshal(content, &docs); err != nil {
		t.Fatal(err)
	}
	return docs
}

func TestDataStreams(t *testing.T) {
	s := start(t, settings())
	s.post(t, strings.NewReader(`{"metadata":{"service":{"name":"Shop Front-End","agent":{"name":"go","version":"2"}}}}
{"transaction":{"id":"1","trace_id":"2","type":"request","duration":1,"span_count":{"started":0}}}
{"error":{"id":"1","log":{"message":"broken"}}}
{"metricset":{"samples":{"golang.goroutines":{"value":1}}}}
{"metricset":{"samples":{"orders":{"value":1}}}}
{"log":{"message":"hello"}}
`))
	var got []string
	for _, d := range s.es.wait(t, 5) {
		got = append(got, d.Action+" "+d.Index)
	}
	slices.Sort(got)
	want := []string{
		"create logs-apm.app.shop_front_end-default",
		"create logs-apm.error-default",
		"create metrics-apm.app.shop_front_end-default",
		"create metrics-apm.internal-default",
		"create traces-apm-default",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
