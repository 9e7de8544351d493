package api_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pharos/internal/faultproxy"
	"pharos/internal/teststack"
)

// An answer that was made without a part says so, and one that is stale says
// how old it is, as HTTP has it.
func TestFallbacksSayWhatTheyAre(t *testing.T) {
	teststack.Need(t)
	s := start(t)
	author, reader, newcomer := s.signUp(t), s.signUp(t), s.signUp(t)
	for _, u := range []*user{reader, newcomer} {
		if a := s.do(t, "PUT", "/v1/follows/"+author.Handle, "", u); a.status != 204 {
			t.Fatalf("follow: %d %s", a.status, a.body)
		}
	}
	for _, c := range []struct {
		name     string
		away     []*faultproxy.Proxy
		part     string
		who      *user
		status   int
		degraded string
		stale    bool
	}{
		{"nothing is away", nil, "redis", reader, 200, "", false},
		{"mysql is away", []*faultproxy.Proxy{s.mysql}, "mysql", reader, 200, "", false},
		{"redis is away", []*faultproxy.Proxy{s.redis}, "redis", reader, 200, "cache", false},
		{"mongodb is away", []*faultproxy.Proxy{s.mongodb}, "mongodb", reader, 200, "mongodb", true},
		{"mongodb is away, nothing is kept", []*faultproxy.Proxy{s.mongodb}, "mongodb", newcomer, 503, "", false},
		{"feed is away", s.feeds, "feed", reader, 200, "feed", true},
		{"feed is away, nothing is kept", s.feeds, "feed", newcomer, 503, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			// What is kept is of before the last post.
			eventually(t, "the feed is whole", func() string {
				a := s.do(t, "GET", "/v1/feed", "", reader)
				if a.status != 200 || a.page.Degraded != nil || s.breakers(t, c.part) > 0 {
					return fmt.Sprintf("%d %.200s", a.status, a.body)
				}
				return ""
			})
			if a := s.do(t, "POST", "/v1/posts", `{"text":"newer"}`, author); a.status != 201 {
				t.Fatalf("post: %d %s", a.status, a.body)
			}
			for _, p := range c.away {
				p.Break(t, faultproxy.Down())
				defer p.Heal(t)
			}
			var a answer
			eventually(t, "the answers are as they should be", func() string {
				if a = s.do(t, "GET", "/v1/feed", "", c.who); a.status != c.status || a.degraded() != c.degraded {
					return fmt.Sprintf("%d, degraded by %q: %.200s", a.status, a.degraded(), a.body)
				}
				return ""
			})
			age, warning := a.header.Get("Age"), a.header.Get("Warning")
			if _, err := strconv.ParseUint(age, 10, 31); (err == nil) != c.stale || strings.HasPrefix(warning, "110 ") != c.stale || (age+warning == "") == c.stale {
				t.Errorf("Age %q, Warning %q", age, warning)
			}
			if whole := c.status == 200 && c.degraded == ""; (a.header.Get("ETag") != "") != whole {
				t.Errorf("ETag %q", a.header.Get("ETag"))
			}
			if (a.header.Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
			}
		})
	}
}

// However many ask for a page at once, it is read from MongoDB about once by
// each instance of feed; and then it is kept, whether it holds posts or none.
func TestAPageIsReadOnceForACrowd(t *testing.T) {
	teststack.Need(t)
	s := start(t)
	author, friend, loner := s.signUp(t), s.signUp(t), s.signUp(t)
	if a := s.do(t, "PUT", "/v1/follows/"+author.Handle, "", friend); a.status != 204 {
		t.Fatalf("follow: %d %s", a.status, a.body)
	}
	const crowd = 60
	// Who has missed the cache just before the page was kept may come too late
	// to share it.
	const most = crowd / 5
	read := func(t *testing.T, u *user, items int) int64 {
		t.Helper()
		before := s.made.Load()
		var wg sync.WaitGroup
		for range crowd {
			wg.Go(func() {
				if a := s.do(t, "GET", "/v1/feed", "", u); a.status != 200 || len(a.page.Items) != items || a.page.Degraded != nil {
					t.Errorf("%d %.200s", a.status, a.body)
				}
			})
		}
		wg.Wait()
		return s.made.Load() - before
	}
	for _, c := range []struct {
		name  string
		who   *user
		items int
	}{{"posts", friend, 1}, {"none", loner, 0}} {
		t.Run(c.name, func(t *testing.T) {
			if c.items > 0 {
				if a := s.do(t, "POST", "/v1/posts", `{"text":"new"}`, author); a.status != 201 {
					t.Fatalf("post: %d %s", a.status, a.body)
				}
			}
			if n := read(t, c.who, c.items); n < 1 || n > most {
				t.Errorf("%d readers cost MongoDB %d reads", crowd, n)
			}
			if n := read(t, c.who, c.items); n != 0 {
				t.Errorf("a page that is kept cost %d reads", n)
			}
		})
	}
}
