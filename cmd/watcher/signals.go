package main

import (
	"time"

	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/internal/process"
	"pharos/signals"
)

// newSignals compares what nginx and api count with what arrives of it, where
// their addresses are set.
func newSignals(p *process.Process, es *elastic.Client, cfg signals.Config) *signals.Watch {
	log := p.Log.Named("signals")
	// Who is down is another watch's business.
	silent := func(err error) { log.Debug("a count of requests can't be read", zap.Error(err)) }
	return &signals.Watch{
		Config:  cfg,
		Sources: []signals.Source{signals.NewNginx(cfg.NginxURLs, silent), signals.NewAPI(cfg.APIURLs, silent)},
		Documents: &signals.Store{
			Elasticsearch: es, Environment: p.Service.Environment, Region: p.Service.Region, Interval: cfg.Interval,
		},
		Log: log, Now: time.Now,
	}
}
