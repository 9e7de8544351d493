package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// degraded is the part of an answer that says what it was made without.
func degraded(t *testing.T, a answer) []string {
	t.Helper()
	var page struct{ Degraded []string }
	a.decode(t, &page)
	return page.Degraded
}

// breakerWindow is how long a breaker counts failures, and a little: one of an
// outage may open it while others have succeeded since.
const breakerWindow = 11 * time.Second

// outage stops processes while during runs, and waits until the feed is whole
// again and no breaker remembers.
func (s *stack) outage(t *testing.T, u user, during func(), processes ...string) {
	t.Helper()
	c := newClient(s)
	s.supervise(t, "stop", processes...)
	func() {
		defer s.supervise(t, "start", processes...)
		during()
	}()
	whole := time.Now()
	eventually(t, 2*time.Minute, "the feed is whole again", func() string {
		a := c.do(t, "GET", "/v1/feed", "", u.auth()...)
		if a.status != http.StatusOK || strings.Contains(string(a.body), `"degraded"`) {
			whole = time.Now()
			return fmt.Sprintf("%d %s", a.status, a.body)
		}
		if time.Since(whole) < breakerWindow {
			return "whole, but not for long enough"
		}
		return ""
	})
}

// TestFeedOutlivesItsParts stops one store after another, and then feed itself.
func TestFeedOutlivesItsParts(t *testing.T) {
	s := open(t)
	c := newClient(s)
	author, reader := c.signUp(t, "author"), c.signUp(t, "reader")
	c.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"still here"}`, author.auth()...)
	c.want(t, http.StatusNoContent, "PUT", "/v1/follows/"+author.Handle, "", reader.auth()...)
	read := func(t *testing.T) answer {
		t.Helper()
		a := c.want(t, http.StatusOK, "GET", "/v1/feed", "", reader.auth()...)
		if !strings.Contains(string(a.body), "still here") {
			t.Errorf("feed without the post: %s", a.body)
		}
		return a
	}
	for range 4 {
		if d := degraded(t, read(t)); d != nil {
			t.Fatalf("degraded from the start: %v", d)
		}
	}

	t.Run("redis", func(t *testing.T) {
		s.outage(t, reader, func() {
			if d := degraded(t, read(t)); !slices.Equal(d, []string{"cache"}) {
				t.Errorf("degraded %v", d)
			}
			c.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"without cache"}`, author.auth()...)
			if a := read(t); !strings.Contains(string(a.body), "without cache") {
				t.Errorf("the new post is missing: %s", a.body)
			}
		}, "redis")
		eventually(t, 30*time.Second, "the change is told to the cache that is back", func() string {
			if a := read(t); !strings.Contains(string(a.body), "without cache") {
				return string(a.body)
			}
			return ""
		})
	})

	t.Run("mongodb", func(t *testing.T) {
		s.outage(t, reader, func() {
			eventually(t, 30*time.Second, "a stale page is served", func() string {
				// The page is kept and unchanged: MongoDB is not even needed.
				if a := c.do(t, "GET", "/v1/feed", "", reader.auth()...); a.status != http.StatusOK {
					return fmt.Sprintf("%d %s", a.status, a.body)
				}
				return ""
			})
			a := c.do(t, "POST", "/v1/posts", `{"text":"x"}`, author.auth()...)
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Errorf("a post: %d %s", a.status, a.body)
			}
			c.want(t, http.StatusOK, "GET", "/tasks/fibonacci?n=10", "")
		}, "mongodb")
	})

	t.Run("mysql", func(t *testing.T) {
		s.outage(t, reader, func() {
			for range 3 {
				c.want(t, http.StatusOK, "GET", "/v1/feed?limit=11", "", reader.auth()...)
			}
		}, "mysql")
		eventually(t, time.Minute, "what was asked meanwhile is tracked", func() string {
			a := c.do(t, "GET", "/v1/users/me/requests?limit=100", "", reader.auth()...)
			if n := strings.Count(string(a.body), "/v1/feed?limit=11"); n != 3 {
				return fmt.Sprintf("%d of 3 requests: %d %s", n, a.status, a.body)
			}
			return ""
		})
	})

	t.Run("feed", func(t *testing.T) {
		for range 6 { // both instances of api have an answer to keep
			read(t)
		}
		s.outage(t, reader, func() {
			a := read(t)
			if d := degraded(t, a); !slices.Equal(d, []string{"feed"}) || a.header.Get("Age") == "" || !strings.HasPrefix(a.header.Get("Warning"), "110") {
				t.Errorf("degraded %v, header %v", d, a.header)
			}
			c.want(t, http.StatusOK, "GET", "/tasks/factorial?n=10", "")
		}, "feed-1", "feed-2")
	})
}

// TestEqualPostsMakeOnePost sends the same request fifty times at once.
func TestEqualPostsMakeOnePost(t *testing.T) {
	s := open(t)
	c := newClient(s)
	author, reader := c.signUp(t, "author"), c.signUp(t, "reader")
	c.want(t, http.StatusNoContent, "PUT", "/v1/follows/"+author.Handle, "", reader.auth()...)
	key := append(author.auth(), "Idempotency-Key", random(t))
	const body = `{"text":"only once"}`
	var (
		mu       sync.Mutex
		wg       sync.WaitGroup
		statuses = map[int]int{}
	)
	for range 50 {
		wg.Go(func() {
			a := newClient(s).do(t, "POST", "/v1/posts", body, key...)
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
		})
	}
	wg.Wait()
	if statuses[201]+statuses[409] != 50 || statuses[201] == 0 {
		t.Errorf("statuses %v", statuses)
	}
	s.supervise(t, "stop", "redis")
	s.supervise(t, "start", "redis")
	eventually(t, time.Minute, "the answer is remembered across a restart of Redis", func() string {
		a := c.do(t, "POST", "/v1/posts", body, key...)
		if a.status != http.StatusCreated || a.header.Get("Idempotency-Replayed") != "true" {
			return fmt.Sprintf("%d %s", a.status, a.body)
		}
		return ""
	})
	c.want(t, http.StatusUnprocessableEntity, "POST", "/v1/posts", `{"text":"another"}`, key...)
	var page feedPage
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", reader.auth()...).decode(t, &page)
	if len(page.Items) != 1 {
		t.Errorf("%d posts: %+v", len(page.Items), page.Items)
	}
}
