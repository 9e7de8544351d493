package incident

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pharos/internal/fault"
	"pharos/watcher/alert"
)

// Bounds of what people write, in characters.
const (
	mostText   = 10000
	mostTitle  = 200
	mostThings = 50
	mostWords  = 2000 // entries, with those of people
)

// Words is what a person says in public. A nil or empty field leaves what is
// there.
type Words struct {
	Text       string   `json:"text"`
	Status     Status   `json:"status"`
	Impact     Impact   `json:"impact"`
	Title      string   `json:"title"`
	Components []string `json:"components"`
}

func (w Words) check() error {
	if err := checkText("text", w.Text, mostText, true); err != nil {
		return err
	}
	switch w.Status {
	case Investigating, Identified, Monitoring, Resolved:
	default:
		return fault.Field(fault.InvalidParameter, "status", "A status is investigating, identified, monitoring or resolved.")
	}
	switch w.Impact {
	case "", None, Minor, Major, Critical:
	default:
		return fault.Field(fault.InvalidParameter, "impact", "An impact is none, minor, major or critical.")
	}
	if err := checkText("title", w.Title, mostTitle, false); err != nil {
		return err
	}
	if len(w.Components) > mostThings {
		return fault.Field(fault.InvalidParameter, "components", "At most %d components can be named.", mostThings)
	}
	for _, c := range w.Components {
		if err := checkText("components", c, mostTitle, true); err != nil {
			return err
		}
	}
	return nil
}

// checkText refuses a text that is too long, or blank where one is needed.
func checkText(field, text string, most int, needed bool) error {
	switch {
	case needed && strings.TrimSpace(text) == "":
		return fault.Field(fault.InvalidParameter, field, "It is missing or empty.")
	case utf8.RuneCountInString(text) > most:
		return fault.Field(fault.InvalidParameter, field, "It may have at most %d characters.", most)
	}
	return nil
}

func (w Words) write(i *Incident) {
	i.Status = w.Status
	if w.Impact != "" {
		i.Impact = w.Impact
	}
	if w.Title != "" {
		i.Title = w.Title
	}
	if w.Components != nil {
		i.Components = slices.Clone(w.Components)
	}
}

// Declare is the incident that a person opens. It stays open until a person
// closes it.
func Declare(id, by string, w Words, now time.Time) (Incident, error) {
	if err := w.check(); err != nil {
		return Incident{}, err
	}
	switch {
	case w.Title == "":
		return Incident{}, fault.Field(fault.InvalidParameter, "title", "It is missing or empty.")
	case w.Impact == "":
		return Incident{}, fault.Field(fault.InvalidParameter, "impact", "An impact is none, minor, major or critical.")
	case w.Status == Resolved:
		return Incident{}, fault.Field(fault.InvalidParameter, "status", "An incident that begins is not resolved.")
	}
	severity := map[Impact]alert.Severity{None: alert.Info, Minor: alert.Warning, Major: alert.Error, Critical: alert.Critical}[w.Impact]
	i := Incident{
		ID: id, State: Open, Severity: severity, StartedAt: now.UTC(), OpenedBy: by,
		Components: []string{}, Services: []string{}, Routes: []string{}, Alerts: []Member{}, Changes: []Change{},
		Timeline: []Entry{{At: now.UTC(), Kind: WasOpened, By: by, Text: w.Text, Status: w.Status, Public: true}},
	}
	w.write(&i)
	return i, nil
}

// Note adds what a person writes for colleagues.
func (i Incident) Note(by, text string, now time.Time) (Incident, error) {
	if err := checkText("text", text, mostText, true); err != nil {
		return i, err
	}
	return i.say(Entry{At: now.UTC(), Kind: WasNoted, By: by, Text: text})
}

// Update adds what a person tells the public. The status resolved closes the
// incident; one that is closed takes no other.
func (i Incident) Update(by string, w Words, now time.Time) (Incident, error) {
	if err := w.check(); err != nil {
		return i, err
	}
	if i.State == Closed && w.Status != Resolved {
		return i, fault.Field(fault.Conflict, "status", "The incident is closed: open another.")
	}
	after, err := i.say(Entry{At: now.UTC(), Kind: WasUpdated, By: by, Text: w.Text, Status: w.Status, Public: true})
	if err != nil {
		return i, err
	}
	w.write(&after)
	if w.Status == Resolved && after.State == Open {
		after.State, after.ClosedAt, after.ClosedBy = Closed, now.UTC(), by
		after.tell(Entry{At: now.UTC(), Kind: WasClosed, By: by})
	}
	return after, nil
}

// Close ends the incident, whatever its alerts say: one of them opens it again if
// it fires anew within the window. fault.Conflict if it is closed.
func (i Incident) Close(by, text string, now time.Time) (Incident, error) {
	if err := checkText("text", text, mostText, false); err != nil {
		return i, err
	}
	if i.State == Closed {
		return i, fault.New(fault.Conflict, "The incident is closed.")
	}
	public := i.published()
	if text == "" {
		text = endedText
	}
	i, err := i.say(Entry{At: now.UTC(), Kind: WasClosed, By: by, Text: text, Status: Resolved, Public: public})
	if err != nil {
		return i, err
	}
	i.State, i.Status, i.ClosedAt, i.ClosedBy = Closed, Resolved, now.UTC(), by
	return i, nil
}

func (i Incident) say(e Entry) (Incident, error) {
	if len(i.Timeline) >= mostWords {
		return i, fault.New(fault.LimitExceeded, "The incident's timeline is full.")
	}
	i = i.clone()
	i.tell(e)
	return i, nil
}

// Public is what everybody may know of an incident.
type Public struct {
	ID         string        `json:"id"`
	Title      string        `json:"title"`
	Impact     Impact        `json:"impact"`
	Status     Status        `json:"status"`
	Components []string      `json:"components"`
	StartedAt  time.Time     `json:"started_at"`
	ResolvedAt time.Time     `json:"resolved_at,omitzero"`
	Timeline   []PublicEntry `json:"timeline"` // the latest first
}

// PublicEntry is a line of the timeline that everybody may read.
type PublicEntry struct {
	At     time.Time `json:"at"`
	Kind   Kind      `json:"kind"`
	Status Status    `json:"status,omitempty"`
	Text   string    `json:"text"`
}

// Public returns what everybody may know; false if that is nothing.
func (i *Incident) Public() (Public, bool) {
	p := Public{
		ID: i.ID, Title: i.Title, Impact: i.Impact, Status: i.Status, Components: i.Components,
		StartedAt: i.StartedAt, ResolvedAt: i.ClosedAt, Timeline: []PublicEntry{},
	}
	for _, e := range slices.Backward(i.Timeline) {
		if e.Public {
			p.Timeline = append(p.Timeline, PublicEntry{At: e.At, Kind: e.Kind, Status: e.Status, Text: e.Text})
		}
	}
	return p, len(p.Timeline) > 0
}
