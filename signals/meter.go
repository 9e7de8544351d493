package signals

import "time"

// Reading is a counter as one instance of a process shows it.
type Reading struct {
	// Instance tells the instances of a process apart: its name or its address.
	Instance string
	// Started is when the instance's process began, at which its counter was 0.
	// Zero where that is not known.
	Started time.Time
	Value   float64
}

// Meter adds up what the counters of a process's instances grew by. What it adds
// is never more than what happened: the growth of an instance that did not answer
// at the last reading, or that is new and began before it, is left out, and so is
// what a process that ended had counted since the last reading. Then the sum is
// partial.
type Meter struct {
	read time.Time // when it was read last
	last map[string]Reading
}

// Growth is what a meter's counters grew by from one reading to the next.
type Growth struct {
	From, To time.Time
	Count    float64
	// Partial is set where some of it is not known.
	Partial bool
}

// sameStart is how far two readings' starts of one process may lie apart: they
// are rounded, and may be worked out from the host's clock each time.
const sameStart = 2 * time.Second

// Read takes what the instances show now; partial says that some did not answer.
// It returns false at the first reading, and where no instance's growth is known.
func (m *Meter) Read(now time.Time, readings []Reading, partial bool) (Growth, bool) {
	before, from := m.last, m.read
	m.last, m.read = make(map[string]Reading, len(readings)), now
	g := Growth{From: from, To: now, Partial: partial}
	known := false
	for _, r := range readings {
		m.last[r.Instance] = r
		if from.IsZero() {
			continue
		}
		old, ok := before[r.Instance]
		switch {
		case ok && r.Value >= old.Value && r.Started.Sub(old.Started).Abs() < sameStart:
			g.Count += r.Value - old.Value
		case ok:
			// Another process than before: all that it shows is new, and what the
			// former one counted at last is not known.
			g.Count += r.Value
			g.Partial = true
		case !r.Started.IsZero() && r.Started.After(from):
			g.Count += r.Value
		default:
			g.Partial = true
			continue
		}
		known = true
		delete(before, r.Instance)
	}
	g.Partial = g.Partial || len(before) > 0 // gone, with what they counted at last
	return g, known
}
