package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"pharos/internal/env"
	"pharos/watcher/action/pagerduty"
	"pharos/watcher/action/slack"
	"pharos/watcher/alert"
	"pharos/watcher/httpcall"
	"pharos/watcher/receivertest"
)

func TestAlertsTestGoesThroughEveryRoute(t *testing.T) {
	const one, two = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	pages, chat := receivertest.NewPagerDuty(t, one, two), receivertest.NewSlack(t)
	var cfg testSettings
	err := env.ParseMap(&cfg, map[string]string{
		"PAGERDUTY_URL": pages.URL, "PAGERDUTY_ROUTING_KEY": one, "PAGERDUTY_ROUTING_KEYS": "feed=" + two,
		"SLACK_WEBHOOK_URLS": "ops=" + chat.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := testRoutes(t.Context(), &out, cfg, "x"); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if want := "pagerduty default: sent\npagerduty feed: sent\nslack ops: sent\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if len(pages.Events()) != 4 || len(chat.Messages()) != 1 || pages.Incident("pharos-test-x").Open {
		t.Errorf("%d events, %d messages, %+v", len(pages.Events()), len(chat.Messages()), pages.Incident("pharos-test-x"))
	}
	if broken := append(pages.Broken(), chat.Broken()...); len(broken) > 0 {
		t.Errorf("rules broken: %v", broken)
	}
	chat.Fail(1, 404)
	out.Reset()
	if err := testRoutes(t.Context(), &out, cfg, "y"); err == nil || !strings.Contains(out.String(), "slack ops: status 404") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := testRoutes(context.Background(), &out, testSettings{HTTP: httpcall.Config{}}, "z"); err == nil {
		t.Error("no account, and no error")
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	cfg := testSettings{PagerDuty: pagerduty.Config{RoutingKey: "s3cret", RoutingKeys: map[string]env.Secret{"a": "s3cret"}}, Slack: slack.Config{URL: "http://h/s3cret"}}
	var out bytes.Buffer
	if err := testRoutes(t.Context(), &out, cfg, "x"); err == nil || strings.Contains(err.Error()+out.String(), "s3cret") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestPrintAlerts(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var out bytes.Buffer
	err := printAlerts(&out, []alert.Alert{{
		ID: "1f", WatchID: "down", Group: "/v1", Service: "api", Severity: alert.Critical, State: alert.Acknowledged, AcknowledgedBy: "ada",
		StartedAt: now.Add(-90 * time.Second), Reason: alert.IsAcked, Summary: "two\nlines \x1b[31m",
	}}, now)
	want := "ID  STATE                SEVERITY  SERVICE  WATCH  GROUP  SINCE  WHY           SUMMARY\n" +
		"1f  acknowledged by ada  critical  api      down   /v1    1m30s  acknowledged  two lines  [31m\n"
	if err != nil || out.String() != want {
		t.Errorf("got\n%swant\n%s(%v)", out.String(), want, err)
	}
}
