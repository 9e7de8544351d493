package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"pharos/internal/env"
)

// functionsCmd prints what the public API tells of the measured functions.
type functionsCmd struct {
	Name string `arg:"" optional:"" help:"Only the function of this name."`
	URL  string `help:"Base URL of Pharos." default:"http://127.0.0.1:8080" env:"PHAROS_URL"`
	From string `help:"Only calls since this time: RFC 3339, or how long ago, such as 15m."`
	To   string `help:"Only calls before this time, in the same forms."`
}

type functionsSettings struct {
	Key env.Secret `env:"OPERATOR_API_KEY,required,notEmpty"`
}

// measuredFunction is an item of GET /v1/functions: seconds, and nil for what
// there is none of without calls.
type measuredFunction struct {
	Name      string   `json:"func_name"`
	Calls     int64    `json:"calls"`
	Errors    int64    `json:"errors"`
	ErrorRate *float64 `json:"error_rate"`
	Average   *float64 `json:"avg_time"`
	P50       *float64 `json:"p50"`
	P95       *float64 `json:"p95"`
	P99       *float64 `json:"p99"`
}

// Run implements the command.
func (f *functionsCmd) Run(ctx context.Context, c *cli) error {
	var cfg functionsSettings
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	query, err := f.query(time.Now())
	if err != nil {
		return usageError{err}
	}
	target := strings.TrimSuffix(f.URL, "/") + "/v1/functions"
	if f.Name != "" {
		target += "/" + url.PathEscape(f.Name)
	}
	body, err := get(ctx, target+"?"+query.Encode(), cfg.Key)
	if err != nil {
		return fmt.Errorf("read functions: %w", err)
	}
	if c.JSON {
		_, err := fmt.Println(string(body))
		return err
	}
	var list struct{ Items []measuredFunction }
	if f.Name != "" {
		list.Items = make([]measuredFunction, 1)
		err = json.Unmarshal(body, &list.Items[0])
	} else {
		err = json.Unmarshal(body, &list)
	}
	if err != nil {
		return fmt.Errorf("read functions: %w", err)
	}
	return printFunctions(os.Stdout, list.Items)
}

func (f *functionsCmd) query(now time.Time) (url.Values, error) {
	query := url.Values{}
	for name, text := range map[string]string{"from": f.From, "to": f.To} {
		if text == "" {
			continue
		}
		if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
			text = now.Add(-ago).UTC().Format(time.RFC3339)
		} else if _, err := time.Parse(time.RFC3339, text); err != nil {
			return nil, fmt.Errorf("--%s must be a time such as 2026-07-01T12:00:00Z, or how long ago, such as 15m", name)
		}
		query.Set(name, text)
	}
	return query, nil
}

// get asks the API with the operator's key. What is not answered with 200 is
// an error with the problem's detail.
func get(ctx context.Context, target string, key env.Secret) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Api-Key", key.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		var p struct {
			Detail string `json:"detail"`
		}
		_ = json.Unmarshal(body, &p) // nginx down to a bare body: the status says enough
		return nil, errors.New(strings.TrimSpace("answered " + resp.Status + " " + p.Detail))
	}
	return body, nil
}

func printFunctions(out io.Writer, items []measuredFunction) error {
	if len(items) == 0 {
		_, err := fmt.Fprintln(out, "No calls have been recorded in this time.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	// What can't be written is told of by Flush.
	_, _ = fmt.Fprintln(w, "calls\terrors\terror rate\taverage\tp50\tp95\tp99\t  function")
	for _, f := range items {
		rate := "-"
		if f.ErrorRate != nil {
			rate = fmt.Sprintf("%.2f %%", 100**f.ErrorRate)
		}
		_, _ = fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t  %s\n", f.Calls, f.Errors, rate,
			span(f.Average), span(f.P50), span(f.P95), span(f.P99), f.Name)
	}
	return w.Flush()
}

// span writes seconds with three significant digits and a fitting unit.
func span(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	for _, unit := range []struct {
		name string
		in   float64
	}{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}} {
		if *seconds >= unit.in {
			return fmt.Sprintf("%.3g %s", *seconds/unit.in, unit.name)
		}
	}
	return fmt.Sprintf("%.3g ns", *seconds*1e9)
}
