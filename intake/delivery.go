package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	firstPause = 250 * time.Millisecond
	lastPause  = 10 * time.Second
	// attemptTimeout is longer than the minute for which Elasticsearch itself
	// waits for a shard before it gives an answer.
	attemptTimeout = 90 * time.Second
	// maxServerErrors is how often a bulk request is sent that Elasticsearch
	// fails on. One that always breaks it must not stay for ever.
	maxServerErrors = 5
	remindInterval  = time.Minute
	maxAnswer       = 16 << 20
)

var errAborted = errors.New("the process stops")

// delivery sends bulk requests, and sends them again until Elasticsearch has
// answered for their documents. docappender drops the documents of a request
// that fails as a whole; with this below it none does but by Elasticsearch's
// own judgement, and requests that wait here are what makes the queue fill.
type delivery struct {
	next Transport
	log  *zap.Logger

	hurried  context.Context // ends when the process begins to stop
	hurry    context.CancelFunc
	aborted  context.Context // ends when it must be over
	abort    context.CancelFunc
	retries  atomic.Int64
	mu       sync.Mutex
	reason   error // why requests fail; nil while they don't
	since    time.Time
	reminded time.Time
}

func newDelivery(next Transport, log *zap.Logger) *delivery {
	d := &delivery{next: next, log: log}
	d.hurried, d.hurry = context.WithCancel(context.Background())
	d.aborted, d.abort = context.WithCancel(context.Background())
	return d
}

// Perform returns Elasticsearch's answer to a bulk request, or an error when
// the request's context or the delivery ended before there was one.
func (d *delivery) Perform(req *http.Request) (*http.Response, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(d.aborted, cancel)()
	pause, serverErrors := firstPause, 0
	for {
		res, err := d.attempt(ctx, req, body)
		if ctx.Err() != nil {
			return nil, errors.Join(errAborted, d.blockedBy())
		}
		reason := undelivered(res, err)
		if reason == nil {
			d.unblock()
			return res, nil
		}
		if res != nil && res.StatusCode == http.StatusInternalServerError {
			if serverErrors++; serverErrors == maxServerErrors {
				return res, nil
			}
		}
		d.block(reason)
		d.retries.Add(1)
		if d.sleep(ctx, pause) != nil {
			return nil, errors.Join(errAborted, reason)
		}
		pause = min(2*pause, lastPause)
	}
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, fmt.Errorf("read bulk request: %w", err)
	}
	return body, req.Body.Close()
}

// attempt sends the request once. The answer is read whole: one that breaks
// off half-way tells as little as none.
func (d *delivery) attempt(ctx context.Context, req *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req = req.Clone(ctx)
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
	res, err := d.next.Perform(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read bulk answer: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	return res, nil
}

// undelivered returns why a request is to be sent again, nil when its answer
// is final. Besides success that is only Elasticsearch's word that the request
// itself is wrong: all else can be put right from outside, even an account or
// an address.
func undelivered(res *http.Response, err error) error {
	switch {
	case err != nil:
		return err
	case res.StatusCode < 300, res.StatusCode == http.StatusBadRequest, res.StatusCode == http.StatusRequestEntityTooLarge:
		return nil
	}
	return fmt.Errorf("status %d from Elasticsearch", res.StatusCode)
}

// sleep waits before the next attempt, less while the process stops. The time
// is spread so that requests that failed together don't come back together.
func (d *delivery) sleep(ctx context.Context, pause time.Duration) error {
	hurried := d.hurried.Done()
	if d.hurried.Err() != nil {
		hurried, pause = nil, firstPause
	}
	timer := time.NewTimer(pause/2 + rand.N(pause/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurried:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// block notes that requests fail, and says so once a minute.
func (d *delivery) block(reason error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.reason == nil {
		d.since, d.reminded = now, time.Time{}
	}
	d.reason = reason
	if now.Sub(d.reminded) < remindInterval {
		return
	}
	d.reminded = now
	d.log.Warn("Elasticsearch does not take documents; they are kept and sent again",
		zap.Error(reason), zap.Int64("event.duration", now.Sub(d.since).Nanoseconds()))
}

func (d *delivery) unblock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason == nil {
		return
	}
	d.reason = nil
	d.log.Info("Elasticsearch takes documents again", zap.Int64("event.duration", time.Since(d.since).Nanoseconds()))
}

// blockedBy returns why requests fail, nil when the latest did not.
func (d *delivery) blockedBy() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason
}

// ready asks Elasticsearch who we are: the one question that needs no
// privilege but an account.
func (d *delivery) ready(ctx context.Context) error {
	if err := d.blockedBy(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/_security/_authenticate", nil)
	if err != nil {
		return err
	}
	res, err := d.next.Perform(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d from Elasticsearch", res.StatusCode)
	}
	return nil
}
