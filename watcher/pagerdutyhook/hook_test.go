package pagerdutyhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pharos/internal/env"
	"pharos/watcher/alerting"
	"pharos/watcher/pagerdutyhook"
)

type alerts struct {
	heard []string
	err   error
}

func (a *alerts) Heard(_ context.Context, key string, word alerting.Word, by string, at time.Time) (int, error) {
	a.heard = append(a.heard, fmt.Sprint(key, " ", word, " by ", by, " at ", at.Format(time.RFC3339)))
	return 1, a.err
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

const acknowledged = `{"event":{"id":"01","event_type":"incident.acknowledged","resource_type":"incident","occurred_at":"2026-01-02T03:04:05.000Z",
	"agent":{"id":"P1","summary":"Ada","type":"user_reference"},"data":{"id":"Q1","type":"incident","incident_key":"down","status":"acknowledged"}}}`

func TestHook(t *testing.T) {
	const heard = "down acknowledged by Ada at 2026-01-02T03:04:05Z"
	resolved := strings.ReplaceAll(acknowledged, "incident.acknowledged", "incident.resolved")
	for name, c := range map[string]struct {
		method, body, signature string
		err                     error
		status                  int
		heard                   string
	}{
		"acknowledged":              {"POST", acknowledged, sign("new", acknowledged), nil, 202, heard},
		"the former secret":         {"POST", acknowledged, sign("old", acknowledged), nil, 202, heard},
		"one of several signatures": {"POST", acknowledged, "v1=00," + sign("new", acknowledged) + ", v2=x", nil, 202, heard},
		"resolved":                  {"POST", resolved, sign("new", resolved), nil, 202, "down resolved by Ada at 2026-01-02T03:04:05Z"},
		"no signature":              {"POST", acknowledged, "", nil, 401, ""},
		"another's signature":       {"POST", acknowledged, sign("theirs", acknowledged), nil, 401, ""},
		"another body's signature":  {"POST", acknowledged, sign("new", resolved), nil, 401, ""},
		"another version":           {"POST", acknowledged, strings.Replace(sign("new", acknowledged), "v1", "v0", 1), nil, 401, ""},
		"the empty secret":          {"POST", acknowledged, sign("", acknowledged), nil, 401, ""},
		"an event about nothing":    {"POST", `{"event":{"event_type":"pagey.ping"}}`, sign("new", `{"event":{"event_type":"pagey.ping"}}`), nil, 202, ""},
		"no JSON":                   {"POST", `x`, sign("new", `x`), nil, 400, ""},
		"too large":                 {"POST", strings.Repeat("x", 2<<20), "", nil, 413, ""},
		"a GET":                     {"GET", "", "", nil, 405, ""},
		"the store is away":         {"POST", acknowledged, sign("new", acknowledged), errors.New("away"), 503, heard},
	} {
		t.Run(name, func(t *testing.T) {
			a := &alerts{err: c.err}
			var reported error
			h := &pagerdutyhook.Handler{
				Config: pagerdutyhook.Config{Secrets: []env.Secret{"new", "", "old"}}, Alerts: a,
				Report: func(_ context.Context, err error) { reported = err },
			}
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/", strings.NewReader(c.body))
			if c.signature != "" {
				r.Header.Set("X-PagerDuty-Signature", c.signature)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || strings.Join(a.heard, ";") != c.heard {
				t.Errorf("%d, heard %q; want %d, %q", w.Code, a.heard, c.status, c.heard)
			}
			if c.err != nil && reported == nil {
				t.Error("nothing was reported")
			}
			if w.Code >= http.StatusBadRequest && !strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
				t.Errorf("Content-Type %s", w.Header().Get("Content-Type"))
			}
		})
	}
}

func TestWithoutSecretsNobodyIsHeard(t *testing.T) {
	a := &alerts{}
	h := &pagerdutyhook.Handler{Alerts: a}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(acknowledged))
	r.Header.Set("X-PagerDuty-Signature", sign("", acknowledged))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || len(a.heard) > 0 {
		t.Errorf("%d, heard %v", w.Code, a.heard)
	}
}
