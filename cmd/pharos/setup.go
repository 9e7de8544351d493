package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"pharos/elastic"
	"pharos/feed/mongostore"
	"pharos/internal/env"
	"pharos/kibana/kibanaapi"
)

// setupCmd prepares what can't prepare itself, and makes certificates.
type setupCmd struct {
	All           setupAll           `cmd:"" default:"withargs" help:"Prepare Elasticsearch and MongoDB (the default)."`
	Elasticsearch setupElasticsearch `cmd:"" help:"Ingest pipelines, index templates, roles and accounts."`
	MongoDB       setupMongoDB       `cmd:"" name:"mongodb" help:"Replica set and accounts."`
	Kibana        setupKibana        `cmd:"" help:"Data views, dashboards and saved searches, over those of the same id."`
	Certificates  setupCertificates  `cmd:"" help:"An authority of our own, and certificates of Elasticsearch and nginx that it signs. What is there and good stays."`
}

type setupAll struct {
	Kibana bool `help:"Only Kibana: the same as setup kibana."`
}

// Run implements the command.
func (a setupAll) Run(ctx context.Context, c *cli) error {
	if a.Kibana {
		return setupKibana{}.Run(ctx, c)
	}
	if err := (setupMongoDB{}).Run(ctx); err != nil {
		return err
	}
	return setupElasticsearch{}.Run(ctx, c)
}

type setupMongoDB struct{}

const mongoTimeout = 2 * time.Minute

// Run implements the command.
func (setupMongoDB) Run(ctx context.Context) error {
	var cfg mongostore.SetupConfig
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, mongoTimeout)
	defer cancel()
	if err := mongostore.Setup(ctx, cfg); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "MongoDB: replica set and accounts are ready.")
	return nil
}

type setupElasticsearch struct{}

// Run implements the command.
func (setupElasticsearch) Run(ctx context.Context, c *cli) error {
	var cfg elastic.SetupConfig
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	accounts, err := elastic.Accounts(os.LookupEnv, cfg.Stack)
	if err != nil {
		return usageError{err}
	}
	client, err := elastic.New(cfg.Client())
	if err != nil {
		return usageError{err}
	}
	summary, err := elastic.Setup(ctx, client, accounts, elastic.Options{
		Stack:    cfg.Stack,
		Progress: func(line string) { fmt.Fprintln(os.Stderr, "Elasticsearch:", line) },
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(summary)
	}
	fmt.Fprintln(os.Stderr, "Elasticsearch:", summary)
	return nil
}

type setupKibana struct {
	Space string        `help:"Kibana's space; made where it is not there. The default one if empty." placeholder:"ID"`
	Rules bool          `help:"Also make the alerting rules, or bring them up to date: Pharos' own watches run without them."`
	Wait  time.Duration `help:"How long to wait for Kibana to be ready." default:"5m"`
}

// Help implements kong.HelpProvider.
func (setupKibana) Help() string {
	return "KIBANA_URL says where Kibana is; ELASTIC_PASSWORD is the superuser's. Ends with 1 if Kibana did not take an object, and says why of each."
}

// Run implements the command.
func (s setupKibana) Run(ctx context.Context, c *cli) error {
	var cfg kibanaapi.Config
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	if err := kibanaapi.CheckSpace(s.Space); err != nil {
		return usageError{fmt.Errorf("--space: %w", err)}
	}
	summary, err := kibanaapi.Load(ctx, cfg, kibanaapi.Options{
		Space: s.Space, Rules: s.Rules, Wait: s.Wait,
		Progress: func(line string) { fmt.Fprintln(os.Stderr, "Kibana:", line) },
	})
	if c.JSON {
		if encodeErr := json.NewEncoder(os.Stdout).Encode(summary); err == nil {
			err = encodeErr
		}
		return err
	}
	if err == nil {
		fmt.Fprintln(os.Stderr, "Kibana:", summary)
	}
	return err
}
