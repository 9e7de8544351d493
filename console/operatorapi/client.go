// Package operatorapi is the console's way to the operator scope of the public
// API: users' accounts, what they asked for, and how functions did.
package operatorapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.elastic.co/apm/module/apmhttp/v2"

	"pharos/internal/env"
	"pharos/internal/fault"
)

// maxAnswer bounds what one answer may hold.
const maxAnswer = 8 << 20

// Config is where the API is and the key to its operator scope.
type Config struct {
	// URLs are the api processes' base URLs; the first that answers is taken.
	URLs []string `env:"API_URLS,required,notEmpty"`
	// Key opens the operator scope. It is sent to these processes alone.
	Key env.Secret `env:"OPERATOR_API_KEY,required,notEmpty"`
}

// Validate implements env.Validator.
func (c Config) Validate() error {
	for _, text := range c.URLs {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("API_URLS must be addresses with commas between, as in http://127.0.0.1:8101,http://127.0.0.1:8102")
		}
	}
	return nil
}

// Client calls the API.
type Client struct {
	cfg  Config
	http *http.Client
}

// New returns a client.
func New(cfg Config) *Client {
	plain := &http.Client{
		// Less than a page has, so that the next process can still be asked.
		Timeout: 4 * time.Second,
		// Go would send the key along to wherever a redirect leads.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Client{cfg: cfg, http: apmhttp.WrapClient(plain)}
}

// Account is a user.
type Account struct {
	ID          string     `json:"id"`
	Handle      string     `json:"handle"`
	Name        string     `json:"name"`
	CreatedAt   time.Time  `json:"created_at"`
	SuspendedAt *time.Time `json:"suspended_at"` // nil while the user is active
}

// Request is one of a user's tracked requests.
type Request struct {
	RequestID string    `json:"request_id"`
	TraceID   string    `json:"trace_id"`
	Method    string    `json:"method"`
	Path      string    `json:"path"` // with its query
	Status    int       `json:"status"`
	Returned  int       `json:"returned"` // items in the answer
	Source    string    `json:"source"`   // the store that the answer was read from, "" for none
	Millis    float64   `json:"duration_ms"`
	At        time.Time `json:"at"`
}

// Seconds is how long the request took.
func (r Request) Seconds() float64 { return r.Millis / 1000 }

// Requests is a page of them, newest first.
type Requests struct {
	Items      []Request `json:"items"`
	NextCursor string    `json:"next_cursor"`
}

// Function is how a measured function did. Times are in seconds; nil where it
// was not called.
type Function struct {
	Name      string   `json:"func_name"`
	Calls     int64    `json:"calls"`
	Errors    int64    `json:"errors"`
	ErrorRate *float64 `json:"error_rate"`
	Average   *float64 `json:"avg_time"`
	P50       *float64 `json:"p50"`
	P95       *float64 `json:"p95"`
	P99       *float64 `json:"p99"`
}

// Account looks a user up; fault.NotFound where nobody has the handle.
func (c *Client) Account(ctx context.Context, handle string) (Account, error) {
	var a Account
	return a, c.call(ctx, http.MethodGet, "/v1/admin/users?"+url.Values{"handle": {handle}}.Encode(), &a)
}

// Requests returns up to limit of a user's tracked requests after a cursor ("":
// the newest).
func (c *Client) Requests(ctx context.Context, id, cursor string, limit int) (Requests, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	var page Requests
	return page, c.call(ctx, http.MethodGet, "/v1/admin/users/"+url.PathEscape(id)+"/requests?"+q.Encode(), &page)
}

// Suspend keeps a user from acting; it holds everywhere within 30 s.
func (c *Client) Suspend(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPut, "/v1/admin/users/"+url.PathEscape(id)+"/suspension", nil)
}

// Reactivate ends a suspension.
func (c *Client) Reactivate(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/admin/users/"+url.PathEscape(id)+"/suspension", nil)
}

// Functions returns what was measured from a time (inside) to another (not
// inside), to the second.
func (c *Client) Functions(ctx context.Context, from, to time.Time) ([]Function, error) {
	q := url.Values{"from": {from.UTC().Format(time.RFC3339)}, "to": {to.UTC().Format(time.RFC3339)}}
	var answer struct {
		Items []Function `json:"items"`
	}
	return answer.Items, c.call(ctx, http.MethodGet, "/v1/functions?"+q.Encode(), &answer)
}

// call asks one api process after the other until one answers; each of the calls
// may be repeated. What the API refuses is a fault with its own words.
func (c *Client) call(ctx context.Context, method, path string, out any) error {
	var failed []error
	for _, base := range c.cfg.URLs {
		status, answer, err := c.ask(ctx, method, strings.TrimSuffix(base, "/")+path)
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("operator scope: %s: %w", method, err)
		case err != nil:
			failed = append(failed, err)
			continue
		case status >= http.StatusMultipleChoices:
			return fmt.Errorf("operator scope: %s: status %d: %w", method, status, refusal(status, answer))
		case out == nil:
			return nil
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return fmt.Errorf("operator scope: %s: decode answer: %w", method, err)
		}
		return nil
	}
	away := fault.New(fault.Unavailable, "The public API does not answer the console.")
	return fmt.Errorf("operator scope: %s: %w: %w", method, away, errors.Join(failed...))
}

func (c *Client) ask(ctx context.Context, method, address string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("X-Api-Key", c.cfg.Key.Reveal())
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	return resp.StatusCode, answer, nil
}

// refusal reads the API's problem+json.
func refusal(status int, answer []byte) error {
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		// It is the console that was refused, not the reader.
		return fault.New(fault.Unavailable, "The public API refuses the console's operator key. OPERATOR_API_KEY must be the same for both.")
	}
	var p fault.Problem
	if err := json.Unmarshal(answer, &p); err != nil || status >= http.StatusInternalServerError {
		return fault.New(fault.Unavailable, "The public API could not answer the console.")
	}
	return p.Fault()
}
