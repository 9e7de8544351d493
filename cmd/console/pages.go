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
	"pharos/console/support"
	"pharos/console/traces"
	"pharos/console/watcherapi"
	"pharos/slo"
)

// parts is what pages are made of.
type parts struct {
	cfg        *config
	objectives []slo.Objective
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
	if err := add(overview.Overview{Watcher: p.watcher, Availability: named(p.objectives, "availability")}.Page()); err != nil {
		return err
	}
	public := components(p.objectives)
	if err := (alerts.Alerts{Watcher: p.watcher, Components: public, Runbooks: p.cfg.RunbookURL}).AddTo(site); err != nil {
		return err
	}
	if err := (incidents.Incidents{Watcher: p.watcher, Components: public}).AddTo(site); err != nil {
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

// components are what the status page knows the system's parts as.
func components(objectives []slo.Objective) []string {
	var names []string
	for _, o := range objectives {
		if o.Indicator.Uptime == nil {
			continue
		}
		for _, c := range o.Indicator.Uptime.Components {
			if !slices.Contains(names, c.Title) {
				names = append(names, c.Title)
			}
		}
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
