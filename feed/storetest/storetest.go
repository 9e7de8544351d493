// Package storetest is what every implementation of feed's stores must do. The
// suites run against real servers, next to whatever else uses them: each test
// makes users of its own.
package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"pharos/feed"
	"pharos/internal/fault"
)

// ID returns a new id in the form of feed's.
func ID(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// User makes a user in the store.
func User(t testing.TB, s feed.Store) feed.User {
	t.Helper()
	id := ID(t)
	u := feed.User{ID: id, Handle: "u" + id[24:], Name: "Test User", CreatedAt: now()}
	if err := s.CreateUser(t.Context(), u, "hash of "+id); err != nil {
		t.Fatal(err)
	}
	return u
}

// Store is the suite of feed.Store.
func Store(t *testing.T, s feed.Store) {
	t.Run("users", func(t *testing.T) { users(t, s) })
	t.Run("sessions", func(t *testing.T) { sessions(t, s) })
	t.Run("API keys", func(t *testing.T) { apiKeys(t, s) })
	t.Run("limit of API keys", func(t *testing.T) { apiKeyLimit(t, s) })
	t.Run("posts", func(t *testing.T) { posts(t, s) })
	t.Run("one post an effect", func(t *testing.T) { effects(t, s) })
	t.Run("follows", func(t *testing.T) { follows(t, s) })
}

func users(t *testing.T, s feed.Store) {
	ctx := t.Context()
	u := User(t, s)
	got, hash, err := s.UserByHandle(ctx, u.Handle)
	if err != nil || hash != "hash of "+u.ID {
		t.Fatalf("by handle: hash %q, error %v", hash, err)
	}
	if diff := cmp.Diff(u, got); diff != "" {
		t.Errorf("by handle (-want +got):\n%s", diff)
	}
	other := u
	other.ID = ID(t)
	if err := s.CreateUser(ctx, other, "x"); !fault.Is(err, fault.Conflict) {
		t.Errorf("taken handle: %v", err)
	}
	if _, _, err := s.UserByHandle(ctx, "nobody_"+u.Handle); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown handle: %v", err)
	}
	if _, err := s.User(ctx, ID(t)); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown id: %v", err)
	}
	list, err := s.Users(ctx, []string{u.ID, ID(t)})
	if err != nil || len(list) != 1 || list[0].ID != u.ID {
		t.Errorf("users: %v %v", list, err)
	}
	if list, err := s.Users(ctx, nil); err != nil || len(list) != 0 {
		t.Errorf("no users: %v %v", list, err)
	}

	at := now()
	if err := s.SetSuspended(ctx, u.ID, &at); err != nil {
		t.Fatal(err)
	}
	if got, err := s.User(ctx, u.ID); err != nil || got.SuspendedAt == nil || !got.SuspendedAt.Equal(at) {
		t.Errorf("suspended: %+v %v", got, err)
	}
	if err := s.SetSuspended(ctx, u.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := s.User(ctx, u.ID); err != nil || got.SuspendedAt != nil {
		t.Errorf("reactivated: %+v %v", got, err)
	}
	if err := s.SetSuspended(ctx, ID(t), &at); !fault.Is(err, fault.NotFound) {
		t.Errorf("suspend unknown: %v", err)
	}
}

func sessions(t *testing.T, s feed.Store) {
	ctx := t.Context()
	u := User(t, s)
	id, at := ID(t), now()
	if err := s.CreateSession(ctx, id, u.ID, at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		id, user string
		at       time.Time
		want     bool
	}{
		"live":    {id, u.ID, at, true},
		"expired": {id, u.ID, at.Add(time.Hour), false},
		"other's": {id, ID(t), at, false},
		"unknown": {ID(t), u.ID, at, false},
	} {
		if got, err := s.SessionExists(ctx, tt.id, tt.user, tt.at); err != nil || got != tt.want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	for range 2 { // the second time there is nothing to delete
		if err := s.DeleteSession(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.SessionExists(ctx, id, u.ID, at); err != nil || got {
		t.Errorf("deleted: %v %v", got, err)
	}
}

func posts(t *testing.T, s feed.Store) {
	ctx := t.Context()
	a, b, c := User(t, s), User(t, s), User(t, s)
	var want []feed.Post // of a and b, oldest first
	for i := range 9 {
		author := []feed.User{a, b, c}[i%3]
		p := feed.Post{ID: ID(t), AuthorID: author.ID, Text: fmt.Sprintf("post %d ü\n\"x\"", i), CreatedAt: now()}
		if _, err := s.CreatePost(ctx, p, ""); err != nil {
			t.Fatal(err)
		}
		if author.ID != c.ID {
			want = append(want, p)
		}
	}
	slices.Reverse(want)
	authors := []string{a.ID, b.ID}
	got, err := s.PostsBy(ctx, authors, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	got, err = s.PostsBy(ctx, authors, want[1].ID, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[2:4], got); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
	if got, err := s.PostsBy(ctx, nil, "", 10); err != nil || len(got) != 0 {
		t.Errorf("no authors: %v %v", got, err)
	}

	if err := s.DeletePost(ctx, want[0].ID, c.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("delete another's: %v", err)
	}
	if err := s.DeletePost(ctx, want[0].ID, want[0].AuthorID); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := s.DeletePost(ctx, want[0].ID, want[0].AuthorID); !fault.Is(err, fault.NotFound) {
		t.Errorf("delete again: %v", err)
	}
	if got, err := s.PostsBy(ctx, authors, "", 1); err != nil || len(got) != 1 || got[0].ID != want[1].ID {
		t.Errorf("after delete: %v %v", got, err)
	}
}

func follows(t *testing.T, s feed.Store) {
	ctx := t.Context()
	a, b, c := ID(t), ID(t), ID(t)
	var wg sync.WaitGroup
	for range 8 { // at once and again: one edge
		wg.Go(func() {
			if err := s.Follow(ctx, a, b); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := s.Follow(ctx, a, c); err != nil {
		t.Fatal(err)
	}
	followees := func() []string {
		ids, err := s.Followees(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ids)
		return ids
	}
	if got := followees(); !slices.Equal(got, []string{b, c}) {
		t.Errorf("followees %v", got)
	}
	for range 2 {
		if err := s.Unfollow(ctx, a, b); err != nil {
			t.Fatal(err)
		}
	}
	if got := followees(); !slices.Equal(got, []string{c}) {
		t.Errorf("after unfollow %v", got)
	}
	if got, err := s.Followees(ctx, b); err != nil || len(got) != 0 {
		t.Errorf("of a user who follows nobody: %v %v", got, err)
	}
}

// Requests is the suite of feed.RequestStore.
func Requests(t *testing.T, s feed.RequestStore) {
	ctx := t.Context()
	user, other := ID(t), ID(t)
	var want []feed.Request
	for i := range 5 {
		want = append(want, feed.Request{
			ID: ID(t), UserID: user, RequestID: fmt.Sprintf("req-%d", i), TraceID: "0af7651916cd43dd8448eb211c80319c",
			Method: "GET", Path: "/v1/feed?limit=2", Status: 200, Returned: i, Source: feed.FromCache,
			DurationMS: 1.25, At: now(),
		})
	}
	theirs := want[0]
	theirs.ID, theirs.UserID = ID(t), other
	if err := s.Insert(ctx, append([]feed.Request{theirs}, want[:3]...)); err != nil {
		t.Fatal(err)
	}
	if err := s.Insert(ctx, want); err != nil { // three of them again
		t.Fatal(err)
	}
	if err := s.Insert(ctx, nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
	slices.Reverse(want)
	got, err := s.ByUser(ctx, user, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	got, err = s.ByUser(ctx, user, want[1].ID, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[2:4], got); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
}

// TimelineCache is the suite of feed.TimelineCache.
func TimelineCache(t *testing.T, c feed.TimelineCache) {
	ctx := t.Context()
	friend, friend2 := ID(t), ID(t)
	fresh := func(t *testing.T) (feed.PageKey, []feed.Origin) {
		key := feed.PageKey{UserID: ID(t), Limit: 20, Before: ID(t)}
		return key, []feed.Origin{feed.FollowsOf(key.UserID), feed.PostsOf(friend), feed.PostsOf(friend2)}
	}
	keep := func(t *testing.T, key feed.PageKey, origins []feed.Origin) feed.Kept {
		t.Helper()
		p := feed.Kept{Page: feed.Page{JSON: []byte("{\"items\":[\"\x00ü\"]}"), Count: 1}, MadeAt: now()}
		versions, err := c.Versions(ctx, origins)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Keep(ctx, key, p, origins, versions); err != nil {
			t.Fatal(err)
		}
		return p
	}
	has := func(t *testing.T, key feed.PageKey) (feed.Kept, bool) {
		t.Helper()
		p, ok, err := c.Page(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		return p, ok && !p.Changed
	}

	t.Run("keeps what is unchanged", func(t *testing.T) {
		key, origins := fresh(t)
		if _, ok := has(t, key); ok {
			t.Error("there before it was kept")
		}
		want := keep(t, key, origins)
		got, ok := has(t, key)
		if !ok || string(got.JSON) != string(want.JSON) || got.Count != 1 || !got.MadeAt.Equal(want.MadeAt) {
			t.Errorf("got %+v, %v", got, ok)
		}
		another := key
		another.Limit++
		if _, ok := has(t, another); ok {
			t.Error("a page of another limit is there")
		}
	})
	t.Run("drops what has changed", func(t *testing.T) {
		for i := range 3 {
			key, origins := fresh(t)
			keep(t, key, origins)
			if err := c.Changed(ctx, origins[i]); err != nil {
				t.Fatal(err)
			}
			if _, ok := has(t, key); ok {
				t.Errorf("unchanged after a change of %s", origins[i])
			}
			if old, ok, err := c.Page(ctx, key); err != nil || !ok || !old.Changed || old.Count != 1 {
				t.Errorf("what was there is not kept for an outage: %+v %v %v", old, ok, err)
			}
			keep(t, key, origins)
			if _, ok := has(t, key); !ok {
				t.Error("not there after it was kept anew")
			}
		}
	})
	t.Run("a page that is made from others than before depends on those", func(t *testing.T) {
		key, origins := fresh(t)
		keep(t, key, origins[:2])
		for range 2 { // what was read once may be remembered
			if _, ok := has(t, key); !ok {
				t.Fatal("not there")
			}
		}
		keep(t, key, origins[1:])
		if err := c.Changed(ctx, origins[0]); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, ok := has(t, key); !ok {
				t.Error("changed with what it is no longer made from")
			}
		}
		if err := c.Changed(ctx, origins[2]); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, ok := has(t, key); ok {
				t.Error("unchanged after a change of what it is made from now")
			}
		}
	})
	t.Run("a change between read and keep wins", func(t *testing.T) {
		key, origins := fresh(t)
		versions, err := c.Versions(ctx, origins)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Changed(ctx, origins[1]); err != nil {
			t.Fatal(err)
		}
		if err := c.Keep(ctx, key, feed.Kept{Page: feed.Page{JSON: []byte("old")}, MadeAt: now()}, origins, versions); err != nil {
			t.Fatal(err)
		}
		if _, ok := has(t, key); ok {
			t.Error("a page made before the change is served")
		}
	})
	t.Run("5000 friends", func(t *testing.T) {
		key, origins := fresh(t)
		for range 5000 {
			origins = append(origins, feed.PostsOf(ID(t)))
		}
		keep(t, key, origins)
		if _, ok := has(t, key); !ok {
			t.Error("not kept")
		}
		if err := c.Changed(ctx, origins[len(origins)-1]); err != nil {
			t.Fatal(err)
		}
		if _, ok := has(t, key); ok {
			t.Error("still there after a change of the last friend")
		}
	})
}

// SessionCache is the suite of feed.SessionCache.
func SessionCache(t *testing.T, c feed.SessionCache) {
	ctx := t.Context()
	id := ID(t)
	expect := func(want feed.Standing) {
		t.Helper()
		if got, fresh, err := c.Standing(ctx, id); err != nil || got != want || fresh != (want != "") {
			t.Errorf("got %q %v %v, want %q", got, fresh, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect("")
	must(c.Remember(ctx, id, feed.Active))
	expect(feed.Active)
	must(c.Remember(ctx, id, feed.Suspended))
	expect(feed.Suspended)
	must(c.End(ctx, id))
	expect(feed.Ended)
	must(c.Remember(ctx, id, feed.Active)) // read before the end, told after it
	expect(feed.Ended)
}

// Overflow is the suite of feed.Overflow; o must be empty.
func Overflow(t *testing.T, o feed.Overflow) {
	ctx := t.Context()
	var want []feed.Request
	for i := range 5 {
		want = append(want, feed.Request{
			ID: ID(t), UserID: ID(t), TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			RequestID: "r", Method: "GET", Path: "/v1/feed", Status: 200, Returned: i, Source: feed.FromMongoDB, DurationMS: .5, At: now(),
		})
	}
	if err := o.Push(ctx, want); err != nil {
		t.Fatal(err)
	}
	drain := func(ctx context.Context, want []feed.Request) {
		t.Helper()
		got, handles, err := o.Peek(ctx, 3)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := o.Remove(ctx, handles); err != nil {
			t.Fatal(err)
		}
	}
	drain(ctx, want[:3])
	drain(ctx, want[3:])
	if rs, handles, err := o.Peek(ctx, 3); err != nil || len(rs) != 0 || len(handles) != 0 {
		t.Errorf("emptied: %v %v %v", rs, handles, err)
	}
}
