package services

import (
	"pharos/console/kql"
	"pharos/console/page"
)

// What the templates ask.

func words(v *float64) string {
	if v == nil {
		return page.NoData
	}
	return page.Seconds(*v)
}

// P95Words is the 95th percentile in words.
func (n Node) P95Words() string { return words(n.P95) }

// P95Words is the 95th percentile in words.
func (e Edge) P95Words() string { return words(e.P95) }

// P95Words is the 95th percentile in words.
func (i Instance) P95Words() string { return words(i.P95) }

// P95Words is the 95th percentile in words.
func (v Version) P95Words() string { return words(v.P95) }

// P50Words is the median in words.
func (k Kind) P50Words() string { return words(k.P50) }

// P95Words is the 95th percentile in words.
func (k Kind) P95Words() string { return words(k.P95) }

// Percentiles are those of all requests, in words.
func (t Traffic) Percentiles() []struct{ Name, Words string } {
	return []struct{ Name, Words string }{{"p50", words(t.P50)}, {"p95", words(t.P95)}, {"p99", words(t.P99)}}
}

// LogQuery finds the log lines of what the page is about.
func (v *One) LogQuery() string {
	q := kql.Is("service.name", v.Name)
	if v.Instance != "" {
		q += " and " + kql.Is("service.node.name", v.Instance)
	}
	return q
}

// Query finds a version's transactions.
func (v Version) Query() string { return kql.Is("service.version", v.Name) }

// Where a box's parts are.

// BarX is the left edge of the box's colour.
func (b Box) BarX() float64 { return b.X + 8 }

// BarY is its upper edge.
func (b Box) BarY() float64 { return b.Y + 8 }

// TextX is the left edge of the texts.
func (b Box) TextX() float64 { return b.X + 20 }

// NameY is the name's base line.
func (b Box) NameY() float64 { return b.Y + 19 }

// NumberY is the figures' base line.
func (b Box) NumberY() float64 { return b.Y + 34 }
