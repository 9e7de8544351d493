package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"pharos/internal/env"
	"pharos/load"
)

// loadCmd makes steady traffic through the public door.
type loadCmd struct {
	URL      string        `help:"Base URL of Pharos." default:"http://127.0.0.1:8080" env:"PHAROS_URL"`
	Rate     float64       `help:"Requests a second. nginx lets 100 of one address through (NGINX_RATE_LIMIT)." default:"20"`
	Duration time.Duration `help:"How long." default:"1m"`
	Seed     uint64        `help:"Equal seeds make equal sequences of requests." default:"1"`
	Users    int           `help:"How many users ask. They are signed up once, and signed in by every run." default:"20"`
	Mix      string        `help:"Weights of the kinds of requests." default:"feed=40,post=8,task=20,page=10,shop=17,bad=5"`
	Constant bool          `help:"Send at even distances instead of at random ones (a Poisson process)."`
	InFlight int           `help:"How many requests may wait for an answer; more are dropped and counted." default:"256"`
}

// Help implements kong.HelpProvider.
func (*loadCmd) Help() string {
	return "The load is open: requests are sent when they are due, answered or not, and latency counts from when a request was due." +
		" So Retry-After is not honoured: real users do not stop coming either." +
		" A request that gets the status that it must get is ok; a mistake (bad) must get its 4xx." +
		" Ends with 1 if nothing could be reached."
}

// Run implements the command.
func (l *loadCmd) Run(ctx context.Context, c *cli) error {
	var cfg seedSettings
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	mix, err := load.ParseMix(l.Mix)
	if err != nil {
		return usageError{fmt.Errorf("--mix: %w", err)}
	}
	plan := load.PlanConfig{
		Seed: l.Seed, Rate: l.Rate, Constant: l.Constant, Users: l.Users, Mix: mix,
		Run: uuid.NewString()[:8], Start: time.Now(),
	}
	limits := load.Limits{Duration: l.Duration, InFlight: l.InFlight}
	if err := load.Validate(plan, limits); err != nil {
		return usageError{err}
	}
	client, err := load.NewClient(l.URL)
	if err != nil {
		return usageError{err}
	}
	// Progress is for whoever looks on; the result alone is standard output.
	say := newTicker(os.Stderr)
	say.line(fmt.Sprintf("Signing %d users in at %s …", l.Users, l.URL))
	if err := client.Prepare(ctx, l.Users, cfg.Password.Reveal()); err != nil {
		say.end()
		return fmt.Errorf("prepare: %w", err)
	}
	plan.Start = time.Now()
	report := load.Run(ctx, load.NewPlan(plan), limits, client, say.progress)
	say.end()
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		err = printLoad(os.Stdout, report)
	}
	if err == nil && report.Total.Sent > 0 && !report.Answered() {
		err = fmt.Errorf("%s: %w", l.URL, load.ErrUnreachable)
	}
	return err
}

// ticker shows how a run goes on: on a terminal in one line that it rewrites,
// elsewhere in a line for every ten seconds.
type ticker struct {
	out      io.Writer
	terminal bool
	lines    int
}

func newTicker(out *os.File) *ticker {
	info, err := out.Stat()
	return &ticker{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (t *ticker) line(text string) {
	// Nothing to do for a progress that can't be written.
	if t.terminal {
		_, _ = fmt.Fprint(t.out, "\r\x1b[K"+text)
	} else {
		_, _ = fmt.Fprintln(t.out, text)
	}
}

func (t *ticker) progress(p load.Progress) {
	if t.lines++; !t.terminal && t.lines%10 != 0 {
		return
	}
	sum := p.Total
	t.line(fmt.Sprintf("%4s  %.0f/s  %d in flight  %d ok  4xx %d  429 %d  5xx %d  failed %d  dropped %d  p50 %s  p95 %s  p99 %s",
		p.Elapsed.Round(time.Second), p.Rate, p.InFlight, sum.OK, sum.ClientError, sum.TooMany, sum.ServerError, sum.Failed, sum.Dropped,
		span(&sum.P50), span(&sum.P95), span(&sum.P99)))
}

func (t *ticker) end() {
	if t.terminal {
		_, _ = fmt.Fprintln(t.out)
	}
}

func printLoad(out io.Writer, r load.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	// What can't be written is told of by Flush.
	_, _ = fmt.Fprintln(w, "kind\tsent\tok\t4xx\t429\t5xx\tfailed\tdropped\tp50\tp95\tp99\t")
	for _, row := range append(r.Rows, r.Total) {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t\n", row.Kind, row.Sent, row.OK, row.ClientError, row.TooMany,
			row.ServerError, row.Failed, row.Dropped, span(&row.P50), span(&row.P95), span(&row.P99))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%.1f requests a second for %.0f s\n", float64(r.Total.Sent)/r.Seconds, r.Seconds)
	return err
}
