package api_test

import (
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"pharos/internal/faultproxy"
	"pharos/internal/teststack"
)

// faultCase is what users see while a part fails in one way. Every answer must
// come in time, whatever it is.
type faultCase struct {
	part    string // whose breakers open
	proxies []*faultproxy.Proxy
	fault   faultproxy.Fault
	// reads are the values of "degraded" that an answer of the feed may have
	// while the breakers find out, and settled what it has once they have.
	// "503" stands for no answer.
	reads   []string
	settled string
	// posts are the statuses that a post may get, keyed those of a post with an
	// Idempotency-Key.
	posts, keyed []int
	// uneven is set where too few calls fail for a breaker to open.
	uneven bool
}

func (s *system) faultCases() map[string]faultCase {
	cases := map[string]faultCase{}
	add := func(part string, proxies []*faultproxy.Proxy, c faultCase, faults ...faultproxy.Fault) {
		for _, f := range faults {
			c.part, c.proxies, c.fault = strings.Fields(part)[0], proxies, f
			cases[part+", "+f.Name] = c
		}
	}
	var (
		hard = []faultproxy.Fault{faultproxy.Down(), faultproxy.Reset(), faultproxy.Silence(), faultproxy.Latency(20 * time.Second)}
		cut  = faultproxy.Cut(20)
	)
	// The cache is away: the stores answer. One effect can't be promised. Before
	// the breaker is open a crowd may use up the time, and api serves what it has.
	add("redis", []*faultproxy.Proxy{s.redis}, faultCase{
		reads: []string{"cache", "feed"}, settled: "cache", posts: []int{201}, keyed: []int{503},
	}, append(hard, cut)...)
	// Small answers still come through.
	add("redis", []*faultproxy.Proxy{s.redis}, faultCase{
		reads: []string{"", "cache"}, settled: "cache", posts: []int{201}, keyed: []int{201, 503}, uneven: true,
	}, faultproxy.Bandwidth(1))
	// The truth is away: what was kept is served. Before the breaker is open,
	// feed may need all the time that api gives it, and then it is api that
	// serves what it has.
	add("mongodb", []*faultproxy.Proxy{s.mongodb}, faultCase{
		reads: []string{"mongodb", "feed"}, settled: "mongodb", posts: []int{503, 504}, keyed: []int{503, 504},
	}, append(hard, cut)...)
	// Nobody notices.
	add("mysql", []*faultproxy.Proxy{s.mysql}, faultCase{
		reads: []string{""}, settled: "", posts: []int{201}, keyed: []int{201},
	}, faultproxy.Down(), cut)
	// Batches that wait for three seconds each are too few for a breaker.
	add("mysql", []*faultproxy.Proxy{s.mysql}, faultCase{
		reads: []string{""}, settled: "", posts: []int{201}, keyed: []int{201}, uneven: true,
	}, faultproxy.Silence())
	// One instance is away: the other answers, as far as the budget of retries
	// goes. Only a post that may have been made is not made again.
	add("feed one", s.feeds[:1], faultCase{
		reads: []string{"", "feed"}, settled: "", posts: []int{201, 503, 504}, keyed: []int{201, 503, 504},
	}, faultproxy.Down(), faultproxy.Reset(), faultproxy.Silence())
	add("feed all", s.feeds, faultCase{
		reads: []string{"feed"}, settled: "feed", posts: []int{503, 504}, keyed: []int{503, 504},
	}, append(hard, cut)...)
	return cases
}

// TestFaults lets the network between api, feed and their stores fail in every
// way that it knows, and holds the system to the table "what is away, what
// happens" of docs/architecture.md.
func TestFaults(t *testing.T) {
	teststack.Need(t)
	before, _ := goroutines(t)
	t.Run("system", func(t *testing.T) {
		s := start(t)
		author, reader := s.signUp(t), s.signUp(t)
		if a := s.do(t, "PUT", "/v1/follows/"+author.Handle, "", reader); a.status != 204 {
			t.Fatalf("follow: %d %s", a.status, a.body)
		}
		run := &faultRun{system: s, author: author, reader: reader, posts: map[string]string{}, keys: map[string]string{}}
		cases := s.faultCases()
		names := make([]string, 0, len(cases))
		for name := range cases {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			t.Run(name, func(t *testing.T) { run.check(t, cases[name]) })
		}
		t.Run("nothing is lost or doubled", run.accounts)
	})
	eventually(t, "every goroutine has ended", func() string {
		now, stacks := goroutines(t)
		if now > before {
			return fmt.Sprintf("%d instead of %d: %s", now, before, stacks)
		}
		return ""
	})
}

// goroutines counts all but toxiproxy's own: its bandwidth toxic leaves some
// behind.
func goroutines(t *testing.T) (n int, stacks string) {
	t.Helper()
	var out strings.Builder
	check(t, pprof.Lookup("goroutine").WriteTo(&out, 2))
	for stack := range strings.SplitSeq(out.String(), "\n\n") {
		if !strings.Contains(stack, "Shopify/toxiproxy") {
			n++
		}
	}
	return n, out.String()
}

// faultRun remembers what was asked for, to be counted at the end.
type faultRun struct {
	*system
	author, reader *user
	limit          int
	posts          map[string]string // text → "made" or "unknown"
	keys           map[string]string // text → key, of posts of unknown outcome

	mu      sync.Mutex
	tracked []string // ids of requests that must be tracked, once
}

// post posts a text of its own, with a key or without ("").
func (r *faultRun) post(t *testing.T, want []int, key string) {
	t.Helper()
	text := uuid.NewString()
	a := r.send(t, text, key)
	if !slices.Contains(want, a.status) {
		t.Errorf("a post: %d %s", a.status, a.body)
	}
	if a.status == 503 && a.header.Get("Retry-After") == "" {
		t.Errorf("a post: no Retry-After: %v", a.header)
	}
	r.posts[text] = "unknown"
	switch {
	case a.status == 201:
		r.posts[text] = "made"
	case key != "":
		r.keys[text] = key
	}
}

func (r *faultRun) send(t *testing.T, text, key string) answer {
	t.Helper()
	var header []string
	if key != "" {
		header = []string{"Idempotency-Key", key}
	}
	return r.do(t, "POST", "/v1/posts", fmt.Sprintf(`{"text":%q}`, text), r.author, header...)
}

// whole waits until the feed is as if nothing had happened.
func (r *faultRun) whole(t *testing.T, part string) {
	t.Helper()
	eventually(t, "the feed is whole again and the breakers are closed", func() string {
		for range 4 { // both instances, and no page that is kept
			r.limit = r.limit%100 + 1
			if a := r.do(t, "GET", fmt.Sprintf("/v1/feed?limit=%d", r.limit), "", r.reader); a.status != 200 || a.page.Degraded != nil {
				return fmt.Sprintf("%d %.200s", a.status, a.body)
			}
		}
		if open := r.breakers(t, part); open > 0 {
			return fmt.Sprintf("breakers of %s: %v", part, open)
		}
		return ""
	})
}

// read returns what the answer says that it was made without.
func (r *faultRun) read(t *testing.T, c faultCase) string {
	t.Helper()
	id := uuid.NewString()
	a := r.do(t, "GET", "/v1/feed", "", r.reader, "X-Request-Id", id)
	switch {
	case a.status != 200:
		t.Errorf("a read: %d %s", a.status, a.body)
	case !slices.Contains(c.reads, a.degraded()):
		t.Errorf("a read is degraded by %q", a.degraded())
	}
	if c.part == "mysql" {
		r.mu.Lock()
		r.tracked = append(r.tracked, id)
		r.mu.Unlock()
	}
	return a.degraded()
}

// crowd reads as often at once as a breaker needs to judge.
func (r *faultRun) crowd(t *testing.T, c faultCase) {
	t.Helper()
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() { r.read(t, c) })
	}
	wg.Wait()
}

func (r *faultRun) check(t *testing.T, c faultCase) {
	r.whole(t, c.part)
	// A page that is kept, by feed and by api, and has to be made anew.
	if a := r.do(t, "GET", "/v1/feed", "", r.reader); a.status != 200 || a.page.Degraded != nil {
		t.Fatalf("degraded from the start: %d %s", a.status, a.body)
	}
	r.post(t, []int{201}, "")
	for _, p := range c.proxies {
		p.Break(t, c.fault)
	}
	healed := false
	heal := func() {
		for _, p := range c.proxies {
			p.Heal(t)
		}
		healed = true
	}
	defer func() {
		if !healed {
			heal()
		}
	}()

	eventually(t, "the breakers are open and the answers as they should be", func() string {
		r.crowd(t, c)
		if open := r.breakers(t, c.part); open == 0 && !c.uneven {
			return "the breakers are closed"
		}
		for range 4 {
			if got := r.read(t, c); got != c.settled {
				return fmt.Sprintf("degraded by %q", got)
			}
		}
		return ""
	})
	for range 2 {
		r.post(t, c.posts, "")
		r.post(t, c.keyed, uuid.NewString())
	}
	if a := r.do(t, "GET", "/tasks/fibonacci?n=10", "", nil); a.status != 200 {
		t.Errorf("a task: %d %s", a.status, a.body)
	}
	heal()
	r.whole(t, c.part)
}

// accounts counts posts and tracked requests.
func (r *faultRun) accounts(t *testing.T) {
	// What may or may not have been made is sent again: once is enough.
	for text, key := range r.keys {
		if a := r.send(t, text, key); a.status != 201 {
			t.Errorf("a post, sent again: %d %s", a.status, a.body)
		}
		r.posts[text] = "made"
	}
	seen := map[string]int{}
	for cursor := ""; ; {
		a := r.do(t, "GET", "/v1/feed?limit=100&cursor="+cursor, "", r.reader)
		for _, item := range a.page.Items {
			seen[item.Text]++
		}
		if cursor = a.page.NextCursor; cursor == "" {
			break
		}
	}
	made := 0
	for text, state := range r.posts {
		switch n := seen[text]; {
		case state == "made" && n != 1:
			t.Errorf("a post is there %d times", n)
		case n > 1:
			t.Errorf("a post of unknown outcome is there %d times", n)
		}
		made += seen[text]
	}
	t.Logf("%d posts asked for, %d made", len(r.posts), made)
	eventually(t, "what was asked while MySQL was away is tracked, once", func() string {
		times := map[string]int{}
		for cursor := ""; ; {
			a := r.do(t, "GET", "/v1/users/me/requests?limit=100&cursor="+cursor, "", r.reader)
			for _, item := range a.page.Items {
				times[item.RequestID]++
			}
			if cursor = a.page.NextCursor; cursor == "" {
				break
			}
		}
		for _, id := range r.tracked {
			if times[id] != 1 {
				return fmt.Sprintf("request %s is tracked %d times", id, times[id])
			}
		}
		return ""
	})
	t.Logf("%d requests tracked", len(r.tracked))
}

// TestRetriesKeepToTheirBudget counts at feed what a hundred readers cost while
// one of its instances loses its answers.
func TestRetriesKeepToTheirBudget(t *testing.T) {
	teststack.Need(t)
	s := start(t)
	reader := s.signUp(t)
	s.do(t, "GET", "/v1/feed", "", reader)
	s.feeds[0].Break(t, faultproxy.Reset())
	before := s.atFeed.Load()
	const readers, reads = 100, 10
	var (
		wg    sync.WaitGroup
		stale atomic.Int64
	)
	for range readers {
		wg.Go(func() {
			for range reads {
				a := s.do(t, "GET", "/v1/feed", "", reader)
				if a.status != 200 {
					t.Errorf("a read: %d %s", a.status, a.body)
				}
				if a.degraded() == "feed" {
					stale.Add(1)
				}
			}
		})
	}
	wg.Wait()
	arrived := s.atFeed.Load() - before
	t.Logf("%d reads, of which %d got api's own answer; %d requests at feed", readers*reads, stale.Load(), arrived)
	if arrived > readers*reads*110/100 {
		t.Errorf("%d reads made %d requests", readers*reads, arrived)
	}
}
