package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pharos/funcmetrics"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/obs"
)

// fakeFunctions knows one function, and remembers what it was asked for.
type fakeFunctions struct {
	asked funcmetrics.Range
	err   error
}

func (f *fakeFunctions) List(_ context.Context, in funcmetrics.Range) ([]funcmetrics.Function, error) {
	f.asked = in
	return []funcmetrics.Function{}, f.err
}

func (f *fakeFunctions) Get(_ context.Context, name string, in funcmetrics.Range) (funcmetrics.Function, error) {
	f.asked = in
	if name != "feed.Timeline" {
		return funcmetrics.Function{}, fault.Field(fault.NotFound, "func_name", "No.")
	}
	half := 0.5
	return funcmetrics.Function{Name: name, Calls: 2, Errors: 1, ErrorRate: &half, Average: &half, P50: &half, P95: &half, P99: &half}, f.err
}

func functionRouter(t *testing.T, f Functions) http.Handler {
	t.Helper()
	tel, err := obs.Discard("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tel.Tracer.Close)
	r := httpserver.NewRouter(tel, httpserver.RouterOptions{Draining: func() bool { return false }})
	newFunctionHandlers(f).register(r.Group("/v1"))
	return r
}

func TestFunctions(t *testing.T) {
	f := &fakeFunctions{}
	r := functionRouter(t, f)
	for path, tt := range map[string]struct {
		status int
		field  string
		body   string
		asked  funcmetrics.Range
	}{
		"/v1/functions":                                                        {200, "", `{"items":[]}`, funcmetrics.Always()},
		"/v1/functions/feed.Timeline":                                          {200, "", `{"func_name":"feed.Timeline","calls":2,"errors":1,"error_rate":0.5,"avg_time":0.5,"p50":0.5,"p95":0.5,"p99":0.5}`, funcmetrics.Always()},
		"/v1/functions?from=1970-01-01T00:00:10Z":                              {200, "", `{"items":[]}`, funcmetrics.Range{From: 10, To: math.MaxInt64}},
		"/v1/functions?to=1970-01-01T02:00:00%2B01:00":                         {200, "", `{"items":[]}`, funcmetrics.Range{From: 0, To: 3600}},
		"/v1/functions?from=1970-01-01T00:00:00.5Z&to=1970-01-01T00:00:01.25Z": {200, "", `{"items":[]}`, funcmetrics.Range{From: 1, To: 2}},
		"/v1/functions/nobody":                                                 {404, "func_name", "", funcmetrics.Always()},
		"/v1/functions?from=yesterday":                                         {400, "from", "", funcmetrics.Range{}},
		"/v1/functions?from=":                                                  {400, "from", "", funcmetrics.Range{}},
		"/v1/functions?to=1700000000":                                          {400, "to", "", funcmetrics.Range{}},
		"/v1/functions/x?to=2026-02-30T00:00:00Z":                              {400, "to", "", funcmetrics.Range{}},
		"/v1/functions?limit=3":                                                {400, "limit", "", funcmetrics.Range{}},
		"/v1/functions?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z":      {400, "to", "", funcmetrics.Range{}},
		"/v1/functions?from=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z":    {400, "from", "", funcmetrics.Range{}},
	} {
		f.asked = funcmetrics.Range{}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != tt.status || f.asked != tt.asked || tt.body != "" && w.Body.String() != tt.body {
			t.Errorf("%s: %d %s, asked for %v", path, w.Code, w.Body, f.asked)
		}
		if tt.status == 200 {
			continue
		}
		var p fault.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Field != tt.field || p.Detail == "" {
			t.Errorf("%s: %+v, %v", path, p, err)
		}
	}
	f.err = errors.New("dial tcp 10.1.2.3:3306: refused")
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/functions", nil))
	var p fault.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 503 || w.Header().Get("Retry-After") != "5" || !cmp.Equal(p.Detail, "The function metrics can't be read now.") {
		t.Errorf("a store is away: %d %s", w.Code, w.Body)
	}
}
