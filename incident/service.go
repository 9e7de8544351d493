package incident

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pharos/internal/fault"
	"pharos/watcher/alert"
)

// Config are the settings.
type Config struct {
	// Window is how near to an incident's alerts in time another must fire to be
	// part of it, and how long after its end one of them opens it again.
	Window time.Duration `env:"INCIDENT_GROUP_WINDOW" envDefault:"10m"`
	// Poll is how often alerts are read.
	Poll time.Duration `env:"INCIDENT_POLL" envDefault:"5s"`
}

// Validate checks the settings.
func (c *Config) Validate() error {
	if c.Window < 0 || c.Poll < 100*time.Millisecond {
		return errors.New("INCIDENT_GROUP_WINDOW must not be below 0 and INCIDENT_POLL at least 100ms")
	}
	return nil
}

// Revision names a stored incident's state; the zero one is that of an incident
// that is not there.
type Revision struct{ SeqNo, PrimaryTerm int64 }

// Stored is an incident as it is kept.
type Stored struct {
	Incident
	Revision Revision
}

// Filter narrows a list of incidents: those of a state, or where Since or Keys is
// given those that are open, closed since then, or have one of the episodes.
type Filter struct {
	State State
	Since time.Time
	Keys  []string
	After string // the last incident of the page before; fault.NotFound if it is gone
	Limit int    // 0: 1,000
}

// Store keeps incidents and changes for any number of processes.
type Store interface {
	Incident(ctx context.Context, id string) (Stored, error) // fault.NotFound
	// Save writes an incident if it still has its revision: fault.Conflict.
	Save(ctx context.Context, i Stored) (Revision, error)
	Incidents(ctx context.Context, f Filter) ([]Stored, error) // the latest first
	// Claim gives an episode to an incident, for ever, and returns which one has
	// it: another, if that was earlier.
	Claim(ctx context.Context, key, id string) (owner string, err error)
	SaveChange(ctx context.Context, c Change) error
	// Changes returns those from a time to another (zero: whatever time), the
	// latest first.
	Changes(ctx context.Context, from, to time.Time, limit int) ([]Change, error)
}

// Service derives incidents from alerts, and takes in what people say of them.
// Any number of processes can do so at once. Fill in all fields.
type Service struct {
	Config Config
	Store  Store
	// Alerts returns those that are open, and those that began or ended since.
	Alerts func(ctx context.Context, since time.Time) ([]alert.Alert, error)
	Now    func() time.Time
	NewID  func() string
	// Report is told of what failed and is tried again.
	Report func(ctx context.Context, err error)
}

const (
	// lookBack is how far back the first pass reads, and overlap how far each
	// other reads beyond the one before: what was written then is long readable.
	lookBack = 24 * time.Hour
	overlap  = time.Hour
	// passTimeout bounds one pass.
	passTimeout = time.Minute
)

// Run derives until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	since := s.Now().Add(-lookBack)
	for {
		began := s.Now()
		err := s.pass(ctx, since)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.Report(ctx, fmt.Errorf("derive incidents: %w", err))
		default:
			since = began.Add(-overlap)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.Config.Poll):
		}
	}
}

// desk is what one pass works on.
type desk struct {
	incidents []Stored
	changed   map[string]bool
}

func (d *desk) find(id string) int {
	return slices.IndexFunc(d.incidents, func(i Stored) bool { return i.ID == id })
}

func (d *desk) put(at int, after Incident, changed bool) {
	d.incidents[at].Incident = after
	if changed {
		d.changed[after.ID] = true
	}
}

func (s *Service) pass(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	alerts, err := s.Alerts(ctx, since)
	if err != nil {
		return fmt.Errorf("read alerts: %w", err)
	}
	alerts = slices.DeleteFunc(slices.Clone(alerts), func(a alert.Alert) bool { return !Counts(a) })
	slices.SortFunc(alerts, func(a, b alert.Alert) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.ID, b.ID))
	})
	keys := make([]string, 0, len(alerts))
	for _, a := range alerts {
		keys = append(keys, Key(a))
	}
	incidents, err := s.Store.Incidents(ctx, Filter{Since: since.Add(-s.Config.Window), Keys: keys, Limit: listed})
	if err != nil {
		return fmt.Errorf("read incidents: %w", err)
	}
	d := &desk{incidents: incidents, changed: map[string]bool{}}
	for _, a := range alerts {
		if err := s.place(ctx, d, a); err != nil {
			return err
		}
	}
	if err := s.relate(ctx, d); err != nil {
		return err
	}
	return s.save(ctx, d)
}

// listed is how many incidents one pass may hold: what Elasticsearch gives at
// once.
const listed = 10000

// place takes an alert into the incident that it belongs to.
func (s *Service) place(ctx context.Context, d *desk, a alert.Alert) error {
	at := slices.IndexFunc(d.incidents, func(i Stored) bool { return i.Has(a) })
	if at < 0 {
		id := Key(a)
		if near := slices.IndexFunc(d.incidents, func(i Stored) bool { return i.Joins(a, s.Config.Window) }); near >= 0 {
			id = d.incidents[near].ID
		}
		owner, err := s.Store.Claim(ctx, Key(a), id)
		if err != nil {
			return fmt.Errorf("claim alert %s: %w", a.ID, err)
		}
		if at, err = s.fetch(ctx, d, owner, a); err != nil {
			return err
		}
	}
	after, changed := d.incidents[at].Take(a)
	d.put(at, after, changed)
	return nil
}

// fetch is the place of an incident on the desk. One that is not kept yet is new:
// whoever claimed an alert for it has still to write it, or did not live to.
func (s *Service) fetch(ctx context.Context, d *desk, id string, a alert.Alert) (int, error) {
	if at := d.find(id); at >= 0 {
		return at, nil
	}
	stored, err := s.Store.Incident(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		stored = Stored{Incident: New(id, a)}
	case err != nil:
		return 0, fmt.Errorf("read incident %s: %w", id, err)
	}
	d.incidents = append(d.incidents, stored)
	return len(d.incidents) - 1, nil
}

// relate names the changes near open incidents.
func (s *Service) relate(ctx context.Context, d *desk) error {
	var first time.Time
	near := func(i Stored) bool { return i.State == Open || d.changed[i.ID] }
	for _, i := range d.incidents {
		if near(i) && (first.IsZero() || i.StartedAt.Before(first)) {
			first = i.StartedAt
		}
	}
	if first.IsZero() {
		return nil
	}
	changes, err := s.Store.Changes(ctx, first.Add(-before), time.Time{}, listed)
	if err != nil {
		return fmt.Errorf("read changes: %w", err)
	}
	for at, i := range d.incidents {
		if near(i) {
			after, changed := i.Relate(changes)
			d.put(at, after, changed)
		}
	}
	return nil
}

// save writes what changed. What somebody else wrote meanwhile is left to the
// next pass.
func (s *Service) save(ctx context.Context, d *desk) error {
	var errs []error
	for at := range d.incidents {
		after, changed := d.incidents[at].Settle()
		d.put(at, after, changed)
		if !d.changed[after.ID] {
			continue
		}
		if _, err := s.Store.Save(ctx, d.incidents[at]); err != nil && !fault.Is(err, fault.Conflict) {
			errs = append(errs, fmt.Errorf("save incident %s: %w", after.ID, err))
		}
	}
	return errors.Join(errs...)
}

// Declare opens an incident by hand.
func (s *Service) Declare(ctx context.Context, by string, w Words) (Incident, error) {
	i, err := Declare(s.NewID(), by, w, s.Now())
	if err != nil {
		return i, err
	}
	if _, err := s.Store.Save(ctx, Stored{Incident: i}); err != nil {
		return i, fmt.Errorf("save incident: %w", err)
	}
	return i, nil
}

// Note adds a note to an incident; fault.NotFound.
func (s *Service) Note(ctx context.Context, id, by, text string) (Incident, error) {
	return s.change(ctx, id, func(i Incident) (Incident, error) { return i.Note(by, text, s.Now()) })
}

// Update tells the public of an incident; fault.NotFound, fault.Conflict.
func (s *Service) Update(ctx context.Context, id, by string, w Words) (Incident, error) {
	return s.change(ctx, id, func(i Incident) (Incident, error) { return i.Update(by, w, s.Now()) })
}

// Close ends an incident by hand; fault.NotFound, fault.Conflict.
func (s *Service) Close(ctx context.Context, id, by, text string) (Incident, error) {
	return s.change(ctx, id, func(i Incident) (Incident, error) { return i.Close(by, text, s.Now()) })
}

// Record keeps a change, made at its time or, if that is zero, now.
func (s *Service) Record(ctx context.Context, by string, c Change) (Change, error) {
	c.ID, c.By = s.NewID(), by
	if c.At.IsZero() {
		c.At = s.Now()
	}
	c.At = c.At.UTC()
	if err := c.Check(s.Now()); err != nil {
		return c, err
	}
	if err := s.Store.SaveChange(ctx, c); err != nil {
		return c, fmt.Errorf("save change: %w", err)
	}
	return c, nil
}

// tries is how often a write is tried while others write the same incident.
const tries = 5

func (s *Service) change(ctx context.Context, id string, do func(Incident) (Incident, error)) (Incident, error) {
	for try := 1; ; try++ {
		stored, err := s.Store.Incident(ctx, id)
		if err != nil {
			return Incident{}, err
		}
		after, err := do(stored.Incident)
		if err != nil {
			return after, err
		}
		_, err = s.Store.Save(ctx, Stored{Incident: after, Revision: stored.Revision})
		if err == nil {
			return after, nil
		}
		if !fault.Is(err, fault.Conflict) || try == tries {
			return after, fmt.Errorf("save incident %s: %w", id, err)
		}
	}
}
