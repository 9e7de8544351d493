package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/vulnscan"
)

// vulnCmd tells what `make vuln` found, and keeps it for the console.
type vulnCmd struct {
	Report string `placeholder:"FILE" xor:"what" required:"" type:"existingfile" help:"What govulncheck -format json wrote."`
	NotRun string `placeholder:"REASON" xor:"what" required:"" help:"There is no report, for this reason."`
	Record bool   `help:"Write it to logs-external-default, for the console's security page."`
}

// scannerSettings are the account's that may add to logs-external-*.
type scannerSettings struct {
	URLs        []string   `env:"ELASTICSEARCH_URL,required,notEmpty"`
	Password    env.Secret `env:"SCANNER_PASSWORD,required,notEmpty"`
	CAFile      string     `env:"ELASTICSEARCH_CA_FILE"`
	Environment string     `env:"ENVIRONMENT" envDefault:"dev"`
}

var errReached = errors.New("our code calls what is known to be vulnerable")

// Run implements the command. Vulnerable code that is called is an error.
func (v *vulnCmd) Run(ctx context.Context, c *cli) error {
	run := vulnscan.Run{ID: uuid.NewString(), At: time.Now(), Version: version}
	var scan vulnscan.Scan
	if v.Report != "" {
		f, err := os.Open(v.Report)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if scan, err = vulnscan.Read(f); err != nil {
			return err
		}
		if err := printScan(os.Stdout, c.JSON, scan); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(os.Stderr, "NOT RUN: %s\n", v.NotRun)
	}
	if v.Record {
		if err := v.record(ctx, run, scan); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "Recorded in", vulnscan.Stream)
	}
	if scan.Reached() > 0 {
		return fmt.Errorf("%w: %d findings", errReached, scan.Reached())
	}
	return nil
}

func (v *vulnCmd) record(ctx context.Context, run vulnscan.Run, scan vulnscan.Scan) error {
	var cfg scannerSettings
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	run.Environment = cfg.Environment
	es, err := elastic.New(elastic.Config{URLs: cfg.URLs, User: "scanner", Password: cfg.Password, CAFile: cfg.CAFile})
	if err != nil {
		return usageError{err}
	}
	all := []map[string]any{vulnscan.NotRun(run, v.NotRun)}
	if v.Report != "" {
		all = vulnscan.Documents(run, scan)
	}
	var documents []elastic.Document
	for _, d := range all {
		body, err := json.Marshal(d)
		if err != nil {
			return err
		}
		documents = append(documents, elastic.Document{Body: body})
	}
	result, err := es.Create(ctx, vulnscan.Stream, documents)
	if err != nil {
		return err
	}
	if len(result.Refused) > 0 {
		return fmt.Errorf("%d of %d documents were refused: %s", len(result.Refused), len(documents), result.Refused[0].Reason)
	}
	return nil
}

func printScan(to io.Writer, asJSON bool, scan vulnscan.Scan) error {
	if asJSON {
		return json.NewEncoder(to).Encode(scan)
	}
	_, _ = fmt.Fprintf(to, "%s, %s, %s: %d vulnerabilities, %d called\n", scan.Scanner, scan.Database, scan.Go, len(scan.Findings), scan.Reached())
	if len(scan.Findings) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tREACH\tMODULE\tVERSION\tFIXED IN\tSUMMARY")
	for _, f := range scan.Findings {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.ID, f.Reach, f.Module, f.Version, f.Fixed, f.Summary)
	}
	return w.Flush()
}
