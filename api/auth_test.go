package api

import (
	"encoding/base64"
	"encoding/json"
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
		if p, err := keys.verify(token); err != nil || p != (principal{userID: "u1", sessionID: "s1"}) {
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
