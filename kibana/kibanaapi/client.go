// Package kibanaapi loads what package kibana says into a Kibana, by its public
// API.
package kibanaapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pharos/internal/env"
)

// Config says where Kibana is. It is asked as the superuser, at set-up only: no
// process of ours keeps an account that may change Kibana.
//
// A certificate of one's own authority is trusted by Go's SSL_CERT_FILE.
type Config struct {
	// URL is Kibana's address, http or https, with its base path if it has one.
	URL      string     `env:"KIBANA_URL,required,notEmpty"`
	Password env.Secret `env:"ELASTIC_PASSWORD,required,notEmpty"`
	// Console is the console's address, for the links to it; empty means where
	// make up and Docker publish it.
	Console string `env:"CONSOLE_URL"`
	// PricePerHour is what the system costs in an hour; above 0, the dashboard
	// Business shows what a request costs.
	PricePerHour  float64 `env:"PRICE_PER_HOUR" envDefault:"0"`
	PriceCurrency string  `env:"PRICE_CURRENCY" envDefault:"EUR"`
}

const user = "elastic"

// Validate checks the addresses. Its errors name the setting, and never show an
// address: a mistaken one may hold a password.
func (c Config) Validate() error {
	if math.IsNaN(c.PricePerHour) || math.IsInf(c.PricePerHour, 0) || c.PricePerHour < 0 {
		return errors.New("PRICE_PER_HOUR: is no price")
	}
	for name, raw := range map[string]string{"KIBANA_URL": c.URL, "CONSOLE_URL": c.Console} {
		if raw == "" && name == "CONSOLE_URL" {
			continue
		}
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			return fmt.Errorf("%s: is not a URL", name)
		case u.User != nil:
			return fmt.Errorf("%s: holds credentials", name)
		case u.Scheme != "http" && u.Scheme != "https", u.Host == "", strings.ContainsAny(raw, "\"\\?#"):
			return fmt.Errorf("%s: is not of the form http://host:port or https://host:port", name)
		}
	}
	return nil
}

// client talks to one space of a Kibana.
type client struct {
	http     *http.Client
	base     string // of Kibana
	space    string // of calls that belong to one; "" is the default space
	password env.Secret
}

const (
	// callTimeout is of one call: an import writes some dozens of objects.
	callTimeout = 2 * time.Minute
	maxAnswer   = 16 << 20
)

func newClient(cfg Config, space string) *client {
	return &client{&http.Client{Timeout: callTimeout}, strings.TrimRight(cfg.URL, "/"), space, cfg.Password}
}

// Error is a refusal by Kibana.
type Error struct {
	Call    string // method and path
	Status  int
	Message string // Kibana's own
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return fmt.Sprintf("%s: Kibana refuses the account %s or its password (ELASTIC_PASSWORD)", e.Call, user)
	case e.Message == "":
		return fmt.Sprintf("%s: Kibana answered %d", e.Call, e.Status)
	}
	return fmt.Sprintf("%s: Kibana answered %d: %s", e.Call, e.Status, e.Message)
}

func isStatus(err error, status int) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Status == status
}

// inSpace is the path of a call that belongs to the client's space.
func (c *client) inSpace(path string) string {
	if c.space == "" {
		return path
	}
	return "/s/" + c.space + path
}

// call sends a body of JSON (nil: none) and decodes the answer into out, unless
// that is nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	if in == nil {
		return c.send(ctx, method, path, "", nil, out)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s %s: encode: %w", method, path, err)
	}
	return c.send(ctx, method, path, "application/json", body, out)
}

func (c *client) send(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	what := method + " " + path
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	req.SetBasicAuth(user, c.password.Reveal())
	// Kibana refuses calls that change something without it.
	req.Header.Set("kbn-xsrf", "pharos")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: read answer: %w", what, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(what, resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: decode answer: %w", what, err)
	}
	return nil
}

// refusal reads {"statusCode", "error", "message"}, or the text that Kibana
// answers with while it starts.
func refusal(what string, status int, answer []byte) error {
	e := &Error{Call: what, Status: status}
	var body struct{ Message string }
	if json.Unmarshal(answer, &body) == nil {
		e.Message = body.Message
	} else if text := strings.TrimSpace(string(answer)); len(text) < 200 && !strings.HasPrefix(text, "<") {
		e.Message = text
	}
	return e
}
