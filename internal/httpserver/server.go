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
	// /readyz went false, so that balancers can turn away from it. Clients must
	// not keep idle connections for as long (nginx, and api as feed's client,
	// keep them 3 s): each is then closed by its client, or by an answer that
	// says so, and none by the server just as a request is on its way.
	DrainDelay time.Duration `env:"DRAIN_DELAY" envDefault:"0s"`
}

// Validate implements env.Validator.
func (c *Config) Validate() error {
	if c.DrainDelay < 0 || c.DrainDelay >= c.ShutdownTimeout {
		return errors.New("DRAIN_DELAY must be at least 0s and less than SHUTDOWN_TIMEOUT, which it is a part of")
	}
	return nil
}

// Server is an HTTP server.
type Server struct {
	http     http.Server
	addr     string
	listener *net.TCPListener // nil before Listen
	drain    time.Duration
	draining atomic.Bool
}

// New returns a server that does not listen yet: what can't be answered must
// not be taken, as another instance may be there for it.
func New(cfg Config, log *zap.Logger) *Server {
	return &Server{
		addr:  cfg.ListenAddr,
		drain: cfg.DrainDelay,
		http: http.Server{
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       30 * time.Second,
			WriteTimeout:      60 * time.Second,
			// Longer than any client of ours keeps an idle connection, so that
			// it is never the server that closes one just as it is reused.
			IdleTimeout:    90 * time.Second,
			MaxHeaderBytes: 64 << 10,
			ErrorLog:       zap.NewStdLog(log.Named("http")),
		},
	}
}

// Listen takes the address, so that a port that is in use is an error of the
// start. The caller closes the server.
func (s *Server) Listen() error {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets take no filter
	l, err := lc.Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return errors.Join(fmt.Errorf("LISTEN_ADDR: %s is no TCP address", l.Addr()), l.Close())
	}
	s.listener = tcp
	return nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Draining reports whether the server is about to stop; /readyz says so.
func (s *Server) Draining() bool { return s.draining.Load() }

// Serve answers requests with h until [Server.Shutdown] or [Server.Close].
func (s *Server) Serve(h http.Handler) error {
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&answer{ResponseWriter: w, draining: &s.draining}, r)
	})
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// answer ends its connection if the server drains by the time it is written,
// however long ago the request came.
type answer struct {
	http.ResponseWriter
	draining *atomic.Bool
	begun    bool
}

func (a *answer) begin() {
	if !a.begun && a.draining.Load() {
		a.Header().Set("Connection", "close")
	}
	a.begun = true
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (a *answer) Flush() {
	a.begin()
	_ = http.NewResponseController(a.ResponseWriter).Flush() // every server of net/http can
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// settleTime is for connections that are half made when no more are taken: the
// way there and back, many times over. After that, those that the process has
// not taken yet are waited for.
const settleTime = 100 * time.Millisecond

// Shutdown stops without failing a request. First /readyz says no and every
// answer ends its connection, for as long as balancers need to turn away; then
// no new connection is taken; then the requests in flight are answered, or ctx
// ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	if s.drain > 0 {
		pause(ctx, s.drain)
		// Closing a listener resets the connections that the kernel has made
		// and the process has not taken yet. So no more are made first.
		if refuseConnections(s.listener) == nil {
			pause(ctx, settleTime)
			for ctx.Err() == nil && untaken(s.listener) > 0 {
				pause(ctx, time.Millisecond)
			}
			// The last of them is the server's to answer once it is counted.
			pause(ctx, settleTime/10)
		}
	}
	return s.http.Shutdown(ctx)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Close stops at once. Closing again, after Shutdown, or before Listen, is no
// error.
func (s *Server) Close() error {
	err := s.http.Close()
	if s.listener != nil {
		err = errors.Join(err, s.listener.Close())
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
