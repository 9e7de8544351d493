package httpserver

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.elastic.co/apm/module/apmgin/v2"

	"pharos/internal/fault"
	"pharos/internal/obs"
)

// RouterOptions say what a router's /readyz looks at.
type RouterOptions struct {
	Draining func() bool
	Checks   []Check
}

// NewRouter returns a Gin engine with what every process has: request ids,
// tracing, the access log, request metrics, recovery, /healthz, /readyz and
// /metrics, and problem+json for what it does not route.
//
// It puts Gin, all of it, into release mode: its debugging output is no ECS.
func NewRouter(tel *obs.Telemetry, opts RouterOptions) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.ContextWithFallback = true
	// The address in the log is the peer's; what a proxy says of the client is
	// taken only from loopback and private networks, where ours run.
	if err := r.SetTrustedProxies([]string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}); err != nil {
		panic(err) //nolint:forbidigo // a list in this very file that does not parse
	}

	r.Use(
		requestID,
		apmgin.Middleware(r, apmgin.WithTracer(tel.Tracer), apmgin.WithRequestIgnorer(isHousekeeping)),
		hideSecrets,
		traceID,
		measure(tel.Metrics),
		accessLog(tel.Log, tel.Metrics),
		recovery(tel.Tracer),
	)
	r.NoRoute(func(c *gin.Context) { Problem(c, fault.New(fault.NotFound, "Nothing is served at this path.")) })
	r.NoMethod(func(c *gin.Context) { // Gin has set Allow
		if c.Request.Method == http.MethodOptions {
			c.Status(http.StatusNoContent)
			return
		}
		Problem(c, fault.New(fault.MethodNotAllowed, "This path does not take %s.", c.Request.Method))
	})

	own := WithHead{&r.RouterGroup}
	own.GET("/healthz", healthz)
	own.GET("/readyz", readyz(opts.Draining, opts.Checks))
	own.GET("/metrics", gin.WrapH(promhttp.HandlerFor(tel.Metrics, promhttp.HandlerOpts{})))
	return r
}

// WithHead answers HEAD wherever it answers GET, as RFC 9110 asks (section
// 9.1), in the group and in those made from it. net/http leaves the body out.
type WithHead struct{ *gin.RouterGroup }

// Group makes a group within the group.
func (r WithHead) Group(path string, handlers ...gin.HandlerFunc) WithHead {
	return WithHead{r.RouterGroup.Group(path, handlers...)}
}

// GET registers the handlers for GET and HEAD.
func (r WithHead) GET(path string, handlers ...gin.HandlerFunc) gin.IRoutes {
	return r.Match([]string{http.MethodGet, http.MethodHead}, path, handlers...)
}

// isHousekeeping reports whether a request is about the process itself: it
// starts no trace and is logged at debug level.
func isHousekeeping(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		return true
	}
	return false
}
