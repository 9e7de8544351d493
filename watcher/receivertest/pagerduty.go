package receivertest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// PagerDuty stands in for PagerDuty's Events API v2.
// https://developer.pagerduty.com/docs/send-alert-event
type PagerDuty struct {
	receiver
	keys      map[string]bool
	events    []Event
	incidents map[string]*Incident
}

// Event is one event that was taken.
type Event struct {
	RoutingKey  string         `json:"routing_key"`
	EventAction string         `json:"event_action"`
	DedupKey    string         `json:"dedup_key"`
	Payload     map[string]any `json:"payload"`
	Links       []any          `json:"links"`
	Images      []any          `json:"images"`
	Client      string         `json:"client"`
	ClientURL   string         `json:"client_url"`
}

// Incident is what PagerDuty makes of events with one dedup_key.
type Incident struct {
	DedupKey string
	Pages    int // how often it began: somebody was paged
	Open     bool
	Acked    bool
}

// NewPagerDuty starts a stand-in that takes the given routing keys, or any that
// is well-formed if none is given.
func NewPagerDuty(t testing.TB, routingKeys ...string) *PagerDuty {
	t.Helper()
	return ListenPagerDuty(t, anyPort, routingKeys...)
}

// ListenPagerDuty is NewPagerDuty at an address that the sender knows already.
func ListenPagerDuty(t testing.TB, addr string, routingKeys ...string) *PagerDuty {
	t.Helper()
	p := &PagerDuty{keys: map[string]bool{}, incidents: map[string]*Incident{}}
	for _, k := range routingKeys {
		p.keys[k] = true
	}
	const maxBody = 512 << 10
	p.serve(t, addr, "/v2/enqueue", maxBody, p.take)
	return p
}

// Events are what was taken, in order.
func (p *PagerDuty) Events() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Event{}, p.events...)
}

// Incident returns what became of a dedup_key; a zero one if it is unknown.
func (p *PagerDuty) Incident(key string) Incident {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.incidents[key]; ok {
		return *i
	}
	return Incident{DedupKey: key}
}

// Pages is how many incidents began.
func (p *PagerDuty) Pages() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, i := range p.incidents {
		n += i.Pages
	}
	return n
}

func (p *PagerDuty) take(body []byte, header http.Header) (broken []string, status int, answer string) {
	var in map[string]any
	var e Event
	if !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		broken = append(broken, "Content-Type is "+header.Get("Content-Type"))
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return append(broken, "the body is no JSON object"), http.StatusBadRequest, `{"status":"invalid event","message":"Event object is invalid"}`
	}
	broken = append(broken, checkEvent(in)...)
	if len(broken) > 0 || json.Unmarshal(body, &e) != nil || len(p.keys) > 0 && !p.keys[e.RoutingKey] {
		if len(broken) == 0 {
			broken = []string{"routing_key is unknown"}
		}
		text, _ := json.Marshal(map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": broken})
		return broken, http.StatusBadRequest, string(text)
	}
	p.events = append(p.events, e)
	p.follow(e)
	text, _ := json.Marshal(map[string]any{"status": "success", "message": "Event processed", "dedup_key": e.DedupKey})
	return nil, http.StatusAccepted, string(text)
}

// follow does what PagerDuty does: a trigger begins an incident unless one of
// its key is open; acknowledge and resolve count for an open one only.
func (p *PagerDuty) follow(e Event) {
	i := p.incidents[e.DedupKey]
	if i == nil {
		i = &Incident{DedupKey: e.DedupKey}
		p.incidents[e.DedupKey] = i
	}
	switch e.EventAction {
	case "trigger":
		if !i.Open {
			i.Open, i.Acked = true, false
			i.Pages++
		}
	case "acknowledge":
		i.Acked = i.Open
	case "resolve":
		i.Open = false
	}
}

func checkEvent(in map[string]any) []string {
	const (
		keyLength  = 32
		maxDedup   = 255
		maxSummary = 1024
	)
	c := &checker{}
	c.only(in, "the event", "routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images")
	if len(c.text(in, "routing_key", true, 0)) != keyLength {
		c.fail("routing_key must have 32 characters")
	}
	action := c.text(in, "event_action", true, 0)
	switch action {
	case "trigger", "acknowledge", "resolve":
	default:
		c.fail("event_action is none of trigger, acknowledge, resolve")
	}
	c.text(in, "dedup_key", action != "trigger", maxDedup)
	c.text(in, "client", false, 0)
	checkURL(c, in, "client_url")
	c.list(in, "links", func(l map[string]any) {
		c.only(l, "a link", "href", "text")
		c.text(l, "href", true, 0)
		checkURL(c, l, "href")
		c.text(l, "text", false, 0)
	})
	c.list(in, "images", func(i map[string]any) {
		c.only(i, "an image", "src", "href", "alt")
		if !strings.HasPrefix(c.text(i, "src", true, 0), "https://") {
			c.fail("an image's src must be https")
		}
		checkURL(c, i, "href")
		c.text(i, "alt", false, 0)
	})
	if _, ok := in["payload"]; !ok && action != "trigger" {
		return c.broken
	}
	payload, ok := in["payload"].(map[string]any)
	if !ok {
		c.fail("payload must be an object")
		return c.broken
	}
	c.only(payload, "payload", "summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details")
	c.text(payload, "summary", true, maxSummary)
	c.text(payload, "source", true, 0)
	switch c.text(payload, "severity", true, 0) {
	case "critical", "error", "warning", "info":
	default:
		c.fail("severity is none of critical, error, warning, info")
	}
	for _, key := range []string{"timestamp", "component", "group", "class"} {
		c.text(payload, key, false, 0)
	}
	if details, ok := payload["custom_details"]; ok {
		if _, ok := details.(map[string]any); !ok {
			c.fail("custom_details must be an object")
		}
	}
	return c.broken
}

func checkURL(c *checker, in map[string]any, key string) {
	text := c.text(in, key, false, 0)
	if text == "" {
		return
	}
	if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		c.fail(key + " must be a URL")
	}
}
