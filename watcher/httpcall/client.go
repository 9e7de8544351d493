package httpcall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"time"

	"pharos/internal/env"
	"pharos/watcher/document"
)

// Config are a client's settings.
type Config struct {
	// Allow are the hosts that http inputs and webhooks may reach, as patterns of
	// scheme://host:port with * in them (Elastic's xpack.http.whitelist). A bare *
	// is every host but those behind loopback, link-local and cloud metadata
	// addresses, which only a pattern with a host of its own opens.
	Allow []string `env:"WATCHER_HTTP_ALLOW" envDefault:"*"`
	// MaxResponse bounds a response's body, in bytes.
	MaxResponse int64 `env:"WATCHER_HTTP_MAX_RESPONSE" envDefault:"10485760"`
	// ConnectTimeout and ReadTimeout are those of requests that name none. The
	// second is how long the other side may stay silent.
	ConnectTimeout time.Duration `env:"WATCHER_HTTP_CONNECT_TIMEOUT" envDefault:"10s"`
	ReadTimeout    time.Duration `env:"WATCHER_HTTP_READ_TIMEOUT" envDefault:"10s"`
}

var _ env.Validator = (*Config)(nil)

// Validate checks the settings.
func (c *Config) Validate() error {
	switch {
	case c.MaxResponse < 1 || c.MaxResponse > 50<<20:
		return fmt.Errorf("WATCHER_HTTP_MAX_RESPONSE must be between 1 and %d bytes", 50<<20)
	case c.ConnectTimeout <= 0:
		return errors.New("WATCHER_HTTP_CONNECT_TIMEOUT must be above 0")
	case c.ReadTimeout <= 0:
		return errors.New("WATCHER_HTTP_READ_TIMEOUT must be above 0")
	}
	return nil
}

// Client sends calls. It is safe for concurrent use; Close frees its idle
// connections.
type Client struct {
	cfg       Config
	guard     guard
	transport *http.Transport
}

// NewClient returns a client for calls that watches describe: each must be
// allowed, and so must each address that a name resolves to.
func NewClient(cfg Config) *Client { return newClient(cfg, guard{allow: cfg.Allow}) }

// NewTrustedClient returns a client for addresses that come from settings. Only
// a call's own proxy is held against the allow-list.
func NewTrustedClient(cfg Config) *Client {
	return newClient(cfg, guard{allow: cfg.Allow, trusted: true})
}

func newClient(cfg Config, g guard) *Client {
	return &Client{cfg: cfg, guard: g, transport: &http.Transport{
		DialContext:            g.dialer(g.trusted),
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    10,
		IdleConnTimeout:        time.Minute,
		TLSHandshakeTimeout:    cfg.ConnectTimeout,
		MaxResponseHeaderBytes: 1 << 20,
	}}
}

// Close closes the connections that nothing uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Response is what came back.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Record is the response as Elastic's records show it: headers in lower case,
// with dots as underscores, each a list.
func (r *Response) Record() *document.Object {
	o := document.NewObject(document.Pair{Key: "status", Value: int64(r.Status)})
	if headers := r.Headers(); headers.Len() > 0 {
		dotless := document.NewObject()
		for name, values := range headers.All() {
			dotless.Set(strings.ReplaceAll(name, ".", "_"), values)
		}
		o.Set("headers", dotless)
	}
	if len(r.Body) > 0 {
		o.Set("body", strings.ToValidUTF8(string(r.Body), "\uFFFD"))
	}
	return o
}

// Headers are the headers in lower case, each a list, sorted by name: what the
// http input puts under _headers.
func (r *Response) Headers() *document.Object {
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	o := document.NewObject()
	for _, name := range names {
		list := []any{}
		for _, v := range r.Header[name] {
			list = append(list, v)
		}
		o.Set(strings.ToLower(name), list)
	}
	return o
}

// Do sends a call and reads the whole response, whatever its status. An error
// means that there was none: not allowed, no connection, too slow, too large.
func (c *Client) Do(ctx context.Context, call *Call) (*Response, error) {
	connect, read := c.cfg.ConnectTimeout, c.cfg.ReadTimeout
	if call.ConnectTimeout != nil {
		connect = *call.ConnectTimeout
	}
	if call.ReadTimeout != nil {
		read = *call.ReadTimeout
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// One timer is both: it runs for connect until there is a connection, then
	// starts anew for read whenever something arrives.
	silence := time.AfterFunc(connect, func() { cancel(errConnectTimeout) })
	defer silence.Stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		silence.Stop()
		silence.Reset(read)
	}})

	response, err := c.send(ctx, call, func() { silence.Reset(read) })
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errConnectTimeout) {
		return nil, fmt.Errorf("%s %s: no answer within the connection timeout (%s) or read timeout (%s)",
			call.method(), call.authority(), connect, read)
	}
	return response, err
}

var errConnectTimeout = errors.New("timeout")

func (c *Client) send(ctx context.Context, call *Call, alive func()) (*Response, error) {
	req, err := call.request(ctx)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if err := c.guard.check(req.URL, call.Proxy != nil); err != nil {
		return nil, err
	}
	transport := c.transport
	if call.Proxy != nil {
		transport = c.through(call.Proxy)
		defer transport.CloseIdleConnections()
	}
	client := http.Client{Transport: transport, CheckRedirect: c.redirect(call)}
	resp, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error // its text has the whole URL, and a query may hold a key
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("%s %s: %w", call.method(), call.authority(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(reporting{resp.Body, alive}, c.cfg.MaxResponse+1))
	if err != nil {
		return nil, fmt.Errorf("%s %s: read response: %w", call.method(), call.authority(), err)
	}
	if int64(len(body)) > c.cfg.MaxResponse {
		return nil, fmt.Errorf("%s %s: Maximum limit of [%d] bytes reached", call.method(), call.authority(), c.cfg.MaxResponse)
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// through is a transport by way of a proxy that a watch names; whoever wrote
// the watch could point it anywhere, so it is always guarded.
func (c *Client) through(p *Proxy) *http.Transport {
	t := c.transport.Clone()
	scheme := p.Scheme
	if scheme == "" {
		scheme = "http"
	}
	address := (&Call{Host: p.Host, Port: p.Port}).authority()
	t.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: address})
	t.DialContext = c.guard.dialer(false)
	return t
}

// redirect follows as Apache's client does: 301, 302 and 307 for GET and HEAD
// only, 303 always, each target checked.
func (c *Client) redirect(call *Call) func(*http.Request, []*http.Request) error {
	const most = 50
	return func(next *http.Request, via []*http.Request) error {
		safe := call.method() == "get" || call.method() == "head"
		if next.Response.StatusCode != http.StatusSeeOther && !safe {
			return http.ErrUseLastResponse
		}
		if len(via) > most {
			return fmt.Errorf("more than %d redirects", most)
		}
		return c.guard.check(next.URL, call.Proxy != nil)
	}
}

// reporting calls alive for everything read.
type reporting struct {
	io.Reader
	alive func()
}

func (r reporting) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.alive()
	}
	return n, err
}
