package feed_test

import (
	"context"
	"strings"
	"testing"

	"pharos/feed"
	"pharos/internal/fault"
)

func TestHasher(t *testing.T) {
	h, err := feed.NewHasher(1)
	if err != nil {
		t.Fatal(err)
	}
	one, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.Hash(t.Context(), "correct horse")
	if err != nil || one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hashes %q %q %v", one, two, err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
		if got, err := h.Verify(t.Context(), password, one); err != nil || got != want {
			t.Errorf("%q: %v %v", password, got, err)
		}
	}
	for _, bad := range []string{"", "plain", "$2a$10$x", "$argon2id$v=19$m=a,t=2,p=1$aa$aa", "$argon2id$v=19$m=8,t=1,p=1$!!$aa", "$argon2id$v=19$m=8,t=1,p=1$aa$"} {
		if ok, err := h.Verify(t.Context(), "x", bad); err == nil || ok {
			t.Errorf("stored %q: %v %v", bad, ok, err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(over, "x"); err != nil && !fault.Is(err, fault.Overloaded) {
		t.Errorf("no time left: %v", err)
	}
}

// Whoever would have to wait for too long is told so at once.
func TestHasherRefusesALongQueue(t *testing.T) {
	h, err := feed.NewHasher(1)
	if err != nil {
		t.Fatal(err)
	}
	const callers = 40
	errs := make(chan error, callers)
	for range callers {
		go func() {
			_, err := h.Hash(t.Context(), "x")
			errs <- err
		}()
	}
	hashed, refused := 0, 0
	for range callers {
		switch err := <-errs; {
		case err == nil:
			hashed++
		case fault.Is(err, fault.Overloaded) && fault.From(err).RetryAfter > 0:
			refused++
		default:
			t.Error(err)
		}
	}
	if hashed < 9 || refused == 0 {
		t.Errorf("%d hashed, %d refused", hashed, refused)
	}
	if _, err := h.Hash(t.Context(), "x"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := feed.NewHasher(0); err == nil {
		t.Error("none at once was accepted")
	}
}

func TestSignUpValidate(t *testing.T) {
	good := feed.SignUp{Handle: "ada_1", Name: "Ada Ü", Password: "12345678"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for field, in := range map[string][]feed.SignUp{
		"handle":   {{"", "n", "12345678"}, {"ab", "n", "12345678"}, {"Ada", "n", "12345678"}, {"a/../b", "n", "12345678"}, {strings.Repeat("a", 31), "n", "12345678"}},
		"name":     {{"ada", "", "12345678"}, {"ada", strings.Repeat("ü", 81), "12345678"}, {"ada", "\xff", "12345678"}},
		"password": {{"ada", "n", "1234567"}, {"ada", "n", strings.Repeat("x", 257)}},
	} {
		for _, s := range in {
			err := s.Validate()
			if f := fault.From(err); err == nil || f.Code != fault.InvalidParameter || f.Field != field {
				t.Errorf("%+v: %v", s, err)
			}
		}
	}
}
