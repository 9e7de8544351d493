package feed

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pharos/internal/fault"
)

func TestKeyFormat(t *testing.T) {
	const id = "0198c0de-0000-7000-8000-00000000abcd"
	key, err := newKey(id)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newKey(id)
	if err != nil || other == key {
		t.Errorf("two keys are %q and %q: %v", key, other, err)
	}
	if !strings.HasPrefix(key, "pharos_0198c0de00007000800000000000abcd_") || len(key) != 79 || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		t.Errorf("key %q of %d characters", key, len(key))
	}
	if got, ok := APIKeyID(key); !ok || got != id {
		t.Errorf("id %q %v", got, ok)
	}
	flipped := func(i int) string {
		b := []byte(key)
		b[i]++
		return string(b)
	}
	for name, bad := range map[string]string{
		"empty": "", "operator's": strings.Repeat("a1", 24), "cut": key[:len(key)-1], "long": key + "a", "capitals": strings.ToUpper(key),
		"another mark": "faros__" + key[7:], "a typo in the id": flipped(20), "in the secret": flipped(50), "in the checksum": flipped(78),
		"braces": strings.Replace(key, "0198c0de", "{198c0d}", 1), "not ASCII": key[:60] + "ü" + key[62:],
	} {
		if id, ok := APIKeyID(bad); ok || id != "" {
			t.Errorf("%s is taken: %q", name, bad)
		}
	}
	hash := hashKey(key)
	if !isHashOf(hash, key) || isHashOf(hash, other) || isHashOf(nil, key) || isHashOf(hash[:31], key) || bytes.Contains(hash, []byte(key[40:])) {
		t.Error("the hash fits another key, or not its own")
	}
}

func TestNewAPIKeyValidate(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	at := func(s string) *string { return &s }
	good := NewAPIKey{Name: "CI of ü", Scopes: []Scope{EventsWrite, FeedRead}, ExpiresAt: at("2026-07-01T15:00:00.5+02:00")}
	if until, err := good.Validate(now); err != nil || until == nil || !until.Equal(now.Add(time.Hour+time.Second/2)) {
		t.Errorf("until %v, error %v", until, err)
	}
	if until, err := (NewAPIKey{Name: "x", Scopes: Scopes()}).Validate(now); err != nil || until != nil {
		t.Errorf("forever: %v %v", until, err)
	}
	for name, tt := range map[string]struct {
		change func(*NewAPIKey)
		code   fault.Code
		field  string
	}{
		"no name":       {func(k *NewAPIKey) { k.Name = "" }, fault.InvalidParameter, "name"},
		"long name":     {func(k *NewAPIKey) { k.Name = strings.Repeat("ü", 81) }, fault.InvalidParameter, "name"},
		"line feed":     {func(k *NewAPIKey) { k.Name = "a\nb" }, fault.InvalidParameter, "name"},
		"invisible":     {func(k *NewAPIKey) { k.Name = "a\u200bb" }, fault.InvalidParameter, "name"},
		"space at end":  {func(k *NewAPIKey) { k.Name = "a " }, fault.InvalidParameter, "name"},
		"not UTF-8":     {func(k *NewAPIKey) { k.Name = "\xff" }, fault.InvalidParameter, "name"},
		"no scopes":     {func(k *NewAPIKey) { k.Scopes = nil }, fault.InvalidParameter, "scopes"},
		"unknown scope": {func(k *NewAPIKey) { k.Scopes = []Scope{FeedRead, "admin"} }, fault.UnknownScope, "scopes[1]"},
		"operator":      {func(k *NewAPIKey) { k.Scopes = []Scope{"operator"} }, fault.UnknownScope, "scopes[0]"},
		"scope twice":   {func(k *NewAPIKey) { k.Scopes = []Scope{FeedRead, FeedRead} }, fault.InvalidParameter, "scopes[1]"},
		"no time":       {func(k *NewAPIKey) { k.ExpiresAt = at("tomorrow") }, fault.InvalidParameter, "expires_at"},
		"past":          {func(k *NewAPIKey) { k.ExpiresAt = at("2026-07-01T12:00:00Z") }, fault.InvalidParameter, "expires_at"},
	} {
		k := good
		tt.change(&k)
		if _, err := k.Validate(now); fault.From(err).Code != tt.code || fault.From(err).Field != tt.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// usesStore records uses; it has the other methods of a store by name only.
type usesStore struct {
	APIKeyStore
	uses []string
	err  error
}

func (s *usesStore) UseAPIKey(_ context.Context, id string, _ time.Time, _ time.Duration) error {
	if s.err == nil {
		s.uses = append(s.uses, id)
	}
	return s.err
}

func TestKeyUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, reports := &usesStore{}, 0
		u := newKeyUses(store, func(context.Context, error) { reports++ }, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { u.run(ctx); close(done) }()
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			slices.Sort(store.uses)
			if !slices.Equal(store.uses, want) {
				t.Errorf("written %v, want %v", store.uses, want)
			}
			store.uses = nil
		}
		time.Sleep(time.Second) // nothing below happens at the moment of a write
		for range 55 {          // all within a minute of the first
			u.note("a", time.Now())
			time.Sleep(time.Second)
		}
		u.note("b", time.Now())
		time.Sleep(usesWritten)
		expect("a", "b")
		time.Sleep(usesWritten)
		u.note("a", time.Now())
		time.Sleep(usesWritten)
		expect("a")
		if len(u.written) != 2 {
			t.Errorf("remembers %v", u.written)
		}

		time.Sleep(2 * usesEvery)
		store.err = errors.New("away")
		u.note("a", time.Now())
		u.note("b", time.Now())
		time.Sleep(2 * usesWritten)
		expect()
		if reports != 2 {
			t.Errorf("%d reports", reports)
		}
		store.err = nil
		time.Sleep(usesWritten)
		expect("a", "b")

		u.note("c", time.Now())
		cancel()
		<-done
		expect("c")
		if len(u.written) != 3 || len(u.pending) != 0 {
			t.Errorf("left: %v, remembers %v", u.pending, u.written)
		}
	})
}
