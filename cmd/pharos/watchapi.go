package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"pharos/internal/env"
	"pharos/watcher/document"
)

// watcherConfig says where the watcher is and who asks it.
type watcherConfig struct {
	URL      string     `env:"WATCHER_URL" envDefault:"http://127.0.0.1:8095"`
	User     string     `env:"WATCHER_USER" envDefault:"oncall"`
	Password env.Secret `env:"ONCALL_PASSWORD,required,notEmpty"`
}

// watcherTimeout is longer than an execution may take.
const watcherTimeout = 90 * time.Second

// ask calls the watcher's API and returns its answer; a refusal is an error in
// the watcher's words.
func ask(ctx context.Context, method, path string, body []byte) (*document.Object, error) {
	var cfg watcherConfig
	if err := env.Parse(&cfg); err != nil {
		return nil, usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, watcherTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(cfg.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, usageError{fmt.Errorf("WATCHER_URL: %w", err)}
	}
	req.SetBasicAuth(cfg.User, cfg.Password.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the watcher: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	const largest = 64 << 20
	text, err := io.ReadAll(io.LimitReader(resp.Body, largest))
	if err != nil {
		return nil, fmt.Errorf("read the watcher's answer: %w", err)
	}
	answer, err := document.ParseObject(text)
	if resp.StatusCode >= http.StatusBadRequest {
		if found, isBool := document.At(answer, "found").(bool); isBool && !found {
			return nil, fmt.Errorf("there is no watch %s", document.String(document.At(answer, "_id")))
		}
		return nil, fmt.Errorf("the watcher answers %s: %w", resp.Status, document.AnsweredError(resp.StatusCode, text))
	}
	if err != nil {
		return nil, fmt.Errorf("read the watcher's answer: %w", err)
	}
	return answer, nil
}

func watchPath(id string, rest ...string) string {
	path := "/_watcher/watch/" + url.PathEscape(id)
	for _, part := range rest {
		path += "/" + url.PathEscape(part)
	}
	return path
}

type watchList struct{}

// Run implements the command.
func (watchList) Run(ctx context.Context, c *cli) error {
	const all = `{"size":1000,"sort":[{"_id":"asc"}]}`
	answer, err := ask(ctx, http.MethodPost, "/_watcher/_query/watches", []byte(all))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(answer)
	}
	return printWatches(os.Stdout, answer)
}

func printWatches(out io.Writer, answer *document.Object) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tACTIVE\tSTATE\tLAST CHECKED\tLAST MET\tACKNOWLEDGED")
	watches, _ := document.At(answer, "watches").([]any)
	for _, one := range watches {
		text := func(path string) string {
			if v := document.At(one, path); v != nil {
				return oneLine(document.String(v))
			}
			return "-"
		}
		var acked []string
		actions, _ := document.At(one, "status.actions").(*document.Object)
		for id, a := range actions.All() {
			if document.String(document.At(a, "ack.state")) == "acked" {
				acked = append(acked, id)
			}
		}
		_, _ = fmt.Fprintln(w, strings.Join([]string{text("_id"), text("status.state.active"), text("status.execution_state"),
			text("status.last_checked"), text("status.last_met_condition"), strings.Join(acked, ", ")}, "\t"))
	}
	return w.Flush()
}

type oneWatch struct {
	ID string `arg:"" help:"The watch's ID."`
}

type watchShow struct{ oneWatch }

// Run implements the command.
func (s *watchShow) Run(ctx context.Context) error {
	answer, err := ask(ctx, http.MethodGet, watchPath(s.ID), nil)
	if err != nil {
		return err
	}
	return printJSON(answer)
}

type watchRun struct{ oneWatch }

// Run implements the command.
func (r *watchRun) Run(ctx context.Context, c *cli) error {
	answer, err := ask(ctx, http.MethodPost, watchPath(r.ID, "_execute"), []byte(`{"action_modes":{"_all":"force_simulate"},"record_execution":false}`))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(answer)
	}
	return printRecord(os.Stdout, answer)
}

func printRecord(out io.Writer, answer *document.Object) error {
	_, err := fmt.Fprintf(out, "state: %s\ncondition met: %s\n",
		document.String(document.At(answer, "watch_record.state")), document.String(document.At(answer, "watch_record.result.condition.met")))
	for _, path := range []string{"result.input.error", "exception", "messages"} {
		if v := document.At(answer, "watch_record."+path); v != nil && document.String(v) != "[]" {
			_, err = fmt.Fprintf(out, "%s: %s\n", path, document.String(v))
		}
	}
	actions, _ := document.At(answer, "watch_record.result.actions").([]any)
	for _, a := range actions {
		_, err = fmt.Fprintf(out, "%s (%s): %s\n", document.String(document.At(a, "id")), document.String(document.At(a, "type")), document.String(a))
	}
	return err
}

type watchAck struct {
	oneWatch
	Action string `arg:"" optional:"" help:"One action's ID; all if left out."`
}

// Run implements the command.
func (a *watchAck) Run(ctx context.Context, c *cli) error {
	path := watchPath(a.ID, "_ack")
	if a.Action != "" {
		path = watchPath(a.ID, "_ack", a.Action)
	}
	return change(ctx, c, path, a.ID+" is acknowledged.")
}

type watchActivate struct{ oneWatch }

// Run implements the command.
func (a *watchActivate) Run(ctx context.Context, c *cli) error {
	return change(ctx, c, watchPath(a.ID, "_activate"), a.ID+" is active.")
}

type watchDeactivate struct{ oneWatch }

// Run implements the command.
func (a *watchDeactivate) Run(ctx context.Context, c *cli) error {
	return change(ctx, c, watchPath(a.ID, "_deactivate"), a.ID+" is not active.")
}

func change(ctx context.Context, c *cli, path, done string) error {
	answer, err := ask(ctx, http.MethodPut, path, nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(answer)
	}
	fmt.Println(done)
	return nil
}
