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
	keys, err := NewKeys(key, clock)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewKeys(key[:31]+"X", clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKeys(key[:31], clock); err == nil {
		t.Error("a short key is taken")
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
