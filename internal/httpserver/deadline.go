package httpserver

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// timeoutHeader tells the called service how many milliseconds the caller will
// still wait, so that nobody works for an answer that nobody reads.
const timeoutHeader = "X-Timeout-Ms"

// timeToAnswer is what a called service keeps of its caller's time for the
// answer itself.
const timeToAnswer = 100 * time.Millisecond

// SetTimeout writes what is left of the time of the request's context.
func SetTimeout(r *http.Request) {
	if deadline, ok := r.Context().Deadline(); ok {
		r.Header.Set(timeoutHeader, strconv.FormatInt(max(time.Until(deadline).Milliseconds(), 1), 10))
	}
}

// Deadline limits the time that a request's handler may take: its context ends
// after longest, and what waits for it fails with fault.Timeout.
func Deadline(longest time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) { withTimeout(c, longest) }
}

// CallerDeadline is Deadline for a service that only other services call: it
// also ends a little before the caller stops waiting, if that said so by
// SetTimeout, so that the caller still gets what is answered without the part
// that was too slow.
func CallerDeadline(longest time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) {
		d := longest
		if ms, err := strconv.ParseInt(c.GetHeader(timeoutHeader), 10, 32); err == nil && ms > 0 {
			waits := time.Duration(ms) * time.Millisecond
			d = min(d, waits-min(waits/10, timeToAnswer))
		}
		withTimeout(c, d)
	}
}

func withTimeout(c *gin.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), d)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}
