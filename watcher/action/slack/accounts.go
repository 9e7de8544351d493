package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"pharos/internal/env"
	"pharos/watcher/alert"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
)

// Config are the accounts: an incoming webhook each.
type Config struct {
	// URL is the default account's webhook; empty: what names no account goes to
	// the log only.
	URL env.Secret `env:"SLACK_WEBHOOK_URL"`
	// URLs are those of named accounts: ops=URL,shop=URL.
	URLs map[string]env.Secret `env:"SLACK_WEBHOOK_URLS" envKeyValSeparator:"="`
	Defaults
}

// Defaults fill in what a message leaves out, as message_defaults do in
// Elastic's settings.
type Defaults struct {
	From string   `env:"SLACK_FROM"`
	To   []string `env:"SLACK_TO"`
	Icon string   `env:"SLACK_ICON"`
	Text string   `env:"SLACK_TEXT"`
}

// Validate checks the settings without ever printing a URL, which is a secret.
func (c *Config) Validate() error {
	check := func(name string, secret env.Secret) error {
		u, err := url.Parse(secret.Reveal())
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New(name + " must be http or https URLs")
		}
		return nil
	}
	if c.URL != "" {
		if err := check("SLACK_WEBHOOK_URL", c.URL); err != nil {
			return err
		}
	}
	for name, secret := range c.URLs {
		if err := check("SLACK_WEBHOOK_URLS", secret); name == "" || err != nil {
			return errors.New("SLACK_WEBHOOK_URLS must be a list of NAME=URL")
		}
	}
	return nil
}

// DefaultAccount is the name of the account that SLACK_WEBHOOK_URL makes.
const DefaultAccount = "default"

// account is the account for a name that a watch gives; found is false for one
// that nobody set up. An empty account is the log.
func (c *Config) account(name string) (account string, found bool) {
	if name != "" && (name != DefaultAccount || c.URL == "") {
		_, found = c.URLs[name]
		return name, found
	}
	if c.URL != "" {
		return DefaultAccount, true
	}
	return "", true
}

func (c *Config) url(account string) (string, bool) {
	if u, ok := c.URLs[account]; ok {
		return u.Reveal(), true
	}
	return c.URL.Reveal(), account == DefaultAccount && c.URL != ""
}

// Client sends calls; httpcall.Client is one, made trusted, since the address
// comes from settings.
type Client interface {
	Do(ctx context.Context, call *httpcall.Call) (*httpcall.Response, error)
}

// Channel posts to Slack's incoming webhooks.
// https://api.slack.com/messaging/webhooks
type Channel struct {
	Config Config
	Client Client
	// Log takes what no account is set up for.
	Log func(ctx context.Context, m outbox.Message)
}

// Name is the channel's name in messages.
const Name = "slack"

// proxyKey carries an action's own proxy beside the message while it waits.
const proxyKey = "proxy"

// Send posts one message to the account's webhook.
func (c *Channel) Send(ctx context.Context, m outbox.Message) (*httpcall.Response, error) {
	body, err := document.ParseObject(m.Body)
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	var proxy *httpcall.Proxy
	if v, ok := body.Get(proxyKey); ok {
		if proxy, err = httpcall.ParseProxy(proxyKey, v); err != nil {
			return nil, err
		}
		body.Delete(proxyKey)
	}
	if m.Account == "" {
		c.Log(ctx, m)
		return &httpcall.Response{Status: http.StatusOK}, nil
	}
	address, ok := c.Config.url(m.Account)
	if !ok {
		return nil, fmt.Errorf("account [%s] is not set up (SLACK_WEBHOOK_URLS)", m.Account)
	}
	text, err := document.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write message: %w", err)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("SLACK_WEBHOOK_URL is not valid")
	}
	port, _ := strconv.Atoi(u.Port())
	if port == 0 {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	sent := string(text)
	return c.Client.Do(ctx, &httpcall.Call{
		Scheme: u.Scheme, Host: u.Hostname(), Port: port, Method: "post", Path: u.Path, Body: &sent, Proxy: proxy,
		Headers: []httpcall.Param{{Name: "Content-Type", Value: "application/json"}},
	})
}

// Resolution is the message that tells that an alert has ended.
func (c *Channel) Resolution(a alert.Alert, r alert.Route, links []alert.Link) (json.RawMessage, error) {
	m := &rendered{from: c.Config.From, icon: c.Config.Icon, hasText: true}
	if m.from == "" {
		m.from = a.WatchID
	}
	what := a.Summary
	if what == "" {
		what = a.WatchID
	}
	m.text = fmt.Sprintf("Resolved after %s: %s", a.ResolvedAt.Sub(a.StartedAt).Round(time.Second), what)
	return document.Marshal(m.body(r.To, links))
}

// Acknowledgement is nil: Slack has no incidents to acknowledge.
func (c *Channel) Acknowledgement(alert.Alert, alert.Route) (json.RawMessage, error) { return nil, nil }

// Accounts are the names of the accounts that are set up, sorted.
func (c *Config) Accounts() []string {
	names := slices.Sorted(maps.Keys(c.URLs))
	if _, named := c.URLs[DefaultAccount]; c.URL != "" && !named {
		names = append([]string{DefaultAccount}, names...)
	}
	return names
}

// TestMessage is a message that says that it is a test.
func TestMessage() *document.Object {
	return document.NewObject(document.Pair{Key: "text", Value: "Test message of Pharos: nothing is wrong"})
}
