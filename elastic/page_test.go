package elastic

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// saying answers each call with the same.
type saying struct {
	status  int
	body    string
	request string // the last one: method, address and body
}

func (s *saying) Perform(req *http.Request) (*http.Response, error) {
	s.request = req.Method + " " + req.URL.String()
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		s.request += " " + string(body)
	}
	return &http.Response{StatusCode: s.status, Body: io.NopCloser(strings.NewReader(s.body))}, nil
}

func TestPagesAreWholeOrAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		pit, body string
		status    int
		fails     bool
		want      error // of those that fail; nil: any
	}{
		"well":                     {"", `{"hits":{"hits":[{"_id":"a","sort":[1]}]},"pit_id":"next"}`, 200, false, nil},
		"stopped at the timeout":   {"", `{"timed_out":true}`, 200, true, context.DeadlineExceeded},
		"a shard failed":           {"", `{"_shards":{"failed":1}}`, 200, true, nil},
		"no such stream":           {"", `{"error":{"type":"index_not_found_exception"}}`, 404, false, nil},
		"gone":                     {"x", `{"error":{"type":"search_context_missing_exception"}}`, 404, true, ErrPointInTimeGone},
		"gone, says another words": {"x", `{"error":{"type":"search_phase_execution_exception","reason":"No search context found for id [1]"}}`, 400, true, ErrPointInTimeGone},
		"refused":                  {"x", `{"error":{"type":"illegal_argument_exception"}}`, 400, true, nil},
	} {
		c := &Client{base: &saying{status: tt.status, body: tt.body}}
		p, err := c.Page(t.Context(), PageRequest{Target: "logs-*", PointInTime: tt.pit, Keep: time.Minute, Body: Query{"size": 1}})
		if (err != nil) != tt.fails || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && p == nil {
			t.Errorf("%s: neither a page nor an error", name)
		}
	}
}

func TestPageRequests(t *testing.T) {
	s := &saying{status: 200, body: `{"hits":{"total":{"value":10000,"relation":"gte"},"hits":[]},"pit_id":"next"}`}
	c := &Client{base: s}
	body := Query{"size": 1}
	p, err := c.Page(t.Context(), PageRequest{Target: "logs-*", PointInTime: "x", Keep: time.Minute, Body: body})
	if want := `POST /_search?allow_partial_search_results=false {"pit":{"id":"x","keep_alive":"60000ms"},"size":1}`; err != nil || s.request != want {
		t.Errorf("%s, %v", s.request, err)
	}
	if p.Total != 10000 || !p.AtLeast || p.PointInTime != "next" || len(body) != 1 {
		t.Errorf("%+v, %v", p, body)
	}
	if _, err := c.Page(t.Context(), PageRequest{Target: "a/b", Body: body}); err != nil || !strings.HasPrefix(s.request, "POST /a%2Fb/_search?") {
		t.Errorf("%s, %v", s.request, err)
	}
	s.body = `{"id":"new"}`
	if id, err := c.OpenPointInTime(t.Context(), "logs-*", time.Minute); err != nil || id != "new" || !strings.Contains(s.request, "keep_alive=60000ms") {
		t.Errorf("%s, %s, %v", id, s.request, err)
	}
	s.status = 404
	if err := c.ClosePointInTime(t.Context(), "gone"); err != nil {
		t.Error(err)
	}
}

func TestFieldTypes(t *testing.T) {
	s := &saying{status: 200, body: `{"fields":{"a":{"long":{},"keyword":{}},"b":{}}}`}
	types, err := (&Client{base: s}).FieldTypes(t.Context(), "logs-*", "a", "b c")
	if want := map[string][]string{"a": {"keyword", "long"}}; err != nil || !reflect.DeepEqual(types, want) {
		t.Errorf("%v, %v", types, err)
	}
	if !strings.Contains(s.request, "fields=a%2Cb+c") {
		t.Error(s.request)
	}
	s.status, s.body = 404, `{}`
	if types, err := (&Client{base: s}).FieldTypes(t.Context(), "logs-*", "a"); err != nil || len(types) != 0 {
		t.Errorf("%v, %v", types, err)
	}
}
