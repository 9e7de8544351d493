package main

import (
	"context"

	"go.elastic.co/apm/module/apmzap/v2"
	"go.uber.org/zap"

	"pharos/internal/process"
	"pharos/watcher/action/pagerduty"
	"pharos/watcher/action/slack"
	"pharos/watcher/alerting"
	"pharos/watcher/httpcall"
	"pharos/watcher/outbox"
	"pharos/watcher/watchdog"
)

// channels are the ways to people.
type channels struct {
	pagerDuty *pagerduty.Channel
	slack     *slack.Channel
	cfg       *config
}

func newChannels(p *process.Process, cfg *config) channels {
	client := httpcall.NewTrustedClient(cfg.HTTP)
	p.OnStop("channels", func(context.Context) error { client.Close(); return nil })
	log := func(ctx context.Context, m outbox.Message) {
		p.Log.Warn("alert, for which no account is set up", append(apmzap.TraceContext(ctx),
			zap.String("event.kind", "alert"), zap.String("labels.channel", m.Channel), zap.String("labels.watch_id", m.WatchID),
			zap.String("labels.action_id", m.ActionID), zap.String("labels.alert", string(m.Body)))...)
	}
	return channels{
		pagerDuty: &pagerduty.Channel{Config: cfg.PagerDuty, Client: client, Log: log},
		slack:     &slack.Channel{Config: cfg.Slack, Client: client, Log: log},
		cfg:       cfg,
	}
}

func (c channels) alerting() map[string]alerting.Channel {
	return map[string]alerting.Channel{pagerduty.Name: c.pagerDuty, slack.Name: c.slack}
}

func (c channels) outbox() map[string]outbox.Channel {
	return map[string]outbox.Channel{pagerduty.Name: c.pagerDuty, slack.Name: c.slack}
}

// watchdog are the default accounts; where there is none, the log.
func (c channels) watchdog() []watchdog.Route {
	var routes []watchdog.Route
	if c.cfg.PagerDuty.RoutingKey != "" {
		routes = append(routes, watchdog.Route{Name: pagerduty.Name, Account: pagerduty.DefaultAccount, Channel: c.pagerDuty})
	}
	if c.cfg.Slack.URL != "" {
		routes = append(routes, watchdog.Route{Name: slack.Name, Account: slack.DefaultAccount, Channel: c.slack})
	}
	if len(routes) == 0 {
		routes = append(routes, watchdog.Route{Name: slack.Name, Channel: c.slack})
	}
	return routes
}
