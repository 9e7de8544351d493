package services

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"pharos/console/page"
	"pharos/elastic"
)

type object = map[string]any

const (
	eventStream = "traces-apm*"
	errorStream = "logs-apm.error*"

	maxServices  = 40
	maxResources = 40 // that one service calls
	sampled      = 8  // calls of one service to one resource, to learn who answers
	clients      = "clients"
	bus          = "bus"
	nginx        = "nginx"
)

// Map is who calls whom.
type Map struct {
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
	// NoTraffic says that the reader may not read nginx's log, so nginx is not here.
	NoTraffic bool `json:"no_traffic,omitempty"`
}

// Node is something that is called or calls. Its figures are of the transactions
// that it answered; a store's are those of its callers.
type Node struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"` // clients, proxy, service, store, bus or external
	Calls     int64    `json:"calls"`
	Rate      float64  `json:"per_second"`
	Failed    int64    `json:"failed"`
	P95       *float64 `json:"p95_seconds"`
	Instances []string `json:"instances,omitempty"`
	Versions  []string `json:"versions,omitempty"`
}

// ErrorShare is the share of the calls that failed.
func (n Node) ErrorShare() float64 { return float64(n.Failed) / float64(max(n.Calls, 1)) }

// Edge is calls of one node to another, as the caller saw them; of the bus, as
// the consumer did.
type Edge struct {
	From   string   `json:"from"`
	To     string   `json:"to"`
	Calls  int64    `json:"calls"`
	Rate   float64  `json:"per_second"`
	Failed int64    `json:"failed"`
	P95    *float64 `json:"p95_seconds"`
}

// ErrorShare is the share of the calls that failed.
func (e Edge) ErrorShare() float64 { return float64(e.Failed) / float64(max(e.Calls, 1)) }

type queries struct {
	es   *elastic.Client
	span page.Span
	logs bool // whether the reader may read them
	// requests is the stream of nginx's log.
	requests string
}

// serviceMap makes the map of the page's span. Callers' spans say what was
// called; who answers at an address is learned from the transactions that a
// sample of those spans are the parents of. That a Redis stream was written to,
// and not the cache, shows in the command's name.
func (q queries) serviceMap(ctx context.Context) (Map, error) {
	nodes, inbound, err := q.answered(ctx)
	if err != nil {
		return Map{}, err
	}
	exits, err := q.exits(ctx)
	if err != nil {
		return Map{}, err
	}
	edges, err := q.measure(ctx, exits)
	if err != nil {
		return Map{}, err
	}
	edges = append(edges, inbound...)
	m := Map{NoTraffic: !q.logs}
	if q.logs {
		front, err := q.front(ctx)
		if err != nil {
			return Map{}, err
		}
		edges = append(edges, front...)
	}
	m.join(nodes, edges, exits)
	return m, nil
}

// join makes the nodes that only edges name, and sorts all.
func (m *Map) join(nodes []Node, edges []Edge, exits []exit) {
	kinds := map[string]string{clients: "clients", nginx: "proxy", bus: "bus"}
	for _, e := range exits {
		if kinds[e.target] == "" {
			kinds[e.target] = e.kind
		}
	}
	at := map[string]int{}
	for _, n := range nodes {
		at[n.Name] = len(m.Nodes)
		m.Nodes = append(m.Nodes, n)
	}
	for _, e := range edges {
		for _, name := range []string{e.From, e.To} {
			if _, ok := at[name]; !ok {
				at[name] = len(m.Nodes)
				m.Nodes = append(m.Nodes, Node{Name: name, Kind: kinds[name]})
			}
		}
		to := &m.Nodes[at[e.To]]
		if to.Kind == "service" {
			continue
		}
		to.Calls, to.Failed, to.Rate = to.Calls+e.Calls, to.Failed+e.Failed, to.Rate+e.Rate
		if e.P95 != nil && (to.P95 == nil || *to.P95 < *e.P95) {
			to.P95 = e.P95 // of the slowest caller; a percentile of all is not in the parts
		}
	}
	m.Edges = edges
	slices.SortFunc(m.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(m.Edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
}

type percentiles struct {
	Values map[string]*float64 `json:"values"`
}

// at reads a percentile in seconds, of a field with so many units a second; nil
// where there was none.
func (p percentiles) at(key string, units float64) *float64 {
	if v := p.Values[key]; v != nil {
		return page.Value(*v / units)
	}
	return nil
}

type counted struct {
	Count int64 `json:"doc_count"`
}

type named struct {
	Buckets []struct {
		Key   string `json:"key"`
		Count int64  `json:"doc_count"`
	} `json:"buckets"`
}

func (n named) keys() []string {
	var all []string
	for _, b := range n.Buckets {
		all = append(all, b.Key)
	}
	slices.Sort(all)
	return all
}

func failing() object {
	return object{"bool": object{"minimum_should_match": 1, "should": []object{
		{"term": object{"event.outcome": "failure"}},
		{"range": object{"http.response.status_code": object{"gte": 500, "lte": 599}}},
	}}}
}

func within(s page.Span) object {
	return object{"range": object{"@timestamp": object{"gte": s.From.UnixMilli(), "lt": s.To.UnixMilli(), "format": "epoch_millis"}}}
}

func term(field string, value any) object { return object{"term": object{field: value}} }

func all(filters ...object) object { return object{"bool": object{"filter": filters}} }

func p95(field string) object {
	return object{"percentiles": object{"field": field, "percents": []float64{95}}}
}

type measured struct {
	Count  int64       `json:"doc_count"`
	Failed counted     `json:"failed"`
	Took   percentiles `json:"took"`
}

// answered reads what each service answered, and the edges from the bus to those
// that take from it.
func (q queries) answered(ctx context.Context) ([]Node, []Edge, error) {
	took := object{"failed": object{"filter": failing()}, "took": p95("transaction.duration.us")}
	res, err := q.es.Search(ctx, eventStream, object{
		"size": 0, "query": all(term("processor.event", "transaction"), within(q.span)),
		"aggs": object{"services": object{"terms": object{"field": "service.name", "size": maxServices}, "aggs": object{
			"failed": took["failed"], "took": took["took"],
			"nodes":    object{"terms": object{"field": "service.node.name", "size": 50}},
			"versions": object{"terms": object{"field": "service.version", "size": 10}},
			"messages": object{"filter": all(term("transaction.type", "messaging"), object{"exists": object{"field": "parent.id"}}), "aggs": took},
		}}},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read services: %w", err)
	}
	var services struct {
		Buckets []struct {
			Key string `json:"key"`
			measured
			Nodes    named    `json:"nodes"`
			Versions named    `json:"versions"`
			Messages measured `json:"messages"`
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"services": &services}); err != nil {
		return nil, nil, fmt.Errorf("read services: %w", err)
	}
	var nodes []Node
	var edges []Edge
	for _, b := range services.Buckets {
		nodes = append(nodes, Node{
			Name: b.Key, Kind: "service", Calls: b.Count, Rate: q.rate(b.Count), Failed: b.Failed.Count, P95: b.Took.at("95.0", 1e6),
			Instances: b.Nodes.keys(), Versions: b.Versions.keys(),
		})
		if b.Messages.Count > 0 {
			edges = append(edges, q.edge(bus, b.Key, b.Messages, 1e6))
		}
	}
	return nodes, edges, nil
}

func (q queries) rate(n int64) float64 { return float64(n) / q.span.Length().Seconds() }

func (q queries) edge(from, to string, m measured, units float64) Edge {
	return Edge{from, to, m.Count, q.rate(m.Count), m.Failed.Count, m.Took.at("95.0", units)}
}

// exit is calls of a service to a resource.
type exit struct {
	service, resource string
	target            string // who answers there: a service, or the resource itself
	kind              string // of the target
	stream            bool   // only what was written to the bus
}

// onBus is the spans that write to the bus: Redis' XADD, or messaging.
func onBus() object {
	return object{"bool": object{"minimum_should_match": 1, "should": []object{
		term("span.type", "messaging"),
		{"wildcard": object{"span.name": object{"value": "*XADD*"}}},
	}}}
}

func (q queries) exits(ctx context.Context) ([]exit, error) {
	res, err := q.es.Search(ctx, eventStream, object{
		"size": 0, "query": all(term("processor.event", "span"), object{"exists": object{"field": "span.destination.service.resource"}}, within(q.span)),
		"aggs": object{"services": object{"terms": object{"field": "service.name", "size": maxServices}, "aggs": object{
			"resources": object{"terms": object{"field": "span.destination.service.resource", "size": maxResources}, "aggs": object{
				"type":   object{"terms": object{"field": "span.type", "size": 1}},
				"bus":    object{"filter": onBus()},
				"sample": object{"top_hits": object{"size": sampled, "_source": []string{"span.id"}, "sort": []object{{"@timestamp": "asc"}}}},
			}},
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("read calls: %w", err)
	}
	var services struct {
		Buckets []struct {
			Key       string `json:"key"`
			Resources struct {
				Buckets []struct {
					Key    string  `json:"key"`
					Count  int64   `json:"doc_count"`
					Type   named   `json:"type"`
					Bus    counted `json:"bus"`
					Sample struct {
						Hits struct {
							Hits []struct {
								Source struct {
									Span struct {
										ID string `json:"id"`
									} `json:"span"`
								} `json:"_source"`
							} `json:"hits"`
						} `json:"hits"`
					} `json:"sample"`
				} `json:"buckets"`
			} `json:"resources"`
		} `json:"buckets"`
	}
	if err := decode(res, map[string]any{"services": &services}); err != nil {
		return nil, fmt.Errorf("read calls: %w", err)
	}
	var exits []exit
	askers := map[string][]int{} // span id → exits
	for _, s := range services.Buckets {
		for _, r := range s.Resources.Buckets {
			kind := "external"
			if slices.Equal(r.Type.keys(), []string{"db"}) {
				kind = "store"
			}
			if r.Bus.Count > 0 {
				exits = append(exits, exit{s.Key, r.Key, bus, "bus", true})
			}
			if r.Bus.Count == r.Count {
				continue
			}
			exits = append(exits, exit{s.Key, r.Key, r.Key, kind, false})
			if kind == "store" {
				continue
			}
			for _, h := range r.Sample.Hits.Hits {
				askers[h.Source.Span.ID] = append(askers[h.Source.Span.ID], len(exits)-1)
			}
		}
	}
	return exits, q.resolve(ctx, exits, askers)
}

// resolve finds the services that answer at addresses.
func (q queries) resolve(ctx context.Context, exits []exit, askers map[string][]int) error {
	if len(askers) == 0 {
		return nil
	}
	ids := make([]string, 0, len(askers))
	for id := range askers {
		ids = append(ids, id)
	}
	res, err := q.es.Search(ctx, eventStream, object{
		"size": min(len(ids), 10_000), "_source": []string{"parent.id", "service.name"},
		"query": all(term("processor.event", "transaction"), object{"terms": object{"parent.id": ids}}),
		"sort":  []object{{"@timestamp": "desc"}},
	})
	if err != nil {
		return fmt.Errorf("find who answers: %w", err)
	}
	for _, h := range res.Hits {
		var d struct {
			Parent  struct{ ID string }
			Service struct{ Name string }
		}
		if err := json.Unmarshal(h.Source, &d); err != nil {
			return fmt.Errorf("find who answers: %w", err)
		}
		for _, i := range askers[d.Parent.ID] {
			exits[i].target, exits[i].kind = d.Service.Name, "service"
		}
	}
	return nil
}

// measure counts the calls of each pair of a service and what it calls.
func (q queries) measure(ctx context.Context, exits []exit) ([]Edge, error) {
	type pair struct{ from, to string }
	wanted := map[pair][]object{}
	var pairs []pair
	for _, e := range exits {
		p := pair{e.service, e.target}
		if wanted[p] == nil {
			pairs = append(pairs, p)
		}
		which := object{"filter": []object{term("service.name", e.service), term("span.destination.service.resource", e.resource)}, "must_not": []object{onBus()}}
		if e.stream {
			which = object{"filter": []object{term("service.name", e.service), term("span.destination.service.resource", e.resource), onBus()}}
		}
		wanted[p] = append(wanted[p], object{"bool": which})
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	filters := object{}
	for i, p := range pairs {
		filters[fmt.Sprint(i)] = object{"bool": object{"should": wanted[p], "minimum_should_match": 1}}
	}
	res, err := q.es.Search(ctx, eventStream, object{
		"size": 0, "query": all(term("processor.event", "span"), object{"exists": object{"field": "span.destination.service.resource"}}, within(q.span)),
		"aggs": object{"pairs": object{"filters": object{"filters": filters}, "aggs": object{
			"failed": object{"filter": failing()}, "took": p95("span.duration.us"),
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("measure calls: %w", err)
	}
	var answer struct {
		Buckets map[string]measured `json:"buckets"`
	}
	if err := decode(res, map[string]any{"pairs": &answer}); err != nil {
		return nil, fmt.Errorf("measure calls: %w", err)
	}
	var edges []Edge
	for i, p := range pairs {
		edges = append(edges, q.edge(p.from, p.to, answer.Buckets[fmt.Sprint(i)], 1e6))
	}
	return edges, nil
}

// front reads nginx's edges from its log: from its clients, and to the service
// that its requests went on to.
func (q queries) front(ctx context.Context) ([]Edge, error) {
	took := object{"failed": object{"filter": object{"range": object{"http.response.status_code": object{"gte": 500, "lte": 599}}}}, "took": p95("event.duration")}
	res, err := q.es.Search(ctx, q.requests, object{
		"size": 0, "query": elastic.Traffic(q.span.Window(), elastic.TrafficFilter{Stream: q.requests}),
		"aggs": object{
			"failed": took["failed"], "took": took["took"],
			"passed": object{"filter": object{"exists": object{"field": "nginx.upstream.address"}}, "aggs": object{
				"failed": took["failed"], "took": took["took"],
				"sample": object{"top_hits": object{"size": 50, "_source": []string{"trace.id"}, "sort": []object{{"@timestamp": "asc"}}}},
			}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("read nginx's log: %w", err)
	}
	if res.Total == 0 {
		return nil, nil
	}
	everything := measured{Count: res.Total}
	var passed struct {
		measured
		Sample struct {
			Hits struct {
				Hits []struct {
					Source struct{ Trace struct{ ID string } } `json:"_source"`
				}
			}
		}
	}
	if err := decode(res, map[string]any{"failed": &everything.Failed, "took": &everything.Took, "passed": &passed}); err != nil {
		return nil, fmt.Errorf("read nginx's log: %w", err)
	}
	edges := []Edge{q.edge(clients, nginx, everything, 1e9)}
	var traces []string
	for _, h := range passed.Sample.Hits.Hits {
		if h.Source.Trace.ID != "" {
			traces = append(traces, h.Source.Trace.ID)
		}
	}
	if len(traces) == 0 {
		return edges, nil
	}
	res, err = q.es.Search(ctx, eventStream, object{
		"size": 0, "aggs": object{"services": object{"terms": object{"field": "service.name", "size": 1}}},
		"query": object{"bool": object{
			"filter":   []object{term("processor.event", "transaction"), {"terms": object{"trace.id": traces}}},
			"must_not": []object{{"exists": object{"field": "parent.id"}}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("find who answers nginx: %w", err)
	}
	var services named
	if err := decode(res, map[string]any{"services": &services}); err != nil {
		return nil, fmt.Errorf("find who answers nginx: %w", err)
	}
	for _, b := range services.Buckets {
		edges = append(edges, q.edge(nginx, b.Key, passed.measured, 1e9))
	}
	return edges, nil
}

// decode reads aggregations by their names; those of a stream that does not
// exist yet are not there.
func decode(res *elastic.SearchResult, into map[string]any) error {
	for name, v := range into {
		if raw, ok := res.Aggregations[name]; ok {
			if err := json.Unmarshal(raw, v); err != nil {
				return fmt.Errorf("decode aggregation %s: %w", name, err)
			}
		}
	}
	return nil
}
