package incident

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"pharos/internal/fault"
)

// Change is something that somebody changed: a deploy, a setting.
type Change struct {
	ID      string     `json:"id"`
	Kind    ChangeKind `json:"kind"`
	Service string     `json:"service,omitempty"`
	Version string     `json:"version,omitempty"`
	Text    string     `json:"text,omitempty"`
	At      time.Time  `json:"at"`
	By      string     `json:"by"`
}

// ChangeKind is what kind of thing was changed.
type ChangeKind string

// The kinds of changes.
const (
	Deploy  ChangeKind = "deploy"
	Setting ChangeKind = "setting"
	Other   ChangeKind = "other"
)

// ahead is how far in the future a change may be: clocks differ.
const ahead = 5 * time.Minute

// Check refuses a change that says too little. Its errors are faults that name
// the field.
func (c Change) Check(now time.Time) error {
	switch c.Kind {
	case Deploy, Setting, Other:
	default:
		return fault.Field(fault.InvalidParameter, "kind", "A change is a deploy, setting or other.")
	}
	switch {
	case c.At.After(now.Add(ahead)):
		return fault.Field(fault.InvalidParameter, "at", "A change is recorded when it is made, not before.")
	case c.Text == "" && c.Service == "" && c.Version == "":
		return fault.Field(fault.InvalidParameter, "text", "Say what was changed: a service, a version or a text.")
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{{"service", c.Service, mostTitle}, {"version", c.Version, mostTitle}, {"text", c.Text, mostText}} {
		if err := checkText(f.name, f.value, f.most, false); err != nil {
			return err
		}
	}
	return nil
}

func (c Change) String() string {
	return strings.Join(slices.DeleteFunc([]string{string(c.Kind), c.Service, c.Version, c.Text}, func(s string) bool { return s == "" }), " ")
}

const (
	// before is how long before an incident's start a change is near to it.
	before = 6 * time.Hour
	// nearest is how many of those an incident names, and meanwhile how many of
	// those that are made while it goes on.
	nearest   = 3
	meanwhile = 20
)

// Relate names the changes nearest before the incident's start, and those made
// while it goes on; false if it has them all.
func (i Incident) Relate(changes []Change) (Incident, bool) {
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	earlier, during := 0, 0
	after := i
	for _, c := range changes {
		switch {
		case c.At.Before(i.StartedAt.Add(-before)), i.State == Closed && c.At.After(i.ClosedAt):
			continue
		case c.At.After(i.StartedAt):
			if during++; during > meanwhile {
				continue
			}
		default:
			if earlier++; earlier > nearest {
				continue
			}
		}
		if slices.ContainsFunc(after.Changes, func(known Change) bool { return known.ID == c.ID }) {
			continue
		}
		if len(after.Changes) == len(i.Changes) {
			after = i.clone()
		}
		after.Changes = append(after.Changes, c)
		after.tell(Entry{At: c.At.UTC(), Kind: WasChanged, By: c.By, Text: c.String()})
	}
	if len(after.Changes) == len(i.Changes) {
		return i, false
	}
	slices.SortStableFunc(after.Changes, func(a, b Change) int { return b.At.Compare(a.At) })
	return after, true
}
