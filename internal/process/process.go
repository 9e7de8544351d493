// Package process is what every server process of Pharos does the same way:
// flags, settings, telemetry, listening, and stopping in order on a signal.
package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"

	"pharos/internal/env"
	"pharos/internal/httpserver"
	"pharos/internal/lifecycle"
	"pharos/internal/obs"
)

// Process is what a process's wiring builds on.
type Process struct {
	*obs.Telemetry
	*lifecycle.Lifecycle
	// Server listens and answers once the wiring has returned.
	Server *httpserver.Server
}

type settings struct {
	Server httpserver.Config
	Obs    obs.Config
}

// Validate implements env.Validator.
func (s *settings) Validate() error { return s.Server.Validate() }

// Wire opens the parts of a process, registers their stops, and returns the
// handler to serve.
type Wire[C any] func(ctx context.Context, p *Process, cfg *C) (http.Handler, error)

// Main runs the named process with settings of type C until SIGINT or SIGTERM
// and returns its exit code: 0 after an orderly stop, 1 after a failure, 2 for
// wrong flags or settings. The flag -health asks the running process for its
// health instead, and exits 0 if it is well and 1 if not.
func Main[C any](name, version string, wire Wire[C]) int {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	health := flags.Bool("health", false, "ask the process that listens on LISTEN_ADDR for its health, and exit 0 or 1")
	showVersion := flags.Bool("version", false, "print the version")
	flags.Usage = func() {
		_, _ = fmt.Fprintf(flags.Output(), "%s is a process of Pharos. It takes its settings from the environment; .env.example names them.\n\n", name)
		flags.PrintDefaults()
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *showVersion {
		fmt.Println(name, version)
		return 0
	}
	var (
		common settings
		own    C
	)
	if err := errors.Join(env.Parse(&common), env.Parse(&own)); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if *health {
		return probe(ctx, common.Server.ListenAddr, os.Stderr)
	}
	tel, err := obs.New(name, version, common.Obs)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 2
	}
	code := 0
	if err := run(ctx, tel, common.Server, &own, wire); err != nil {
		tel.Log.Error("process failed", zap.Error(err))
		code = 1
	}
	closing, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	if err := tel.Close(closing); err != nil {
		fmt.Fprintf(os.Stderr, "%s: close telemetry: %v\n", name, err)
		code = 1
	}
	return code
}

func run[C any](ctx context.Context, tel *obs.Telemetry, cfg httpserver.Config, own *C, wire Wire[C]) (err error) {
	life := lifecycle.New(tel.Log, cfg.ShutdownTimeout)
	defer func() { err = errors.Join(err, life.Stop()) }()

	server := httpserver.New(cfg, tel.Log)
	handler, err := wire(ctx, &Process{tel, life, server}, own)
	if err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		return err
	}
	life.OnStop("listener", func(context.Context) error { return server.Close() })
	life.Go("http server", func(context.Context) error { return server.Serve(handler) })
	life.OnStop("requests in flight", server.Shutdown)
	tel.Log.Info("started", zap.String("server.address", server.Addr()))
	err = life.Wait(ctx)
	tel.Log.Info("stopping")
	return err
}

func probe(ctx context.Context, addr string, out io.Writer) int {
	if err := httpserver.CheckHealth(ctx, addr); err != nil {
		_, _ = fmt.Fprintln(out, err)
		return 1
	}
	return 0
}
