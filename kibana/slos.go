package kibana

import "math"

// Target is an objective's, as objectives/ has it; a test holds them together.
type Target struct {
	Name, Title, About string
	Share              float64
}

// budget is the share that may be bad, without the noise of subtracting floats.
func (t Target) budget() float64 { return math.Round((1-t.Share)*1e12) / 1e12 }

// Targets are the objectives that have a number of their own.
func Targets() []Target {
	return []Target{
		{"availability", "Availability", "Requests without 5xx: 99.9 %.", 0.999},
		{"system-uptime", "System uptime", "Minutes in which every component was up: 99.99 %.", 0.9999},
		{"events-processed", "Events processed", "Events that were processed and not given up: 99.9 %.", 0.999},
		{"jobs-in-time", "Jobs in time", "Jobs that took less than 10 s: 95 %.", 0.95},
		{"mongodb-connections", "MongoDB's connections", "Minutes with less than 100 connections: 99 %.", 0.99},
	}
}

func slos() Dashboard {
	good := Over(Of(sum("", "slo.good")), Of(sum("", "slo.total")))
	share := formula("Good", Percent, good)
	// What belongs to a part of an objective is counted beside the whole.
	whole := "not slo.component : * and not slo.group : *"
	panels := []Panel{navigation("From the objectives' minutes, which are kept for 400 days. Left of the budget: 100 % is untouched, below 0 the objective of the span is missed; the span is the one chosen above, 30 days at first.")}
	for _, t := range Targets() {
		left := Minus(Num(1), Over(Minus(Num(1), good), Num(t.budget())))
		panels = append(panels, Panel{
			Title: t.Title, About: t.About + " Here: how much of the error budget is left.", Kind: Number, View: budgets, KQL: and(`slo.name : "`+t.Name+`"`, whole),
			Metrics: []Metric{formula("Left of the budget", Percent, left)}, Wide: 9, Tall: 7,
		})
	}
	return Dashboard{
		ID: "slos", Title: "SLOs", Since: "now-30d",
		About:    "For managers and who is on call: the objectives, what is left of their error budgets, and which route or component used it. Needs no right to read logs.",
		Controls: []Control{{"Objective", "slo.name", budgets}, {"Region", "cloud.region", budgets}},
		Panels: append(panels,
			Panel{Title: "Objectives", About: "Share that was good, and how much was counted.", Kind: Table, View: budgets, KQL: whole, Metrics: []Metric{sum("Counted", "slo.total"), sum("Good", "slo.good"), share}, By: []Terms{by("Objective", "slo.name", 20)}, Wide: 24, Tall: 13},
			Panel{Title: "Good over time", About: "Share that was good, by objective.", Kind: Line, View: budgets, KQL: whole, Metrics: []Metric{share}, By: []Terms{by("Objective", "slo.name", 20).byName()}, Zoomed: true, To: []string{"operations"}, Wide: 24, Tall: 13},
			Panel{Title: "Routes: availability", About: "Share of a route's requests without 5xx.", Kind: Table, View: budgets, KQL: `slo.name : "route-availability"`, Metrics: []Metric{sum("Requests", "slo.total"), share}, By: []Terms{by("Route", "slo.group", 20)}, To: []string{"operations"}, Wide: 16, Tall: 13},
			Panel{Title: "Routes: latency", About: "Share of a route's requests under its threshold.", Kind: Table, View: budgets, KQL: `slo.name : "route-latency"`, Metrics: []Metric{sum("Requests", "slo.total"), share}, By: []Terms{by("Route", "slo.group", 20)}, To: []string{"operations"}, Wide: 16, Tall: 13},
			Panel{Title: "Components", About: "Share of minutes in which a component was up.", Kind: Table, View: budgets, KQL: "slo.component : *", Metrics: []Metric{sum("Minutes", "slo.total"), share}, By: []Terms{by("Component", "slo.component", 20)}, To: []string{"uptime"}, Wide: 16, Tall: 13},
		),
	}
}
