// Package session is who reads the console: sign-in with an Elasticsearch
// account, and the short-lived API key by which the console then asks
// Elasticsearch with that account's own rights.
package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pharos/elastic"
)

// Rights is what a reader may see and do; pages and the menu go by it.
type Rights struct {
	Logs    bool `json:"logs"`    // log lines, traffic among them
	Traces  bool `json:"traces"`  // spans and errors
	Metrics bool `json:"metrics"` // metrics, objectives, the shop's figures
	Uptime  bool `json:"uptime"`  // Heartbeat's checks
	Alerts  bool `json:"alerts"`  // watches, alerts
	Operate bool `json:"operate"` // acknowledge, silence, write updates
	Support bool `json:"support"` // suspend and reactivate users
}

// Reader is somebody with rights. The zero value is nobody.
type Reader struct {
	User   string `json:"user"`
	Rights Rights `json:"rights"`
	// Authorization is the header that stands for the reader. It goes into no log
	// and no page.
	Authorization string `json:"-"`
	// Token goes into each form that changes something; empty for a reader who
	// came with an Authorization header, which no other site can send.
	Token string `json:"-"`
}

// Elasticsearch is what sessions ask of it; elastic.Client is one.
type Elasticsearch interface {
	Grant(ctx context.Context, user, password, name string, lasts time.Duration) (elastic.APIKey, error)
	Has(ctx context.Context, authorization string, question elastic.Privileges) (elastic.Rights, error)
}

// questions is the one privilege that stands for each right on a stream.
func questions() elastic.Privileges {
	return elastic.Privileges{
		Cluster: []string{"monitor_watcher"},
		Index: []elastic.IndexPrivileges{{
			Names:      []string{elastic.TrafficStream, "logs-pharos-default", "traces-apm-default", "metrics-slo-default", "heartbeat-default"},
			Privileges: []string{"read"},
		}},
		Application: []elastic.ApplicationPrivileges{{
			Application: "pharos", Privileges: []string{"watch:operate", "alert:read", "user:suspend"}, Resources: []string{"*"},
		}},
	}
}

// Now asks Elasticsearch what a reader may do at this moment: for what the console
// does by an account of its own, where a key that was withdrawn must count no
// longer. elastic.ErrUnauthenticated if it was.
func Now(ctx context.Context, es Elasticsearch, r Reader) (Rights, error) {
	now, err := identify(ctx, es, r.Authorization)
	return now.Rights, err
}

// identify asks Elasticsearch who an Authorization header stands for and what
// that account may.
func identify(ctx context.Context, es Elasticsearch, authorization string) (Reader, error) {
	r, err := es.Has(ctx, authorization, questions())
	if errors.Is(err, elastic.ErrUnauthenticated) {
		return Reader{}, err
	}
	if err != nil {
		return Reader{}, fmt.Errorf("ask for rights: %w", err)
	}
	operate := r.Application["pharos"]["*"]["watch:operate"]
	return Reader{User: r.User, Authorization: authorization, Rights: Rights{
		Logs:    r.Index[elastic.TrafficStream]["read"] && r.Index["logs-pharos-default"]["read"],
		Traces:  r.Index["traces-apm-default"]["read"],
		Metrics: r.Index["metrics-slo-default"]["read"],
		Uptime:  r.Index["heartbeat-default"]["read"],
		Alerts:  operate || r.Cluster["monitor_watcher"] || r.Application["pharos"]["*"]["alert:read"],
		Operate: operate,
		Support: r.Application["pharos"]["*"]["user:suspend"],
	}}, nil
}
