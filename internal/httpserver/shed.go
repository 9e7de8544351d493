package httpserver

import (
	"context"
	"fmt"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"pharos/internal/fault"
)

// shedAfter is how long a request waits for its turn before it is refused: long
// enough for a short burst, and well under what a client would call waiting.
const shedAfter = 10 * time.Millisecond

// Shed lets only so many requests be worked on at once; what is beyond that is
// refused at once with 503 and Retry-After, so that those that are let through
// are still answered in time. Routes that were registered before it, such as
// /healthz, are never refused.
func Shed(atOnce int, reg prometheus.Registerer) gin.HandlerFunc {
	slots := semaphore.NewWeighted(int64(atOnce))
	refused := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "http_server_requests_shed_total", Help: "Requests refused because too many were being worked on.",
	})
	reg.MustRegister(refused)
	return func(c *gin.Context) {
		if !slots.TryAcquire(1) {
			ctx, cancel := context.WithTimeout(c.Request.Context(), shedAfter)
			err := slots.Acquire(ctx, 1)
			cancel()
			if err != nil {
				refused.Inc()
				f := fault.New(fault.Overloaded, "This instance works on as much as it can. Try again.")
				f.RetryAfter = time.Second
				Problem(c, fmt.Errorf("%d requests are being worked on: %w", atOnce, f))
				return
			}
		}
		defer slots.Release(1)
		c.Next()
	}
}
