package statuspage

import (
	"slices"
	"strings"
	"time"

	"pharos/console/days"
	"pharos/slo"
	"pharos/slo/rollup"
)

const (
	// history is how many days the page goes back.
	history = 90
	// past is how long ago an incident that it still shows may have ended.
	past = 14 * 24 * time.Hour
	// fewest is how many recent events say anything.
	fewest = 5
)

// Facts are what a status is made of.
type Facts struct {
	At time.Time
	// Down says of each monitor that somebody looked at lately whether it is down.
	Down map[string]bool
	// Days and Recent are by a component's key.
	Days      map[string][]rollup.Day
	Recent    map[string]slo.Count
	Incidents []Incident
	Windows   []Window
	Response  Response
}

// Status is what the public may know. It is all that is kept.
type Status struct {
	At         time.Time         `json:"as_of"`
	State      days.State        `json:"state"`
	Summary    string            `json:"summary"`
	Components []ComponentStatus `json:"components"`
	Incidents  []Incident        `json:"incidents"`   // open ones first, then the latest first
	Windows    []Window          `json:"maintenance"` // the next first
	Response   Response          `json:"response_time"`
}

// ComponentStatus is how a component is, and was.
type ComponentStatus struct {
	Key   string     `json:"key"`
	Name  string     `json:"name"`
	State days.State `json:"state"`
	// Measure says what the share of its days is a share of.
	Measure string `json:"measure"`
	days.Row
}

// Response are the site's answering times over the last day.
type Response struct {
	Step  int64      `json:"step"`  // seconds from one time to the next
	Times []int64    `json:"times"` // beginnings, Unix seconds
	P50   []*float64 `json:"p50"`   // seconds; nil: nobody looked
	P95   []*float64 `json:"p95"`
}

// Status says how everything is.
func (c Catalog) Status(f Facts) Status {
	s := Status{At: f.At.UTC(), Components: []ComponentStatus{}, Incidents: slices.Clone(f.Incidents), Windows: slices.Clone(f.Windows), Response: f.Response}
	slices.SortStableFunc(s.Incidents, func(a, b Incident) int {
		switch {
		case a.Open() == b.Open():
			return b.StartedAt.Compare(a.StartedAt)
		case a.Open():
			return -1
		}
		return 1
	})
	slices.SortStableFunc(s.Windows, func(a, b Window) int { return a.From.Compare(b.From) })
	for _, one := range c.Components {
		s.Components = append(s.Components, one.status(f))
	}
	s.State, s.Summary = s.overall()
	return s
}

func (c Component) status(f Facts) ComponentStatus {
	s := ComponentStatus{Key: c.Key, Name: c.Name, Measure: c.Measure, State: c.now(f)}
	for _, i := range f.Incidents {
		if i.Open() && slices.Contains(i.Components, c.Name) {
			s.State = s.State.Or(i.felt())
		}
	}
	for _, w := range f.Windows {
		if w.Active(f.At) && slices.Contains(w.Components, c.Name) {
			s.State = days.Maintenance
		}
	}
	s.Row = days.Last(history, f.Days[c.Key], c.Budget, f.At)
	return s
}

// now is how a component is at this moment.
func (c Component) now(f Facts) days.State {
	state := days.Unknown
	if c.Own != nil {
		state = checked(*c.Own, f.Down)
	}
	for _, need := range c.Needs {
		switch checked(need, f.Down) {
		case days.Outage: // it may still do some of its work
			state = state.Or(days.Degraded)
		case days.Operational:
			if c.Own == nil {
				state = state.Or(days.Operational)
			}
		}
	}
	if recent := f.Recent[c.Key]; recent.Total >= fewest && c.Own == nil {
		state = state.Or(days.Of(recent, c.Budget))
	}
	return state
}

// checked is how a part is as its monitors see it.
func checked(c slo.Component, down map[string]bool) days.State {
	ups, downs := 0, 0
	for _, monitor := range c.Monitors {
		switch isDown, looked := down[monitor]; {
		case !looked:
		case isDown:
			downs++
		default:
			ups++
		}
	}
	switch {
	case ups+downs == 0:
		return days.Unknown
	case ups == 0, c.NeedAll && downs > 0:
		return days.Outage
	}
	return days.Operational
}

// overall is the state of all in one sentence.
func (s Status) overall() (days.State, string) {
	of := func(state days.State) []string {
		var names []string
		for _, c := range s.Components {
			if c.State == state {
				names = append(names, c.Name)
			}
		}
		return names
	}
	is := func(names []string) string {
		if len(names) > 1 {
			return list(names) + " are"
		}
		return list(names) + " is"
	}
	has := func(names []string) string {
		if len(names) > 1 {
			return list(names) + " have"
		}
		return list(names) + " has"
	}
	down, problems, served := of(days.Outage), of(days.Degraded), of(days.Maintenance)
	switch {
	case len(s.Components) == 0:
		return days.Unknown, "Nothing is watched yet."
	case len(down) == len(s.Components):
		return days.Outage, "Everything is down."
	case len(down) > 0 && len(problems) > 0:
		return days.Outage, is(down) + " down; " + has(problems) + " problems."
	case len(down) > 0:
		return days.Outage, is(down) + " down."
	case len(problems) > 0:
		return days.Degraded, has(problems) + " problems."
	}
	for _, i := range s.Incidents {
		if i.Open() {
			return days.Degraded, "We are working on a problem: " + strings.TrimRight(i.Title, ". ") + "."
		}
	}
	switch unknown := of(days.Unknown); {
	case len(unknown) == len(s.Components):
		return days.Unknown, "We do not know how we are: our monitoring has no data."
	case len(unknown) > 0:
		return days.Unknown, "There is no data on " + list(unknown) + "; all else operates normally."
	case len(served) > 0:
		return days.Maintenance, is(served) + " under planned maintenance."
	}
	return days.Operational, "Everything operates normally."
}

// list writes names as a sentence does.
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
