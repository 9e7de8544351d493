package feed

import (
	"context"
	"testing"
	"time"

	"pharos/internal/fault"
)

// oneUser is a store with one user.
type oneUser struct {
	Store
	user User
	hash string
}

func (s *oneUser) UserByHandle(_ context.Context, handle string) (User, string, error) {
	if handle != s.user.Handle {
		return User{}, "", fault.New(fault.NotFound, "No.")
	}
	return s.user, s.hash, nil
}

// TestSignInTellsNothing has a wrong password and an unknown handle answered
// alike, and hashed alike: while no slot is free, both wait for one.
func TestSignInTellsNothing(t *testing.T) {
	h, err := NewHasher(1)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	s := NewService(Options{Store: &oneUser{user: User{Handle: "ada"}, hash: hash}, Hasher: h, Direct: 1, Now: time.Now})
	signIn := func(ctx context.Context, handle string) error {
		_, err := s.SignIn(ctx, handle, "wrong password")
		return err
	}
	known, unknown, odd := signIn(t.Context(), "ada"), signIn(t.Context(), "nobody"), signIn(t.Context(), "no handle!\x00")
	if !fault.Is(known, fault.InvalidCredentials) || known.Error() != unknown.Error() || known.Error() != odd.Error() {
		t.Errorf("known %v, unknown %v, odd %v", known, unknown, odd)
	}
	if _, err := s.SignIn(t.Context(), "nobody", "correct horse"); !fault.Is(err, fault.InvalidCredentials) {
		t.Errorf("another's password: %v", err)
	}

	if err := h.slots.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	defer h.slots.Release(1)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, handle := range []string{"ada", "nobody", "no handle!\x00"} {
		if err := signIn(over, handle); !fault.Is(err, fault.Overloaded) {
			t.Errorf("%q was not hashed: %v", handle, err)
		}
	}
}
