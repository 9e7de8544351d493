package traces

import (
	"cmp"
	"slices"
)

// Node is an event in its place in the trace's tree.
type Node struct {
	Event
	Children []*Node `json:"-"`
	Depth    int     `json:"depth"`
	// Self is how long the event ran while none of its children did, in µs.
	Self int64 `json:"self_us"`
	// Critical is how much of the event is on the critical path, in µs.
	Critical int64 `json:"critical_us"`
	// Orphan says that the event names a parent that is not there.
	Orphan bool `json:"orphan,omitempty"`
	// Below is how many events are below it.
	Below int `json:"below"`
}

// build makes the tree of a trace's events: its roots in the order of time, and
// each node's children in the order of time. An event that came twice is there
// once. An event whose parent is missing, or whose ancestors run in a circle, is
// a root that is marked as an orphan.
func build(events []Event) []*Node {
	nodes := make([]*Node, 0, len(events))
	byID := make(map[string]*Node, len(events))
	for _, e := range events {
		if byID[e.ID] != nil {
			continue
		}
		n := &Node{Event: e}
		byID[e.ID] = n
		nodes = append(nodes, n)
	}
	slices.SortStableFunc(nodes, earlier)
	var roots []*Node
	for _, n := range nodes {
		switch parent := byID[n.Parent]; {
		case n.Parent == "":
			roots = append(roots, n)
		case parent == nil:
			n.Orphan = true
			roots = append(roots, n)
		default:
			parent.Children = append(parent.Children, n)
		}
	}
	placed := make(map[*Node]bool, len(nodes))
	for _, r := range roots {
		place(r, 0, placed)
	}
	for _, n := range nodes { // what is left runs in circles
		if placed[n] {
			continue
		}
		parent := byID[n.Parent]
		parent.Children = slices.DeleteFunc(parent.Children, func(c *Node) bool { return c == n })
		n.Orphan = true
		roots = append(roots, n)
		place(n, 0, placed)
	}
	slices.SortStableFunc(roots, earlier)
	return roots
}

func earlier(a, b *Node) int {
	// Of two that begin in the same microsecond the longer one is the outer one.
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.Duration, a.Duration))
}

func place(n *Node, depth int, placed map[*Node]bool) {
	placed[n] = true
	n.Depth, n.Self = depth, selfTime(n)
	for _, c := range n.Children {
		place(c, depth+1, placed)
		n.Below += c.Below + 1
	}
}

// selfTime is how long a node ran while none of its children did, in µs. Children
// that run at the same time count once, and only within the node's own time.
func selfTime(n *Node) int64 {
	self, covered := n.Duration, n.Start
	for _, c := range n.Children { // in the order of their start
		from, to := max(c.Start, covered), min(c.End(), n.End())
		if to > from {
			self -= to - from
			covered = to
		}
	}
	return self
}

// Segment is a time, in µs since 1970, for which an event alone decided when the
// trace would end.
type Segment struct {
	Node     *Node `json:"-"`
	From, To int64
}

// criticalPath finds what decided how long a root took, and marks it: going back
// from its end, each time by the child that finished last; when that child began
// the one that had finished last before it, and so on. Where none was running the
// node itself is the cause. The segments are in the order of time, and together
// as long as the root. Children count only within their parent's time, so what
// goes on after an answer is not on its path.
//
// Source: the last-finishing-child algorithm as in Jaeger's trace view,
// https://www.jaegertracing.io/docs/latest/frontend-ui/#critical-path.
func criticalPath(root *Node) []Segment {
	path := walkBack(root, root.Start, root.End(), nil)
	slices.Reverse(path)
	for _, s := range path {
		s.Node.Critical += s.To - s.From
	}
	return path
}

// walkBack adds the segments of a node between two times, from its end.
func walkBack(n *Node, from, to int64, path []Segment) []Segment {
	children := slices.Clone(n.Children)
	slices.SortStableFunc(children, func(a, b *Node) int { return cmp.Compare(b.End(), a.End()) })
	end := to
	for _, c := range children {
		began, finished := max(c.Start, from), min(c.End(), to)
		// One that still runs when the next on the path begins did not hold it up.
		if finished <= began || finished > end {
			continue
		}
		if finished < end {
			path = append(path, Segment{n, finished, end})
		}
		path = walkBack(c, began, finished, path)
		end = began
	}
	if end > from {
		path = append(path, Segment{n, from, end})
	}
	return path
}

// flatten lists the nodes as rows, parents before their children. What fold names
// is listed without what is below it.
func flatten(roots []*Node, fold map[string]bool, keep func(*Node) bool) []*Node {
	var rows []*Node
	var add func(*Node)
	add = func(n *Node) {
		if !keep(n) {
			return
		}
		rows = append(rows, n)
		if fold[n.ID] {
			return
		}
		for _, c := range n.Children {
			add(c)
		}
	}
	for _, r := range roots {
		add(r)
	}
	return rows
}

// troubled are the nodes that failed or captured an error, and those above them.
func troubled(roots []*Node) map[*Node]bool {
	marked := map[*Node]bool{}
	var look func(*Node) bool
	look = func(n *Node) bool {
		bad := n.Failed() || len(n.Errors) > 0
		for _, c := range n.Children {
			bad = look(c) || bad
		}
		if bad {
			marked[n] = true
		}
		return bad
	}
	for _, r := range roots {
		look(r)
	}
	return marked
}
