package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// Do sends a request with a JSON body (nil: none), with Perform's repeats, and
// returns the status and the body of any answer, refusals among them; an error
// only if none came. It is for those who pass on what Elasticsearch says.
func (c *Client) Do(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	var in any
	if body != nil {
		in = json.RawMessage(body)
	}
	req, err := newRequest(ctx, method, path, in)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	resp, err := c.Perform(req)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, req.URL.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("%s %s: read answer: %w", method, req.URL.Path, err)
	case len(answer) > maxAnswer:
		return 0, nil, fmt.Errorf("%s %s: answer is larger than %d MiB", method, req.URL.Path, maxAnswer>>20)
	}
	return resp.StatusCode, answer, nil
}
