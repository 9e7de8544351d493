package watcherhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/gin-gonic/gin"

	"pharos/internal/fault"
	"pharos/internal/httpserver"
	"pharos/watcher/document"
)

// reply is what a call comes to.
type reply struct {
	status int
	body   *document.Object
}

func ok(pairs ...document.Pair) (reply, error) {
	return reply{http.StatusOK, document.NewObject(pairs...)}, nil
}

func pair(key string, value any) document.Pair { return document.Pair{Key: key, Value: value} }

// write answers with JSON, filtered and indented as the query asks. The header
// is what Elastic's clients want to see before they trust an answer.
func write(c *gin.Context, status int, body *document.Object) {
	if filters := c.Query("filter_path"); filters != "" {
		body = filter(body, strings.Split(filters, ","))
	}
	data, err := document.Marshal(body)
	if err != nil {
		httpserver.LogFault(c, fmt.Errorf("write answer: %w", err))
		status, data = http.StatusInternalServerError, []byte(`{"error":{"root_cause":[],"type":"exception","reason":"the answer can't be written"},"status":500}`)
	}
	if v, ok := c.GetQuery("pretty"); ok && v != "false" {
		var b bytes.Buffer
		if json.Indent(&b, data, "", "  ") == nil {
			b.WriteByte('\n')
			data = b.Bytes()
		}
	}
	media := "application/json"
	if strings.Contains(c.GetHeader("Accept"), "application/vnd.elasticsearch+json") {
		media = "application/vnd.elasticsearch+json;compatible-with=8"
	}
	c.Header("X-Elastic-Product", "Elasticsearch")
	c.Header("Cache-Control", "no-store")
	c.Data(status, media, data)
}

// plain answers with an error that is a bare sentence, as Elasticsearch's router
// does.
func plain(c *gin.Context, status int, reason string) {
	write(c, status, document.NewObject(pair("error", reason), pair("status", int64(status))))
	c.Abort()
}

// fail answers with an error in Elasticsearch's form. What is no fault of the
// caller's is logged and not told.
func (a *api) fail(c *gin.Context, err error) {
	httpserver.LogFault(c, err)
	status, object := describe(err)
	if status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", `Basic realm="security", charset="UTF-8"`)
	}
	write(c, status, document.NewObject(pair("error", object), pair("status", int64(status))))
	c.Abort()
}

func describe(err error) (int, *document.Object) {
	var (
		place    *document.PathError
		answer   *document.Error
		known    *fault.Error
		tooLarge *http.MaxBytesError
	)
	switch {
	case errors.As(err, &place), errors.As(err, &answer):
		return document.ErrorObject(err)
	case errors.As(err, &tooLarge):
		return document.ErrorObject(document.NewError(http.StatusRequestEntityTooLarge, "content_too_long_exception",
			fmt.Sprintf("the body is longer than %d bytes", tooLarge.Limit)))
	case errors.As(err, &known):
		return document.ErrorObject(document.NewError(known.Status(), faultType(known.Code), known.Detail))
	case errors.Is(err, context.DeadlineExceeded):
		return document.ErrorObject(document.NewError(http.StatusGatewayTimeout, "timeout_exception", "the answer was not ready in time"))
	}
	return document.ErrorObject(document.NewError(http.StatusInternalServerError, "exception", "the call failed; the log of the watcher says why"))
}

func faultType(code fault.Code) string {
	switch code {
	case fault.Unauthenticated, fault.InvalidCredentials, fault.InvalidToken, fault.TokenExpired, fault.Forbidden, fault.UserSuspended:
		return "security_exception"
	case fault.NotFound:
		return "resource_not_found_exception"
	case fault.Conflict:
		return "version_conflict_engine_exception"
	case fault.InvalidParameter, fault.MalformedBody:
		return "illegal_argument_exception"
	case fault.Unavailable, fault.TooManyRequests:
		return "unavailable_exception"
	}
	return "exception"
}

func illegal(format string, args ...any) error {
	return document.NewError(http.StatusBadRequest, "illegal_argument_exception", fmt.Sprintf(format, args...))
}

// invalid is how Elasticsearch refuses a request that it could read.
func invalid(reason string) error {
	return document.NewError(http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: "+reason+";")
}

// knownParams refuses query parameters that a call does not have.
func knownParams(c *gin.Context, params []string) error {
	var unknown []string
	for name := range c.Request.URL.Query() {
		switch name {
		case "pretty", "human", "error_trace", "filter_path", "format", "master_timeout", "timeout":
			continue
		}
		if !slices.Contains(params, name) {
			unknown = append(unknown, "["+name+"]")
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	sort.Strings(unknown)
	many := ""
	if len(unknown) > 1 {
		many = "s"
	}
	return illegal("request [%s] contains unrecognized parameter%s: %s", c.Request.URL.Path, many, strings.Join(unknown, ", "))
}

// flag reads a boolean parameter; without a value it is true.
func flag(c *gin.Context, name string, otherwise bool) (bool, error) {
	v, there := c.GetQuery(name)
	switch {
	case !there:
		return otherwise, nil
	case v == "true" || v == "":
		return true, nil
	case v == "false":
		return false, nil
	}
	return false, illegal("Failed to parse value [%s] as only [true] or [false] are allowed.", v)
}

func readBody(c *gin.Context) ([]byte, error) {
	data, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return data, nil
}
