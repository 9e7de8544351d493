package elastic

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"pharos/internal/env"
)

// Config says where Elasticsearch is and who asks.
type Config struct {
	// URLs are the nodes' addresses, http or https, without credentials. With
	// more than one, calls go round.
	URLs     []string   `env:"ELASTICSEARCH_URL,required,notEmpty"`
	User     string     `env:"ELASTICSEARCH_USER,required,notEmpty"`
	Password env.Secret `env:"ELASTICSEARCH_PASSWORD,required,notEmpty"`
	// CAFile is a PEM file with the authority that signed Elasticsearch's
	// certificate; empty trusts the system's authorities.
	CAFile string `env:"ELASTICSEARCH_CA_FILE"`
}

// SetupConfig is the settings of [Setup], which works as the superuser.
type SetupConfig struct {
	URLs     []string   `env:"ELASTICSEARCH_URL,required,notEmpty"`
	Password env.Secret `env:"ELASTIC_PASSWORD,required,notEmpty"`
	CAFile   string     `env:"ELASTICSEARCH_CA_FILE"`
	// Stack is true beside Kibana and APM Server: see [Options].
	Stack bool `env:"ELASTIC_STACK" envDefault:"false"`
}

// Client returns the settings of the superuser's client.
func (c SetupConfig) Client() Config {
	return Config{URLs: c.URLs, User: "elastic", Password: c.Password, CAFile: c.CAFile}
}

// Validate checks the addresses. Its errors name the setting, and never show
// an address: a mistaken one may hold a password.
func (c Config) Validate() error {
	if len(c.URLs) == 0 {
		return errors.New("ELASTICSEARCH_URL is not set")
	}
	for i, raw := range c.URLs {
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			return fmt.Errorf("ELASTICSEARCH_URL: address %d is not a URL", i+1)
		case u.User != nil:
			return fmt.Errorf("ELASTICSEARCH_URL: address %d holds credentials; they belong into ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD", i+1)
		case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
			return fmt.Errorf("ELASTICSEARCH_URL: address %d is not of the form http://host:port or https://host:port", i+1)
		}
	}
	return nil
}

const (
	dialTimeout = 5 * time.Second
	// answerTimeout is how long a call waits for the first byte of its answer.
	// Bulk calls on a busy node need more than a search does.
	answerTimeout = 60 * time.Second
)

func (c Config) transport() (http.RoundTripper, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
	}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ELASTICSEARCH_CA_FILE: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("ELASTICSEARCH_CA_FILE: holds no certificate in PEM form")
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}
