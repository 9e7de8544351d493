package statuspage

import (
	"encoding/json"
	"time"

	"pharos/console/days"
)

// Document is what every representation shows: /status.json is it, word for word.
// Two documents that are equal look the same, so that times in it are no finer
// than what is shown.
type Document struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Zone string `json:"time_zone"`
	// Stale says that our monitoring does not answer: the state is AgeMinutes old.
	Stale      bool `json:"stale"`
	AgeMinutes int  `json:"age_minutes"`
	// Known is false while there has never been a state.
	Known bool `json:"known"`
	Status
}

func newDocument(cfg Config, s Status, now time.Time, late time.Duration) Document {
	d := Document{Name: cfg.Name, URL: cfg.URL, Zone: "UTC", Known: !s.At.IsZero(), Status: s}
	age := now.Sub(s.At)
	d.At = s.At.Truncate(time.Minute)
	switch {
	case !d.Known:
		d.Stale, d.State, d.Summary = true, days.Unknown, "Our monitoring does not answer, and there is no earlier state to show."
	case age > late:
		d.Stale, d.AgeMinutes = true, int(age/time.Minute)
	}
	if d.Components == nil {
		d.Components = []ComponentStatus{}
	}
	if d.Incidents == nil {
		d.Incidents = []Incident{}
	}
	if d.Windows == nil {
		d.Windows = []Window{}
	}
	return d
}

func (d Document) encode() ([]byte, error) { return json.MarshalIndent(d, "", " ") }

// Open are the incidents that go on.
func (d Document) Open() []Incident {
	var open []Incident
	for _, i := range d.Incidents {
		if i.Open() {
			open = append(open, i)
		}
	}
	return open
}

// PastDay is what ended, by the day that it began.
type PastDay struct {
	Day       time.Time
	Incidents []Incident
}

// Past are the incidents that are over, by day, the latest first.
func (d Document) Past() []PastDay {
	var all []PastDay
	for _, i := range d.Incidents {
		if i.Open() {
			continue
		}
		day := i.StartedAt.Truncate(24 * time.Hour)
		if n := len(all); n == 0 || !all[n-1].Day.Equal(day) {
			all = append(all, PastDay{Day: day})
		}
		all[len(all)-1].Incidents = append(all[len(all)-1].Incidents, i)
	}
	return all
}
