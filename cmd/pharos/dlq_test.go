package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/internal/teststack"
	"pharos/shop"
	"pharos/shop/busconn"
)

// output returns what fn prints.
func output(t *testing.T, fn func() error) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	err = fn()
	os.Stdout = stdout
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDeadLetters(t *testing.T) {
	teststack.Need(t)
	t.Setenv("BUS", "redis")
	t.Setenv("REDIS_DB", "8")
	t.Setenv("BUS_STREAM", "test:"+uuid.NewString())
	bus, err := busconn.Open(busconn.Options{Consumer: "test", Report: func(_ context.Context, err error) { t.Log(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bus.Close() }()
	if err := bus.Publish(t.Context(), []shop.Message{{Value: []byte(`{"id":"a"}`)}, {Value: []byte("no JSON")}, {Value: []byte(`{"id":"c"}`)}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := bus.Consume(ctx, shop.GroupIngest, func(_ context.Context, batch []shop.Message) (dead []shop.DeadLetter, err error) {
		for _, m := range batch {
			dead = append(dead, shop.GiveUp(shop.GroupIngest, m, errors.New("bad\x1b[31m"), 5, time.Now()))
		}
		cancel()
		return dead, nil
	}); err != nil {
		t.Fatal(err)
	}

	c := &cli{JSON: true}
	var list struct{ Items []letter }
	if err := json.Unmarshal([]byte(output(t, func() error { return (&dlqList{Limit: 10}).Run(t.Context(), c) })), &list); err != nil || len(list.Items) != 3 {
		t.Fatalf("list: %+v %v", list, err)
	}
	table := output(t, func() error { return (&dlqList{Limit: 10}).Run(t.Context(), &cli{}) })
	if strings.Count(table, "\n") != 4 || strings.Contains(table, "\x1b") {
		t.Errorf("table:\n%q", table)
	}
	var shown letter
	show := dlqShow{ID: list.Items[1].ID}
	if err := json.Unmarshal([]byte(output(t, func() error { return show.Run(t.Context()) })), &shown); err != nil || string(shown.Event) != `"no JSON"` {
		t.Errorf("show: %+v %v", shown, err)
	}
	one := selection{IDs: []string{list.Items[0].ID}}
	if got := output(t, func() error { return (&dlqReplay{one}).Run(t.Context(), c) }); got != "{\"replayed\":1}\n" {
		t.Errorf("replay: %s", got)
	}
	if err := (&dlqDrop{one}).Run(t.Context(), c); !errors.Is(err, shop.ErrNoDeadLetter) {
		t.Errorf("drop what was replayed: %v", err)
	}
	if got := output(t, func() error { return (&dlqDrop{selection{All: true}}).Run(t.Context(), &cli{}) }); got != "2 dropped.\n" {
		t.Errorf("drop: %s", got)
	}
	if got := output(t, func() error { return (&dlqList{Limit: 10}).Run(t.Context(), &cli{}) }); got != "There are no dead letters.\n" {
		t.Errorf("list: %s", got)
	}
	for _, s := range []selection{{}, {IDs: []string{"1-1"}, All: true}} {
		if err := (&dlqDrop{s}).Run(t.Context(), c); !errors.As(err, &usageError{}) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
