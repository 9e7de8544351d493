package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"pharos/elastic"
	"pharos/incident"
	"pharos/incident/incidentstore"
	"pharos/watcher"
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
)

// newID is an id that people can type.
func newID() string { return strings.ToLower(rand.Text()[:12]) }

// openAlerts is how many alerts one reading takes: what Elasticsearch gives at
// once.
const openAlerts = 10000

func newIncidents(es *elastic.Client, alerts *alerting.Service, cfg incident.Config, report func(context.Context, error)) *incident.Service {
	return &incident.Service{
		Config: cfg, Store: &incidentstore.Store{Elasticsearch: es}, Now: time.Now, NewID: newID, Report: report,
		Alerts: func(ctx context.Context, since time.Time) ([]alert.Alert, error) {
			stored, err := alerts.Store.Alerts(ctx, alerting.Filter{Since: since, Limit: openAlerts})
			if err != nil {
				return nil, fmt.Errorf("read alerts since %s: %w", since.Format(time.RFC3339), err)
			}
			list := make([]alert.Alert, 0, len(stored))
			for _, a := range stored {
				list = append(list, a.Alert)
			}
			return list, nil
		},
	}
}

// actAs is Elasticsearch with a caller's rights, but for scripts: they read
// nothing but what searches with those rights brought, and only the watcher's own
// account may run them.
func actAs(es *elastic.Client) func(authorization string) watcher.Elasticsearch {
	return func(authorization string) watcher.Elasticsearch { return acting{own: es, caller: es.As(authorization)} }
}

type acting struct{ own, caller *elastic.Client }

// Do implements watcher.Elasticsearch.
func (a acting) Do(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	if strings.HasPrefix(path, "/_scripts/painless/_execute") {
		return a.own.Do(ctx, method, path, body)
	}
	return a.caller.Do(ctx, method, path, body)
}
