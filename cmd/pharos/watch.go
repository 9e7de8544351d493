package main

import (
	"context"
	"crypto/rand"
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
	"pharos/watcher/alert"
	"pharos/watcher/alerting"
	"pharos/watcher/document"
	"pharos/watcher/replay"
)

// watchCmd is what people do with watches.
type watchCmd struct {
	Test       watchTest       `cmd:"" help:"Replay a watch over past data: when would it have fired, and whom would it have told?"`
	List       watchList       `cmd:"" help:"Print the watches and how they stand."`
	Show       watchShow       `cmd:"" help:"Print a watch and its status."`
	Run        watchRun        `cmd:"" help:"Execute a watch now, without its actions: they are only rendered."`
	Ack        watchAck        `cmd:"" help:"Acknowledge a watch's actions: they are quiet until its condition has cleared."`
	Activate   watchActivate   `cmd:"" help:"Let a watch run by its schedule."`
	Deactivate watchDeactivate `cmd:"" help:"Keep a watch from running."`
}

type watchTest struct {
	Watch string        `arg:"" type:"existingfile" help:"The watch, a JSON file." placeholder:"WATCH.json"`
	From  string        `xor:"data" required:"" help:"Past documents, one JSON object with @timestamp a line; - reads standard input." placeholder:"FILE"`
	Last  time.Duration `xor:"data" required:"" help:"Replay so much of what Elasticsearch has."`
	Step  string        `default:"auto" help:"Time between executions; auto: as the watch's schedule has it, but at most 3,000 executions." placeholder:"DURATION|auto"`
}

// Help implements kong.HelpProvider.
func (watchTest) Help() string {
	return "Nothing is sent. Searches ask for the time of each execution: now in their date math is replaced by it, and so is the missing end of a range. " +
		"A watch with an http input, a search template or a search without a range of time is refused. " +
		"Scripts that ask for the time themselves, instead of ctx, get the present. Silences and acknowledgements are left out. " +
		"With --from the documents go to temporary indices with the mappings of the watch's own, and are deleted."
}

// Run implements the command.
func (t *watchTest) Run(ctx context.Context, c *cli) error {
	o, err := t.options()
	if err != nil {
		return usageError{err}
	}
	id := strings.TrimSuffix(filepath.Base(t.Watch), ".json")
	text, err := os.ReadFile(t.Watch)
	if err != nil {
		return usageError{err}
	}
	source, err := document.ParseObject(text)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", t.Watch, err)}
	}
	past, err := replay.Rewrite(source, nil)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", t.Watch, err)}
	}
	var cfg elastic.SetupConfig
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	es, err := elastic.New(cfg.Client())
	if err != nil {
		return usageError{err}
	}
	if t.From != "" {
		data, err := t.load(ctx, es, past.Indices)
		if data != nil {
			defer func() {
				if err := data.Close(context.WithoutCancel(ctx)); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}()
		}
		if err != nil {
			return fmt.Errorf("load %s: %w", t.From, err)
		}
		if past, err = replay.Rewrite(source, data.Redirect); err != nil {
			return err
		}
		o.From, o.To, o.Settle = data.From.Add(-time.Millisecond), data.To.Add(time.Millisecond), settle
	}
	result, err := replay.Watch(ctx, es, id, past.Source, o)
	if err != nil {
		return err
	}
	for _, path := range past.Changes {
		fmt.Fprintf(os.Stderr, "%s: follows the time of each execution, instead of the present\n", path)
	}
	if c.JSON {
		return printJSON(result)
	}
	return printReplay(os.Stdout, id, result)
}

// settle is how long after the last document a replay waits for alerts to end.
const settle = 6 * time.Hour

func (t *watchTest) options() (replay.Options, error) {
	var routing alerting.Config
	if err := env.Parse(&routing); err != nil {
		return replay.Options{}, err
	}
	now := time.Now()
	o := replay.Options{From: now.Add(-t.Last), To: now, GroupWindow: routing.GroupWindow}
	if t.Step != "auto" {
		step, err := time.ParseDuration(t.Step)
		if err != nil || step < time.Second {
			return o, fmt.Errorf("--step: %q is neither auto nor a duration of at least 1s", t.Step)
		}
		o.Step = step
	}
	if t.From == "" && t.Last <= 0 {
		return o, errors.New("--last must be above 0")
	}
	return o, nil
}

func (t *watchTest) load(ctx context.Context, es *elastic.Client, indices []string) (*replay.Data, error) {
	if len(indices) == 0 {
		return nil, errors.New("the watch searches no index")
	}
	var in io.Reader = os.Stdin
	if t.From != "-" {
		file, err := os.Open(t.From)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	return replay.Load(ctx, es, in, indices, "replay"+strings.ToLower(rand.Text()[:12]))
}

func printReplay(out io.Writer, id string, r replay.Result) error {
	pace := "by its schedule"
	if r.Step > 0 {
		pace = "every " + r.Step.String()
	}
	_, _ = fmt.Fprintf(out, "%s from %s to %s: %d executions %s\n", id, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339), r.Runs, pace)
	if r.Failed > 0 {
		_, _ = fmt.Fprintf(out, "%d failures; the first: %s\n", r.Failed, r.FirstFailure)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(r.Intervals) > 0 {
		_, _ = fmt.Fprintln(w, "\nCONDITION MET\tUNTIL\tFOR\tEXECUTIONS")
	}
	for _, i := range r.Intervals {
		_, _ = fmt.Fprintln(w, strings.Join([]string{i.From.Format(time.RFC3339), until(i.To), lasted(i.From, i.To), fmt.Sprint(i.Runs)}, "\t"))
	}
	_ = w.Flush()
	if len(r.Alerts) > 0 {
		_, _ = fmt.Fprintln(w, "\nFIRED\tRESOLVED\tFOR\tGROUP\tTOLD\tFLAPS\tSUMMARY")
	}
	for _, a := range r.Alerts {
		_, _ = fmt.Fprintln(w, strings.Join([]string{
			a.StartedAt.Format(time.RFC3339), until(a.ResolvedAt), lasted(a.StartedAt, a.ResolvedAt), a.Group, told(a), fmt.Sprint(a.Flaps), oneLine(a.Summary),
		}, "\t"))
	}
	_ = w.Flush()
	_, err := fmt.Fprintf(out, "\n%d pages, %d of them resolved; %d Slack messages\n", r.Pages, r.Resolved, r.Messages)
	return err
}

func until(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}

func lasted(from, to time.Time) string {
	if to.IsZero() {
		return "-"
	}
	return to.Sub(from).Round(time.Second).String()
}

// told says by which channels an alert's people were told.
func told(a alert.Alert) string {
	if a.Page != "" && a.Page != a.ID {
		return "with another"
	}
	var names []string
	for _, r := range a.Routes {
		names = append(names, r.Channel)
	}
	return strings.Join(names, ", ")
}
