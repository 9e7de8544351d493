package shop

import (
	"maps"
	"time"

	"github.com/axiomhq/hyperloglog"
)

// Dimension is what events are counted by.
type Dimension string

// The dimensions. All events have the total, with the value "".
const (
	Total      Dimension = "total"
	ByCategory Dimension = "category"
	ByCountry  Dimension = "country"
	ByProduct  Dimension = "product"
)

// Group is a value of a dimension: the events that have it are counted
// together.
type Group struct {
	Dimension Dimension
	Value     string
}

// groups returns what an event is counted under.
func groups(e Event) []Group {
	out := []Group{{Total, ""}}
	for _, g := range []Group{{ByCategory, e.Data.Category}, {ByCountry, e.Data.Country}, {ByProduct, e.Data.ProductID}} {
		if g.Value != "" {
			out = append(out, g)
		}
	}
	return out
}

// Counts are sums over events. Sums of sums are sums: hours are made from
// minutes.
type Counts struct {
	Events    int64
	Views     int64
	Actions   int64
	Carts     int64
	Purchases int64
	// Late is how many of the events came after their minute was closed.
	Late int64
	// Revenue is the sum of purchases by currency, in its smallest unit.
	Revenue map[string]int64
}

func (c *Counts) add(e Event, late bool) {
	c.Events++
	if late {
		c.Late++
	}
	switch e.Type {
	case TypeView:
		c.Views++
	case TypeAction:
		c.Actions++
	case TypeCart:
		c.Carts++
	case TypePurchase:
		c.Purchases++
		if m := e.Data.Amount; m != nil && m.Minor > 0 {
			c.addRevenue(m.Currency, m.Minor)
		}
	}
}

func (c *Counts) addRevenue(currency string, minor int64) {
	if c.Revenue == nil {
		c.Revenue = map[string]int64{}
	}
	if c.Revenue[currency] += minor; c.Revenue[currency] == 0 {
		delete(c.Revenue, currency)
	}
}

// Plus returns the sum of c and times o; minus one gives the difference.
func (c Counts) Plus(o Counts, times int64) Counts {
	c.Events += times * o.Events
	c.Views += times * o.Views
	c.Actions += times * o.Actions
	c.Carts += times * o.Carts
	c.Purchases += times * o.Purchases
	c.Late += times * o.Late
	c.Revenue = maps.Clone(c.Revenue)
	for currency, minor := range o.Revenue {
		c.addRevenue(currency, times*minor)
	}
	return c
}

// IsZero reports whether nothing was counted.
func (c Counts) IsZero() bool {
	return c.Events == 0 && c.Views == 0 && c.Actions == 0 && c.Carts == 0 && c.Purchases == 0 && c.Late == 0 && len(c.Revenue) == 0
}

// Visitors estimates how many different visitors there were, by HyperLogLog
// with 2^14 registers: the standard error is 0.8 %, and small numbers are exact.
type Visitors struct{ sketch *hyperloglog.Sketch }

// NewVisitors returns an empty set of visitors.
func NewVisitors() *Visitors { return &Visitors{hyperloglog.New14()} }

// Add adds a visitor.
func (v *Visitors) Add(visitor string) { v.sketch.Insert([]byte(visitor)) }

// Merge adds all visitors of another set.
func (v *Visitors) Merge(o *Visitors) error { return v.sketch.Merge(o.sketch) }

// Estimate returns the number of visitors.
func (v *Visitors) Estimate() int64 { return int64(v.sketch.Estimate()) }

// MarshalBinary implements encoding.BinaryMarshaler.
func (v *Visitors) MarshalBinary() ([]byte, error) { return v.sketch.MarshalBinary() }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (v *Visitors) UnmarshalBinary(b []byte) error {
	v.sketch = hyperloglog.New14()
	return v.sketch.UnmarshalBinary(b)
}

// Stage is how far a session came.
type Stage struct{ Viewed, Carted, Purchased bool }

func (s Stage) with(kind string) Stage {
	switch kind {
	case TypeView:
		s.Viewed = true
	case TypeCart:
		s.Carted = true
	case TypePurchase:
		s.Purchased = true
	}
	return s
}

// Funnel counts sessions by how far they came within a window: those that
// viewed, those of them that also put something into the cart, and those of
// these that also purchased. Which came first does not matter, so that events
// may come in any order.
type Funnel struct{ Viewed, Carted, Purchased int64 }

// Count adds n sessions of a stage.
func (f *Funnel) Count(s Stage, n int64) {
	if !s.Viewed {
		return
	}
	f.Viewed += n
	if !s.Carted {
		return
	}
	f.Carted += n
	if s.Purchased {
		f.Purchased += n
	}
}

func (f Funnel) minus(o Funnel) Funnel {
	return Funnel{f.Viewed - o.Viewed, f.Carted - o.Carted, f.Purchased - o.Purchased}
}

// Slot is a group within a minute.
type Slot struct {
	Minute time.Time
	Group
}

// SessionSlot is a session within a minute.
type SessionSlot struct {
	Minute  time.Time
	Session string
}

// Tally is what a batch of events adds to what was counted before.
type Tally struct {
	Counts map[Slot]Counts
	// Visitors are kept for all groups but products, of which there are many.
	Visitors map[Slot]*Visitors
	Sessions map[SessionSlot]Stage
	Newest   time.Time // the time of the newest event
}

// NewTally counts events, which must all be different.
func NewTally(events []Event, watermark time.Time) Tally {
	t := Tally{Counts: map[Slot]Counts{}, Visitors: map[Slot]*Visitors{}, Sessions: map[SessionSlot]Stage{}}
	for _, e := range events {
		w := WindowOf(Minute, e.Time)
		late := !w.End().After(watermark)
		for _, g := range groups(e) {
			slot := Slot{w.Start, g}
			counts := t.Counts[slot]
			counts.add(e, late)
			t.Counts[slot] = counts
			if g.Dimension == ByProduct {
				continue
			}
			if t.Visitors[slot] == nil {
				t.Visitors[slot] = NewVisitors()
			}
			t.Visitors[slot].Add(e.Visitor())
		}
		session := SessionSlot{w.Start, e.Data.SessionID}
		t.Sessions[session] = t.Sessions[session].with(e.Type)
		if e.Time.After(t.Newest) {
			t.Newest = e.Time
		}
	}
	return t
}

// Windows returns every window that the tally changes.
func (t Tally) Windows() []Window {
	seen := map[Window]bool{}
	var out []Window
	for slot := range t.Counts {
		for _, size := range []Size{Minute, Hour} {
			if w := WindowOf(size, slot.Minute); !seen[w] {
				seen[w] = true
				out = append(out, w)
			}
		}
	}
	return out
}
