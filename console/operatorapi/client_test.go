package operatorapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pharos/internal/env"
	"pharos/internal/fault"
)

// server answers every request with a status and a body, and keeps what came.
func server(t *testing.T, status int, header http.Header, body string) (string, *[]*http.Request) {
	t.Helper()
	var came []*http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came = append(came, r)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, &came
}

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

func TestCalls(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		call         func(context.Context, *Client) error
		method, path string
	}{
		"account": {func(ctx context.Context, c *Client) error { _, err := c.Account(ctx, "a&b"); return err }, "GET", "/v1/admin/users?handle=a%26b"},
		"requests": {func(ctx context.Context, c *Client) error { _, err := c.Requests(ctx, "../x", "c+", 20); return err },
			"GET", "/v1/admin/users/..%2Fx/requests?cursor=c%2B&limit=20"},
		"suspend":    {func(ctx context.Context, c *Client) error { return c.Suspend(ctx, "u1") }, "PUT", "/v1/admin/users/u1/suspension"},
		"reactivate": {func(ctx context.Context, c *Client) error { return c.Reactivate(ctx, "u1") }, "DELETE", "/v1/admin/users/u1/suspension"},
		"functions": {func(ctx context.Context, c *Client) error {
			_, err := c.Functions(ctx, time.Unix(0, 0), time.Unix(60, 0))
			return err
		}, "GET", "/v1/functions?from=1970-01-01T00%3A00%3A00Z&to=1970-01-01T00%3A01%3A00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, came := server(t, http.StatusOK, nil, "{}")
			// The first process is away: the second is asked.
			c := New(Config{URLs: []string{closed(t), base + "/"}, Key: "secret"})
			if err := tc.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if len(*came) != 1 {
				t.Fatalf("%d requests", len(*came))
			}
			r := (*came)[0]
			if r.Method != tc.method || r.RequestURI != tc.path || r.Header.Get("X-Api-Key") != "secret" {
				t.Errorf("%s %s with key %q", r.Method, r.RequestURI, r.Header.Get("X-Api-Key"))
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	base, _ := server(t, http.StatusOK, nil, `{"id":"u1","handle":"ada","name":"Ada","created_at":"2026-01-02T03:04:05Z","suspended_at":null}`)
	a, err := New(Config{URLs: []string{base}, Key: "k"}).Account(t.Context(), "ada")
	if err != nil || a.ID != "u1" || a.Name != "Ada" || a.SuspendedAt != nil || a.CreatedAt.Year() != 2026 {
		t.Errorf("%+v, %v", a, err)
	}
	base, _ = server(t, http.StatusOK, nil, `{"items":[{"func_name":"f","calls":2,"errors":1,"error_rate":0.5,"avg_time":0.25,"p50":null}]}`)
	f, err := New(Config{URLs: []string{base}, Key: "k"}).Functions(t.Context(), time.Unix(0, 0), time.Unix(1, 0))
	if err != nil || len(f) != 1 || f[0].Calls != 2 || *f[0].Average != 0.25 || f[0].P50 != nil {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		code   fault.Code
		detail string
	}{
		"nobody":        {404, `{"type":"/problems/not-found","detail":"There is no user with this handle.","field":"handle"}`, fault.NotFound, "no user"},
		"a bad cursor":  {400, `{"type":"/problems/invalid-cursor","detail":"No."}`, fault.InvalidCursor, "No."},
		"wrong key":     {403, `{"type":"/problems/forbidden","detail":"The key is not an operator's."}`, fault.Unavailable, "OPERATOR_API_KEY"},
		"no key":        {401, ``, fault.Unavailable, "OPERATOR_API_KEY"},
		"failing":       {500, `{"type":"/problems/internal","detail":"x"}`, fault.Unavailable, "could not answer"},
		"not a problem": {404, `<html>`, fault.Unavailable, "could not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, _ := server(t, tc.status, nil, tc.body)
			_, err := New(Config{URLs: []string{base}, Key: "secret"}).Account(t.Context(), "x")
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != tc.code || !strings.Contains(f.Detail, tc.detail) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAllAway(t *testing.T) {
	t.Parallel()
	err := New(Config{URLs: []string{closed(t), closed(t)}, Key: "secret"}).Suspend(t.Context(), "u1")
	if !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// A redirect must not carry the key to another host.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other, came := server(t, http.StatusOK, nil, "{}")
	base, _ := server(t, http.StatusTemporaryRedirect, http.Header{"Location": {other}}, "")
	if _, err := New(Config{URLs: []string{base}, Key: "secret"}).Account(t.Context(), "x"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if len(*came) != 0 {
		t.Errorf("the redirect was followed with key %q", (*came)[0].Header.Get("X-Api-Key"))
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for urls, ok := range map[string]bool{"http://a:1,https://b": true, "http://u:p@a": false, "a:8101": false, "ftp://a": false, "": false} {
		var cfg Config
		err := env.ParseMap(&cfg, map[string]string{"API_URLS": urls, "OPERATOR_API_KEY": "secret"})
		if (err == nil) != ok {
			t.Errorf("API_URLS=%q: %v", urls, err)
		}
	}
}
