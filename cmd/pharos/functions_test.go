package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pharos/internal/env"
)

func TestFunctionsTable(t *testing.T) {
	x := func(v float64) *float64 { return &v }
	var out bytes.Buffer
	err := printFunctions(&out, []measuredFunction{
		{Name: "feed.Timeline", Calls: 1200, Errors: 3, ErrorRate: x(0.0025), Average: x(0.00123456), P50: x(0.000001), P95: x(2.5), P99: x(3e-8)},
		{Name: "idle"},
	})
	want := `  calls  errors  error rate  average   p50    p95    p99  function
   1200       3      0.25 %  1.23 ms  1 µs  2.5 s  30 ns  feed.Timeline
      0       0           -        -     -      -      -  idle
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestFunctionsQuery(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[functionsCmd]string{
		{}:            "",
		{From: "15m"}: "from=2026-07-01T11%3A45%3A00Z",
		{From: "2026-07-01T00:00:00+02:00", To: "0s"}: "from=2026-07-01T00%3A00%3A00%2B02%3A00&to=2026-07-01T12%3A00%3A00Z",
	} {
		if q, err := in.query(now); err != nil || q.Encode() != want {
			t.Errorf("%+v: %q, %v", in, q.Encode(), err)
		}
	}
	for _, in := range []functionsCmd{{From: "yesterday"}, {To: "-5m"}} {
		if _, err := in.query(now); err == nil || !strings.Contains(err.Error(), "--") {
			t.Errorf("%+v: %v", in, err)
		}
	}
}

func TestGetSaysWhatWasAnswered(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") == "good" {
			_, _ = w.Write([]byte("{}"))
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"detail":"No."}`))
	}))
	defer s.Close()
	if body, err := get(context.Background(), s.URL, "good"); err != nil || string(body) != "{}" {
		t.Errorf("%s, %v", body, err)
	}
	if _, err := get(context.Background(), s.URL, env.Secret("bad")); err == nil || err.Error() != "answered 403 Forbidden No." {
		t.Errorf("got %v", err)
	}
}
