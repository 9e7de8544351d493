// Command pharos is the operator's command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

var version = "dev" // set by the linker

type cli struct {
	Alerts    alertsCmd    `cmd:"" help:"Alerts, acknowledgements, silences, maintenance."`
	Backup    backupCmd    `cmd:"" help:"Make a backup; list and check backups."`
	Restore   restoreCmd   `cmd:"" help:"Bring a backup back into empty stores (make restore)."`
	Change    changeCmd    `cmd:"" help:"Deploys and settings, as incidents name them."`
	Setup     setupCmd     `cmd:"" help:"Prepare Elasticsearch, MongoDB and Kibana. May be run again at any time."`
	DLQ       dlqCmd       `cmd:"" name:"dlq" help:"Events that a consumer gave up."`
	Import    importCmd    `cmd:"" help:"Load an access log of another server into the traffic."`
	Functions functionsCmd `cmd:"" help:"Print calls, errors and times of the measured functions."`
	Load      loadCmd      `cmd:"" help:"Make steady traffic as users make it, and measure the answers."`
	Retention retentionCmd `cmd:"" help:"What is too old or too large and goes: show it, or do it now."`
	SLO       sloCmd       `cmd:"" name:"slo" help:"Service level objectives: standing, report, lint, export."`
	Seed      seedCmd      `cmd:"" help:"Make demo users who follow each other and post."`
	Vuln      vulnCmd      `cmd:"" help:"Known vulnerabilities of what our programs are built from: see make vuln."`
	Watch     watchCmd     `cmd:"" help:"Watches: try on past data, list, run, acknowledge."`

	JSON    bool             `help:"Print results as JSON." env:"PHAROS_JSON"`
	Version kong.VersionFlag `help:"Print the version."`
}

// usageError is a mistake of whoever runs the command: exit code 2.
type usageError struct{ error }

func main() {
	var c cli
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	k := kong.Parse(&c,
		kong.Name("pharos"),
		kong.Description("The operator's command of Pharos. Settings come from the environment; .env.example names them."),
		kong.Vars{"version": version},
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	err := k.Run(&c)
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "pharos %s: %v\n", k.Command(), err)
	if errors.As(err, &usageError{}) {
		os.Exit(2)
	}
	os.Exit(1)
}
