package feedhttp

import (
	"net/http"
	"testing"
	"time"

	"pharos/internal/env"
)

func TestTokens(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	key := env.Secret("0123456789abcdef0123456789abcdef")
	keys, err := NewKeys(key, nil, clock)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewKeys(key[:31]+"X", nil, clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKeys(key[:31], nil, clock); err == nil {
		t.Error("a short key is taken")
	}
	if _, err := NewKeys(key, []env.Secret{key[:31]}, clock); err == nil {
		t.Error("a short former key is taken")
	}
	request := func(k *Keys, id *Identity) *http.Request {
		r, err := http.NewRequest("GET", "http://feed/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.signRequest(r, id); err != nil {
			t.Fatal(err)
		}
		return r
	}
	ada := Identity{UserID: "u1", SessionID: "s1"}

	r := request(keys, &ada)
	if err := keys.checkService(r); err != nil {
		t.Errorf("own service credential: %v", err)
	}
	if id, err := keys.identity(r); err != nil || id != ada {
		t.Errorf("own identity: %v %v", id, err)
	}

	program := Identity{UserID: "u1", KeyID: "k1"}
	if id, err := keys.identity(request(keys, &program)); err != nil || id != program {
		t.Errorf("identity of a key: %v %v", id, err)
	}
	for _, bad := range []Identity{{UserID: "u1"}, {SessionID: "s1"}, {UserID: "u1", SessionID: "s1", KeyID: "k1"}} {
		if _, err := keys.identity(request(keys, &bad)); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}

	forged := request(other, &ada)
	if keys.checkService(forged) == nil {
		t.Error("another's service credential is taken")
	}
	if _, err := keys.identity(forged); err == nil {
		t.Error("another's identity is taken")
	}
	if _, err := keys.identity(request(keys, nil)); err == nil {
		t.Error("no identity is taken")
	}

	swapped := request(keys, &ada)
	swapped.Header.Set(userTokenHeader, swapped.Header.Get("Authorization")[len("Bearer "):])
	if _, err := keys.identity(swapped); err == nil {
		t.Error("a service credential is taken as identity")
	}
	swapped = request(keys, &ada)
	swapped.Header.Set("Authorization", "Bearer "+swapped.Header.Get(userTokenHeader))
	if keys.checkService(swapped) == nil {
		t.Error("an identity is taken as service credential")
	}

	now = now.Add(tokenTTL + 6*time.Second)
	if keys.checkService(r) == nil {
		t.Error("an old service credential is taken")
	}
	if _, err := keys.identity(r); err == nil {
		t.Error("an old identity is taken")
	}
}

// While the key is changed feed takes calls of both, and afterwards of the new only.
func TestFormerKeys(t *testing.T) {
	const before, after env.Secret = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	keys := func(key env.Secret, former ...env.Secret) *Keys {
		k, err := NewKeys(key, former, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ada := Identity{UserID: "u1", SessionID: "s1"}
	for _, tt := range []struct {
		signs, checks *Keys
		good          bool
	}{
		{keys(before), keys(before, after), true},
		{keys(after), keys(before, after), true},
		{keys(before), keys(after), false},
		{keys(after), keys(after), true},
		{keys("0123456789abcdef0123456789abcdeX"), keys(before, after), false},
	} {
		r, err := http.NewRequest("GET", "http://feed/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.signs.signRequest(r, &ada); err != nil {
			t.Fatal(err)
		}
		id, err := tt.checks.identity(r)
		if (err == nil) != tt.good || tt.good && id != ada || (tt.checks.checkService(r) == nil) != tt.good {
			t.Errorf("%v: %+v, %v", tt.good, id, err)
		}
	}
}
