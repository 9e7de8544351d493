// Package watcherapi is the console's way to the watcher's API, always with the
// reader's own rights.
package watcherapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"go.elastic.co/apm/module/apmhttp/v2"

	"pharos/internal/fault"
)

// maxAnswer bounds what one answer may hold.
const maxAnswer = 32 << 20

// Client calls the watcher.
type Client struct {
	base string
	http *http.Client
}

// New returns a client of the watcher at base, as in "http://127.0.0.1:8095".
func New(base string) *Client {
	return &Client{base: strings.TrimSuffix(base, "/"), http: apmhttp.WrapClient(&http.Client{})}
}

// Call sends in as JSON, unless it is nil, as who authorization stands for, and
// decodes the answer into out, unless that is nil. What the watcher refuses is a
// fault with the watcher's words; one that does not answer is
// fault.Unavailable.
func (c *Client) Call(ctx context.Context, authorization, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: encode: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		return fmt.Errorf("%s %s: %w: %w", method, path, fault.New(fault.Unavailable, "The watcher does not answer: alerts and incidents can't be read or changed now."), err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: read answer: %w", method, path, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %w", method, path, refusal(resp.StatusCode, answer))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w", method, path, err)
	}
	return nil
}

// refusal reads the watcher's problem+json, and the error form of the calls that
// are Elastic's.
func refusal(status int, answer []byte) error {
	var said struct {
		Type   string `json:"type"`
		Detail string `json:"detail"`
		Field  string `json:"field"`
		Error  struct {
			Reason string `json:"reason"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer, &said); err != nil && !json.Valid(answer) {
		return fmt.Errorf("status %d", status)
	}
	detail := said.Detail
	if detail == "" {
		detail = said.Error.Reason
	}
	code := fault.Code(strings.TrimPrefix(said.Type, "/problems/"))
	switch {
	case status == http.StatusUnauthorized:
		return fault.New(fault.Unauthenticated, "Sign in again.")
	case status == http.StatusForbidden:
		return fault.New(fault.Forbidden, "Your role may not do this.")
	case status == http.StatusNotFound && said.Type == "":
		code = fault.NotFound
	case status < http.StatusInternalServerError && said.Type == "":
		code = fault.InvalidParameter
	case status >= http.StatusInternalServerError && said.Type == "":
		return errors.Join(fault.New(fault.Unavailable, "The watcher could not do it."), fmt.Errorf("status %d: %s", status, detail))
	}
	return fault.Field(code, said.Field, "%s", detail)
}
