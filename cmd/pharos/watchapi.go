package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"pharos/internal/env"
	"pharos/internal/fault"
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

// ask calls the watcher's _watcher API and returns its answer; a refusal is an
// error in the watcher's words.
func ask(ctx context.Context, method, path string, body []byte) (*document.Object, error) {
	status, text, err := send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	answer, err := document.ParseObject(text)
	if status >= http.StatusBadRequest {
		if found, isBool := document.At(answer, "found").(bool); isBool && !found {
			return nil, fmt.Errorf("there is no watch %s", document.String(document.At(answer, "_id")))
		}
		return nil, fmt.Errorf("the watcher answers %d %s: %w", status, http.StatusText(status), document.AnsweredError(status, text))
	}
	if err != nil {
		return nil, fmt.Errorf("read the watcher's answer: %w", err)
	}
	return answer, nil
}

// call calls the watcher's own API, below /v1: in and out are JSON, nil for none.
// A refusal is an error in the watcher's words.
func call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	status, text, err := send(ctx, method, "/v1"+path, body)
	if err != nil {
		return err
	}
	if status >= http.StatusBadRequest {
		var problem fault.Problem
		if json.Unmarshal(text, &problem) != nil || problem.Title == "" {
			return fmt.Errorf("the watcher answers %d %s", status, http.StatusText(status))
		}
		if problem.Field != "" {
			problem.Detail = problem.Field + ": " + problem.Detail
		}
		return fmt.Errorf("%s: %s", problem.Title, oneLine(problem.Detail))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("read the watcher's answer: %w", err)
	}
	return nil
}

// listing is a list as the watcher's own API answers it.
type listing[T any] struct {
	Items []T `json:"items"`
}

// send asks the watcher as who is on call.
func send(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	var cfg watcherConfig
	if err := env.Parse(&cfg); err != nil {
		return 0, nil, usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, watcherTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(cfg.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, usageError{fmt.Errorf("WATCHER_URL: %w", err)}
	}
	req.SetBasicAuth(cfg.User, cfg.Password.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("ask the watcher: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	const largest = 64 << 20
	answer, err = io.ReadAll(io.LimitReader(resp.Body, largest))
	if err != nil {
		return 0, nil, fmt.Errorf("read the watcher's answer: %w", err)
	}
	return resp.StatusCode, answer, nil
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
	const all = `{"size":1000}` // Elasticsearch does not sort by _id
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
	slices.SortFunc(watches, func(a, b any) int {
		return cmp.Compare(document.String(document.At(a, "_id")), document.String(document.At(b, "_id")))
	})
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
	return changeWatch(ctx, c, path, a.ID+" is acknowledged.")
}

type watchActivate struct{ oneWatch }

// Run implements the command.
func (a *watchActivate) Run(ctx context.Context, c *cli) error {
	return changeWatch(ctx, c, watchPath(a.ID, "_activate"), a.ID+" is active.")
}

type watchDeactivate struct{ oneWatch }

// Run implements the command.
func (a *watchDeactivate) Run(ctx context.Context, c *cli) error {
	return changeWatch(ctx, c, watchPath(a.ID, "_deactivate"), a.ID+" is not active.")
}

func changeWatch(ctx context.Context, c *cli, path, done string) error {
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
