package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"pharos/internal/env"
)

// seedCmd makes a small demo through the public API, so that it looks like any
// other users' doing in logs and traces.
type seedCmd struct {
	URL  string `help:"Base URL of Pharos." default:"http://127.0.0.1:8080" env:"PHAROS_URL"`
	Once bool   `help:"Do nothing if the demo users are there already."`
}

type seedSettings struct {
	Password env.Secret `env:"DEMO_PASSWORD,required,notEmpty"`
}

type demoUser struct {
	handle, name string
	follows      []string
	posts        []string
}

// demo is who there is in the demo, and what they post in turn.
func demo() []demoUser {
	return []demoUser{
		{"ada", "Ada Lovelace", []string{"grace", "alan"}, []string{
			"The engine weaves algebraic patterns as the loom weaves flowers.",
			"Note G is done: the first Bernoulli numbers, step by step.",
		}},
		{"grace", "Grace Hopper", []string{"ada", "alan", "edsger"}, []string{
			"Found a moth in relay 70. First actual case of a bug.",
			"A ship in port is safe, but that is not what ships are for.",
		}},
		{"alan", "Alan Turing", []string{"ada", "edsger"}, []string{
			"We can only see a short distance ahead, but we can see plenty there that needs to be done.",
			"Whether it halts? I would rather not say in general.",
		}},
		{"edsger", "Edsger Dijkstra", []string{"grace"}, []string{
			"Simplicity is prerequisite for reliability.",
			"The shortest path took me twenty minutes, over coffee, without pencil and paper.",
		}},
	}
}

// Run implements the command.
func (s *seedCmd) Run(ctx context.Context, c *cli) error {
	var cfg seedSettings
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	client := seedClient{base: strings.TrimSuffix(s.URL, "/"), http: &http.Client{Timeout: 15 * time.Second}}
	users := demo()
	made := 0
	for _, u := range users {
		err := client.post(ctx, "/v1/users", "", map[string]string{"handle": u.handle, "name": u.name, "password": cfg.Password.Reveal()}, nil)
		if status(err) == http.StatusConflict {
			if s.Once {
				continue
			}
			err = nil
		} else if err == nil {
			made++
		}
		if err != nil {
			return fmt.Errorf("sign up %s: %w", u.handle, err)
		}
	}
	if s.Once && made == 0 {
		return report(c.JSON, 0, 0)
	}
	posts := 0
	for _, u := range users {
		var session struct {
			Token string `json:"token"`
		}
		err := client.post(ctx, "/v1/sessions", "", map[string]string{"handle": u.handle, "password": cfg.Password.Reveal()}, &session)
		if err != nil {
			return fmt.Errorf("sign in as %s (was DEMO_PASSWORD changed?): %w", u.handle, err)
		}
		for _, followee := range u.follows {
			if err := client.do(ctx, http.MethodPut, "/v1/follows/"+followee, session.Token, nil, nil); err != nil {
				return fmt.Errorf("%s follows %s: %w", u.handle, followee, err)
			}
		}
		for _, text := range u.posts {
			if err := client.post(ctx, "/v1/posts", session.Token, map[string]string{"text": text}, nil); err != nil {
				return fmt.Errorf("%s posts: %w", u.handle, err)
			}
			posts++
		}
		if err := client.do(ctx, http.MethodGet, "/v1/feed", session.Token, nil, nil); err != nil {
			return fmt.Errorf("%s reads the feed: %w", u.handle, err)
		}
	}
	return report(c.JSON, made, posts)
}

func report(asJSON bool, users, posts int) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]int{"users": users, "posts": posts})
	}
	if users == 0 && posts == 0 {
		fmt.Println("The demo users are there already.")
		return nil
	}
	fmt.Printf("%d demo users made, %d posts. Sign in as ada, grace, alan or edsger with DEMO_PASSWORD from .env.\n", users, posts)
	return nil
}

type seedClient struct {
	base string
	http *http.Client
}

// statusError is an answer that is not 2xx.
type statusError struct {
	code   int
	detail string
}

func (e *statusError) Error() string { return fmt.Sprintf("answered %d %s", e.code, e.detail) }

func status(err error) int {
	if e, ok := err.(*statusError); ok { //nolint:errorlint // do returns it unwrapped
		return e.code
	}
	return 0
}

func (c seedClient) post(ctx context.Context, path, token string, in, out any) error {
	return c.do(ctx, http.MethodPost, path, token, in, out)
}

func (c seedClient) do(ctx context.Context, method, path, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var p struct {
			Detail string `json:"detail"`
		}
		_ = json.Unmarshal(answer, &p) // nginx down to a bare body: the status says enough
		return &statusError{resp.StatusCode, p.Detail}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
