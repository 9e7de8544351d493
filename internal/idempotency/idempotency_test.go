package idempotency_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/internal/idempotency"
	"pharos/internal/redisconn"
	"pharos/internal/teststack"
)

// instance is one of several processes that share a Redis.
func instance(t *testing.T, effects *atomic.Int64, answer func(c *gin.Context, n int64)) http.Handler {
	t.Helper()
	rdb, err := redisconn.Open(teststack.Config[redisconn.Config](t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	keys := idempotency.New(rdb, idempotency.Config{TTL: time.Minute, Claim: 10 * time.Second}, 1000)
	r.POST("/things", keys.Middleware(func(c *gin.Context) string { return c.GetHeader("User") }), func(c *gin.Context) { answer(c, effects.Add(1)) })
	return r
}

// without is no key at all, not even an empty one.
const without = "without"

func post(h http.Handler, user, key, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/things", strings.NewReader(body))
	r.Header.Set("User", user)
	if key != without {
		r.Header.Set(idempotency.Header, key)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOneEffect(t *testing.T) {
	var effects atomic.Int64
	slow := func(c *gin.Context, n int64) {
		time.Sleep(50 * time.Millisecond)
		c.JSON(http.StatusCreated, gin.H{"n": n})
	}
	a, b := instance(t, &effects, slow), instance(t, &effects, slow)
	user, key := uuid.NewString(), "key-1"
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		statuses = map[int]int{}
	)
	for i := range 50 {
		wg.Go(func() {
			w := post([]http.Handler{a, b}[i%2], user, key, `{"x":1}`)
			mu.Lock()
			defer mu.Unlock()
			statuses[w.Code]++
		})
	}
	wg.Wait()
	if effects.Load() != 1 || statuses[201]+statuses[409] != 50 || statuses[201] < 1 {
		t.Errorf("%d effects, statuses %v", effects.Load(), statuses)
	}
	again := post(b, user, key, `{"x":1}`)
	if again.Code != 201 || again.Body.String() != `{"n":1}` || again.Header().Get(idempotency.ReplayedHeader) != "true" ||
		again.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("again: %d %s %v", again.Code, again.Body, again.Header())
	}
	if w := post(a, user, key, `{"x":2}`); w.Code != 422 || !strings.Contains(w.Body.String(), string(fault.KeyReused)) {
		t.Errorf("another body: %d %s", w.Code, w.Body)
	}
	if w := post(a, uuid.NewString(), key, `{"x":2}`); w.Code != 201 || effects.Load() != 2 {
		t.Errorf("another user's key: %d %s", w.Code, w.Body)
	}
	for range 2 {
		if w := post(a, user, without, `{"x":1}`); w.Code != 201 {
			t.Errorf("without a key: %d", w.Code)
		}
	}
	if effects.Load() != 4 {
		t.Errorf("%d effects, two of them without a key", effects.Load())
	}
}

func TestFailuresMayBeSentAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		first func(c *gin.Context)
		again bool
	}{
		"unavailable":       {func(c *gin.Context) { httpserver.Problem(c, fault.New(fault.Unavailable, "x")) }, true},
		"too many requests": {func(c *gin.Context) { httpserver.Problem(c, fault.New(fault.TooManyRequests, "x")) }, true},
		"not valid":         {func(c *gin.Context) { httpserver.Problem(c, fault.New(fault.InvalidParameter, "x")) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var effects atomic.Int64
			h := instance(t, &effects, func(c *gin.Context, n int64) {
				if n == 1 {
					tt.first(c)
					return
				}
				c.String(http.StatusCreated, strconv.FormatInt(n, 10))
			})
			user := uuid.NewString()
			first, second := post(h, user, "k", "{}"), post(h, user, "k", "{}")
			if tt.again && (second.Code != 201 || second.Body.String() != "2") || !tt.again && (second.Code != first.Code || effects.Load() != 1) {
				t.Errorf("first %d, then %d %s", first.Code, second.Code, second.Body)
			}
		})
	}
}

func TestBadKeys(t *testing.T) {
	var effects atomic.Int64
	h := instance(t, &effects, func(c *gin.Context, _ int64) { c.Status(http.StatusCreated) })
	for _, key := range []string{"", "a b", "ü", "a\x01", strings.Repeat("x", 256)} {
		if w := post(h, "u", key, "{}"); w.Code != 400 || !strings.Contains(w.Body.String(), idempotency.Header) {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
	}
	if w := post(h, "u", "k", strings.Repeat("x", 1001)); w.Code != 413 {
		t.Errorf("a large body: %d", w.Code)
	}
	if effects.Load() != 0 {
		t.Error("a refused request had an effect")
	}
}

func TestRedisAway(t *testing.T) {
	rdb, err := redisconn.Open(redisconn.Config{Addr: "127.0.0.1:1", Password: "x", Timeout: 100 * time.Millisecond, PoolSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rdb.Close() }()
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	keys := idempotency.New(rdb, idempotency.Config{TTL: time.Minute, Claim: time.Second}, 1000)
	r.POST("/things", keys.Middleware(func(*gin.Context) string { return "u" }), func(*gin.Context) { t.Error("the request went through") })
	if w := post(r, "u", "k", "{}"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
