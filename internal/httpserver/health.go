package httpserver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Check is one thing that a process needs to be ready.
type Check struct {
	Name string
	// Ready returns nil when the thing can be used. It gets a second.
	Ready func(context.Context) error
}

const checkTimeout = time.Second

type readiness struct {
	Status string            `json:"status"` // "ok", "draining" or "not ready"
	Checks map[string]string `json:"checks"` // name → "ok" or "failed"
}

// healthz tells that the process runs: the answer that liveness probes need.
func healthz(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) }

// readyz tells whether requests should be sent here: 200, or 503 while the
// server drains or a check fails.
func readyz(draining func() bool, checks []Check) gin.HandlerFunc {
	return func(c *gin.Context) {
		answer := readiness{Status: "ok", Checks: map[string]string{}}
		for _, check := range checks {
			ctx, cancel := context.WithTimeout(c.Request.Context(), checkTimeout)
			err := check.Ready(ctx)
			cancel()
			answer.Checks[check.Name] = "ok"
			if err != nil {
				// The reason may hold addresses; it is for the log alone.
				answer.Checks[check.Name], answer.Status = "failed", "not ready"
				logFault(c, fmt.Errorf("readiness: %s: %w", check.Name, err))
			}
		}
		if draining() {
			answer.Status = "draining"
		}
		status := http.StatusOK
		if answer.Status != "ok" {
			status = http.StatusServiceUnavailable
		}
		c.JSON(status, answer)
	}
}

// CheckHealth asks the process that listens on addr (host:port, where an empty
// or unspecified host means this machine) for /healthz. It returns nil on a 200
// within three seconds.
func CheckHealth(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	resp, err := new(http.Client).Do(req) // ctx limits it
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for health: answered %s", resp.Status)
	}
	return nil
}
