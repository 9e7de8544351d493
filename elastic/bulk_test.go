package elastic

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	return &http.Response{StatusCode: a.status, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func TestCreate(t *testing.T) {
	documents := []Document{{ID: `a"b`, Body: []byte("{\n\"n\":1}")}, {Body: []byte(`{"n":2}`)}}
	item := func(status string) string {
		return `{"create":{"_id":"x","status":` + status + `,"error":{"type":"t","reason":"r"}}}`
	}
	for name, tt := range map[string]struct {
		answer answer
		want   CreateResult
		fails  string
	}{
		"written":         {answer{status: 200, body: `{"items":[` + item("201") + `,` + item("201") + `]}`}, CreateResult{Created: 2}, ""},
		"there already":   {answer{status: 200, body: `{"items":[` + item("409") + `,` + item("201") + `]}`}, CreateResult{Created: 1, Present: 1}, ""},
		"one refused":     {answer{status: 200, body: `{"items":[` + item("201") + `,` + item("400") + `]}`}, CreateResult{Created: 1, Refused: []RefusedDocument{{Position: 1, ID: "x", Reason: "t: r"}}}, ""},
		"no right to one": {answer{status: 200, body: `{"items":[` + item("201") + `,` + item("403") + `]}`}, CreateResult{Created: 1}, "document 1: status 403 t: r"},
		"no right":        {answer{status: 403, body: `{}`}, CreateResult{}, "403"},
		"too few answers": {answer{status: 200, body: `{"items":[` + item("201") + `]}`}, CreateResult{}, "1 answers to 2 documents"},
		"no sense":        {answer{status: 200, body: `<html>`}, CreateResult{}, "decode answer"},
		"away":            {answer{err: errors.New("away")}, CreateResult{}, "away"},
	} {
		got, err := (&Client{base: &tt.answer}).Create(t.Context(), "logs-x-default", documents)
		if (err != nil) != (tt.fails != "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s: error %v, want %q", name, err, tt.fails)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		const want = "POST /logs-x-default/_bulk\n{\"create\":{\"_id\":\"a\\\"b\"}}\n{\"n\":1}\n{\"create\":{}}\n{\"n\":2}\n"
		if tt.answer.err == nil && tt.answer.got != want {
			t.Errorf("%s: sent\n%s", name, tt.answer.got)
		}
	}
	if got, err := (&Client{base: &answer{}}).Create(t.Context(), "x", nil); err != nil || got.Created != 0 {
		t.Errorf("nothing to add: %v, %v", got, err)
	}
	if _, err := (&Client{base: &answer{}}).Create(t.Context(), "x", []Document{{Body: []byte("{")}}); err == nil || !strings.Contains(err.Error(), "document 0") {
		t.Errorf("not JSON: %v", err)
	}
}
