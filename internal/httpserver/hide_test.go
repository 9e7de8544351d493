package httpserver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"go.elastic.co/apm/v2/apmtest"

	"go.elastic.co/apm/module/apmgin/v2"
)

func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"limit=3&cursor=abc": "", "": "", "monkey=1": "", "author=ada": "",
		"token=abc": "token=***", "limit=3&access_token=abc&x=1": "limit=3&access_token=***", "a=1;Password=x": "a=1;Password=***",
		"api_key=x": "api_key=***", "API-KEY=x": "API-KEY=***", "auth=x": "auth=***", "session_id=x": "session_id=***", "pwd=": "pwd=***",
	} {
		got, ok := withoutSecrets(&url.URL{Path: "/x", RawQuery: query})
		switch {
		case want == "" && ok:
			t.Errorf("%s: hidden as %s", query, got.RawQuery)
		case want != "" && (!ok || got.RawQuery != want || got.Path != "/x"):
			t.Errorf("%s: %v %v, want %s", query, got, ok, want)
		}
	}
}

// The handler gets the query as it is, and the trace does not.
func TestTracesHoldNoSecretOfAQuery(t *testing.T) {
	t.Parallel()
	tracer := apmtest.NewRecordingTracer()
	defer tracer.Close()
	r := gin.New()
	r.Use(apmgin.Middleware(r, apmgin.WithTracer(tracer.Tracer)), hideSecrets)
	seen := ""
	r.GET("/x", func(c *gin.Context) {
		seen = c.Query("token")
		_ = c.Error(http.ErrBodyNotAllowed) // an error's document has the address, too
	})
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x?limit=3&token=do-not-tell", nil))
	tracer.Flush(nil)
	sent := tracer.Payloads()
	if seen != "do-not-tell" || len(sent.Transactions) != 1 || len(sent.Errors) != 1 {
		t.Fatalf("seen %q, %d transactions, %d errors", seen, len(sent.Transactions), len(sent.Errors))
	}
	for what, address := range map[string]string{
		"transaction": sent.Transactions[0].Context.Request.URL.Full + sent.Transactions[0].Context.Request.URL.Search,
		"error":       sent.Errors[0].Context.Request.URL.Full + sent.Errors[0].Context.Request.URL.Search,
	} {
		if !strings.Contains(address, "limit=3&token=***") || strings.Contains(address, "do-not-tell") {
			t.Errorf("the %s's address is %s", what, address)
		}
	}
}
