package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"pharos/feed/feedhttp"
)

func TestIfNoneMatch(t *testing.T) {
	const etag = `W/"abc"`
	for _, tt := range []struct {
		header []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{`W/"abc"`}, true},
		{[]string{`"abc"`}, true},
		{[]string{`"x", W/"abc"`}, true},
		{[]string{`"x"`, `"abc"`}, true},
		{[]string{"*"}, true},
		{[]string{`"ab"`}, false},
		{[]string{`abc`}, false},
	} {
		if got := has(tt.header, etag); got != tt.want {
			t.Errorf("%q: %t", tt.header, got)
		}
	}
}

func TestFeedSaysWhatHasNotChanged(t *testing.T) {
	gin.SetMode(gin.TestMode)
	whole := feedhttp.Answer{JSON: []byte(`{"items":[],"next_cursor":""}`)}
	other := feedhttp.Answer{JSON: []byte(`{"items":[1],"next_cursor":""}`)}
	degraded := whole
	degraded.Degraded, degraded.Age = []string{"feed"}, time.Minute
	ask := func(a feedhttp.Answer, ifNoneMatch string) *http.Response {
		rec := httptest.NewRecorder()
		c, _ := gin.CreateTestContext(rec)
		c.Request = httptest.NewRequest(http.MethodGet, "/v1/feed", nil)
		c.Request.Header.Set("If-None-Match", ifNoneMatch)
		encodeFeed(c, a)
		c.Writer.WriteHeaderNow()
		resp := rec.Result()
		if vary, cache := resp.Header.Get("Vary"), resp.Header.Get("Cache-Control"); vary != "Authorization, X-Api-Key" || cache != "private, no-cache" {
			t.Errorf("Vary %q, Cache-Control %q", vary, cache)
		}
		return resp
	}
	etag := ask(whole, "").Header.Get("ETag")
	if etag == "" {
		t.Fatal("no ETag")
	}
	if resp := ask(whole, etag); resp.StatusCode != http.StatusNotModified || resp.ContentLength > 0 || resp.Header.Get("ETag") != etag || resp.Header.Get("Content-Type") != "" {
		t.Errorf("unchanged: %d %v", resp.StatusCode, resp.Header)
	}
	if resp := ask(other, etag); resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") == etag {
		t.Errorf("changed: %d %v", resp.StatusCode, resp.Header)
	}
	for _, ifNoneMatch := range []string{etag, "*"} {
		if resp := ask(degraded, ifNoneMatch); resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") != "" || resp.Header.Get("Age") != "60" {
			t.Errorf("degraded: %d %v", resp.StatusCode, resp.Header)
		}
	}
}
