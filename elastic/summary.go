package elastic

import (
	"fmt"
	"strings"
)

// Action is what Setup did with one object.
type Action string

// What Setup can do.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Unchanged Action = "unchanged"
	// RolledOver is a data stream that writes to a new index now, because its
	// mapping could not be changed in place.
	RolledOver Action = "rolled over"
	// Kept marks what is not as it should be and was left alone; the note says
	// why and what to do.
	Kept Action = "kept"
)

// Change is one object and what Setup did with it.
type Change struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Action Action `json:"action"`
	Note   string `json:"note,omitempty"`
}

// String returns "kind name action", and the note where there is one.
func (c Change) String() string {
	s := c.Kind + " " + c.Name + " " + string(c.Action)
	if c.Note != "" {
		s += ": " + c.Note
	}
	return s
}

// Summary is all that a Setup did, in order.
type Summary struct {
	Changes []Change `json:"changes"`
}

// Count returns how many objects met the given action.
func (s Summary) Count(a Action) int {
	n := 0
	for _, c := range s.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// String returns the counts in one line, as in "41 objects: 3 created, 38
// unchanged".
func (s Summary) String() string {
	var parts []string
	for _, a := range []Action{Created, Updated, RolledOver, Unchanged, Kept} {
		if n := s.Count(a); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, a))
		}
	}
	return strings.TrimSuffix(fmt.Sprintf("%d objects: %s", len(s.Changes), strings.Join(parts, ", ")), ": ")
}
