package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pharos/internal/fault"
	"pharos/internal/idempotency"
	"pharos/internal/redisconn"
	"pharos/internal/teststack"
)

// apiPorts are those of api's instances, for what must be true on each.
type apiPorts struct {
	API1 int `env:"API_1_PORT,required"`
	API2 int `env:"API_2_PORT,required"`
}

// at is a client that asks one instance past nginx.
func at(s *stack, port int) *client {
	one := *s
	one.NginxPort = port
	return newClient(&one)
}

type apiKey struct {
	ID, Name, Key, Prefix string
	Scopes                []string
	CreatedAt             time.Time  `json:"created_at"`
	LastUsedAt            *time.Time `json:"last_used_at"`
	ExpiresAt             *time.Time `json:"expires_at"`
}

// TestAPIKeys follows a key from its making to its end.
func TestAPIKeys(t *testing.T) {
	s := open(t)
	c := newClient(s)
	ports := teststack.Config[apiPorts](t)
	instances := []*client{at(s, ports.API1), at(s, ports.API2)}
	u := c.signUp(t, "program")
	made := func(name, scopes string) apiKey {
		t.Helper()
		var k apiKey
		a := c.want(t, http.StatusCreated, "POST", "/v1/api-keys", fmt.Sprintf(`{"name":%q,"scopes":[%s],"expires_at":"2099-01-01T00:00:00Z"}`, name, scopes), u.auth()...)
		a.decode(t, &k)
		if k.Key == "" || k.ID == "" || k.ExpiresAt == nil || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("made %s", a.body)
		}
		return k
	}
	events, posts := made("events", `"events:write"`), made("posts", `"posts:write","feed:read"`)
	with := func(k apiKey) []string { return []string{"X-Api-Key", k.Key} }
	n := 0
	send := func(c *client, k apiKey) answer {
		n++
		event := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/e2e/%s","type":"shop.view","data":{"session_id":"s","product_id":"p-%s"}}`, n, u.Handle, u.Handle)
		return c.do(t, "POST", "/v1/events", event, with(k)...)
	}

	for i, one := range append(instances, c) {
		if a := send(one, events); a.status != http.StatusAccepted {
			t.Fatalf("events by key at %d: %d %s", i, a.status, a.body)
		}
	}
	var post struct {
		ID       string
		AuthorID string `json:"author_id"`
	}
	c.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"by a program"}`, with(posts)...).decode(t, &post)
	if post.AuthorID != u.ID {
		t.Errorf("the post's author is %s, not %s", post.AuthorID, u.ID)
	}
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", with(posts)...)
	c.want(t, http.StatusNoContent, "DELETE", "/v1/posts/"+post.ID, "", with(posts)...)

	for name, tt := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		code               fault.Code
		says               string
	}{
		"missing scope":   {"GET", "/v1/feed", "", with(events), 403, fault.Forbidden, "feed:read"},
		"jobs":            {"POST", "/v1/jobs", `{"task":"factorial","arguments":{"n":200000}}`, with(posts), 403, fault.Forbidden, "jobs:write"},
		"a key by a key":  {"POST", "/v1/api-keys", `{"name":"x","scopes":["feed:read"]}`, with(posts), 403, fault.Forbidden, "takes no API key"},
		"operators'":      {"GET", "/v1/functions", "", with(posts), 403, fault.Forbidden, "operator"},
		"both":            {"GET", "/v1/feed", "", append(with(posts), u.auth()...), 400, fault.InvalidParameter, "not both"},
		"no such key":     {"GET", "/v1/feed", "", []string{"X-Api-Key", "pharos_x"}, 401, fault.InvalidKey, "unknown"},
		"taken name":      {"POST", "/v1/api-keys", `{"name":"posts","scopes":["feed:read"]}`, u.auth(), 409, fault.Conflict, "name"},
		"unknown scope":   {"POST", "/v1/api-keys", `{"name":"x","scopes":["feed:read","all"]}`, u.auth(), 422, fault.UnknownScope, "scopes[1]"},
		"revoke another":  {"DELETE", "/v1/api-keys/" + posts.ID, "", c.signUp(t, "stranger").auth(), 404, fault.NotFound, "no such key"},
		"revoke nonsense": {"DELETE", "/v1/api-keys/x", "", u.auth(), 404, fault.NotFound, "no such key"},
	} {
		a := c.do(t, tt.method, tt.path, tt.body, tt.header...)
		var p fault.Problem
		a.decode(t, &p)
		if a.status != tt.status || p.Fault().Code != tt.code || !strings.Contains(p.Detail, tt.says) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}

	var list struct{ Items []apiKey }
	eventually(t, 30*time.Second, "the keys' use is noted", func() string {
		a := c.want(t, http.StatusOK, "GET", "/v1/api-keys", "", u.auth()...)
		list.Items = nil
		a.decode(t, &list)
		if len(list.Items) != 2 || list.Items[0].LastUsedAt == nil || list.Items[1].LastUsedAt == nil {
			return string(a.body)
		}
		if strings.Contains(string(a.body), events.Key) || strings.Contains(string(a.body), "hash") {
			t.Fatalf("the list tells keys: %s", a.body)
		}
		return ""
	})
	if k := list.Items[1]; k.ID != events.ID || k.Name != "events" || k.Prefix == "" || !strings.HasPrefix(events.Key, k.Prefix+"_") {
		t.Errorf("listed as %+v, made as %+v", k, events)
	}

	refused := func(c *client, k apiKey, status int, code fault.Code) string {
		a := send(c, k)
		var p fault.Problem
		_ = json.Unmarshal(a.body, &p)
		if a.status != status || p.Fault().Code != code {
			return fmt.Sprintf("%d %s", a.status, a.body)
		}
		return ""
	}
	// An end is known at once where feed is asked, which a timeline is, and
	// within USER_CACHE_TTL where it is not, which an event is not.
	for _, one := range instances {
		one.want(t, http.StatusOK, "GET", "/v1/feed", "", with(posts)...)
	}
	c.want(t, http.StatusNoContent, "DELETE", "/v1/api-keys/"+posts.ID, "", u.auth()...)
	for i, one := range instances {
		if a := one.do(t, "GET", "/v1/feed", "", with(posts)...); a.status != http.StatusUnauthorized {
			t.Errorf("a revoked key at instance %d: %d %s", i+1, a.status, a.body)
		}
	}
	for i, one := range instances {
		if missing := refused(one, posts, 401, fault.InvalidKey); missing != "" {
			t.Errorf("a revoked key for events at instance %d: %s", i+1, missing)
		}
	}
	c.want(t, http.StatusNotFound, "DELETE", "/v1/api-keys/"+posts.ID, "", u.auth()...)

	for _, one := range instances {
		send(one, events) // so that each remembers the key
	}
	operator := []string{"X-Api-Key", s.OperatorKey}
	c.want(t, http.StatusNoContent, "PUT", "/v1/admin/users/"+u.ID+"/suspension", "", operator...)
	eventually(t, 30*time.Second, "the suspension holds for the key at both instances", func() string {
		for _, one := range instances {
			if missing := refused(one, events, 403, fault.UserSuspended); missing != "" {
				return missing
			}
		}
		return ""
	})
	c.want(t, http.StatusNoContent, "DELETE", "/v1/admin/users/"+u.ID+"/suspension", "", operator...)
	eventually(t, 30*time.Second, "the key works again", func() string {
		if a := send(c, events); a.status != http.StatusAccepted {
			return string(a.body)
		}
		return ""
	})
	c.want(t, http.StatusNoContent, "DELETE", "/v1/api-keys/"+events.ID, "", u.auth()...)
	eventually(t, 11*time.Second, "both instances know of the end", func() string {
		for _, one := range instances {
			if missing := refused(one, events, 401, fault.InvalidKey); missing != "" {
				return missing
			}
		}
		return ""
	})
	s.keyIsInNoLog(t, events, u)
}

// keyIsInNoLog expects the key's id on the access lines and in the traces, and
// the key nowhere.
func (s *stack) keyIsInNoLog(t *testing.T, k apiKey, u user) {
	t.Helper()
	secret := k.Key[len(k.Prefix)+1:]
	names, err := filepath.Glob(filepath.Join(s.State, "logs", "*", "*"))
	if err != nil || len(names) < 5 {
		t.Fatalf("logs: %v %v", names, err)
	}
	labelled := map[string]bool{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a directory, or rotated away
		}
		if strings.Contains(string(text), secret) {
			t.Errorf("%s holds the key", name)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"labels.api_key_id":"`+k.ID+`"`) && strings.Contains(line, u.ID) {
				labelled[strings.SplitN(filepath.Base(name), "-", 2)[0]] = true
			}
		}
	}
	if !labelled["api"] || !labelled["feed"] {
		t.Errorf("access lines that name the key are in %v", labelled)
	}
	eventually(t, arrival, "a transaction names the key", func() string {
		hits := s.search(t, "traces-apm-default", all(term("labels.api_key_id", k.ID), term("processor.event", "transaction"), term("user.id", u.ID)))
		if len(hits) == 0 {
			return "none"
		}
		for _, h := range hits {
			if strings.Contains(string(h.Source), secret) {
				t.Errorf("a transaction holds the key: %s", h.Source)
			}
		}
		return ""
	})
}

// TestSignInIsSlowed guesses a password through nginx until it is refused, and
// waits until the right one is taken.
func TestSignInIsSlowed(t *testing.T) {
	s := open(t)
	c := newClient(s)
	u := c.signUp(t, "guessed")
	guess := fmt.Sprintf(`{"handle":%q,"password":"not the password"}`, u.Handle)
	for range 5 {
		c.want(t, http.StatusUnauthorized, "POST", "/v1/sessions", guess)
	}
	right := fmt.Sprintf(`{"handle":%q,"password":%q}`, u.Handle, password)
	// Up to a wait that is long enough for the right password to fall into.
	var refusal answer
	eventually(t, time.Minute, "guesses are refused for 4 s or more", func() string {
		refusal = c.do(t, "POST", "/v1/sessions", guess)
		if wait, err := strconv.Atoi(refusal.header.Get("Retry-After")); err != nil || wait < 4 {
			return fmt.Sprintf("%d, Retry-After %q", refusal.status, refusal.header.Get("Retry-After"))
		}
		return ""
	})
	c.want(t, http.StatusTooManyRequests, "POST", "/v1/sessions", right)
	var p fault.Problem
	refusal.decode(t, &p)
	if refusal.status != http.StatusTooManyRequests || p.Fault().Code != fault.TooManyRequests {
		t.Errorf("refused by %d %s", refusal.status, refusal.body)
	}
	c.signIn(t, c.signUp(t, "bystander").Handle)
	eventually(t, 2*time.Minute, "the wait is over", func() string {
		if a := c.do(t, "POST", "/v1/sessions", right); a.status != http.StatusCreated {
			return string(a.body)
		}
		return ""
	})
	c.signIn(t, u.Handle)
	for _, action := range []string{"sign-in-failed", "sign-in-slowed"} {
		eventually(t, arrival, action+" is in Elasticsearch", func() string {
			hits := s.search(t, "logs-pharos-default", all(term("event.action", action), term("user.name", u.Handle),
				term("event.category", "authentication"), term("event.outcome", "failure"), term("client.ip", "127.0.0.1")))
			if len(hits) == 0 {
				return "not there" + s.tail("pharos/api-*.log")
			}
			return ""
		})
	}
}

// TestPostHasOneEffectWithoutItsClaim sends a post again as if the process had
// died before it remembered its answer, and its claim had run out.
func TestPostHasOneEffectWithoutItsClaim(t *testing.T) {
	s := open(t)
	c := newClient(s)
	rdb, err := redisconn.Open(teststack.Config[redisconn.Config](t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rdb.Close() }()
	u, reader := c.signUp(t, "once"), c.signUp(t, "reader")
	c.want(t, http.StatusNoContent, "PUT", "/v1/follows/"+u.Handle, "", reader.auth()...)
	key := "key-" + random(t)
	header := append(u.auth(), idempotency.Header, key)
	var first, again struct{ ID, Text string }
	c.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"once"}`, header...).decode(t, &first)
	forget := func() {
		if n, err := rdb.Del(t.Context(), "idempotency:"+u.ID+":"+key).Result(); err != nil || n != 1 {
			t.Fatalf("forgot %d claims: %v", n, err)
		}
	}
	forget()
	a := c.want(t, http.StatusCreated, "POST", "/v1/posts", `{"text":"once"}`, header...)
	a.decode(t, &again)
	if again != first || a.header.Get(idempotency.ReplayedHeader) != "" {
		t.Errorf("first %+v, then %+v, %v", first, again, a.header)
	}
	forget()
	var p fault.Problem
	c.want(t, http.StatusUnprocessableEntity, "POST", "/v1/posts", `{"text":"another"}`, header...).decode(t, &p)
	if p.Fault().Code != fault.KeyReused || p.Field != idempotency.Header {
		t.Errorf("another text: %+v", p)
	}
	var page feedPage
	c.want(t, http.StatusOK, "GET", "/v1/feed", "", reader.auth()...).decode(t, &page)
	if len(page.Items) != 1 || page.Items[0].ID != first.ID {
		t.Errorf("feed %+v", page)
	}
}
