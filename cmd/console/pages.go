package main

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"pharos/console/alerts"
	"pharos/console/capacity"
	"pharos/console/functions"
	"pharos/console/incidents"
	"pharos/console/logs"
	"pharos/console/operatorapi"
	"pharos/console/overview"
	"pharos/console/page"
	"pharos/console/security"
	"pharos/console/services"
	"pharos/console/shop"
	"pharos/console/slos"
	"pharos/console/statuspage"
	"pharos/console/support"
	"pharos/console/traces"
	"pharos/console/uptime"
	"pharos/console/watcherapi"
	"pharos/slo"
)

// parts is what pages are made of.
type parts struct {
	cfg        *config
	objectives []slo.Objective
	public     statuspage.Catalog
	watcher    *watcherapi.Client
	operator   *operatorapi.Client
	log        *zap.Logger
}

// addPages adds every page, in the menu's order.
func addPages(ctx context.Context, site *page.Site, p parts) error {
	add := func(pages ...page.Page) error {
		for _, one := range pages {
			if err := site.Add(one); err != nil {
				return err
			}
		}
		return nil
	}
	if err := add(overview.Overview{Watcher: p.watcher, Availability: named(p.objectives, "availability")}.Page(),
		uptime.Uptime{Objectives: p.objectives}.Page(), uptime.Uptime{Objectives: p.objectives}.MonitorPage()); err != nil {
		return err
	}
	names := components(p.public)
	if err := (alerts.Alerts{Watcher: p.watcher, Components: names, Runbooks: p.cfg.RunbookURL}).AddTo(site); err != nil {
		return err
	}
	if err := (incidents.Incidents{Watcher: p.watcher, Components: names}).AddTo(site); err != nil {
		return err
	}
	lines, err := logs.New(ctx, p.watcher)
	if err != nil {
		return err
	}
	lines.AddTo(site)
	people := support.Support{API: p.operator, Log: p.log}
	people.Actions(site)
	return add(slices.Concat(
		[]page.Page{lines.Page()},
		traces.Traces{}.Pages(),
		services.Services{Watcher: p.watcher}.Pages(),
		slos.SLOs{Objectives: p.objectives, Runbooks: p.cfg.RunbookURL}.Pages(),
		[]page.Page{shop.Page(), functions.Functions{API: p.operator}.Page(), capacity.Page(), security.Page(), people.Page()},
	)...)
}

// components are what the status page calls the system's parts.
func components(catalog statuspage.Catalog) []string {
	var names []string
	for _, c := range catalog.Components {
		names = append(names, c.Name)
	}
	return names
}

func named(objectives []slo.Objective, name string) *slo.Objective {
	i := slices.IndexFunc(objectives, func(o slo.Objective) bool { return o.Name == name })
	if i < 0 {
		return nil
	}
	return &objectives[i]
}
