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
)

// setupCmd prepares the stores that can't prepare themselves, and makes certificates.
type setupCmd struct {
	All           setupAll           `cmd:"" default:"withargs" help:"Prepare both stores (the default)."`
	Elasticsearch setupElasticsearch `cmd:"" help:"Ingest pipelines, index templates, roles and accounts."`
	MongoDB       setupMongoDB       `cmd:"" name:"mongodb" help:"Replica set and accounts."`
	Certificates  setupCertificates  `cmd:"" help:"An authority of our own, and certificates of Elasticsearch and nginx that it signs. What is there and good stays."`
}

type setupAll struct{}

// Run implements the command.
func (setupAll) Run(ctx context.Context, c *cli) error {
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
