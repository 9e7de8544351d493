package feedhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"go.elastic.co/apm/module/apmhttp/v2"
	"go.uber.org/zap"

	"pharos/feed"
	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/resilience"
)

// Call is what every call to feed is made with.
type Call struct {
	RequestID string
	Identity  *Identity // nil for a call for no user

	apiKey string // to be verified
}

// Client calls feed. Its methods may be called from any goroutine; their
// errors carry the fault that feed answered with, or fault.Unavailable where no
// instance answered.
//
// A call goes to one instance after another, in turn, leaving out those whose
// breaker is open. Where nothing could be sent to an instance, the next one is
// asked at once. A call that failed otherwise is made again, within the budget
// for retries, only where repeating it is harmless: the method is idempotent.
// The first attempt of such a call gets half of the time that is left, so that
// an instance that hangs leaves time for another.
type Client struct {
	instances []*instance
	next      atomic.Uint32
	keys      *Keys
	http      *http.Client
	retrier   *resilience.Retrier
}

type instance struct {
	base  *url.URL
	guard *resilience.Guard
}

const (
	connectTimeout = 500 * time.Millisecond
	maxAnswer      = 4 << 20
	attempts       = 3
)

// NewClient returns a client that spreads its calls over the instances of feed
// at the base URLs.
func NewClient(bases []string, keys *Keys, metrics *resilience.Metrics, log *zap.Logger) (*Client, error) {
	if len(bases) == 0 {
		return nil, errors.New("FEED_URLS names no instance of feed")
	}
	c := &Client{keys: keys, retrier: resilience.NewRetrier("feed", attempts, isRepeatable, metrics)}
	limits := resilience.Defaults()
	limits.MaxInFlight = 256
	for _, base := range bases {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("FEED_URLS: %q is not an http URL", base)
		}
		c.instances = append(c.instances, &instance{u, resilience.NewGuard("feed", u.Host, limits, isInstanceFailure, metrics, log)})
	}
	c.http = &http.Client{
		Transport: apmhttp.WrapRoundTripper(&http.Transport{
			DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
			MaxIdleConns:        512,
			MaxIdleConnsPerHost: 256,
			// Shorter than feed's DRAIN_DELAY, so that a connection is never
			// reused just as a stopping instance closes it.
			IdleConnTimeout: 3 * time.Second,
		}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// SignUp adds a user.
func (c *Client) SignUp(ctx context.Context, call Call, in feed.SignUp) (feed.User, error) {
	var u feed.User
	return u, c.json(ctx, call, http.MethodPost, "/v1/users", in, &u)
}

// SignIn starts a session.
func (c *Client) SignIn(ctx context.Context, call Call, handle, password string) (feed.Session, error) {
	var s feed.Session
	return s, c.json(ctx, call, http.MethodPost, "/v1/sessions", credentials{handle, password}, &s)
}

// CheckSession returns nil when the call's user may act.
func (c *Client) CheckSession(ctx context.Context, call Call) error {
	return c.json(ctx, call, http.MethodGet, "/v1/sessions/current", nil, nil)
}

// SignOut ends the call's session.
func (c *Client) SignOut(ctx context.Context, call Call) error {
	return c.json(ctx, call, http.MethodDelete, "/v1/sessions/current", nil, nil)
}

// CreatePost adds a post; see [feed.Service.CreatePost] for what effect is.
func (c *Client) CreatePost(ctx context.Context, call Call, text, effect string) (feed.Post, error) {
	var p feed.Post
	return p, c.json(ctx, call, http.MethodPost, "/v1/posts", newPost{text, effect}, &p)
}

// DeletePost removes a post of the user's own.
func (c *Client) DeletePost(ctx context.Context, call Call, id string) error {
	return c.json(ctx, call, http.MethodDelete, "/v1/posts/"+url.PathEscape(id), nil, nil)
}

// Follow makes the user follow another.
func (c *Client) Follow(ctx context.Context, call Call, handle string) error {
	return c.json(ctx, call, http.MethodPut, "/v1/follows/"+url.PathEscape(handle), nil, nil)
}

// Unfollow is the reverse of Follow.
func (c *Client) Unfollow(ctx context.Context, call Call, handle string) error {
	return c.json(ctx, call, http.MethodDelete, "/v1/follows/"+url.PathEscape(handle), nil, nil)
}

// Answer is a body that is passed on as it is.
type Answer struct {
	JSON     []byte
	Source   feed.Source
	Degraded []string      // parts that it was made without
	Age      time.Duration // of a stale answer; 0 for others
}

// Timeline returns a page of the user's timeline; see [feed.Page] for its
// shape.
func (c *Client) Timeline(ctx context.Context, call Call, limit int, cursor string) (Answer, error) {
	return c.list(ctx, call, "/v1/feed", limit, cursor)
}

// Requests returns a page of the user's requests; see [feed.RequestPage].
func (c *Client) Requests(ctx context.Context, call Call, limit int, cursor string) (Answer, error) {
	return c.list(ctx, call, "/v1/users/me/requests", limit, cursor)
}

func (c *Client) list(ctx context.Context, call Call, path string, limit int, cursor string) (Answer, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	header, body, err := c.do(ctx, call, http.MethodGet, path+"?"+q.Encode(), nil)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{JSON: body, Source: feed.Source(header.Get(sourceHeader)), Degraded: header.Values(degradedHeader)}
	if s, err := strconv.ParseInt(header.Get("Age"), 10, 32); err == nil && s > 0 {
		answer.Age = time.Duration(s) * time.Second
	}
	return answer, nil
}

func (c *Client) json(ctx context.Context, call Call, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode %s %s: %w", method, path, err)
		}
	}
	_, answer, err := c.do(ctx, call, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("decode answer of feed to %s %s: %w", method, path, err)
	}
	return nil
}

// transportError is a call that got no answer.
type transportError struct {
	err        error
	repeatable bool
	unsent     bool // no connection was made
}

func (e *transportError) Error() string { return e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }

func isRepeatable(err error) bool {
	var t *transportError
	return errors.As(err, &t) && t.repeatable || errors.Is(err, resilience.ErrRejected)
}

// isUnsent tells that the instance got nothing of the call.
func isUnsent(err error) bool {
	var t *transportError
	return errors.As(err, &t) && t.unsent || errors.Is(err, resilience.ErrRejected)
}

// isInstanceFailure tells what counts against an instance: no answer, or one
// that says that it can't work at present. One that refuses calls because it is
// busy works as well as it can: leaving it out would make a lot too much of a
// little too much.
func isInstanceFailure(err error) bool {
	var t *transportError
	return errors.As(err, &t) || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout)
}

// do returns the header and the body of an answer of 2xx.
func (c *Client) do(ctx context.Context, call Call, method, path string, body []byte) (header http.Header, answer []byte, err error) {
	turn := int(c.next.Add(1))
	err = c.retrier.Do(ctx, func(ctx context.Context, attempt int) error {
		if method != http.MethodPost && attempt < attempts-1 {
			var cancel context.CancelFunc
			ctx, cancel = halfOfTheTime(ctx)
			defer cancel()
		}
		for i := range c.instances {
			in := c.pick(turn + attempt + i)
			err = in.guard.Do(ctx, func(ctx context.Context) (err error) {
				header, answer, err = c.attempt(ctx, in.base, call, method, path, body)
				return err
			})
			if !isUnsent(err) {
				break
			}
		}
		return err
	})
	var t *transportError
	switch {
	case err == nil:
		return header, answer, nil
	case ctx.Err() != nil:
		return nil, nil, fmt.Errorf("ask feed: %w", err)
	case errors.As(err, &t), errors.Is(err, resilience.ErrRejected):
		away := fault.New(fault.Unavailable, "The feed service does not answer at present.")
		away.RetryAfter = 2 * time.Second
		return nil, nil, fmt.Errorf("ask feed: %w: %w", away, err)
	}
	return nil, nil, fmt.Errorf("ask feed: %w", err)
}

// pick returns the instance whose turn it is, or the next whose breaker lets
// calls through.
func (c *Client) pick(turn int) *instance {
	for i := range c.instances {
		if in := c.instances[(turn+i)%len(c.instances)]; !in.guard.Open() {
			return in
		}
	}
	return c.instances[turn%len(c.instances)]
}

func halfOfTheTime(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

func (c *Client) attempt(ctx context.Context, base *url.URL, call Call, method, path string, body []byte) (http.Header, []byte, error) {
	ref, err := url.Parse(path)
	if err != nil {
		return nil, nil, fmt.Errorf("make request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, base.ResolveReference(ref).String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set(httpserver.RequestIDHeader, call.RequestID)
	if call.apiKey != "" {
		req.Header.Set(apiKeyHeader, call.apiKey)
	}
	httpserver.SetTimeout(req)
	if err := c.keys.signRequest(req, call.Identity); err != nil {
		return nil, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		unsent := isDial(err)
		return nil, nil, &transportError{err, unsent || method != http.MethodPost, unsent}
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, &transportError{fmt.Errorf("read answer: %w", err), method != http.MethodPost, false}
	}
	return resp.Header, answer, answerFault(resp, answer)
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// answerFault turns an answer that is not 2xx into the error that feed meant.
func answerFault(resp *http.Response, body []byte) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	var p fault.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Type == "" {
		return fmt.Errorf("feed answered %s without a problem", resp.Status)
	}
	f := p.Fault()
	if f.Code == fault.Forbidden {
		// feed says this to a caller that is not api: our keys differ, which
		// is no fault of the user's.
		return fmt.Errorf("feed refused our credentials: %s", p.Detail)
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		f.RetryAfter = time.Duration(s) * time.Second
	}
	return fmt.Errorf("feed answered: %w", f)
}
