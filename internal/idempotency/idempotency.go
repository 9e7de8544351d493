// Package idempotency makes a request that carries an Idempotency-Key have one
// effect, however often and wherever it is sent: the semantics of
// draft-ietf-httpapi-idempotency-key-header.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
)

// Header names the key of a request.
const Header = "Idempotency-Key"

// ReplayedHeader is "true" on an answer that was given before.
const ReplayedHeader = "Idempotency-Replayed"

// MaxKey is the longest key, in characters.
const MaxKey = 255

// Config is how long answers and claims are kept.
type Config struct {
	TTL time.Duration `env:"IDEMPOTENCY_TTL" envDefault:"24h"` // of an answer
	// Claim is how long a request that got no answer, because its process died,
	// keeps others with its key out. It must be longer than any request takes.
	Claim time.Duration `env:"IDEMPOTENCY_CLAIM" envDefault:"1m"`
}

// Keys remembers requests in Redis. A request is the hash
// idempotency:{scope}:{key} with the fields print (of method, path and body),
// owner (whose claim it is) and, once answered, status, type and body. Redis
// must keep it across a restart (appendonly).
type Keys struct {
	rdb     redis.UniversalClient
	cfg     Config
	maxBody int64
}

// New returns keys for requests with bodies of up to maxBody bytes.
func New(rdb redis.UniversalClient, cfg Config, maxBody int64) *Keys { return &Keys{rdb, cfg, maxBody} }

//nolint:gochecknoglobals // a constant that go-redis makes by a function
var claim = redis.NewScript(`
local h = redis.call('HMGET', KEYS[1], 'print', 'status', 'type', 'body')
if not h[1] then
  redis.call('HSET', KEYS[1], 'print', ARGV[1], 'owner', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'mine'}
end
if h[1] ~= ARGV[1] then return {'other'} end
if not h[2] then return {'running'} end
return {'answered', h[2], h[3], h[4]}
`)

//nolint:gochecknoglobals // as claim
var settle = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'type', ARGV[3], 'body', ARGV[4])
return redis.call('PEXPIRE', KEYS[1], ARGV[5])
`)

// Middleware answers a request whose key was seen before: with the first answer
// again, with 422 when it is another request, with 409 while the first is being
// worked on. scope tells whose key it is: keys of different users never meet. A
// request without the header passes. While Redis is away a request with the
// header is refused with 503, since its one effect can't be promised.
//
// Answers of 5xx and 429 are not remembered: such a request may be sent again.
func (k *Keys) Middleware(scope func(*gin.Context) string) gin.HandlerFunc {
	return func(c *gin.Context) {
		keys := c.Request.Header.Values(Header)
		if len(keys) == 0 || c.Request.Method != http.MethodPost {
			return // the other methods are idempotent by themselves
		}
		// One that is there and empty was meant to be a key.
		if err := k.serve(c, scope(c), strings.Join(keys, ", ")); err != nil {
			httpserver.Problem(c, err)
		}
	}
}

func (k *Keys) serve(c *gin.Context, scope, key string) error {
	if !valid(key) {
		return fault.Field(fault.InvalidParameter, Header, "%s must have 1 to %d visible ASCII characters.", Header, MaxKey)
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, k.maxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return fault.New(fault.BodyTooLarge, "The body may have at most %d bytes.", tooLarge.Limit)
		}
		return fault.New(fault.MalformedBody, "The body could not be read.")
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))

	ctx := c.Request.Context()
	name := "idempotency:" + scope + ":" + key
	owner := uuid.NewString()
	answer, err := claim.Run(ctx, k.rdb, []string{name}, fingerprint(c.Request, body), owner, k.cfg.Claim.Milliseconds()).StringSlice()
	if err != nil || len(answer) == 0 {
		f := fault.New(fault.Unavailable, "Keys can't be checked at present. Nothing was done: send the request again.")
		f.RetryAfter = time.Second
		return fmt.Errorf("claim idempotency key: %w: %w", f, err)
	}
	switch answer[0] {
	case "other":
		return fault.Field(fault.KeyReused, Header, "The key was used for another request.")
	case "running":
		f := fault.Field(fault.Conflict, Header, "The request with this key is being worked on.")
		f.RetryAfter = time.Second
		return f
	case "answered":
		status, err := strconv.Atoi(answer[1])
		if err != nil {
			return fmt.Errorf("read remembered answer: %w", err)
		}
		c.Header(ReplayedHeader, "true")
		c.Abort()
		c.Data(status, answer[2], []byte(answer[3]))
		return nil
	}

	w := &recorder{ResponseWriter: c.Writer}
	c.Writer = w
	settled := false
	defer func() {
		if !settled { // a panic on its way: the request may be sent again
			k.settle(ctx, c, name, owner, nil)
		}
	}()
	c.Next()
	settled = true
	k.settle(ctx, c, name, owner, w)
	return nil
}

// settle remembers the answer, or frees the key where w is nil or the answer is
// not to be remembered. The client may be gone; that changes nothing.
func (k *Keys) settle(ctx context.Context, c *gin.Context, name, owner string, w *recorder) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	status, kind, body := "", "", ""
	if w != nil && w.Status() < http.StatusInternalServerError && w.Status() != http.StatusTooManyRequests {
		status, kind, body = strconv.Itoa(w.Status()), w.Header().Get("Content-Type"), w.body.String()
	}
	if err := settle.Run(ctx, k.rdb, []string{name}, owner, status, kind, body, k.cfg.TTL.Milliseconds()).Err(); err != nil {
		httpserver.LogFault(c, fmt.Errorf("remember answer of idempotency key: %w", err))
	}
}

func valid(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return key != "" && len(key) <= MaxKey
}

func fingerprint(r *http.Request, body []byte) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n", r.Method, r.URL.RequestURI()) // a hash takes everything
	_, _ = h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// recorder keeps what is written.
type recorder struct {
	gin.ResponseWriter
	body bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

func (r *recorder) WriteString(s string) (int, error) {
	r.body.WriteString(s)
	return r.ResponseWriter.WriteString(s)
}
