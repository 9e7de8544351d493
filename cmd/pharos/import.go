package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pharos/accesslog"
	"pharos/elastic"
	"pharos/internal/env"
)

// importCmd loads an access log of another server.
type importCmd struct {
	Format string `enum:"combined" default:"combined" help:"Format of the lines: combined (Apache's and nginx's; common is a part of it)."`
	Shift  string `help:"Added to every line's time: a duration such as 24h or -30m, or now, which moves the newest line to this moment." placeholder:"DURATION|now"`
	File   string `arg:"" help:"The log; - reads standard input." placeholder:"FILE"`
}

// importConfig is the account that may add requests and read nothing.
type importConfig struct {
	URLs        []string   `env:"ELASTICSEARCH_URL,required,notEmpty"`
	CAFile      string     `env:"ELASTICSEARCH_CA_FILE"`
	Password    env.Secret `env:"FILEBEAT_PASSWORD,required,notEmpty"`
	Environment string     `env:"ENVIRONMENT"`
	Region      string     `env:"REGION"`
}

// Help implements kong.HelpProvider.
func (importCmd) Help() string {
	return "Requests are added to " + elastic.TrafficStream + " as if nginx had logged them. " +
		"Importing the same file again adds nothing: a document's id comes from the file's name, the line's number and its text. " +
		"Lines that can't be read are counted and shown; they end nothing, but make the exit code 1 if no line could be read."
}

// Run implements the command.
func (i importCmd) Run(ctx context.Context, c *cli) error {
	var cfg importConfig
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	es, err := elastic.New(elastic.Config{URLs: cfg.URLs, User: "filebeat", Password: cfg.Password, CAFile: cfg.CAFile})
	if err != nil {
		return usageError{err}
	}
	in, shift, err := i.open(time.Now())
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = in.Close() }()
	im := accesslog.Import{
		Origin: accesslog.Origin{Service: "nginx", Environment: cfg.Environment, Node: "import", Region: cfg.Region, File: filepath.Base(i.File)},
		Stream: elastic.TrafficStream, Shift: shift,
	}
	if isTerminal(os.Stderr) {
		im.Progress = func(r accesslog.Report) { fmt.Fprintf(os.Stderr, "\r%d lines", r.Lines) }
	}
	report, err := im.Run(ctx, in, es)
	if im.Progress != nil {
		fmt.Fprintln(os.Stderr)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		err = printReport(os.Stdout, report)
	}
	if err == nil && report.Total == 0 {
		err = errors.New("no line could be read")
	}
	return err
}

// open opens the log and finds how far its times are moved.
func (i importCmd) open(now time.Time) (io.ReadCloser, time.Duration, error) {
	if i.File == "-" {
		if i.Shift == "now" {
			return nil, 0, errors.New("--shift=now needs a file: the newest line has to be found first")
		}
		shift, err := i.duration()
		return io.NopCloser(os.Stdin), shift, err
	}
	f, err := os.Open(i.File)
	if err != nil {
		return nil, 0, err
	}
	shift, err := i.duration()
	if i.Shift == "now" {
		var newest time.Time
		if newest, err = accesslog.Newest(f); err == nil {
			shift = now.Sub(newest).Truncate(time.Second)
			_, err = f.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, shift, nil
}

func (i importCmd) duration() (time.Duration, error) {
	if i.Shift == "" || i.Shift == "now" {
		return 0, nil
	}
	d, err := time.ParseDuration(i.Shift)
	if err != nil {
		return 0, fmt.Errorf("--shift %q: want a duration such as 24h or -30m, or now", i.Shift)
	}
	return d, nil
}

// isTerminal reports whether somebody watches f.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func printReport(to io.Writer, r accesslog.Report) error {
	_, err := fmt.Fprintf(to, "%d lines: %d added, %d there before, %d malformed\n", r.Lines, r.Created, r.Present, r.Malformed)
	for _, p := range r.Problems {
		_, lineErr := fmt.Fprintf(to, "  line %d: %.200s\n", p.Line, p.Reason)
		err = errors.Join(err, lineErr)
	}
	if more := r.Malformed - len(r.Problems); more > 0 {
		_, lineErr := fmt.Fprintf(to, "  and %d more\n", more)
		err = errors.Join(err, lineErr)
	}
	if r.Total == 0 || err != nil {
		return err
	}
	_, err = fmt.Fprintf(to, "from %s to %s\navailability %.6g = (%d - %d) / %d\n", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339),
		float64(r.Total-r.Bad)/float64(r.Total), r.Total, r.Bad, r.Total)
	statuses := make([]int, 0, len(r.Statuses))
	for s := range r.Statuses {
		statuses = append(statuses, s)
	}
	slices.Sort(statuses)
	for _, s := range statuses {
		_, lineErr := fmt.Fprintf(to, "  %d  %d\n", s, r.Statuses[s])
		err = errors.Join(err, lineErr)
	}
	return err
}
