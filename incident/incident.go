// Package incident gathers alerts that belong together: an incident opens when
// the first fires, takes in those that fire near it in cause and time, and closes
// when all are resolved. What happens to it is its timeline.
package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"pharos/watcher/alert"
)

// State is whether an incident goes on.
type State string

// The states of an incident.
const (
	Open   State = "open"
	Closed State = "closed"
)

// Impact is how bad it is for users, as the status page says it.
type Impact string

// The impacts, the least first. None is not shown to the public.
const (
	None     Impact = "none"
	Minor    Impact = "minor"
	Major    Impact = "major"
	Critical Impact = "critical"
)

// Status is how far the work on an incident has come, as the status page says it.
type Status string

// The statuses.
const (
	Investigating Status = "investigating"
	Identified    Status = "identified"
	Monitoring    Status = "monitoring"
	Resolved      Status = "resolved"
)

// Kind is what an entry of the timeline tells of.
type Kind string

// The kinds of entries.
const (
	WasOpened         Kind = "opened" // also anew
	AlertFired        Kind = "alert_fired"
	AlertAcknowledged Kind = "alert_acknowledged"
	AlertResolved     Kind = "alert_resolved"
	WasUpdated        Kind = "update"
	WasNoted          Kind = "note"
	WasChanged        Kind = "change"
	WasClosed         Kind = "closed"
)

// Entry is one line of a timeline.
type Entry struct {
	At     time.Time `json:"at"`
	Kind   Kind      `json:"kind"`
	By     string    `json:"by,omitempty"` // empty: nobody, it happened
	Text   string    `json:"text,omitempty"`
	Status Status    `json:"status,omitempty"` // that it came to, of public entries
	Public bool      `json:"public"`
}

// Member is an alert of an incident, as it was read last.
type Member struct {
	ID             string         `json:"id"`
	Key            string         `json:"key"` // of the episode, see Key
	Episode        int64          `json:"episode"`
	WatchID        string         `json:"watch_id"`
	Group          string         `json:"group,omitempty"`
	Service        string         `json:"service,omitempty"`
	Severity       alert.Severity `json:"severity"`
	Summary        string         `json:"summary,omitempty"`
	State          alert.State    `json:"state"`
	StartedAt      time.Time      `json:"started_at"`
	AcknowledgedAt time.Time      `json:"acknowledged_at,omitzero"`
	ResolvedAt     time.Time      `json:"resolved_at,omitzero"`
}

// Incident is a time in which something is wrong.
type Incident struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	// Title, Impact, Status and Components are for the public; Summary, the worst
	// alert's, is not.
	Title      string         `json:"title"`
	Impact     Impact         `json:"impact"`
	Status     Status         `json:"status"`
	Components []string       `json:"components"`
	Summary    string         `json:"summary,omitempty"`
	Severity   alert.Severity `json:"severity"` // the highest of its alerts
	Services   []string       `json:"services"`
	Routes     []string       `json:"routes"`

	StartedAt time.Time `json:"started_at"`
	ClosedAt  time.Time `json:"closed_at,omitzero"`
	OpenedBy  string    `json:"opened_by,omitempty"` // empty: an alert did
	ClosedBy  string    `json:"closed_by,omitempty"` // empty: its alerts were resolved

	Alerts []Member `json:"alerts"`
	// Changes are those nearest before its start and those made since, the latest
	// first.
	Changes  []Change `json:"changes"`
	Timeline []Entry  `json:"timeline"` // in the order of time
}

// Key names an episode of an alert, and the incident that it opens.
func Key(a alert.Alert) string {
	sum := sha256.Sum256([]byte(a.ID + "\x00" + strconv.FormatInt(a.Episode, 10)))
	return hex.EncodeToString(sum[:16])
}

// Counts reports whether an alert makes an incident: somebody was told of it, or
// would have been but for the page that it shares. What is silenced from its
// start does not.
func Counts(a alert.Alert) bool { return a.Page != "" && a.Episode > 0 }

// New is the incident that an alert opens, without the alert itself: Take it.
func New(id string, a alert.Alert) Incident {
	impact := impactOf(a.Severity)
	return Incident{
		ID: id, State: Open, Title: titleOf(impact), Impact: impact, Status: Investigating, StartedAt: a.StartedAt.UTC(),
		Components: []string{}, Services: []string{}, Routes: []string{}, Alerts: []Member{}, Changes: []Change{},
		Timeline: []Entry{{At: a.StartedAt.UTC(), Kind: WasOpened, Status: Investigating, Text: foundText, Public: impact != None}},
	}
}

// What the public reads where nobody wrote anything.
const (
	foundText = "We have found a problem and look into it."
	againText = "The problem is back; we look into it."
	endedText = "The problem has ended."
)

func impactOf(s alert.Severity) Impact {
	switch s {
	case alert.Critical:
		return Major
	case alert.Error:
		return Minor
	}
	return None
}

func titleOf(i Impact) string {
	switch i {
	case Major, Critical:
		return "Service disruption"
	case Minor:
		return "Degraded service"
	}
	return "Under observation"
}

func newMember(a alert.Alert) Member {
	return Member{
		ID: a.ID, Key: Key(a), Episode: a.Episode, WatchID: a.WatchID, Group: a.Group, Service: a.Service, Severity: a.Severity,
		Summary: a.Summary, State: a.State, StartedAt: a.StartedAt.UTC(), AcknowledgedAt: a.AcknowledgedAt.UTC(), ResolvedAt: a.ResolvedAt.UTC(),
	}
}

// route is the route that an alert is about: watches group by route templates,
// which begin with a slash. Empty if it is about none.
func route(a alert.Alert) string {
	if strings.HasPrefix(a.Group, "/") {
		return a.Group
	}
	return ""
}

func (i *Incident) member(id string) int {
	return slices.IndexFunc(i.Alerts, func(m Member) bool { return m.ID == id })
}

// Has reports whether an episode of an alert, or a later one, is the incident's.
func (i *Incident) Has(a alert.Alert) bool {
	at := i.member(a.ID)
	return at >= 0 && i.Alerts[at].Episode >= a.Episode
}

// Joins reports whether an alert that begins belongs to the incident: it shares
// a watch, service or route, and begins within the window of when the incident's
// alerts did. One of the incident's own belongs to it while that is open, and for
// the window after it has closed.
func (i *Incident) Joins(a alert.Alert, window time.Duration) bool {
	if i.member(a.ID) >= 0 {
		return i.State == Open || a.StartedAt.Before(i.ClosedAt.Add(window))
	}
	if i.State == Closed && !a.StartedAt.Before(i.ClosedAt) {
		return false
	}
	last := i.StartedAt
	shares := a.Service != "" && slices.Contains(i.Services, a.Service) || route(a) != "" && slices.Contains(i.Routes, route(a))
	for _, m := range i.Alerts {
		if m.StartedAt.After(last) {
			last = m.StartedAt
		}
		shares = shares || m.WatchID == a.WatchID
	}
	return shares && !a.StartedAt.Before(i.StartedAt.Add(-window)) && !a.StartedAt.After(last.Add(window))
}

// Take takes an alert in as it is now; false if that changes nothing. Taking it
// again, or an older reading of it, changes nothing.
func (i Incident) Take(a alert.Alert) (Incident, bool) {
	after, at := newMember(a), i.member(a.ID)
	var before Member
	if at >= 0 {
		before = i.Alerts[at]
	}
	if a.Episode < before.Episode || before == after || before.Episode == a.Episode && before.State == alert.Resolved {
		return i, false
	}
	i = i.clone()
	if a.Episode > before.Episode {
		before = Member{}
		i.fire(a)
	}
	if !after.AcknowledgedAt.IsZero() && after.AcknowledgedAt != before.AcknowledgedAt {
		i.tell(Entry{At: after.AcknowledgedAt, Kind: AlertAcknowledged, By: a.AcknowledgedBy, Text: about(a)})
	}
	if a.State == alert.Resolved {
		i.tell(Entry{At: after.ResolvedAt, Kind: AlertResolved, By: a.ResolvedBy, Text: about(a)})
	}
	if at < 0 {
		i.Alerts = append(i.Alerts, after)
	} else {
		i.Alerts[at] = after
	}
	i.weigh()
	return i, true
}

// fire takes in that an episode began.
func (i *Incident) fire(a alert.Alert) {
	if a.StartedAt.Before(i.StartedAt) {
		i.StartedAt = a.StartedAt.UTC()
		i.opened().At = i.StartedAt
		slices.SortStableFunc(i.Timeline, func(a, b Entry) int { return a.At.Compare(b.At) })
	}
	if i.State == Closed && a.Open() {
		i.State, i.Status, i.ClosedAt, i.ClosedBy = Open, Investigating, time.Time{}, ""
		i.tell(Entry{At: a.StartedAt.UTC(), Kind: WasOpened, Status: Investigating, Text: againText, Public: i.published()})
	}
	i.tell(Entry{At: a.StartedAt.UTC(), Kind: AlertFired, Text: about(a)})
}

func about(a alert.Alert) string {
	text := a.WatchID
	if a.Group != "" {
		text += " (" + a.Group + ")"
	}
	if a.Summary != "" {
		text += ": " + a.Summary
	}
	return text
}

// weigh makes what an incident says of itself follow its alerts; what a person
// has said of it stays.
func (i *Incident) weigh() {
	for _, m := range i.Alerts {
		if m.Severity.Worse(i.Severity) {
			i.Severity, i.Summary = m.Severity, m.Summary
		}
		if m.Service != "" && !slices.Contains(i.Services, m.Service) {
			i.Services = append(i.Services, m.Service)
		}
		if r := route(alert.Alert{Group: m.Group}); r != "" && !slices.Contains(i.Routes, r) {
			i.Routes = append(i.Routes, r)
		}
	}
	written := i.OpenedBy != "" || slices.ContainsFunc(i.Timeline, func(e Entry) bool { return e.Kind == WasUpdated })
	if impact := impactOf(i.Severity); !written && impact != i.Impact {
		i.Impact, i.Title = impact, titleOf(impact)
		i.opened().Public = impact != None
	}
}

// Settle closes the incident if an alert opened it and all are resolved; false if
// that changes nothing.
func (i Incident) Settle() (Incident, bool) {
	if i.State != Open || i.OpenedBy != "" || len(i.Alerts) == 0 {
		return i, false
	}
	var last time.Time
	for _, m := range i.Alerts {
		if m.State != alert.Resolved {
			return i, false
		}
		if m.ResolvedAt.After(last) {
			last = m.ResolvedAt
		}
	}
	i = i.clone()
	i.State, i.Status, i.ClosedAt = Closed, Resolved, last
	i.tell(Entry{At: last, Kind: WasClosed, Status: Resolved, Text: endedText, Public: i.published()})
	return i, true
}

// published reports whether the public knows of the incident.
func (i *Incident) published() bool {
	return slices.ContainsFunc(i.Timeline, func(e Entry) bool { return e.Public })
}

// mostEntries bounds what happens by itself in a timeline, so that a flapping
// alert does not fill it.
const mostEntries = 1000

// tell adds an entry at its place in time, unless it is there.
func (i *Incident) tell(e Entry) {
	byItself := e.Kind == AlertFired || e.Kind == AlertAcknowledged || e.Kind == AlertResolved || e.Kind == WasChanged
	if byItself && len(i.Timeline) >= mostEntries || slices.Contains(i.Timeline, e) {
		return
	}
	at := len(i.Timeline)
	for at > 0 && e.At.Before(i.Timeline[at-1].At) {
		at--
	}
	i.Timeline = slices.Insert(i.Timeline, at, e)
}

// opened is the entry that tells that the incident opened; every one has it.
func (i *Incident) opened() *Entry {
	return &i.Timeline[slices.IndexFunc(i.Timeline, func(e Entry) bool { return e.Kind == WasOpened })]
}

func (i Incident) clone() Incident {
	i.Components, i.Services, i.Routes = slices.Clone(i.Components), slices.Clone(i.Services), slices.Clone(i.Routes)
	i.Alerts, i.Changes, i.Timeline = slices.Clone(i.Alerts), slices.Clone(i.Changes), slices.Clone(i.Timeline)
	return i
}
