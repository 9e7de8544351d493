package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"

	"pharos/internal/httpserver"
	"pharos/internal/idempotency"
)

// preflightFor is how long a browser may keep what it was allowed.
const preflightFor = 10 * time.Minute

// checkOrigins returns an error for what is no origin as browsers send it (RFC
// 6454, section 6.2): scheme, host and, where it is not the usual one, port.
func checkOrigins(origins []string) error {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(u.Host, "*") || u.Scheme+"://"+u.Host != o || o != strings.ToLower(o) {
			return fmt.Errorf("CORS_ORIGINS: %q is no origin, such as https://shop.example; %q is not taken", o, "*")
		}
	}
	return nil
}

// crossOrigin lets scripts of pages of the given origins call the API (the
// CORS protocol of https://fetch.spec.whatwg.org). Browsers' own credentials are
// not let through: a script sends its token itself.
func crossOrigin(origins []string) gin.HandlerFunc {
	rules := cors.New(cors.Options{
		AllowedOrigins: slices.Clone(origins),
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Accept", "If-None-Match", apiKeyHeader, idempotency.Header},
		ExposedHeaders: []string{
			httpserver.RequestIDHeader, httpserver.TraceIDHeader, "ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy",
			idempotency.ReplayedHeader, "Age", "Warning", "Allow", "WWW-Authenticate",
		},
		MaxAge: int(preflightFor / time.Second),
	})
	return func(c *gin.Context) {
		rules.HandlerFunc(c.Writer, c.Request)
		if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
			c.AbortWithStatus(http.StatusNoContent)
		}
	}
}
