package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pharos/shop"
)

// answer is an Elasticsearch of one answer.
type answer struct {
	status int
	body   string
	err    error
	got    string
}

func (a *answer) Perform(req *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	a.got = req.Method + " " + req.URL.Path + "\n" + string(body)
	return &http.Response{StatusCode: a.status, Status: http.StatusText(a.status), Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func TestCreate(t *testing.T) {
	docs := []shop.Document{{ID: `a"b`, Body: []byte(`{"n":1}`)}, {ID: "c", Body: []byte(`{"n":2}`)}}
	item := func(status string) string {
		return `{"create":{"_id":"x","status":` + status + `,"error":{"type":"t","reason":"r"}}}`
	}
	for name, tt := range map[string]struct {
		answer  answer
		refused map[string]string
		fails   bool
	}{
		"written":               {answer{status: 200, body: `{"items":[` + item("201") + `,` + item("201") + `]}`}, map[string]string{}, false},
		"there already":         {answer{status: 200, body: `{"items":[` + item("409") + `,` + item("201") + `]}`}, map[string]string{}, false},
		"one refused":           {answer{status: 200, body: `{"items":[` + item("201") + `,` + item("400") + `]}`}, map[string]string{"c": "t: r"}, false},
		"no room for one":       {answer{status: 200, body: `{"items":[` + item("201") + `,` + item("429") + `]}`}, nil, true},
		"no right":              {answer{status: 403, body: `{}`}, nil, true},
		"too few answers":       {answer{status: 200, body: `{"items":[` + item("201") + `]}`}, nil, true},
		"an answer of no sense": {answer{status: 200, body: `<html>`}, nil, true},
		"away":                  {answer{err: errors.New("away")}, nil, true},
	} {
		refused, err := (&windows{&tt.answer}).Create(t.Context(), docs)
		if (err != nil) != tt.fails || !cmp.Equal(refused, tt.refused) {
			t.Errorf("%s: refused %v, error %v", name, refused, err)
		}
		const want = "POST /metrics-shop.analytics-default/_bulk\n{\"create\":{\"_id\":\"a\\\"b\"}}\n{\"n\":1}\n{\"create\":{\"_id\":\"c\"}}\n{\"n\":2}\n"
		if tt.answer.err == nil && tt.answer.got != want {
			t.Errorf("%s: sent\n%s", name, tt.answer.got)
		}
	}
}
