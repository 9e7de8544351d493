package storetest

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pharos/feed"
	"pharos/internal/fault"
)

func apiKey(t testing.TB, userID, name string) feed.APIKey {
	t.Helper()
	id := ID(t)
	return feed.APIKey{ID: id, UserID: userID, Name: name, Scopes: []feed.Scope{feed.PostsWrite, feed.FeedRead}, Prefix: "pharos_" + id, CreatedAt: now()}
}

func apiKeys(t *testing.T, s feed.Store) {
	ctx := t.Context()
	user, other := ID(t), ID(t)
	one, two, theirs := apiKey(t, user, "one ü"), apiKey(t, user, "two"), apiKey(t, other, "two")
	until := now().Add(time.Hour)
	two.ExpiresAt = &until
	for i, k := range []feed.APIKey{one, two, theirs} {
		if err := s.CreateAPIKey(ctx, k, []byte{byte(i), 0, 255}, 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CreateAPIKey(ctx, apiKey(t, user, "two"), nil, 9); !fault.Is(err, fault.Conflict) || fault.From(err).Field != "name" {
		t.Errorf("taken name: %v", err)
	}
	expect := func(want ...feed.APIKey) {
		t.Helper()
		got, err := s.APIKeys(ctx, user)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the user's keys (-want +got):\n%s", diff)
		}
	}
	expect(two, one)
	if got, hash, err := s.APIKey(ctx, two.ID); err != nil || !bytes.Equal(hash, []byte{1, 0, 255}) || !cmp.Equal(got, two) {
		t.Errorf("by id: %+v %v %v", got, hash, err)
	}
	if _, _, err := s.APIKey(ctx, ID(t)); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown id: %v", err)
	}

	first := now()
	for _, at := range []time.Time{first, first.Add(59 * time.Second)} { // the second is too soon
		if err := s.UseAPIKey(ctx, one.ID, at, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	one.LastUsedAt = &first
	expect(two, one)
	later := first.Add(time.Minute)
	if err := s.UseAPIKey(ctx, one.ID, later, time.Minute); err != nil {
		t.Fatal(err)
	}
	one.LastUsedAt = &later
	expect(two, one)
	if err := s.UseAPIKey(ctx, ID(t), first, time.Minute); err != nil {
		t.Errorf("use of a key that is gone: %v", err)
	}

	if err := s.DeleteAPIKey(ctx, theirs.ID, user); !fault.Is(err, fault.NotFound) {
		t.Errorf("delete another's: %v", err)
	}
	if err := s.DeleteAPIKey(ctx, two.ID, user); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAPIKey(ctx, two.ID, user); !fault.Is(err, fault.NotFound) {
		t.Errorf("delete again: %v", err)
	}
	expect(one)
	if _, _, err := s.APIKey(ctx, two.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted: %v", err)
	}
	if keys, err := s.APIKeys(ctx, ID(t)); err != nil || keys == nil || len(keys) != 0 {
		t.Errorf("of a user without keys: %v %v", keys, err)
	}
}

// apiKeyLimit makes more keys than are allowed, one after the other and at once.
func apiKeyLimit(t *testing.T, s feed.Store) {
	ctx := t.Context()
	user := ID(t)
	const limit = 3
	for i := range limit + 2 {
		err := s.CreateAPIKey(ctx, apiKey(t, user, ID(t)), nil, limit)
		if (err == nil) != (i < limit) || err != nil && !fault.Is(err, fault.LimitExceeded) {
			t.Errorf("key %d: %v", i+1, err)
		}
	}
	user = ID(t)
	var (
		wg   sync.WaitGroup
		made atomic.Int64
	)
	for range 12 {
		wg.Go(func() {
			switch err := s.CreateAPIKey(ctx, apiKey(t, user, ID(t)), nil, limit); {
			case err == nil:
				made.Add(1)
			case !fault.Is(err, fault.LimitExceeded):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if keys, err := s.APIKeys(ctx, user); err != nil || len(keys) > limit || len(keys) != int(made.Load()) {
		t.Errorf("%d keys, %d were told: %v", len(keys), made.Load(), err)
	}
}

// effects makes posts of the same effect, one after the other and at once.
func effects(t *testing.T, s feed.Store) {
	ctx := t.Context()
	author, other := ID(t), ID(t)
	create := func(authorID, text, effect string) feed.Post {
		t.Helper()
		p, err := s.CreatePost(ctx, feed.Post{ID: ID(t), AuthorID: authorID, Text: text, CreatedAt: now()}, effect)
		if err != nil {
			t.Error(err)
		}
		return p
	}
	first := create(author, "first", "e1")
	if first.Text != "first" || first.AuthorID != author {
		t.Errorf("first: %+v", first)
	}
	if again := create(author, "second", "e1"); !cmp.Equal(again, first) {
		t.Errorf("the same effect: %+v, want %+v", again, first)
	}
	if p := create(other, "other's", "e1"); p.ID == first.ID {
		t.Errorf("another author's effect: %+v", p)
	}
	for range 2 { // posts without an effect are never the same
		if p := create(author, "x", ""); p.Text != "x" {
			t.Errorf("without an effect: %+v", p)
		}
	}
	var wg sync.WaitGroup
	ids := make([]string, 10)
	for i := range ids {
		wg.Go(func() { ids[i] = create(author, "at once", "e2").ID })
	}
	wg.Wait()
	posts, err := s.PostsBy(ctx, []string{author}, "", 100)
	if err != nil || len(posts) != 4 {
		t.Errorf("%d posts by the author, want 4: %v", len(posts), err)
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one effect made the posts %v", ids)
			break
		}
	}
	if err := s.DeletePost(ctx, first.ID, author); err != nil {
		t.Fatal(err)
	}
	if p := create(author, "anew", "e1"); p.Text != "anew" {
		t.Errorf("after the first was deleted: %+v", p)
	}
}
