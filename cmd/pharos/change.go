package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"pharos/incident"
)

// changeCmd is about what people change.
type changeCmd struct {
	List   changeList   `cmd:"" default:"withargs" help:"Print the changes of a time, the latest first (the default)."`
	Record changeRecord `cmd:"" help:"Record a change: deploy, setting or other."`
}

type changeRecord struct {
	Kind    incident.ChangeKind `arg:"" enum:"deploy,setting,other" help:"deploy, setting or other."`
	Text    string              `arg:"" optional:"" help:"What was changed."`
	Service string              `help:"The service that it is about."`
	Release string              `help:"The version that is there now."` // --version is taken
	At      time.Time           `help:"When it was made: RFC 3339; now if left out." format:"2006-01-02T15:04:05Z07:00"`
}

// Run implements the command.
func (r *changeRecord) Run(ctx context.Context, c *cli) error {
	body := map[string]any{"kind": r.Kind, "service": r.Service, "version": r.Release, "text": r.Text}
	if !r.At.IsZero() {
		body["at"] = r.At.UTC()
	}
	var made incident.Change
	if err := call(ctx, http.MethodPost, "/changes", body, &made); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if c.JSON {
		return printJSON(made)
	}
	fmt.Printf("%s is recorded at %s.\n", made.ID, made.At.Format(time.RFC3339))
	return nil
}

type changeList struct {
	Last time.Duration `help:"Of the last so long." default:"24h"`
}

// Run implements the command.
func (l *changeList) Run(ctx context.Context, c *cli) error {
	query := url.Values{"from": {time.Now().Add(-l.Last).UTC().Format(time.RFC3339)}, "limit": {"1000"}}
	var found listing[incident.Change]
	if err := call(ctx, http.MethodGet, "/changes?"+query.Encode(), nil, &found); err != nil {
		return fmt.Errorf("read changes: %w", err)
	}
	if c.JSON {
		return printJSON(found.Items)
	}
	return printChanges(os.Stdout, found.Items)
}

func printChanges(out io.Writer, changes []incident.Change) error {
	if len(changes) == 0 {
		_, err := fmt.Fprintln(out, "No changes.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "AT\tKIND\tSERVICE\tVERSION\tBY\tTEXT")
	for _, c := range changes {
		_, _ = fmt.Fprintln(w, strings.Join([]string{
			c.At.Format(time.RFC3339), string(c.Kind), oneLine(c.Service), oneLine(c.Version), oneLine(c.By), oneLine(c.Text),
		}, "\t"))
	}
	return w.Flush()
}
