package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"time"
)

// State is where an alert stands.
type State string

// The states of an alert.
const (
	Firing       State = "firing"
	Acknowledged State = "acknowledged"
	Resolved     State = "resolved"
)

// Alert is one thing that is wrong: what a watch found, for one value of its
// group. It lasts over many executions; each time it begins anew is an episode.
type Alert struct {
	ID       string   `json:"id"`
	WatchID  string   `json:"watch_id"`
	Group    string   `json:"group,omitempty"`
	Service  string   `json:"service,omitempty"`
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary,omitempty"`
	State    State    `json:"state"`
	Episode  int64    `json:"episode"`
	Flaps    int      `json:"flaps"` // how often this episode cleared and came back

	StartedAt      time.Time `json:"started_at"`
	ClearedAt      time.Time `json:"cleared_at,omitzero"` // since when the condition is clear
	ResolvedAt     time.Time `json:"resolved_at,omitzero"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	ResolvedBy     string    `json:"resolved_by,omitempty"` // empty: the condition cleared
	// HeardAt is when the last event happened that PagerDuty told of this alert:
	// an older one is a replay.
	HeardAt time.Time `json:"heard_at,omitzero"`

	// Reason is the last decision's.
	Reason Reason `json:"reason"`
	// Page is the ID of the alert whose page this one shares; its own ID if it has
	// a page, empty if nobody was told.
	Page string `json:"page,omitempty"`
	// Routes are where the page of this episode was sent.
	Routes []Route `json:"routes,omitempty"`
}

// Route is one place that was told of an alert.
type Route struct {
	ActionID string `json:"action_id"`
	Channel  string `json:"channel"`
	Account  string `json:"account"`
	Key      string `json:"key"`          // PagerDuty's dedup_key, or the order's key
	To       string `json:"to,omitempty"` // Slack's channel
}

// Open reports whether the alert has begun and not ended.
func (a *Alert) Open() bool { return a.State == Firing || a.State == Acknowledged }

// NewID is the ID of the alert of a watch and group: the same in every process
// and every episode.
func NewID(watchID, group string) string {
	sum := sha256.Sum256([]byte(watchID + "\x00" + group))
	return hex.EncodeToString(sum[:16])
}

// Reason names a decision.
type Reason string

// The reasons.
const (
	Fired         Reason = "fired"          // it began: send
	StillFiring   Reason = "still_firing"   // told already
	IsAcked       Reason = "acknowledged"   // somebody is on it
	Silenced      Reason = "silenced"       // a silence matches
	InMaintenance Reason = "in_maintenance" // so does a maintenance window
	TooFewEvents  Reason = "too_few_events" // below minimum_events
	Grouped       Reason = "grouped"        // shares the page of its service
	Held          Reason = "held"           // clear, but not for long enough
	Ended         Reason = "resolved"       // it ended: send the resolve
	EndedQuietly  Reason = "resolved_quietly"
	NotFiring     Reason = "not_firing"
)

// Observation is what an execution that met its condition says about an alert.
type Observation struct {
	Enough   bool // Policy.Enough
	Summary  string
	Severity Severity
	Service  string
}

// Fire takes an observation in and decides whether route is to be told.
func (a Alert) Fire(o Observation, route Route, mute *Silence, now time.Time) (Alert, Reason) {
	if !a.Open() {
		if !o.Enough {
			a.Reason = TooFewEvents
			return a, TooFewEvents
		}
		a = Alert{
			ID: a.ID, WatchID: a.WatchID, Group: a.Group, Episode: a.Episode + 1,
			State: Firing, StartedAt: now, Severity: o.Severity, Service: o.Service, Summary: o.Summary,
		}
	}
	if !a.ClearedAt.IsZero() {
		a.ClearedAt = time.Time{}
		a.Flaps++
	}
	if o.Summary != "" {
		a.Summary = o.Summary
	}
	switch {
	case a.State == Acknowledged:
		a.Reason = IsAcked
	case a.Page != "" && a.Page != a.ID:
		a.Reason = Grouped
	case slices.ContainsFunc(a.Routes, func(r Route) bool { return r.ActionID == route.ActionID && r.To == route.To }):
		a.Reason = StillFiring
	case mute != nil && len(a.Routes) == 0:
		a.Reason = mute.reason()
	default:
		a.Page = a.ID
		a.Routes = append(slices.Clip(a.Routes), route)
		a.Reason = Fired
	}
	return a, a.Reason
}

// Join lets an alert share the page of another: its own routes are not told.
func (a Alert) Join(l Lead) Alert {
	a.Page, a.Routes, a.Reason = l.AlertID, nil, Grouped
	return a
}

// Return takes in that the condition is met again, from an execution whose
// actions were throttled; false if that changes nothing.
func (a Alert) Return() (Alert, bool) {
	if !a.Open() || a.ClearedAt.IsZero() {
		return a, false
	}
	a.ClearedAt = time.Time{}
	a.Flaps++
	return a, true
}

// Clear takes in that the condition is not met (or the group's value is gone)
// and decides whether the page is to be resolved.
func (a Alert) Clear(p Policy, now time.Time) (Alert, Reason) {
	if !a.Open() {
		return a, NotFiring
	}
	if a.ClearedAt.IsZero() {
		a.ClearedAt = now
	}
	if now.Sub(a.ClearedAt) < p.Hold {
		a.Reason = Held
		return a, Held
	}
	a.State, a.ResolvedAt = Resolved, now
	a.Reason = EndedQuietly
	if p.Resolve && a.Page != "" {
		a.Reason = Ended
	}
	return a, a.Reason
}

// Acknowledge takes in that somebody is on it; false if that changes nothing.
func (a Alert) Acknowledge(by string, now time.Time) (Alert, bool) {
	if a.State != Firing {
		return a, false
	}
	a.State, a.AcknowledgedAt, a.AcknowledgedBy, a.Reason = Acknowledged, now, by, IsAcked
	return a, true
}

// Unacknowledge takes an acknowledgement back.
func (a Alert) Unacknowledge() (Alert, bool) {
	if a.State != Acknowledged {
		return a, false
	}
	a.State, a.AcknowledgedAt, a.AcknowledgedBy, a.Reason = Firing, time.Time{}, "", StillFiring
	return a, true
}

// End takes in that the page was resolved by hand; the alert begins anew if the
// condition is still met at the next execution.
func (a Alert) End(by string, now time.Time) (Alert, bool) {
	if !a.Open() {
		return a, false
	}
	a.State, a.ResolvedAt, a.ResolvedBy, a.Reason = Resolved, now, by, EndedQuietly
	return a, true
}

// Lead is the latest page of a service, which other alerts of the service may
// join.
type Lead struct {
	Service  string    `json:"service"`
	AlertID  string    `json:"alert_id"`
	Severity Severity  `json:"severity"`
	OpenedAt time.Time `json:"opened_at"`
	Closed   bool      `json:"closed"`
}

// Takes reports whether an alert that begins now may share the page: it is of
// the same service, within the window, and no worse than what was paged.
func (l Lead) Takes(alertID string, s Severity, window time.Duration, now time.Time) bool {
	return l.AlertID != "" && l.AlertID != alertID && !l.Closed &&
		now.Sub(l.OpenedAt) < window && s.rank() <= l.Severity.rank()
}

// Silence keeps alerts quiet for a time.
type Silence struct {
	ID          string    `json:"id"`
	Maintenance bool      `json:"maintenance"`
	Matchers    Matchers  `json:"matchers"`
	StartsAt    time.Time `json:"starts_at"`
	EndsAt      time.Time `json:"ends_at"`
	CreatedBy   string    `json:"created_by"`
	CreatedAt   time.Time `json:"created_at"`
	Comment     string    `json:"comment,omitempty"`
	// Title and Components are what the public status page says of a maintenance
	// window.
	Title      string   `json:"title,omitempty"`
	Components []string `json:"components,omitempty"`
}

// Matchers say which alerts a silence is about: every one that is given must
// match. WatchID and Group may hold * and ?; with none given all match.
type Matchers struct {
	WatchID  string   `json:"watch_id,omitempty"`
	Service  string   `json:"service,omitempty"`
	Group    string   `json:"group,omitempty"`
	Severity Severity `json:"severity,omitempty"`
}

func (m Matchers) match(watchID, group string, o Observation) bool {
	return (m.Service == "" || m.Service == o.Service) &&
		(m.Severity == "" || m.Severity == o.Severity) &&
		glob(m.WatchID, watchID) && glob(m.Group, group)
}

// glob matches like path.Match without its meaning of slashes and brackets.
func glob(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	plain := strings.NewReplacer("/", "\x00", "[", "\\[", "\\", "\\\\").Replace(pattern)
	ok, err := path.Match(plain, strings.ReplaceAll(text, "/", "\x00"))
	return err == nil && ok
}

func (s *Silence) reason() Reason {
	if s.Maintenance {
		return InMaintenance
	}
	return Silenced
}

// Muting returns the silence that keeps an alert quiet now, nil if none does.
// Maintenance goes before other silences.
func Muting(silences []Silence, watchID, group string, o Observation, now time.Time) *Silence {
	var found *Silence
	for i := range silences {
		s := &silences[i]
		if now.Before(s.StartsAt) || !now.Before(s.EndsAt) || !s.Matchers.match(watchID, group, o) {
			continue
		}
		if s.Maintenance {
			return s
		}
		found = s
	}
	return found
}
