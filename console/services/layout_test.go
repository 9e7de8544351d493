package services

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

func TestLayers(t *testing.T) {
	for _, c := range []struct {
		name  string
		edges [][2]string
		want  map[string]int
	}{
		{"a line", [][2]string{{"a", "b"}, {"b", "c"}}, map[string]int{"a": 0, "b": 1, "c": 2}},
		{"the longest way counts", [][2]string{{"a", "c"}, {"a", "b"}, {"b", "c"}}, map[string]int{"a": 0, "b": 1, "c": 2}},
		{"a circle is cut where it closes", [][2]string{{"a", "b"}, {"b", "c"}, {"c", "a"}}, map[string]int{"a": 0, "b": 1, "c": 2}},
		{"both ways", [][2]string{{"a", "b"}, {"b", "a"}}, map[string]int{"a": 0, "b": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			names := []string{"a", "b", "c"}[:len(c.want)]
			got := layers(names, acyclic(names, c.edges))
			for n, want := range c.want {
				if got[n] != want {
					t.Errorf("%s is in layer %d, want %d", n, got[n], want)
				}
			}
		})
	}
}

// A hundred nodes of every kind of edge must be placed, each somewhere else.
func TestLayPlacesEverythingApart(t *testing.T) {
	var nodes []string
	var edges [][2]string
	for i := range 100 {
		nodes = append(nodes, string(rune('A'+i%26))+string(rune('a'+i/26)))
	}
	for i := range nodes {
		edges = append(edges, [2]string{nodes[i], nodes[(i*7+3)%100]}, [2]string{nodes[i], nodes[(i*3+1)%100]}, [2]string{nodes[i], nodes[i]})
	}
	edges = append(edges, [2]string{"unknown", nodes[0]})
	l := lay(nodes, edges)
	taken := map[Point]string{}
	for _, n := range nodes {
		p, ok := l.Nodes[n]
		if !ok {
			t.Fatalf("%s has no place", n)
		}
		if other, ok := taken[p]; ok {
			t.Errorf("%s and %s are both at %v", n, other, p)
		}
		taken[p] = n
		if p.X < 0 || p.Y < 0 || p.X > l.Width || p.Y > l.Height || math.IsNaN(p.Y) {
			t.Errorf("%s is outside of the picture: %v", n, p)
		}
	}
	for _, e := range edges {
		points, ok := l.Edges[e]
		if e[0] == e[1] || e[0] == "unknown" {
			if ok {
				t.Errorf("%v is drawn", e)
			}
			continue
		}
		if len(points) < 2 || points[0] != l.Nodes[e[0]] || points[len(points)-1] != l.Nodes[e[1]] {
			t.Errorf("%v goes by %v", e, points)
		}
	}
	if again := lay(nodes, edges); !reflect.DeepEqual(l, again) {
		t.Error("the same graph is laid out in two ways")
	}
}

func TestLayUntangles(t *testing.T) {
	// By name alone, a–d and b–c would cross.
	l := lay([]string{"a", "b", "c", "d"}, [][2]string{{"a", "d"}, {"b", "c"}})
	if (l.Nodes["a"].Y < l.Nodes["b"].Y) != (l.Nodes["d"].Y < l.Nodes["c"].Y) {
		t.Errorf("the edges cross: %v", l.Nodes)
	}
}

func TestLayKeepsLongEdgesOffNodes(t *testing.T) {
	l := lay([]string{"a", "b", "c"}, [][2]string{{"a", "b"}, {"b", "c"}, {"a", "c"}})
	points := l.Edges[[2]string{"a", "c"}]
	if len(points) != 3 || points[1] == l.Nodes["b"] || points[1].X != l.Nodes["b"].X {
		t.Errorf("a to c goes by %v, b is at %v", points, l.Nodes["b"])
	}
}

func TestDraw(t *testing.T) {
	p95 := 0.25
	m := Map{
		Nodes: []Node{{Name: "api", Kind: "service", Calls: 600, Rate: 0.2}, {Name: "feed", Kind: "service"}, {Name: "redis", Kind: "store"}},
		Edges: []Edge{
			{From: "api", To: "feed", Calls: 600, Rate: 0.2, Failed: 6, P95: &p95}, {From: "feed", To: "api", Calls: 1, Rate: 1.0 / 3600},
			{From: "feed", To: "redis", Calls: 1000, Rate: 0.01, Failed: 1},
		},
	}
	p := draw(m, "feed")
	if len(p.Nodes) != 3 || len(p.Lines) != 3 {
		t.Fatalf("drawn are %d nodes and %d edges", len(p.Nodes), len(p.Lines))
	}
	texts := []string{}
	for _, l := range p.Lines {
		texts = append(texts, l.Text+"|"+l.Failures)
		if l.Path == "" || l.Arrow == "" {
			t.Errorf("%s to %s has no line", l.From, l.To)
		}
	}
	want := []string{"0.2\u00a0/s · 250\u00a0ms|1\u00a0% failed", "1\u00a0/h|", "0.6\u00a0/min|0.1\u00a0% failed"}
	if !slices.Equal(texts, want) {
		t.Errorf("texts are %q, want %q", texts, want)
	}
	if !p.Lines[0].Bad || p.Lines[2].Bad {
		t.Error("an edge is bad from one failed call in a hundred")
	}
	if !p.Nodes[1].Here || p.Nodes[0].Here {
		t.Error("the page's own node is not marked alone")
	}
	if draw(Map{}, "").Lines != nil {
		t.Error("an empty map has edges")
	}
}

func TestGrowth(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	got := growth([]int64{0, 60, 120, 180, 240}, []*float64{v(10), v(16), nil, v(40), v(2)})
	if got[0] != nil || got[2] != nil || got[4] != nil {
		t.Errorf("growth is known before the first value, in a gap or after a restart: %v", got)
	}
	if got[1] == nil || *got[1] != 0.1 || got[3] == nil || *got[3] != 0.2 {
		t.Errorf("growth is %v, want 0.1 and 0.2 a second", got)
	}
}

func TestAround(t *testing.T) {
	m := Map{
		Nodes: []Node{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
		Edges: []Edge{{From: "a", To: "b"}, {From: "b", To: "c"}, {From: "c", To: "d"}},
	}
	part := m.around("b")
	if len(part.Nodes) != 3 || len(part.Edges) != 2 {
		t.Errorf("around b are %v and %v", part.Nodes, part.Edges)
	}
}

func TestJoinNamesWhatIsOnlyCalled(t *testing.T) {
	fast, slow := 0.001, 0.5
	var m Map
	m.join([]Node{{Name: "api", Kind: "service", Calls: 7}}, []Edge{
		{From: "api", To: "redis", Calls: 3, Failed: 1, P95: &fast}, {From: "feed", To: "redis", Calls: 5, P95: &slow}, {From: "nginx", To: "api", Calls: 9},
	}, []exit{{service: "api", resource: "redis", target: "redis", kind: "store"}})
	byName := map[string]Node{}
	for _, n := range m.Nodes {
		byName[n.Name] = n
	}
	if n := byName["redis"]; n.Kind != "store" || n.Calls != 8 || n.Failed != 1 || *n.P95 != slow {
		t.Errorf("redis is %+v", n)
	}
	if byName["api"].Calls != 7 {
		t.Error("a service's own figures were changed by those of its callers")
	}
	if byName["nginx"].Kind != "proxy" {
		t.Errorf("nginx is %+v", byName["nginx"])
	}
}
