package ratelimit_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"pharos/internal/ratelimit"
	"pharos/internal/redisconn"
	"pharos/internal/teststack"
)

func instance(t *testing.T, cfg redisconn.Config) http.Handler {
	t.Helper()
	rdb, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	l, err := ratelimit.New(rdb, ratelimit.Config{PerSecond: 1, Burst: 10})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/", l.Middleware(func(c *gin.Context) string { return c.Query("who") }), func(c *gin.Context) { c.Status(http.StatusOK) })
	return r
}

// ask sends n requests in turn to the instances and counts those let through.
func ask(n int, who string, instances ...http.Handler) (allowed int, last *httptest.ResponseRecorder) {
	for i := range n {
		last = httptest.NewRecorder()
		instances[i%len(instances)].ServeHTTP(last, httptest.NewRequest("GET", "/?who="+who, nil))
		if last.Code == http.StatusOK {
			allowed++
		}
	}
	return allowed, last
}

func expect(t *testing.T, allowed int, last *httptest.ResponseRecorder) {
	t.Helper()
	// One token comes back each second: a slow machine may get some.
	if allowed < 10 || allowed > 15 {
		t.Errorf("%d of 30 were let through", allowed)
	}
	if last.Code != http.StatusTooManyRequests || last.Header().Get("Retry-After") == "" || last.Header().Get("RateLimit-Policy") != `"user";q=10;w=10` {
		t.Errorf("the last: %d %v", last.Code, last.Header())
	}
}

func TestInstancesShareALimit(t *testing.T) {
	cfg := teststack.Config[redisconn.Config](t)
	a, b := instance(t, cfg), instance(t, cfg)
	who := uuid.NewString()
	allowed, last := ask(30, who, a, b)
	expect(t, allowed, last)
	if allowed, _ := ask(5, uuid.NewString(), a, b); allowed != 5 {
		t.Errorf("another user: %d of 5", allowed)
	}
	if allowed, last := ask(30, "", a); allowed != 30 || last.Header().Get("RateLimit") != "" {
		t.Errorf("nobody: %d of 30", allowed)
	}
}

func TestRedisAway(t *testing.T) {
	h := instance(t, redisconn.Config{Addr: "127.0.0.1:1", Password: "x", Timeout: 50 * time.Millisecond, PoolSize: 1})
	allowed, last := ask(30, "u", h)
	expect(t, allowed, last)
}
