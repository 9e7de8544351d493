package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"pharos/feed"
	"pharos/internal/env"
	"pharos/internal/fault"
)

const (
	keyA = env.Secret("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	keyB = env.Secret("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

func TestTokenKeys(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	clock := func() time.Time { return now }
	a, err := NewTokenKeys(keyA, nil, clock)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewTokenKeys(keyB, nil, clock)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := NewTokenKeys(keyB, []env.Secret{keyA}, clock)
	if err != nil {
		t.Fatal(err)
	}
	session := feed.Session{ID: "s1", User: feed.User{ID: "u1"}, ExpiresAt: now.Add(time.Hour)}
	token, err := a.sign(session)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]*TokenKeys{"own": a, "after rotation": rotated} {
		if p, err := keys.verify(token); err != nil || p != (principal{"u1", "s1"}) {
			t.Errorf("%s: %v %v", name, p, err)
		}
	}
	parts := strings.Split(token, ".")
	header := func(change func(h map[string]any)) string {
		raw, err := base64.RawURLEncoding.DecodeString(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		var h map[string]any
		if err := json.Unmarshal(raw, &h); err != nil {
			t.Fatal(err)
		}
		change(h)
		raw, err = json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	none := header(func(h map[string]any) { h["alg"] = "none" }) + "." + parts[1] + "."
	otherAudience, err := jwtFor(keyA, a.current, jwt.RegisteredClaims{
		Issuer: tokenIssuer, Audience: jwt.ClaimStrings{"other"}, Subject: "u1", ID: "s1", ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
	})
	if err != nil {
		t.Fatal(err)
	}
	forever, err := jwtFor(keyA, a.current, jwt.RegisteredClaims{Issuer: tokenIssuer, Audience: jwt.ClaimStrings{tokenAudience}, Subject: "u1", ID: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty": "", "rubbish": "x", "three dots": "a.b.c", "alg none": none, "no signature": parts[0] + "." + parts[1] + ".",
		"changed claims": parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root"}`)) + "." + parts[2],
		"unknown key":    header(func(h map[string]any) { h["kid"] = "x" }) + "." + parts[1] + "." + parts[2],
		"no key":         header(func(h map[string]any) { delete(h, "kid") }) + "." + parts[1] + "." + parts[2],
		"other audience": otherAudience, "no expiry": forever,
	} {
		if _, err := a.verify(bad); !fault.Is(err, fault.InvalidToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.verify(token); !fault.Is(err, fault.InvalidToken) {
		t.Errorf("another's key: %v", err)
	}
	now = now.Add(time.Hour + time.Second)
	if _, err := a.verify(token); !fault.Is(err, fault.TokenExpired) {
		t.Errorf("expired: %v", err)
	}
	if _, err := NewTokenKeys("short", nil, clock); err == nil || !strings.Contains(err.Error(), "JWT_KEY") || strings.Contains(err.Error(), "short") {
		t.Errorf("short key: %v", err)
	}
}

func jwtFor(key env.Secret, kid string, claims jwt.Claims) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	t.Header["kid"] = kid
	return t.SignedString([]byte(key.Reveal()))
}

func TestActiveSessions(t *testing.T) {
	now := time.Now()
	a := newActiveSessions(10*time.Second, time.Minute, 3, func() time.Time { return now })
	asked := 0
	var answer error
	check := func(id string) error {
		return a.check(t.Context(), id, func(context.Context) error { asked++; return answer })
	}
	expect := func(name string, got error, want error, wantAsked int) {
		t.Helper()
		if !errors.Is(got, want) || asked != wantAsked {
			t.Errorf("%s: %v, asked %d times", name, got, asked)
		}
	}
	ended := fault.New(fault.SessionEnded, "x")
	expect("first", check("s"), nil, 1)
	answer = ended
	expect("remembered", check("s"), nil, 1)
	now = now.Add(10 * time.Second)
	expect("over", check("s"), ended, 2)
	expect("refusals are not remembered", check("s"), ended, 3)
	answer = nil
	expect("again", check("s"), nil, 4)
	a.forget("s")
	answer = ended
	expect("forgotten", check("s"), ended, 5)
	answer = nil
	expect("and back", check("s"), nil, 6)
	away := fault.New(fault.Unavailable, "x")
	answer = away
	now = now.Add(59 * time.Second)
	expect("feed away", check("s"), nil, 7)
	now = now.Add(time.Second)
	expect("feed away for too long", check("s"), away, 8)
	expect("feed away, unknown", check("t"), away, 9)
	answer = nil
	for _, id := range []string{"1", "2", "3", "4"} {
		if err := check(id); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.known) > 3 {
		t.Errorf("holds %d sessions", len(a.known))
	}
}
