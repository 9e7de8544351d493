package faultproxy_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pharos/internal/faultproxy"
)

// TestFaults holds each fault to what it is called.
func TestFaults(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 4000))
	}))
	defer server.Close()
	p := faultproxy.New(t, server.Listener.Addr().String())
	get := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.ReadAll(resp.Body)
		return err
	}
	for _, tt := range []struct {
		fault faultproxy.Fault
		says  string // of the error
	}{
		{faultproxy.Down(), "refused"},
		{faultproxy.Latency(time.Minute), "deadline"},
		{faultproxy.Reset(), "reset"},
		{faultproxy.Silence(), "deadline"},
		{faultproxy.Bandwidth(1), "deadline"},
		{faultproxy.Cut(1000), "EOF"},
	} {
		p.Break(t, tt.fault)
		if err := get(300 * time.Millisecond); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.fault.Name, err)
		}
		p.Heal(t)
		if err := get(10 * time.Second); err != nil {
			t.Errorf("after %s: %v", tt.fault.Name, err)
		}
	}
}
