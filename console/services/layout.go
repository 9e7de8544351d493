package services

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Point is a place in a picture.
type Point struct{ X, Y float64 }

// Layout is where a graph's nodes and edges are drawn. Nodes stand in layers from
// left to right, each left of what it leads to; places are of their middles.
type Layout struct {
	Width, Height float64
	Nodes         map[string]Point
	// Edges are the points that an edge passes, from its source to its target.
	Edges map[[2]string][]Point
}

const (
	layerGap = 244.0
	rowGap   = 76.0
	margin   = 64.0
	sweeps   = 8
)

// vertex is a node, or a place where an edge passes a layer.
type vertex struct {
	name     string // empty: a passing edge
	order    float64
	ins, out []*vertex
}

// lay places a graph by layers: edges that close a circle are turned round, each
// node stands one layer behind the last that leads to it, edges over several
// layers keep a place free in each, and the order within a layer follows the mean
// place of the neighbours, to and fro, as long as that has fewer crossings.
//
// Source: Sugiyama, Tagawa, Toda, Methods for Visual Understanding of
// Hierarchical System Structures, IEEE Trans. SMC 11 (1981).
func lay(nodes []string, edges [][2]string) Layout {
	nodes = slices.Compact(slices.Sorted(slices.Values(nodes)))
	known := map[string]bool{}
	for _, n := range nodes {
		known[n] = true
	}
	forward := acyclic(nodes, slices.DeleteFunc(slices.Clone(edges), func(e [2]string) bool {
		return e[0] == e[1] || !known[e[0]] || !known[e[1]]
	}))
	layer := layers(nodes, forward)
	levels, chains := levelled(nodes, layer, forward)
	untangle(levels)

	out := Layout{Nodes: map[string]Point{}, Edges: map[[2]string][]Point{}}
	tallest := 0
	for _, l := range levels {
		tallest = max(tallest, len(l))
	}
	places := map[*vertex]Point{}
	for i, l := range levels {
		for j, v := range l {
			p := Point{margin + float64(i)*layerGap, margin/2 + (float64(tallest-len(l))/2+float64(j))*rowGap}
			places[v] = p
			if v.name != "" {
				out.Nodes[v.name] = p
			}
			out.Width, out.Height = max(out.Width, p.X+margin), max(out.Height, p.Y+margin/2)
		}
	}
	for e, chain := range chains {
		points := make([]Point, len(chain))
		for i, v := range chain {
			points[i] = places[v]
		}
		back := [2]string{e[1], e[0]}
		if slices.Contains(edges, e) {
			out.Edges[e] = points
		}
		if slices.Contains(edges, back) {
			points = slices.Clone(points)
			slices.Reverse(points)
			out.Edges[back] = points
		}
	}
	return out
}

// acyclic returns the edges, each once, with those turned round that lead back to
// where a walk came from.
func acyclic(nodes []string, edges [][2]string) [][2]string {
	next := map[string][]string{}
	into := map[string]int{}
	for _, e := range edges {
		next[e[0]] = append(next[e[0]], e[1])
		into[e[1]]++
	}
	// Walks begin at what nothing leads to.
	starts := slices.SortedStableFunc(slices.Values(nodes), func(a, b string) int { return cmp.Compare(into[a], into[b]) })
	state := map[string]int{} // 1: on the walk, 2: done
	forward := map[[2]string]bool{}
	var walk func(string)
	walk = func(n string) {
		state[n] = 1
		slices.Sort(next[n])
		for _, m := range next[n] {
			switch state[m] {
			case 0:
				forward[[2]string{n, m}] = true
				walk(m)
			case 1:
				forward[[2]string{m, n}] = true
			default:
				forward[[2]string{n, m}] = true
			}
		}
		state[n] = 2
	}
	for _, n := range starts {
		if state[n] == 0 {
			walk(n)
		}
	}
	return slices.SortedFunc(maps.Keys(forward), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
}

// layers is the longest way to each node.
func layers(nodes []string, edges [][2]string) map[string]int {
	layer := map[string]int{}
	for range nodes { // no way is longer
		moved := false
		for _, e := range edges {
			if layer[e[1]] <= layer[e[0]] {
				layer[e[1]] = layer[e[0]] + 1
				moved = true
			}
		}
		if !moved {
			break
		}
	}
	return layer
}

// levelled makes the layers' vertices, and each edge's chain of them.
func levelled(nodes []string, layer map[string]int, edges [][2]string) ([][]*vertex, map[[2]string][]*vertex) {
	deepest := 0
	for _, l := range layer {
		deepest = max(deepest, l)
	}
	levels := make([][]*vertex, deepest+1)
	byName := map[string]*vertex{}
	add := func(level int, name string) *vertex {
		v := &vertex{name: name, order: float64(len(levels[level]))}
		levels[level] = append(levels[level], v)
		return v
	}
	for _, n := range nodes {
		byName[n] = add(layer[n], n)
	}
	chains := map[[2]string][]*vertex{}
	for _, e := range edges {
		chain := []*vertex{byName[e[0]]}
		for l := layer[e[0]] + 1; l < layer[e[1]]; l++ {
			chain = append(chain, add(l, ""))
		}
		chain = append(chain, byName[e[1]])
		for i := 1; i < len(chain); i++ {
			chain[i-1].out, chain[i].ins = append(chain[i-1].out, chain[i]), append(chain[i].ins, chain[i-1])
		}
		chains[e] = chain
	}
	return levels, chains
}

// untangle orders the vertices of each layer, and keeps the order with the fewest
// crossings that it came by.
func untangle(levels [][]*vertex) {
	best, fewest := copied(levels), crossings(levels)
	for sweep := range sweeps {
		for i := range levels {
			level, from := levels[i], func(v *vertex) []*vertex { return v.ins }
			if sweep%2 == 1 {
				level, from = levels[len(levels)-1-i], func(v *vertex) []*vertex { return v.out }
			}
			means := map[*vertex]float64{}
			for _, v := range level {
				means[v] = mean(v, from(v))
			}
			slices.SortStableFunc(level, func(a, b *vertex) int { return cmp.Compare(means[a], means[b]) })
			for j, v := range level {
				v.order = float64(j)
			}
		}
		if n := crossings(levels); n < fewest {
			best, fewest = copied(levels), n
		}
	}
	copy(levels, best)
}

func copied(levels [][]*vertex) [][]*vertex {
	all := make([][]*vertex, len(levels))
	for i, l := range levels {
		all[i] = slices.Clone(l)
	}
	return all
}

func mean(v *vertex, neighbours []*vertex) float64 {
	if len(neighbours) == 0 {
		return v.order
	}
	sum := 0.0
	for _, n := range neighbours {
		sum += n.order
	}
	return sum / float64(len(neighbours))
}

// crossings counts the pairs of edges between neighbouring layers that cross.
func crossings(levels [][]*vertex) int {
	n := 0
	for _, level := range levels {
		type line struct{ from, to float64 }
		var lines []line
		for _, v := range level {
			for _, w := range v.out {
				lines = append(lines, line{v.order, w.order})
			}
		}
		for i, a := range lines {
			for _, b := range lines[i+1:] {
				if math.Signbit(a.from-b.from) != math.Signbit(a.to-b.to) && a.from != b.from && a.to != b.to {
					n++
				}
			}
		}
	}
	return n
}
