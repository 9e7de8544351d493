// Package alert holds what stands between an execution and a page: when an alert
// begins and ends, whom a silence keeps quiet, which alerts share a page. It is
// pure: the time is passed in, and every decision has a named reason.
package alert

import (
	"math/big"
	"net/url"
	"time"

	"pharos/watcher/document"
	"pharos/watcher/fields"
)

// Policy is what a watch says under metadata.pharos. Elastic's Watcher carries
// metadata along without reading it, so that such a watch still loads there.
type Policy struct {
	// Resolve says that the page is resolved when the condition clears.
	Resolve bool
	// Severity is critical, error, warning or info; critical if it is not given.
	Severity Severity
	// Service is who is affected: it chooses the routing key, and firing watches
	// of one service share a page.
	Service string
	// Runbook is the page that says what to do: a URL, or a path that is joined
	// to the setting RUNBOOK_URL.
	Runbook string
	Links   []Link
	// GroupBy is the path of a value in the action's payload (below ctx.payload);
	// each value has an alert of its own. With foreach the payload is the element.
	GroupBy string
	// MinimumEvents is how many events the value at EventsPath must count before
	// anybody is paged; 0 asks for none.
	MinimumEvents int64
	EventsPath    string
	// Hold is how long the condition must stay clear before the alert ends.
	Hold time.Duration
	// Query is a KQL query for the link to Kibana Discover.
	Query string
}

// Link is a link of the watch's own.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// Severity is how bad an alert is, in PagerDuty's words.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "critical"
	Error    Severity = "error"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// rank is higher for what is worse, 0 for what is none.
func (s Severity) rank() int {
	return map[Severity]int{Critical: 4, Error: 3, Warning: 2, Info: 1}[s]
}

// Known reports whether it is one of the severities.
func (s Severity) Known() bool { return s.rank() > 0 }

// Worse reports whether it is worse than another.
func (s Severity) Worse(than Severity) bool { return s.rank() > than.rank() }

const defaultEvents = "hits.total"

// ParsePolicy reads metadata.pharos of a watch's metadata; nil where there is
// none. Errors are document.PathErrors below metadata.pharos.
func ParsePolicy(metadata *document.Object) (*Policy, error) {
	v, ok := metadata.Get("pharos")
	if !ok {
		return nil, nil
	}
	in := fields.Read("metadata.pharos", "could not parse metadata.pharos", v)
	p := &Policy{Severity: Critical}
	p.Resolve, _ = in.Bool("resolve")
	if severity, ok := in.String("severity"); ok {
		p.Severity = Severity(severity)
		if p.Severity.rank() == 0 {
			in.Fail("severity", "unknown severity [%s]; one of critical, error, warning, info", severity)
		}
	}
	p.Service, _ = in.String("service")
	p.Runbook, _ = in.String("runbook")
	p.GroupBy, _ = in.String("group_by")
	p.Query, _ = in.String("query")
	p.readLinks(in)
	p.readMinimum(in)
	p.Hold, _ = in.Duration("hold", "hold_in_millis")
	if labels, ok := in.Value("labels"); ok {
		if _, isObject := labels.(*document.Object); !isObject {
			in.Fail("labels", "expected [labels] to be an object, but found %s", document.Kind(labels))
		}
	}
	if err := in.Done(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) readLinks(in *fields.Reader) {
	v, ok := in.Value("links")
	if !ok {
		return
	}
	list, ok := v.([]any)
	if !ok {
		in.Fail("links", "expected [links] to be an array, but found %s", document.Kind(v))
		return
	}
	for i, v := range list {
		one := fields.Read(document.Index(in.Path("links"), i), "could not parse metadata.pharos", v)
		var l Link
		l.Href, _ = one.String("href")
		l.Text, _ = one.String("text")
		if u, err := url.Parse(l.Href); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			one.Fail("href", "[href] must be a http or https URL")
		}
		in.Keep(one.Done())
		p.Links = append(p.Links, l)
	}
}

// readMinimum reads minimum_events: a number of ctx.payload.hits.total, or an
// object that names another path.
func (p *Policy) readMinimum(in *fields.Reader) {
	v, ok := in.Value("minimum_events")
	if !ok {
		return
	}
	p.EventsPath = defaultEvents
	if object, isObject := v.(*document.Object); isObject {
		inner := fields.Read(in.Path("minimum_events"), "could not parse metadata.pharos", object)
		if path, ok := inner.String("path"); ok {
			p.EventsPath = path
		}
		count, ok := inner.Int("count")
		if !ok || count < 1 {
			inner.Fail("count", "[count] must be a whole number above 0")
		}
		p.MinimumEvents = count
		in.Keep(inner.Done())
		return
	}
	count, isNumber := v.(int64)
	if !isNumber || count < 1 {
		in.Fail("minimum_events", "[minimum_events] must be a whole number above 0, or {\"path\", \"count\"}")
	}
	p.MinimumEvents = count
}

// Enough reports whether a payload counts the minimum of events. A value that is
// not there counts none.
func (p *Policy) Enough(payload any) bool {
	if p.MinimumEvents == 0 {
		return true
	}
	switch n := document.At(payload, p.EventsPath).(type) {
	case int64:
		return n >= p.MinimumEvents
	case float64:
		return n >= float64(p.MinimumEvents)
	case *big.Int:
		return n.Sign() > 0
	case *document.Object: // hits.total as newer answers have it
		value, _ := document.At(n, "value").(int64)
		return value >= p.MinimumEvents
	}
	return false
}

// Group is the value that tells this alert from the watch's others; empty if
// the watch does not group.
func (p *Policy) Group(payload any) string {
	if p.GroupBy == "" {
		return ""
	}
	return document.String(document.At(payload, p.GroupBy))
}
