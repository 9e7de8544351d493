// Package elastic is Pharos' only door to Elasticsearch: the client, the one
// definition of traffic, and the setup of streams, roles and accounts.
package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
)

// Client talks to Elasticsearch. It is safe for concurrent use, and holds
// nothing that needs closing.
type Client struct{ base performer }

// performer is the transport below the retries.
type performer interface {
	Perform(*http.Request) (*http.Response, error)
}

// New returns a client. It does not connect: an Elasticsearch that is away
// shows at the first call.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("setting %w", err)
	}
	transport, err := cfg.transport()
	if err != nil {
		return nil, fmt.Errorf("setting %w", err)
	}
	base, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		Addresses:    cfg.URLs,
		Username:     cfg.User,
		Password:     cfg.Password.Reveal(),
		Transport:    transport,
		DisableRetry: true, // which calls may be repeated is decided in retry.go
	})
	if err != nil {
		return nil, fmt.Errorf("make Elasticsearch client: %w", err)
	}
	return &Client{base: base}, nil
}

// Ping reports whether Elasticsearch answers and knows the client's account.
func (c *Client) Ping(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/", nil, nil)
}

const (
	// maxAnswer bounds what one call reads into memory.
	maxAnswer = 64 << 20
	// callTimeout is for calls whose context has no deadline, repeats included.
	callTimeout = 90 * time.Second
)

// ErrTooLarge says that an answer does not fit into what one call may read. Less
// may be asked for.
var ErrTooLarge = errors.New("the answer is too large")

// call sends in as JSON, unless it is nil, and decodes the answer into out,
// unless that is nil. A refusal is returned as an [*Error].
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.callAs(ctx, nil, method, path, in, out)
}

// login is the account of one call that is not made as the client's own.
type login struct{ user, password string }

func (c *Client) callAs(ctx context.Context, as *login, method, path string, in, out any) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	req, err := newRequest(ctx, method, path, in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if as != nil {
		req.SetBasicAuth(as.user, as.password)
	}
	resp, err := c.Perform(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, req.URL.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return refusal(req, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: read answer: %w", method, req.URL.Path, err)
	case len(body) > maxAnswer:
		return fmt.Errorf("%s %s: %w: more than %d MiB", method, req.URL.Path, ErrTooLarge, maxAnswer>>20)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w", method, req.URL.Path, err)
	}
	return nil
}

func newRequest(ctx context.Context, method, path string, in any) (*http.Request, error) {
	if in == nil {
		return http.NewRequestWithContext(ctx, method, path, nil)
	}
	body, ok := in.(json.RawMessage)
	if !ok {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// isStatus reports whether Elasticsearch refused with the given status.
func isStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}
