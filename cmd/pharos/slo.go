package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"pharos/elastic"
	"pharos/internal/env"
	"pharos/slo"
	"pharos/slo/rollup"
)

// sloCmd is about service level objectives.
type sloCmd struct {
	Status sloStatus `cmd:"" default:"withargs" help:"Print each objective with its arithmetic (the default)."`
	Report sloReport `cmd:"" help:"Write a month's review of all objectives, as Markdown."`
	Lint   sloLint   `cmd:"" help:"Check objective files, and say file, line and reason of each mistake."`
	Export sloExport `cmd:"" help:"Write the burn-rate watches as files that Elastic's Watcher loads, too."`
}

// objectiveFiles is where the objectives are.
type objectiveFiles struct {
	Dir string `help:"Folder of the objective files." default:"objectives" env:"OBJECTIVES_DIR" type:"existingdir"`
}

func (f objectiveFiles) load() ([]slo.Objective, error) {
	all, err := slo.Load(os.DirFS(f.Dir), ".")
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s holds no *.yaml", f.Dir)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return all, nil
}

// sloConfig is the account that reads.
type sloConfig struct {
	URLs     []string   `env:"ELASTICSEARCH_URL,required,notEmpty"`
	CAFile   string     `env:"ELASTICSEARCH_CA_FILE"`
	Password env.Secret `env:"ONCALL_PASSWORD,required,notEmpty"`
}

func sloReader() (rollup.Reader, error) {
	var cfg sloConfig
	if err := env.Parse(&cfg); err != nil {
		return rollup.Reader{}, usageError{err}
	}
	es, err := elastic.New(elastic.Config{URLs: cfg.URLs, User: "oncall", Password: cfg.Password, CAFile: cfg.CAFile})
	if err != nil {
		return rollup.Reader{}, usageError{err}
	}
	return rollup.Reader{Elasticsearch: es, Stream: slo.RollupStream, Now: time.Now}, nil
}

type sloStatus struct {
	objectiveFiles
	Parts bool `help:"Also each route and component."`
}

// Run implements the command.
func (s *sloStatus) Run(ctx context.Context, c *cli) error {
	objectives, err := s.load()
	if err != nil {
		return err
	}
	reader, err := sloReader()
	if err != nil {
		return err
	}
	now := time.Now()
	items := []rollup.Figures{}
	for _, o := range objectives {
		all, err := reader.Standing(ctx, o, s.Parts)
		if err != nil {
			return err
		}
		for _, one := range all {
			items = append(items, one.Figures(now))
		}
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"items": items})
	}
	return printStandings(os.Stdout, items)
}

func printStandings(to io.Writer, items []rollup.Figures) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, err := fmt.Fprintln(w, "OBJECTIVE\tTARGET\tBAD\tTOTAL\tATTAINED\tBUDGET LEFT\tBURN 1h\t6h\t3d\tDAYS\t")
	share := func(v *float64) string {
		if v == nil {
			return "no data"
		}
		return slo.Percent(*v)
	}
	rate := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.3g", *v)
	}
	for _, i := range items {
		name := i.Name
		if i.Part != "" {
			name += " " + i.Part
		}
		left := "no data"
		if i.BudgetLeft != nil {
			left = fmt.Sprintf("%.1f %%", *i.BudgetLeft*100)
		}
		_, lineErr := fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f %s\t%s\t%s\t%s\t%s\t%s\t%.1f of %.0f\t\n", name, slo.Percent(i.Target), i.Bad, i.Total, i.Unit,
			share(i.Attained), left, rate(i.Burn1h), rate(i.Burn6h), rate(i.Burn3d), i.DaysObserved, i.WindowDays)
		err = errors.Join(err, lineErr)
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(to, "attained = (total - bad) / total; budget left = 1 - bad / (total × (1 - target)); burn = (bad / total) / (1 - target)")
	return err
}

type sloLint struct {
	Files []string `arg:"" optional:"" help:"Files to check; all of --dir if none is named." type:"existingfile"`
	objectiveFiles
}

// Run implements the command.
func (l *sloLint) Run(c *cli) error {
	files := l.Files
	if len(files) == 0 {
		var err error
		if files, err = filepath.Glob(filepath.Join(l.Dir, "*.yaml")); err != nil {
			return usageError{err}
		}
	}
	n := 0
	var mistakes []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return usageError{err}
		}
		objectives, err := slo.Parse(name, text)
		n += len(objectives)
		if err != nil {
			mistakes = append(mistakes, strings.Split(err.Error(), "\n")...)
		}
	}
	if c.JSON {
		if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"objectives": n, "mistakes": append([]string{}, mistakes...)}); err != nil {
			return err
		}
	} else {
		for _, m := range mistakes {
			fmt.Println(m)
		}
		fmt.Printf("%d files, %d objectives, %d mistakes\n", len(files), n, len(mistakes))
	}
	if len(mistakes) > 0 || n == 0 {
		return fmt.Errorf("%d mistakes in %d files", len(mistakes), len(files))
	}
	return nil
}

type sloExport struct {
	objectiveFiles
	To string `arg:"" help:"Folder for the files, one a watch." type:"path"`
}

// Run implements the command.
func (e *sloExport) Run() error {
	objectives, err := e.load()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.To, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	for _, o := range objectives {
		for _, w := range slo.Watches(o) {
			text, err := json.MarshalIndent(w.Body, "", "  ")
			if err != nil {
				return fmt.Errorf("write watch %s: %w", w.ID, err)
			}
			name := filepath.Join(e.To, w.ID+".json")
			if err := os.WriteFile(name, append(text, '\n'), 0o644); err != nil {
				return fmt.Errorf("write watch %s: %w", w.ID, err)
			}
			fmt.Println(name)
		}
	}
	return nil
}
