package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"pharos/internal/env"
	"pharos/watcher/action/pagerduty"
	"pharos/watcher/action/slack"
	"pharos/watcher/alert"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
)

// alertsCmd is what people do with alerts.
type alertsCmd struct {
	List        alertsList    `cmd:"" default:"withargs" help:"Print the open alerts (the default)."`
	Ack         alertsAck     `cmd:"" help:"Acknowledge an alert, in PagerDuty, too."`
	Unack       alertsUnack   `cmd:"" help:"Take an acknowledgement back."`
	Resolve     alertsResolve `cmd:"" help:"End an alert, in PagerDuty, too. It begins anew if its condition is still met."`
	Silence     alertsSilence `cmd:"" help:"Page nobody about some alerts for a time."`
	Maintenance alertsWindow  `cmd:"" help:"Page nobody while work is going on."`
	Silences    alertsMuted   `cmd:"" help:"Print silences and maintenance windows that are not over."`
	Unsilence   alertsUnmute  `cmd:"" help:"End a silence or a maintenance window."`
	Test        alertsTest    `cmd:"" help:"Send a test page through every account."`
}

type alertsList struct {
	All   bool `help:"Also those that have ended."`
	Limit int  `help:"At most so many." default:"100"`
}

// Run implements the command.
func (l *alertsList) Run(ctx context.Context, c *cli) error {
	query := url.Values{"limit": {strconv.Itoa(l.Limit)}}
	if !l.All {
		query.Set("state", "open")
	}
	var found listing[alert.Alert]
	if err := call(ctx, http.MethodGet, "/alerts?"+query.Encode(), nil, &found); err != nil {
		return fmt.Errorf("read alerts: %w", err)
	}
	if c.JSON {
		return printJSON(found.Items)
	}
	return printAlerts(os.Stdout, found.Items, time.Now())
}

func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printAlerts(out io.Writer, alerts []alert.Alert, now time.Time) error {
	if len(alerts) == 0 {
		_, err := fmt.Fprintln(out, "No alerts.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tSTATE\tSEVERITY\tSERVICE\tWATCH\tGROUP\tSINCE\tWHY\tSUMMARY")
	for _, a := range alerts {
		state := string(a.State)
		if a.AcknowledgedBy != "" {
			state += " by " + a.AcknowledgedBy
		}
		_, _ = fmt.Fprintln(w, strings.Join([]string{
			a.ID, state, string(a.Severity), a.Service, a.WatchID, a.Group,
			now.Sub(a.StartedAt).Round(time.Second).String(), string(a.Reason), oneLine(a.Summary),
		}, "\t"))
	}
	return w.Flush()
}

// oneLine keeps what a watch wrote from breaking the table or the terminal.
func oneLine(text string) string {
	const most = 80
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

type oneAlert struct {
	ID string `arg:"" help:"The alert's ID."`
}

func (a oneAlert) say(ctx context.Context, c *cli, word string) error {
	var after alert.Alert
	if err := call(ctx, http.MethodPost, "/alerts/"+url.PathEscape(a.ID)+"/"+word, nil, &after); err != nil {
		return fmt.Errorf("%s %s: %w", word, a.ID, err)
	}
	if c.JSON {
		return printJSON(after)
	}
	fmt.Printf("%s is %s.\n", after.WatchID, after.State)
	return nil
}

type alertsAck struct{ oneAlert }

// Run implements the command.
func (a *alertsAck) Run(ctx context.Context, c *cli) error { return a.say(ctx, c, "ack") }

type alertsUnack struct{ oneAlert }

// Run implements the command.
func (a *alertsUnack) Run(ctx context.Context, c *cli) error { return a.say(ctx, c, "unack") }

type alertsResolve struct{ oneAlert }

// Run implements the command.
func (a *alertsResolve) Run(ctx context.Context, c *cli) error { return a.say(ctx, c, "resolve") }

type alertsSilence struct {
	Watch    string         `help:"The watch's ID; may hold * and ?."`
	Service  string         `help:"The service."`
	Group    string         `help:"The group's value; may hold * and ?."`
	Severity alert.Severity `help:"critical, error, warning or info."`
	muting
}

type muting struct {
	For     time.Duration `help:"How long." default:"1h"`
	From    time.Time     `help:"When it starts: RFC 3339; now if left out." format:"2006-01-02T15:04:05Z07:00"`
	Comment string        `help:"Why."`
}

// Run implements the command.
func (a *alertsSilence) Run(ctx context.Context, c *cli) error {
	return a.add(ctx, c, alert.Silence{Matchers: alert.Matchers{WatchID: a.Watch, Service: a.Service, Group: a.Group, Severity: a.Severity}})
}

type alertsWindow struct {
	Title     string   `help:"What the public status page says." default:"Planned maintenance"`
	Component []string `help:"A component of the status page that is worked on; may be repeated."`
	Service   string   `help:"The service that is worked on; all if left out."`
	muting
}

// Run implements the command.
func (a *alertsWindow) Run(ctx context.Context, c *cli) error {
	return a.add(ctx, c, alert.Silence{Maintenance: true, Title: a.Title, Components: a.Component, Matchers: alert.Matchers{Service: a.Service}})
}

func (m muting) add(ctx context.Context, c *cli, s alert.Silence) error {
	from := m.From
	if from.IsZero() {
		from = time.Now()
	}
	var made alert.Silence
	err := call(ctx, http.MethodPost, "/silences", map[string]any{
		"maintenance": s.Maintenance, "matchers": s.Matchers, "title": s.Title, "components": s.Components, "comment": m.Comment,
		"starts_at": from.UTC(), "ends_at": from.Add(m.For).UTC(),
	}, &made)
	if err != nil {
		return fmt.Errorf("silence: %w", err)
	}
	if c.JSON {
		return printJSON(made)
	}
	fmt.Printf("%s holds until %s.\n", made.ID, made.EndsAt.Format(time.RFC3339))
	return nil
}

type alertsMuted struct{}

// Run implements the command.
func (alertsMuted) Run(ctx context.Context, c *cli) error {
	var found listing[alert.Silence]
	if err := call(ctx, http.MethodGet, "/silences", nil, &found); err != nil {
		return fmt.Errorf("read silences: %w", err)
	}
	if c.JSON {
		return printJSON(found.Items)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tKIND\tWATCH\tSERVICE\tGROUP\tSEVERITY\tFROM\tUNTIL\tBY\tTITLE\tCOMMENT")
	for _, one := range found.Items {
		kind := "silence"
		if one.Maintenance {
			kind = "maintenance"
		}
		_, _ = fmt.Fprintln(w, strings.Join([]string{
			one.ID, kind, one.Matchers.WatchID, one.Matchers.Service, one.Matchers.Group, string(one.Matchers.Severity),
			one.StartsAt.Format(time.RFC3339), one.EndsAt.Format(time.RFC3339), oneLine(one.CreatedBy), oneLine(one.Title), oneLine(one.Comment),
		}, "\t"))
	}
	return w.Flush()
}

type alertsUnmute struct {
	ID string `arg:"" help:"The ID of the silence or maintenance window."`
}

// Run implements the command.
func (a *alertsUnmute) Run(ctx context.Context) error {
	if err := call(ctx, http.MethodDelete, "/silences/"+url.PathEscape(a.ID), nil, nil); err != nil {
		return fmt.Errorf("end %s: %w", a.ID, err)
	}
	fmt.Printf("%s is over.\n", a.ID)
	return nil
}

type alertsTest struct{}

type testSettings struct {
	PagerDuty pagerduty.Config
	Slack     slack.Config
	HTTP      httpcall.Config
}

// Run sends a page that says that it is a test through every account, past the
// outbox, and ends it.
func (alertsTest) Run(ctx context.Context) error {
	var cfg testSettings
	if err := env.Parse(&cfg); err != nil {
		return usageError{err}
	}
	for _, v := range []env.Validator{&cfg.PagerDuty, &cfg.Slack, &cfg.HTTP} {
		if err := v.Validate(); err != nil {
			return usageError{err}
		}
	}
	return testRoutes(ctx, os.Stdout, cfg, rand.Text())
}

func testRoutes(ctx context.Context, out io.Writer, cfg testSettings, id string) error {
	client := httpcall.NewTrustedClient(cfg.HTTP)
	defer client.Close()
	failed, routes := 0, 0
	try := func(channel outbox.Channel, name, account string, bodies ...*document.Object) {
		routes++
		err := sendAll(ctx, channel, account, bodies)
		result := "sent"
		if err != nil {
			failed++
			result = err.Error()
		}
		_, _ = fmt.Fprintf(out, "%s %s: %s\n", name, account, result)
	}
	for _, account := range cfg.PagerDuty.Accounts() {
		try(&pagerduty.Channel{Config: cfg.PagerDuty, Client: client}, pagerduty.Name, account, pagerduty.TestEvents("pharos-test-"+id)...)
	}
	for _, account := range cfg.Slack.Accounts() {
		try(&slack.Channel{Config: cfg.Slack, Client: client}, slack.Name, account, slack.TestMessage())
	}
	switch {
	case routes == 0:
		return errors.New("no account is set up: PAGERDUTY_ROUTING_KEY and SLACK_WEBHOOK_URL are empty, so alerts go to the log only")
	case failed > 0:
		return fmt.Errorf("%d of %d routes failed", failed, routes)
	}
	return nil
}

func sendAll(ctx context.Context, channel outbox.Channel, account string, bodies []*document.Object) error {
	for _, body := range bodies {
		text, err := document.Marshal(body)
		if err != nil {
			return err
		}
		response, err := channel.Send(ctx, outbox.Message{Account: account, Body: text})
		if err != nil {
			return err
		}
		const refused = 300
		if response.Status >= refused {
			return fmt.Errorf("status %d: %s", response.Status, oneLine(string(response.Body)))
		}
	}
	return nil
}
