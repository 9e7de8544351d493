package pagerduty

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"pharos/internal/env"
	"pharos/watcher/alert"
	"pharos/watcher/document"
	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
)

// Config are the accounts: a routing key (integration key of Events API v2) for
// each service in PagerDuty.
type Config struct {
	// RoutingKey is the default account's; empty: what names no account goes to
	// the log only.
	RoutingKey env.Secret `env:"PAGERDUTY_ROUTING_KEY"`
	// RoutingKeys are those of named accounts: api=KEY,feed=KEY.
	RoutingKeys map[string]env.Secret `env:"PAGERDUTY_ROUTING_KEYS" envKeyValSeparator:"="`
	// URL is where events go.
	URL string `env:"PAGERDUTY_URL" envDefault:"https://events.pagerduty.com/v2/enqueue"`
}

// Validate checks the settings.
func (c *Config) Validate() error {
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("PAGERDUTY_URL must be a http or https URL")
	}
	for name, key := range c.RoutingKeys {
		if name == "" || key == "" {
			return fmt.Errorf("PAGERDUTY_ROUTING_KEYS must be a list of NAME=KEY")
		}
	}
	return nil
}

// DefaultAccount is the name of the account that PAGERDUTY_ROUTING_KEY makes.
const DefaultAccount = "default"

// account is the account for a name that a watch gives, or for its service;
// found is false for a name that nobody set up. An empty account is the log.
func (c *Config) account(name, service string) (account string, found bool) {
	if name != "" && (name != DefaultAccount || c.RoutingKey == "") {
		_, found = c.RoutingKeys[name]
		return name, found
	}
	if _, ok := c.RoutingKeys[service]; ok {
		return service, true
	}
	if c.RoutingKey != "" {
		return DefaultAccount, true
	}
	return "", true
}

func (c *Config) key(account string) (string, bool) {
	if key, ok := c.RoutingKeys[account]; ok {
		return key.Reveal(), true
	}
	return c.RoutingKey.Reveal(), account == DefaultAccount && c.RoutingKey != ""
}

// Channel sends events to PagerDuty's Events API v2.
// https://developer.pagerduty.com/docs/send-alert-event
type Channel struct {
	Config Config
	Client Client
	// Log takes what no account is set up for.
	Log func(ctx context.Context, m outbox.Message)
}

// Client sends calls; httpcall.Client is one, made trusted, since the address
// comes from settings.
type Client interface {
	Do(ctx context.Context, call *httpcall.Call) (*httpcall.Response, error)
}

// Name is the channel's name in messages.
const Name = "pagerduty"

// Send posts one event with the account's routing key.
func (c *Channel) Send(ctx context.Context, m outbox.Message) (*httpcall.Response, error) {
	body, err := document.ParseObject(m.Body)
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	proxy, err := takeProxy(body)
	if err != nil {
		return nil, err
	}
	if m.Account == "" {
		c.Log(ctx, m)
		return &httpcall.Response{Status: 202}, nil
	}
	key, ok := c.Config.key(m.Account)
	if !ok {
		return nil, fmt.Errorf("account [%s] is not set up (PAGERDUTY_ROUTING_KEYS)", m.Account)
	}
	event := document.NewObject(document.Pair{Key: "routing_key", Value: key})
	for k, v := range body.All() {
		event.Set(k, v)
	}
	text, err := document.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	call, err := callTo(c.Config.URL, string(text))
	if err != nil {
		return nil, err
	}
	call.Proxy = proxy
	return c.Client.Do(ctx, call)
}

// proxyKey carries an action's own proxy beside the event while it waits.
const proxyKey = "proxy"

func takeProxy(body *document.Object) (*httpcall.Proxy, error) {
	v, ok := body.Get(proxyKey)
	if !ok {
		return nil, nil
	}
	body.Delete(proxyKey)
	return httpcall.ParseProxy(proxyKey, v)
}

func callTo(address, body string) (*httpcall.Call, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("PAGERDUTY_URL: %w", err)
	}
	port, _ := strconv.Atoi(u.Port())
	if port == 0 {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	return &httpcall.Call{
		Scheme: u.Scheme, Host: u.Hostname(), Port: port, Method: "post", Path: u.Path, Body: &body,
		Headers: []httpcall.Param{
			{Name: "Accept", Value: "application/vnd.pagerduty+json;version=2"},
			{Name: "Content-Type", Value: "application/json"},
		},
	}, nil
}

// Resolution is the event that ends an incident.
func (c *Channel) Resolution(_ alert.Alert, r alert.Route, _ []alert.Link) (json.RawMessage, error) {
	return follow("resolve", r.Key)
}

// Acknowledgement is the event that acknowledges an incident.
func (c *Channel) Acknowledgement(_ alert.Alert, r alert.Route) (json.RawMessage, error) {
	return follow("acknowledge", r.Key)
}

func follow(action, key string) (json.RawMessage, error) {
	return document.Marshal(document.NewObject(
		document.Pair{Key: "event_action", Value: action},
		document.Pair{Key: "dedup_key", Value: key},
	))
}

// Accounts are the names of the accounts that are set up, sorted.
func (c *Config) Accounts() []string {
	names := slices.Sorted(maps.Keys(c.RoutingKeys))
	if _, named := c.RoutingKeys[DefaultAccount]; c.RoutingKey != "" && !named {
		names = append([]string{DefaultAccount}, names...)
	}
	return names
}

// TestEvents are a page that says that it is a test, and its end.
func TestEvents(key string) []*document.Object {
	event := func(action string) *document.Object {
		return document.NewObject(
			document.Pair{Key: "event_action", Value: action},
			document.Pair{Key: "dedup_key", Value: key},
			document.Pair{Key: "payload", Value: document.NewObject(
				document.Pair{Key: "summary", Value: "Test page of Pharos: nothing is wrong"},
				document.Pair{Key: "source", Value: "pharos alerts test"},
				document.Pair{Key: "severity", Value: string(alert.Info)},
			)})
	}
	return []*document.Object{event("trigger"), event("resolve")}
}
