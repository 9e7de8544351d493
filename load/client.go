package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// ErrUnreachable means that the target does not answer at all.
var ErrUnreachable = errors.New("the target does not answer")

// Client sends requests to one target, and to no other: redirects are not
// followed.
type Client struct {
	base   *url.URL
	http   *http.Client
	tokens []string // of the users, by number
}

const (
	requestTimeout = 10 * time.Second
	// idleTimeout is shorter than nginx's for its clients (30 s).
	idleTimeout = 20 * time.Second
	maxAnswer   = 8 << 20
	userAgent   = "pharos-load"
)

// NewClient returns a client of the service at base, an http or https URL.
func NewClient(base string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--url: %q is not an http URL", base)
	}
	return &Client{base: u, http: &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			MaxIdleConns: 512, MaxIdleConnsPerHost: 512, IdleConnTimeout: idleTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Send implements Sender.
func (c *Client) Send(ctx context.Context, r Request) Answer {
	token := ""
	if r.User != Nobody {
		token = c.tokens[r.User]
	}
	resp, err := c.send(ctx, r, token)
	if err != nil {
		return Answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return Answer{}
	}
	return Answer{resp.StatusCode}
}

func (c *Client) send(ctx context.Context, r Request, token string) (*http.Response, error) {
	ref, err := url.Parse(r.Path)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.base.ResolveReference(ref).String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("User-Agent", userAgent)
	for name, value := range map[string]string{"Accept": r.Accept, "Content-Type": r.ContentType} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return c.http.Do(req)
}

// Handle is the name of a user of the load.
func Handle(user int) string { return fmt.Sprintf("load_%04d", user+1) }

const (
	follows = 5 // users that each one follows
	// signInsAtOnce is low: a password costs the service tens of milliseconds.
	signInsAtOnce = 2
	// patience is how often a request of the preparation is sent that is told
	// to come again later.
	patience = 20
)

// Prepare signs n users up, or in where they are there already, with one
// password, and lets them follow each other. An error wraps ErrUnreachable
// where the target does not answer.
func (c *Client) Prepare(ctx context.Context, n int, password string) error {
	if _, err := c.ask(ctx, Request{Method: http.MethodGet, Path: "/healthz", Want: http.StatusOK}, "", nil); err != nil {
		return err
	}
	c.tokens = make([]string, n)
	if err := each(n, func(user int) (err error) {
		c.tokens[user], err = c.enter(ctx, user, password)
		return err
	}); err != nil {
		return err
	}
	return each(n, func(user int) error {
		for i := 1; i <= min(follows, n-1); i++ {
			followee := Handle((user + i) % n)
			r := Request{Method: http.MethodPut, Path: "/v1/follows/" + followee, Want: http.StatusNoContent}
			if _, err := c.ask(ctx, r, c.tokens[user], nil); err != nil {
				return fmt.Errorf("%s follows %s: %w", Handle(user), followee, err)
			}
		}
		return nil
	})
}

// each calls do for every user, some at once, and returns the first error.
func each(n int, do func(user int) error) error {
	var (
		wg    sync.WaitGroup
		users = make(chan int)
		errs  = make(chan error, signInsAtOnce)
	)
	for range signInsAtOnce {
		wg.Go(func() {
			for user := range users {
				if err := do(user); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	var err error
	for user := 0; user < n && err == nil; user++ {
		select {
		case users <- user:
		case err = <-errs:
		}
	}
	close(users)
	wg.Wait()
	if err == nil && len(errs) > 0 {
		err = <-errs
	}
	return err
}

// enter returns a token of the user.
func (c *Client) enter(ctx context.Context, user int, password string) (string, error) {
	handle := Handle(user)
	signUp := Request{Accept: "application/json"}
	signUp.post("/v1/users", "application/json", map[string]string{"handle": handle, "name": "Load " + strconv.Itoa(user+1), "password": password}, http.StatusCreated)
	if status, err := c.ask(ctx, signUp, "", nil); err != nil && status != http.StatusConflict {
		return "", fmt.Errorf("sign up %s: %w", handle, err)
	}
	signIn := Request{Accept: "application/json"}
	signIn.post("/v1/sessions", "application/json", map[string]string{"handle": handle, "password": password}, http.StatusCreated)
	var session struct {
		Token string `json:"token"`
	}
	if _, err := c.ask(ctx, signIn, "", &session); err != nil {
		return "", fmt.Errorf("sign in as %s (was DEMO_PASSWORD changed?): %w", handle, err)
	}
	return session.Token, nil
}

// ask sends a request of the preparation until it gets its status. Being told
// to come again later is no failure; every other status is.
func (c *Client) ask(ctx context.Context, r Request, token string, out any) (int, error) {
	for try := 1; ; try++ {
		resp, err := c.send(ctx, r, token)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		_ = resp.Body.Close() // it was read
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		switch wait, later := retryAfter(resp); {
		case resp.StatusCode == r.Want && out == nil:
			return r.Want, nil
		case resp.StatusCode == r.Want:
			return r.Want, json.Unmarshal(body, out)
		case later && try < patience:
			if !sleepUntil(ctx, time.Now().Add(wait)) {
				return 0, ctx.Err()
			}
		default:
			return resp.StatusCode, fmt.Errorf("answered %s", resp.Status)
		}
	}
}

// retryAfter is what an answer of 429 or 503 says of when to come again.
func retryAfter(resp *http.Response) (wait time.Duration, later bool) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	s, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || s < 1 || s > 60 {
		s = 1
	}
	return time.Duration(s) * time.Second, true
}
