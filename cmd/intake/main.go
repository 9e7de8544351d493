// Command intake takes what Elastic APM agents send and writes it into
// Elasticsearch: the part of an APM Server where there is none.
package main

import (
	"context"
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

	router := httpserver.NewRouter(p.Telemetry, httpserver.RouterOptions{
		Draining: p.Server.Draining,
		Checks:   []httpserver.Check{{Name: "elasticsearch", Ready: in.Ready}},
	})
	in.Routes(router)
	return router, nil
}
