// Command kibana stands in for Kibana where that cannot be had: it takes the
// calls that a set-up makes, checks them by Kibana's documented rules, keeps what
// was imported and gives it back. It shows no page and draws nothing.
//
// Sources: the pages on saved objects, spaces, alerting and the status API under
// https://www.elastic.co/docs/api/doc/kibana/v8
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kibana stand-in:", err)
		os.Exit(1) //nolint:forbidigo // main
	}
}

// run reads the variables of the official image and serves until ctx ends.
func run(ctx context.Context) error {
	client := &http.Client{Timeout: 10 * time.Second}
	if file := os.Getenv("ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return errors.New("ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES: no certificate in it")
		}
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	}
	accounts := elasticsearch{url: os.Getenv("ELASTICSEARCH_HOSTS"), client: client}
	if err := accounts.signIn(ctx, os.Getenv("ELASTICSEARCH_USERNAME"), os.Getenv("ELASTICSEARCH_PASSWORD")); err != nil {
		return fmt.Errorf("sign in to Elasticsearch: %w", err)
	}
	server := &http.Server{
		Addr:              ":5601",
		Handler:           newRecorder(accounts.signIn),
		ReadHeaderTimeout: 10 * time.Second,
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// elasticsearch knows who may sign in.
type elasticsearch struct {
	url    string
	client *http.Client
}

// signIn fails unless Elasticsearch knows the user by that password.
func (e elasticsearch) signIn(ctx context.Context, user, password string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/_security/_authenticate", nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(user, password)
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("user %s: %s", user, resp.Status)
	}
	return nil
}
