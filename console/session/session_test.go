package session

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pharos/elastic"
	"pharos/internal/fault"
)

// accounts is an Elasticsearch that knows oncall by the password "right".
type accounts struct {
	asked  int
	rights elastic.Rights
	away   error
}

func (a *accounts) Grant(_ context.Context, user, password, _ string, lasts time.Duration) (elastic.APIKey, error) {
	if a.away != nil {
		return elastic.APIKey{}, a.away
	}
	if user != "oncall" || password != "right" {
		return elastic.APIKey{}, elastic.ErrUnauthenticated
	}
	return elastic.APIKey{ID: "key-1", Encoded: "c2VjcmV0", Expires: start.Add(lasts)}, nil
}

func (a *accounts) Has(_ context.Context, authorization string, _ elastic.Privileges) (elastic.Rights, error) {
	a.asked++
	if authorization != "ApiKey c2VjcmV0" && authorization != "Basic b25jYWxsOnJpZ2h0" {
		return elastic.Rights{}, elastic.ErrUnauthenticated
	}
	r := a.rights
	r.User = "oncall"
	return r, nil
}

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newManager(t *testing.T, es Elasticsearch, url string, now func() time.Time) *Manager {
	t.Helper()
	m, err := New(es, Config{Key: "0123456789abcdef0123456789abcdef", Lasts: time.Hour, URL: url}, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func request(cookie *http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	return r
}

func TestSignedInUntilTheSessionEnds(t *testing.T) {
	now := start
	es := &accounts{rights: elastic.Rights{
		Index:       map[string]map[string]bool{"logs-nginx.access-default": {"read": true}, "logs-pharos-default": {"read": true}},
		Application: map[string]map[string]map[string]bool{"pharos": {"*": {"watch:operate": true, "user:suspend": true}}},
	}}
	m := newManager(t, es, "https://console.example", func() time.Time { return now })
	cookie, err := m.SignIn(t.Context(), "oncall", "right", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge != 3600 || strings.Contains(cookie.Value, "c2VjcmV0") {
		t.Errorf("cookie %+v", cookie)
	}
	reader, err := m.Read(request(cookie))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Rights{Logs: true, Alerts: true, Operate: true, Support: true}); reader.User != "oncall" || reader.Rights != want || reader.Authorization != "ApiKey c2VjcmV0" || reader.Token == "" {
		t.Errorf("reader %+v", reader)
	}
	if err := CheckToken(reader, reader.Token); err != nil {
		t.Error(err)
	}
	for _, token := range []string{"", "x" + reader.Token} {
		if err := CheckToken(reader, token); !fault.Is(err, fault.Forbidden) {
			t.Errorf("token %q: %v", token, err)
		}
	}
	if id, ended := m.SignOut(request(cookie)); id != "key-1" || ended.MaxAge >= 0 || ended.Value != "" {
		t.Errorf("signed out %s %+v", id, ended)
	}
	now = start.Add(time.Hour)
	if _, err := m.Read(request(cookie)); !errors.Is(err, elastic.ErrUnauthenticated) {
		t.Errorf("after its end: %v", err)
	}
}

func TestCookiesOfOthersAreNobody(t *testing.T) {
	m := newManager(t, &accounts{}, "", func() time.Time { return start })
	good, err := m.SignIn(t.Context(), "oncall", "right", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if good.Secure {
		t.Error("a cookie for TLS only, without TLS")
	}
	other, err := New(&accounts{}, Config{Key: "another key of at least 32 characters", Lasts: time.Hour}, m.now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Read(request(good)); !errors.Is(err, elastic.ErrUnauthenticated) {
		t.Errorf("another console's: %v", err)
	}
	changed := []byte(good.Value)
	changed[len(changed)/2] ^= 1
	for _, value := range []string{"", "x", "!!!", strings.Repeat("A", 64), string(changed)} {
		if _, err := m.Read(request(&http.Cookie{Name: CookieName, Value: value})); !errors.Is(err, elastic.ErrUnauthenticated) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestGuessesAreSlowedDown(t *testing.T) {
	now := start
	m := newManager(t, &accounts{}, "", func() time.Time { return now })
	try := func(user, password, address string) error {
		_, err := m.SignIn(t.Context(), user, password, address)
		return err
	}
	for i := range 5 {
		if err := try("oncall", "wrong", "10.0.0.1"); !fault.Is(err, fault.InvalidCredentials) {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	if err := try("oncall", "right", "10.0.0.2"); !fault.Is(err, fault.TooManyRequests) || fault.From(err).RetryAfter == 0 {
		t.Errorf("sixth attempt on the name: %v", err)
	}
	if err := try("viewer", "wrong", "10.0.0.1"); !fault.Is(err, fault.InvalidCredentials) {
		t.Errorf("another name: %v", err)
	}
	now = now.Add(10 * time.Second)
	if err := try("oncall", "right", "10.0.0.2"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	for i := range 30 {
		if err := try("user"+string(rune('a'+i)), "wrong", "10.0.0.9"); !fault.Is(err, fault.InvalidCredentials) {
			t.Fatalf("name %d of an address: %v", i, err)
		}
	}
	if err := try("another", "wrong", "10.0.0.9"); !fault.Is(err, fault.TooManyRequests) {
		t.Errorf("the address goes on: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	away := errors.New("connection refused")
	es := &accounts{}
	m := newManager(t, es, "", func() time.Time { return start })
	for _, c := range [][2]string{{"", "right"}, {"oncall", ""}, {strings.Repeat("x", 600), "right"}} {
		if _, err := m.SignIn(t.Context(), c[0], c[1], "a"); !fault.Is(err, fault.InvalidCredentials) {
			t.Errorf("%.10q: %v", c, err)
		}
	}
	es.away = away
	if _, err := m.SignIn(t.Context(), "oncall", "right", "a"); !errors.Is(err, away) || fault.Is(err, fault.InvalidCredentials) {
		t.Errorf("Elasticsearch is away: %v", err)
	}
	if err := (Config{Key: "short", Lasts: time.Second}).Validate(); err == nil || !strings.Contains(err.Error(), "CONSOLE_KEY") || !strings.Contains(err.Error(), "CONSOLE_SESSION") || strings.Contains(err.Error(), "short") {
		t.Errorf("settings: %v", err)
	}
}

func TestProgramsComeWithAHeader(t *testing.T) {
	es := &accounts{}
	m := newManager(t, es, "", func() time.Time { return start })
	req := request(nil)
	req.SetBasicAuth("oncall", "right")
	for range 3 {
		reader, err := m.Read(req)
		if err != nil || reader.User != "oncall" || reader.Token != "" {
			t.Fatalf("%+v %v", reader, err)
		}
		if err := CheckToken(reader, ""); err != nil {
			t.Error(err)
		}
	}
	if es.asked != 1 {
		t.Errorf("Elasticsearch was asked %d times", es.asked)
	}
	req.SetBasicAuth("oncall", "wrong")
	if _, err := m.Read(req); !errors.Is(err, elastic.ErrUnauthenticated) {
		t.Errorf("wrong password: %v", err)
	}
}
