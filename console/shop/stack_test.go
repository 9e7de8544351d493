package shop

import (
	"testing"
	"time"

	"pharos/console/pagetest"
	events "pharos/shop"
)

// What analytics writes adds up: corrections are negative, and hours are the same
// events again.
func TestOnTheStack(t *testing.T) {
	es, span := pagetest.Stack(t), pagetest.Quiet()
	const total = `"shop.dimension":"total","shop.window.size":"1m",`
	pagetest.Index(t, es, stream, span,
		`{"@timestamp":"{0}",`+total+`"shop.events":10,"shop.late":0,"shop.views":6,"shop.actions":1,"shop.carts":2,"shop.purchases":1,"shop.visitors":5,"shop.funnel.viewed":4,"shop.funnel.carted":2,"shop.funnel.purchased":1,"shop.revenue_minor.EUR":1999}`,
		`{"@timestamp":"{0}",`+total+`"shop.events":1,"shop.late":1,"shop.views":0,"shop.actions":0,"shop.carts":0,"shop.purchases":1,"shop.visitors":-1,"shop.funnel.viewed":0,"shop.funnel.carted":0,"shop.funnel.purchased":0,"shop.revenue_minor.JPY":500}`,
		`{"@timestamp":"{3}",`+total+`"shop.events":5,"shop.late":0,"shop.views":4,"shop.actions":0,"shop.carts":0,"shop.purchases":0,"shop.visitors":2,"shop.funnel.viewed":4,"shop.funnel.carted":0,"shop.funnel.purchased":0}`,
		`{"@timestamp":"{0}","shop.dimension":"total","shop.window.size":"1h","shop.events":99,"shop.purchases":99,"shop.revenue_minor.EUR":99}`,
		`{"@timestamp":"{0}","shop.dimension":"product","shop.product":"lamp-1","shop.window.size":"1m","shop.views":3,"shop.carts":1,"shop.purchases":1,"shop.revenue_minor.EUR":1999}`,
		`{"@timestamp":"{3}","shop.dimension":"product","shop.product":"lamp-1","shop.window.size":"1m","shop.views":1,"shop.carts":0,"shop.purchases":1,"shop.revenue_minor.JPY":500}`,
		`{"@timestamp":"{3}","shop.dimension":"product","shop.product":"sofa-2","shop.window.size":"1m","shop.views":9,"shop.carts":0,"shop.purchases":0}`,
	)
	sales, err := ReadSales(t.Context(), es, span)
	if err != nil {
		t.Fatal(err)
	}
	if sales.Orders != 2 || len(sales.Revenue) != 2 || sales.Revenue["EUR"] != 19.99 || sales.Revenue["JPY"] != 500 {
		t.Errorf("%+v", sales)
	}
	b, err := behaviour(t.Context(), es, span)
	if err != nil {
		t.Fatal(err)
	}
	if b.Events != 16 || b.Late != 1 || b.Views != 10 || b.Funnel[0].Sessions != 8 || *b.Funnel[2].OfFirst != 0.125 {
		t.Errorf("%+v", b)
	}
	if v := b.Visitors.Series[0].Values; v[0] == nil || *v[0] != 4 || v[1] != nil || v[3] == nil || *v[3] != 2 {
		t.Errorf("visitors %v", v)
	}
	groups, err := top(t.Context(), es, span, events.ByProduct)
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || groups[0].Name != "lamp-1" || groups[0].Purchases != 2 || groups[0].Revenue["EUR"] != 19.99 || groups[1].Views != 9 {
		t.Errorf("%+v", groups)
	}
	at := span.From.Add(4 * time.Minute)
	newest, err := latest(t.Context(), es, at)
	if err != nil {
		t.Fatal(err)
	}
	if newest == nil || newest.Visitors != 2 || !newest.At.Equal(span.From.Add(3*time.Minute)) {
		t.Errorf("%+v", newest)
	}
}
