package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pharos/watcher/alert"
)

func TestCallsAskAsWhoIsOnCall(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		got = strings.Join([]string{r.Method, r.URL.String(), user, password, string(body)}, " ")
		switch r.URL.Path {
		case "/v1/alerts":
			_, _ = io.WriteString(w, `{"items":[{"id":"a"}]}`)
		case "/v1/silences":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"type":"/problems/invalid-parameter","title":"A parameter is missing or not valid","status":400,"detail":"Say when it ends.","field":"ends_at"}`)
		case "/v1/silences/x":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, `<html>`)
		}
	}))
	defer server.Close()
	t.Setenv("WATCHER_URL", server.URL+"/")
	t.Setenv("ONCALL_PASSWORD", "pw")
	var found listing[alert.Alert]
	if err := call(t.Context(), http.MethodGet, "/alerts?state=open", nil, &found); err != nil || len(found.Items) != 1 || got != "GET /v1/alerts?state=open oncall pw " {
		t.Errorf("%+v, %v, %s", found, err, got)
	}
	err := call(t.Context(), http.MethodPost, "/silences", map[string]int{"x": 1}, nil)
	if err == nil || err.Error() != "A parameter is missing or not valid: ends_at: Say when it ends." || !strings.HasSuffix(got, `{"x":1}`) {
		t.Errorf("%v, %s", err, got)
	}
	if err := call(t.Context(), http.MethodDelete, "/silences/x", nil, nil); err != nil {
		t.Error(err)
	}
	if err := call(t.Context(), http.MethodGet, "/y", nil, nil); err == nil || err.Error() != "the watcher answers 502 Bad Gateway" {
		t.Error(err)
	}
}
