package statuspage

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"pharos/console/days"
)

// Incident is what the public may know of one. Nothing else of a stored incident
// is even read: its services, routes, alerts, summary and private entries have no
// place here.
type Incident struct {
	ID         string    `json:"id"`
	Title      string    `json:"title"`
	Impact     string    `json:"impact"` // minor, major or critical
	Status     string    `json:"status"` // investigating, identified, monitoring or resolved
	Components []string  `json:"components"`
	StartedAt  time.Time `json:"started_at"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	Updates    []Update  `json:"updates"` // the latest first
}

// Update is something that the public was told.
type Update struct {
	At     time.Time `json:"at"`
	Status string    `json:"status,omitempty"`
	Text   string    `json:"text"`
}

// Open reports whether the incident goes on.
func (i Incident) Open() bool { return i.ResolvedAt.IsZero() }

// felt is how the components that it names are at least.
func (i Incident) felt() days.State {
	if i.Impact == "critical" {
		return days.Outage
	}
	return days.Degraded
}

// Window is a time of maintenance that was announced.
type Window struct {
	Title      string    `json:"title"`
	Components []string  `json:"components"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
}

// Active reports whether it is going on.
func (w Window) Active(now time.Time) bool { return !now.Before(w.From) && now.Before(w.To) }

// readIncident takes what is public from a document of pharos-incidents; false if
// that is nothing.
func (c Catalog) readIncident(source []byte) (Incident, bool, error) {
	var in struct {
		ID         string    `json:"id"`
		Title      string    `json:"title"`
		Impact     string    `json:"impact"`
		Status     string    `json:"status"`
		Components []string  `json:"components"`
		StartedAt  time.Time `json:"started_at"`
		ClosedAt   time.Time `json:"closed_at"`
		Timeline   []struct {
			At     time.Time `json:"at"`
			Status string    `json:"status"`
			Text   string    `json:"text"`
			Public bool      `json:"public"`
		} `json:"timeline"`
	}
	if err := json.Unmarshal(source, &in); err != nil {
		return Incident{}, false, fmt.Errorf("decode incident: %w", err)
	}
	if in.Impact == "" || in.Impact == "none" {
		return Incident{}, false, nil
	}
	out := Incident{
		ID: in.ID, Title: withoutAddresses(in.Title), Impact: in.Impact, Status: in.Status, Components: c.names(in.Components),
		StartedAt: in.StartedAt.UTC(), ResolvedAt: in.ClosedAt.UTC(), Updates: []Update{},
	}
	for n := len(in.Timeline) - 1; n >= 0; n-- {
		if e := in.Timeline[n]; e.Public {
			out.Updates = append(out.Updates, Update{At: e.At.UTC(), Status: e.Status, Text: withoutAddresses(e.Text)})
		}
	}
	return out, len(out.Updates) > 0, nil
}

// readWindow takes what is public from a document of pharos-silences; false if it
// was not announced.
func (c Catalog) readWindow(source []byte) (Window, bool, error) {
	var in struct {
		Maintenance bool      `json:"maintenance"`
		Title       string    `json:"title"`
		Components  []string  `json:"components"`
		StartsAt    time.Time `json:"starts_at"`
		EndsAt      time.Time `json:"ends_at"`
	}
	if err := json.Unmarshal(source, &in); err != nil {
		return Window{}, false, fmt.Errorf("decode maintenance window: %w", err)
	}
	w := Window{Title: withoutAddresses(in.Title), Components: c.names(in.Components), From: in.StartsAt.UTC(), To: in.EndsAt.UTC()}
	return w, in.Maintenance && strings.TrimSpace(in.Title) != "", nil
}

// addresses are of machines: IPv4, IPv6 (three numbers with colons are a time),
// and names with a port. What people write to the public may hold one by mistake.
var addresses = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b|\[[0-9a-fA-F:]{2,}\](?::\d{1,5})?|\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*::[0-9a-fA-F:]*|\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){3,7}\b|\b[A-Za-z][\w.-]*:\d{2,5}\b`)

func withoutAddresses(text string) string { return addresses.ReplaceAllString(text, "(an address)") }
