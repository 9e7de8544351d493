package elastic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	maxAttempts   = 4
	firstBackoff  = 100 * time.Millisecond
	maxBackoff    = 5 * time.Second
	maxRetryAfter = 10 * time.Second
)

// Perform sends req, whose URL holds path and query only, as the client's
// account unless it has an Authorization header. It lets libraries that need a
// transport (go-docappender) use this client. A call is repeated up to three
// times, with growing random pauses, where that can't do a thing twice:
//
//   - after 429 and 503, and after a failed connect: nothing was done yet;
//   - after 502, 504, and a connection that broke, only where the call is
//     idempotent: GET, HEAD, PUT, DELETE, and the POSTs that only read.
//
// The answer of the last attempt is returned whatever its status. The context
// of req ends the pauses, too.
func (c *Client) Perform(req *http.Request) (*http.Response, error) {
	if err := rewindable(req); err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	idempotent := isIdempotent(req.Method, req.URL.Path)
	for attempt := 1; ; attempt++ {
		try := req.Clone(req.Context()) // the transport writes host and scheme into it
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, fmt.Errorf("rewind request body: %w", err)
			}
			try.Body = body
		}
		resp, err := c.base.Perform(try)
		if attempt == maxAttempts || !repeatable(resp, err, idempotent) {
			return resp, err
		}
		pause := backoff(attempt, rand.Float64())
		if resp != nil {
			pause = max(pause, retryAfter(resp.Header))
			_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody) // lets the connection be used again
			_ = resp.Body.Close()
		}
		if werr := sleep(req.Context(), pause); werr != nil {
			if err == nil {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
			return nil, fmt.Errorf("%w after %d attempts: %w", werr, attempt, err)
		}
	}
}

// rewindable makes sure that the body can be sent again.
func rewindable(req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return nil
	}
	content, err := io.ReadAll(req.Body)
	if cerr := req.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	req.ContentLength = int64(len(content))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return nil
}

// isIdempotent reports whether doing the call twice is the same as once.
func isIdempotent(method, urlPath string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
		return true
	case http.MethodPost:
		switch path.Base(urlPath) {
		case "_search", "_msearch", "_count", "_refresh", "_field_caps", "_has_privileges":
			return true
		}
		return strings.Contains(urlPath, "/_simulate/")
	}
	return false
}

func repeatable(resp *http.Response, err error, idempotent bool) bool {
	if err != nil {
		var op *net.OpError
		notSent := errors.As(err, &op) && op.Op == "dial"
		ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		return !ended && (notSent || idempotent && isNetwork(err))
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return idempotent
	}
	return false
}

// isNetwork tells a broken connection from what repeating can't heal: a
// certificate that is not trusted, a server that is not Elasticsearch.
func isNetwork(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op != "remote error" || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// backoff is the pause after the given attempt, counted from 1, for a random
// number in [0,1): at least half of a time that doubles.
func backoff(attempt int, random float64) time.Duration {
	d := min(firstBackoff<<(attempt-1), maxBackoff)
	return d/2 + time.Duration(random*float64(d/2))
}

// retryAfter is the pause that the server asks for, bounded; zero where it
// asks for none.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
