// Command console serves the operators' pages and the public status page.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
	_ "time/tzdata" // readers' zones, where the system has none

	"pharos/console/assets"
	"pharos/console/operatorapi"
	"pharos/console/page"
	"pharos/console/session"
	"pharos/console/statuspage"
	"pharos/console/watcherapi"
	"pharos/elastic"
	"pharos/internal/httpserver"
	"pharos/internal/process"
	"pharos/slo"
)

var version = "dev" // set by the linker

type config struct {
	Elasticsearch elastic.Config
	Sessions      session.Config
	API           operatorapi.Config
	Status        statuspage.Config
	// WatcherURL is where the watcher's API is.
	WatcherURL string `env:"WATCHER_URL,required,notEmpty"`
	// ObjectivesDir holds the objectives, *.yaml; empty: there are none.
	ObjectivesDir string `env:"OBJECTIVES_DIR"`
	// RunbookURL is what a runbook's file name is joined to; empty: it is only named.
	RunbookURL string `env:"RUNBOOK_URL"`
	// Timeout bounds all that one page asks for.
	Timeout time.Duration `env:"CONSOLE_TIMEOUT" envDefault:"10s"`
}

// Validate implements env.Validator.
func (c *config) Validate() error {
	errs := []error{c.Elasticsearch.Validate(), c.Sessions.Validate(), c.API.Validate(), c.Status.Validate()}
	if u, err := url.Parse(c.WatcherURL); err != nil || u.Host == "" || u.User != nil {
		errs = append(errs, errors.New("WATCHER_URL must be an address as in http://127.0.0.1:8095"))
	}
	if u, err := url.Parse(c.RunbookURL); c.RunbookURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, errors.New("RUNBOOK_URL must be a http or https URL"))
	}
	if c.Timeout < time.Second || c.Timeout > time.Minute {
		errs = append(errs, errors.New("CONSOLE_TIMEOUT must be between 1s and 1m"))
	}
	return errors.Join(errs...)
}

func main() { os.Exit(process.Main("console", version, wire)) }

func wire(ctx context.Context, p *process.Process, cfg *config) (http.Handler, error) {
	es, err := elastic.New(cfg.Elasticsearch)
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(es, cfg.Sessions, time.Now, rand.Reader)
	if err != nil {
		return nil, err
	}
	files, err := assets.New("/assets/")
	if err != nil {
		return nil, err
	}
	objectives, err := loadObjectives(cfg.ObjectivesDir)
	if err != nil {
		return nil, err
	}

	r := httpserver.NewRouter(p.Telemetry, httpserver.RouterOptions{
		Draining: p.Server.Draining,
		Checks:   []httpserver.Check{{Name: "elasticsearch", Ready: es.Ping}},
	})
	site, err := page.NewSite(r, page.Config{
		Elasticsearch: es, Sessions: sessions, Assets: files, Now: time.Now, Timeout: cfg.Timeout,
		Environment: p.Service.Environment, Region: p.Service.Region,
	})
	if err != nil {
		return nil, err
	}
	public, err := statuspage.LoadCatalog(cfg.Status.ComponentsFile, objectives)
	if err != nil {
		return nil, err
	}
	if err := addPages(ctx, site, parts{
		cfg: cfg, objectives: objectives, public: public, watcher: watcherapi.New(cfg.WatcherURL), operator: operatorapi.New(cfg.API), log: p.Log,
	}); err != nil {
		return nil, err
	}
	status, err := statuspage.New(cfg.Status, public, es, p.Log, time.Now)
	if err != nil {
		return nil, err
	}
	status.Routes(httpserver.WithHead{RouterGroup: &r.RouterGroup})
	p.Go("status page", status.Run)
	zipped, err := httpserver.Gzip(r)
	if err != nil {
		return nil, err
	}
	return status.Handler(zipped), nil
}

func loadObjectives(dir string) ([]slo.Objective, error) {
	if dir == "" {
		return nil, nil
	}
	objectives, err := slo.Load(os.DirFS(dir), ".")
	if err != nil {
		return nil, fmt.Errorf("OBJECTIVES_DIR: %w", err)
	}
	return objectives, nil
}
