package alerting

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"pharos/watcher/alert"
)

// Links are the settings of what notifications link to; an empty one leaves the
// link out.
type Links struct {
	// Console is the address of the console, Kibana that of Kibana, as the
	// receivers of alerts reach them.
	Console string `env:"CONSOLE_URL"`
	Kibana  string `env:"KIBANA_URL"`
	// Runbooks is what a runbook that is no URL is joined to.
	Runbooks string `env:"RUNBOOK_URL"`
}

// Validate checks the settings.
func (l *Links) Validate() error {
	for name, value := range map[string]string{"CONSOLE_URL": l.Console, "KIBANA_URL": l.Kibana, "RUNBOOK_URL": l.Runbooks} {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return errors.New(name + " must be a http or https URL")
		}
	}
	return nil
}

// leadUp is how far ahead of an alert the linked window begins: what led to it
// matters most.
const leadUp = 15 * time.Minute

// links are the runbook, the watch's own links, the console's page and Kibana
// Discover, both for the window from before an alert until now.
func (l Links) links(watchID string, policy *alert.Policy, from, to time.Time) []alert.Link {
	var list []alert.Link
	from, to = from.Add(-leadUp).UTC(), to.Add(time.Minute).UTC()
	query, service := "", ""
	if policy != nil {
		switch {
		case strings.Contains(policy.Runbook, "://"):
			list = append(list, alert.Link{Href: policy.Runbook, Text: "Runbook"})
		case policy.Runbook != "" && l.Runbooks != "":
			list = append(list, alert.Link{Href: strings.TrimRight(l.Runbooks, "/") + "/" + strings.TrimLeft(policy.Runbook, "/"), Text: "Runbook"})
		}
		list = append(list, policy.Links...)
		query, service = policy.Query, policy.Service
	}
	if l.Console != "" {
		values := url.Values{"watch": {watchID}, "from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}
		if service != "" {
			values.Set("service", service)
		}
		list = append(list, alert.Link{Href: strings.TrimRight(l.Console, "/") + "/alerts?" + values.Encode(), Text: "Console"})
	}
	if l.Kibana != "" {
		list = append(list, alert.Link{Href: discover(l.Kibana, query, from, to), Text: "Kibana Discover"})
	}
	return list
}

// discover is a link to Kibana Discover; its state is written in rison.
// https://www.elastic.co/docs/explore-analyze/discover
func discover(kibana, query string, from, to time.Time) string {
	const layout = "2006-01-02T15:04:05.000Z"
	quote := func(s string) string { return "'" + strings.NewReplacer("!", "!!", "'", "!'").Replace(s) + "'" }
	global := "(time:(from:" + quote(from.Format(layout)) + ",to:" + quote(to.Format(layout)) + "))"
	app := "(index:'logs-*',query:(language:kuery,query:" + quote(query) + "))"
	return strings.TrimRight(kibana, "/") + "/app/discover#/?_g=" + url.QueryEscape(global) + "&_a=" + url.QueryEscape(app)
}
