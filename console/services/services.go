// Package services is the console's pages about services: the map of who calls
// whom, and a page for each service, instance and store.
package services

import (
	"context"
	"embed"
	"regexp"

	"pharos/console/page"
	"pharos/console/session"
	"pharos/console/watcherapi"
	"pharos/elastic"
	"pharos/internal/fault"
)

//go:embed *.html
var files embed.FS

// Services is the pages.
type Services struct{ Watcher *watcherapi.Client }

// Pages describes the pages for a site.
func (s Services) Pages() []page.Page {
	may := func(r session.Rights) bool { return r.Traces }
	return []page.Page{
		{Section: "Signals", Name: "services", Title: "Services", Path: "/services", Need: may, Files: files, View: s.all},
		{Section: "Signals", Name: "service", Title: "Service", Path: "/services/:name", Need: may, Files: files, Hidden: true, View: s.one},
	}
}

// All is what the page of all services shows.
type All struct {
	Map     page.Panel[Map] `json:"map"`
	Picture Picture         `json:"-"`
}

func (s Services) all(r *page.Request) (any, error) {
	v := &All{}
	q := queries{r.Elasticsearch, r.Span, r.Reader.Rights.Logs, elastic.TrafficStream}
	p := r.Panels()
	page.Load(p, &v.Map, q.serviceMap)
	p.Wait()
	v.Picture = draw(v.Map.Data, "")
	return v, nil
}

// One is what the page of one service, or of what services call, shows.
type One struct {
	Name     string `json:"name"`
	Instance string `json:"instance,omitempty"`
	Kind     string `json:"kind"` // service, proxy, bus, or store for what is seen by its callers alone

	Map       page.Panel[Map]        `json:"map"`
	Traffic   page.Panel[Traffic]    `json:"traffic"`
	Layers    page.Panel[Layers]     `json:"layers"`
	Cache     page.Panel[Cache]      `json:"cache"`
	Resources page.Panel[Resources]  `json:"resources"`
	Instances page.Panel[[]Instance] `json:"instances"`
	Versions  page.Panel[[]Version]  `json:"versions"`
	Changes   page.Panel[[]Change]   `json:"changes"`
	Errors    page.Panel[[]Problem]  `json:"errors"`
	Picture   Picture                `json:"-"`
}

// Own reports whether the page is about a process that traces itself.
func (v *One) Own() bool { return v.Kind == "service" }

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$`)

func (s Services) one(r *page.Request) (any, error) {
	v := &One{Name: r.Param("name"), Instance: r.Query("instance")}
	if !plainName.MatchString(v.Name) {
		return nil, fault.Field(fault.InvalidParameter, "name", "A service's name is made of letters, digits, dots, colons and dashes.")
	}
	if v.Instance != "" && !plainName.MatchString(v.Instance) {
		return nil, fault.Field(fault.InvalidParameter, "instance", "An instance's name is made of letters, digits, dots, colons and dashes.")
	}
	q := queries{r.Elasticsearch, r.Span, r.Reader.Rights.Logs, elastic.TrafficStream}
	of, err := q.subject(r.Ctx(), v.Name, v.Instance)
	if err != nil {
		return nil, err
	}
	v.Kind = of.kind
	p := r.Panels()
	page.Load(p, &v.Map, func(ctx context.Context) (Map, error) {
		m, err := q.serviceMap(ctx)
		return m.around(v.Name), err
	})
	page.Load(p, &v.Traffic, func(ctx context.Context) (Traffic, error) { return q.traffic(ctx, of) })
	page.Load(p, &v.Resources, func(ctx context.Context) (Resources, error) { return q.resources(ctx, v.Name, v.Instance) })
	if v.Own() {
		page.Load(p, &v.Layers, func(ctx context.Context) (Layers, error) { return q.layers(ctx, v.Name, v.Instance) })
		page.Load(p, &v.Cache, func(ctx context.Context) (Cache, error) { return q.cache(ctx, of) })
		page.Load(p, &v.Instances, func(ctx context.Context) ([]Instance, error) { return q.instances(ctx, v.Name) })
		page.Load(p, &v.Versions, func(ctx context.Context) ([]Version, error) { return q.versions(ctx, of) })
		page.Load(p, &v.Errors, func(ctx context.Context) ([]Problem, error) { return q.problems(ctx, v.Name, v.Instance) })
	}
	if r.Reader.Rights.Alerts {
		page.Load(p, &v.Changes, func(ctx context.Context) ([]Change, error) { return s.changes(ctx, r, v.Name) })
	}
	p.Wait()
	v.Picture = draw(v.Map.Data, v.Name)
	return v, nil
}

// around is the part of a map that touches a node.
func (m Map) around(name string) Map {
	part := Map{NoTraffic: m.NoTraffic}
	near := map[string]bool{name: true}
	for _, e := range m.Edges {
		if e.From == name || e.To == name {
			part.Edges = append(part.Edges, e)
			near[e.From], near[e.To] = true, true
		}
	}
	for _, n := range m.Nodes {
		if near[n.Name] {
			part.Nodes = append(part.Nodes, n)
		}
	}
	return part
}
