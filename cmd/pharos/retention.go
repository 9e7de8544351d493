package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"go.uber.org/zap"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/retention"
	"pharos/retention/sweep"
)

// retentionCmd shows what retention is to remove, and removes it.
type retentionCmd struct {
	Apply bool `help:"Do it now. The watcher does so by itself, every RETENTION_EVERY."`
}

// Help implements kong.HelpProvider.
func (retentionCmd) Help() string {
	return "Each stream with its size, its age, its limit (RETENTION_* of .env) and what is to go and why. " +
		"The index that is written to never goes: one that is too old or too large is first closed by a new one, so a stream that has just " +
		"become too large shrinks at the second --apply."
}

// retentionConfig is the watcher's account, whose work it is.
type retentionConfig struct {
	URLs     []string   `env:"ELASTICSEARCH_URL,required,notEmpty"`
	CAFile   string     `env:"ELASTICSEARCH_CA_FILE"`
	Password env.Secret `env:"WATCHER_PASSWORD,required,notEmpty"`

	Limits retention.Config
}

// Validate implements env.Validator.
func (c *retentionConfig) Validate() error { return c.Limits.Validate() }

// Run implements the command.
func (r *retentionCmd) Run(ctx context.Context, c *cli) error {
	var cfg retentionConfig
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	es, err := elastic.New(elastic.Config{URLs: cfg.URLs, User: "watcher", Password: cfg.Password, CAFile: cfg.CAFile})
	if err != nil {
		return usageError{err}
	}
	sweeper := &sweep.Sweeper{
		Elasticsearch: es, Families: cfg.Limits.Families(), Records: cfg.Limits.Trimmed(),
		Now: time.Now, Log: zap.NewNop(), Metrics: sweep.NewMetrics(nil),
	}
	plan, err := sweeper.Plan(ctx)
	if err != nil {
		return fmt.Errorf("plan retention: %w", err)
	}
	var failed error
	if r.Apply {
		if failed = sweeper.Apply(ctx, plan); failed != nil {
			failed = fmt.Errorf("apply retention: %w", failed)
		}
	}
	if c.JSON {
		err = printJSON(plan)
	} else {
		err = printRetention(os.Stdout, plan, r.Apply && failed == nil)
	}
	if failed != nil {
		return failed
	}
	return err
}

func printRetention(out io.Writer, plan sweep.Plan, done bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "STREAM\tKEPT\tINDICES\tDOCUMENTS\tSIZE\tOLDEST\tTO DO")
	for _, s := range plan.Streams {
		var todo []string
		for _, r := range s.Remove {
			todo = append(todo, fmt.Sprintf("remove %s (%s): %s", r.Index, sizeText(r.Bytes), r.Why))
		}
		if s.RollOver != "" {
			todo = append(todo, "new index: "+s.RollOver)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", s.Stream, s.Limit, s.Indices, s.Documents, sizeText(s.Bytes),
			s.Oldest.Format(time.DateOnly), strings.Join(todo, "; "))
	}
	for _, t := range plan.Records {
		todo := ""
		if t.Documents > 0 {
			todo = fmt.Sprintf("remove %d records from before %s", t.Documents, t.Before.Format(time.DateOnly))
		}
		_, _ = fmt.Fprintf(w, "%s\t\t\t\t\t\t%s\n", t.Index, todo)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var notes []string
	if plan.Lifecycle {
		notes = append(notes, fmt.Sprintf("Elasticsearch removes by age itself (data stream lifecycle); %d streams are to be told theirs.", len(plan.Hand)))
	}
	if done {
		notes = append(notes, "Done.")
	} else {
		notes = append(notes, "Nothing was changed: --apply does it.")
	}
	_, err := fmt.Fprintln(out, strings.Join(notes, "\n"))
	return err
}

func sizeText(bytes int64) string {
	for _, unit := range []struct {
		name string
		in   float64
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}} {
		if float64(bytes) >= unit.in {
			return fmt.Sprintf("%.1f %s", float64(bytes)/unit.in, unit.name)
		}
	}
	return fmt.Sprintf("%d B", bytes)
}
