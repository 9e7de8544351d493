package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"

	"pharos/internal/fault"
	"pharos/internal/idempotency"
)

// claims answers the package's scripts as Redis would, so that fuzzing needs no
// server. What Redis makes of them is tested against a real one.
type claims struct{ prints, answers map[string]string }

// DialHook implements redis.Hook.
func (claims) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (claims) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook. The arguments are EVALSHA, the script, 1,
// the key and ARGV: three of claim, five of settle.
func (c claims) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		script, ok := cmd.(*redis.Cmd)
		args := cmd.Args()
		if !ok || len(args) < 7 {
			return errors.New("not a script of the package")
		}
		key, _ := args[3].(string)
		if len(args) > 7 {
			c.answers[key], _ = args[7].(string)
			script.SetVal(int64(1))
			return nil
		}
		print, _ := args[4].(string)
		switch known, ok := c.prints[key]; {
		case !ok:
			c.prints[key] = print
			script.SetVal([]any{"mine"})
		case known != print:
			script.SetVal([]any{"other"})
		default:
			script.SetVal([]any{"answered", "201", "text/plain", c.answers[key]})
		}
		return nil
	}
}

// FuzzKey sends two requests with the same key: a key that is no key is
// refused, and one that is has one effect, again for an equal request and never
// for another.
func FuzzKey(f *testing.F) {
	f.Add("0198f2a1-7c3b-7d7e-8f21-0a1b2c3d4e5f", []byte(`{"text":"a"}`), []byte(`{"text":"a"}`))
	f.Add(`"quoted"`, []byte("a"), []byte("b"))
	f.Add(strings.Repeat("k", 255), []byte(""), []byte(""))
	f.Add(strings.Repeat("k", 256), []byte(""), []byte(""))
	f.Add("a b", []byte("\n"), []byte("\n\n"))
	f.Add("ключ", []byte("x"), []byte("x"))
	f.Add("k:other:k", []byte("x"), []byte("x"))
	f.Add("\x00\r\n", []byte("x"), []byte("x"))
	gin.SetMode(gin.ReleaseMode)
	f.Fuzz(func(t *testing.T, key string, first, second []byte) {
		const most = 100
		rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
		defer func() { _ = rdb.Close() }()
		kept := claims{map[string]string{}, map[string]string{}}
		rdb.AddHook(kept)
		effects := 0
		r := gin.New()
		keys := idempotency.New(rdb, idempotency.Config{TTL: time.Minute, Claim: time.Second}, most)
		r.POST("/things", keys.Middleware(func(*gin.Context) string { return "u1" }), func(c *gin.Context) {
			effects++
			c.String(http.StatusCreated, "done")
		})
		send := func(body []byte) *httptest.ResponseRecorder {
			req := httptest.NewRequest(http.MethodPost, "/things", strings.NewReader(string(body)))
			req.Header[idempotency.Header] = []string{key}
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			return w
		}
		a, b := send(first), send(second)
		usable := len(key) <= 255 && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
		switch {
		case key == "":
			if effects != 2 || len(kept.prints) > 0 {
				t.Errorf("without a key: %d effects", effects)
			}
		case !usable:
			var p fault.Problem
			if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil || a.Code != 400 || p.Field != idempotency.Header || effects > 0 {
				t.Errorf("%q: %d %s, %d effects", key, a.Code, a.Body, effects)
			}
		case len(first) > most:
			if a.Code != 413 {
				t.Errorf("%d bytes: %d", len(first), a.Code)
			}
		case a.Code != 201 || effects != 1 && len(second) <= most:
			t.Errorf("%q: %d, %d effects", key, a.Code, effects)
		case string(first) == string(second) && (b.Code != 201 || b.Header().Get(idempotency.ReplayedHeader) != "true"):
			t.Errorf("%q, again: %d %v", key, b.Code, b.Header())
		case string(first) != string(second) && len(second) <= most && b.Code != 422:
			t.Errorf("%q, another request: %d", key, b.Code)
		}
		for name := range kept.prints {
			if name != "idempotency:u1:"+key {
				t.Errorf("%q is kept as %q", key, name)
			}
		}
	})
}
