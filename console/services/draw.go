package services

import (
	"fmt"
	"math"
	"strings"

	"pharos/console/page"
)

const (
	nodeWidth  = 112.0
	nodeHeight = 44.0
	badShare   = 0.01 // of failed calls, from which an edge is drawn as bad
)

// Picture is the map as it is drawn.
type Picture struct {
	Width, Height int
	Nodes         []Box
	Lines         []Line
}

// Box is a node: X and Y are of its upper left corner.
type Box struct {
	Node
	X, Y, W, H float64
	Text       string
	Here       bool // the page is about it
}

// Line is an edge: its path, and where its numbers stand.
type Line struct {
	Edge
	Path, Arrow string
	X, Y        float64
	Text        string
	Failures    string // a second line; empty: none
	Bad         bool
}

// FailuresY is the second line's base line.
func (l Line) FailuresY() float64 { return l.Y + 13 }

// draw lays the map out.
func draw(m Map, here string) Picture {
	names := make([]string, 0, len(m.Nodes))
	for _, n := range m.Nodes {
		names = append(names, n.Name)
	}
	edges := make([][2]string, 0, len(m.Edges))
	for _, e := range m.Edges {
		edges = append(edges, [2]string{e.From, e.To})
	}
	l := lay(names, edges)
	p := Picture{Width: int(l.Width), Height: int(l.Height)}
	for _, n := range m.Nodes {
		at := l.Nodes[n.Name]
		text := n.Kind
		if n.Calls > 0 {
			text = rate(n.Rate)
		}
		p.Nodes = append(p.Nodes, Box{Node: n, X: at.X - nodeWidth/2, Y: at.Y - nodeHeight/2, W: nodeWidth, H: nodeHeight, Text: text, Here: n.Name == here})
	}
	type label struct {
		Point
		high float64
	}
	var taken []label
	for _, e := range m.Edges {
		points := l.Edges[[2]string{e.From, e.To}]
		if len(points) < 2 {
			continue
		}
		line := Line{Edge: e, Text: rate(e.Rate), Bad: e.ErrorShare() >= badShare}
		if e.P95 != nil {
			line.Text += " · " + page.Seconds(*e.P95)
		}
		high := 13.0
		if e.Failed > 0 {
			line.Failures, high = page.Percent(e.ErrorShare())+" failed", 26
		}
		line.Path, line.Arrow = curve(points)
		at := Point{(points[0].X + points[1].X) / 2, (points[0].Y+points[1].Y)/2 - high + 9}
		for clear := false; !clear; { // no label upon another
			clear = true
			for _, t := range taken {
				if math.Abs(t.X-at.X) < layerGap/2 && at.Y < t.Y+t.high && t.Y < at.Y+high {
					at.Y, clear = t.Y+t.high, false
				}
			}
		}
		taken = append(taken, label{at, high})
		line.X, line.Y = at.X, at.Y
		p.Lines = append(p.Lines, line)
		p.Height = max(p.Height, int(at.Y+high))
	}
	return p
}

// curve is a smooth way through the points, from the edge of the first node to
// that of the last, and the arrow's head there.
func curve(points []Point) (path, arrow string) {
	first, last := points[0], points[len(points)-1]
	side := nodeWidth / 2
	if last.X < first.X {
		side = -side
	}
	first.X, last.X = first.X+side, last.X-side
	tip := last
	last.X -= math.Copysign(6, side)
	var b strings.Builder
	fmt.Fprintf(&b, "M%.1f %.1f", first.X, first.Y)
	from := first
	for i, p := range points[1:] {
		if i == len(points)-2 {
			p = last
		}
		half := (from.X + p.X) / 2
		fmt.Fprintf(&b, "C%.1f %.1f %.1f %.1f %.1f %.1f", half, from.Y, half, p.Y, p.X, p.Y)
		from = p
	}
	back := tip.X - math.Copysign(8, side)
	return b.String(), fmt.Sprintf("M%.1f %.1fL%.1f %.1fL%.1f %.1fZ", tip.X, tip.Y, back, tip.Y-4, back, tip.Y+4)
}

// rate is calls a second, or a minute or an hour where there are few.
func rate(perSecond float64) string {
	switch {
	case perSecond >= 0.1:
		return page.Rate(perSecond)
	case perSecond*60 >= 0.1:
		return page.Count(perSecond*60) + "\u00a0/min"
	}
	return page.Count(perSecond*3600) + "\u00a0/h"
}
