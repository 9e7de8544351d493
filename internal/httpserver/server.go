// Package httpserver is the HTTP edge that every process shares: a server that
// listens before it serves, a Gin router with the standard middleware, health,
// metrics, strict decoding, and answers in problem+json.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Config is the settings of a server.
type Config struct {
	// ListenAddr is host:port; port 0 takes a free one.
	ListenAddr      string        `env:"LISTEN_ADDR,required,notEmpty"`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"15s"` // for all of a process's stops
	// DrainDelay is how long a stopping process still takes requests after
	// /readyz went false, so that balancers can turn away from it.
	DrainDelay time.Duration `env:"DRAIN_DELAY" envDefault:"0s"`
}

// Server is a listening HTTP server.
type Server struct {
	http     http.Server
	listener net.Listener
	drain    time.Duration
	draining atomic.Bool
}

// Listen takes the address, so that a port that is in use is an error of the
// start. The caller closes the server.
func Listen(cfg Config, log *zap.Logger) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.ListenAddr)
	if err != nil {
		return nil, fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	return &Server{
		listener: l,
		drain:    cfg.DrainDelay,
		http: http.Server{
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       30 * time.Second,
			WriteTimeout:      60 * time.Second,
			// Longer than nginx keeps its idle upstream connections (60 s), so
			// that it is never the server that closes one just as it is reused.
			IdleTimeout:    90 * time.Second,
			MaxHeaderBytes: 64 << 10,
			ErrorLog:       zap.NewStdLog(log.Named("http")),
		},
	}, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Draining reports whether the server is about to stop; /readyz says so.
func (s *Server) Draining() bool { return s.draining.Load() }

// Serve answers requests with h until [Server.Shutdown] or [Server.Close].
func (s *Server) Serve(h http.Handler) error {
	s.http.Handler = h
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// Shutdown lets balancers turn away, then stops listening and waits until the
// requests in flight are answered or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	select {
	case <-time.After(s.drain):
	case <-ctx.Done():
	}
	return s.http.Shutdown(ctx)
}

// Close stops at once. Closing again, or after Shutdown, is no error.
func (s *Server) Close() error {
	err := errors.Join(s.http.Close(), s.listener.Close())
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
