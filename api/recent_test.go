package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"pharos/internal/fault"
)

func TestRecent(t *testing.T) {
	now := time.Now()
	a := newRecent[int](10*time.Second, time.Minute, 3, func() time.Time { return now })
	asked := 0
	var answer error
	check := func(id string) error {
		v, err := a.get(t.Context(), id, func(context.Context) (int, error) { asked++; return 7, answer })
		if err == nil && v != 7 {
			t.Errorf("%s: got %d", id, v)
		}
		return err
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
	a.forgetAll(func(v int) bool { return v == 8 })
	answer = ended
	expect("another was forgotten", check("s"), nil, 6)
	a.forgetAll(func(v int) bool { return v == 7 })
	answer = nil
	expect("all were forgotten", check("s"), nil, 7)
	away := fault.New(fault.Unavailable, "x")
	answer = away
	now = now.Add(59 * time.Second)
	expect("feed away", check("s"), nil, 8)
	now = now.Add(time.Second)
	expect("feed away for too long", check("s"), away, 9)
	expect("feed away, unknown", check("t"), away, 10)
	answer = nil
	for _, id := range []string{"1", "2", "3", "4"} {
		if err := check(id); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.known) > 3 {
		t.Errorf("holds %d", len(a.known))
	}
}
