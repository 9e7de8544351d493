package httpserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"go.elastic.co/apm/v2"

	"pharos/internal/fault"
)

// Problem answers the request with err as problem+json and ends its handling.
// What the client sees is [fault.From] of err; the whole of it goes to the
// access log's line, and to the trace when the fault is ours (5xx). Where the
// answer has begun already, only the log and the trace get it.
func Problem(c *gin.Context, err error) {
	f := fault.From(err)
	status := f.Status()
	logFault(c, err)
	if status >= http.StatusInternalServerError {
		capture(c, err)
	}
	c.Abort()
	if c.Writer.Written() {
		return
	}
	SetProblemHeaders(c, f)
	body, jsonErr := json.Marshal(f.Problem(RequestID(c), TraceID(c)))
	if jsonErr != nil { // strings and an int always marshal
		c.Status(http.StatusInternalServerError)
		return
	}
	c.Data(status, fault.ContentType, body)
}

// SetProblemHeaders sets what a problem says by headers, for an answer that is
// written in another form than problem+json.
func SetProblemHeaders(c *gin.Context, f *fault.Error) {
	if f.RetryAfter > 0 {
		c.Header("Retry-After", strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if f.Status() == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", "Bearer")
	}
	c.Header("Cache-Control", "no-store")
}

// LogFault adds err to the request's line in the access log, for a handler
// that answers in a form of its own or answers well in spite of err.
func LogFault(c *gin.Context, err error) { logFault(c, err) }

func logFault(c *gin.Context, err error) {
	c.Set(keyErrors, append(faults(c), err))
}

func faults(c *gin.Context) []error {
	v, _ := c.Get(keyErrors)
	errs, _ := v.([]error)
	return errs
}

func capture(c *gin.Context, err error) {
	var p *panicError
	if errors.As(err, &p) {
		return // recovery has sent it, with the stack of the panic
	}
	if e := apm.CaptureError(c.Request.Context(), err); e != nil {
		e.Send()
	}
}
