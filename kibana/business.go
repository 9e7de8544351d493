package kibana

import "fmt"

// Currency is the one that the dashboard Business adds up. Each has a field of its
// own, and amounts in different ones are no sum.
const Currency = "EUR"

// costs are panels of what a request costs: the price of the minutes in which the
// system ran, by the requests in them. A minute is one in which MongoDB's
// connections were counted, which needs no traffic.
func costs(price Price) []Panel {
	if price.PerHour <= 0 {
		return nil
	}
	minutes := Metric{Op: UniqueCount, Field: "@timestamp", KQL: `slo.name : "mongodb-connections"`}
	requests := Metric{Op: Sum, Field: "slo.total", KQL: `slo.name : "availability"`}
	cost := formula("Cost of a request, "+price.Currency, Small, Over(Times(Of(minutes), Num(price.PerHour/60)), Of(requests)))
	about := fmt.Sprintf("At %g %s an hour.", price.PerHour, price.Currency)
	return []Panel{
		{Title: "Cost of a request", About: about, Kind: Number, View: budgets, Metrics: []Metric{cost}, Wide: 24, Tall: 11},
		{Title: "Cost of a request over time", About: about, Kind: Line, View: budgets, Metrics: []Metric{cost}, Wide: 24, Tall: 11},
	}
}

func business(price Price) Dashboard {
	window := `shop.window.size : "1m" and shop.dimension : `
	p := func(dimension string, p Panel) Panel {
		p.View, p.KQL = shop, window+`"`+dimension+`"`
		return p
	}
	orders := sum("Orders", "shop.purchases")
	// In the smallest unit of the currency, so that sums are exact.
	revenue := formula("Revenue, "+Currency, Plain, Over(Of(sum("", "shop.revenue_minor."+Currency)), Num(100)))
	step := func(label, part, of string) Metric {
		return formula(label, Percent, Over(Of(sum("", "shop.funnel."+part)), Of(sum("", "shop.funnel."+of))))
	}
	top := func(title, dimension string) Panel {
		return p(dimension, Panel{
			Title: title, About: "By orders, with views and what they brought.", Kind: Table,
			Metrics: []Metric{orders, sum("Views", "shop.views"), sum("Into the cart", "shop.carts"), revenue},
			By:      []Terms{by(title, "shop."+dimension, 12)}, Wide: 16, Tall: 14,
		})
	}
	return Dashboard{
		ID: "business", Title: "Business", Since: "now-24h",
		About: "For managers: orders, revenue, the funnel, active visitors and top products, next to the load that they make. Needs no right to read logs.",
		Panels: append([]Panel{
			navigation("Each document is a change to a minute, so sums are right when events come late. Revenue is in " + Currency + "; sessions are counted in the minute in which they are active."),
			p("total", Panel{Title: "Orders", About: "Orders that were paid.", Kind: Number, Metrics: []Metric{orders}, Wide: 12, Tall: 6}),
			p("total", Panel{Title: "Revenue", About: "Of orders in " + Currency + ".", Kind: Number, Metrics: []Metric{revenue}, Wide: 12, Tall: 6}),
			p("total", Panel{Title: "From a view into the cart", About: "Sessions that put something into the cart, of those that looked at something.", Kind: Number, Metrics: []Metric{step("Into the cart", "carted", "viewed")}, Wide: 12, Tall: 6}),
			p("total", Panel{Title: "From the cart to an order", About: "Sessions that ordered, of those that had put something into the cart.", Kind: Number, Metrics: []Metric{step("Ordered", "purchased", "carted")}, Wide: 12, Tall: 6}),
			p("total", Panel{Title: "Orders over time", About: "Orders by step.", Kind: Bar, Metrics: []Metric{orders}, Wide: 24, Tall: 11}),
			p("total", Panel{Title: "Revenue over time", About: "In " + Currency + ".", Kind: Bar, Metrics: []Metric{revenue}, Wide: 24, Tall: 11}),
			p("total", Panel{Title: "The funnel over time", About: "Sessions that viewed, put into the cart, ordered.", Kind: Line, Metrics: []Metric{sum("Viewed", "shop.funnel.viewed"), sum("Into the cart", "shop.funnel.carted"), sum("Ordered", "shop.funnel.purchased")}, Wide: 24, Tall: 11}),
			p("total", Panel{Title: "Active visitors", About: "Different visitors of a minute, in the mean of the step's minutes.", Kind: Line, Metrics: []Metric{average("Visitors", "shop.visitors")}, Wide: 24, Tall: 11}),
			p("total", Panel{Title: "What visitors do", About: "Events by kind.", Kind: Area, Metrics: []Metric{sum("Views", "shop.views"), sum("Actions", "shop.actions"), sum("Into the cart", "shop.carts"), sum("Orders", "shop.purchases")}, Wide: 24, Tall: 11}),
			{Title: "Load", About: "Requests that were answered, of the whole service, from the objective's minutes.", Kind: Area, View: budgets, KQL: `slo.name : "availability"`, Metrics: []Metric{sum("Requests", "slo.total")}, Wide: 24, Tall: 11},
			top("Product", "product"), top("Category", "category"), top("Country", "country"),
		}, costs(price)...),
	}
}
