// Command intake takes signals from outside and writes them into Elasticsearch:
// what Elastic APM agents send (the part of an APM Server where there is none),
// OpenTelemetry over HTTP and gRPC, and log lines of other programs.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"pharos/elastic"
	"pharos/intake"
	"pharos/internal/httpserver"
	"pharos/internal/process"
)

var version = "dev" // set by the build

type config struct {
	Elastic elastic.Config
	Intake  intake.Config
	// OTLPAddr is where OTLP over gRPC is taken, host:port; empty: nowhere. OTLP
	// over HTTP is taken at LISTEN_ADDR.
	OTLPAddr string `env:"OTLP_LISTEN_ADDR"`
}

// Validate checks what the parts can't check field by field.
func (c *config) Validate() error {
	if err := c.Elastic.Validate(); err != nil {
		return err
	}
	return c.Intake.Validate()
}

func main() { os.Exit(process.Main("intake", version, wire)) }

func wire(ctx context.Context, p *process.Process, cfg *config) (http.Handler, error) {
	// An intake that traced its own requests would send itself those traces,
	// by requests that it traced again. This holds whether or not
	// ELASTIC_APM_SERVER_URL is set.
	p.Tracer.SetRecording(false)

	client, err := elastic.New(cfg.Elastic)
	if err != nil {
		return nil, err
	}
	in, err := intake.New(p.Telemetry, client, cfg.Intake)
	if err != nil {
		return nil, err
	}
	p.OnStop("queued documents", in.Close)
	context.AfterFunc(ctx, in.Interrupt)
	if cfg.OTLPAddr != "" {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.OTLPAddr)
		if err != nil {
			return nil, fmt.Errorf("OTLP_LISTEN_ADDR: %w", err)
		}
		server := in.NewGRPC()
		p.Go("OTLP over gRPC", func(context.Context) error { return server.Serve(listener) })
		p.OnStop("OTLP over gRPC", server.Shutdown)
	}

	router := httpserver.NewRouter(p.Telemetry, httpserver.RouterOptions{
		Draining: p.Server.Draining,
		Checks:   []httpserver.Check{{Name: "elasticsearch", Ready: in.Ready}},
	})
	in.Routes(router)
	return router, nil
}
