package traces

import (
	"slices"
	"strings"
	"testing"
)

// ev is an event of service s: its id and parent, when it began and ended.
func ev(id, parent string, from, to int64) Event {
	return Event{ID: id, Parent: parent, Kind: span, Service: "s", Start: from, Duration: to - from}
}

// shape writes a tree as in "a(b,c!(d))", with ! at orphans.
func shape(nodes []*Node) string {
	var parts []string
	for _, n := range nodes {
		text := n.ID
		if n.Orphan {
			text += "!"
		}
		if len(n.Children) > 0 {
			text += "(" + shape(n.Children) + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ",")
}

func TestBuild(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []Event
		want   string
	}{
		{"nothing", nil, ""},
		{"children by time, whatever their order", []Event{ev("c", "a", 5, 6), ev("b", "a", 2, 3), ev("a", "", 0, 9)}, "a(b,c)"},
		{"the outer one of two that begin at once", []Event{ev("b", "", 0, 3), ev("a", "", 0, 9)}, "a,b"},
		{"a missing parent", []Event{ev("a", "", 0, 9), ev("c", "gone", 2, 4), ev("d", "c", 3, 4)}, "a,c!(d)"},
		{"twice the same", []Event{ev("a", "", 0, 9), ev("b", "a", 1, 2), ev("b", "a", 1, 2)}, "a(b)"},
		{"a circle", []Event{ev("a", "", 0, 9), ev("x", "y", 1, 2), ev("y", "x", 2, 3)}, "a,x!(y)"},
		{"its own parent", []Event{ev("x", "x", 1, 2)}, "x!"},
		{"a circle with more below", []Event{ev("z", "y", 3, 4), ev("x", "y", 1, 2), ev("y", "x", 2, 3)}, "x!(y(z))"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := shape(build(c.events)); got != c.want {
				t.Errorf("the tree is %s, want %s", got, c.want)
			}
		})
	}
}

func TestBuildCountsDepthAndBelow(t *testing.T) {
	roots := build([]Event{ev("a", "", 0, 9), ev("b", "a", 1, 8), ev("c", "b", 2, 3), ev("d", "b", 3, 4)})
	if a := roots[0]; a.Below != 3 || a.Children[0].Below != 2 || a.Children[0].Children[1].Depth != 2 {
		t.Errorf("below a are %d, below b %d, d is at depth %d", a.Below, a.Children[0].Below, a.Children[0].Children[1].Depth)
	}
}

func TestSelfTime(t *testing.T) {
	root := ev("a", "", 100, 200)
	for _, c := range []struct {
		name     string
		children []Event
		want     int64
	}{
		{"no children", nil, 100},
		{"one after the other", []Event{ev("b", "a", 110, 120), ev("c", "a", 150, 170)}, 70},
		{"side by side count once", []Event{ev("b", "a", 110, 150), ev("c", "a", 120, 160), ev("d", "a", 130, 140)}, 50},
		{"one within the other", []Event{ev("b", "a", 110, 190), ev("c", "a", 120, 130)}, 20},
		{"past the end", []Event{ev("b", "a", 150, 400)}, 50},
		{"before the beginning", []Event{ev("b", "a", 50, 120)}, 80},
		{"wholly outside", []Event{ev("b", "a", 300, 400), ev("c", "a", 10, 20)}, 100},
		{"all of it", []Event{ev("b", "a", 100, 200)}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			roots := build(append([]Event{root}, c.children...))
			a := roots[slices.IndexFunc(roots, func(n *Node) bool { return n.ID == "a" })]
			if a.Self != c.want {
				t.Errorf("self time is %d, want %d", a.Self, c.want)
			}
		})
	}
}

func TestCriticalPath(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []Event
		want   string
	}{
		{"alone", []Event{ev("a", "", 0, 10)}, "a0-10"},
		{"one after the other", []Event{ev("a", "", 0, 10), ev("b", "a", 1, 3), ev("c", "a", 5, 9)}, "a0-1 b1-3 a3-5 c5-9 a9-10"},
		{"of two side by side the one that ends last", []Event{ev("a", "", 0, 10), ev("b", "a", 1, 6), ev("c", "a", 2, 9)}, "a0-2 c2-9 a9-10"},
		{"before the last the one that had ended when it began", []Event{ev("a", "", 0, 10), ev("b", "a", 0, 4), ev("c", "a", 1, 6), ev("d", "a", 5, 10)}, "b0-4 a4-5 d5-10"},
		{"deep", []Event{ev("a", "", 0, 10), ev("b", "a", 2, 8), ev("c", "b", 3, 7)}, "a0-2 b2-3 c3-7 b7-8 a8-10"},
		{"goes on after the answer", []Event{ev("a", "", 0, 10), ev("b", "a", 8, 30), ev("c", "b", 9, 40)}, "a0-8 b8-9 c9-10"},
		{"begins after the answer", []Event{ev("a", "", 0, 10), ev("b", "a", 12, 30)}, "a0-10"},
		{"a child's clock is early", []Event{ev("a", "", 5, 10), ev("b", "a", 3, 8)}, "b5-8 a8-10"},
		{"takes no time", []Event{ev("a", "", 0, 10), ev("b", "a", 4, 4)}, "a0-10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			roots := build(c.events)
			a := roots[slices.IndexFunc(roots, func(n *Node) bool { return n.ID == "a" })]
			var parts []string
			sum, marked := int64(0), int64(0)
			for _, s := range criticalPath(a) {
				parts = append(parts, s.Node.ID+itoa(s.From)+"-"+itoa(s.To))
				sum += s.To - s.From
			}
			each(roots, func(n *Node) { marked += n.Critical })
			if got := strings.Join(parts, " "); got != c.want {
				t.Errorf("the path is %s, want %s", got, c.want)
			}
			if sum != a.Duration || marked != a.Duration {
				t.Errorf("the path takes %d and marks %d of %d", sum, marked, a.Duration)
			}
		})
	}
}

func TestFlatten(t *testing.T) {
	failed := ev("d", "c", 3, 4)
	failed.Outcome = "failure"
	roots := build([]Event{ev("a", "", 0, 9), ev("b", "a", 1, 2), ev("c", "a", 2, 5), failed})
	all := func(*Node) bool { return true }
	marked := troubled(roots)
	for _, c := range []struct {
		name string
		fold map[string]bool
		keep func(*Node) bool
		want string
	}{
		{"all", nil, all, "abcd"},
		{"folded", map[string]bool{"c": true}, all, "abc"},
		{"root folded", map[string]bool{"a": true}, all, "a"},
		{"errors only", nil, func(n *Node) bool { return marked[n] }, "acd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			for _, n := range flatten(roots, c.fold, c.keep) {
				got += n.ID
			}
			if got != c.want {
				t.Errorf("rows are %s, want %s", got, c.want)
			}
		})
	}
}
