package httpserver

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.elastic.co/apm/module/apmzap/v2"
	"go.elastic.co/apm/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The headers that join a request's signals.
const (
	RequestIDHeader = "X-Request-Id"
	TraceIDHeader   = "X-Trace-Id"
)

// Keys of what middleware leaves in a gin.Context for later middleware.
const (
	keyRequestID = "httpserver.request_id"
	keyUserID    = "httpserver.user_id"
	keyAPIKeyID  = "httpserver.api_key_id"
	keyErrors    = "httpserver.errors"
)

const maxRequestID = 64

// requestID takes the caller's request id (nginx makes it), or makes one.
func requestID(c *gin.Context) {
	id := c.GetHeader(RequestIDHeader)
	if !validRequestID(id) {
		id = uuid.NewString()
	}
	c.Set(keyRequestID, id)
	c.Header(RequestIDHeader, id)
	c.Next()
}

func validRequestID(id string) bool {
	for i := range len(id) {
		switch b := id[i]; {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '-', b == '_':
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxRequestID
}

// RequestID is the id of the request: http.request.id in every log line.
func RequestID(c *gin.Context) string { return c.GetString(keyRequestID) }

// TraceID is the id of the request's trace, or "" for a request without one.
func TraceID(c *gin.Context) string {
	if tx := apm.TransactionFromContext(c.Request.Context()); tx != nil {
		return tx.TraceContext().Trace.String()
	}
	return ""
}

// SetUser names the signed-in user to the access log and the trace.
func SetUser(c *gin.Context, id string) {
	c.Set(keyUserID, id)
	if tx := apm.TransactionFromContext(c.Request.Context()); tx != nil {
		tx.Context.SetUserID(id)
	}
}

// SetAPIKey names the key by which the user acts to the access log and the
// trace: its public id, never the key.
func SetAPIKey(c *gin.Context, id string) {
	c.Set(keyAPIKeyID, id)
	if tx := apm.TransactionFromContext(c.Request.Context()); tx != nil {
		tx.Context.SetLabel("api_key_id", id)
	}
}

// traceID tells the caller the id of the trace, and the trace the request's.
func traceID(c *gin.Context) {
	if tx := apm.TransactionFromContext(c.Request.Context()); tx != nil {
		c.Header(TraceIDHeader, tx.TraceContext().Trace.String())
		tx.Context.SetLabel("request_id", RequestID(c))
	}
	c.Next()
}

// measure counts requests and their time by route, method and status, and those
// that have a transaction by whether the agent recorded it: what is sent can be
// held against what arrives.
func measure(reg prometheus.Registerer) gin.HandlerFunc {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_server_request_duration_seconds",
		Help:    "Time from the first byte read to the last byte written.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "method", "status"})
	inFlight := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "http_server_requests_in_flight", Help: "Requests being answered.",
	})
	traced := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_server_requests_traced_total",
		Help: "Requests that had a transaction, by whether the agent recorded it (sampled).",
	}, []string{"sampled"})
	reg.MustRegister(seconds, inFlight, traced)
	return func(c *gin.Context) {
		start := time.Now()
		inFlight.Inc()
		defer inFlight.Dec()
		c.Next()
		if tx := apm.TransactionFromContext(c.Request.Context()); tx != nil {
			traced.WithLabelValues(strconv.FormatBool(tx.Sampled())).Inc()
		}
		seconds.WithLabelValues(route(c), method(c), strconv.Itoa(c.Writer.Status())).Observe(time.Since(start).Seconds())
	}
}

// route is the template that the request matched, "other" where none did.
func route(c *gin.Context) string {
	if p := c.FullPath(); p != "" {
		return p
	}
	return "other"
}

// method bounds what a client can put into a metric's label.
func method(c *gin.Context) string {
	switch m := c.Request.Method; m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// accessLog writes one line for each request: the only place where a request
// and what went wrong with it are logged. It counts the lines.
func accessLog(log *zap.Logger, reg prometheus.Registerer) gin.HandlerFunc {
	log = log.WithOptions(zap.WithCaller(false))
	logged := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "http_server_requests_logged_total",
		Help: "Requests that have a line in the access log.",
	})
	reg.MustRegister(logged)
	return func(c *gin.Context) {
		start := time.Now()
		c.Next()
		status := c.Writer.Status()
		errs := faults(c)
		entry := log.Check(level(c, status, errs), c.Request.Method+" "+route(c)+" "+strconv.Itoa(status))
		if entry == nil {
			return
		}
		fields := append(make([]zapcore.Field, 0, 20),
			zap.String("http.request.id", RequestID(c)),
			zap.String("http.request.method", c.Request.Method),
			zap.String("http.route", route(c)),
			zap.Int("http.response.status_code", status),
			zap.Int("http.response.body.bytes", max(c.Writer.Size(), 0)),
			zap.String("url.path", c.Request.URL.Path),
			zap.String("client.ip", c.ClientIP()),
			zap.Int64("event.duration", time.Since(start).Nanoseconds()),
			zap.String("event.kind", "event"),
			zap.Strings("event.category", []string{"web"}),
			zap.String("event.outcome", outcome(status)),
		)
		if user := c.GetString(keyUserID); user != "" {
			fields = append(fields, zap.String("user.id", user))
		}
		if key := c.GetString(keyAPIKeyID); key != "" {
			fields = append(fields, zap.String("labels.api_key_id", key))
		}
		fields = append(fields, apmzap.TraceContext(c.Request.Context())...)
		if err := errors.Join(errs...); err != nil {
			fields = append(fields, zap.String("error.message", err.Error()))
			var p *panicError
			if errors.As(err, &p) {
				fields = append(fields, zap.String("error.type", "panic"), zap.String("error.stack_trace", p.stack))
			}
		}
		logged.Inc()
		entry.Write(fields...)
	}
}

func level(c *gin.Context, status int, errs []error) zapcore.Level {
	switch {
	case status >= 500:
		return zapcore.ErrorLevel
	case len(errs) > 0 && status < 400:
		return zapcore.WarnLevel
	case isHousekeeping(c.Request):
		return zapcore.DebugLevel
	}
	return zapcore.InfoLevel
}

func outcome(status int) string {
	if status >= 500 {
		return "failure"
	}
	return "success"
}

type panicError struct {
	value any
	stack string
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// recovery answers 500 for a panic, and hands it to the trace and the log with
// its stack.
func recovery(tracer *apm.Tracer) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this, too
				panic(v) //nolint:forbidigo // it is net/http's own, on its way
			}
			e := tracer.Recovered(v)
			e.SetTransaction(apm.TransactionFromContext(c.Request.Context()))
			e.Send()
			Problem(c, &panicError{v, string(debug.Stack())})
		}()
		c.Next()
	}
}
