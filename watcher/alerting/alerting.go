// Package alerting routes what watches say: it keeps the alerts of watches that
// have a policy (metadata.pharos), decides by package alert who is told, and
// hands what is to be told to the outbox. What watches without a policy send
// goes straight to the outbox, as Elastic sends it.
package alerting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"pharos/internal/fault"
	"pharos/watcher"
	"pharos/watcher/alert"
	"pharos/watcher/document"
	"pharos/watcher/outbox"
)

// Stored is an alert as it is kept.
type Stored struct {
	alert.Alert
	Revision outbox.Revision
}

// Filter narrows a list of alerts; an empty field asks for nothing.
type Filter struct {
	WatchID string
	Service string
	State   alert.State
	Page    string    // the alert whose page is shared
	Key     string    // of one of the routes
	Open    bool      // only those that have not ended
	From    time.Time // began then or later
	To      time.Time // began before
	Since   time.Time // open, or began or ended then or later
	Limit   int       // 0: 1,000
}

// EndedFilter narrows a list of silences that are over.
type EndedFilter struct {
	Before      time.Time // ended by then
	Maintenance bool      // only maintenance windows
	After       string    // the last of the page before; fault.NotFound if it is gone
	Limit       int
}

// Store keeps alerts, the latest page of each service, and silences. Writes are
// compare-and-set: fault.Conflict if the document has changed; the zero Revision
// asks that there is none.
type Store interface {
	Alert(ctx context.Context, id string) (Stored, error) // fault.NotFound
	SaveAlert(ctx context.Context, a Stored) (outbox.Revision, error)
	Alerts(ctx context.Context, f Filter) ([]Stored, error) // latest first
	// Lead returns a zero Lead where the service has none.
	Lead(ctx context.Context, service string) (alert.Lead, outbox.Revision, error)
	SaveLead(ctx context.Context, l alert.Lead, r outbox.Revision) error
	// Silences returns those that end after now.
	Silences(ctx context.Context, now time.Time) ([]alert.Silence, error)
	SaveSilence(ctx context.Context, s alert.Silence) error
	// EndSilence ends one at a time: what has begun by then is kept with that end,
	// what has not is removed. fault.NotFound if there is none, or none any more.
	EndSilence(ctx context.Context, id string, now time.Time) error
	EndedSilences(ctx context.Context, f EndedFilter) ([]alert.Silence, error) // the latest end first
}

// Outbox takes messages; outbox.Sender is one.
type Outbox interface {
	Deliver(ctx context.Context, m outbox.Message) (outbox.Delivery, error)
}

// Channel is what alerting must know of a channel to end a page on it.
type Channel interface {
	// Resolution is the body that tells that an alert has ended; nil if the
	// channel has none.
	Resolution(a alert.Alert, r alert.Route, links []alert.Link) (json.RawMessage, error)
	// Acknowledgement is the body that tells that somebody is on it; nil if the
	// channel has none.
	Acknowledgement(a alert.Alert, r alert.Route) (json.RawMessage, error)
}

// Config are the settings of routing.
type Config struct {
	// GroupWindow is how long after a page of a service further alerts of that
	// service share it; 0 never.
	GroupWindow time.Duration `env:"ALERT_GROUP_WINDOW" envDefault:"5m"`
	Links
}

// Service routes. Fill in all fields; it is safe for concurrent use.
type Service struct {
	Store    Store
	Outbox   Outbox
	Channels map[string]Channel
	Config   Config
	Now      func() time.Time
	// AckWatch acknowledges actions of a watch as its _ack call does, after
	// somebody acknowledged the alert elsewhere; nil leaves watches alone.
	AckWatch func(ctx context.Context, watchID string, actionIDs []string) error

	mu       sync.Mutex
	seen     map[string]map[string]bool // execution → alerts that it told of
	open     map[string]bool            // watches with open alerts, as of loadedAt
	loadedAt time.Time
}

// Notification is what an action wants to send.
type Notification struct {
	Run     watcher.Run
	Channel string
	Account string
	To      string // who of the account's receivers, for Slack
	Key     string // orders messages; PagerDuty's dedup_key. Empty: the alert's own
	Kind    string // trigger, acknowledge, resolve; empty where there are no kinds
	Summary string
	// Body makes what is sent, for the page as it was decided.
	Body func(Page) (*document.Object, error)
}

// Page is what a policy adds to a notification.
type Page struct {
	Key      string
	Severity alert.Severity // empty without a policy
	Service  string
	Group    string
	Links    []alert.Link
}

// Outcome is what became of a notification.
type Outcome struct {
	// Reason is the decision's; empty without a policy.
	Reason alert.Reason
	// Delivery is the first attempt's outcome, if the decision was to send.
	Delivery outbox.Delivery
	Page     Page
}

// Sent reports whether the decision was to send.
func (o Outcome) Sent() bool { return o.Reason == "" || o.Reason == alert.Fired }

// Prepare is Notify without any effect, for simulated actions.
func (s *Service) Prepare(n Notification) (Page, error) {
	policy, err := alert.ParsePolicy(n.Run.Metadata)
	if err != nil {
		return Page{}, err
	}
	return s.page(n, policy), nil
}

func (s *Service) page(n Notification, policy *alert.Policy) Page {
	p := Page{Key: n.Key, Links: s.Config.links(n.Run.WatchID, policy, n.Run.Now, n.Run.Now)}
	if policy != nil {
		p.Severity, p.Service, p.Group = policy.Severity, policy.Service, policy.Group(n.Run.Payload)
	}
	if p.Key == "" {
		p.Key = n.Run.WatchID
		if p.Group != "" {
			p.Key += "/" + p.Group
		}
	}
	p.Key = shortKey(p.Key)
	return p
}

// maxKey is the longest dedup_key that PagerDuty takes, in characters.
const maxKey = 255

// shortKey ends a key that is too long with a hash of all of it.
func shortKey(key string) string {
	if utf8.RuneCountInString(key) <= maxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	tail := "#" + hex.EncodeToString(sum[:16])
	return string([]rune(key)[:maxKey-len(tail)]) + tail
}

// Notify decides about a notification and, if it is to be sent, delivers it. An
// error means that it could not be decided or written down.
func (s *Service) Notify(ctx context.Context, n Notification) (Outcome, error) {
	policy, err := alert.ParsePolicy(n.Run.Metadata)
	if err != nil {
		return Outcome{}, err
	}
	page := s.page(n, policy)
	if policy == nil || n.Kind != "" && n.Kind != "trigger" {
		return s.deliver(ctx, n, page, "", n.Run.ID+"/"+n.Run.ActionID+"/"+strconv.Itoa(n.Run.Item)+"/"+n.To)
	}
	return s.notifyAlert(ctx, n, policy, page)
}

func (s *Service) deliver(ctx context.Context, n Notification, page Page, reason alert.Reason, id string) (Outcome, error) {
	o := Outcome{Reason: reason, Page: page}
	body, err := n.Body(page)
	if err != nil {
		return o, err
	}
	written, err := document.Marshal(body)
	if err != nil {
		return o, err
	}
	o.Delivery, err = s.Outbox.Deliver(ctx, outbox.Message{
		ID: id, Key: n.Channel + "/" + n.Account + "/" + n.To + "/" + page.Key, Kind: n.Kind,
		Channel: n.Channel, Account: n.Account, WatchID: n.Run.WatchID, ActionID: n.Run.ActionID,
		Body: written, CreatedAt: s.Now(),
	})
	return o, err
}

// tries is how often a compare-and-set that lost is done again.
const tries = 5

func (s *Service) notifyAlert(ctx context.Context, n Notification, policy *alert.Policy, page Page) (Outcome, error) {
	id := alert.NewID(n.Run.WatchID, page.Group)
	observed := alert.Observation{
		Enough: policy.Enough(n.Run.Payload), Summary: n.Summary, Severity: policy.Severity, Service: policy.Service,
	}
	route := alert.Route{ActionID: n.Run.ActionID, Channel: n.Channel, Account: n.Account, Key: page.Key, To: n.To}
	now := s.Now()
	silences, err := s.Store.Silences(ctx, now)
	if err != nil {
		// Better a page too many than one too few.
		silences = nil
	}
	mute := alert.Muting(silences, n.Run.WatchID, page.Group, observed, now)

	var after alert.Alert
	var reason alert.Reason
	err = s.change(ctx, id, func(before alert.Alert) (alert.Alert, error) {
		before.ID, before.WatchID, before.Group = id, n.Run.WatchID, page.Group
		after, reason = before.Fire(observed, route, mute, now)
		// Only pages share a page: what Slack alone was told must not keep anybody
		// from being woken.
		if reason == alert.Fired && n.Kind != "" && len(after.Routes) == 1 {
			joined, lerr := s.lead(ctx, after, now)
			if lerr != nil {
				return after, nil // no grouping: page
			}
			if joined != nil {
				after = after.Join(*joined)
				reason = alert.Grouped
			}
		}
		return after, nil
	})
	if err != nil && reason != alert.Fired {
		return Outcome{Reason: reason, Page: page}, fmt.Errorf("keep alert: %w", err)
	}
	// An alert that can't be kept is sent all the same: its ID and dedup_key
	// stay the same, so that it is one page.
	if observed.Enough || after.Open() {
		s.note(n.Run.ID, n.Run.WatchID, id)
	}
	if reason != alert.Fired {
		return Outcome{Reason: reason, Page: page}, nil
	}
	return s.deliver(ctx, n, page, alert.Fired, messageID(after, route, "trigger"))
}

func messageID(a alert.Alert, r alert.Route, kind string) string {
	return a.ID + "/" + strconv.FormatInt(a.Episode, 10) + "/" + strconv.FormatInt(a.StartedAt.UnixMilli(), 10) + "/" + r.ActionID + "/" + r.To + "/" + kind
}

// lead returns the page that an alert joins, or makes the alert its service's
// latest page and returns nil.
func (s *Service) lead(ctx context.Context, a alert.Alert, now time.Time) (*alert.Lead, error) {
	if a.Service == "" || s.Config.GroupWindow <= 0 {
		return nil, nil
	}
	for range tries {
		l, revision, err := s.Store.Lead(ctx, a.Service)
		if err != nil {
			return nil, err
		}
		if l.Takes(a.ID, a.Severity, s.Config.GroupWindow, now) {
			return &l, nil
		}
		err = s.Store.SaveLead(ctx, alert.Lead{Service: a.Service, AlertID: a.ID, Severity: a.Severity, OpenedAt: now}, revision)
		if !fault.Is(err, fault.Conflict) {
			return nil, err
		}
	}
	return nil, errors.New("the service's latest page keeps changing")
}

// change reads an alert, changes it, and writes it if that made a difference.
func (s *Service) change(ctx context.Context, id string, f func(alert.Alert) (alert.Alert, error)) error {
	var err error
	for range tries {
		var stored Stored
		stored, err = s.Store.Alert(ctx, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			_, _ = f(alert.Alert{ID: id}) // decided on what little is known
			return err
		}
		var after alert.Alert
		after, err = f(stored.Alert)
		if err != nil {
			return err
		}
		if same(stored.Alert, after) {
			return nil
		}
		_, err = s.Store.SaveAlert(ctx, Stored{Alert: after, Revision: stored.Revision})
		if !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return err
}

func same(a, b alert.Alert) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// note remembers until the end of an execution that it told of an alert.
func (s *Service) note(execution, watchID, alertID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]map[string]bool{}
	}
	if s.seen[execution] == nil {
		s.seen[execution] = map[string]bool{}
	}
	s.seen[execution][alertID] = true
	if s.open != nil {
		s.open[watchID] = true
	}
}

func (s *Service) told(execution string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen[execution]
	delete(s.seen, execution)
	return seen
}
